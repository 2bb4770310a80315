//! CloudTrail's own memory as a source: `lookup://eu-west-1,us-east-1` asks `LookupEvents` for what the last 90 days of
//! event history hold, without any trail (facts §8.1).
//!
//! ```text
//! lookup://regions ─► slices: attribute × Region × days ─► Reading: pages of 50 ─► one record per line
//! ```
//!
//! A [`Slice`] is to this source what a log object is to the others: the ledger names it, and one that lies wholly in the
//! past is asked for once. Event history cannot leave KMS out as a trail can; it is therefore also a check on one. It is
//! slow (two requests a second, fifty events each) and holds management events only.
//!
//! The text of a record is the one that a trail delivers, under the same `eventID`, so that events from here and from S3
//! are one. Two differences are possible: a trail's bucket may hold a later delivery with an `addendum`, which is an
//! event of its own, and an organization's trail has the copies of all its accounts, while this has those of one.

mod pace;
mod reading;

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_cloudtrail::Client;
use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use tokio::sync::Semaphore;

pub use pace::{Clock, SystemClock};
pub use reading::Reading;

use super::aws::told;
use super::trouble::Trouble;
use super::{Body, Kind, ObjectName, ObjectRef, Place, Prune};
use pace::Pace;

/// How far back event history goes.
const HISTORY_DAYS: i64 = 90;

/// How long after its day an event may still turn up. Until then a slice is asked for again at every run.
const SETTLED_AFTER_DAYS: i64 = 2;

/// Days in a slice of a single operation. Such operations are rare, and a request that finds nothing takes half a second
/// like any other.
const RARE_DAYS: i64 = 16;

/// Slices of one Region that are fetched at the same time: one is on its way while the other waits for its turn. More would
/// not be quicker, and would all be held at once.
const FETCHES_PER_REGION: usize = 2;

/// How often it is asked whose history it is.
const FIRST_ATTEMPTS: u32 = 3;

/// A slice without events, as a log object says it. One without bytes would be an object that was damaged.
const NOTHING: &[u8] = b"{\"Records\":[]}";

/// The tag of a slice to which nothing can be added any more.
const SETTLED: &str = "settled";

/// What can go wrong with this source.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The address names no Region.
    #[error("{0}: name the Regions to look in, as in lookup://eu-west-1,us-east-1")]
    Address(String),
    /// Whose history it would be cannot be told.
    #[error("sts:GetCallerIdentity: {0}")]
    Account(String),
    /// A request was refused, or failed too often.
    #[error("cloudtrail:LookupEvents in {region}: {why}")]
    Refused {
        /// Where.
        region: String,
        /// Why.
        why: String,
    },
    /// A slice that is too large for memory found no room in a file either.
    #[error("cannot keep what was found: {0}")]
    Room(#[from] io::Error),
}

/// What to look for. LookupEvents takes one attribute at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// Every event of a service.
    EventSource(&'static str),
    /// Every event of an operation, whatever the service.
    EventName(&'static str),
}

impl Attribute {
    fn label(self) -> String {
        match self {
            Self::EventSource(source) => format!("EventSource={source}"),
            Self::EventName(name) => format!("EventName={name}"),
        }
    }

    fn days(self) -> i64 {
        match self {
            Self::EventSource(_) => 1,
            Self::EventName(_) => RARE_DAYS,
        }
    }
}

/// A source of which most events are wanted, so that one attribute serves for all its operations. CloudTrail itself is none:
/// its commonest event is the very LookupEvents that would be asked for.
const WHOLE: &str = "sts.amazonaws.com";

/// The attributes that find these events: all of one service, which come first, and certain operations of others.
#[must_use]
pub fn attributes(service: &'static str, others: &'static [(&'static str, &'static [&'static str])]) -> Vec<Attribute> {
    let mut attributes = vec![Attribute::EventSource(service)];
    let (whole, by_name): (Vec<_>, Vec<_>) = others.iter().partition(|(source, _)| *source == WHOLE);
    attributes.extend(whole.into_iter().map(|(source, _)| Attribute::EventSource(source)));
    attributes.extend(by_name.into_iter().flat_map(|(_, names)| names.iter().copied().map(Attribute::EventName)));
    attributes
}

/// The Regions that an address names.
///
/// # Errors
/// When it is no `lookup://` address or names none.
pub fn regions(uri: &str) -> Result<Vec<String>, LookupError> {
    let address = || LookupError::Address(uri.to_owned());
    let list = uri.strip_prefix("lookup://").ok_or_else(address)?.trim_end_matches('/');
    let regions: Vec<String> = list.split(',').map(|region| region.trim().to_owned()).collect();
    let is_region = |region: &String| {
        !region.is_empty()
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if regions.iter().all(is_region) { Ok(regions) } else { Err(address()) }
}

/// One attribute in one Region over some days: what is asked for, and remembered, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Its address in the ledger, the same at every run:
    /// `lookup://111122223333/eu-west-1/EventSource=kms.amazonaws.com/2026-01-05`.
    pub uri: String,
    /// The same at every run once the slice is settled, and never the same before.
    pub version_tag: String,
    /// The account whose history it is.
    pub account_id: String,
    /// Where.
    pub region: String,
    /// What.
    pub attribute: Attribute,
    /// From this instant on.
    pub from: DateTime<Utc>,
    /// Before this instant.
    pub until: DateTime<Utc>,
}

impl Slice {
    /// The slice as the object that the ledger knows it by. Its size is not known before it is read.
    #[must_use]
    pub fn object(&self) -> ObjectRef {
        let (account_id, region) = (Some(self.account_id.clone()), Some(self.region.clone()));
        ObjectRef {
            uri: self.uri.clone(),
            place: Place::Slice(Box::new(self.clone())),
            size: 0,
            version_tag: self.version_tag.clone(),
            name: ObjectName { kind: Kind::EventHistory, account_id, region, delivered_at: None },
        }
    }
}

/// Event history of one account, in some Regions. A Region that failed for good stays failed: open another to try again.
#[derive(Debug, Clone)]
pub struct LookupSource {
    account_id: String,
    regions: Vec<Arc<RegionHistory>>,
    attributes: Vec<Attribute>,
}

/// A Region, with what it takes to ask it.
#[derive(Debug)]
struct RegionHistory {
    region: String,
    client: Client,
    pace: Pace,
    fetches: Semaphore,
    /// Why it cannot be asked, once that has turned out: a Region that does not exist, or that the caller may not ask,
    /// would otherwise be found out again for each of hundreds of slices.
    closed: OnceLock<String>,
    /// Whether nothing was answered, ever or since the last request that was given up.
    is_silent: AtomicBool,
    trouble: Trouble,
}

impl RegionHistory {
    fn new(region: &str, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            region: region.to_owned(),
            client,
            pace: Pace::new(clock),
            fetches: Semaphore::new(FETCHES_PER_REGION),
            closed: OnceLock::new(),
            is_silent: AtomicBool::new(true),
            trouble: Trouble::default(),
        }
    }
}

impl LookupSource {
    /// Gets ready to ask, and learns whose history it is.
    ///
    /// # Errors
    /// When AWS does not know the caller.
    pub async fn open(
        config: &SdkConfig,
        regions: &[String],
        attributes: Vec<Attribute>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LookupError> {
        let place = |region: &String| {
            let region_config = aws_config::Region::new(region.clone());
            // Retries are ours, so that they keep to the pace as well.
            let config = aws_sdk_cloudtrail::config::Builder::from(config).region(region_config);
            let client = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
            Arc::new(RegionHistory::new(region, client, Arc::clone(&clock)))
        };
        let regions: Vec<Arc<RegionHistory>> = regions.iter().map(place).collect();
        let account_id = account_id(config, regions.first().map_or("us-east-1", |place| &place.region)).await?;
        Ok(Self { account_id, regions, attributes })
    }

    /// Everything to ask for, the most important first and the newest of it first, Region by Region in turn, so that several
    /// may be asked at once without one waiting for another's pace.
    ///
    /// What a run does not ask for is left out by the day, or for rare operations by their longer slices; events a little
    /// outside of what was asked for come with them.
    #[must_use]
    pub fn slices(&self, now: DateTime<Utc>, prune: &Prune) -> Vec<Slice> {
        let wanted = |list: &[String], one: &String| list.is_empty() || list.contains(one);
        if !wanted(&prune.accounts, &self.account_id) {
            return Vec::new();
        }
        let oldest = now - Duration::days(HISTORY_DAYS);
        let since = prune.since.map_or(oldest, |since| since.max(oldest));
        let until = prune.until.map_or(now, |until| until.min(now));
        let mut slices = Vec::new();
        for &attribute in &self.attributes {
            for from in beginnings(attribute.days(), since, until) {
                for place in self.regions.iter().filter(|place| wanted(&prune.regions, &place.region)) {
                    slices.push(self.slice(attribute, &place.region, from, now));
                }
            }
        }
        slices
    }

    fn slice(&self, attribute: Attribute, region: &str, first: NaiveDate, now: DateTime<Utc>) -> Slice {
        let days = attribute.days();
        let last = first + Duration::days(days - 1);
        let when = if days == 1 { first.to_string() } else { format!("{first}..{last}") };
        let from = first.and_time(NaiveTime::MIN).and_utc();
        let end = from + Duration::days(days);
        let is_settled = end + Duration::days(SETTLED_AFTER_DAYS) <= now;
        Slice {
            uri: format!("lookup://{}/{region}/{}/{when}", self.account_id, attribute.label()),
            version_tag: if is_settled { SETTLED.to_owned() } else { format!("asked at {}", now.to_rfc3339()) },
            account_id: self.account_id.clone(),
            region: region.to_owned(),
            attribute,
            // What is older or to come is not there, and asking for it may be refused.
            from: from.max(now - Duration::days(HISTORY_DAYS)),
            until: end.min(now + Duration::seconds(1)),
        }
    }

    /// Begins to read a slice of this source; nothing is asked until the first page is wanted.
    ///
    /// # Errors
    /// When the slice is of a Region that this source does not have.
    pub fn read(&self, slice: &Slice) -> Result<Reading, LookupError> {
        Ok(Reading::new(Arc::clone(self.history(slice)?), slice))
    }

    /// Reads a slice to its end: the records, one per line, or a log object without records. As many slices as one likes
    /// may be fetched at the same time; of each Region, only a few are begun.
    ///
    /// # Errors
    /// When CloudTrail refuses, or fails again and again, or when there is no room for the file of a large slice.
    pub async fn fetch(&self, slice: &Slice) -> Result<Body, LookupError> {
        let history = self.history(slice)?;
        // Nobody closes the semaphore; if somebody did, fetching would only be less orderly.
        let _turn = history.fetches.acquire().await;
        let (mut reading, mut body) = (self.read(slice)?, Body::with_capacity(0));
        let mut is_empty = true;
        while let Some(page) = reading.page().await? {
            body.push(page.as_bytes())?;
            is_empty = false;
        }
        if is_empty {
            body.push(NOTHING)?;
        }
        Ok(body.finish()?)
    }

    fn history(&self, slice: &Slice) -> Result<&Arc<RegionHistory>, LookupError> {
        let unknown =
            || LookupError::Refused { region: slice.region.clone(), why: "not a Region of this source".to_owned() };
        self.regions.iter().find(|history| history.region == slice.region).ok_or_else(unknown)
    }
}

/// First days of the slices that reach into this time, the newest first. Slices of several days begin on the same days at
/// every run, because their addresses are remembered.
fn beginnings(days: i64, since: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = NaiveDate> {
    let number = |instant: DateTime<Utc>| instant.timestamp().div_euclid(86_400).div_euclid(days);
    // The end is not part of the time.
    let (first, last) = (number(since), number(until - Duration::nanoseconds(1)));
    (first..=last).rev().filter_map(move |slice| NaiveDate::from_epoch_days(i32::try_from(slice * days).ok()?))
}

/// The account must be part of a slice's address: another account's history would otherwise pass for read.
async fn account_id(config: &SdkConfig, region: &str) -> Result<String, LookupError> {
    let region = aws_config::Region::new(region.to_owned());
    // The first that is asked: whoever misspelt a Region should not wait for long to be told.
    let retries = RetryConfig::standard().with_max_attempts(FIRST_ATTEMPTS);
    let config = aws_sdk_sts::config::Builder::from(config).region(region).retry_config(retries).build();
    let answer = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    let answer = answer.map_err(|error| LookupError::Account(told(&error)))?;
    answer.account.ok_or_else(|| LookupError::Account("no account in the answer".to_owned()))
}

#[cfg(test)]
mod tests;
