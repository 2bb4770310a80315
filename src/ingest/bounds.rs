//! The bounds of a run: what records are held to, and what the ledger says of objects of which they left something out.
//!
//! ```text
//! Prune ─┬─► Only: records
//!        └─► text in the ledger ─► Prune ─► does it cover the bounds of this run?
//! ```
//!
//! An object that was read within bounds is unchanged only for a run whose bounds lie within those. Any other run reads
//! it again; what is in the lake already is then a duplicate.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::cloudtrail::only::Only;
use crate::source::Prune;

/// The bounds for records.
pub(super) fn only(prune: &Prune) -> Only {
    Only {
        accounts: prune.accounts.clone(),
        regions: prune.regions.clone(),
        since: prune.since.map(|since| since.timestamp_micros()),
        until: prune.until.map(|until| until.timestamp_micros()),
    }
}

/// The bounds as the command line would say them, in an order of their own.
pub(super) fn text(prune: &Prune) -> String {
    let list = |flag: &str, values: &[String]| {
        let mut values: Vec<String> = values.iter().map(|value| format!("{flag} {value}")).collect();
        values.sort();
        values
    };
    let time = |flag: &str, at: Option<DateTime<Utc>>| {
        at.map(|at| format!("{flag} {}", at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
    };
    let parts = list("--account", &prune.accounts).into_iter().chain(list("--region", &prune.regions));
    parts.chain(time("--since", prune.since)).chain(time("--until", prune.until)).collect::<Vec<_>>().join(" ")
}

/// Reads what [`text`] wrote; nothing when it is something else.
fn parse(text: &str) -> Option<Prune> {
    let mut prune = Prune::default();
    let mut words = text.split(' ');
    while let Some(flag) = words.next() {
        let value = words.next()?;
        match flag {
            "--account" => prune.accounts.push(value.to_owned()),
            "--region" => prune.regions.push(value.to_owned()),
            "--since" => prune.since = Some(value.parse().ok()?),
            "--until" => prune.until = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(prune)
}

/// Whether everything within the bounds `asked` is within those of this text too.
pub(super) fn cover(text: &str, asked: &Prune) -> bool {
    let Some(had) = parse(text) else { return false };
    let within = |had: &[String], asked: &[String]| {
        had.is_empty() || (!asked.is_empty() && asked.iter().all(|one| had.contains(one)))
    };
    within(&had.accounts, &asked.accounts)
        && within(&had.regions, &asked.regions)
        && had.since.is_none_or(|had| asked.since.is_some_and(|asked| asked >= had))
        && had.until.is_none_or(|had| asked.until.is_some_and(|asked| asked <= had))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prune(accounts: &[&str], regions: &[&str], since: Option<&str>, until: Option<&str>) -> Prune {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        let time = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        Prune { accounts: owned(accounts), regions: owned(regions), since: time(since), until: time(until) }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bounds =
            prune(&["1", "2"], &["eu-west-1"], Some("2026-05-01T00:00:00Z"), Some("2026-05-02T00:00:00.000001Z"));
        assert_eq!(
            text(&bounds),
            "--account 1 --account 2 --region eu-west-1 --since 2026-05-01T00:00:00Z --until 2026-05-02T00:00:00.000001Z"
        );
        assert_eq!(parse(&text(&bounds)), Some(bounds));
        for other in ["", "x", "--account", "--since yesterday", "--account 1 --frobnicate 2"] {
            assert!(!cover(other, &Prune::default()), "{other}");
        }
    }

    #[test]
    fn bounds_cover_narrower_ones_only() {
        let (early, late) = (Some("2026-05-01T00:00:00Z"), Some("2026-05-02T00:00:00Z"));
        let had = text(&prune(&["1", "2"], &[], early, None));
        for asked in [prune(&["1", "2"], &[], early, None), prune(&["2"], &["eu-west-1"], late, late)] {
            assert!(cover(&had, &asked), "{asked:?}");
        }
        for asked in [
            Prune::default(),
            prune(&[], &[], late, None),
            prune(&["3"], &[], late, None),
            prune(&["1", "3"], &[], late, None),
            prune(&["1"], &[], None, None),
        ] {
            assert!(!cover(&had, &asked), "{asked:?}");
        }
        assert!(!cover(&text(&prune(&[], &[], None, early)), &prune(&[], &[], None, late)));
        // A Region with a space in it would read as something else: then it is read again.
        let odd = prune(&[], &["eu west"], None, None);
        assert!(!cover(&text(&odd), &odd));
    }
}
