//! The public keys that AWS signs digests with, and the check of a signature (facts §7.3).
//!
//! They come from a file with the answer of `aws cloudtrail list-public-keys`, or from `ListPublicKeys` itself, asked per
//! Region and only for windows that digests need. A key is what its owner says it is: the file must come from a place
//! that whoever may change the logs cannot change, so a file among the logs is never taken by itself.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;

use super::EvidenceError;
use crate::source::aws::told;

/// How far beyond a digest's end keys are asked for (facts §7.3).
const AFTER_END_HOURS: i64 = 2;

/// How far around the making of a backfill digest keys are asked for (facts §7.3).
const AROUND_BACKFILL_HOURS: i64 = 1;

/// The longest window that keys are asked for: nothing proves yet what a digest says of its own.
const WINDOW_HOURS_MAX: i64 = 24;

const DAY_SECONDS: i64 = 86_400;

/// A public key, by the fingerprint that digests name it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Hexadecimal digits.
    pub fingerprint: String,
    /// DER, of `RSAPublicKey` (PKCS#1) or `SubjectPublicKeyInfo`: AWS's own samples have both.
    pub der: Vec<u8>,
}

impl PublicKey {
    /// Whether a signature over a text was made with this key's other half: RSA PKCS#1 v1.5 over SHA-256. Nothing when
    /// the key itself is none.
    #[must_use]
    pub fn verifies(&self, text: &str, signature: &[u8]) -> Option<bool> {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.der).ok()?;
        Some(key.verify_sig(text.as_bytes(), signature).is_ok())
    }
}

/// Where keys can be asked for.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The keys of a Region that are valid at some instant between these two.
    async fn list(&self, region: &str, from: DateTime<Utc>, to: DateTime<Utc>)
    -> Result<Vec<PublicKey>, EvidenceError>;
}

/// `ListPublicKeys` of the CloudTrail API, with the credentials of this configuration.
#[derive(Debug, Clone)]
pub struct CloudTrailKeys {
    client: aws_sdk_cloudtrail::Client,
}

impl CloudTrailKeys {
    /// Asks through a client; its Region is replaced by that of the digests.
    #[must_use]
    pub fn new(client: aws_sdk_cloudtrail::Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl KeySource for CloudTrailKeys {
    async fn list(
        &self,
        region: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<PublicKey>, EvidenceError> {
        use aws_sdk_cloudtrail::config::{Config, Region};
        use aws_sdk_cloudtrail::primitives::DateTime as Instant;

        let there = Config::builder().region(Region::new(region.to_owned()));
        let (from, to) = (Instant::from_secs(from.timestamp()), Instant::from_secs(to.timestamp()));
        let (mut keys, mut token) = (Vec::new(), None);
        loop {
            let asked = self.client.list_public_keys().start_time(from).end_time(to).set_next_token(token);
            let answer = asked.customize().config_override(there.clone()).send().await.map_err(|error| {
                let why = told(&error);
                EvidenceError::Keys { place: format!("ListPublicKeys in {region}"), why }
            })?;
            keys.extend(answer.public_key_list().iter().filter_map(|key| {
                let (fingerprint, value) = (key.fingerprint()?.to_owned(), key.value()?);
                Some(PublicKey { fingerprint, der: value.as_ref().to_vec() })
            }));
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(keys);
            }
        }
    }
}

/// The keys that are at hand, and where to ask for others.
#[derive(Default)]
pub struct PublicKeys {
    known: HashMap<String, PublicKey>,
    source: Option<Box<dyn KeySource>>,
    /// Regions and days, the first and the last, that were asked for.
    asked: HashSet<(String, (i64, i64))>,
    /// Regions that gave no answer, and why: they are not asked again.
    refused: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    public_key_list: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    value: String,
    fingerprint: String,
}

impl PublicKeys {
    /// Keys that are asked for when a digest needs them.
    #[must_use]
    pub fn from_source(source: Box<dyn KeySource>) -> Self {
        Self { source: Some(source), ..Self::default() }
    }

    /// Adds the keys of a file: the JSON that `aws cloudtrail list-public-keys` prints. Each Region has keys of its own,
    /// so there may be several files.
    ///
    /// # Errors
    /// When the text is not of that form. `place` names it.
    pub fn add_json(&mut self, json: &[u8], place: &str) -> Result<(), EvidenceError> {
        let failed = |why: String| EvidenceError::Keys { place: place.to_owned(), why };
        let list: List = serde_json::from_slice(json)
            .map_err(|error| failed(format!("not what `aws cloudtrail list-public-keys` prints: {error}")))?;
        for Listed { value, fingerprint } in list.public_key_list {
            let der = STANDARD.decode(value.trim()).map_err(|error| failed(format!("key {fingerprint}: {error}")))?;
            self.add(PublicKey { fingerprint, der });
        }
        Ok(())
    }

    fn add(&mut self, key: PublicKey) {
        self.known.insert(key.fingerprint.to_ascii_lowercase(), key);
    }

    /// The key of a fingerprint; asks for it in the Region of the digest when it is not at hand.
    ///
    /// # Errors
    /// With the reason, when the Region's keys cannot be had: a Region that is closed to the caller says nothing against
    /// the others.
    pub(super) async fn find(&mut self, needed: &Needed<'_>) -> Result<Option<PublicKey>, String> {
        let fingerprint = needed.fingerprint.to_ascii_lowercase();
        let day = |at: DateTime<Utc>| at.timestamp().div_euclid(DAY_SECONDS);
        let days = (day(needed.from), day(needed.to));
        if let (None, Some(source)) = (self.known.get(&fingerprint), &self.source) {
            if let Some(why) = self.refused.get(needed.region) {
                return Err(why.clone());
            }
            if self.asked.insert((needed.region.to_owned(), days)) {
                match ask(source.as_ref(), needed.region, days).await {
                    Ok(keys) => keys.into_iter().for_each(|key| self.add(key)),
                    Err(why) => {
                        self.refused.insert(needed.region.to_owned(), why.clone());
                        return Err(why);
                    }
                }
            }
        }
        Ok(self.known.get(&fingerprint).cloned())
    }
}

/// Asks for whole days, so that one question serves nearly all digests of a day.
async fn ask(source: &dyn KeySource, region: &str, days: (i64, i64)) -> Result<Vec<PublicKey>, String> {
    // A Region is named by a folder, and names the host that is asked: nothing but AWS's own may be made of it.
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || !region.bytes().all(is_letter) {
        return Err("it is no name of a Region".to_owned());
    }
    let (from, to) = whole_days(days.0, days.1);
    source.list(region, from, to).await.map_err(|error| error.to_string())
}

/// The days that two instants lie in, as a window.
fn whole_days(from: i64, to: i64) -> (DateTime<Utc>, DateTime<Utc>) {
    let instant = |day: i64| DateTime::from_timestamp(day * DAY_SECONDS, 0).unwrap_or_default();
    (instant(from), instant(to + 1))
}

/// Which key a digest needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needed<'a> {
    pub region: &'a str,
    pub fingerprint: &'a str,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl<'a> Needed<'a> {
    /// The key of a digest with this window; `generated_at` is when a backfill digest was made, long after its window.
    pub fn new(
        region: &'a str,
        fingerprint: &'a str,
        window: (DateTime<Utc>, DateTime<Utc>),
        generated_at: Option<DateTime<Utc>>,
    ) -> Self {
        let (from, to) = match generated_at {
            Some(at) => (at - Duration::hours(AROUND_BACKFILL_HOURS), at + Duration::hours(AROUND_BACKFILL_HOURS)),
            None => (
                window.0.clamp(window.1 - Duration::hours(WINDOW_HOURS_MAX), window.1),
                window.1 + Duration::hours(AFTER_END_HOURS),
            ),
        };
        Self { region, fingerprint, from, to }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    use super::*;

    #[test]
    fn a_key_is_read_in_both_forms_that_aws_uses() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"a text", &mut signature).unwrap();
        let pkcs1 = pair.public_key().as_ref().to_vec();
        let x509: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        // As facts §7.3 has seen them begin.
        assert!(STANDARD.encode(&pkcs1).starts_with("MIIBCgKC"));
        assert!(STANDARD.encode(x509.as_ref()).starts_with("MIIBIjANBgkq"));
        for der in [pkcs1, x509.as_ref().to_vec()] {
            let key = PublicKey { fingerprint: "ab".to_owned(), der };
            assert_eq!(key.verifies("a text", &signature), Some(true));
            assert_eq!(key.verifies("another", &signature), Some(false));
            assert_eq!(key.verifies("a text", &signature[1..]), Some(false));
        }
        let none = PublicKey { fingerprint: "ab".to_owned(), der: b"no key".to_vec() };
        assert_eq!(none.verifies("a text", &signature), None);
    }

    struct Asked(std::sync::Mutex<Vec<String>>);

    #[async_trait]
    impl KeySource for std::sync::Arc<Asked> {
        async fn list(
            &self,
            region: &str,
            from: DateTime<Utc>,
            to: DateTime<Utc>,
        ) -> Result<Vec<PublicKey>, EvidenceError> {
            self.0.lock().unwrap().push(format!("{region} {from:?} {to:?}"));
            Ok(vec![PublicKey { fingerprint: format!("{region}-{}", from.timestamp()), der: Vec::new() }])
        }
    }

    #[tokio::test]
    async fn a_name_that_is_no_region_is_never_asked() {
        let asked = std::sync::Arc::new(Asked(std::sync::Mutex::default()));
        let mut keys = PublicKeys::from_source(Box::new(std::sync::Arc::clone(&asked)));
        let at = DateTime::UNIX_EPOCH;
        for region in ["x.example.com?", "a/b", "EU-west-1", ""] {
            assert!(keys.find(&Needed::new(region, "ab", (at, at), None)).await.is_err(), "{region}");
        }
        assert!(asked.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_region_is_asked_once_a_day_and_not_for_what_is_at_hand() {
        let asked = std::sync::Arc::new(Asked(std::sync::Mutex::default()));
        let mut keys = PublicKeys::from_source(Box::new(std::sync::Arc::clone(&asked)));
        let file = br#"{"PublicKeyList":[{"Value":"AAEC","ValidityStartTime":"2026-01-01T00:00:00+00:00","Fingerprint":"AB12"}]}"#;
        keys.add_json(file, "keys.json").unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let window = |day: &str| (at(&format!("{day}T10:01:31Z")), at(&format!("{day}T11:01:31Z")));
        for (region, fingerprint, day, is_found) in [
            ("eu-west-1", "ab12", "2026-01-05", true),
            ("eu-west-1", "none", "2026-01-05", false),
            ("eu-west-1", "eu-west-1-1767571200", "2026-01-05", true),
            ("us-east-1", "us-east-1-1767571200", "2026-01-05", true),
        ] {
            let found = keys.find(&Needed::new(region, fingerprint, window(day), None)).await.unwrap();
            assert_eq!(found.is_some(), is_found, "{region} {fingerprint}");
        }
        let days = "2026-01-05T00:00:00Z 2026-01-06T00:00:00Z";
        assert_eq!(*asked.0.lock().unwrap(), [format!("eu-west-1 {days}"), format!("us-east-1 {days}")]);
        let late = Needed::new("r", "f", window("2026-01-05"), Some(at("2026-02-01T00:30:00Z")));
        assert_eq!((late.from, late.to), (at("2026-01-31T23:30:00Z"), at("2026-02-01T01:30:00Z")));
        assert!(keys.add_json(b"{}", "x").is_err() && keys.add_json(b"[", "x").is_err());
    }
}
