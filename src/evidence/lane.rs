//! The digests and logs of one account and Region: every chain there, and then what no chain speaks of.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_128;

use super::archive::{Archive, Place, address};
use super::chain::{ChainName, Judged, Surroundings, Walk};
use super::keys::PublicKeys;
use super::logs::{self, Shelves};
use super::report::Findings;
use super::unnamed::{Covered, Stray, credible};
use super::verdict::{Candidate, State};
use super::{EvidenceError, Options, Progress};
use crate::cloudtrail::digest::DigestName;
use crate::lake::evidence::{EvidenceLog, FileRow};
use crate::source::Kind;

/// How far around what was asked for digests are read for what they say of their neighbours: two windows, so that one is
/// there even if one was redelivered late.
const WITNESS_HOURS: i64 = 2;

/// How long the window of a digest is (facts §7.1).
const WINDOW_HOURS: i64 = 1;

/// One account and Region.
pub(super) struct Lane<'a> {
    archive: &'a dyn Archive,
    options: &'a Options,
    progress: &'a Progress,
    places: Vec<Place>,
    /// Addresses of the logs that any digest names, as hashes.
    named: HashSet<u128>,
    covered: Covered,
}

impl<'a> Lane<'a> {
    /// `places` are those of the account and Region.
    pub fn new(archive: &'a dyn Archive, options: &'a Options, progress: &'a Progress, places: Vec<Place>) -> Self {
        Self { archive, options, progress, places, named: HashSet::new(), covered: Covered::default() }
    }

    /// Verifies every chain, the one that goes on longest first: a chain that was continued below another prefix is
    /// then reached from its continuation.
    pub async fn verify(
        &mut self,
        keys: &mut PublicKeys,
        findings: &mut Findings,
        mut kept: Option<&mut EvidenceLog>,
    ) -> Result<(), EvidenceError> {
        let mut chains = self.chains(findings).await?;
        let mut by_file: HashMap<String, Vec<Candidate>> = HashMap::new();
        for digest in chains.values().flatten() {
            let file = digest.object.uri.rsplit('/').next().unwrap_or_default();
            by_file.entry(file.to_owned()).or_default().push(digest.clone());
        }
        let newest = |digests: &Vec<Candidate>| digests.first().map(|digest| digest.name.end);
        let mut names: Vec<ChainName> = chains.keys().cloned().collect();
        names.sort_by_key(|name| std::cmp::Reverse(newest(&chains[name])));
        let mut claims = HashMap::new();
        for name in names {
            let digests = chains.remove(&name).unwrap_or_default();
            let (archive, since) = (self.archive, self.options.prune.since);
            let mut around = Surroundings { archive, by_file: &by_file, claims: &mut claims, keys, since };
            self.chain(&name, digests, &mut around, findings, kept.as_deref_mut()).await?;
        }
        self.unnamed(findings, kept).await
    }

    /// The digests that were asked for, and their neighbours, by chain and newest first.
    async fn chains(&self, findings: &mut Findings) -> Result<BTreeMap<ChainName, Vec<Candidate>>, EvidenceError> {
        let mut chains: BTreeMap<ChainName, Vec<Candidate>> = BTreeMap::new();
        for place in &self.places {
            for day in self.days(place, Kind::Digest).await? {
                for object in self.archive.list(place, Kind::Digest, day).await? {
                    let Some(name) = DigestName::parse(&object.uri) else {
                        findings.no_digest(&object.uri, place);
                        continue;
                    };
                    if let Some(is_witness) = self.is_witness(&name) {
                        let chain = ChainName::of(place, &name);
                        let is_at_home = name.account_id == place.account_id && name.region == place.region;
                        let digest = Candidate { object, name, is_at_home, is_witness };
                        chains.entry(chain).or_default().push(digest);
                    }
                }
            }
        }
        for digests in chains.values_mut() {
            digests.sort_by(|one, other| (other.name.end, &other.object.uri).cmp(&(one.name.end, &one.object.uri)));
        }
        // A chain that only passes by is not asked for.
        chains.retain(|_, digests| digests.iter().any(|digest| !digest.is_witness));
        Ok(chains)
    }

    /// Days that may have something that was asked for, with a day to either side for neighbours.
    async fn days(&self, place: &Place, kind: Kind) -> Result<Vec<NaiveDate>, EvidenceError> {
        let mut days = self.archive.days(place, kind).await?;
        let (since, until) = (self.options.prune.since, self.options.prune.until);
        let bound = |at: DateTime<Utc>, hours| (at + Duration::hours(hours)).date_naive();
        days.retain(|day| {
            since.is_none_or(|since| *day >= bound(since, -WITNESS_HOURS - 1))
                && until.is_none_or(|until| *day <= bound(until, WITNESS_HOURS + 1))
        });
        Ok(days)
    }

    /// Whether a digest is only looked at for its neighbours; nothing when it is not looked at at all.
    fn is_witness(&self, name: &DigestName) -> Option<bool> {
        let (since, until) = (self.options.prune.since, self.options.prune.until);
        let (begin, end) = (name.end - Duration::hours(WINDOW_HOURS), name.end);
        let within = |more: i64| {
            let more = Duration::hours(more);
            since.is_none_or(|since| end + more > since) && until.is_none_or(|until| begin - more < until)
        };
        within(WITNESS_HOURS).then(|| !within(0))
    }

    async fn chain(
        &mut self,
        name: &ChainName,
        digests: Vec<Candidate>,
        around: &mut Surroundings<'_>,
        findings: &mut Findings,
        mut kept: Option<&mut EvidenceLog>,
    ) -> Result<(), EvidenceError> {
        let mut shelves = Shelves::new(self.archive, self.places.clone());
        let mut walk = Walk::new(name, self.archive, digests);
        findings.begin_chain();
        while let Some(mut page) = walk.page(around).await {
            let files = logs::check(&mut shelves, &mut page, self.options, self.progress).await?;
            for judged in &page {
                self.learn(judged);
            }
            self.named.extend(files.iter().map(|row| xxh3_128(row.uri.as_bytes())));
            let told: Vec<&Judged> = page.iter().filter(|judged| !judged.is_witness).collect();
            self.progress.digests.fetch_add(told.len() as u64, Ordering::Relaxed);
            findings.add(&told, &files);
            if let Some(kept) = kept.as_deref_mut() {
                let rows: Vec<_> = told.iter().map(|judged| judged.row.clone()).collect();
                kept.add(&rows, &files).await?;
            }
        }
        Ok(())
    }

    /// Takes in what a digest names and which time it covers.
    fn learn(&mut self, judged: &Judged) {
        if let Some(key) = &judged.key {
            let address = |log: &str| xxh3_128(address(&judged.row.uri, key, log).as_bytes());
            self.named.extend(judged.logs.iter().map(|log| address(&log.s3_object)));
        }
        if !judged.row.is_backfill {
            let is_usable = judged.state.is_plausible();
            self.covered.add(judged.window, is_usable, judged.row.gap_from, judged.state == State::Missing);
        }
    }

    /// Finds the logs that no digest names.
    async fn unnamed(
        &mut self,
        findings: &mut Findings,
        mut kept: Option<&mut EvidenceLog>,
    ) -> Result<(), EvidenceError> {
        self.covered.close();
        for place in self.places.clone() {
            for day in self.days(&place, Kind::CloudTrail).await? {
                let mut rows = Vec::new();
                for object in self.archive.list(&place, Kind::CloudTrail, day).await? {
                    let (named, delivered) = (object.name.delivered_at, credible(object.name.delivered_at, day));
                    if self.named.contains(&xxh3_128(object.uri.as_bytes())) || !self.is_asked(delivered, day) {
                        continue;
                    }
                    let kind = self.covered.judge(named, day, self.options.now);
                    let row = FileRow {
                        uri: object.uri.clone(),
                        version_tag: Some(object.version_tag.clone()),
                        account_id: place.account_id.clone(),
                        region: place.region.clone(),
                        // A time that its folder contradicts must not tell later which checks look at it.
                        delivered_at: delivered.map(|at| at.timestamp_micros()),
                        ..FileRow::default()
                    };
                    rows.extend(findings.unnamed(Stray { object, row }, kind));
                }
                if let Some(kept) = kept.as_deref_mut() {
                    kept.add(&[], &rows).await?;
                }
            }
        }
        Ok(())
    }

    fn is_asked(&self, delivered: Option<DateTime<Utc>>, day: NaiveDate) -> bool {
        let (since, until) = (self.options.prune.since, self.options.prune.until);
        match delivered {
            Some(at) => since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until),
            None => {
                since.is_none_or(|since| day >= since.date_naive())
                    && until.is_none_or(|until| day <= until.date_naive())
            }
        }
    }
}
