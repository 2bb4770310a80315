//! Which KMS key a record is about.
//!
//! The record's `resources` are the answer wherever they are present; a Decrypt names its key nowhere else, because KMS
//! reads it from the ciphertext (facts §3.2.1–2). The other places are tried in an order from certain to inferred:
//!
//! ```text
//! resources[] ─► responseElements ─► ARN in the request ─► bare id + account + Region ─► ARN in the error message
//! ```
//!
//! An alias is never turned into a key here: it may have named another key at the time of the call.

use std::borrow::Cow;

use super::arn::{self, Arn, is_key_arn, key_id, partition_of};
use super::columns::Text;
use super::wire::{KmsRequest, Record};

/// What completes a bare key id, which can only mean a key of the account and Region that were called.
#[derive(Debug, Default, Clone, Copy)]
pub struct Place<'r> {
    /// The account whose log the record is from.
    pub account: Option<&'r str>,
    /// The Region that the record is from.
    pub region: Option<&'r str>,
    /// The caller's ARN, if there is one: it is of the key's partition.
    pub caller_arn: Option<&'r str>,
}

/// The keys of one record.
#[derive(Debug, Default, PartialEq)]
pub struct Keys<'a> {
    /// The key, or ReEncrypt's source key.
    pub key: Text<'a>,
    /// ReEncrypt's destination key.
    pub destination: Text<'a>,
}

impl<'a> Keys<'a> {
    /// Finds the keys of a KMS record (facts §3.2).
    #[must_use]
    pub fn find(record: &mut Record<'a>, place: Place<'_>) -> Self {
        if record.event_name.get() == Some("ReEncrypt") {
            return Self::of_reencrypt(record);
        }
        let key = record.resources.key.take();
        let key = key.or_else(|| Self::elsewhere(record, place));
        Self { key, destination: None }
    }

    fn elsewhere(record: &Record<'a>, place: Place<'_>) -> Text<'a> {
        let (request, response) = (&record.request_parameters.named, &record.response_elements.named);
        let service = &record.service_event_details.named;
        let full =
            [&response.key_id, &response.key_metadata.arn, &request.key_id, &request.target_key_id, &service.key_id];
        if let Some(text) = full.into_iter().find(|text| text.get().is_some_and(is_key_arn)) {
            return text.clone().take();
        }
        let bare = [&request.key_id, &request.target_key_id, &service.key_id];
        let bare = bare.into_iter().filter_map(|text| text.filled()).find(|id| is_bare_id(id));
        if let (Some(id), Some(account), Some(region)) = (bare, place.account, place.region) {
            let partition = partition_of(&[place.caller_arn, record.resources.first.get()], region);
            return Some(Cow::Owned(format!("arn:{partition}:kms:{region}:{account}:key/{id}")));
        }
        record.error_message.get().and_then(arn_in_message).map(|arn| Cow::Owned(arn.to_owned()))
    }

    /// ReEncrypt lists the source key first, then the destination (facts §3.2.3). When only one is listed, the request
    /// may tell which of the two it is.
    fn of_reencrypt(record: &mut Record<'a>) -> Self {
        let request = &mut record.request_parameters.named;
        let source_arn = |request: &mut KmsRequest<'a>| {
            request.source_key_id.get().is_some_and(is_key_arn).then(|| request.source_key_id.take()).flatten()
        };
        let first = record.resources.key.take();
        let second = record.resources.second_key.take();
        let Some(first) = first else {
            let message = record.error_message.get().unwrap_or_default();
            let denied = arn_in_message(message).map(|arn| Cow::Owned(arn.to_owned()));
            let source = source_arn(request);
            // The two halves are authorized one by one, and the message says which half failed.
            return if message.contains("kms:ReEncryptTo") {
                Self { key: source, destination: denied }
            } else {
                Self { key: source.or(denied), destination: None }
            };
        };
        let is_first = |text: &super::wire::Text<'_>| {
            text.filled().is_some_and(|id| id == first || key_id(&first).is_some_and(|key| key == id))
        };
        if second.is_none() && is_first(&request.destination_key_id) && !is_first(&request.source_key_id) {
            return Self { key: source_arn(request), destination: Some(first) };
        }
        Self { key: Some(first), destination: second }
    }
}

/// Whether a text is a plain key id: a GUID, or `mrk-` and 32 hexadecimal digits.
#[must_use]
pub fn is_bare_id(text: &str) -> bool {
    let digits = text.strip_prefix("mrk-").unwrap_or(text);
    digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A key ARN inside an error message, for denied calls whose `resources` are empty (facts §5.1).
fn arn_in_message(message: &str) -> Option<&str> {
    message.match_indices("arn:").find_map(|(at, _)| {
        let text = &message[at..];
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !":/_-".contains(c)).unwrap_or(text.len());
        Some(&text[..end]).filter(|arn| is_key_arn(arn) && Arn::new(arn).and_then(Arn::service) == Some("kms"))
    })
}

/// The alias that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias<'a> {
    /// As `alias/…`.
    pub name: Cow<'a, str>,
    /// Its whole ARN, which tells its account and Region, where the record has that.
    pub arn: Text<'a>,
}

/// The alias that a request named; it tells what the caller meant, not which key that was.
#[must_use]
pub fn alias<'a>(record: &Record<'a>) -> Option<Alias<'a>> {
    let request = &record.request_parameters.named;
    let named = [&request.alias_name, &request.key_id, &record.resources.alias];
    let name = named.into_iter().find_map(|text| alias_name(&text.clone().take_filled()?))?;
    // A request may have the plain name of what the resources name in full.
    let is_it = |arn: &Cow<'a, str>| alias_name(arn).as_deref() == Some(&*name) && arn.starts_with("arn:");
    let arn = named.into_iter().filter_map(|text| text.clone().take_filled()).find(is_it);
    Some(Alias { name, arn })
}

/// The part of a name or ARN from `alias/` on.
fn alias_name<'a>(text: &Cow<'a, str>) -> Text<'a> {
    arn::part(text, |text| match text {
        _ if text.starts_with("alias/") => Some(text),
        _ if text.starts_with("arn:") => text.find(":alias/").map(|colon| &text[colon + 1..]),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::json::from_str;
    use super::*;

    const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn keys(json: &str) -> (Option<String>, Option<String>) {
        let mut record: Record<'_> = from_str(json).unwrap();
        let place = Place { account: Some("111122223333"), region: Some("us-west-2"), caller_arn: None };
        let found = Keys::find(&mut record, place);
        (found.key.map(Cow::into_owned), found.destination.map(Cow::into_owned))
    }

    #[test]
    fn resources_win_and_the_other_places_follow() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let key = (Some(KEY.to_owned()), None);
        for json in [
            format!(r#"{{"resources":[{{"ARN":"arn:aws:kms:us-west-2:111122223333:alias/a"}},{{"ARN":"{KEY}"}}]}}"#),
            format!(
                r#"{{"responseElements":{{"keyMetadata":{{"arn":"{KEY}"}}}},"requestParameters":{{"keyId":"x"}}}}"#
            ),
            format!(r#"{{"requestParameters":{{"keyId":"{id}"}}}}"#),
            format!(r#"{{"serviceEventDetails":{{"keyId":"{id}"}}}}"#),
            format!(r#"{{"requestParameters":{{"keyId":"alias/a"}},"errorMessage":"no access to {KEY}."}}"#),
        ] {
            assert_eq!(keys(&json), key, "{json}");
        }
        assert_eq!(keys(r#"{"requestParameters":{"keyId":"alias/a"}}"#), (None, None));
    }

    #[test]
    fn a_bare_id_is_of_the_partition_of_the_record() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let json = format!(r#"{{"requestParameters":{{"keyId":"{id}"}}}}"#);
        let mut record: Record<'_> = from_str(&json).unwrap();
        let mut found = |region, caller_arn| {
            let place = Place { account: Some("111122223333"), region: Some(region), caller_arn };
            Keys::find(&mut record, place).key.map(Cow::into_owned)
        };
        let arn = |partition: &str, region: &str| Some(format!("arn:{partition}:kms:{region}:111122223333:key/{id}"));
        assert_eq!(found("us-iso-east-1", None), arn("aws-iso", "us-iso-east-1"));
        assert_eq!(found("eusc-de-east-1", Some("AROAEXAMPLE")), arn("aws-eusc", "eusc-de-east-1"));
        let new = Some("arn:aws-new:sts::111122223333:assumed-role/r/s");
        assert_eq!(found("xx-east-1", new), arn("aws-new", "xx-east-1"));
    }

    #[test]
    fn reencrypt_has_a_source_and_a_destination() {
        let other = KEY.replace("1234abcd", "0987dcba");
        let both = format!(r#"{{"eventName":"ReEncrypt","resources":[{{"ARN":"{KEY}"}},{{"ARN":"{other}"}}]}}"#);
        assert_eq!(keys(&both), (Some(KEY.to_owned()), Some(other)));
        let one = format!(
            r#"{{"eventName":"ReEncrypt","resources":[{{"ARN":"{KEY}"}}],"requestParameters":{{"destinationKeyId":"{KEY}"}}}}"#
        );
        assert_eq!(keys(&one), (None, Some(KEY.to_owned())));
    }
}
