//! Whether the condition of a policy's statement says who may call.
//!
//! ```text
//! {operator: {key: values}} ─► is the key there? ─► does each value name somebody? ─► narrowed, or open to anyone
//! ```
//!
//! All operators and keys of a condition must hold, so that one that narrows suffices; any one value of a key may match, so
//! that each must name somebody. A condition that also holds when what it asks about is absent says nothing, unless the key
//! is in every request to KMS. Rules of matching and of absent keys: IAM User Guide, "Condition operators", "Multivalued
//! context keys" and "Global condition context keys"; AWS KMS Developer Guide, "Condition keys".
//! What a key's value is in a request is not decided here.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::Value;

/// What a value of a condition key must be for it to tell certain callers from anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// A text without wildcards: an account, an organization, a VPC.
    Whole,
    /// A text whose beginning is without wildcards: a path of an organization, a unique id.
    Beginning,
    /// An ARN with an account in it.
    Account,
    /// An ARN with an account in it, or that of a bucket, which has none.
    Source,
    /// A network that is no large part of the Internet.
    Network,
    /// `true`.
    True,
    /// A variable that is the caller's own: a key of ours compared with it.
    Callers(&'static [&'static str]),
}

/// A condition key that says who may call, or from where.
struct Narrowing {
    /// Its name, in lower case, as AWS compares them.
    name: &'static str,
    tells: Tells,
    /// Whether every request to KMS has it: none is anonymous.
    is_always_there: bool,
}

const fn narrowing(name: &'static str, tells: Tells, is_always_there: bool) -> Narrowing {
    Narrowing { name, tells, is_always_there }
}

/// Tags and user names are none of them: whoever calls from an account of their own chooses them. Nor is the service through
/// which a call comes (`kms:ViaService`, `aws:CalledVia`): any account may use it.
const NARROWING: [Narrowing; 22] = [
    narrowing("aws:principalaccount", Tells::Whole, true),
    narrowing("aws:principalarn", Tells::Account, true),
    narrowing("aws:principalisawsservice", Tells::True, true),
    // Only of members of an organization.
    narrowing("aws:principalorgid", Tells::Whole, false),
    narrowing("aws:principalorgpaths", Tells::Beginning, false),
    narrowing("aws:principalservicename", Tells::Whole, false),
    narrowing("aws:resourceaccount", Tells::Callers(&["${aws:principalaccount}", "${kms:calleraccount}"]), true),
    narrowing("aws:resourceorgid", Tells::Callers(&["${aws:principalorgid}"]), false),
    // Only of calls that a service makes by itself.
    narrowing("aws:sourceaccount", Tells::Whole, false),
    narrowing("aws:sourcearn", Tells::Source, false),
    narrowing("aws:sourceorgid", Tells::Whole, false),
    narrowing("aws:sourceorgpaths", Tells::Beginning, false),
    narrowing("aws:sourceowner", Tells::Whole, false),
    // Not of calls through a VPC endpoint, and of these alone.
    narrowing("aws:sourceip", Tells::Network, false),
    narrowing("aws:sourcevpc", Tells::Whole, false),
    narrowing("aws:sourcevpcarn", Tells::Account, false),
    narrowing("aws:sourcevpce", Tells::Whole, false),
    narrowing("aws:vpceaccount", Tells::Whole, false),
    narrowing("aws:vpceorgid", Tells::Whole, false),
    narrowing("aws:vpceorgpaths", Tells::Beginning, false),
    narrowing("aws:userid", Tells::Beginning, true),
    narrowing("kms:calleraccount", Tells::Whole, true),
];

/// Variables whose value is the key's own account or organization, each with a text of the form that its value has.
const OWN: [(&str, &str); 3] = [
    ("${aws:resourceaccount}", "000000000000"),
    ("${aws:resourceorgid}", "o-0000000000"),
    ("${aws:resourceorgpaths}", "o-0000000000/"),
];

/// Operators that hold where a value is met. What asks for a value not to be met lets in whoever has another.
const POSITIVE: [&str; 7] =
    ["arnequals", "arnlike", "bool", "ipaddress", "stringequals", "stringequalsignorecase", "stringlike"];

/// Bits of a prefix from which on a network is somebody's.
const PREFIX_MIN: (u8, u8) = (8, 16);

impl Tells {
    fn is_met(self, value: &str, is_pattern: bool) -> bool {
        if let Self::Callers(variables) = self {
            return variables.iter().any(|variable| value.eq_ignore_ascii_case(variable));
        }
        let mut value = value.to_ascii_lowercase();
        for (variable, text) in OWN {
            value = value.replace(variable, text);
        }
        if value.contains("${") {
            // What another variable stands for may be what the caller wants it to be.
            return false;
        }
        let value = value.as_str();
        let has_wildcard = |text: &str| is_pattern && text.contains(['*', '?']);
        match self {
            Self::Whole => !value.is_empty() && !has_wildcard(value),
            Self::Beginning => {
                let end = if is_pattern { value.find(['*', '?']) } else { None }.unwrap_or(value.len());
                // `o-…/` and `AROA…:` are told before the first wildcard, or nothing is.
                value[..end].contains(['/', ':']) || (end == value.len() && end > 0)
            }
            Self::Account | Self::Source => {
                let parts: Vec<&str> = value.splitn(6, ':').collect();
                let account = parts.get(4).copied().unwrap_or_default();
                let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
                let is_bucket = || match parts.as_slice() {
                    [_, _, "s3", "", "", bucket] => !bucket.is_empty() && !has_wildcard(bucket),
                    _ => false,
                };
                is_account || (self == Self::Source && is_bucket()) || (!value.is_empty() && !is_pattern)
            }
            Self::Network => {
                let (address, bits) = value.split_once('/').unwrap_or((value, ""));
                let Ok(address) = address.parse::<IpAddr>() else { return false };
                let (least, all) = if address.is_ipv4() { (PREFIX_MIN.0, 32) } else { (PREFIX_MIN.1, 128) };
                let bits = if bits.is_empty() { Some(all) } else { bits.parse::<u8>().ok() };
                bits.is_some_and(|bits| bits >= least)
            }
            Self::True => value.eq_ignore_ascii_case("true"),
            Self::Callers(_) => false,
        }
    }
}

/// Whether a condition says who may call. A pattern that fits everyone says nothing, and so does a condition that also holds
/// when what it asks about is absent.
pub(super) fn is_narrowed(condition: &Value) -> bool {
    tests(condition).any(|(operator, key, values)| {
        let Some(known) = NARROWING.iter().find(|known| known.name == key) else { return false };
        let (set, operator) = operator.split_once(':').unwrap_or(("", &operator));
        let (operator, holds_if_absent) = match operator.strip_suffix("ifexists") {
            Some(operator) => (operator, true),
            // A test of all values holds when there is none.
            None => (operator, set == "forallvalues"),
        };
        let is_pattern = operator == "stringlike" || operator.starts_with("arn");
        let values = texts(values);
        POSITIVE.contains(&operator)
            && (!holds_if_absent || known.is_always_there || must_be_there(condition, &key))
            && !values.is_empty()
            && values.iter().all(|value| known.tells.is_met(value, is_pattern))
    })
}

/// Whether the condition also says that the key must not be absent.
fn must_be_there(condition: &Value, name: &str) -> bool {
    tests(condition).any(|(operator, key, values)| {
        let values = texts(values);
        operator == "null"
            && key == name
            && !values.is_empty()
            && values.iter().all(|value| value.eq_ignore_ascii_case("false"))
    })
}

/// Operator, key and values of each test; the names in lower case, as AWS compares them.
fn tests(condition: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    let operators = condition.as_object().into_iter().flatten();
    operators.flat_map(|(operator, tests)| {
        let tests = tests.as_object().into_iter().flatten();
        tests.map(move |(key, values)| (operator.to_ascii_lowercase(), key.to_ascii_lowercase(), values))
    })
}

/// The values of a key; flags and numbers may be written without quotes.
fn texts(values: &Value) -> Vec<Cow<'_, str>> {
    one_or_more(values).into_iter().filter_map(text).collect()
}

/// The values of a member that may be a list or not.
pub(super) fn one_or_more(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::from(text.as_str())),
        Value::Bool(_) | Value::Number(_) => Some(Cow::from(value.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The keys 0x20 to 0x27 of a made-up account, as far as they have a condition.
    #[test]
    fn whoever_calls_is_told_by_the_account_the_organization_or_that_it_is_aws() {
        for closed in [
            json!({"Bool": {"aws:PrincipalIsAWSService": "true"}}),
            json!({"StringEqualsIfExists": {"kms:CallerAccount": "111122223333"}}),
            json!({"StringEquals": {"kms:CallerAccount": "111122223333", "kms:ViaService": "s3.eu-west-1.amazonaws.com"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-aaaaaaaaaa"}}),
        ] {
            assert!(is_narrowed(&closed), "{closed}");
        }
        for open in [
            json!({}),
            json!({"StringLike": {"aws:PrincipalArn": "*"}}),
            json!({"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}),
        ] {
            assert!(!is_narrowed(&open), "{open}");
        }
    }

    #[test]
    fn an_absent_key_lets_in_whoever_lacks_it() {
        for closed in [
            // Every request to KMS has these.
            json!({"BoolIfExists": {"aws:PrincipalIsAWSService": true}}),
            json!({"ArnLikeIfExists": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
            json!({"ForAllValues:StringEquals": {"aws:PrincipalAccount": ["111122223333", 444_455_556_666_u64]}}),
            json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": ["o-a/r-b/*"]}}),
            // Not every request has these, and one without them is refused.
            json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-a/*"}, "Null": {"aws:PrincipalOrgPaths": "false"}}),
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a"}, "Null": {"AWS:principalorgid": [false]}}),
        ] {
            assert!(is_narrowed(&closed), "{closed}");
        }
        for open in [
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a"}}),
            json!({"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}),
            json!({"IpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"}}),
            json!({"StringEqualsIfExists": {"aws:SourceAccount": "111122223333"}}),
            json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-a/*"}}),
            json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-a/*"}, "Null": {"aws:PrincipalOrgPaths": "true"}}),
            json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-a/*"}, "Null": {"aws:PrincipalOrgID": "false"}}),
            json!({"Null": {"aws:PrincipalOrgID": "false"}}),
        ] {
            assert!(!is_narrowed(&open), "{open}");
        }
    }

    #[test]
    fn what_must_not_be_met_lets_in_everyone_else() {
        for open in [
            json!({"StringNotEquals": {"kms:CallerAccount": "111122223333"}}),
            json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
            json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
            json!({"ForAnyValue:StringNotLike": {"aws:PrincipalOrgPaths": "o-a/*"}}),
            json!({"Bool": {"aws:PrincipalIsAWSService": "false"}}),
            json!({"Bool": {"aws:PrincipalIsAWSService": ["true", "false"]}}),
            json!({"Bool": {"aws:ViaAWSService": "true"}}),
        ] {
            assert!(!is_narrowed(&open), "{open}");
        }
    }

    #[test]
    fn a_pattern_or_a_variable_names_somebody_or_anyone() {
        for closed in [
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:111122223333:trail/*"}}),
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::the-bucket"}}),
            json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}),
            json!({"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}}),
            json!({"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:ResourceAccount}:role/*"}}),
            json!({"StringLike": {"aws:userid": ["AROAEXAMPLE:*", "AIDAEXAMPLE"]}}),
            // Only a pattern has wildcards: the star is a letter here, and no ARN has it.
            json!({"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}),
        ] {
            assert!(is_narrowed(&closed), "{closed}");
        }
        for open in [
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}),
            json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/ops"}}),
            json!({"StringLike": {"kms:CallerAccount": "*"}}),
            json!({"StringLike": {"kms:CallerAccount": ["111122223333", "4444????6666"]}}),
            json!({"StringLike": {"aws:PrincipalOrgPaths": "o-*"}}),
            json!({"StringLike": {"aws:SourceVpce": "vpce-*"}}),
            json!({"StringLike": {"aws:userid": "AROA*"}}),
            json!({"StringLike": {"aws:userid": "*:admin"}}),
            json!({"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "${aws:PrincipalTag/org}"}}),
            json!({"StringEquals": {"aws:ResourceAccount": "111122223333"}}),
            json!({"StringEquals": {"kms:CallerAccount": []}}),
            json!("no condition"),
        ] {
            assert!(!is_narrowed(&open), "{open}");
        }
    }
}
