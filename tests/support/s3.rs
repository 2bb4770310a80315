//! An S3 server in this process: s3s speaks the protocol and checks the signatures, what it serves is in memory or in a
//! folder, and what was asked of it is counted. It can be slow, refuse, break off and fall silent when told to.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    CommonPrefix, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object, PutObjectInput, PutObjectOutput, RestoreStatus, StreamingBlob, Timestamp,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use tokio::net::TcpListener;

pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const BUCKET: &str = "trail-bucket";

/// One object as the server holds it.
#[derive(Debug, Clone)]
struct Held {
    content: Content,
    metadata: HashMap<String, String>,
    etag: String,
    class: String,
    archive: Archive,
}

/// Whether an object's bytes can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// It is in none.
    No,
    /// It must be restored first.
    Yes,
    /// It is being restored.
    Restoring,
    /// A copy was restored.
    Restored,
}

#[derive(Debug, Clone)]
enum Content {
    Memory(Bytes),
    File(PathBuf, u64),
}

impl Held {
    fn len(&self) -> u64 {
        match &self.content {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File(_, len) => *len,
        }
    }

    fn restore_status(&self) -> Option<RestoreStatus> {
        let (is_under_way, until) = match self.archive {
            Archive::No | Archive::Yes => return None,
            Archive::Restoring => (true, None),
            Archive::Restored => (false, Some(Timestamp::from(std::time::SystemTime::UNIX_EPOCH))),
        };
        Some(RestoreStatus { is_restore_in_progress: Some(is_under_way), restore_expiry_date: until })
    }

    fn restore(&self) -> Option<String> {
        match self.archive {
            Archive::No | Archive::Yes => None,
            Archive::Restoring => Some("ongoing-request=\"true\"".to_owned()),
            Archive::Restored => {
                Some("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"".to_owned())
            }
        }
    }

    fn bytes(&self) -> Bytes {
        match &self.content {
            Content::Memory(bytes) => bytes.clone(),
            Content::File(path, _) => std::fs::read(path).unwrap().into(),
        }
    }
}

/// What is in the bucket, by key.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    objects: Arc<Mutex<BTreeMap<String, Held>>>,
    versions: Arc<AtomicU64>,
}

impl Bucket {
    /// Puts bytes under a key.
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.hold(key, Content::Memory(bytes.into()), HashMap::new());
    }

    /// Puts bytes under a key, with `x-amz-meta-*`.
    pub fn put_with(&self, key: &str, bytes: impl Into<Bytes>, metadata: HashMap<String, String>) {
        self.hold(key, Content::Memory(bytes.into()), metadata);
    }

    /// Moves an object to a storage class, without changing its content.
    pub fn archive(&self, key: &str, class: &str, archive: Archive) {
        let mut objects = self.objects.lock().unwrap();
        let held = objects.get_mut(key).unwrap();
        (held.class, held.archive) = (class.to_owned(), archive);
    }

    /// Takes an object out.
    pub fn remove(&self, key: &str) {
        assert!(self.objects.lock().unwrap().remove(key).is_some(), "{key} was there");
    }

    /// All keys, in their order.
    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Holds the files of a folder, each under its path.
    pub fn fill(&self, folder: &Path) {
        self.fill_below(folder, folder);
    }

    fn fill_below(&self, root: &Path, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.fill_below(root, &path);
            } else {
                let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                let len = path.metadata().unwrap().len();
                self.hold(&key, Content::File(path, len), HashMap::new());
            }
        }
    }

    fn hold(&self, key: &str, content: Content, metadata: HashMap<String, String>) {
        let etag = format!("{:032x}", self.versions.fetch_add(1, Ordering::Relaxed));
        let (class, archive) = ("STANDARD".to_owned(), Archive::No);
        self.objects.lock().unwrap().insert(key.to_owned(), Held { content, metadata, etag, class, archive });
    }

    fn find(&self, key: &str) -> S3Result<Held> {
        self.objects.lock().unwrap().get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
    }
}

#[async_trait::async_trait]
impl S3 for Bucket {
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        if input.bucket != BUCKET {
            return Err(s3_error!(NoSuchBucket));
        }
        let prefix = input.prefix.unwrap_or_default();
        let tells_restores = input.optional_object_attributes.is_some();
        let most = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap();
        let (mut contents, mut common, mut next) = (Vec::new(), Vec::new(), None);
        let mut after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let objects = self.objects.lock().unwrap();
        loop {
            let from = if after < prefix { Bound::Included(prefix.clone()) } else { Bound::Excluded(after.clone()) };
            let Some((key, held)) = objects.range((from, Bound::Unbounded)).next() else { break };
            let Some(rest) = key.strip_prefix(&prefix) else { break };
            if contents.len() + common.len() == most {
                next = Some(after);
                break;
            }
            let below = input.delimiter.as_ref().and_then(|delimiter| Some(rest.find(delimiter.as_str())? + 1));
            if let Some(length) = below {
                let group = key[..prefix.len() + length].to_owned();
                // Behind every key of the group: no key has this character.
                after = format!("{group}\u{10FFFF}");
                common.push(CommonPrefix { prefix: Some(group) });
            } else {
                after.clone_from(key);
                contents.push(Object {
                    key: Some(key.clone()),
                    size: Some(held.len().try_into().unwrap()),
                    e_tag: Some(ETag::Strong(held.etag.clone())),
                    last_modified: Some(Timestamp::from(std::time::SystemTime::UNIX_EPOCH)),
                    storage_class: Some(held.class.clone().into()),
                    restore_status: held.restore_status().filter(|_| tells_restores),
                    ..Object::default()
                });
            }
        }
        Ok(S3Response::new(ListObjectsV2Output {
            is_truncated: Some(next.is_some()),
            next_continuation_token: next,
            contents: Some(contents),
            common_prefixes: Some(common),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let held = self.find(&request.input.key)?;
        if matches!(held.archive, Archive::Yes | Archive::Restoring) {
            return Err(s3_error!(InvalidObjectState, "The operation is not valid for the object's storage class"));
        }
        let whole = held.bytes();
        let part = match request.input.range {
            Some(range) => {
                let part = range.check(whole.len() as u64)?;
                usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()
            }
            None => 0..whole.len(),
        };
        let content_range =
            request.input.range.map(|_| format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), whole.len()));
        let bytes = whole.slice(part);
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(bytes.len().try_into().unwrap()),
            content_range,
            body: Some(StreamingBlob::from(s3s::Body::from(bytes))),
            e_tag: Some(ETag::Strong(held.etag)),
            last_modified: Some(Timestamp::from(std::time::SystemTime::UNIX_EPOCH)),
            metadata: Some(held.metadata),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let held = self.find(&request.input.key)?;
        let is_tier = held.class == "INTELLIGENT_TIERING" && held.archive == Archive::Yes;
        Ok(S3Response::new(HeadObjectOutput {
            storage_class: Some(held.class.clone().into()),
            archive_status: is_tier.then(|| "ARCHIVE_ACCESS".to_owned().into()),
            restore: held.restore(),
            content_length: Some(held.len().try_into().unwrap()),
            e_tag: Some(ETag::Strong(held.etag)),
            last_modified: Some(Timestamp::from(std::time::SystemTime::UNIX_EPOCH)),
            metadata: Some(held.metadata),
            ..HeadObjectOutput::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let mut bytes = Vec::new();
        let mut body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|_| s3_error!(IncompleteBody))?);
        }
        let only_new = input.if_none_match.is_some_and(|condition| condition.is_any());
        // The check and the write are one step, as at S3.
        let etag = format!("{:032x}", self.versions.fetch_add(1, Ordering::Relaxed));
        let mut objects = self.objects.lock().unwrap();
        if only_new && objects.contains_key(&input.key) {
            return Err(s3_error!(PreconditionFailed));
        }
        let content = Content::Memory(bytes.into());
        let held = Held {
            content,
            metadata: input.metadata.unwrap_or_default(),
            etag: etag.clone(),
            class: "STANDARD".to_owned(),
            archive: Archive::No,
        };
        objects.insert(input.key, held);
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(etag)), ..PutObjectOutput::default() }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.objects.lock().unwrap().remove(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut objects = self.objects.lock().unwrap();
        let mut gone = |key: String| {
            objects.remove(&key);
            DeletedObject { key: Some(key), ..DeletedObject::default() }
        };
        let deleted = request.input.delete.objects.into_iter().map(|object| gone(object.key)).collect();
        Ok(S3Response::new(DeleteObjectsOutput { deleted: Some(deleted), ..DeleteObjectsOutput::default() }))
    }
}

/// How the server misbehaves.
#[derive(Debug, Default)]
pub struct Mood {
    /// Of so many requests, one is refused with 503, broken off in its body, or falls silent in it; 0 for none.
    pub trouble_each: AtomicU64,
    /// Milliseconds before each answer.
    pub delay_ms: AtomicU64,
    /// Whether every connection is closed at once.
    pub down: AtomicBool,
    /// The path of an object that may not be read.
    forbidden: Mutex<Option<String>>,
}

/// What was asked.
#[derive(Debug, Default)]
pub struct Asked {
    /// Prefixes that were listed, in order.
    pub lists: Mutex<Vec<String>>,
    /// Objects that were fetched.
    pub gets: AtomicU64,
    /// Objects that were only looked at.
    pub heads: AtomicU64,
    /// All requests.
    pub requests: AtomicU64,
    /// Answers that were spoilt.
    pub spoilt: AtomicU64,
}

impl Asked {
    /// The prefixes listed since the last time, and the number of objects fetched.
    pub fn take(&self) -> (Vec<String>, u64) {
        (std::mem::take(&mut self.lists.lock().unwrap()), self.gets.swap(0, Ordering::Relaxed))
    }
}

/// A server with one bucket, until it is dropped.
pub struct Server {
    pub bucket: Bucket,
    pub mood: Arc<Mood>,
    pub asked: Arc<Asked>,
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (bucket, mood, asked) = (Bucket::default(), Arc::new(Mood::default()), Arc::new(Asked::default()));
        let mut builder = S3ServiceBuilder::new(bucket.clone());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(accept(listener, service, Arc::clone(&mood), Arc::clone(&asked)));
        Self { bucket, mood, asked, address, runtime: Some(runtime) }
    }

    /// Refuses to give out an object.
    pub fn forbid(&self, key: Option<&str>) {
        *self.mood.forbidden.lock().unwrap() = key.map(|key| format!("/{BUCKET}/{key}"));
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the environment of a command must say to reach it.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL_S3", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, service: S3Service, mood: Arc<Mood>, asked: Arc<Asked>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        if mood.down.load(Ordering::Relaxed) {
            continue;
        }
        socket.set_nodelay(true).unwrap();
        let (service, mood, asked) = (service.clone(), Arc::clone(&mood), Arc::clone(&asked));
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, &service, &mood, &asked));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// What becomes of an answer.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Refused,
    BrokenOff,
    Silent,
}

async fn answer(
    request: Request<Incoming>,
    service: &S3Service,
    mood: &Mood,
    asked: &Asked,
) -> Result<Answer, std::io::Error> {
    let broken = || std::io::Error::other("the line is cut");
    if mood.down.load(Ordering::Relaxed) {
        return Err(broken());
    }
    let number = asked.requests.fetch_add(1, Ordering::Relaxed);
    count(&request, asked);
    let delay = mood.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let each = mood.trouble_each.load(Ordering::Relaxed);
    let trouble = (each > 0 && number % each == each - 1)
        .then(|| [Trouble::Refused, Trouble::BrokenOff, Trouble::Silent][usize::try_from(number / each % 3).unwrap()]);
    if trouble.is_some() {
        asked.spoilt.fetch_add(1, Ordering::Relaxed);
    }
    if matches!(trouble, Some(Trouble::Refused)) {
        let text = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";
        return Ok(Response::builder().status(503).body(whole(text.into())).unwrap());
    }
    if mood.forbidden.lock().unwrap().as_deref() == Some(request.uri().path()) {
        let text = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        return Ok(Response::builder().status(403).body(whole(text.into())).unwrap());
    }
    let (parts, body) = Service::call(service, request).await.map_err(|_| broken())?.into_parts();
    let bytes = BodyExt::collect(body).await.map_err(|_| broken())?.to_bytes();
    if mood.down.load(Ordering::Relaxed) {
        return Err(broken());
    }
    let body = match trouble {
        Some(trouble) if bytes.len() > 1 => half(&bytes, trouble),
        _ => whole(bytes),
    };
    Ok(Response::from_parts(parts, body))
}

fn count(request: &Request<Incoming>, asked: &Asked) {
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    if query.contains_key("list-type") {
        asked.lists.lock().unwrap().push(query.get("prefix").cloned().unwrap_or_default());
    } else if request.method() == hyper::Method::GET {
        asked.gets.fetch_add(1, Ordering::Relaxed);
    } else if request.method() == hyper::Method::HEAD
        && request.uri().path().strip_prefix(&format!("/{BUCKET}/")).is_some_and(|key| !key.is_empty())
    {
        asked.heads.fetch_add(1, Ordering::Relaxed);
    }
}

fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, std::io::Error> {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The first half, and then an end or nothing at all. The headers promise all of it.
fn half(bytes: &Bytes, trouble: Trouble) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let first = futures::stream::iter([Ok(Frame::data(bytes.slice(..bytes.len() / 2)))]);
    if matches!(trouble, Trouble::Silent) {
        return StreamBody::new(first.chain(futures::stream::pending())).boxed_unsync();
    }
    let end = futures::stream::iter([Err(std::io::Error::other("the line is cut"))]);
    StreamBody::new(first.chain(end)).boxed_unsync()
}
