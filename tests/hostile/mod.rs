//! Input that is damaged, or chosen by someone who means harm: every healthy record around it is in the lake, and what is
//! wrong is named, counted and kept aside.

mod damage;
mod secrets;
mod shown;

use serde_json::{Value, json};

use crate::support::{Dir, decrypt, with};

/// One damaged object.
struct Harm {
    object: &'static str,
    bytes: Vec<u8>,
    /// What its account must say: `partial` or `rejected`, and why.
    state: &'static str,
    reason: &'static str,
    /// Ids of its healthy records.
    kept: Vec<String>,
    rejects: Vec<Reject>,
}

/// A row of `rejects`; without an index it is about the object and counts as no record.
#[derive(Debug, PartialEq)]
struct Reject {
    index: Option<u64>,
    reason: String,
    raw: Option<Vec<u8>>,
}

impl Reject {
    fn record(index: u64, reason: &str, raw: impl AsRef<[u8]>) -> Self {
        Reject { index: Some(index), reason: reason.to_owned(), raw: Some(raw.as_ref().to_owned()) }
    }

    fn object(reason: &str, raw: impl AsRef<[u8]>) -> Self {
        Reject { index: None, reason: reason.to_owned(), raw: Some(raw.as_ref().to_owned()) }
    }
}

/// Records in the healthy objects before and behind, one of them of no interest.
const HEALTHY: [&str; 3] = ["before", "behind-1", "behind-2"];

impl Harm {
    /// The object between two healthy ones: exactly it is complained of, and everything else is there.
    fn check(self) {
        let dir = Dir::new();
        dir.object(self.object, &self.bytes);
        self.check_in(&dir, &[]);
    }

    /// Likewise, with the object in its place already.
    fn check_in(self, dir: &Dir, arguments: &[&str]) {
        let other = with(decrypt("other"), "eventSource", "ec2.amazonaws.com");
        dir.log("a.json.gz", &[decrypt("before"), other]);
        dir.log("z.json", &[decrypt("behind-1"), decrypt("behind-2")]);
        let ingest = || dir.keytrail(["ingest", "logs"].iter().chain(arguments)).format("json");
        let account = ingest().code(3).json();
        let uri = format!("file://{}/logs/{}", dir.path().display(), self.object);
        self.check_account(&account, &uri);
        let lake = content(dir);
        self.check_lake(&lake, &uri);

        // What could not be read at all is tried again, and found the same; the rest is settled.
        // What a bound cut short is tried again too, because another run may allow more; all of it is there already.
        let cut = self.reason.contains("--max-object-bytes");
        let retried = self.reason.starts_with("unreadable") || cut;
        let again = ingest().code(3).json();
        assert_eq!(again["objects"]["unchanged"], if retried { 2 } else { 3 }, "{again}");
        assert_eq!(again["objects"]["unchanged_damaged"], u64::from(!retried), "{again}");
        assert_eq!(again["records"]["read"], again["records"]["duplicate"], "{again}");
        assert_eq!(again["records"]["read"] == 0, !cut, "{again}");
        assert_eq!(content(dir), lake);
    }

    fn check_account(&self, account: &Value, uri: &str) {
        let (kept, rejected) = (self.kept.len(), self.rejects.iter().filter(|reject| reject.index.is_some()).count());
        let partial = usize::from(self.state == "partial");
        let objects = json!({
            "listed": 3, "ingested": 2, "unchanged": 0, "unchanged_damaged": 0, "skipped": 0, "partial": partial, "rejected": 1 - partial,
        });
        assert_eq!(account["objects"], objects, "{account}");
        let records = json!({
            "read": 4 + kept + rejected, "kept": 3 + kept, "other": 1, "duplicate": 0, "rejected": rejected,
        });
        assert_eq!(account["records"], records, "{account}");
        assert_eq!(account["rejects"], json!([{"object": uri, "reason": self.reason}]));
    }

    fn check_lake(&self, lake: &Content, uri: &str) {
        let mut ids: Vec<&str> = HEALTHY.into_iter().chain(self.kept.iter().map(String::as_str)).collect();
        ids.sort_unstable();
        assert_eq!(lake.ids, ids);
        assert_eq!(lake.rejects.len(), self.rejects.len(), "{:?}", lake.rejects);
        for ((object, reject), expected) in lake.rejects.iter().zip(&self.rejects) {
            assert_eq!((object.as_str(), reject), (uri, expected));
        }
    }
}

/// What of a lake these tests look at.
#[derive(Debug, PartialEq)]
struct Content {
    ids: Vec<String>,
    rejects: Vec<(String, Reject)>,
}

fn content(dir: &Dir) -> Content {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut ids: Vec<String> =
        dir.sql("SELECT event_id FROM events").iter().filter_map(|row| text(&row["event_id"])).collect();
    ids.sort_unstable();
    let reject = |row: &Value| {
        let raw = text(&row["raw"]).map(|hex| from_hex(&hex));
        let reject = Reject { index: row["record_index"].as_u64(), reason: text(&row["reason"]).unwrap(), raw };
        (text(&row["object"]).unwrap(), reject)
    };
    let statement = "SELECT object, record_index, reason, encode(raw, 'hex') AS raw FROM rejects";
    let mut rejects: Vec<(String, Reject)> = dir.sql(statement).iter().map(reject).collect();
    rejects.sort_by(|(one, a), (other, b)| (one, a.index.is_none(), a.index).cmp(&(other, b.index.is_none(), b.index)));
    Content { ids, rejects }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap().try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
