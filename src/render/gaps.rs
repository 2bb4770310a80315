//! What detectors could not judge, put together by reason, as every form tells it.

use std::collections::{BTreeMap, BTreeSet};

use super::thousands;
use crate::detect::NotEvaluated;

/// What a detector could not judge for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap<'d> {
    /// Which detectors.
    pub detectors: Vec<&'d str>,
    /// Why not.
    pub why: &'d str,
    keys: BTreeSet<&'d str>,
    principals: BTreeSet<&'d str>,
}

/// What could not be judged, by detector and reason.
#[must_use]
pub fn gaps(not_evaluated: &[NotEvaluated]) -> Vec<Gap<'_>> {
    let mut gaps: BTreeMap<(&str, &str), Gap<'_>> = BTreeMap::new();
    for NotEvaluated { detector, key_arn, principal, why, .. } in not_evaluated {
        let new = || Gap { detectors: vec![detector], why, keys: BTreeSet::new(), principals: BTreeSet::new() };
        let gap = gaps.entry((detector, why)).or_insert_with(new);
        gap.keys.extend(key_arn.as_deref());
        gap.principals.extend(principal.as_deref());
    }
    gaps.into_values().collect()
}

impl Gap<'_> {
    /// Of which keys and principals, the names where there is one of a kind; nothing where it is of all.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        let named = |names: &BTreeSet<&str>, what: &str| match names.len() {
            0 => None,
            1 => names.first().map(|name| (*name).to_owned()),
            many => Some(format!("{} {what}", thousands(many as u64))),
        };
        let (principals, keys) = (named(&self.principals, "principals"), named(&self.keys, "keys"));
        match (principals, keys) {
            (Some(principals), Some(keys)) => Some(format!("{principals} with {keys}")),
            (principals, keys) => principals.or(keys),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_of_one_reason_are_one_and_name_what_is_one_of_a_kind() {
        let gap = |key: Option<&str>, principal: Option<&str>, why: &str| NotEvaluated {
            detector: "d".to_owned(),
            key_arn: key.map(str::to_owned),
            principal: principal.map(str::to_owned),
            account_id: None,
            region: None,
            why: why.to_owned(),
        };
        let all = [
            gap(None, None, "all"),
            gap(Some("k1"), None, "a key"),
            gap(Some("k1"), Some("p1"), "two of one key"),
            gap(Some("k1"), Some("p2"), "two of one key"),
            gap(None, Some("p1"), "who"),
        ];
        let told: Vec<_> = gaps(&all).iter().map(|gap| (gap.why, gap.scope())).collect();
        let told: Vec<_> = told.iter().map(|(why, scope)| (*why, scope.as_deref())).collect();
        let wanted = [
            ("a key", Some("k1")),
            ("all", None),
            ("two of one key", Some("2 principals with k1")),
            ("who", Some("p1")),
        ];
        assert_eq!(told, wanted);
    }
}
