//! What a pass reads: each source with the days of it that are to be listed, and afterwards what that has settled.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, Duration, NaiveDate, Utc};

use super::{IngestError, Options, Scope};
use crate::lake::ledger::Known;
use crate::lake::listings::{Listing, Listings};
use crate::source::s3::{DaySpan, Found, LaneDays};
use crate::source::{Kind, LocalSource, LookupSource, S3Source, Source};

/// How far back a look at recent objects goes, by the times in their names.
const RECENT: Duration = Duration::hours(2);

/// Archived objects of settled days that a run looks at, to see whether they were restored. It takes a request for each.
const ARCHIVED_LOOKED_AT_MAX: usize = 1_000;

/// A source, ready to be walked.
pub(super) enum Planned {
    Local(LocalSource),
    S3 { source: S3Source, found: Found, lanes: Vec<LaneDays>, archived: Vec<String> },
    Lookup(LookupSource),
    Nothing,
}

/// What a pass lists of buckets, by lane.
#[derive(Debug, Default)]
pub(super) struct Plan {
    lanes: Vec<(String, Vec<DaySpan>)>,
    /// Lanes of which settled days are left out.
    pub settled_lanes: u64,
    /// Archived objects that are not looked at.
    pub archived_beyond: u64,
}

impl Plan {
    /// Looks up the lanes of a source and leaves out the days that are settled.
    pub async fn source(
        &mut self,
        source: &Source,
        address: &str,
        options: &Options,
        listings: &Listings,
        known: &Known,
    ) -> Result<Planned, IngestError> {
        let source = match source {
            Source::Local(source) => return Ok(Planned::Local(source.clone())),
            // Its history is asked at two requests a second: not for every look at what is recent.
            Source::Lookup(_) if options.scope == Scope::Recent => return Ok(Planned::Nothing),
            Source::Lookup(source) => return Ok(Planned::Lookup(source.clone())),
            Source::S3(source) => source.clone(),
        };
        let failed = |error: crate::source::s3::S3Error| {
            let why = if error.uri == source.uri() { error.why } else { error.to_string() };
            IngestError::Source { uri: address.to_owned(), why }
        };
        let mut found = source.lanes(&Kind::OF_EVENTS, &options.prune).await.map_err(failed)?;
        let asked = options.prune.days();
        let floor = options.now - RECENT;
        let (mut lanes, mut archived) = (Vec::new(), Vec::new());
        for lane in std::mem::take(&mut found.lanes) {
            let uri = source.lane_uri(&lane);
            let asked = asked.and(lane.days);
            let spans = match options.scope {
                Scope::Everything => asked.without(&[]),
                Scope::Recent => asked.and(DaySpan { from: Some(floor.date_naive()), until: None }).without(&[]),
                Scope::Unsettled => {
                    let settled = listings.settled(&uri, options.relist_days);
                    self.settled_lanes += u64::from(!settled.is_empty());
                    asked.without(&settled.into_iter().map(|(from, until)| DaySpan { from, until }).collect::<Vec<_>>())
                }
            };
            if options.scope == Scope::Unsettled {
                let unlisted = |object: &String| {
                    let day = day_in(&uri, object);
                    day.is_some_and(|day| has(asked, day) && !spans.iter().any(|span| has(*span, day)))
                };
                let found = known.archived(&uri).into_iter().filter(unlisted);
                archived.extend(found.map(|object| (day_in(&uri, &object), object)));
            }
            self.lanes.push((uri, spans.clone()));
            // A name that is not the trail's own may stand before all of its names: only a look at what is recent, after
            // which another looks at everything, begins in the middle of a day.
            let after = (options.scope == Scope::Recent).then(|| lane.first_name(Some(floor))).flatten();
            lanes.push(LaneDays { lane, spans, after });
        }
        // The latest days are looked at first, of whatever account and Region.
        archived.sort_unstable_by(|one, other| other.cmp(one));
        self.archived_beyond += archived.len().saturating_sub(ARCHIVED_LOOKED_AT_MAX) as u64;
        archived.truncate(ARCHIVED_LOOKED_AT_MAX);
        let archived = archived.into_iter().map(|(_, object)| object).collect();
        Ok(Planned::S3 { source, found, lanes, archived })
    }

    /// Accounts and Regions of buckets that there are.
    pub fn lanes_found(&self) -> u64 {
        self.lanes.len() as u64
    }

    /// The days that this pass has listed to their end: of no lane in which something could not be read, and no day of
    /// which it read but a part, or that was not over. `left_out` are folders in which the bounds of the run left something
    /// out, which a run with others must come upon.
    pub fn listed(
        &self,
        options: &Options,
        unreadable: &[&str],
        left_out: &BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Vec<Listing> {
        let whole = options.prune.whole_days().and(DaySpan { from: None, until: Some(now.date_naive()) });
        let sound = |lane: &str| !unreadable.iter().any(|uri| uri.starts_with(lane) || lane.starts_with(uri));
        let lanes = self.lanes.iter().filter(|(lane, _)| sound(lane));
        let spans = lanes.flat_map(|(lane, spans)| {
            let days = left_out.iter().filter_map(|folder| day_in(lane, folder));
            let parts: Vec<DaySpan> =
                days.map(|day| DaySpan { from: Some(day), until: Some(day + Days::new(1)) }).collect();
            let whole = spans.iter().flat_map(|span| span.and(whole).without(&parts)).collect::<Vec<_>>();
            whole.into_iter().map(move |span| (lane, span))
        });
        spans
            .filter(|(_, span)| !span.is_empty())
            .map(|(lane, span)| Listing { lane: lane.clone(), days: (span.from, span.until) })
            .collect()
    }
}

/// The day that an address of something in a lane tells.
fn day_in(lane: &str, address: &str) -> Option<NaiveDate> {
    let date: Vec<&str> = address.strip_prefix(lane)?.splitn(4, '/').take(3).collect();
    date.join("-").parse().ok()
}

fn has(span: DaySpan, day: NaiveDate) -> bool {
    !span.and(DaySpan { from: Some(day), until: Some(day + Days::new(1)) }).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::listings::Span;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// What a run that did not read all of an object has listed: not that object's day.
    #[test]
    fn a_day_of_which_something_was_left_out_is_not_listed_to_its_end() {
        let all = DaySpan { from: Some(day("2026-01-01")), until: Some(day("2026-01-10")) };
        let plan = Plan {
            lanes: vec![("s3://b/one/".to_owned(), vec![all]), ("s3://b/two/".to_owned(), vec![all])],
            ..Plan::default()
        };
        let now = "2026-03-01T00:00:00Z".parse().unwrap();
        let left_out = BTreeSet::from(["s3://b/one/2026/01/03/".to_owned(), "s3://b/three/2026/01/05/".to_owned()]);
        let listed = plan.listed(&Options::at(now), &[], &left_out, now);
        let days = |lane: &str| -> Vec<Span> {
            listed.iter().filter(|listing| listing.lane == lane).map(|listing| listing.days).collect()
        };
        let span = |from: &str, until: &str| (Some(day(from)), Some(day(until)));
        assert_eq!(days("s3://b/one/"), [span("2026-01-01", "2026-01-03"), span("2026-01-04", "2026-01-10")]);
        assert_eq!(days("s3://b/two/"), [span("2026-01-01", "2026-01-10")]);
    }

    #[test]
    fn an_address_tells_its_day_in_a_lane() {
        assert_eq!(day_in("s3://b/l/", "s3://b/l/2026/05/02/x.json.gz"), Some(day("2026-05-02")));
        assert_eq!(day_in("s3://b/l/", "s3://b/l/2026/05/02/"), Some(day("2026-05-02")));
        assert_eq!(day_in("s3://b/l/", "s3://b/m/2026/05/02/x.json.gz"), None);
        assert_eq!(day_in("s3://b/l/", "s3://b/l/2026/05/x.json.gz"), None);
    }
}
