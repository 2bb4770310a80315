//! Answers over real records: exact, in every format.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{samples, trail};
use crate::golden::corpus;
use crate::golden::samples::{FILE, OTHER, RECORDS};
use crate::support::Dir;

/// The key of most samples, and the other one of `ReEncrypt`.
const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER_KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";

/// The keys of the trail: of its parameters, and of its secrets.
const PARAMETERS_KEY: &str = "0e5d0ab6-097e-49d8-99ef-747ce3e5f8f4";
const SECRETS_KEY: &str = "dad21b23-9915-42bd-981b-2a9f3c8f20c8";

fn who(dir: &Dir, arguments: &[&str]) -> Vec<Value> {
    dir.keytrail(["who"].iter().chain(arguments)).format("ndjson").ok().ndjson()
}

#[test]
fn who_used_the_sample_key_in_every_format() {
    let lake = samples();
    let Some(dir) = &*lake else { return };
    for format in ["table", "json", "ndjson", "csv", "markdown"] {
        let ran = dir.keytrail(["who", KEY]).format(format).ok();
        assert_snapshot!(format!("who_{format}"), ran.seen());
    }
    assert_snapshot!("who_by_asset", dir.keytrail(["who", KEY, "--by", "asset"]).format("csv").ok().seen());
}

/// By its ARN, its id, an alias and the alias's ARN it is the same key, with the answer of the key itself.
#[test]
fn a_key_has_many_names() {
    let lake = samples();
    let Some(dir) = &*lake else { return };
    let by_arn = who(dir, &[KEY]);
    for name in ["alias/my_alias", "my_alias", "arn:aws:kms:us-west-2:111122223333:alias/my_alias"] {
        assert_eq!(who(dir, &[name]), by_arn, "{name}");
    }
    // The id is another key's too, in another Region.
    let by_id = who(dir, &["1234abcd-12ab-34cd-56ef-1234567890ab"]);
    let of_key: Vec<Value> = by_id.iter().filter(|row| row["key_arn"] == KEY).cloned().collect();
    assert_eq!((of_key, by_id.len()), (by_arn.clone(), by_arn.len() + 1));
    // So much of an id as no other key's begins with.
    assert_eq!(who(dir, &["1234ABCD-12"]), by_id);
}

/// Scrubbed ids repeat among the samples; only records that agree in all that makes an event one are taken for one.
#[test]
fn every_sample_is_kept_or_explained() {
    let Some(file) = corpus::find(FILE) else { return };
    let dir = Dir::new();
    let account = dir.ingest(&file);
    let records = &account["records"];
    assert_eq!(
        (&records["read"], &records["other"], &records["rejected"]),
        (&json!(RECORDS), &json!(OTHER.len()), &json!(0))
    );
    let identity = |text: &str| -> Vec<String> {
        let record: Value = serde_json::from_str(text).unwrap();
        let members = ["recipientAccountId", "awsRegion", "eventID", "eventName", "errorCode", "eventTime"];
        members.iter().map(|name| record[name].to_string()).collect()
    };
    let mut identities: Vec<Vec<String>> = (corpus::records(&file).iter().enumerate())
        .filter(|(at, _)| !OTHER.contains(at))
        .map(|(_, r)| identity(r))
        .collect();
    identities.sort();
    identities.dedup();
    assert_eq!(records["kept"], identities.len());
    assert_eq!(records["duplicate"], RECORDS - OTHER.len() - identities.len());
    assert!(identities.len() >= 65);
}

#[test]
fn re_encrypt_is_a_use_of_both_keys() {
    let lake = samples();
    let Some(dir) = &*lake else { return };
    for (key, uses) in [(KEY, 1), (OTHER_KEY, 1)] {
        let calls: Vec<Value> = who(dir, &[key]).into_iter().filter(|row| row["operation"] == "ReEncrypt").collect();
        assert_eq!(calls.len(), uses, "{key}");
        assert_eq!((&calls[0]["calls"], &calls[0]["key_arn"]), (&json!(1), &json!(key)));
    }
    let rows = dir.sql("SELECT key_arn, dest_key_arn FROM events WHERE event_name = 'ReEncrypt'");
    assert_eq!(rows, [json!({"key_arn": KEY, "dest_key_arn": OTHER_KEY})]);
}

/// Events that are no use: what they are about is in their columns all the same.
#[test]
fn aliases_grants_and_the_life_of_keys_are_in_the_timeline() {
    let lake = samples();
    let Some(dir) = &*lake else { return };
    let rows = dir.sql(
        "SELECT event_name, usage_class, key_id, key_alias, principal, via, grant_id IS NOT NULL AS granted, key_material_id
         FROM events WHERE event_name IN ('CreateAlias', 'UpdateAlias', 'DeleteAlias', 'CreateGrant', 'RetireGrant',
           'RevokeGrant', 'DeleteKey', 'RotateKey', 'SynchronizeMultiRegionKey', 'UpdatePrimaryRegion')
         ORDER BY event_name, event_time, via",
    );
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_real_trail_is_read_to_the_last_record() {
    let Some(folder) = corpus::find("invictus") else { return };
    let dir = Dir::new();
    let account = dir.ingest(folder);
    assert_eq!(account["records"], json!({"read": 2900, "kept": 331, "other": 2569, "duplicate": 0, "rejected": 0}));
    assert_eq!((&account["objects"]["ingested"], &account["rejects"]), (&json!(55), &json!([])));
}

/// The rows, reduced to who did what how often.
fn calls(rows: &[Value]) -> Vec<(&str, &str, &str, u64, u64)> {
    let call = |row: &'_ Value| (row["calls"].as_u64().unwrap(), row["failures"].as_u64().unwrap());
    let texts = rows.iter().map(|row| ["principal", "operation", "via"].map(|name| row[name].as_str().unwrap()));
    texts
        .zip(rows)
        .map(|([principal, operation, via], row)| (principal, operation, via, call(row).0, call(row).1))
        .collect()
}

#[test]
fn who_used_the_keys_of_the_trail() {
    let lake = trail();
    let Some(dir) = &*lake else { return };
    let user = "arn:aws:iam::123837392027:user/bert-jan";
    let (ssm, secrets) = ("ssm.amazonaws.com", "secretsmanager.amazonaws.com");
    let rows = dir.keytrail(["who", PARAMETERS_KEY]).format("json").ok().json();
    let expected = [(user, "Decrypt", ssm, 122, 0), (user, "Encrypt", ssm, 42, 0)];
    assert_eq!(calls(rows.as_array().unwrap()), expected);
    let rows = who(dir, &[SECRETS_KEY]);
    assert_eq!(calls(&rows), [(user, "Decrypt", secrets, 56, 0), (user, "GenerateDataKey", secrets, 20, 0)]);
}

#[test]
fn by_asset_the_parameters_and_secrets_have_names() {
    let lake = trail();
    let Some(dir) = &*lake else { return };
    for (key, kind, prefix, calls) in [
        (PARAMETERS_KEY, "ssm-parameter", "arn:aws:ssm:us-east-1:123837392027:parameter/", 164),
        (SECRETS_KEY, "secret", "arn:aws:secretsmanager:us-east-1:123837392027:secret:", 76),
    ] {
        let rows = who(dir, &[key, "--by", "asset"]);
        let named = |row: &Value| row["asset"].as_str().is_some_and(|asset| asset.starts_with(prefix));
        assert!(rows.len() > 20 && rows.iter().all(named), "{rows:?}");
        assert!(rows.iter().all(|row| row["asset_type"] == kind && row["asset_trust"] == "service"));
        assert_eq!(rows.iter().map(|row| row["calls"].as_u64().unwrap()).sum::<u64>(), calls);
    }
}

/// The first calls of the trail's user, as a terminal's neighbour sees them: every column, in order of time.
#[test]
fn a_timeline_is_in_order_and_narrowed_by_what_is_asked() {
    let lake = trail();
    let Some(dir) = &*lake else { return };
    let timeline = |arguments: &[&str]| -> Vec<Value> {
        dir.keytrail(["timeline"].iter().chain(arguments)).format("ndjson").ok().ndjson()
    };
    let all = timeline(&["--key", SECRETS_KEY]);
    assert_eq!(all.len(), 76);
    assert!(all.windows(2).all(|pair| pair[0]["event_time"].as_str() <= pair[1]["event_time"].as_str()));
    let first = timeline(&["--key", SECRETS_KEY, "--limit", "5"]);
    assert_eq!(first, all[..5]);
    let asset = all[0]["asset"].as_str().unwrap();
    let of_asset: Vec<&Value> = all.iter().filter(|row| row["asset"] == asset).collect();
    assert_eq!(timeline(&["--key", SECRETS_KEY, "--asset", asset]).iter().collect::<Vec<_>>(), of_asset);
    let since = all[40]["event_time"].as_str().unwrap();
    let after = all.iter().filter(|row| row["event_time"].as_str() >= Some(since)).count();
    assert_eq!(timeline(&["--key", SECRETS_KEY, "--since", since]).len(), after);
    assert_eq!(timeline(&["--key", SECRETS_KEY, "--until", since]).len(), 76 - after);
}
