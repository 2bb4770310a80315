//! From one record's text to one [`Event`]: the wire structs on one side, the columns on the other.
//!
//! Nothing here reads bytes from anywhere or keeps state between records.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat};

use super::arn::{self, Arn};
use super::asset::{self, Trust};
use super::columns::{Event, Text};
use super::json;
use super::key::{self, Alias, Keys, Place};
use super::operation::{self, UsageClass};
use super::principal::{self, Caller};
use super::redact;
use super::via::{Maker, Proofs};
use super::wire::{Flag, KmsRequest, Record};

/// What became of one record.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// It goes into the lake.
    Kept(Box<Event<'a>>),
    /// It is of no interest: another service, or an operation that the lake does not keep.
    Other,
}

/// Why a record that should be kept cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not JSON, or not an object.
    #[error("broken JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// No `eventSource`.
    #[error("no eventSource")]
    NoSource,
    /// No `eventName`.
    #[error("no eventName")]
    NoName,
    /// No `eventTime`, or one that is no instant.
    #[error("no readable eventTime")]
    NoTime,
}

/// Reads one record.
///
/// # Errors
/// When the record is not JSON, or lacks what makes it an event: source, name and time.
pub fn decode(text: &str) -> Result<Decoded<'_>, Unusable> {
    let mut record: Record<'_> = json::from_str(text).map_err(|_| json::why_broken(text))?;
    let source = record.event_source.filled().ok_or(Unusable::NoSource)?;
    let Some(name) = record.event_name.filled() else {
        return if operation::is_wanted_source(source.as_bytes()) { Err(Unusable::NoName) } else { Ok(Decoded::Other) };
    };
    // Insights are of rates, not of calls. What a VPC endpoint logs of KMS may exist nowhere else: a call that its policy
    // denied never reached KMS. Of other services it repeats what management events tell (facts §1.1, §5.1).
    let is_network = record.event_category.get() == Some(NETWORK_ACTIVITY);
    let is_aside = record.event_category.get() == Some("Insight") || (is_network && source != operation::KMS);
    if is_aside || !operation::is_kept(source, name) {
        return Ok(Decoded::Other);
    }
    let event_time = record.event_time.get().and_then(event_second).filter(|time| *time < YEAR_10000);
    let event_time = event_time.ok_or(Unusable::NoTime)?;
    let class = UsageClass::of(source, name);
    let mut event = Box::new(Event { event_time: Some(event_time), ..Event::default() });
    event.event_date = i32::try_from(event_time.div_euclid(MICROSECONDS_PER_DAY)).ok();
    event.event_id = record.event_id.take_filled().or_else(|| Some(Cow::Owned(fingerprint(&record))));
    call(&mut event, &mut record, class);
    caller(&mut event, &mut record);
    if is_network && !event.is_of_endpoint() {
        // Views tell such events from KMS's own by their type.
        event.event_type = Some(Cow::Borrowed(ENDPOINT_TYPES[0]));
    }
    if class == UsageClass::Context {
        event.via = maker(&event).via(None);
        if record.event_source.get() == Some("sts.amazonaws.com") {
            event.principal_tags = principal_tags(&mut record.request_parameters.named)?;
        }
    } else {
        kms(&mut event, &mut record);
    }
    if event.account_id.is_none() {
        event.account_id = record.user_identity.account_id.take_filled();
    }
    if class.keeps_json() {
        free_form(&mut event, &record)?;
    }
    event.event_source = record.event_source.take();
    event.event_name = record.event_name.take();
    Ok(Decoded::Kept(event))
}

/// The first instant whose date has no four-digit year, in microseconds; an offset can lead there.
const YEAR_10000: i64 = 253_402_300_800_000_000;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// The category of what a VPC endpoint logs.
const NETWORK_ACTIVITY: &str = "NetworkActivity";

/// The types of such events: as AWS's samples have it, and as its documentation does (facts §1.2).
const ENDPOINT_TYPES: [&str; 2] = ["AwsVpceEvent", "AwsVpceEvents"];

impl Event<'_> {
    /// Whether a VPC endpoint logged it, and not the service that was called.
    #[must_use]
    pub fn is_of_endpoint(&self) -> bool {
        self.event_type.as_deref().is_some_and(|kind| ENDPOINT_TYPES.contains(&kind))
    }
}

/// Where and how: the members that every record has.
fn call<'a>(event: &mut Event<'a>, record: &mut Record<'a>, class: UsageClass) {
    event.shared_event_id = record.shared_event_id.take_filled();
    if record.addendum.reason.get() == Some("UPDATED_DATA") {
        event.original_event_id = record.addendum.original_event_id.take_filled();
    }
    event.event_type = record.event_type.take();
    event.usage_class = Some(Cow::Borrowed(class.name()));
    let Flag(read_only) = record.read_only;
    event.read_only = read_only;
    event.region = record.aws_region.take_filled();
    event.error_code = record.error_code.take_filled();
    event.error_message = record.error_message.clone().take_filled();
    event.outcome =
        Some(Cow::Borrowed(operation::outcome(event.error_code.as_deref(), event.error_message.as_deref())));
    event.source_ip = record.source_ip_address.take();
    event.user_agent = record.user_agent.take();
    event.vpc_endpoint_id = record.vpc_endpoint_id.take();
    event.tls_version = record.tls_details.tls_version.take();
    event.request_id = record.request_id.take();
    event.account_id = record.recipient_account_id.take_filled().or_else(|| whose_log(record));
}

/// Whose log a record without `recipientAccountId` is from: the caller's, unless it knows the caller as an outsider, by an account
/// and an opaque id alone. Only the log of the resource's owner shows callers so (facts §2.2), and the key names the owner.
fn whose_log<'a>(record: &Record<'a>) -> Text<'a> {
    let identity = &record.user_identity;
    if identity.kind.get() == Some("AWSAccount") { None } else { identity.account_id.clone().take_filled() }
}

fn caller<'a>(event: &mut Event<'a>, record: &mut Record<'a>) {
    let identity = &mut record.user_identity;
    let issuer = identity.session_context.session_issuer.arn.clone();
    let caller = Caller::of(identity, || {
        arn::partition_of(&[issuer.get(), record.resources.first.get()], event.region.as_deref().unwrap_or_default())
            .to_owned()
    });
    event.principal = caller.principal;
    if event.principal.is_none() && caller.kind.as_deref() == Some("AWSService") {
        // Where a service does not say who it is, its address does.
        event.principal = maker(event).via(None).map(|service| Cow::Owned(format!("service:{service}")));
    }
    event.principal_type = caller.kind;
    event.principal_id = caller.id;
    event.principal_inferred = caller.inferred.or(event.principal.is_some().then_some(false));
    event.principal_account_id = caller.account_id;
    event.session_name = caller.session_name;
    event.session_arn = caller.session_arn;
    event.access_key_id = identity.access_key_id.take_filled();
    event.invoked_by = identity.invoked_by.take_filled();
    let session = &mut identity.session_context;
    event.session_start = session.attributes.creation_date.get().and_then(session_start);
    event.mfa = session.attributes.mfa_authenticated.0;
    event.source_identity = session.source_identity.take_filled();
    event.on_behalf_of = identity.on_behalf_of.user_id.take_filled();
    event.identity_store = identity.on_behalf_of.identity_store_arn.take_filled();
}

/// The tags of the session that an STS call opens (IAM user guide, "Pass session tags in AWS STS"): those that it
/// inherits from the caller's session, those that the identity provider asserts, and those that the caller passes.
fn principal_tags<'a>(request: &mut KmsRequest<'a>) -> Result<Text<'a>, Unusable> {
    let mut tags = std::mem::take(&mut request.incoming_transitive_tags.0);
    tags.append(&mut request.principal_tags.0);
    tags.append(&mut request.tags.0);
    if tags.is_empty() {
        return Ok(None);
    }
    sort(&mut tags);
    let members: serde_json::Map<String, serde_json::Value> =
        tags.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned().into())).collect();
    let json = serde_json::Value::Object(members).to_string();
    Ok(Some(Cow::Owned(redact::redacted(&json).map_err(|_| json::why_broken(&json))?)))
}

/// The key, the context and what else only KMS events have.
fn kms<'a>(event: &mut Event<'a>, record: &mut Record<'a>) {
    let alias = key::alias(record);
    let place = Place {
        account: event.account_id.as_deref(),
        region: event.region.as_deref(),
        caller_arn: event.session_arn.as_deref().or(event.principal.as_deref()),
    };
    let keys = Keys::find(record, place);
    name_key(event, keys, alias);
    if event.account_id.is_none() {
        event.account_id.clone_from(&event.key_account_id);
    }
    event.encryption_context = context(&mut record.request_parameters.named);
    let maker = maker(event);
    let asset = asset::asset(&event.encryption_context, maker.name());
    let (service, asset) = asset.map(|mut asset| (asset.service.take(), asset)).unzip();
    event.via = maker.via(service.flatten());
    if let Some(asset) = asset {
        event.asset_trust = Some(Cow::Borrowed(trust(event, record.event_name.get()).name()));
        event.asset = Some(asset.name);
        event.asset_type = asset.kind;
    }
    let (request, response) = (&mut record.request_parameters.named, &mut record.response_elements.named);
    let (service, additional) = (&mut record.service_event_details.named, &mut record.additional_event_data.named);
    event.key_material_id = additional
        .key_material_id
        .take()
        .or_else(|| response.key_material_id.take())
        .or_else(|| service.current_key_material_id.take());
    event.grant_id =
        response.grant_id.take().or_else(|| request.grant_id.take()).or_else(|| additional.grant_id.take());
}

/// Which key, and whose. Where only an alias is named, the key has the alias's owner and Region: an alias lives beside its key, and
/// without an ARN it is one of the account and Region that were called (facts §3.2.1, §6.3).
fn name_key<'a>(event: &mut Event<'a>, keys: Keys<'a>, alias: Option<Alias<'a>>) {
    let owned = keys.key.as_ref().or_else(|| alias.as_ref().and_then(|alias| alias.arn.as_ref()));
    if let Some(arn) = owned {
        event.key_account_id = arn::part(arn, |arn| Arn::new(arn)?.account());
        event.key_region = arn::part(arn, |arn| Arn::new(arn)?.region());
        event.key_id = arn::part(arn, arn::key_id);
    } else if alias.is_some() {
        event.key_account_id.clone_from(&event.account_id);
        event.key_region.clone_from(&event.region);
    }
    event.key_alias = alias.map(|alias| alias.name);
    event.key_arn = keys.key;
    event.dest_key_arn = keys.destination;
}

/// Every pair, sorted by key; of a repeated key the last.
fn context<'a>(request: &mut KmsRequest<'a>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let mut pairs = std::mem::take(&mut request.encryption_context.0);
    let source = std::mem::take(&mut request.source_encryption_context.0);
    if !source.is_empty() {
        pairs = source;
    }
    sort(&mut pairs);
    let mut destination = std::mem::take(&mut request.destination_encryption_context.0);
    sort(&mut destination);
    destination.retain(|pair| pairs.binary_search(pair).is_err());
    let prefixed = destination.into_iter().map(|(key, value)| (format!("{}{key}", asset::DESTINATION).into(), value));
    pairs.extend(prefixed);
    sort(&mut pairs);
    pairs
}

fn sort(pairs: &mut Vec<(Cow<'_, str>, Cow<'_, str>)>) {
    if pairs.len() > 1 {
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, kept| later.0 == kept.0);
    }
}

fn maker<'a>(event: &Event<'a>) -> Maker<'a> {
    Maker::of(Proofs {
        invoked_by: &event.invoked_by,
        is_ec2_infrastructure: event.principal.as_deref() == Some(principal::EC2_INFRASTRUCTURE_PRINCIPAL),
        source_ip: &event.source_ip,
        vpc_endpoint_id: &event.vpc_endpoint_id,
    })
}

fn trust(event: &Event<'_>, name: Option<&str>) -> Trust {
    if event.via.is_some() {
        Trust::Service
    } else if matches!(name, Some("Decrypt" | "ReEncrypt")) && event.outcome.as_deref() == Some("ok") {
        Trust::Proved
    } else {
        Trust::Claimed
    }
}

fn free_form(event: &mut Event<'_>, record: &Record<'_>) -> Result<(), Unusable> {
    let redacted =
        |json: Option<&str>| json.map(|json| redact::redacted(json).map_err(|_| json::why_broken(json))).transpose();
    event.request_parameters = redacted(record.request_parameters.json())?.map(Cow::Owned);
    event.response_elements = redacted(record.response_elements.json())?.map(Cow::Owned);
    let additional = redacted(record.additional_event_data.json())?;
    let service = redacted(record.service_event_details.json())?;
    event.additional_event_data = match (additional, service) {
        (Some(additional), Some(service)) => {
            Some(Cow::Owned(format!(r#"{{"additionalEventData":{additional},"serviceEventDetails":{service}}}"#)))
        }
        (one, other) => one.or(other).map(Cow::Owned),
    };
    Ok(())
}

/// What identifies a record that has no `eventID` (facts §1.1); its time in the one form that CloudTrail itself writes.
fn fingerprint(record: &Record<'_>) -> String {
    let time = record.event_time.get().unwrap_or_default();
    let second = event_second(time).and_then(DateTime::from_timestamp_micros);
    let time =
        second.map_or(Cow::Borrowed(time), |second| Cow::Owned(second.to_rfc3339_opts(SecondsFormat::Secs, true)));
    let parts = [&record.request_id, &record.event_name, &record.user_identity.principal_id, &record.resources.first];
    let parts: Vec<&str> = parts.into_iter().map(|part| part.get().unwrap_or_default()).collect();
    format!("fp:{time}/{}", parts.join("/"))
}

/// When an event happened, in whole seconds: CloudTrail writes no fractions (facts §1.2), so that a copy which has one, added on its
/// way by something else, is the same event all the same.
fn event_second(text: &str) -> Option<i64> {
    instant(text).map(|micros| micros - micros.rem_euclid(1_000_000))
}

/// An RFC 3339 instant in microseconds since the epoch.
#[must_use]
pub fn instant(text: &str) -> Option<i64> {
    fixed_instant(text.as_bytes())
        .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.timestamp_micros()))
}

/// The form that CloudTrail writes, `2023-07-10T12:07:55Z`, without a general parser.
fn fixed_instant(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2, b'Z'] = *text else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, number(&[m1, m2])?, number(&[d1, d2])?)?;
    let time = day.and_hms_opt(number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?)?;
    Some(time.and_utc().timestamp_micros())
}

/// `creationDate` is RFC 3339, or ISO 8601 basic in one of AWS's examples (facts §1.3).
fn session_start(text: &str) -> Option<i64> {
    instant(text).or_else(|| {
        let time = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?;
        Some(time.and_utc().timestamp_micros())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_form_that_logs_have() {
        for text in ["2023-07-10T12:07:55Z", "2023-07-10T12:07:55.000Z", "2023-07-10T14:07:55+02:00"] {
            assert_eq!(instant(text), Some(1_688_990_875_000_000), "{text}");
        }
        assert_eq!(session_start("20230710T120755Z"), Some(1_688_990_875_000_000));
        for text in ["", "2023-02-30T12:07:55Z", "2023-07-10", "Jul 10, 2023", "2023-07-10T12:07:5xZ"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_session_token_never_becomes_a_column() {
        let json = r#"{"eventTime":"2023-07-10T12:07:55Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole",
            "responseElements":{"credentials":{"sessionToken":"s3cret"}}}"#;
        let Decoded::Kept(event) = decode(json).unwrap() else { panic!("not kept") };
        assert_eq!(event.response_elements.as_deref(), Some(r#"{"credentials":{"sessionToken":"REDACTED"}}"#));
        assert!(!format!("{event:?}").contains("s3cret"));
    }
}
