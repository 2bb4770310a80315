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

use super::LogObject;
use super::clock::{Calendar, DAY, HOUR, MINUTE, Seconds, iso};
use super::dice::push_hex;
use super::objects::{Packer, Trail};
use super::stream::Sink;
use super::world::World;

/// The signing key, PKCS#8: synthetic and worthless.
const KEY: &[u8] = include_bytes!("worthless-test-key.pk8");

/// The bucket that the digests speak of.
const BUCKET: &str = "keytrail-synthetic-logs";

/// How long after its hour a backfill digest is made.
const BACKFILL_DELAY: Seconds = DAY;

const ALGORITHM: &str = "SHA256withRSA";

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

/// The last digest of a chain, as the next one names it.
struct Previous {
    object: String,
    hash: String,
    signature: String,
}

/// A chain of digests and what its next ones will name.
struct Chain {
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
        let chains = (0..world.lanes.len()).flat_map(|lane| trails.map(|trail| Chain::new(trail, lane, start)));
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
        logs.entry(window).or_default().push(json!({
            "s3Bucket": BUCKET,
            "s3Object": log.key,
            "hashValue": sha256(log.text),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": iso(log.at - MINUTE),
            "oldestEventTime": iso(log.at - 15 * MINUTE),
        }));
    }

    /// Writes the digests of the windows that end before this instant.
    pub(super) fn close(&mut self, world: &World, now: Seconds, packer: &mut Packer, sink: Sink<'_>) -> io::Result<()> {
        let Self { key, fingerprint, chains, .. } = self;
        for chain in chains {
            let signer = Signer { key, fingerprint, world };
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
    pub(super) fn finish(
        &mut self,
        world: &World,
        last: Seconds,
        packer: &mut Packer,
        sink: Sink<'_>,
    ) -> io::Result<()> {
        let latest = self.chains.iter().filter_map(|chain| chain.logs.last_key_value());
        let last = latest.map(|(window, _)| *window).fold(last, Seconds::max);
        self.close(world, last + 2 * HOUR, packer, sink)?;
        let Self { key, fingerprint, chains, .. } = self;
        for chain in chains {
            while !chain.late.is_empty() {
                sink(chain.backfill(&Signer { key, fingerprint, world }, packer)?)?;
            }
        }
        Ok(())
    }
}

impl Chain {
    fn new(trail: Trail, lane: usize, start: Seconds) -> Self {
        let minute = (lane * 2 + usize::from(trail == Trail::Organization)) % 20;
        let offset = MINUTE * Seconds::try_from(minute).unwrap_or(0) + 31;
        let mut chain = Self {
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
    world: &'a World,
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
        let object = self.object(chain, window + HOUR, is_backfill);
        let of_logs = |offset: Seconds| (!logs.is_empty()).then(|| iso(window + offset));
        let json = json!({
            "awsAccountId": self.world.account(chain.lane),
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

    fn object(&self, chain: &Chain, end: Seconds, is_backfill: bool) -> String {
        let (account, region) = (self.world.account(chain.lane), self.world.region(chain.lane));
        let (prefix, trail) = match chain.trail {
            Trail::Own => ("AWSLogs".to_owned(), "management_events"),
            Trail::Organization => (format!("org-trail/AWSLogs/{}", self.world.organization), "org-trail"),
        };
        let (c, home) = (Calendar::of(end), self.world.regions[0]);
        let stamp = iso(end).replace(['-', ':'], "");
        format!(
            "{prefix}/{account}/CloudTrail-Digest/{region}/{:04}/{:02}/{:02}/\
             {account}_CloudTrail-Digest_{region}_{trail}_{home}_{stamp}{}.json.gz",
            c.year,
            c.month,
            c.day,
            if is_backfill { "_backfill" } else { "" }
        )
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
