//! `policy_allows(json, action)`: whom a key policy lets do something, as far as the policy alone tells. And
//! `open_to_anyone(json)`: what it lets anyone do, in words.
//!
//! An `Allow` that a condition narrows to certain callers (`conditions.rs`) names nobody here: its `"AWS": "*"` is how AWS
//! itself writes the policies of its managed keys. Conditions on anything else (the encryption context, the time, MFA, the
//! service that calls for someone) leave anyone in. `Deny` statements are not subtracted: what they leave is not decidable
//! from one policy, and a key that anyone may use but for a list is still a key that anyone may use.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::Value;

use super::conditions::{is_narrowed, one_or_more};
use super::texts;
use crate::expectations::matches;

/// The principals, sorted: `*`, ARNs, `service:<host>`; an account is its root's ARN. Null where the text is no policy.
pub(super) fn policy_allows() -> ScalarUDF {
    let takes = vec![DataType::Utf8, DataType::Utf8];
    create_udf("policy_allows", takes, texts(), Volatility::Immutable, Arc::new(allowed))
}

fn allowed(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (policy, action) in arrays[0].as_string::<i32>().iter().zip(arrays[1].as_string::<i32>()) {
        let policy = policy.and_then(|policy| serde_json::from_str(policy).ok());
        match policy.zip(action).and_then(|(policy, action)| principals(&policy, action)) {
            Some(principals) => lists.append_value(principals.into_iter().map(Some)),
            None => lists.append_null(),
        }
    }
    Ok(ColumnarValue::Array(Arc::new(lists.finish())))
}

/// The operations of KMS that a key policy may allow, the gravest first.
const OPERATIONS: [&str; 45] = [
    "Decrypt",
    "PutKeyPolicy",
    "CreateGrant",
    "ReEncryptFrom",
    "ScheduleKeyDeletion",
    "DisableKey",
    "DeleteImportedKeyMaterial",
    "RevokeGrant",
    "RetireGrant",
    "ReplicateKey",
    "UpdatePrimaryRegion",
    "UpdateAlias",
    "CreateAlias",
    "DeleteAlias",
    "ImportKeyMaterial",
    "GetParametersForImport",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "DeriveSharedSecret",
    "Sign",
    "GenerateMac",
    "Encrypt",
    "ReEncryptTo",
    "Verify",
    "VerifyMac",
    "CancelKeyDeletion",
    "EnableKey",
    "EnableKeyRotation",
    "DisableKeyRotation",
    "RotateKeyOnDemand",
    "SynchronizeMultiRegionKey",
    "UpdateKeyDescription",
    "TagResource",
    "UntagResource",
    "DescribeKey",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "GetKeyLastUsage",
    "GetPublicKey",
    "ListGrants",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListResourceTags",
];

/// How many operations are named one by one.
const NAMED: usize = 5;

/// Empty where the policy is open to nobody; null where the text is no policy.
pub(super) fn open_to_anyone() -> ScalarUDF {
    create_udf("open_to_anyone", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(opened))
}

fn opened(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let told: StringArray = arrays[0].as_string::<i32>().iter().map(|policy| open(policy?)).collect();
    Ok(ColumnarValue::Array(Arc::new(told)))
}

fn open(policy: &str) -> Option<String> {
    let policy = serde_json::from_str(policy).ok()?;
    let is_open = |operation: &str| Some(principals(&policy, &format!("kms:{operation}"))?.contains("*"));
    // An operation of which nobody knows yet.
    let is_rest_open = is_open("AnyOtherOperation")?;
    let open: Vec<&str> = OPERATIONS.into_iter().filter(|operation| is_open(operation) == Some(true)).collect();
    if is_rest_open && open.len() == OPERATIONS.len() {
        return Some("do anything (kms:*)".to_owned());
    }
    let mut told = open.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if open.len() > NAMED {
        let more = (open.len() - NAMED).to_string();
        told = [&told, " and ", &more, " more operations"].concat();
    }
    if is_rest_open {
        told += if told.is_empty() { "" } else { ", and " };
        told += "whatever else the policy does not leave out";
    }
    Some(told)
}

fn principals(policy: &Value, action: &str) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for statement in one_or_more(policy.get("Statement")?) {
        // KMS takes a statement without a resource, and it has no effect.
        let has_resource = ["Resource", "NotResource"].iter().any(|name| !strings(&statement[*name]).is_empty());
        let is_allowed = statement["Effect"] == "Allow" && has_resource && is_about(statement, action);
        if is_allowed && !is_narrowed(&statement["Condition"]) {
            found.extend(named(statement));
        }
    }
    Some(found)
}

fn strings(value: &Value) -> Vec<&str> {
    one_or_more(value).into_iter().filter_map(Value::as_str).collect()
}

fn is_about(statement: &Value, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let among = |patterns: &Value| strings(patterns).iter().any(|each| matches(&each.to_ascii_lowercase(), &action));
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(actions), _) => among(actions),
        (None, Some(others)) => !among(others),
        (None, None) => false,
    }
}

fn named(statement: &Value) -> Vec<String> {
    // Everyone but some is everyone whom nobody listed.
    if statement.get("NotPrincipal").is_some() {
        return vec!["*".to_owned()];
    }
    let account = |text: &str| match text {
        // No ARN of a principal may have a pattern in it; whatever takes one all the same takes anyone's account.
        arn if arn.split(':').nth(4).is_some_and(|account| account.contains(['*', '?'])) => "*".to_owned(),
        id if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) => format!("arn:aws:iam::{id}:root"),
        other => other.to_owned(),
    };
    match &statement["Principal"] {
        Value::Object(kinds) => {
            let of = |kind: &str| kinds.get(kind).map(strings).unwrap_or_default();
            let services = of("Service").into_iter().map(|host| format!("service:{host}"));
            let others = ["AWS", "Federated", "CanonicalUser"].into_iter().flat_map(of).map(account);
            others.chain(services).collect()
        }
        other => strings(other).into_iter().map(account).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(statement: &Value) -> Vec<String> {
        let policy = json!({"Version": "2012-10-17", "Statement": statement});
        principals(&policy, "kms:Decrypt").unwrap().into_iter().collect()
    }

    #[test]
    fn whoever_an_allow_names_is_allowed() {
        let root = json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"});
        assert_eq!(of(&root), ["arn:aws:iam::111122223333:root"]);
        let anyone =
            json!([{"Effect": "Allow", "Principal": "*", "Action": ["kms:Encrypt", "KMS:Dec*"], "Resource": "*"}]);
        assert_eq!(of(&anyone), ["*"]);
        let service = json!({"Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"}, "Action": "kms:Decrypt", "Resource": "*"});
        assert_eq!(of(&service), ["service:logs.amazonaws.com"]);
        let others = json!({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}, "NotAction": "kms:Encrypt", "Resource": "*"});
        assert_eq!(of(&others), ["*"]);
        let list =
            json!({"Effect": "Allow", "Principal": {"AWS": ["111122223333", "*"]}, "Action": "kms:*", "Resource": "*"});
        assert_eq!(of(&list), ["*", "arn:aws:iam::111122223333:root"]);
        let pattern =
            json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::*:root"}, "Action": "kms:*", "Resource": "*"});
        assert_eq!(of(&pattern), ["*"]);
    }

    #[test]
    fn what_is_denied_or_of_another_action_allows_nobody() {
        for statement in [
            json!({"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}),
            json!({"Effect": "Allow", "Principal": "*", "NotAction": "kms:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Principal": "*", "Resource": "*"}),
            json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*"}),
        ] {
            assert_eq!(of(&statement), [""; 0], "{statement}");
        }
        assert_eq!(open("no policy"), None);
    }

    #[test]
    fn only_a_condition_on_the_caller_narrows() {
        let under = |condition: Value| {
            let mut statement =
                json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"});
            statement["Condition"] = condition;
            of(&statement)
        };
        let managed = json!({"StringEquals": {"kms:CallerAccount": "111122223333", "kms:ViaService": "ssm.eu-west-1.amazonaws.com"}});
        assert_eq!(under(managed), [""; 0], "as AWS writes it for its managed keys");
        assert_eq!(under(json!({"StringEquals": {"aws:PrincipalOrgID": ["o-abc"]}})), [""; 0]);
        for narrow in [
            json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
            json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}}),
            json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-abc/*"}}),
        ] {
            assert_eq!(under(narrow.clone()), [""; 0], "{narrow}");
        }
        for anyone in [
            json!({"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}),
            json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
            json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}),
            json!({"StringLike": {"aws:PrincipalArn": "*"}}),
            json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:*"}}),
            json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
            json!({"StringEquals": {"aws:PrincipalTag/team": "pay"}}),
            json!({"StringEquals": {"aws:username": "admin"}}),
            json!({"IpAddress": {"aws:SourceIp": "::/0"}}),
            json!({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}),
            json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}}),
            json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-abc"}}),
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abc"}}),
            json!({"Null": {"aws:PrincipalOrgID": "false"}}),
        ] {
            assert_eq!(under(anyone.clone()), ["*"], "{anyone}");
        }
    }
}
