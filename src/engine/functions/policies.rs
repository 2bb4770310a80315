//! `policy_allows(json, action)`: whom a key policy lets do something, as far as the policy alone tells.
//!
//! An `Allow` that a condition narrows to certain callers names nobody here: its `"AWS": "*"` is how AWS itself writes the
//! policies of its managed keys. Conditions on anything else (the encryption context, the time, MFA) leave anyone in.
//! `Deny` statements are not subtracted: what they leave is not decidable from one policy, and a key that anyone may use but
//! for a list is still a key that anyone may use.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::Value;

use super::texts;
use crate::expectations::matches;

/// What a value of a condition key must be for it to tell certain callers from anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// A text without wildcards: an account, an organization, a VPC.
    Whole,
    /// A text whose beginning is without wildcards: a path of an organization, a unique id.
    Beginning,
    /// An ARN with an account in it.
    Account,
    /// A network that is no large part of the Internet.
    Network,
}

/// Condition keys that say who may call, or from where; in lower case, as AWS compares them. Tags and user names are none:
/// whoever calls from an account of their own chooses them.
const NARROWING: [(&str, Tells); 15] = [
    ("aws:principalaccount", Tells::Whole),
    ("aws:principalarn", Tells::Account),
    ("aws:principalorgid", Tells::Whole),
    ("aws:principalorgpaths", Tells::Beginning),
    ("aws:principalservicename", Tells::Whole),
    ("aws:sourceaccount", Tells::Whole),
    ("aws:sourcearn", Tells::Account),
    ("aws:sourceip", Tells::Network),
    ("aws:sourceorgid", Tells::Whole),
    ("aws:sourceorgpaths", Tells::Beginning),
    ("aws:sourceowner", Tells::Whole),
    ("aws:sourcevpc", Tells::Whole),
    ("aws:sourcevpce", Tells::Whole),
    ("aws:userid", Tells::Beginning),
    ("kms:calleraccount", Tells::Whole),
];

/// Bits of a prefix from which on a network is somebody's.
const PREFIX_MIN: (u8, u8) = (8, 16);

impl Tells {
    fn is_met(self, value: &str) -> bool {
        let has_wildcard = |text: &str| text.contains(['*', '?']);
        match self {
            Self::Whole => !value.is_empty() && !has_wildcard(value),
            Self::Beginning => {
                let end = value.find(['*', '?']).unwrap_or(value.len());
                // `o-…/` and `AROA…:` are told before the first wildcard, or nothing is.
                value[..end].contains(['/', ':']) || (end == value.len() && end > 0)
            }
            Self::Account => {
                let account = value.split(':').nth(4).unwrap_or_default();
                account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Network => {
                let (address, bits) = value.split_once('/').unwrap_or((value, ""));
                let Ok(address) = address.parse::<IpAddr>() else { return false };
                let (least, all) = if address.is_ipv4() { (PREFIX_MIN.0, 32) } else { (PREFIX_MIN.1, 128) };
                let bits = if bits.is_empty() { Some(all) } else { bits.parse::<u8>().ok() };
                bits.is_some_and(|bits| bits >= least)
            }
        }
    }
}

/// The principals, sorted: `*`, ARNs, `service:<host>`; an account is its root's ARN. Null where the text is no policy.
pub(super) fn policy_allows() -> ScalarUDF {
    let takes = vec![DataType::Utf8, DataType::Utf8];
    create_udf("policy_allows", takes, texts(), Volatility::Immutable, Arc::new(allowed))
}

fn allowed(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (policy, action) in arrays[0].as_string::<i32>().iter().zip(arrays[1].as_string::<i32>()) {
        match policy.zip(action).and_then(|(policy, action)| principals(policy, action)) {
            Some(principals) => lists.append_value(principals.into_iter().map(Some)),
            None => lists.append_null(),
        }
    }
    Ok(ColumnarValue::Array(Arc::new(lists.finish())))
}

fn principals(policy: &str, action: &str) -> Option<BTreeSet<String>> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let mut found = BTreeSet::new();
    for statement in one_or_more(policy.get("Statement")?) {
        let is_allowed = statement["Effect"] == "Allow" && is_about(statement, action);
        if is_allowed && !is_narrowed(&statement["Condition"]) {
            found.extend(named(statement));
        }
    }
    Some(found)
}

fn one_or_more(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
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

/// Whether a condition says who may call. A pattern that fits everyone says nothing, and so does a condition that also holds
/// when what it asks about is absent.
fn is_narrowed(condition: &Value) -> bool {
    let Some(operators) = condition.as_object() else { return false };
    operators.iter().any(|(operator, tests)| {
        let operator = operator.to_ascii_lowercase();
        // A test of all values holds when there is none.
        let is_positive = !operator.contains("not")
            && !operator.ends_with("ifexists")
            && !operator.starts_with("forallvalues:")
            && operator != "null";
        let mut tests = tests.as_object().into_iter().flatten();
        is_positive
            && tests.any(|(key, value)| {
                let key = key.to_ascii_lowercase();
                let tells = NARROWING.iter().find(|(name, _)| *name == key).map(|(_, tells)| *tells);
                let values = strings(value);
                tells.is_some_and(|tells| !values.is_empty() && values.iter().all(|value| tells.is_met(value)))
            })
    })
}

fn named(statement: &Value) -> Vec<String> {
    // Everyone but some is everyone whom nobody listed.
    if statement.get("NotPrincipal").is_some() {
        return vec!["*".to_owned()];
    }
    let account = |text: &str| match text {
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
        let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        principals(&policy, "kms:Decrypt").unwrap().into_iter().collect()
    }

    #[test]
    fn whoever_an_allow_names_is_allowed() {
        let root = json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"});
        assert_eq!(of(&root), ["arn:aws:iam::111122223333:root"]);
        let anyone =
            json!([{"Effect": "Allow", "Principal": "*", "Action": ["kms:Encrypt", "KMS:Dec*"], "Resource": "*"}]);
        assert_eq!(of(&anyone), ["*"]);
        let service =
            json!({"Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"}, "Action": "kms:Decrypt"});
        assert_eq!(of(&service), ["service:logs.amazonaws.com"]);
        let others =
            json!({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}, "NotAction": "kms:Encrypt"});
        assert_eq!(of(&others), ["*"]);
    }

    #[test]
    fn what_is_denied_or_of_another_action_allows_nobody() {
        for statement in [
            json!({"Effect": "Deny", "Principal": "*", "Action": "kms:*"}),
            json!({"Effect": "Allow", "Principal": "*", "Action": "kms:Encrypt"}),
            json!({"Effect": "Allow", "Principal": "*", "NotAction": "kms:*"}),
            json!({"Effect": "Allow", "Principal": "*"}),
        ] {
            assert_eq!(of(&statement), [""; 0], "{statement}");
        }
        assert_eq!(principals("no policy", "kms:Decrypt"), None);
    }

    #[test]
    fn only_a_condition_on_the_caller_narrows() {
        let under = |condition: Value| {
            of(&json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Condition": condition}))
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
