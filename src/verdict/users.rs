//! Who depends on keys: what the calls show, and what only a record shows that `calls` dropped in favor of another.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Examples of assets that are told.
const EXAMPLES_MAX: usize = 5;

/// Who uses a key, or fails to because it cannot be used.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are the columns of the query")]
pub struct Dependent {
    pub key_arn: String,
    pub principal: Option<String>,
    pub principal_type: Option<String>,
    pub via: Option<String>,
    pub calls: i64,
    pub failing: i64,
    pub unserved: i64,
    pub denied: i64,
    pub assets: i64,
    pub asset_examples: Vec<String>,
    pub first_used: Option<DateTime<Utc>>,
    pub last_used: Option<DateTime<Utc>>,
    pub last_event_id: Option<String>,
    pub first_failing: Option<DateTime<Utc>>,
    pub last_failing: Option<DateTime<Utc>>,
    pub failing_event_id: Option<String>,
    pub error_message: Option<String>,
}

/// A row of `deletion-uses` or `deletion-recorded`, which say what the columns are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct User {
    key_arn: String,
    principal: Option<String>,
    principal_type: Option<String>,
    via: Option<String>,
    calls: i64,
    failing: i64,
    unserved: i64,
    denied: i64,
    assets: i64,
    #[serde(default)]
    asset_examples: Vec<Example>,
    first_used: Option<DateTime<Utc>>,
    last_used: Option<DateTime<Utc>>,
    last_event_id: Option<String>,
    first_failing: Option<DateTime<Utc>>,
    last_failing: Option<DateTime<Utc>>,
    failing_event_id: Option<String>,
    error_message: Option<String>,
}

/// An asset, and when it was named last.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Example {
    text: String,
    at: DateTime<Utc>,
}

impl From<User> for Dependent {
    fn from(user: User) -> Self {
        Self {
            key_arn: user.key_arn,
            principal: user.principal,
            principal_type: user.principal_type,
            via: user.via,
            calls: user.calls,
            failing: user.failing,
            unserved: user.unserved,
            denied: user.denied,
            assets: user.assets,
            asset_examples: user.asset_examples.into_iter().map(|example| example.text).collect(),
            first_used: user.first_used,
            last_used: user.last_used,
            last_event_id: user.last_event_id,
            first_failing: user.first_failing,
            last_failing: user.last_failing,
            failing_event_id: user.failing_event_id,
            error_message: user.error_message,
        }
    }
}

/// The keys of which calls show use, as `deletion-recorded` takes them.
pub(super) fn shown(users: &[User]) -> [(String, String); 3] {
    let shown = [
        ("used", keys_with(users, |user| user.calls)),
        ("failing", keys_with(users, |user| user.failing)),
        ("unserved", keys_with(users, |user| user.unserved)),
    ];
    shown.map(|(name, keys)| (name.to_owned(), keys))
}

/// The keys of which calls show any of these, by their ARNs.
fn keys_with(users: &[User], count: impl Fn(&User) -> i64) -> String {
    let keys: BTreeSet<&str> = users.iter().filter(|user| count(user) > 0).map(|user| user.key_arn.as_str()).collect();
    keys.into_iter().collect::<Vec<_>>().join(" ")
}

/// Adds what only records show; those with most calls come first again.
pub(super) fn add(users: &mut Vec<User>, recorded: Vec<User>) {
    if recorded.is_empty() {
        return;
    }
    for more in recorded {
        let is_it = |user: &&mut User| {
            (&user.key_arn, &user.principal, &user.via) == (&more.key_arn, &more.principal, &more.via)
        };
        match users.iter_mut().find(is_it) {
            Some(user) => merge(user, more),
            None => users.push(more),
        }
    }
    users.sort_by(|one, other| {
        let place =
            |user: &User| (Reverse(user.calls), Reverse(user.failing), user.principal.is_none(), user.via.is_none());
        let (a, b) = (place(one), place(other));
        one.key_arn
            .cmp(&other.key_arn)
            .then_with(|| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)))
            .then_with(|| one.principal.cmp(&other.principal))
            .then_with(|| (a.3, &one.via).cmp(&(b.3, &other.via)))
    });
}

/// What both show, as one. An asset of both counts twice: the records are not of the same calls, as far as is known.
fn merge(user: &mut User, more: User) {
    user.calls += more.calls;
    user.failing += more.failing;
    user.unserved += more.unserved;
    user.denied += more.denied;
    user.assets += more.assets;
    user.principal_type = user.principal_type.take().max(more.principal_type);
    user.first_used = [user.first_used, more.first_used].into_iter().flatten().min();
    user.first_failing = [user.first_failing, more.first_failing].into_iter().flatten().min();
    (user.last_used, user.last_event_id) =
        (user.last_used, user.last_event_id.take()).max((more.last_used, more.last_event_id));
    (user.last_failing, user.failing_event_id) =
        (user.last_failing, user.failing_event_id.take()).max((more.last_failing, more.failing_event_id));
    user.error_message = user.error_message.take().max(more.error_message);
    user.asset_examples.extend(more.asset_examples);
    user.asset_examples.sort_by(|one, other| (other.at, &one.text).cmp(&(one.at, &other.text)));
    user.asset_examples.truncate(EXAMPLES_MAX);
}
