//! Digests of the generated logs: hourly per trail, account and Region, empty hours included, each naming the one before
//! (facts §7.1, §7.2); and backfill digests for some of the objects that came late.
//!
//! They are signed with `worthless-test-key.pk8`, an RSA key that was made for this crate and is published with it. It
//! guards nothing and never did: its only use is that the signatures can be checked. Kept in memory are the hashes of the
//! objects of open hours, and the last digest of each chain.

use std::collections::BTreeMap;
use std::io;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::clock::{Calendar, DAY, HOUR, MINUTE, Seconds, iso};
use super::dice::push_hex;
use super::objects::{Packer, Trail};
use super::world::World;
use super::{LogObject, Sink};

/// The signing key, PKCS#8: synthetic and worthless.
const KEY: &[u8] = include_bytes!("worthless-test-key.pk8");

/// The bucket that the digests speak of.
const BUCKET: &str = "keytrail-synthetic-logs";

/// How long after its hour a backfill digest is made.
const BACKFILL_DELAY: Seconds = DAY;

const ALGORITHM: &str = "SHA256withRSA";

/// Where an account's own trail writes, and its name.
const OWN_PREFIX: &str = "AWSLogs";
const OWN_TRAIL: &str = "management_events";

/// A log object to be named.
pub(super) struct Log<'a> {
    /// When it is delivered.
    pub at: Seconds,
    pub key: &'a str,
    /// What is in it, uncompressed.
    pub text: &'a [u8],
    /// Whether it comes long after its events.
    pub is_late: bool,
}

impl Log<'_> {
    /// As a digest names it.
    fn named(&self) -> Value {
        json!({
            "s3Bucket": BUCKET,
            "s3Object": self.key,
            "hashValue": sha256(self.text),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": iso(self.at - MINUTE),
            "oldestEventTime": iso(self.at - 15 * MINUTE),
        })
    }
}

/// The last digest of a chain, as the next one names it.
struct Previous {
    object: String,
    hash: String,
    signature: String,
}

/// Whose digests they are, and where they go.
struct Place {
    prefix: String,
    account: String,
    region: String,
    home_region: String,
    trail: &'static str,
}

impl Place {
    fn of(world: &World, trail: Trail, lane: usize) -> Self {
        let (prefix, name) = match trail {
            Trail::Own => (OWN_PREFIX.to_owned(), OWN_TRAIL),
            Trail::Organization => (format!("org-trail/AWSLogs/{}", world.organization), "org-trail"),
        };
        Self {
            prefix,
            account: world.account(lane).to_owned(),
            region: world.region(lane).to_owned(),
            home_region: world.regions[0].to_owned(),
            trail: name,
        }
    }
}

impl Place {
    /// The key of the digest of the hour that ends then.
    fn object(&self, end: Seconds, is_backfill: bool) -> String {
        let Self { prefix, account, region, home_region, trail } = self;
        let (c, stamp) = (Calendar::of(end), iso(end).replace(['-', ':'], ""));
        format!(
            "{prefix}/{account}/CloudTrail-Digest/{region}/{:04}/{:02}/{:02}/\
             {account}_CloudTrail-Digest_{region}_{trail}_{home_region}_{stamp}{}.json.gz",
            c.year,
            c.month,
            c.day,
            if is_backfill { "_backfill" } else { "" }
        )
    }
}

/// A chain of digests and what its next ones will name.
struct Chain {
    place: Place,
    trail: Trail,
    lane: usize,
    /// Windows begin so long after the full hour, as they do with AWS.
    offset: Seconds,
    /// The begin of the next window.
    next: Seconds,
    /// Logs by the begin of their window.
    logs: BTreeMap<Seconds, Vec<Value>>,
    late: BTreeMap<Seconds, Vec<Value>>,
    previous: Option<Previous>,
    previous_backfill: Option<Previous>,
}

/// All chains.
pub(super) struct Digests {
    key: RsaKeyPair,
    fingerprint: String,
    chains: Vec<Chain>,
    late_so_far: u64,
}

/// The public half of the key that digests are signed with, as `aws cloudtrail list-public-keys` prints it.
///
/// # Errors
/// When the key cannot be read, which a test rules out.
pub fn public_keys() -> io::Result<Value> {
    let key = signing_key()?;
    let value = key.public_key().as_ref();
    Ok(json!({"PublicKeyList": [{
        "Value": STANDARD.encode(value),
        "ValidityStartTime": "2025-01-01T00:00:00+00:00",
        "ValidityEndTime": "2035-01-01T00:00:00+00:00",
        "Fingerprint": fingerprint(&key),
    }]}))
}

/// Digests for logs that were made otherwise, as a trail of this account writes them: one per hour of the account and Region,
/// from the one that `from` is in until `until`. A log is its key in the bucket, when it was delivered (seconds since 1970),
/// and its uncompressed text; those of other hours are left out.
///
/// # Errors
/// When a digest cannot be signed.
pub fn sign_logs(
    (account, region, home_region): (&str, &str, &str),
    logs: &[(String, i64, Vec<u8>)],
    (from, until): (i64, i64),
) -> io::Result<Vec<LogObject>> {
    let place = Place {
        prefix: OWN_PREFIX.to_owned(),
        account: account.to_owned(),
        region: region.to_owned(),
        home_region: home_region.to_owned(),
        trail: OWN_TRAIL,
    };
    let key = signing_key()?;
    let fingerprint = fingerprint(&key);
    let signer = Signer { key: &key, fingerprint: &fingerprint };
    let (mut chain, mut packer) = (Chain::new(place, Trail::Own, 0, from), Packer::new());
    for (key, at, text) in logs {
        let log = Log { at: *at, key, text, is_late: false };
        chain.logs.entry(chain.window(log.at)).or_default().push(log.named());
    }
    let mut digests = Vec::new();
    while chain.next + HOUR <= until {
        digests.push(chain.hourly(&signer, &mut packer)?);
    }
    Ok(digests)
}

fn signing_key() -> io::Result<RsaKeyPair> {
    RsaKeyPair::from_pkcs8(KEY).map_err(io::Error::other)
}

fn fingerprint(key: &RsaKeyPair) -> String {
    sha256(key.public_key().as_ref())[..32].to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        push_hex(&mut text, u64::from(*byte), 2);
    }
    text.into_iter().map(char::from).collect()
}

impl Digests {
    /// Chains that begin with the hour of `start`, for every lane and both trails.
    pub(super) fn new(world: &World, start: Seconds) -> io::Result<Self> {
        let key = signing_key()?;
        let trails = [Trail::Own, Trail::Organization];
        let chains = (0..world.lanes.len())
            .flat_map(|lane| trails.map(|trail| Chain::new(Place::of(world, trail, lane), trail, lane, start)));
        Ok(Self { fingerprint: fingerprint(&key), key, chains: chains.collect(), late_so_far: 0 })
    }

    /// Takes in an object for the digest of its hour, or, for every other late one, for a backfill digest.
    pub(super) fn add(&mut self, trail: Trail, lane: usize, log: &Log<'_>) {
        self.late_so_far += u64::from(log.is_late);
        let Some(chain) = self.chains.iter_mut().find(|chain| (chain.trail, chain.lane) == (trail, lane)) else {
            return;
        };
        let window = chain.window(log.at);
        let is_left_out = window < chain.next || (log.is_late && self.late_so_far % 2 == 1);
        let logs = if is_left_out { &mut chain.late } else { &mut chain.logs };
        logs.entry(window).or_default().push(log.named());
    }

    /// Writes the digests of the windows that end before this instant.
    pub(super) fn close(&mut self, now: Seconds, packer: &mut Packer, sink: Sink<'_>) -> io::Result<()> {
        let Self { key, fingerprint, chains, .. } = self;
        for chain in chains {
            let signer = Signer { key, fingerprint };
            while chain.next + HOUR <= now {
                sink(chain.hourly(&signer, packer)?)?;
            }
            while chain.late.first_key_value().is_some_and(|(window, _)| window + HOUR + BACKFILL_DELAY <= now) {
                sink(chain.backfill(&signer, packer)?)?;
            }
        }
        Ok(())
    }

    /// Writes all that is left, up to the window of the last delivery.
    pub(super) fn finish(&mut self, last: Seconds, packer: &mut Packer, sink: Sink<'_>) -> io::Result<()> {
        let latest = self.chains.iter().filter_map(|chain| chain.logs.last_key_value());
        let last = latest.map(|(window, _)| *window).fold(last, Seconds::max);
        self.close(last + 2 * HOUR, packer, sink)?;
        let Self { key, fingerprint, chains, .. } = self;
        for chain in chains {
            while !chain.late.is_empty() {
                sink(chain.backfill(&Signer { key, fingerprint }, packer)?)?;
            }
        }
        Ok(())
    }
}

impl Chain {
    fn new(place: Place, trail: Trail, lane: usize, start: Seconds) -> Self {
        let minute = (lane * 2 + usize::from(trail == Trail::Organization)) % 20;
        let offset = MINUTE * Seconds::try_from(minute).unwrap_or(0) + 31;
        let mut chain = Self {
            place,
            trail,
            lane,
            offset,
            next: 0,
            logs: BTreeMap::new(),
            late: BTreeMap::new(),
            previous: None,
            previous_backfill: None,
        };
        chain.next = chain.window(start);
        chain
    }

    /// The begin of the window of an instant.
    fn window(&self, at: Seconds) -> Seconds {
        (at - self.offset).div_euclid(HOUR) * HOUR + self.offset
    }

    fn hourly(&mut self, signer: &Signer<'_>, packer: &mut Packer) -> io::Result<LogObject> {
        let logs = self.logs.remove(&self.next).unwrap_or_default();
        let (window, previous) = (self.next, self.previous.take());
        let (object, previous) = signer.digest(self, (window, false), &logs, previous.as_ref(), packer)?;
        (self.next, self.previous) = (window + HOUR, Some(previous));
        Ok(object)
    }

    fn backfill(&mut self, signer: &Signer<'_>, packer: &mut Packer) -> io::Result<LogObject> {
        let (window, logs) = self.late.pop_first().unwrap_or_default();
        let previous = self.previous_backfill.take();
        let (mut object, previous) = signer.digest(self, (window, true), &logs, previous.as_ref(), packer)?;
        let made = iso(window + HOUR + BACKFILL_DELAY).replace('Z', ".000Z");
        object.metadata.push(("backfill-generation-timestamp", made));
        self.previous_backfill = Some(previous);
        Ok(object)
    }
}

struct Signer<'a> {
    key: &'a RsaKeyPair,
    fingerprint: &'a str,
}

impl Signer<'_> {
    /// A digest, and how the next one names it.
    fn digest(
        &self,
        chain: &Chain,
        (window, is_backfill): (Seconds, bool),
        logs: &[Value],
        previous: Option<&Previous>,
        packer: &mut Packer,
    ) -> io::Result<(LogObject, Previous)> {
        let end = iso(window + HOUR);
        let object = chain.place.object(window + HOUR, is_backfill);
        let of_logs = |offset: Seconds| (!logs.is_empty()).then(|| iso(window + offset));
        let json = json!({
            "awsAccountId": chain.place.account,
            "digestStartTime": iso(window),
            "digestEndTime": end,
            "digestS3Bucket": BUCKET,
            "digestS3Object": object,
            "digestPublicKeyFingerprint": self.fingerprint,
            "digestSignatureAlgorithm": ALGORITHM,
            "newestEventTime": of_logs(HOUR - MINUTE),
            "oldestEventTime": of_logs(-15 * MINUTE),
            "previousDigestS3Bucket": previous.map(|_| BUCKET),
            "previousDigestS3Object": previous.map(|previous| &previous.object),
            "previousDigestHashValue": previous.map(|previous| &previous.hash),
            "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
            "previousDigestSignature": previous.map(|previous| &previous.signature),
            "logFiles": logs,
        });
        let text = serde_json::to_vec(&json)?;
        let hash = sha256(&text);
        let before = previous.map_or("null", |previous| &previous.signature);
        let signature = self.sign(&format!("{end}\n{BUCKET}/{object}\n{hash}\n{before}"))?;
        let mut gzip = Vec::new();
        packer.append(&text, &mut gzip)?;
        let metadata = vec![("signature", signature.clone()), ("signature-algorithm", ALGORITHM.to_owned())];
        let written = LogObject { path: object.clone(), gzip, records: 0, metadata };
        Ok((written, Previous { object, hash, signature }))
    }

    fn sign(&self, text: &str) -> io::Result<String> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        // The padding is PKCS#1 v1.5, which draws nothing from the source of randomness that it is given.
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(io::Error::other)?;
        Ok(hex(&signature))
    }
}
