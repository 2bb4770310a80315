//! Where log objects come from, and what their names tell before a byte is read.
//!
//! Nothing here knows of events. A source lists [`ObjectRef`]s in a steady order, prunes what a run does not ask for,
//! and opens them.

pub mod aws;
pub mod body;
pub mod local;
pub mod lookup;
pub mod name;
pub mod s3;
mod sniff;
pub mod store;
mod trouble;

pub use body::Body;
pub use local::LocalSource;
pub use lookup::{LookupError, LookupSource};
pub use name::{Kind, ObjectName};
pub use s3::S3Source;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::SdkConfig;
use chrono::{DateTime, Days, Utc};

use crate::address::{self, AddressError};

/// Where log objects come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A folder or file.
    Local(LocalSource),
    /// A bucket, or what lies below a prefix of it.
    S3(S3Source),
    /// CloudTrail's event history.
    Lookup(LookupSource),
}

/// A source that cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its address is of no kind that is known.
    #[error("{0}:// is not a kind of source; give a folder, a file, s3://bucket/prefix or lookup://region")]
    Scheme(String),
    /// Its address could be meant as more than one path, or names none.
    #[error("{uri}: {why}")]
    Address {
        /// As it was given.
        uri: String,
        /// Why not.
        why: AddressError,
    },
    /// The folder or file cannot be read.
    #[error("{0}")]
    Local(#[from] io::Error),
    /// S3 refuses.
    #[error("{}", .0.why)]
    S3(#[from] s3::S3Error),
    /// CloudTrail's event history cannot be asked.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Event history has no objects to read again.
    #[error("an event of CloudTrail's history lies in no object; ask for it with `aws cloudtrail lookup-events`")]
    NoObject,
}

/// How sources are reached.
#[derive(Debug, Clone, Default)]
pub struct SourceOptions {
    /// What the command line says of the way to AWS.
    pub aws: aws::AwsOptions,
    /// A configuration made elsewhere, used as it is instead.
    pub sdk: Option<SdkConfig>,
    /// How buckets are asked.
    pub s3: s3::S3Options,
    /// What to look for in event history.
    pub lookup: Vec<lookup::Attribute>,
    /// The clock by which event history is asked; the machine's when there is none.
    pub clock: Option<Arc<dyn lookup::Clock>>,
}

impl SourceOptions {
    /// The configuration of every client.
    pub async fn sdk(&self) -> SdkConfig {
        match &self.sdk {
            Some(sdk) => sdk.clone(),
            None => aws::config(&self.aws).await,
        }
    }
}

impl Source {
    /// Names a source by its address: a path, `file://`, `s3://` or `lookup://`.
    ///
    /// # Errors
    /// When the address is of no kind that is known, or there is no such folder, file or bucket.
    pub async fn open(uri: &str, options: &SourceOptions) -> Result<Self, SourceError> {
        match uri.split_once("://") {
            None => Ok(Self::Local(LocalSource::new(Path::new(uri))?)),
            Some(("file", rest)) => {
                let path = match address::path(uri) {
                    Ok(path) => path,
                    // What the ledger names is a URL; what a user types may be a path behind the slashes.
                    Err(AddressError::Host(host)) if !host.is_empty() => rest.into(),
                    Err(why) => return Err(SourceError::Address { uri: uri.to_owned(), why }),
                };
                Ok(Self::Local(LocalSource::new(&path)?))
            }
            Some(("s3", _)) => Ok(Self::S3(S3Source::open(uri, &options.sdk().await, &options.s3).await?)),
            Some(("lookup", _)) => {
                let (regions, sdk) = (lookup::regions(uri)?, options.sdk().await);
                let clock = options.clock.clone().unwrap_or_else(|| Arc::new(lookup::SystemClock::default()));
                Ok(Self::Lookup(LookupSource::open(&sdk, &regions, options.lookup.clone(), clock).await?))
            }
            Some((scheme, _)) => Err(SourceError::Scheme(scheme.to_owned())),
        }
    }
}

/// An object that is read again, by its address in the ledger.
#[derive(Debug)]
pub struct Again {
    /// The bytes as stored.
    pub bytes: Vec<u8>,
    /// The tag of the version that they are of.
    pub version_tag: String,
}

/// Reads one object by its address in the ledger; nothing when it is no longer there.
///
/// # Errors
/// When it cannot be read, or its source has no objects.
pub async fn read(uri: &str, options: &SourceOptions) -> Result<Option<Again>, SourceError> {
    if uri.starts_with("lookup://") {
        return Err(SourceError::NoObject);
    }
    match Source::open(uri, options).await {
        Ok(Source::Lookup(_)) => Err(SourceError::NoObject),
        Ok(Source::Local(file)) => Ok(file.read()?),
        Ok(Source::S3(bucket)) => Ok(bucket.read().await?),
        Err(SourceError::Local(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An object that a source lists.
#[derive(Debug, Clone)]
pub struct ObjectRef {
    /// Its address, the same at every run.
    pub uri: String,
    /// Where its bytes are.
    pub place: Place,
    /// Bytes as stored.
    pub size: u64,
    /// Changes whenever the object's content may have: an etag, or size and time of change.
    pub version_tag: String,
    /// What its name tells.
    pub name: ObjectName,
}

/// Where an object's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In event history.
    Slice(Box<lookup::Slice>),
    /// In a file of this machine.
    File(PathBuf),
    /// Where the source that listed it can fetch them.
    Remote,
}

/// Why something is no object to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It belongs beside logs: a folder's marker, or what was copied along with a digest.
    Beside,
    /// Neither its name nor its content is that of a log, so that it may matter that it was passed over.
    Stranger,
    /// It leads to a folder, perhaps one that it is in.
    Link,
}

/// What a listing comes upon.
#[derive(Debug)]
pub enum Listed {
    /// An object that may hold records.
    Object(ObjectRef),
    /// An object that is there to be read once it was taken out of an archive.
    Archived {
        /// The object.
        object: ObjectRef,
        /// The archive that it is in, as S3 names it.
        class: String,
    },
    /// An object that is no log.
    Skipped {
        /// Its address.
        uri: String,
        /// Why.
        why: Skip,
    },
    /// A place that could not be listed.
    Unreadable {
        /// Its address.
        uri: String,
        /// Why.
        why: String,
    },
}

/// What a run asks for. An object's name leaves it out only by what it tells: the records in it are held to the same
/// bounds afterwards, by who reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prune {
    /// Events from this instant on.
    pub since: Option<DateTime<Utc>>,
    /// Events before this instant.
    pub until: Option<DateTime<Utc>>,
    /// These accounts only; all when empty.
    pub accounts: Vec<String>,
    /// These Regions only; all when empty.
    pub regions: Vec<String>,
}

/// How much later than its events an object may be delivered and still be read for them (facts §1.1: read at least the
/// day after; redelivery after an outage takes longer and is found by a run without `--until`).
const DELIVERY_DAYS: i64 = 1;

/// What a name of a minute stands for: an event of that minute may be in the object.
const NAME_MINUTES: i64 = 1;

impl Prune {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an object of this name may hold what the run asks for.
    #[must_use]
    pub fn admits(&self, name: &ObjectName) -> bool {
        self.admits_place(name) && self.admits_time(name)
    }

    /// Whether the account and Region of a name, as far as it tells them, are asked for.
    #[must_use]
    pub fn admits_place(&self, name: &ObjectName) -> bool {
        let among = |wanted: &[String], found: &Option<String>| {
            wanted.is_empty() || found.as_ref().is_none_or(|found| wanted.contains(found))
        };
        among(&self.accounts, &name.account_id) && among(&self.regions, &name.region)
    }

    fn admits_time(&self, name: &ObjectName) -> bool {
        let Some(delivered) = name.delivered_at else { return true };
        let late = chrono::Duration::days(DELIVERY_DAYS);
        let minute = chrono::Duration::minutes(NAME_MINUTES);
        self.since.is_none_or(|since| delivered + minute > since)
            && self.until.is_none_or(|until| delivered < until + late)
    }

    /// The days of delivery that may hold what the run asks for.
    #[must_use]
    pub fn days(&self) -> s3::DaySpan {
        let until = self.until.map(|until| until + chrono::Duration::days(DELIVERY_DAYS));
        s3::DaySpan {
            from: self.since.map(|since| since.date_naive()),
            until: until.and_then(|until| until.date_naive().checked_add_days(Days::new(1))),
        }
    }

    /// The days of delivery of which the run asks for everything.
    #[must_use]
    pub fn whole_days(&self) -> s3::DaySpan {
        let asked = self.days();
        let starts_midday = self.since.is_some_and(|since| since.time() != chrono::NaiveTime::MIN);
        let from = asked.from.and_then(|from| from.checked_add_days(Days::new(u64::from(starts_midday))));
        s3::DaySpan { from, until: asked.until.and_then(|until| until.checked_sub_days(Days::new(1))) }
    }
}
