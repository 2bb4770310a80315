//! The walk along one chain of digests, from the newest to the oldest (facts §7.5).
//!
//! ```text
//! newest ──names──► … ──names──► oldest        each says where its predecessor is, its hash and its signature
//!    └ expected: what the one before must be; what it says waits as claims until that one is reached
//! ```
//!
//! A chain is of one trail, account and Region, below one prefix, standard or backfill. Its digests are read a few ahead
//! and held one at a time; what remains of them is a row each.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};

use super::archive::{Archive, Place, address};
use super::keys::PublicKeys;
use super::verdict::{self, Candidate, Claim, Loaded, State, Verdict};
use crate::cloudtrail::digest::{Digest, DigestName, LogFile, Previous};
use crate::lake::evidence::DigestRow;

/// Digests that are read ahead.
const READ_AHEAD: usize = 16;

/// Digests that are handed on at a time, with the names of their logs.
const PAGE_DIGESTS: usize = 64;

/// How long a digest's window is (facts §7.1), where nothing but its name is known or can be believed.
const WINDOW_HOURS: i64 = 1;

/// What makes digests one chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChainName {
    pub place: Place,
    pub trail: String,
    pub home_region: String,
    pub is_backfill: bool,
}

impl ChainName {
    pub fn of(place: &Place, name: &DigestName) -> Self {
        Self {
            place: place.clone(),
            trail: name.trail.clone(),
            home_region: name.home_region.clone(),
            is_backfill: name.is_backfill,
        }
    }
}

/// A digest with its verdict, its link to the one before, and the logs that it names.
#[derive(Debug)]
pub(super) struct Judged {
    pub row: DigestRow,
    pub state: State,
    pub is_witness: bool,
    /// Whether another digest names it.
    pub is_named: bool,
    /// Begin and end of its window of deliveries.
    pub window: (DateTime<Utc>, DateTime<Utc>),
    /// Its own key, as it says.
    pub key: Option<String>,
    /// What it names; empty when nothing that it says can be used.
    pub logs: Vec<LogFile>,
}

/// What a chain's walk needs besides its digests.
pub(super) struct Surroundings<'a> {
    pub archive: &'a dyn Archive,
    /// Every digest of the account and Region, by file name: a predecessor may lie below another prefix.
    pub by_file: &'a HashMap<String, Vec<Candidate>>,
    /// What digests said of others that were not reached yet, by address.
    pub claims: &'a mut HashMap<String, Claim>,
    pub keys: &'a mut PublicKeys,
    /// Digests that end before this are outside of what was asked for.
    pub since: Option<DateTime<Utc>>,
}

/// A walk under way.
pub(super) struct Walk<'a> {
    chain: &'a ChainName,
    loading: BoxStream<'a, Loaded>,
    judged: Vec<Judged>,
    /// The place among `judged` of the digest whose predecessor was not met yet.
    newer: Option<usize>,
    /// What that one names as its predecessor.
    expected: Option<Previous>,
}

impl<'a> Walk<'a> {
    /// Begins at the newest digest of a chain; `digests` are given newest first.
    pub fn new(chain: &'a ChainName, archive: &'a dyn Archive, digests: Vec<Candidate>) -> Self {
        let loading = stream::iter(digests).map(move |digest| verdict::load(archive, digest)).buffered(READ_AHEAD);
        Self { chain, loading: loading.boxed(), judged: Vec::new(), newer: None, expected: None }
    }

    /// The next digests, newest first, each when its link to the one before is known; nothing at the end.
    pub async fn page(&mut self, around: &mut Surroundings<'_>) -> Option<Vec<Judged>> {
        // What lies beside the chain waits for the next digest of the chain itself.
        while self.newer.unwrap_or_default() < PAGE_DIGESTS {
            let Some(loaded) = self.loading.next().await else {
                self.close(around);
                self.newer = None;
                let rest = std::mem::take(&mut self.judged);
                return (!rest.is_empty()).then_some(rest);
            };
            self.step(loaded, around).await;
        }
        let known = self.newer.unwrap_or_default();
        self.newer = self.newer.map(|_| 0);
        Some(self.judged.drain(..known).collect())
    }

    async fn step(&mut self, loaded: Loaded, around: &mut Surroundings<'_>) {
        let object = &loaded.candidate.object;
        let is_expected = self
            .expected
            .as_ref()
            .map(|expected| around.archive.is_at(object, expected.bucket.as_deref(), &expected.object));
        let is_between = is_expected == Some(false) && self.expected_end() < Some(loaded.candidate.name.end);
        if is_expected == Some(false) && !is_between {
            self.predecessor_is_not_next(around);
        }
        let claim = around.claims.remove(&object.uri);
        let verdict = verdict::judge(around.archive, around.keys, &loaded, claim.as_ref()).await;
        let mut judged = Judged { is_named: claim.is_some(), ..self.row(&loaded, verdict) };
        if is_between {
            // The digests to either side of it name each other.
            judged.row.chain = "broken";
        } else {
            self.link(&judged, is_expected == Some(true));
        }
        self.remember(&loaded, judged, around, is_between);
    }

    /// When the predecessor that is waited for ends, as its name says.
    fn expected_end(&self) -> Option<DateTime<Utc>> {
        self.expected.as_ref().and_then(|expected| DigestName::parse(&expected.object)).map(|name| name.end)
    }

    /// Says of the newer digest how it joins this one.
    fn link(&mut self, older: &Judged, is_expected: bool) {
        let is_backfill = self.chain.is_backfill;
        let Some(newer) = self.newer.map(|at| &mut self.judged[at]) else { return };
        if newer.row.chain != OPEN {
            return;
        }
        let joins = is_backfill || newer.window.0 <= older.window.1;
        newer.row.chain = match (is_expected, older.state) {
            _ if !newer.state.is_plausible() => "broken",
            (true, State::Invalid | State::Unreadable) => "broken",
            (true, _) if joins => "linked",
            // It begins a chain though there are older digests, or leaves a time between.
            _ => "gap",
        };
        if newer.row.chain == "gap" {
            newer.row.gap_from = Some(older.window.1.timestamp_micros());
        }
    }

    /// The digest that the newer one names is not the next that there is: it is elsewhere, was not asked for, or is
    /// missing.
    fn predecessor_is_not_next(&mut self, around: &Surroundings<'_>) {
        let Some(expected) = self.expected.take() else { return };
        let Some(at) = self.newer else { return };
        let name = DigestName::parse(&expected.object);
        let same_file = around.by_file.get(file(&expected.object)).map_or(&[][..], Vec::as_slice);
        let is_at =
            |other: &&Candidate| around.archive.is_at(&other.object, expected.bucket.as_deref(), &expected.object);
        let newer = &mut self.judged[at];
        if let Some(elsewhere) = same_file.iter().find(is_at) {
            let joins = self.chain.is_backfill || newer.window.0 <= elsewhere.name.end;
            newer.row.chain = if joins { "linked" } else { "gap" };
            newer.row.gap_from = (!joins).then(|| elsewhere.name.end.timestamp_micros());
            return;
        }
        let is_outside = name.as_ref().zip(around.since).is_some_and(|(name, since)| name.end <= since);
        if is_outside {
            newer.row.chain = "outside";
            return;
        }
        newer.row.chain = "broken";
        let missing = self.missing(at, &expected, name, same_file);
        self.judged.push(missing);
    }

    fn missing(&self, by: usize, expected: &Previous, name: Option<DigestName>, same_file: &[Candidate]) -> Judged {
        let by = &self.judged[by];
        let uri = by.row.previous_uri.clone().unwrap_or_else(|| expected.object.clone());
        let found = same_file.first().map(|other| format!("; a file of its name is at {}", other.object.uri));
        let reason = format!("not found: {} names it{}", by.row.uri, found.unwrap_or_default());
        let end = name.map_or(by.window.0, |name| name.end);
        let window = (end - Duration::hours(WINDOW_HOURS), end);
        let row = DigestRow {
            uri,
            state: State::Missing.name(),
            reason: Some(reason),
            chain: "broken",
            is_organization: by.row.is_organization,
            start_time: Some(window.0.timestamp_micros()),
            end_time: Some(window.1.timestamp_micros()),
            ..self.blank()
        };
        Judged {
            row,
            state: State::Missing,
            is_witness: by.is_witness,
            is_named: true,
            window,
            key: None,
            logs: Vec::new(),
        }
    }

    /// The last digest's predecessor was not met.
    fn close(&mut self, around: &Surroundings<'_>) {
        if self.expected.is_some() {
            self.predecessor_is_not_next(around);
        }
        for judged in &mut self.judged {
            if judged.row.chain == OPEN {
                let begins = judged.state.is_plausible() && judged.row.previous_uri.is_none();
                judged.row.chain = if begins { "start" } else { "broken" };
            }
        }
    }

    /// What every row of this chain has.
    fn blank(&self) -> DigestRow {
        let ChainName { place, trail, home_region, is_backfill } = self.chain;
        DigestRow {
            account_id: place.account_id.clone(),
            region: place.region.clone(),
            trail: trail.clone(),
            home_region: home_region.clone(),
            prefix: place.prefix.clone(),
            is_backfill: *is_backfill,
            chain: OPEN,
            ..DigestRow::default()
        }
    }

    fn row(&self, loaded: &Loaded, verdict: Verdict) -> Judged {
        let Candidate { object, name, is_witness, .. } = &loaded.candidate;
        let usable = loaded.digest().filter(|_| verdict.state.is_plausible());
        let by_name = (name.end - Duration::hours(WINDOW_HOURS), name.end);
        // What nobody is known to have signed may tell any time, and would vouch for all of it.
        let proven = usable.filter(|_| verdict.state == State::Valid);
        let window = proven.and_then(|digest| digest.start().zip(digest.end())).unwrap_or(by_name);
        let key = usable.map(|digest| digest.digest_s3_object.clone());
        let row = DigestRow {
            uri: object.uri.clone(),
            is_organization: loaded.digest().is_some_and(is_organization),
            start_time: Some(window.0.timestamp_micros()),
            end_time: Some(window.1.timestamp_micros()),
            state: verdict.state.name(),
            reason: verdict.reason,
            previous_uri: usable.and_then(|digest| {
                let previous = digest.previous()?.object;
                Some(address(&object.uri, &digest.digest_s3_object, &previous))
            }),
            ..self.blank()
        };
        let logs = usable.map(|digest| digest.log_files.clone()).unwrap_or_default();
        Judged { row, state: verdict.state, is_witness: *is_witness, is_named: false, window, key, logs }
    }

    /// Keeps what the digest says of its predecessor for when that is reached.
    fn remember(&mut self, loaded: &Loaded, judged: Judged, around: &mut Surroundings<'_>, is_between: bool) {
        let previous = loaded.digest().and_then(Digest::previous);
        if let (Some(previous), Some(digest)) = (&previous, loaded.digest()) {
            let told = address(&loaded.candidate.object.uri, &digest.digest_s3_object, &previous.object);
            let claim = Claim {
                hash: previous.hash.clone(),
                signature: previous.signature.clone(),
                by: judged.row.uri.clone(),
                state: judged.state,
            };
            // The place where it lies may be below another prefix than the one that is told from this digest's own.
            let same_file = around.by_file.get(file(&previous.object)).map_or(&[][..], Vec::as_slice);
            let is_at =
                |other: &&Candidate| around.archive.is_at(&other.object, previous.bucket.as_deref(), &previous.object);
            let uri = same_file.iter().find(is_at).map_or(told, |other| other.object.uri.clone());
            // A digest that can be believed is not contradicted by one that cannot.
            let known = around.claims.get(&uri).is_some_and(|known| known.state.is_plausible());
            if !known || judged.state == State::Valid {
                around.claims.insert(uri, claim);
            }
        }
        let is_usable = judged.state.is_plausible();
        self.judged.push(judged);
        if is_between {
            return;
        }
        self.newer = Some(self.judged.len() - 1);
        self.expected = previous.filter(|_| is_usable);
    }
}

/// A link that is not known yet.
const OPEN: &str = "";

fn file(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Whether the digest's own key has the folder of an organization: `AWSLogs/o-…/`.
fn is_organization(digest: &Digest) -> bool {
    let mut parts = digest.digest_s3_object.split('/');
    parts.any(|part| part == "AWSLogs") && parts.next().is_some_and(|part| part.starts_with("o-"))
}
