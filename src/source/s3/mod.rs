//! Log objects in an S3 bucket, as a trail delivers them.
//!
//! ```text
//! s3://bucket[/prefix] ─► lanes (tree.rs) ─► days ─► pages of keys ─► ObjectRef, day by day
//!                                                                        └─► fetch: the bytes (bucket.rs)
//! ```
//!
//! The order is by day of delivery first and by lane second, so that what comes together in a batch is of few days.
//! Nothing here decodes, and nothing here writes to a bucket.

pub mod archive;
mod bucket;
mod place;
mod tree;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::SdkError;
use chrono::{DateTime, Days, NaiveDate, Utc};
use futures::{StreamExt, stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

pub use bucket::{Listing, S3Error, Stored};
pub use place::DaySpan;
pub use tree::{Found, Lane};

use super::aws::told;
use super::{Again, Kind, Listed, ObjectName, ObjectRef, Place, Prune, Skip};
use bucket::Bucket;
use tree::LISTS_IN_FLIGHT;

/// Listed objects that wait to be looked at.
const QUEUED_LISTED: usize = 2000;

/// How often the SDK tries by itself: what fails for longer is tried again by the bucket, where it can be told.
const SDK_ATTEMPTS: u32 = 3;

/// The first pause, unless told otherwise.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a body may stay silent, unless told otherwise.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How a bucket is asked.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The one who asks pays, in a bucket that wants it so.
    pub requester_pays: bool,
    /// How long a body may stay silent before it is asked for again.
    pub silence_max: Duration,
    /// The pause before anything is asked for again; it doubles each time.
    pub pause: Duration,
}

impl Default for S3Options {
    fn default() -> Self {
        Self { requester_pays: false, silence_max: SILENCE_MAX, pause: PAUSE }
    }
}

/// A bucket, or what lies below a prefix of it.
#[derive(Debug, Clone)]
pub struct S3Source {
    bucket: Bucket,
    prefix: String,
}

/// A lane, and the days of it that a run lists.
#[derive(Debug, Clone)]
pub struct LaneDays {
    /// The lane.
    pub lane: Lane,
    /// Days to list; none when all is known.
    pub spans: Vec<DaySpan>,
    /// Keys up to this one are known already, in the day that it is of.
    pub after: Option<String>,
}

impl S3Source {
    /// Names what lies at `s3://bucket[/prefix]`, and finds out which Region the bucket is in.
    ///
    /// # Errors
    /// When the address names no bucket, or there is none, or S3 cannot be asked at all.
    pub async fn open(uri: &str, config: &SdkConfig, options: &S3Options) -> Result<Self, S3Error> {
        let wrong = |why: &str| S3Error { uri: uri.to_owned(), code: None, why: why.to_owned() };
        let address = uri.strip_prefix("s3://").ok_or_else(|| wrong("an address begins with s3://"))?;
        let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
        if name.is_empty() {
            return Err(wrong("no bucket is named"));
        }
        // A key may begin with a slash.
        let mut prefix = prefix.to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') && !is_object(&prefix) {
            prefix.push('/');
        }
        let bucket = Bucket {
            client: client(config, name).await?,
            name: name.to_owned(),
            requester_pays: options.requester_pays,
            silence_max: options.silence_max,
            pause: options.pause,
            trouble: Arc::default(),
        };
        Ok(Self { bucket, prefix })
    }

    /// The lanes of some kinds of objects, of the accounts and Regions that a run asks for.
    ///
    /// # Errors
    /// When the bucket, or a place above the accounts, cannot be listed.
    pub async fn lanes(&self, kinds: &[Kind], prune: &Prune) -> Result<Found, S3Error> {
        if is_object(&self.prefix) {
            let wanted = bucket::Wanted { prefix: &self.prefix, one_level: true, after: None, next: None };
            let mut loose = self.bucket.list(wanted).await?.objects;
            loose.retain(|object| object.key == self.prefix);
            if loose.is_empty() {
                return Err(S3Error { uri: self.uri(), code: None, why: "there is no such object".to_owned() });
            }
            return Ok(Found { loose, ..Found::default() });
        }
        let found = tree::lanes(&self.bucket, &self.prefix, kinds, prune).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        // What has no ending may be an object all the same: Firehose gives its objects none.
        let wanted = bucket::Wanted { prefix: self.named(), one_level: true, after: None, next: None };
        let loose = self.bucket.list(wanted).await?.objects;
        Ok(Found { loose: loose.into_iter().filter(|object| object.key == self.named()).collect(), ..found })
    }

    /// The key of the one object that the address may name.
    fn named(&self) -> &str {
        self.prefix.trim_end_matches('/')
    }

    /// The address, as it is used.
    #[must_use]
    pub fn uri(&self) -> String {
        self.bucket.uri(&self.prefix)
    }

    /// A lane's address, the same at every run.
    #[must_use]
    pub fn lane_uri(&self, lane: &Lane) -> String {
        self.bucket.uri(&lane.prefix)
    }

    /// Lists the days asked for, in the order of days and then of lanes, while the receiver keeps up, and looks at these
    /// objects too, which were in an archive. The channel that closes is the end only if the task that lists has come to its
    /// own.
    #[must_use]
    pub fn list(
        &self,
        found: Found,
        lanes: Vec<LaneDays>,
        archived: Vec<String>,
        now: DateTime<Utc>,
    ) -> (Receiver<Listed>, JoinHandle<()>) {
        let (sender, receiver) = channel(QUEUED_LISTED);
        let source = self.clone();
        let listing = tokio::spawn(async move {
            // The one who receives may have heard enough; that is no failure.
            if source.send(found, &lanes, now, &sender).await.is_ok() {
                let _ = source.look_again(archived, &sender).await;
            }
        });
        (receiver, listing)
    }

    /// Looks at objects of days that are not listed any more; one that is gone by now is nothing to tell of.
    async fn look_again(&self, archived: Vec<String>, sender: &Sender<Listed>) -> Result<(), Deaf> {
        let looks = stream::iter(archived).map(|uri| async move {
            let key = uri.strip_prefix(&self.bucket.uri("")).unwrap_or(&uri);
            self.bucket.look(key).await
        });
        let mut looks = looks.buffered(LISTS_IN_FLIGHT);
        while let Some(found) = looks.next().await {
            match found {
                Ok(listing) => sender.send(self.listed(listing)).await?,
                Err(error) if error.is_gone() => {}
                Err(error) => sender.send(unreadable(error)).await?,
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        found: Found,
        lanes: &[LaneDays],
        now: DateTime<Utc>,
        sender: &Sender<Listed>,
    ) -> Result<(), Deaf> {
        for error in found.failed {
            sender.send(unreadable(error)).await?;
        }
        for listing in found.loose {
            sender.send(self.listed(listing)).await?;
        }
        let horizon = horizon(now);
        let mut asked = stream::iter(0..lanes.len())
            .map(|at| async move {
                let LaneDays { lane, spans, .. } = &lanes[at];
                (at, tree::days(&self.bucket, lane, spans, horizon).await)
            })
            .buffered(LISTS_IN_FLIGHT);
        let mut days: Vec<(NaiveDate, usize)> = Vec::new();
        while let Some((at, answer)) = asked.next().await {
            match answer {
                Ok(found) => days.extend(found.into_iter().map(|day| (day, at))),
                Err(error) => sender.send(unreadable(error)).await?,
            }
        }
        days.sort_unstable();
        let first_pages = stream::iter(days).map(|(day, at)| async move {
            let each = &lanes[at];
            let after = each.after.as_deref().filter(|key| key.starts_with(&place::day_prefix(&each.lane.prefix, day)));
            (day, at, tree::day_page(&self.bucket, &each.lane, day, after, None).await)
        });
        let mut first_pages = first_pages.buffered(LISTS_IN_FLIGHT);
        while let Some((day, at, mut answer)) = first_pages.next().await {
            loop {
                let page = match answer {
                    Ok(page) => page,
                    Err(error) => {
                        sender.send(unreadable(error)).await?;
                        break;
                    }
                };
                for listing in page.objects {
                    sender.send(self.listed(listing)).await?;
                }
                let Some(next) = page.next else { break };
                answer = tree::day_page(&self.bucket, &lanes[at].lane, day, None, Some(&next)).await;
            }
        }
        Ok(())
    }

    fn listed(&self, listing: Listing) -> Listed {
        let uri = self.bucket.uri(&listing.key);
        let name = ObjectName::parse(&listing.key);
        // Consoles and copies leave empty objects where a folder begins.
        if (name.kind == Kind::Unnamed || !is_object(&listing.key)) && listing.key != self.named() {
            let why = if listing.size == 0 { Skip::Beside } else { Skip::Stranger };
            return Listed::Skipped { uri, why };
        }
        let object = ObjectRef { uri, place: Place::Remote, size: listing.size, version_tag: listing.etag, name };
        match listing.archive {
            Some(class) => Listed::Archived { object, class },
            None => Listed::Object(object),
        }
    }

    /// The days of a lane within a span on which something was delivered, or may have been.
    ///
    /// # Errors
    /// When a place below the lane cannot be listed.
    pub async fn days(&self, lane: &Lane, span: DaySpan, now: DateTime<Utc>) -> Result<Vec<NaiveDate>, S3Error> {
        tree::days(&self.bucket, lane, &[span], horizon(now)).await
    }

    /// The objects of one day of a lane, in the order of their keys.
    ///
    /// # Errors
    /// When the day cannot be listed.
    pub async fn day(&self, lane: &Lane, day: NaiveDate) -> Result<Vec<ObjectRef>, S3Error> {
        let mut objects = Vec::new();
        let mut next = None;
        loop {
            let page = tree::day_page(&self.bucket, lane, day, None, next.as_deref()).await?;
            objects.extend(page.objects.into_iter().filter_map(|listing| match self.listed(listing) {
                // It is there, whether it can be read or not.
                Listed::Object(object) | Listed::Archived { object, .. } => Some(object),
                Listed::Skipped { .. } | Listed::Unreadable { .. } => None,
            }));
            next = page.next;
            if next.is_none() {
                return Ok(objects);
            }
        }
    }

    /// The bytes of the one object that the address names, and the tag of their version; nothing when it is not there.
    ///
    /// # Errors
    /// When S3 refuses, or the object cannot be had whole.
    pub async fn read(&self) -> Result<Option<Again>, S3Error> {
        let stored = match self.bucket.get(self.named(), 0).await {
            Ok(stored) => stored,
            Err(error) if error.code.as_deref() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(error),
        };
        let failed = |error: std::io::Error| S3Error { uri: self.uri(), code: None, why: error.to_string() };
        let version_tag = stored.etag.unwrap_or_default();
        Ok(Some(Again { bytes: stored.body.into_bytes().map_err(failed)?, version_tag }))
    }

    /// What S3 keeps beside an object: `x-amz-meta-*` without the prefix, such as the `signature` of a digest.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn metadata(&self, object: &ObjectRef) -> Result<HashMap<String, String>, S3Error> {
        self.bucket.head(self.key(object)).await
    }

    /// The key of an object of this bucket.
    #[must_use]
    pub fn key<'o>(&self, object: &'o ObjectRef) -> &'o str {
        object.uri.strip_prefix(&self.bucket.uri("")).unwrap_or(&object.uri)
    }

    /// An object's bytes, whole.
    ///
    /// # Errors
    /// When S3 refuses, or the object cannot be had whole in many attempts.
    pub async fn fetch(&self, object: &ObjectRef) -> Result<Stored, S3Error> {
        self.bucket.get(self.key(object), object.size).await
    }

    /// The archive that an object is still in.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn archive_of(&self, object: &ObjectRef) -> Result<Option<String>, S3Error> {
        Ok(self.bucket.look(self.key(object)).await?.archive)
    }
}

/// The day behind the last that can exist; one ahead of the clock may, by a clock that is not this machine's.
fn horizon(now: DateTime<Utc>) -> NaiveDate {
    now.date_naive() + Days::new(2)
}

/// Nobody listens any more.
struct Deaf;

impl<T> From<tokio::sync::mpsc::error::SendError<T>> for Deaf {
    fn from(_: tokio::sync::mpsc::error::SendError<T>) -> Self {
        Self
    }
}

fn unreadable(error: S3Error) -> Listed {
    Listed::Unreadable { uri: error.uri, why: error.why }
}

/// Whether an address names one object rather than a prefix.
fn is_object(key: &str) -> bool {
    super::local::ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// Whether S3 is somewhere else than AWS has it.
fn has_endpoint(config: &SdkConfig) -> bool {
    config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
}

/// A client for the Region that the bucket is in, whatever Region is configured.
async fn client(config: &SdkConfig, bucket: &str) -> Result<Client, S3Error> {
    let region = home_region(bucket, config).await?;
    Ok(client_in(config, region, SDK_ATTEMPTS))
}

fn client_in(config: &SdkConfig, region: Region, attempts: u32) -> Client {
    // Stores that are not AWS's have no names for buckets, only paths.
    let builder = aws_sdk_s3::config::Builder::from(config).region(region).force_path_style(has_endpoint(config));
    let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard).with_max_attempts(attempts);
    Client::from_conf(builder.retry_config(retries).build())
}

/// The Region that a bucket is in; the configured one when S3 does not tell.
///
/// # Errors
/// When there is no such bucket, or S3 cannot be asked: for want of credentials, or because no such Region can be reached.
/// Only a few attempts are made. Who is refused may still be let in to list.
pub(super) async fn home_region(bucket: &str, config: &SdkConfig) -> Result<Region, S3Error> {
    let configured = config.region().cloned().unwrap_or(Region::from_static("us-east-1"));
    let failed = |why: String| S3Error { uri: format!("s3://{bucket}"), code: None, why };
    // S3 tells the Region also to those whom it refuses.
    let home = match client_in(config, configured.clone(), SDK_ATTEMPTS).head_bucket().bucket(bucket).send().await {
        Ok(found) => found.bucket_region,
        Err(SdkError::ServiceError(error)) if error.err().is_not_found() => {
            return Err(failed("there is no such bucket".to_owned()));
        }
        Err(SdkError::ServiceError(error)) => error.raw().headers().get("x-amz-bucket-region").map(str::to_owned),
        Err(error) => return Err(failed(format!("asked in {configured}: {}", told(&error)))),
    };
    Ok(home.filter(|_| !has_endpoint(config)).map_or(configured, Region::new))
}
