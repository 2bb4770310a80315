//! One bucket as requests: a page of a listing, an object's bytes, an object's metadata.
//!
//! What fails for a while (throttling, 5xx, a connection that breaks, a body that stalls or ends early) is tried again, a
//! body from its beginning, so that half an object is never taken for one.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{OptionalObjectAttributes, RequestPayer};
use xxhash_rust::xxh3::xxh3_64;

use super::archive;
use crate::source::Body;
use crate::source::aws::{is_of_the_way, told};
use crate::source::trouble::Trouble;

/// How often something is asked for before it counts as unreadable. The SDK has its own attempts, of which all requests
/// of a client share a budget: with hundreds under way, a minute of throttling uses it up.
const ATTEMPTS: u32 = 10;

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Objects larger than this are not fetched; a trail's are at most 50 MB (facts §1.1).
const STORED_BYTES_MAX: u64 = 1 << 30;

/// A request that failed for good.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{uri}: {why}")]
pub struct S3Error {
    /// What was asked for, as `s3://bucket/key`.
    pub uri: String,
    /// AWS's code, such as `AccessDenied`, when it answered at all.
    pub code: Option<String>,
    /// The code and the message, or what went wrong on the way.
    pub why: String,
}

impl S3Error {
    /// Whether S3 refused because the object is in an archive.
    #[must_use]
    pub fn is_archived(&self) -> bool {
        self.code.as_deref() == Some(archive::INVALID_STATE)
    }

    /// Whether there is no such object.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.code.as_deref(), Some("NoSuchKey" | "NotFound"))
    }
}

/// An object as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its key.
    pub key: String,
    /// Bytes as stored.
    pub size: u64,
    /// Its etag, without quotes.
    pub etag: String,
    /// The archive that it must be taken out of before it can be read.
    pub archive: Option<String>,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Prefixes one level down, when the listing was by level.
    pub prefixes: Vec<String>,
    pub objects: Vec<Listing>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What to list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub prefix: &'a str,
    /// One level only, with the names of the levels below.
    pub one_level: bool,
    /// Keys behind this one only.
    pub after: Option<&'a str>,
    /// Where the page before ended.
    pub next: Option<&'a str>,
}

/// An object's bytes, and what S3 keeps beside them.
#[derive(Debug)]
pub struct Stored {
    /// The bytes, as stored.
    pub body: Body,
    /// The tag of the version that they are of.
    pub etag: Option<String>,
    /// `x-amz-meta-*` without the prefix, such as `signature` of a digest.
    pub metadata: HashMap<String, String>,
}

/// A bucket, and how it is asked.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub client: Client,
    pub name: String,
    pub requester_pays: bool,
    /// How long a body may stay silent before it is asked for again.
    pub silence_max: Duration,
    /// The pause before something is asked for again.
    pub pause: Duration,
    pub trouble: Arc<Trouble>,
}

impl Bucket {
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    fn payer(&self) -> Option<RequestPayer> {
        self.requester_pays.then_some(RequestPayer::Requester)
    }

    /// One page, of at most 1000 keys.
    pub async fn list(&self, wanted: Wanted<'_>) -> Result<Page, S3Error> {
        self.patiently(wanted.prefix, || self.list_once(wanted)).await
    }

    async fn list_once(&self, wanted: Wanted<'_>) -> Result<Page, Stopped> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(wanted.prefix);
        let request = request
            .set_delimiter(wanted.one_level.then(|| "/".to_owned()))
            .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
            .set_start_after(wanted.after.map(str::to_owned))
            .set_continuation_token(wanted.next.map(str::to_owned))
            .set_request_payer(self.payer());
        let answer = request.send().await.map_err(|error| self.failed(wanted.prefix, &error))?;
        let next = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
        let prefixes = answer.common_prefixes.unwrap_or_default().into_iter().filter_map(|each| each.prefix).collect();
        let listing = |object: aws_sdk_s3::types::Object| {
            let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            let archive = archive::of_listing(&object);
            Some(Listing { key: object.key?, size, etag: unquoted(object.e_tag.as_deref()).to_owned(), archive })
        };
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(listing).collect();
        Ok(Page { prefixes, objects, next })
    }

    /// All the prefixes one level below, and the objects beside them.
    pub async fn level(&self, prefix: &str, after: Option<&str>) -> Result<Page, S3Error> {
        let mut all = Page::default();
        loop {
            let next = all.next.take();
            let page = self.list(Wanted { prefix, one_level: true, after, next: next.as_deref() }).await?;
            all.prefixes.extend(page.prefixes);
            all.objects.extend(page.objects);
            if page.next.is_none() {
                return Ok(all);
            }
            all.next = page.next;
        }
    }

    /// What is kept beside an object.
    pub async fn head(&self, key: &str) -> Result<HashMap<String, String>, S3Error> {
        Ok(self.patiently(key, || self.head_once(key)).await?.metadata.unwrap_or_default())
    }

    /// An object as a listing would tell it, and whether it can be read: of some archives, no listing tells.
    pub async fn look(&self, key: &str) -> Result<Listing, S3Error> {
        let answer = self.patiently(key, || self.head_once(key)).await?;
        Ok(Listing {
            key: key.to_owned(),
            size: answer.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            etag: unquoted(answer.e_tag.as_deref()).to_owned(),
            archive: archive::of_head(&answer),
        })
    }

    async fn head_once(&self, key: &str) -> Result<HeadObjectOutput, Stopped> {
        let request = self.client.head_object().bucket(&self.name).key(key).set_request_payer(self.payer()).send();
        request.await.map_err(|error| self.failed(key, &error))
    }

    /// An object, whole.
    pub async fn get(&self, key: &str, size: u64) -> Result<Stored, S3Error> {
        self.patiently(key, || self.get_once(key, size)).await
    }

    /// Asks again what may succeed another time.
    async fn patiently<T, F>(&self, key: &str, mut ask: impl FnMut() -> F) -> Result<T, S3Error>
    where
        F: Future<Output = Result<T, Stopped>>,
    {
        let mut pause = self.pause;
        let mut attempt = 1;
        loop {
            let why = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(Stopped::ForGood(error)) => return Err(error),
                Err(Stopped::ForNow(why)) => why,
            };
            if attempt == ATTEMPTS {
                return Err(S3Error {
                    uri: self.uri(key),
                    code: None,
                    why: format!("{why}, {attempt} times in a row"),
                });
            }
            self.trouble.again(&self.uri(key), attempt, &why);
            tokio::time::sleep(spread(pause, key)).await;
            pause = (pause * 2).min(PAUSE_MAX);
            attempt += 1;
        }
    }

    async fn get_once(&self, key: &str, size: u64) -> Result<Stored, Stopped> {
        let request = self.client.get_object().bucket(&self.name).key(key).set_request_payer(self.payer()).send();
        let answer = match request.await {
            Ok(answer) => answer,
            Err(error) => return Err(self.failed(key, &error)),
        };
        let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let on_disk = |error: io::Error| {
            let why = format!("it cannot be kept in a temporary file: {error}");
            Stopped::ForGood(S3Error { uri: self.uri(key), code: None, why })
        };
        if length.unwrap_or(size) > STORED_BYTES_MAX {
            let why = format!("{} bytes: no trail writes an object as large", length.unwrap_or(size));
            return Err(Stopped::ForGood(S3Error { uri: self.uri(key), code: None, why }));
        }
        let mut body = Body::with_capacity(length.unwrap_or(size));
        let mut had = 0;
        let mut chunks = answer.body;
        loop {
            match tokio::time::timeout(self.silence_max, chunks.next()).await {
                Err(_) => return Err(Stopped::ForNow(format!("the body fell silent after {had} bytes"))),
                Ok(None) => break,
                Ok(Some(Ok(chunk))) => {
                    body.push(&chunk).map_err(on_disk)?;
                    had += chunk.len() as u64;
                }
                Ok(Some(Err(error))) => return Err(Stopped::ForNow(format!("the body broke off: {error}"))),
            }
        }
        if length.is_some_and(|length| length != had) {
            return Err(Stopped::ForNow(format!("the body ended after {had} bytes")));
        }
        let body = body.finish().map_err(on_disk)?;
        let metadata = answer.metadata.unwrap_or_default();
        Ok(Stored { body, etag: answer.e_tag.as_deref().map(|tag| unquoted(Some(tag)).to_owned()), metadata })
    }

    fn failed<E>(&self, key: &str, error: &SdkError<E>) -> Stopped
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let why = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => told(error),
        };
        if passes(error) {
            return Stopped::ForNow(why);
        }
        Stopped::ForGood(S3Error { uri: self.uri(key), code: error.code().map(str::to_owned), why })
    }
}

/// Between half a pause and all of it, so that hundreds of requests that failed together do not come back together.
fn spread(pause: Duration, key: &str) -> Duration {
    let share = xxh3_64(key.as_bytes()) % 512;
    pause / 2 + pause.mul_f64(f64::from(u16::try_from(share).unwrap_or_default()) / 1024.0)
}

/// Codes by which S3 says that it is too much just now.
const THROTTLED: [&str; 4] = ["SlowDown", "Throttling", "ThrottlingException", "RequestTimeout"];

/// Whether the same request may well succeed a little later.
fn passes<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(_) => is_of_the_way(error),
        SdkError::ServiceError(refused) => {
            refused.raw().status().as_u16() >= 500 || refused.err().code().is_some_and(|code| THROTTLED.contains(&code))
        }
        _ => false,
    }
}

/// Why an attempt at an object ended.
enum Stopped {
    /// S3 has answered, and would answer the same again.
    ForGood(S3Error),
    /// Another attempt may do better.
    ForNow(String),
}

fn unquoted(tag: Option<&str>) -> &str {
    tag.unwrap_or_default().trim_matches('"')
}
