//! Findings over time: what is new, what goes on, what has ended, and what nobody could judge.

use std::fs;

use serde_json::{Value, json};

use crate::evidence::blindness::at;
use crate::support::{Dir, KEY, Keytrail, decrypt, with};

/// A detector of a user's own: who used a key. Adding it takes no more than this file.
const USERS: &str = r#"-- ---
-- title = "Somebody used a key"
-- severity = "low"
-- message = "{principal} used {key_arn} {events} times"
-- params.since = { type = "timestamp", required = true, doc = "from" }
-- params.until = { type = "timestamp", required = true, doc = "until" }
-- params.many  = { type = "integer", default = 3, doc = "so many calls are worse" }
-- ---
-- ## What it does
-- Names everyone who used a key.
SELECT
    key_arn, principal, max(account_id) AS account_id, max(region) AS region,
    min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS events,
    array_agg(event_id ORDER BY event_time, event_id) AS evidence,
    CAST(NULL AS VARCHAR) AS detail,
    CASE WHEN count(*) >= $many THEN 'high' END AS severity
FROM usage
WHERE event_time >= $since AND event_time < $until
GROUP BY key_arn, principal
"#;

/// The same, but for what an inventory says.
const NEEDY: &str = r#"-- ---
-- title = "Needs an inventory"
-- severity = "low"
-- needs = ["inventory"]
-- message = "x"
-- ---
-- ## What it does
-- Nothing.
SELECT CAST(NULL AS VARCHAR) AS key_arn, CAST(NULL AS VARCHAR) AS principal, CAST(NULL AS VARCHAR) AS account_id,
    CAST(NULL AS VARCHAR) AS region, CAST(NULL AS TIMESTAMP) AS first_seen, CAST(NULL AS TIMESTAMP) AS last_seen,
    0 AS events, arrow_cast(make_array(), 'List(Utf8)') AS evidence, CAST(NULL AS VARCHAR) AS detail,
    CAST(NULL AS VARCHAR) AS severity
FROM keys
"#;

fn case(records: &[Value]) -> Dir {
    let dir = Dir::new();
    fs::create_dir_all(dir.join("queries/detectors")).unwrap();
    fs::write(dir.join("queries/detectors/users.sql"), USERS).unwrap();
    fs::write(dir.join("queries/detectors/needy.sql"), NEEDY).unwrap();
    dir.log("a.json.gz", records);
    dir.ingest("logs");
    dir
}

fn used(id: &str, time: &str) -> Value {
    with(at(decrypt(""), time), "eventID", id)
}

fn asked(dir: &Dir, arguments: &[&str]) -> Keytrail {
    let detect =
        ["--queries", "queries", "detect", "--only", "users,needy", "--since", "2026-01-05", "--until", "2026-01-20"];
    dir.keytrail(detect).args(arguments).format("json")
}

fn found(dir: &Dir, arguments: &[&str]) -> Value {
    asked(dir, arguments).ok().json()
}

fn statuses(found: &Value, list: &str) -> Vec<String> {
    let list = found[list].as_array().unwrap();
    list.iter().map(|finding| finding["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_finding_is_new_once_then_ongoing_and_aged_or_resolved_in_the_end() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z"), used("e2", "2026-01-06T11:00:00Z")]);
    let first = found(&dir, &[]);
    let finding = &first["findings"][0];
    assert_eq!(
        (&finding["status"], &finding["severity"], &finding["events"]),
        (&json!("new"), &json!("low"), &json!(2))
    );
    assert_eq!(finding["evidence"], json!(["e1", "e2"]));
    assert_eq!(finding["message"], format!("arn:aws:iam::111122223333:user/alice used {KEY} 2 times"));
    let gap = &first["not_evaluated"][0];
    assert_eq!(gap["detector"], "needy");
    assert!(gap["why"].as_str().unwrap().contains("keytrail inventory"), "{gap}");

    let second = found(&dir, &["--new"]);
    assert_eq!(second["findings"], json!([]), "nothing is new");
    let third = found(&dir, &[]);
    assert_eq!(statuses(&third, "findings"), ["ongoing"]);
    assert_eq!(third["findings"][0]["fingerprint"], finding["fingerprint"]);

    let open = dir.keytrail(["query", "findings"]).format("json").ok().json();
    assert_eq!((open[0]["detector"].as_str(), open.as_array().unwrap().len()), (Some("users"), 1));

    let aged = |dir: &Dir| {
        let detect =
            ["--queries", "queries", "detect", "--only", "users", "--since", "2026-01-10", "--until", "2026-01-25"];
        dir.keytrail(detect).format("json").ok().json()
    };
    let later = aged(&dir);
    // Nothing is of that time, so that nobody knows whether it has stopped.
    assert_eq!((statuses(&later, "resolved").len(), statuses(&later, "unjudged")), (0, vec!["unjudged".to_owned()]));
    assert!(later["no_events"].as_str().unwrap().contains("logs end at 2026-01-06T11:00:00Z"), "{later}");
    dir.log("b.json.gz", &[with(used("e3", "2026-01-12T10:00:00Z"), "eventName", "DescribeKey")]);
    dir.ingest("logs");
    let later = aged(&dir);
    assert_eq!((statuses(&later, "resolved").len(), statuses(&later, "aged")), (0, vec!["aged".to_owned()]));
    let again = found(&dir, &[]);
    assert_eq!((statuses(&again, "findings"), statuses(&again, "resolved")), (vec!["new".to_owned()], Vec::new()));
    // The same time, and not found any more: with a higher bar it is none.
    let users = fs::read_to_string(dir.join("queries/detectors/users.sql")).unwrap();
    fs::write(
        dir.join("queries/detectors/users.sql"),
        users.replace("event_time < $until", "event_time < $until AND event_name = 'Nothing'"),
    )
    .unwrap();
    assert_eq!(statuses(&found(&dir, &[]), "resolved"), ["resolved"]);
}

#[test]
fn a_run_that_leaves_no_trace_changes_nothing() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z")]);
    found(&dir, &["--no-save"]);
    assert_eq!(statuses(&found(&dir, &[]), "findings"), ["new"]);
}

#[test]
fn the_order_of_the_logs_and_second_deliveries_change_no_finding() {
    let records: Vec<Value> =
        (0..40).map(|number| used(&format!("e{number:02}"), &format!("2026-01-06T10:{number:02}:00Z"))).collect();
    let mut turned: Vec<Value> = records.iter().rev().cloned().collect();
    turned.extend(records.iter().step_by(3).cloned());
    let [mut one, mut other] = [&records, &turned].map(|records| found(&case(records), &[]));
    for found in [&mut one, &mut other] {
        found["lake_version"] = Value::Null;
    }
    assert_eq!(one, other);
    assert_eq!(one["findings"][0]["events"], 40);
}

#[test]
fn how_bad_it_is_decides_how_it_ends() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z"), used("e2", "2026-01-06T11:00:00Z")]);
    asked(&dir, &["--fail-on", "low"]).code(1);
    asked(&dir, &["--fail-on", "medium"]).code(0);
    asked(&dir, &["--fail-on", "high", "--param", "users.many=2"]).code(1);
    asked(&dir, &["--fail-on", "low", "--new"]).code(0);
    for (arguments, told) in [
        (["--only", "nobody"], "nobody is no detector"),
        (["--param", "users.few=2"], "no parameter `few`"),
        (["--param", "users.many=x"], "takes a whole number"),
        (["--param", "nobody.many=2"], "nobody is no detector"),
    ] {
        let ran = asked(&dir, &arguments).code(2);
        assert!(ran.stderr().contains(told), "{}", ran.stderr());
    }
}

#[test]
fn what_is_not_evaluated_is_told_in_every_format() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z")]);
    for format in ["table", "csv", "markdown"] {
        let ran = dir.keytrail(["--queries", "queries", "detect", "--only", "needy", "--format", format]).ok();
        let told = ran.stdout();
        assert!(
            told.contains("not evaluated") && told.contains("needy") && told.contains("inventory"),
            "{format}: {told}"
        );
    }
    let lines = dir.keytrail(["--queries", "queries", "detect", "--only", "needy"]).format("ndjson").ok().ndjson();
    assert!(lines.iter().any(|line| line["why"].as_str().is_some_and(|why| why.contains("inventory"))), "{lines:?}");
}

#[test]
fn a_detector_without_the_columns_of_a_finding_is_named() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z")]);
    fs::write(dir.join("queries/detectors/users.sql"), USERS.replace("AS detail", "AS details")).unwrap();
    let ran = asked(&dir, &[]).code(2);
    assert!(
        ran.stderr().contains("detector users: it returns `details`, which is none of key_arn"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn what_has_become_worse_is_news() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z"), used("e2", "2026-01-06T11:00:00Z")]);
    assert_eq!(statuses(&found(&dir, &[]), "findings"), ["new"]);
    let worse = found(&dir, &["--new", "--param", "users.many=2"]);
    assert_eq!((&worse["findings"][0]["severity"], &worse["findings"][0]["status"]), (&json!("high"), &json!("new")));
    let better = found(&dir, &[]);
    assert_eq!(
        (&better["findings"][0]["severity"], statuses(&better, "findings")),
        (&json!("low"), vec!["ongoing".to_owned()])
    );
}

#[test]
fn a_shorter_look_resolves_nothing_that_lies_before_it() {
    let other = with(used("e2", "2026-01-15T10:00:00Z"), "eventName", "DescribeKey");
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z"), other]);
    found(&dir, &[]);
    let users = |since: &str, until: &str| {
        let detect = ["--queries", "queries", "detect", "--only", "users", "--since", since, "--until", until];
        dir.keytrail(detect).format("json").ok().json()
    };
    let short = users("2026-01-10", "2026-01-20");
    assert_eq!((statuses(&short, "resolved").len(), statuses(&short, "unjudged")), (0, vec!["unjudged".to_owned()]));
    assert_eq!(statuses(&found(&dir, &[]), "findings"), ["ongoing"], "it was open all the while");
    // The same length, later.
    assert_eq!(statuses(&users("2026-01-08", "2026-01-23"), "aged"), ["aged"]);
    // Of other detectors a run says nothing.
    found(&dir, &[]);
    let needy = ["--queries", "queries", "detect", "--only", "needy", "--since", "2026-01-19", "--until", "2026-01-20"];
    let other = dir.keytrail(needy).format("json").ok().json();
    assert_eq!((statuses(&other, "unjudged").len(), statuses(&other, "aged").len()), (0, 0));
}

#[test]
fn what_cannot_be_judged_any_more_stays_open() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z")]);
    found(&dir, &[]);
    let users = fs::read_to_string(dir.join("queries/detectors/users.sql")).unwrap();
    let needy = users.replace("-- severity = \"low\"", "-- severity = \"low\"\n-- needs = [\"inventory\"]");
    fs::write(dir.join("queries/detectors/users.sql"), needy).unwrap();
    let blind = found(&dir, &[]);
    assert_eq!((statuses(&blind, "findings").len(), statuses(&blind, "unjudged")), (0, vec!["unjudged".to_owned()]));
    asked(&dir, &["--fail-on", "low"]).code(3);
    fs::write(dir.join("queries/detectors/users.sql"), users).unwrap();
    assert_eq!(statuses(&found(&dir, &[]), "findings"), ["ongoing"]);
}

/// What `users.sql` says of each principal, in place of finding it.
fn doubts(dir: &Dir, condition: &str) {
    let doubtful = USERS.replace(
        "AS severity\nFROM",
        &format!("AS severity, CAST(NULL AS VARCHAR) AS asset,\n    CASE WHEN {condition} THEN 'too new' END AS not_evaluated\nFROM"),
    );
    let doubtful = doubtful.replace("CAST(NULL AS VARCHAR) AS detail", "concat(count(*), ' calls') AS detail");
    fs::write(dir.join("queries/detectors/users.sql"), doubtful).unwrap();
}

#[test]
fn one_newcomer_who_cannot_be_judged_does_not_keep_anothers_finding_open() {
    let mut bob = used("b1", "2026-01-06T11:00:00Z");
    bob["userIdentity"]["arn"] = "arn:aws:iam::111122223333:user/bob".into();
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z"), bob]);
    doubts(&dir, "principal LIKE '%/bob'");
    let first = found(&dir, &[]);
    assert_eq!(
        (statuses(&first, "findings").len(), &first["not_evaluated"][1]["principal"]),
        (1, &json!("arn:aws:iam::111122223333:user/bob"))
    );
    // Alice is found no more, bob is not judged still.
    let users = fs::read_to_string(dir.join("queries/detectors/users.sql")).unwrap();
    fs::write(
        dir.join("queries/detectors/users.sql"),
        users.replace("FROM usage\nWHERE", "FROM usage\nWHERE principal LIKE '%/bob' AND"),
    )
    .unwrap();
    let second = found(&dir, &[]);
    assert_eq!((statuses(&second, "resolved"), statuses(&second, "unjudged").len()), (vec!["resolved".to_owned()], 0));
}

#[test]
fn a_finding_that_is_recorded_again_keeps_its_text() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z"), used("e2", "2026-01-06T11:00:00Z")]);
    let text = "SELECT status, message, detail, reason, evidence FROM findings ORDER BY run_at";
    doubts(&dir, "false");
    found(&dir, &[]);
    doubts(&dir, "true");
    for _ in 0..2 {
        assert_eq!(statuses(&found(&dir, &[]), "unjudged"), ["unjudged"]);
    }
    let rows = dir.sql(text);
    assert_eq!((&rows[0]["detail"], &rows[0]["evidence"]), (&json!("2 calls"), &json!("[\"e1\",\"e2\"]")));
    for row in &rows[1..] {
        assert_eq!(row["status"], "unjudged");
        for part in ["message", "detail", "reason", "evidence"] {
            assert_eq!(row[part], rows[0][part], "{part}");
        }
    }
    // What `watch` sends is of the last of them.
    let pending = ["query", "pending-notifications", "--param", "channel=c", "--param", "severity=info"];
    let pending = dir.keytrail(pending).format("json").ok().json();
    assert_eq!((&pending[0]["detail"], &pending[0]["message"]), (&rows[0]["detail"], &rows[0]["message"]));
    // Why it was accepted is told as long as it is.
    let accept = "[[accept]]\ndetector = \"users\"\nreason = \"known\"\nuntil = 2199-12-31\n";
    fs::write(dir.join("keytrail.toml"), accept).unwrap();
    doubts(&dir, "false");
    found(&dir, &[]);
    doubts(&dir, "true");
    let unjudged = found(&dir, &[]);
    assert_eq!(
        (&unjudged["unjudged"][0]["reason"], &unjudged["unjudged"][0]["status"]),
        (&json!("known"), &json!("accepted"))
    );
    // The file names a detector of the folder's own.
    let rows = dir.keytrail(["sql", text, "--queries", "queries"]).format("ndjson").ok().ndjson();
    assert_eq!(rows.last().unwrap()["reason"], "known");
}

#[test]
fn a_broken_view_or_detector_of_ones_own_names_its_line_and_leaves_the_others_running() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z")]);
    let put = |name: &str, text: &str| {
        let path = dir.join("queries").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let head = "-- ---\n-- title = \"T\"\n-- ---\n";
    put("views/torn.sql", &format!("{head}SELECT key_arn,\n    no_such_column\nFROM usage"));
    put("detectors/header.sql", &USERS.replace("-- message", "-- mesage"));
    put("detectors/syntax.sql", &USERS.replace("GROUP BY key_arn, principal", "GROUP key_arn"));
    put("detectors/reader.sql", &USERS.replace("FROM usage", "FROM torn"));
    put("detectors/needs_more.sql", USERS);
    let only = "users,header,syntax,reader,needs_more,root-uses-key";
    let detect = ["detect", "--only", only, "--since", "2026-01-05", "--until", "2026-01-20"];
    let ran = dir.keytrail(["--queries", "queries"]).args(detect).format("json").code(2);
    let told = ran.stderr();
    let place = |name: &str, line: usize| format!("error: queries/{name}.sql:{line}: ");
    for (name, line) in
        [("views/torn", 5), ("detectors/header", 4), ("detectors/syntax", 19), ("detectors/needs_more", 1)]
    {
        assert!(told.contains(&place(name, line)), "{name}:{line}: {told}");
    }
    assert!(told.contains("error: queries/detectors/reader.sql:") && told.contains("torn"), "{told}");
    let found = ran.json();
    assert!(found["findings"].as_array().unwrap().iter().any(|finding| finding["detector"] == "users"), "{found}");
    assert!(found["evaluated"].as_array().unwrap().iter().any(|name| name == "root-uses-key"), "{found}");
    for name in ["header", "syntax", "reader", "needs_more"] {
        let why = found["not_evaluated"].as_array().unwrap().iter().find(|gap| gap["detector"] == name);
        assert!(why.is_some_and(|gap| gap["why"].as_str().unwrap().contains(".sql:")), "{name}: {found}");
    }
    // What does not read what is broken is answered.
    let rows = dir.keytrail(["--queries", "queries", "sql", "SELECT count(*) AS n FROM usage"]).format("json").code(2);
    assert_eq!(rows.json(), json!([{"n": 1}]));
    put("questions/mine.sql", &format!("{head}SELECT key_arn,\n    no_such_column\nFROM usage"));
    let asked = dir.keytrail(["--queries", "queries", "query", "mine"]).code(2);
    assert!(asked.stderr().contains("error: queries/questions/mine.sql:5: "), "{}", asked.stderr());
    fs::rename(dir.join("queries/questions"), dir.join("queries/reports")).unwrap();
    let asked = dir.keytrail(["--queries", "queries", "query", "mine"]).code(2);
    assert!(asked.stderr().contains("hint: rename the folder to `questions`"), "{}", asked.stderr());
    fs::rename(dir.join("queries/reports"), dir.join("queries/questions")).unwrap();
    let asked = dir.keytrail(["--queries", "queries", "query", "header"]).code(2);
    assert!(asked.stderr().contains("header.sql:4: unknown field `mesage`"), "{}", asked.stderr());
}

#[test]
fn what_is_told_together_for_the_first_time_has_not_ended() {
    let dir = Dir::new();
    let key = |number: usize| KEY.replace("1234abcd", &format!("1234abc{number}"));
    let scheduled = |number: usize| {
        let record = at(decrypt(""), &format!("2026-01-06T10:0{number}:00Z"));
        let record = with(record, "eventName", "ScheduleKeyDeletion");
        let record = with(with(record, "eventID", number.to_string()), "readOnly", false);
        let resource = json!([{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key(number)}]);
        with(record, "resources", resource)
    };
    dir.log("a.json.gz", &(1..=3).map(scheduled).collect::<Vec<_>>());
    dir.ingest("logs");
    let ran = |many: &str| {
        let many = format!("key-deletion-scheduled.many_keys={many}");
        let window = ["detect", "--only", "key-deletion-scheduled", "--since", "2026-01-05", "--until", "2026-01-20"];
        dir.keytrail(window).args(["--param", &many]).format("json").ok().json()
    };
    let keys = |found: &Value| found["findings"].as_array().unwrap().len();
    let ended = |found: &Value| ["resolved", "aged", "unjudged"].map(|list| found[list].as_array().unwrap().len());
    assert_eq!(keys(&ran("3")), 3);
    let together = ran("2");
    assert_eq!((keys(&together), ended(&together)), (1, [0; 3]));
    assert!(together["findings"][0]["message"].as_str().unwrap().contains("scheduled several keys for deletion"));
    let alone = ran("3");
    assert_eq!((keys(&alone), ended(&alone)), (3, [0; 3]));
    fs::write(
        dir.join("keytrail.toml"),
        format!(
            "[[accept]]\ndetector = \"key-deletion-scheduled\"\nkey = \"{}\"\nreason = \"planned\"\nuntil = 2027-01-01\n",
            key(2)
        ),
    )
    .unwrap();
    let accepted = ran("1");
    assert_eq!((keys(&accepted), accepted["accepted"].as_array().unwrap().len()), (1, 1), "{accepted}");
    assert_eq!(accepted["findings"][0]["events"], 2);
}

/// Runs of a schedule: each looks a day back.
fn daily(dir: &Dir, until: &str, since: &str) -> (Value, String) {
    let detect = ["--queries", "queries", "detect", "--only", "users", "--since", since, "--until", until];
    let ran = dir.keytrail(detect).format("json").ok();
    (ran.json(), ran.stderr())
}

#[test]
fn a_log_that_comes_after_the_run_over_its_day_is_looked_at_by_the_next() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z")]);
    assert_eq!(statuses(&daily(&dir, "2026-01-07", "-1d").0, "findings"), ["new"]);
    dir.log("late.json.gz", &[used("e2", "2026-01-06T21:00:00Z"), used("e3", "2026-01-07T10:00:00Z")]);
    dir.ingest("logs");
    // Who names the instant gets what was asked for, and is told what that leaves out.
    let (fixed, said) = daily(&dir, "2026-01-08", "2026-01-07");
    assert_eq!(fixed["findings"].as_array().unwrap().len(), 1, "{fixed}");
    assert!(said.contains("a log with events of before the window came since the last run"), "{said}");
    assert!(said.contains("--since 2026-01-06T21:00:00Z looks at that, too"), "{said}");
    assert_eq!(fixed.get("looked_from"), None);
}

#[test]
fn a_run_by_age_goes_on_where_the_last_one_ended_and_takes_in_what_came_late() {
    let dir = case(&[used("e1", "2026-01-06T10:00:00Z")]);
    assert_eq!(statuses(&daily(&dir, "2026-01-07", "-1d").0, "findings"), ["new"]);
    // A look in between, at less and at what is over, has not seen the day either.
    daily(&dir, "2026-01-07", "2026-01-06T23:00:00Z");
    daily(&dir, "2026-01-03", "2026-01-02");
    let bob = |id: &str, time: &str| {
        let bob = json!({"type": "IAMUser", "principalId": "AIDABOB", "arn": "arn:aws:iam::111122223333:user/bob",
            "accountId": "111122223333", "userName": "bob"});
        with(used(id, time), "userIdentity", bob)
    };
    dir.log("late.json.gz", &[bob("e2", "2026-01-06T21:00:00Z"), used("e3", "2026-01-07T10:00:00Z")]);
    dir.ingest("logs");
    let (found, said) = daily(&dir, "2026-01-08", "-1d");
    let principals: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|finding| finding["principal"].as_str().unwrap()).collect();
    assert!(principals.iter().any(|principal| principal.ends_with("user/bob")), "{found}");
    assert!(said.contains("this run looks from 2026-01-06T21:00:00Z on"), "{said}");
    assert_eq!(found["looked_from"], "2026-01-06T21:00:00Z");
    assert_eq!(found["window"]["since"], "2026-01-07T00:00:00Z");
    // The next has nothing to make up for; one that comes three days later has.
    let (_, said) = daily(&dir, "2026-01-09", "-1d");
    assert!(!said.contains("looks from"), "{said}");
    let (found, said) = daily(&dir, "2026-01-12", "-2d");
    assert!(said.contains("the last run looked until 2026-01-09T00:00:00Z: this run looks from 2026-01-09"), "{said}");
    assert_eq!(found["looked_from"], "2026-01-09T00:00:00Z");
    // It is at most twice as long.
    let (found, said) = daily(&dir, "2026-01-20", "-2d");
    assert_eq!(found["looked_from"], "2026-01-16T00:00:00Z");
    assert!(said.contains("no run has seen all from 2026-01-12T00:00:00Z to 2026-01-16T00:00:00Z"), "{said}");
}
