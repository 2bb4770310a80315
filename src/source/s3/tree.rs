//! Finds the lanes of a bucket, and their days: level by level, and only where the run asks for something.
//!
//! ```text
//! prefix ─► AWSLogs/ ─► accounts ─► Regions = lanes ─► years ─► months ─► days
//!           (a request per prefix, up to 32 at once; what is pruned is never asked for)
//! ```
//!
//! It never lists a bucket flat. Keys below a day are not its concern.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use futures::{StreamExt, TryStreamExt, stream};

use super::bucket::{Bucket, Listing, Page, S3Error, Wanted};
use super::place::{DaySpan, Place, day_prefix, is_account, last_part, meets};
use crate::source::{Kind, Prune};

/// Listing requests in flight.
pub(super) const LISTS_IN_FLIGHT: usize = 32;

/// Prefixes above `AWSLogs/` that are looked into; a bucket with more wants to be told where to look.
const ABOVE_MAX: usize = 500;

/// Pages of names at one place above `AWSLogs/`, likewise.
const ABOVE_PAGES_MAX: u32 = 10;

/// A span of so many days is asked for day by day; a longer one is searched for the days that exist.
const DIRECT_DAYS_MAX: i64 = 45;

/// The objects of one account, kind and Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The prefix that its days are below.
    pub prefix: String,
    /// The days that the source's own address limits it to.
    pub days: DaySpan,
}

impl Lane {
    fn is_asked_for(&self, prune: &Prune) -> bool {
        let mut parts = self.prefix.trim_end_matches('/').rsplit('/');
        let (region, account) = (parts.next(), parts.nth(1).filter(|part| is_account(part)));
        let among = |wanted: &[String], found: Option<&str>| {
            wanted.is_empty() || found.is_none_or(|found| wanted.iter().any(|each| each == found))
        };
        among(&prune.accounts, account) && among(&prune.regions, region)
    }

    /// A key before which no object delivered since the instant can be, when the lane's own prefix tells its account.
    #[must_use]
    pub fn first_name(&self, since: Option<DateTime<Utc>>) -> Option<String> {
        let since = since?;
        let mut parts = self.prefix.trim_end_matches('/').rsplit('/');
        let (region, kind, account) = (parts.next()?, parts.next()?, parts.next()?);
        let file = format!("{account}_{kind}_{region}_{}", since.format("%Y%m%dT%H%M"));
        // A digest's name has its trail before the time.
        (is_account(account) && Kind::OF_EVENTS.iter().any(|each| kind == each.name()))
            .then(|| day_prefix(&self.prefix, since.date_naive()) + &file)
    }
}

impl PartialOrd for DaySpan {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DaySpan {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.from, self.until).cmp(&(other.from, other.until))
    }
}

/// What lies below an address.
#[derive(Debug, Default)]
pub struct Found {
    /// Lanes, in the order of their prefixes.
    pub lanes: Vec<Lane>,
    /// Keys that are named like objects but lie in no lane.
    pub loose: Vec<Listing>,
    /// Places that could not be listed.
    pub failed: Vec<S3Error>,
}

/// Finds the lanes of some kinds below a prefix.
///
/// # Errors
/// When a place above the accounts cannot be listed, or there are too many of them.
pub(super) async fn lanes(bucket: &Bucket, prefix: &str, kinds: &[Kind], prune: &Prune) -> Result<Found, S3Error> {
    let mut found = Found::default();
    let mut wave = vec![prefix.to_owned()];
    if let Place::Lane { .. } = Place::of(prefix, kinds)
        && is_bare(bucket, prefix).await?
    {
        // Nothing told of this lane but the address, and there is none.
        return Ok(found);
    }
    let mut looked_above = 0;
    while !wave.is_empty() {
        let steps: Vec<(String, Place)> =
            wave.drain(..).map(|prefix| (prefix.clone(), Place::of(&prefix, kinds))).collect();
        looked_above += steps.iter().filter(|(_, place)| *place == Place::Above).count();
        if looked_above > ABOVE_MAX {
            return Err(too_wide(bucket, prefix));
        }
        let mut answers = stream::iter(steps).map(|step| look(bucket, step, kinds)).buffered(LISTS_IN_FLIGHT);
        while let Some((prefix, place, page)) = answers.next().await {
            match page {
                Ok(page) => {
                    let wanted = page.prefixes.into_iter().filter(|below| asked_for(below, &place, kinds, prune));
                    wave.extend(wanted);
                    found.loose.extend(page.objects);
                }
                Err(error) if matches!(place, Place::Above | Place::Accounts) || found.is_empty() => return Err(error),
                Err(error) => found.failed.push(error),
            }
            if let Place::Lane { lane, days } = place {
                found.lanes.push(Lane { prefix: lane, days });
            }
            let _ = prefix;
        }
    }
    // An address may begin below the level at which accounts and Regions are chosen.
    found.lanes.retain(|lane| lane.is_asked_for(prune));
    found.lanes.sort();
    found.lanes.dedup();
    Ok(found)
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.loose.is_empty() && self.failed.is_empty()
    }
}

/// Whether nothing at all is below a prefix.
async fn is_bare(bucket: &Bucket, prefix: &str) -> Result<bool, S3Error> {
    let page = bucket.list(Wanted { prefix, one_level: true, after: None, next: None }).await?;
    Ok(page.prefixes.is_empty() && page.objects.is_empty())
}

/// What is right below a place. A lane is known by its address alone.
async fn look(bucket: &Bucket, step: (String, Place), kinds: &[Kind]) -> (String, Place, Result<Page, S3Error>) {
    let (prefix, place) = step;
    let page = match place {
        Place::Lane { .. } | Place::Elsewhere => Ok(Page::default()),
        // Of what an account's folder may hold, these names are ours: no request is needed to know them.
        Place::Account => {
            let prefixes = kinds.iter().map(|kind| format!("{prefix}{}/", kind.name())).collect();
            Ok(Page { prefixes, ..Page::default() })
        }
        Place::Above => above(bucket, &prefix).await,
        Place::Accounts | Place::Regions => bucket.level(&prefix, None).await,
    };
    (prefix, place, page)
}

async fn above(bucket: &Bucket, prefix: &str) -> Result<Page, S3Error> {
    let mut all = Page::default();
    for _ in 0..ABOVE_PAGES_MAX {
        let next = all.next.take();
        let page = bucket.list(Wanted { prefix, one_level: true, after: None, next: next.as_deref() }).await?;
        all.prefixes.extend(page.prefixes);
        all.objects.extend(page.objects);
        if page.next.is_none() {
            return Ok(all);
        }
        all.next = page.next;
    }
    Err(too_wide(bucket, prefix))
}

fn too_wide(bucket: &Bucket, prefix: &str) -> S3Error {
    let why = "too much lies here to look for AWSLogs/ in all of it; name the prefix that holds AWSLogs/".to_owned();
    S3Error { uri: bucket.uri(prefix), code: None, why }
}

fn asked_for(below: &str, place: &Place, kinds: &[Kind], prune: &Prune) -> bool {
    let part = last_part(below);
    let among = |wanted: &[String]| wanted.is_empty() || wanted.iter().any(|each| each == part);
    match Place::of(below, kinds) {
        Place::Elsewhere => false,
        Place::Account => among(&prune.accounts),
        Place::Lane { .. } if *place == Place::Regions => among(&prune.regions),
        Place::Accounts => !is_account(part),
        _ => true,
    }
}

/// The days of a lane within some spans, each as its date; `horizon` is the day behind the last that can exist.
///
/// # Errors
/// When a level cannot be listed.
pub(super) async fn days(
    bucket: &Bucket,
    lane: &Lane,
    spans: &[DaySpan],
    horizon: NaiveDate,
) -> Result<Vec<NaiveDate>, S3Error> {
    let mut days = Vec::new();
    for span in spans.iter().map(|span| span.and(lane.days)).filter(|span| !span.is_empty()) {
        let until = span.until.unwrap_or(horizon);
        match span.from {
            Some(from) if (until - from).num_days() <= DIRECT_DAYS_MAX => {
                days.extend(from.iter_days().take_while(|day| *day < until));
            }
            _ => days.extend(search(bucket, &lane.prefix, span).await?),
        }
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

/// Searches years, then months, then days.
async fn search(bucket: &Bucket, lane: &str, span: DaySpan) -> Result<Vec<NaiveDate>, S3Error> {
    let mut level = vec![lane.to_owned()];
    for depth in 0..3 {
        let below = stream::iter(level).map(|prefix| one_down(bucket, prefix, lane, span, depth));
        level = below.buffered(LISTS_IN_FLIGHT / 4).try_concat().await?;
    }
    let day = |prefix: &String| prefix.strip_prefix(lane)?.trim_end_matches('/').replace('/', "-").parse().ok();
    Ok(level.iter().filter_map(day).collect())
}

async fn one_down(
    bucket: &Bucket,
    prefix: String,
    lane: &str,
    span: DaySpan,
    depth: u32,
) -> Result<Vec<String>, S3Error> {
    let after = span.from.and_then(|from| before(lane, &prefix, from, depth));
    let mut below = bucket.level(&prefix, after.as_deref()).await?.prefixes;
    below.retain(|prefix| {
        let date: Vec<&str> = prefix.strip_prefix(lane).unwrap_or_default().split_terminator('/').collect();
        meets(span, &date)
    });
    Ok(below)
}

/// A key behind everything of the year, month or day before the one that the span begins in, so that a listing starts
/// with the latter.
fn before(lane: &str, prefix: &str, from: NaiveDate, depth: u32) -> Option<String> {
    let date = match depth {
        0 => format!("{:04}", from.year() - 1),
        1 if from.month() > 1 => format!("{:04}/{:02}", from.year(), from.month() - 1),
        2 if from.day() > 1 => {
            let day = from.checked_sub_days(Days::new(1))?;
            format!("{:04}/{:02}/{:02}", day.year(), day.month(), day.day())
        }
        _ => return None,
    };
    let key = format!("{lane}{date}/~");
    key.starts_with(prefix).then_some(key)
}

/// One page of a day's keys.
pub(super) async fn day_page(
    bucket: &Bucket,
    lane: &Lane,
    day: NaiveDate,
    after: Option<&str>,
    next: Option<&str>,
) -> Result<Page, S3Error> {
    let prefix = day_prefix(&lane.prefix, day);
    bucket.list(Wanted { prefix: &prefix, one_level: false, after, next }).await
}
