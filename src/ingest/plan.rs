//! What a pass reads: each source with the days of it that are to be listed, and afterwards what that has settled.

use chrono::{DateTime, Duration, Utc};

use super::{IngestError, Options, Scope};
use crate::lake::listings::{Listing, Listings};
use crate::source::s3::{DaySpan, Found, LaneDays};
use crate::source::{Kind, LocalSource, LookupSource, S3Source, Source};

/// How far back a look at recent objects goes, by the times in their names.
const RECENT: Duration = Duration::hours(2);

/// A source, ready to be walked.
pub(super) enum Planned {
    Local(LocalSource),
    S3 { source: S3Source, found: Found, lanes: Vec<LaneDays> },
    Lookup(LookupSource),
    Nothing,
}

/// What a pass lists of buckets, by lane.
#[derive(Debug, Default)]
pub(super) struct Plan {
    lanes: Vec<(String, Vec<DaySpan>)>,
    /// Lanes of which settled days are left out.
    pub settled_lanes: u64,
}

impl Plan {
    /// Looks up the lanes of a source and leaves out the days that are settled.
    pub async fn source(
        &mut self,
        source: &Source,
        address: &str,
        options: &Options,
        listings: &Listings,
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
        let mut found = source.lanes(Kind::CloudTrail, &options.prune).await.map_err(failed)?;
        let asked = options.prune.days();
        let floor = options.now - RECENT;
        let mut lanes = Vec::new();
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
            self.lanes.push((uri, spans.clone()));
            let after = lane.first_name(if options.scope == Scope::Recent { Some(floor) } else { options.prune.since });
            lanes.push(LaneDays { lane, spans, after });
        }
        Ok(Planned::S3 { source, found, lanes })
    }

    /// The days that this pass has listed to their end: of no lane in which something could not be read, and no day of
    /// which it read but a part, or that was not over.
    pub fn listed(&self, options: &Options, unreadable: &[&str], now: DateTime<Utc>) -> Vec<Listing> {
        let whole = options.prune.whole_days().and(DaySpan { from: None, until: Some(now.date_naive()) });
        let sound = |lane: &str| !unreadable.iter().any(|uri| uri.starts_with(lane) || lane.starts_with(uri));
        let lanes = self.lanes.iter().filter(|(lane, _)| sound(lane));
        let spans = lanes.flat_map(|(lane, spans)| spans.iter().map(move |span| (lane, span.and(whole))));
        spans
            .filter(|(_, span)| !span.is_empty())
            .map(|(lane, span)| Listing { lane: lane.clone(), days: (span.from, span.until) })
            .collect()
    }
}
