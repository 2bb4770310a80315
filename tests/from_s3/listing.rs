//! What is listed: only what a run asks for, and only what can have changed.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{LOGS, at, bucket, options, pass};
use crate::support::s3::Server;
use crate::support::{Dir, decrypt, gzip, with};

/// Days of delivery that were listed, and how often anything else was.
fn days(lists: &[String]) -> (BTreeSet<String>, usize) {
    let day =
        |prefix: &&String| prefix.trim_end_matches('/').rsplit('/').take(3).all(|part| part.parse::<u32>().is_ok());
    let days: Vec<&String> = lists.iter().filter(day).collect();
    (days.iter().map(|prefix| (*prefix).clone()).collect(), lists.len() - days.len())
}

#[test]
fn a_second_run_lists_only_the_days_that_can_change() {
    let logs = LOGS.get();
    let server = logs.server();
    let dir = Dir::new();
    pass(&dir, &options(&server, "2026-01-08T12:00:00Z"));
    let (lists, _) = server.asked.take();
    let (first, _) = days(&lists);
    let lanes: BTreeSet<String> =
        first.iter().map(|prefix| prefix[..prefix.len() - "2026/01/05/".len()].to_owned()).collect();
    assert!(lanes.len() >= 12, "two trails, three accounts, two Regions: {lanes:?}");

    // Listed on the 8th, a day is settled when it was over by the 1st: none is.
    let report = pass(&dir, &options(&server, "2026-01-13T12:00:00Z"));
    let (lists, gets) = server.asked.take();
    assert_eq!((report.objects.ingested, gets), (0, 0));
    assert!(days(&lists).0.is_superset(&first), "nothing is settled yet");

    // Listed on the 13th, everything before the 6th is settled.
    pass(&dir, &options(&server, "2026-01-13T18:00:00Z"));
    let (lists, gets) = server.asked.take();
    let from: NaiveDate = "2026-01-06".parse().unwrap();
    let expected: BTreeSet<String> = lanes
        .iter()
        .flat_map(|lane| from.iter_days().take(9).map(move |day| format!("{lane}{}/", day.format("%Y/%m/%d"))))
        .collect();
    let (listed, above) = days(&lists);
    assert_eq!((listed, gets), (expected, 0));
    assert!(above < 30, "the way to the Regions, of two kinds: {lists:?}");

    // A late object in a settled day is found by who asks for everything.
    let day = first.iter().find(|day| day.ends_with("/2026/01/05/") && day.starts_with("AWSLogs/")).unwrap();
    let name = format!("{day}{}_CloudTrail_x_20260105T0000Z_abcdefghij123456.json.gz", &day["AWSLogs/".len()..][..12]);
    let log = serde_json::json!({ "Records": [decrypt("5a8a6d0e-0000-4000-8000-000000000001")] }).to_string();
    server.bucket.put(&name, gzip(log.as_bytes()));
    assert_eq!(pass(&dir, &options(&server, "2026-01-13T19:00:00Z")).objects.ingested, 0);
    let mut full = options(&server, "2026-01-13T20:00:00Z");
    full.scope = keytrail::ingest::Scope::Everything;
    assert_eq!(pass(&dir, &full).objects.ingested, 1);
}

/// Twenty accounts, fifteen Regions, two years: an object a day.
fn organization(server: &Server) {
    let first: NaiveDate = "2024-11-23".parse().unwrap();
    for account in 0..20 {
        for region in 0..15 {
            for day in first.iter_days().take(730) {
                let (account, region) = (format!("{:012}", 100_000_000_000_u64 + account), format!("xx-test-{region}"));
                let folder =
                    format!("logs/AWSLogs/o-abcdefghij/{account}/CloudTrail/{region}/{}", day.format("%Y/%m/%d"));
                let name =
                    format!("{account}_CloudTrail_{region}_{}T1200Z_abcdefghij123456.json.gz", day.format("%Y%m%d"));
                let id = format!("{account}-{region}-{day}");
                let record =
                    with(with(decrypt(&id), "recipientAccountId", account), "eventTime", format!("{day}T12:00:00Z"));
                let log = serde_json::json!({ "Records": [record] }).to_string();
                server.bucket.put(&format!("{folder}/{name}"), log);
            }
        }
    }
}

#[test]
fn a_week_of_one_account_costs_listings_in_proportion() {
    let server = Server::start();
    organization(&server);
    let listings = |since: &str, until: &str, accounts: &[&str]| {
        let dir = Dir::new();
        let mut options = options(&server, "2026-11-22T00:00:00Z");
        options.prune.since = Some(at(since));
        options.prune.until = Some(at(until));
        options.prune.accounts = accounts.iter().map(|account| (*account).to_owned()).collect();
        let report = pass(&dir, &options);
        (server.asked.take().0.len(), report.objects.ingested)
    };
    let one = ["100000000007"];
    // A day more than asked for is listed, for what is delivered late; the rest is the way to the Regions.
    let (week, objects) = listings("2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z", &one);
    assert_eq!(objects, 15 * 8);
    assert!((15 * 8..=15 * 9 + 6).contains(&week), "{week} listings for a week of one account");
    let (fortnight, _) = listings("2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z", &one);
    assert_eq!(fortnight - week, 15 * 7);
    let (two, _) = listings("2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z", &[one[0], "100000000008"]);
    assert!(two <= 2 * week, "{two} listings for two accounts");
    // Without bounds the days are searched for: all of one Region's two years.
    let dir = Dir::new();
    let mut options = options(&server, "2026-11-22T00:00:00Z");
    options.prune.accounts = vec![one[0].to_owned()];
    options.prune.regions = vec!["xx-test-3".to_owned()];
    assert_eq!(pass(&dir, &options).objects.ingested, 730);
    let lists = server.asked.take().0.len();
    assert!((730..=730 + 3 + 25 + 7).contains(&lists), "{lists} listings for two years of a lane");
}

#[test]
fn a_source_may_begin_anywhere_in_the_layout() {
    let logs = LOGS.get();
    let server = logs.server();
    let key = server.bucket.keys().into_iter().find(|key| key.starts_with("AWSLogs/")).unwrap();
    let parts: Vec<&str> = key.split('/').collect();
    let read = |source: String| {
        let dir = Dir::new();
        let account = dir.keytrail(["ingest", &source]).env(server.environment()).format("json").ok().json();
        account["objects"]["ingested"].as_u64().unwrap()
    };
    let below = |depth: usize| {
        let prefix = parts[..depth].join("/");
        let inside = server.bucket.keys().iter().filter(|key| key.starts_with(&format!("{prefix}/"))).count();
        (prefix, inside as u64)
    };
    for depth in 1..parts.len() {
        let (prefix, expected) = below(depth);
        assert_eq!(read(format!("{}/{prefix}", bucket())), expected, "{prefix}");
    }
    assert_eq!(read(format!("{}/{key}", bucket())), 1);
}

#[test]
fn other_kinds_are_never_mixed_in() {
    let server = Server::start();
    let log = serde_json::json!({ "Records": [decrypt("5a8a6d0e-0000-4000-8000-000000000001")] }).to_string();
    for kind in
        ["CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"]
    {
        let name = format!("111122223333_{kind}_eu-west-1_20260105T0010Z_abcdefghij123456.json");
        server.bucket.put(&format!("AWSLogs/111122223333/{kind}/eu-west-1/2026/01/05/{name}"), log.clone());
    }
    server.bucket.put("AWSLogs/111122223333/Config/eu-west-1/2026/1/5/x.json", log.clone());
    let report = pass(&Dir::new(), &options(&server, "2026-02-01T00:00:00Z"));
    assert_eq!((report.objects.ingested, report.records.read), (2, 2));
    let (lists, _) = server.asked.take();
    let others = ["CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-Aggregated", "Config"];
    assert!(!lists.iter().any(|prefix| others.iter().any(|other| prefix.contains(other))), "{lists:?}");
}

/// Puts a log of one event into the bucket.
fn deliver(server: &Server, kind: &str, day: u32, at: &str) -> String {
    let record = with(decrypt(&format!("{kind}-{day}-{at}")), "eventTime", format!("2026-01-{at}:00Z"));
    let log = serde_json::json!({ "Records": [record] }).to_string();
    let name = format!("111122223333_{kind}_eu-west-1_202601{day:02}T0010Z_abcdefghij123456.json.gz");
    let key = format!("AWSLogs/111122223333/{kind}/eu-west-1/2026/01/{day:02}/{name}");
    server.bucket.put(&key, gzip(log.as_bytes()));
    key
}

/// Days that were settled before anybody looked for network activity hide none of it.
#[test]
fn a_settled_day_of_one_kind_does_not_hide_the_other() {
    let server = Server::start();
    let dir = Dir::new();
    deliver(&server, "CloudTrail", 5, "05T00:05");
    pass(&dir, &options(&server, "2026-02-01T00:00:00Z"));
    server.asked.take();
    deliver(&server, "CloudTrail-NetworkActivity", 5, "05T00:05");
    let report = pass(&dir, &options(&server, "2026-02-02T00:00:00Z"));
    assert_eq!(report.objects.ingested, 1);
    let (days, _) = days(&server.asked.take().0);
    let settled = |day: &&String| day.ends_with("/CloudTrail/eu-west-1/2026/01/05/");
    assert_eq!(days.iter().filter(settled).count(), 0, "{days:?}");
    let lanes = dir.sql("SELECT DISTINCT lane FROM listings ORDER BY lane");
    assert_eq!(lanes.len(), 2, "{lanes:?}");
}

/// An event of the evening before is delivered after midnight: a run that left it out must not settle its day.
#[test]
fn a_day_of_which_a_filter_left_something_out_is_listed_again() {
    let server = Server::start();
    let dir = Dir::new();
    deliver(&server, "CloudTrail", 6, "05T23:58");
    deliver(&server, "CloudTrail", 7, "07T00:05");
    let mut since = options(&server, "2026-02-01T00:00:00Z");
    since.prune.since = Some(at("2026-01-06T00:00:00Z"));
    // The second of these finds the object unchanged, and must not settle its day either.
    for read in [2, 0] {
        let report = pass(&dir, &since);
        assert_eq!((report.objects.ingested, report.is_whole()), (read, true), "{report:?}");
    }
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 1);
    server.asked.take();
    let report = pass(&dir, &options(&server, "2026-02-01T00:00:00Z"));
    assert_eq!((report.objects.ingested, report.records.kept), (1, 1));
    let (days, _) = days(&server.asked.take().0);
    assert_eq!(days.iter().filter(|day| day.ends_with("/07/")).count(), 0, "what was read in full stays settled");
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 2);
}

/// A listing may not begin behind a name that is not the trail's own.
#[test]
fn an_object_whose_name_comes_before_all_others_of_its_day_is_found() {
    let server = Server::start();
    let dir = Dir::new();
    let record = with(decrypt("old"), "eventTime", "2026-01-06T09:00:00Z");
    let log = serde_json::json!({ "Records": [record] }).to_string();
    let name = "111122223333_CloudTrail_eu-west-120260106T0905Z_abcdefghij123456.json.gz";
    server.bucket.put(&format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/06/{name}"), gzip(log.as_bytes()));
    let mut since = options(&server, "2026-02-01T00:00:00Z");
    since.prune.since = Some(at("2026-01-06T08:00:00Z"));
    assert_eq!(pass(&dir, &since).records.kept, 1);
}

#[test]
fn a_wrong_prefix_or_region_that_finds_nothing_is_no_success() {
    let server = Server::start();
    deliver(&server, "CloudTrail", 5, "05T00:05");
    let run = |source: &str, filters: &[&str], code: i32| {
        let dir = Dir::new();
        let arguments = ["ingest", source].into_iter().chain(filters.iter().copied());
        dir.keytrail(arguments).env(server.environment()).code(code).stderr()
    };
    let lane = "AWSLogs/111122223333/CloudTrail/eu-west-1";
    for (source, filters) in [
        (format!("{}/AWSLogs/111122223333/CloudTrail/eu-west-9", bucket()), &[] as &[&str]),
        (format!("{}/AWSLogs/444455556666", bucket()), &[]),
        (format!("{}/wrong/prefix", bucket()), &[]),
        (format!("{}/{lane}/2026/01/09", bucket()), &[]),
        (bucket(), &["--account", "444455556666"]),
        (bucket(), &["--region", "eu-west-9"]),
    ] {
        let said = run(&source, filters, 3);
        assert!(said.contains("warning: no log object") && said.contains("hint: give the bucket"), "{source}: {said}");
    }
    // The account and Region are there, and had no deliveries then.
    for source in [bucket(), format!("{}/{lane}", bucket())] {
        let said = run(&source, &["--since", "2026-01-20", "--until", "2026-01-22"], 0);
        assert!(said.contains("note: nothing was delivered in that time"), "{said}");
    }
}

/// Firehose gives its objects no ending, and puts them below no account.
#[test]
fn an_object_without_an_ending_is_read_when_it_is_named_and_told_of_when_it_is_not() {
    let server = Server::start();
    let dir = Dir::new();
    server.bucket.put("firehose/kms-logs-1-2026-05-02-09-00-00-0000", decrypt("one").to_string());
    let run = |source: String, code: i32| dir.keytrail(["ingest", &source]).env(server.environment()).code(code);
    let said = run(format!("{}/firehose", bucket()), 3).stderr();
    assert!(
        said.contains("1 object was passed over, outside a trail's folders") && said.contains("kms-logs-1"),
        "{said}"
    );
    run(format!("{}/firehose/kms-logs-1-2026-05-02-09-00-00-0000", bucket()), 0);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 1);
    let event = dir.keytrail(["event", "one"]).env(server.environment()).ok();
    assert!(event.stdout().contains("\"eventID\""), "{}", event.stdout());
}

#[test]
fn what_is_not_asked_for_does_not_settle() {
    let logs = LOGS.get();
    let server = logs.server();
    let dir = Dir::new();
    let key = server.bucket.keys().into_iter().find(|key| key.starts_with("AWSLogs/")).unwrap();
    let lane = key.split('/').take(4).collect::<Vec<_>>().join("/");
    let run = |arguments: &[&str], code: i32| {
        dir.keytrail(["ingest"].iter().chain(arguments)).env(server.environment()).format("json").code(code).json()
    };
    // An address below the level at which Regions are chosen, and a Region that it is not of.
    assert_eq!(run(&[&format!("{}/{lane}", bucket()), "--region", "nowhere-1"], 3)["objects"]["ingested"], 0);
    run(&[&bucket()], 0);
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], logs.truth.kept);
}

#[test]
fn an_object_that_was_cut_at_the_bound_is_listed_again() {
    let server = Server::start();
    let dir = Dir::new();
    let log = serde_json::json!({ "Records": [decrypt("one"), decrypt("two")] }).to_string();
    let name = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/111122223333_CloudTrail_eu-west-1_20260105T0010Z_a.json.gz";
    server.bucket.put(name, gzip(log.as_bytes()));
    let mut small = options(&server, "2026-03-01T00:00:00Z");
    small.object_bytes_max = log.len() as u64 - 100;
    assert_eq!(pass(&dir, &small).objects.partial, 1);
    let whole = pass(&dir, &options(&server, "2026-03-02T00:00:00Z"));
    assert!(whole.is_whole() && whole.objects.ingested == 1, "{whole:?}");
    assert_eq!(dir.sql("SELECT count(*) AS n FROM events")[0]["n"], 2);
}

#[test]
fn empty_objects_where_a_folder_begins_are_no_logs() {
    let server = Server::start();
    let dir = Dir::new();
    let lane = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/";
    let log = serde_json::json!({ "Records": [decrypt("one")] }).to_string();
    server
        .bucket
        .put(&format!("{lane}111122223333_CloudTrail_eu-west-1_20260105T0010Z_a.json.gz"), gzip(log.as_bytes()));
    for folder in ["AWSLogs/", "AWSLogs/111122223333/CloudTrail/", "AWSLogs/111122223333/CloudTrail/eu-west-1/", lane] {
        server.bucket.put(folder, "");
    }
    let report = pass(&dir, &options(&server, "2026-03-01T00:00:00Z"));
    assert!(report.is_whole() && report.objects.ingested == 1, "{report:?}");
}
