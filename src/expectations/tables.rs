//! Expectations as tables that SQL can join. They are there, without rows, when there is no file.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;

use super::Expectations;

/// The tables, by name.
///
/// - `expected_accounts(account_id)`: the organization's accounts
/// - `trusted_parties(name, account_id, principals, keys)`: a row per party and account; a null list is all
/// - `expectations(rule, line, keys, owner, purpose, decryptors, services, assets, rotation_days)`: a row per `[[key]]`
/// - `acceptances(detector, key, principal, reason, until, line)`: a row per `[[accept]]`
///
/// # Errors
/// Never, as long as the columns of a table are made of the same rows.
pub fn tables(expectations: &Expectations) -> Result<Vec<(&'static str, RecordBatch)>, ArrowError> {
    let trusted: Vec<_> = expectations
        .trusted
        .iter()
        .flat_map(|party| party.accounts.iter().map(move |account| (party, account)))
        .collect();
    let (keys, accepted) = (&expectations.keys, &expectations.accepted);
    Ok(vec![
        (
            "expected_accounts",
            batch([("account_id", texts(expectations.accounts.iter().map(|id| Some(id.as_str()))))])?,
        ),
        (
            "trusted_parties",
            batch([
                ("name", texts(trusted.iter().map(|(party, _)| Some(party.name.as_str())))),
                ("account_id", texts(trusted.iter().map(|(_, account)| Some(account.as_str())))),
                ("principals", lists(trusted.iter().map(|(party, _)| party.principals.as_deref()))),
                ("keys", lists(trusted.iter().map(|(party, _)| party.keys.as_deref()))),
            ])?,
        ),
        (
            "expectations",
            batch([
                ("rule", numbers((1..).take(keys.len()).map(Some))),
                ("line", numbers(keys.iter().map(|rule| i64::try_from(rule.line).ok()))),
                ("keys", lists(keys.iter().map(|rule| Some(rule.keys.as_slice())))),
                ("owner", texts(keys.iter().map(|rule| rule.owner.as_deref()))),
                ("purpose", texts(keys.iter().map(|rule| rule.purpose.as_deref()))),
                ("decryptors", lists(keys.iter().map(|rule| rule.decryptors.as_deref()))),
                ("services", lists(keys.iter().map(|rule| rule.services.as_deref()))),
                ("assets", lists(keys.iter().map(|rule| rule.assets.as_deref()))),
                ("rotation_days", numbers(keys.iter().map(|rule| rule.rotation_days))),
            ])?,
        ),
        (
            "acceptances",
            batch([
                ("detector", texts(accepted.iter().map(|entry| Some(entry.detector.as_str())))),
                ("key", texts(accepted.iter().map(|entry| entry.key.as_deref()))),
                ("principal", texts(accepted.iter().map(|entry| entry.principal.as_deref()))),
                ("reason", texts(accepted.iter().map(|entry| Some(entry.reason.as_str())))),
                ("until", instants(accepted.iter().map(|entry| entry.until.timestamp_micros()))),
                ("line", numbers(accepted.iter().map(|entry| i64::try_from(entry.line).ok()))),
            ])?,
        ),
    ])
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
}

fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<StringArray>())
}

fn numbers(numbers: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(numbers.collect::<Int64Array>())
}

fn instants(instants: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(instants.map(Some).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn lists<'a>(lists: impl Iterator<Item = Option<&'a [String]>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in lists {
        match list {
            Some(list) => builder.append_value(list.iter().map(Some)),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}
