//! Coverage of signed logs: proven where they are whole, and no longer where they are not, hour by hour.
//!
//! Facts §7.1 and design §7: digests speak of deliveries, so an hour of events is proven when the chain covers it and the
//! two hours after.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use keytrail::synthetic::{Plan, write_folder};
use serde_json::{Value, json};

use super::{Signed, plan};
use crate::support::{Dir, gzip};

/// A lake of signed logs.
struct Case {
    dir: Dir,
    signed: Signed,
    /// The account whose logs are looked at.
    account: String,
}

impl Case {
    fn new() -> Self {
        Self::of(Signed::new())
    }

    fn of(signed: Signed) -> Self {
        let dir = Dir::new();
        dir.ingest(signed.path());
        let account = signed.digests()[0].file_name().unwrap().to_str().unwrap()[..12].to_owned();
        Self { dir, signed, account }
    }

    /// Verifies, and expects this exit code.
    fn verify(&self, code: i32) -> Value {
        let keys = self.signed.path().join("public-keys.json");
        let folder = self.signed.path().as_os_str();
        self.dir
            .keytrail(["verify".as_ref(), folder, "--public-keys".as_ref(), keys.as_os_str()])
            .format("json")
            .code(code)
            .json()
    }

    /// The state of each hour of the account, by the hour such as `2026-01-05T10`.
    fn hours(&self) -> BTreeMap<String, String> {
        let rows = self.dir.sql(&format!("SELECT hour, state FROM coverage WHERE account_id = '{}'", self.account));
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.iter().map(|row| (text(row, "hour")[..13].to_owned(), text(row, "state"))).collect()
    }

    /// The hours of the day of the logs that are not proven.
    fn unproven(&self) -> Vec<String> {
        let hours = self.hours();
        let day = (0..24).map(|hour| format!("2026-01-05T{hour:02}"));
        day.filter(|hour| hours.get(hour).is_none_or(|state| state != "proven")).collect()
    }

    /// Does something to the logs, verifies, and expects just this hour, and those around it, to be proven no more. Events
    /// of the two hours before may have been delivered in it, and a digest's window touches two hours.
    #[track_caller]
    fn unproves(&self, at: &str, change: impl FnOnce(&Self)) {
        change(self);
        self.verify(1);
        let (lost, hour) = (self.unproven(), at[11..].parse::<u32>().unwrap());
        assert!(lost.contains(&at.to_owned()), "{at} is still proven; not proven are {lost:?}");
        let is_near = |lost: &String| (hour - 4..=hour + 1).contains(&lost[11..].parse::<u32>().unwrap());
        assert!(lost.iter().all(is_near), "{at}: {lost:?}");
    }

    /// A log of the account in the middle of the day, delivered by its own trail, and the hour of its delivery.
    fn log(&self) -> (PathBuf, String) {
        let own = |path: &&PathBuf| {
            let text = path.to_str().unwrap();
            text.contains(&format!("/AWSLogs/{}/CloudTrail/", self.account)) && hour_of(path).as_str() > "2026-01-05T11"
        };
        let log = self.signed.logs().iter().find(own).unwrap().clone();
        (log.clone(), hour_of(&log))
    }
}

/// The hour in a log's or a digest's name.
fn hour_of(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let stamp = name.split('_').find(|part| part.starts_with("2026")).unwrap();
    format!("{}-{}-{}T{}", &stamp[..4], &stamp[4..6], &stamp[6..8], &stamp[9..11])
}

/// One trail's logs alone: the organization's trail would vouch for the hour all the same.
fn without_other_trail(case: &Case) {
    fs::remove_dir_all(case.signed.path().join("org-trail")).unwrap();
}

#[test]
fn what_is_whole_is_proven_in_the_middle_and_not_at_its_edges() {
    let case = Case::new();
    let hours = case.hours();
    assert!(hours.values().all(|state| state == "observed"), "before it is verified, nothing is proven: {hours:?}");
    let report = case.verify(0);
    assert_eq!((&report["outcome"], &report["problems"]), (&"valid".into(), &Value::Array(vec![])));
    let hours = case.hours();
    assert_eq!(case.unproven(), [""; 0]);
    let last = case.signed.digests().pop().unwrap();
    let last = hour_of(&last);
    assert_ne!(hours.get(&last).map(String::as_str), Some("proven"), "nothing is known of two hours after {last}");
    let rows = case.dir.keytrail(["coverage", "--account", &case.account]).format("json").ok().json();
    let day = rows.as_array().unwrap().iter().find(|row| row["day"] == "2026-01-05").unwrap();
    assert_eq!((&day["proven"], &day["unknown"], &day["blind"]), (&24.into(), &0.into(), &0.into()), "{rows}");
}

#[test]
fn a_log_that_is_deleted_unproves_its_hour() {
    let case = Case::new();
    without_other_trail(&case);
    let (log, hour) = case.log();
    case.unproves(&hour, |_| fs::remove_file(&log).unwrap());
}

#[test]
fn a_log_that_is_changed_unproves_its_hour() {
    let case = Case::new();
    without_other_trail(&case);
    let (log, hour) = case.log();
    case.unproves(&hour, |_| fs::write(&log, gzip(b"{\"Records\":[]}")).unwrap());
}

#[test]
fn a_log_that_is_added_unproves_its_hour_for_every_trail() {
    let case = Case::new();
    let (log, hour) = case.log();
    let name = log.file_name().unwrap().to_str().unwrap().to_owned();
    let added = log.with_file_name(format!("{}AAAAAAAAAAAAAAAA.json.gz", &name[..name.len() - 24]));
    case.unproves(&hour, |_| {
        fs::copy(&log, &added).unwrap();
    });
    // Once it is gone, and was never read into the lake, nothing speaks against the hour.
    fs::remove_file(&added).unwrap();
    case.verify(0);
    assert_eq!(case.unproven(), [""; 0]);
    // One that was read is in the lake, whatever became of it since.
    fs::copy(&log, &added).unwrap();
    case.dir.ingest(&added);
    case.verify(1);
    fs::remove_file(&added).unwrap();
    case.verify(0);
    assert!(case.unproven().contains(&hour));
}

#[test]
fn a_log_that_is_moved_unproves_its_hour() {
    let case = Case::new();
    without_other_trail(&case);
    let (log, hour) = case.log();
    let folder = log.parent().unwrap().parent().unwrap().join("31");
    fs::create_dir_all(&folder).unwrap();
    case.unproves(&hour, |_| fs::rename(&log, folder.join(log.file_name().unwrap())).unwrap());
}

#[test]
fn a_digest_that_is_deleted_unproves_its_hour() {
    let case = Case::new();
    without_other_trail(&case);
    let digest = &case.signed.digests()[14];
    case.unproves(&hour_of(digest), |_| fs::remove_file(digest).unwrap());
}

#[test]
fn digests_that_are_swapped_or_rewritten_unprove_their_hours() {
    let case = Case::new();
    without_other_trail(&case);
    let digests = case.signed.digests();
    let (early, late, rewritten) = (&digests[4], &digests[13], &digests[20]);
    let (first, second) = (fs::read(early).unwrap(), fs::read(late).unwrap());
    fs::write(early, second).unwrap();
    fs::write(late, first).unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&fs::read(rewritten).unwrap()[..]).read_to_end(&mut text).unwrap();
    let mut json: Value = serde_json::from_slice(&text).unwrap();
    let signature = json["previousDigestSignature"].as_str().unwrap().chars().rev().collect::<String>();
    json["previousDigestSignature"] = signature.into();
    fs::write(rewritten, gzip(json.to_string().as_bytes())).unwrap();
    case.verify(1);
    let lost = case.unproven();
    for digest in [early, late, rewritten] {
        assert!(lost.contains(&hour_of(digest)), "{digest:?}: {lost:?}");
    }
    assert!((9..=18).contains(&lost.len()), "and those beside them, no more: {lost:?}");
}

/// The organization's trail delivers some events a second time, and its digests speak of these alone; but the two are of
/// one account and Region, and either would do.
#[test]
fn another_trail_vouches_for_an_hour_that_one_cannot() {
    let case = Case::new();
    let (log, hour) = case.log();
    fs::remove_file(&log).unwrap();
    case.verify(1);
    owned_by(&case, &case.account);
    assert_eq!(case.hours().get(&hour).map(String::as_str), Some("proven"));
    let reasons = case.dir.sql(&format!(
        "SELECT DISTINCT reason FROM coverage WHERE account_id = '{}' AND state = 'proven' ORDER BY reason",
        case.account
    ));
    assert_eq!(reasons.len(), 2, "{reasons:?}");
}

/// What was verified must be what was read: an object that is not in the ledger, or in another version, proves nothing.
#[test]
fn what_was_not_ingested_is_not_proven() {
    let (dir, signed) = (Dir::new(), Signed::new());
    let logs = signed.logs();
    dir.ingest(&logs[0]);
    let account = signed.digests()[0].file_name().unwrap().to_str().unwrap()[..12].to_owned();
    let case = Case { dir, signed, account };
    case.verify(0);
    // Later hours, in which nothing was delivered, are proven by digests that name nothing.
    assert_eq!(case.unproven().len(), 24);
    case.dir.ingest(case.signed.path());
    assert_eq!(case.unproven(), [""; 0]);
}

#[test]
fn every_day_of_a_window_has_a_row_for_every_lane() {
    let case = Case::new();
    let ask = ["coverage", "--since", "2026-02-01T06:00:00Z", "--until", "2026-02-02T03:30:00Z"];
    let rows = case.dir.keytrail(ask).format("ndjson").ok().ndjson();
    let seen: Vec<(&str, &Value)> = rows.iter().map(|row| (row["day"].as_str().unwrap(), &row["unknown"])).collect();
    let (eighteen, four) = (Value::from(18), Value::from(4));
    let expected = [("2026-02-01", &eighteen), ("2026-02-02", &four), ("2026-02-01", &eighteen), ("2026-02-02", &four)];
    assert_eq!(seen, expected);
}

/// What a trail records is changed by calls that are logged in its home Region: without the logs of that Region, nobody
/// would know.
#[test]
fn another_region_is_not_proven_without_the_home_region() {
    let (dir, folder) = (Dir::new(), tempfile::tempdir().unwrap());
    let plan = Plan { accounts: 1, regions: 2, events: 600, days: 1, digests: true, ..Plan::default() };
    write_folder(&plan, folder.path(), &mut |_| ()).unwrap();
    let keys = folder.path().join("public-keys.json");
    let proven = |more: &[&str]| {
        let folder = folder.path().to_str().unwrap();
        dir.keytrail([&["ingest", folder][..], more].concat()).ok();
        let keys = ["--public-keys", keys.to_str().unwrap()];
        dir.keytrail([&["verify", folder][..], &keys, more].concat()).ok();
        let count = "SELECT count(*) AS n FROM coverage WHERE state = 'proven' AND region = 'us-east-1'";
        dir.sql(count)[0]["n"].as_u64().unwrap()
    };
    assert_eq!(proven(&["--region", "us-east-1"]), 0);
    assert!(proven(&[]) >= 24);
}

/// Without a call that reads from KMS in a trail's logs, and without its selectors, it may well have left them out.
#[test]
fn a_trail_that_never_shows_a_read_of_kms_proves_nothing_of_keys() {
    let case = Case::of(Signed::of(&Plan { kms_share: 0.0, incidents: false, ..plan() }));
    case.verify(0);
    assert_eq!(case.unproven().len(), 24);
    let rows = case.dir.sql(&format!(
        "SELECT state, reason FROM coverage WHERE hour = '2026-01-05T10:00:00Z' AND account_id = '{}'",
        case.account
    ));
    assert_eq!(rows[0]["state"], "observed");
    assert!(rows[0]["reason"].as_str().unwrap().contains("nothing shows that it records reads of KMS"), "{rows:?}");
}

/// An inventory that finds the organization's trail in this account.
fn owned_by(case: &Case, account: &str) {
    let region = case.signed.files("_org-trail_")[0].to_str().unwrap().split("_org-trail_").nth(1).unwrap().to_owned();
    let region = region.split('_').next().unwrap();
    let trail = json!({
        "TrailARN": format!("arn:aws:cloudtrail:{region}:{account}:trail/org-trail"), "Name": "org-trail",
        "HomeRegion": region, "IsMultiRegionTrail": true, "IsOrganizationTrail": true, "IsLogging": true,
    });
    case.dir.object("trails.json", json!({ "Keys": [], "Trails": [trail] }).to_string());
    case.dir.keytrail(["inventory", "--from", "logs/trails.json"]).ok();
}

/// Changes of an organization's trail are logged in the account that owns it: any member's logs do not show them.
#[test]
fn an_organization_s_trail_is_vouched_for_by_the_home_of_its_owner_alone() {
    let case = Case::new();
    fs::remove_dir_all(case.signed.path().join("AWSLogs")).unwrap();
    case.verify(0);
    let reasons = || {
        case.dir.sql("SELECT state, reason FROM coverage WHERE reason LIKE '%account that owns%' OR state = 'proven'")
    };
    let says = |words: &str| {
        let rows = reasons();
        assert!(!rows.is_empty(), "{words}");
        let is_told = |row: &Value| row["state"] == "observed" && row["reason"].as_str().unwrap().contains(words);
        assert!(rows.iter().all(is_told), "{words}: {rows:?}");
    };
    says("the account that owns the organization's trail is not known");
    owned_by(&case, "999988887777");
    says("its home Region is not whole");
}

/// The same, once the owner is known: what it proves is proven for its members.
#[test]
fn an_organization_s_trail_whose_owner_is_whole_proves_hours() {
    let case = Case::new();
    fs::remove_dir_all(case.signed.path().join("AWSLogs")).unwrap();
    case.verify(0);
    owned_by(&case, &case.account);
    assert!(case.unproven().len() < 24);
}
