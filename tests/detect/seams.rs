//! The seam between two runs hides nothing: what a run over a whole window finds, one of two runs over its parts finds, too,
//! wherever the window is cut.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use keytrail::detect::{Detection, Window};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::cases::Case;
use super::trial::{About, about};

/// Cuts of each case, unless `KEYTRAIL_CUTS` says how many: of two, one is within what a finding is made of, where a rule is most easily
/// cut in two.
const CUTS: usize = 1;

/// Instants to cut a window at.
fn cuts(window: Window, whole: &Detection, random: &mut Pcg64Mcg) -> Vec<DateTime<Utc>> {
    let spans: Vec<(DateTime<Utc>, DateTime<Utc>)> =
        whole.findings.iter().filter_map(|finding| finding.first_seen.zip(finding.last_seen)).collect();
    let mut within = |(from, until): (DateTime<Utc>, DateTime<Utc>)| {
        let seconds = u64::try_from((until - from).num_seconds()).unwrap_or_default().max(1);
        from + TimeDelta::seconds(i64::try_from(random.next_u64() % seconds).unwrap())
    };
    let mut cuts = BTreeSet::new();
    let count = std::env::var("KEYTRAIL_CUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(CUTS);
    for cut in 0..count {
        let span = spans.get(cut / 2 % spans.len().max(1)).filter(|_| cut % 2 == 0);
        cuts.insert(within(span.copied().unwrap_or((window.since, window.until))));
    }
    cuts.into_iter().filter(|cut| *cut > window.since && *cut < window.until).collect()
}

/// Whether two findings are about the same; of keys that one run tells together, the other may name each.
fn is_same((key, principal): &About, (other_key, other_principal): &About) -> bool {
    principal == other_principal && (key == other_key || key.is_none() || other_key.is_none())
}

/// What no run over a part of a case's window finds.
pub fn lost(detector: &str, file: &str) -> Vec<String> {
    let case = Case::read(detector, file);
    let (trial, window) = (case.trial(), case.window());
    let whole = trial.detect(detector, window);
    let mut random = Pcg64Mcg::seed_from_u64(file.bytes().map(u64::from).sum());
    let mut lost = Vec::new();
    for cut in cuts(window, &whole, &mut random) {
        let [one, other] = [Window { until: cut, ..window }, Window { since: cut, ..window }]
            .map(|window| trial.detect(detector, window));
        let found: BTreeSet<About> = about(&one).into_iter().chain(about(&other)).collect();
        for missing in about(&whole).into_iter().filter(|wanted| !found.iter().any(|found| is_same(wanted, found))) {
            lost.push(format!("{detector}/{file}, cut at {cut}: {missing:?} is found by neither run"));
        }
    }
    lost
}
