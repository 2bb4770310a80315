//! Disagreements that are known and not settled: each has a name, and says which records it is about and in which
//! columns. Where the reference is right by the facts page and the fast decoder is still to follow.
//!
//! An entry here is a debt. Take it out with the fix that settles it.

use serde_json::Value;

use crate::reference;

/// A disagreement.
pub struct Unsettled {
    pub name: &'static str,
    /// The columns that it may show in; none where it is about the verdict itself.
    columns: &'static [&'static str],
    concerns: fn(&Value) -> bool,
}

/// Columns that follow from who called.
const CALLER: &[&str] = &[
    "principal",
    "principal_type",
    "principal_id",
    "principal_inferred",
    "session_name",
    "session_arn",
    "via",
    "asset_trust",
];

pub const UNSETTLED: &[Unsettled] = &[
    Unsettled {
        name: "a user's ARN that is not IAM's makes an IAMUser (facts §2.2)",
        columns: CALLER,
        concerns: |record| arn(record).contains(":identitystore:"),
    },
    Unsettled {
        name: "a service that calls itself AWS Internal is taken for KMS itself (facts §2.2: only without a type)",
        columns: &["principal"],
        concerns: |record| {
            record["userIdentity"]["invokedBy"] == "AWS Internal" && record["userIdentity"]["type"] == "AWSService"
        },
    },
    Unsettled {
        name: "an ARN without a service makes an asset of type \"\", through .amazonaws.com",
        columns: &["asset_type", "via"],
        concerns: |record| {
            let contexts = ["encryptionContext", "sourceEncryptionContext"];
            let values = contexts.iter().filter_map(|name| record["requestParameters"][name].as_object());
            values.flat_map(|pairs| pairs.values()).any(|value| {
                value.as_str().is_some_and(|arn| arn.starts_with("arn:") && arn.split(':').nth(2).unwrap_or("") == "")
            })
        },
    },
    Unsettled {
        name: "network activity and insights are kept (facts §1.1: never count them as use)",
        columns: &[],
        concerns: |record| ["NetworkActivity", "Insight"].iter().any(|category| record["eventCategory"] == **category),
    },
    Unsettled {
        name: "a record whose eventSource is empty is other, and one without it is rejected",
        columns: &[],
        concerns: |record| record["eventSource"] == "",
    },
];

fn arn(record: &Value) -> &str {
    record["userIdentity"]["arn"].as_str().unwrap_or_default()
}

/// Whether a column of this record is left out of the comparison; without a column, its verdict.
pub fn is_left_out(record: &str, column: Option<&str>) -> bool {
    let Some(record) = reference::value_of(record) else { return false };
    UNSETTLED.iter().any(|entry| {
        let shows = column.map_or(entry.columns.is_empty(), |column| entry.columns.contains(&column));
        shows && (entry.concerns)(&record)
    })
}
