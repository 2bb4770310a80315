//! One digest, judged: is it whole, where it belongs, signed by AWS, and the one that its successor names?

use chrono::{DateTime, Utc};

use super::archive::{Archive, Fetched, StoredSignature, bounded};
use super::hash::{from_hex, inflated, sha256};
use super::keys::{Needed, PublicKeys};
use crate::cloudtrail::digest::{Digest, DigestName};
use crate::source::ObjectRef;

/// The largest digest, stored or inflated, that is read: one that names a file a second for an hour has 2 MB.
const DIGEST_BYTES_MAX: u64 = 8 << 20;

/// The only algorithm that CloudTrail signs with.
const ALGORITHM: &str = "SHA256withRSA";

/// What is known of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// AWS signed it, here and as it is.
    Valid,
    /// It is not what AWS delivered, or not where.
    Invalid,
    /// Another digest names it, and it is not there.
    Missing,
    /// There is no signature to check it with.
    Unsigned,
    /// There is no key to check its signature with.
    KeyUnknown,
    /// Its bytes could not be had.
    Unreadable,
}

impl State {
    /// The name in the `state` column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Missing => "missing",
            Self::Unsigned => "unsigned",
            Self::KeyUnknown => "key_unknown",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether what it says can be used: nothing speaks against it.
    pub(super) fn is_plausible(self) -> bool {
        matches!(self, Self::Valid | Self::Unsigned | Self::KeyUnknown)
    }
}

/// A digest of an archive, by its name.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub object: ObjectRef,
    pub name: DigestName,
    /// Whether its name tells the account and Region that it lies under.
    pub is_at_home: bool,
    /// Outside of what was asked for: it is judged for what it says of its neighbours, and told nothing of.
    pub is_witness: bool,
}

/// A candidate with what is in it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub candidate: Candidate,
    pub content: Content,
    pub stored: Result<Option<StoredSignature>, String>,
}

#[derive(Debug)]
pub(super) enum Content {
    Read { digest: Box<Digest>, sha256: String },
    Malformed(String),
    Unreadable(String),
}

impl Loaded {
    pub fn digest(&self) -> Option<&Digest> {
        match &self.content {
            Content::Read { digest, .. } => Some(digest),
            _ => None,
        }
    }
}

/// Reads a digest and its signature.
pub(super) async fn load(archive: &dyn Archive, candidate: Candidate) -> Loaded {
    let stored = archive.signature(&candidate.object).await.map_err(|error| error.to_string());
    let fetched = match bounded(candidate.object.size, DIGEST_BYTES_MAX) {
        Ok(()) => archive.read(&candidate.object).await,
        Err(error) => Err(error),
    };
    let content = match fetched {
        Ok(Fetched { bytes, .. }) => match inflated(&bytes, DIGEST_BYTES_MAX).map_err(|error| error.to_string()) {
            Ok(text) => match Digest::parse(&text) {
                Ok(digest) => Content::Read { digest: Box::new(digest), sha256: sha256(&text) },
                Err(error) => Content::Malformed(error.to_string()),
            },
            Err(why) => Content::Malformed(why),
        },
        Err(error) => Content::Unreadable(error.to_string()),
    };
    Loaded { candidate, content, stored }
}

/// What another digest says of this one.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub hash: Option<String>,
    pub signature: Option<String>,
    /// The digest that says so, and what is known of it.
    pub by: String,
    pub state: State,
}

/// What was found, and why it is not `Valid`: first what AWS's own validator would say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub state: State,
    pub reason: Option<String>,
}

impl Verdict {
    pub fn new(state: State, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()) }
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Self::new(State::Invalid, reason)
    }
}

/// Where a signature was found.
enum Signature<'a> {
    Own(&'a StoredSignature),
    Named(&'a str, &'a Claim),
    None,
}

/// Judges a digest by itself and by what its successor says.
pub(super) async fn judge(
    archive: &dyn Archive,
    keys: &mut PublicKeys,
    loaded: &Loaded,
    claim: Option<&Claim>,
) -> Verdict {
    let DigestName { account_id, region, .. } = &loaded.candidate.name;
    if !loaded.candidate.is_at_home {
        let told = format!("has been moved from its original location: its name is of {account_id} in {region}");
        return Verdict::invalid(told);
    }
    let (digest, sha256) = match &loaded.content {
        Content::Read { digest, sha256 } => (digest, sha256),
        Content::Malformed(why) => return Verdict::invalid(format!("invalid format: {why}")),
        Content::Unreadable(why) => return Verdict::new(State::Unreadable, format!("cannot be read: {why}")),
    };
    let Digest { digest_s3_bucket: bucket, digest_s3_object: object, .. } = digest.as_ref();
    if !archive.is_at(&loaded.candidate.object, Some(bucket), object) {
        let told = format!("has been moved from its original location: it belongs at {bucket}/{object}");
        return Verdict::invalid(told);
    }
    if let Some(other) = digest.digest_signature_algorithm.as_deref().filter(|name| *name != ALGORITHM) {
        return Verdict::invalid(format!("invalid format: signed with {other}, not {ALGORITHM}"));
    }
    if let Some(claim) = claim
        && claim.state.is_plausible()
        && let Some(hash) = claim.hash.as_ref().filter(|hash| !hash.eq_ignore_ascii_case(sha256))
    {
        return Verdict::invalid(format!(
            "is not the digest that its successor names: its hash is {sha256}, and {} says {hash}",
            claim.by
        ));
    }
    let signature = match (&loaded.stored, claim) {
        (Ok(Some(stored)), _) => Signature::Own(stored),
        (Err(why), _) => {
            return Verdict::new(State::Unreadable, format!("its signature cannot be read: {why}"));
        }
        (Ok(None), Some(claim)) => {
            claim.signature.as_deref().map_or(Signature::None, |text| Signature::Named(text, claim))
        }
        (Ok(None), None) => Signature::None,
    };
    check(keys, loaded, digest, sha256, &signature).await
}

async fn check(
    keys: &mut PublicKeys,
    loaded: &Loaded,
    digest: &Digest,
    sha256: &str,
    signature: &Signature<'_>,
) -> Verdict {
    let (text, stored) = match signature {
        Signature::Own(stored) => (stored.signature.as_str(), Some(*stored)),
        Signature::Named(text, _) => (*text, None),
        Signature::None => return Verdict::new(State::Unsigned, UNSIGNED),
    };
    let Some(window) = digest.start().zip(digest.end()) else {
        return Verdict::invalid("invalid format: its window is no pair of times");
    };
    let generated_at = stored.and_then(|stored| stored.backfill_generated_at.as_deref()).and_then(instant);
    let (region, fingerprint) = (&loaded.candidate.name.region, &digest.digest_public_key_fingerprint);
    let unknown = |why: &str| {
        let told = format!("public key not found in region {region} for fingerprint {fingerprint}{why}");
        Verdict::new(State::KeyUnknown, told)
    };
    let key = match keys.find(&Needed::new(region, fingerprint, window, generated_at)).await {
        Ok(Some(key)) => key,
        Ok(None) => return unknown(""),
        Err(why) => return unknown(&format!(": {why}")),
    };
    let bytes = from_hex(text).unwrap_or_default();
    let verified = key.verifies(&digest.string_to_sign(sha256), &bytes);
    match (verified, signature) {
        (None, _) => Verdict::invalid(format!("Unable to load PKCS #1 key with fingerprint {fingerprint}")),
        (Some(true), _) => Verdict { state: State::Valid, reason: None },
        (Some(false), Signature::Named(_, claim)) if !claim.state.is_plausible() => Verdict::new(
            State::Unsigned,
            format!("its only signature is named by {}, which is invalid itself", claim.by),
        ),
        (Some(false), Signature::Named(_, claim)) if claim.state != State::Valid => {
            Verdict::invalid(format!("{FAILED}; it is named by {}, which nothing proves either", claim.by))
        }
        (Some(false), _) => Verdict::invalid(FAILED),
    }
}

const FAILED: &str = "signature verification failed";

const UNSIGNED: &str = "there is no signature to check it with: no digest that is there names one, and none was kept \
                        beside it (a copy to disk loses S3's metadata; `aws s3api head-object` prints it)";

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
