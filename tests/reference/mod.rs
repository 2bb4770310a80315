//! The reference decoder: one record in, one row of `events` out, slowly and by the letter.
//!
//! It exists to be compared with. It is written from what the columns mean and knows nothing of how the fast decoder
//! finds them: every record is read into a tree, and every column is looked up in that tree, one after another. It
//! refuses to be clever, and never shares code with what it checks.
//!
//! ```text
//! text ── Json::read ──► Record ──► classify · keys · identity · context · payload ──► Verdict::Kept(row)
//! ```

mod classify;
mod context;
mod identity;
mod instant;
mod json;
mod keys;
mod payload;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use identity::Identity;
use json::Json;

/// Longest record that is read, in bytes.
const RECORD_BYTES_MAX: usize = 256 * 1024;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// An event that keytrail has no use for: counted, not kept.
    Other,
    /// A record that cannot be used: kept aside.
    Rejected,
    /// A row of `events`: an entry for every column except `source_object` and `record_index`. Instants are RFC 3339
    /// with six digits of fraction, the date is `YYYY-MM-DD`, columns of JSON text are the JSON itself.
    Kept(Map<String, Value>),
}

/// A record that is neither rejected nor other, and what the rest of the decoding asks of it.
struct Record {
    json: Json,
    time: DateTime<Utc>,
    source: String,
    name: String,
    class: &'static str,
}

impl Record {
    fn at(&self, path: &str) -> &Json {
        self.json.at(path)
    }

    /// Text at a path.
    fn text(&self, path: &str) -> Option<String> {
        self.at(path).text()
    }

    /// Text at a path where an empty string counts as absent.
    fn filled(&self, path: &str) -> Option<String> {
        self.at(path).filled_text()
    }

    fn is_kms(&self) -> bool {
        self.source == classify::KMS
    }

    fn is_re_encrypt(&self) -> bool {
        self.is_kms() && self.name == "ReEncrypt"
    }

    /// `invokedBy`, the mark of a call that an AWS service made.
    fn invoked_by(&self) -> Option<String> {
        self.filled("userIdentity.invokedBy")
    }

    /// The text of each resource's `ARN`, in order; `arn` where there is none.
    fn resource_arns(&self) -> Vec<String> {
        self.at("resources").items().iter().filter_map(resource_arn).collect()
    }

    /// The first resource's ARN, whatever it is.
    fn first_resource_arn(&self) -> Option<String> {
        self.at("resources").items().first().and_then(resource_arn)
    }

    /// The ARN that stands for the caller: the session's, else the principal's.
    fn caller_arn(&self) -> Option<String> {
        let identity = Identity::of(self);
        identity.session_arn.or(identity.principal)
    }

    /// Who made the call.
    fn maker(&self) -> Maker {
        maker(self, false)
    }
}

fn resource_arn(resource: &Json) -> Option<String> {
    resource.at("ARN").filled_text().or_else(|| resource.at("arn").text())
}

/// How deep the brackets of a JSON text are nested.
pub fn depth_of(text: &str) -> usize {
    json::depth(text)
}

/// Decodes one record.
pub fn decode(record: &str) -> Verdict {
    let record = record.trim_matches([' ', '\t', '\n', '\r']);
    if record.len() > RECORD_BYTES_MAX {
        return Verdict::Rejected;
    }
    let Some(json) = Json::read(record) else { return Verdict::Rejected };
    let Some(source) = json.at("eventSource").filled_text() else { return Verdict::Rejected };
    if !classify::may_be_kept(&source) {
        return Verdict::Other;
    }
    let Some(name) = json.at("eventName").filled_text() else { return Verdict::Rejected };
    let Some(class) = classify::class(&source, &name) else { return Verdict::Other };
    match json.at("eventCategory").text().as_deref() {
        Some("Insight") => return Verdict::Other,
        Some("NetworkActivity") if source != classify::KMS => return Verdict::Other,
        _ => {}
    }
    // What is of no interest needs no time; only what would be kept is rejected for the lack of one.
    let Some(time) = json.at("eventTime").text().and_then(|text| instant::rfc3339(&text)).map(instant::second) else {
        return Verdict::Rejected;
    };
    Verdict::Kept(row(&Record { json, time, source, name, class }))
}

fn row(record: &Record) -> Map<String, Value> {
    let mut row = Map::new();
    event(record, &mut row);
    let outcome = classify::outcome(record);
    row.insert("outcome".into(), outcome.into());
    keys(record, &mut row);
    let identity = Identity::of(record);
    caller(record, &identity, &mut row);
    let context = context::encryption_context(record);
    let maker = maker(record, identity.principal.as_deref() == Some(identity::EC2_INFRASTRUCTURE));
    let caller_service = if let Maker::Named(name) = &maker { Some(name.as_str()) } else { None };
    let asset = context::asset(&context, caller_service);
    let via = match &maker {
        Maker::Itself => None,
        Maker::Named(name) => Some(name.clone()),
        Maker::Nameless => asset.as_ref().and_then(|asset| asset.host.clone()).or(maker.service()),
    };
    row.insert("via".into(), via.into());
    let pairs: Map<String, Value> = context.into_iter().map(|(key, value)| (key, value.into())).collect();
    row.insert("encryption_context".into(), if pairs.is_empty() { Value::Null } else { Value::Object(pairs) });
    let trust = asset.as_ref().map(|_| match record.name.as_str() {
        _ if maker != Maker::Itself => "service",
        "Decrypt" | "ReEncrypt" if outcome == "ok" => "proved",
        _ => "claimed",
    });
    row.insert("asset_trust".into(), trust.into());
    let (asset, asset_type) = asset.map_or((None, None), |asset| (Some(asset.name), asset.kind));
    row.insert("asset".into(), asset.into());
    row.insert("asset_type".into(), asset_type.into());
    payload::columns(record, &mut row);
    row
}

/// What happened, when and where.
fn event(record: &Record, row: &mut Map<String, Value>) {
    let patched = record.text("addendum.reason").as_deref() == Some("UPDATED_DATA");
    let original = record.filled("addendum.originalEventID").filter(|_| patched);
    let columns: [(&str, Value); 18] = [
        ("event_id", record.filled("eventID").unwrap_or_else(|| fingerprint(record)).into()),
        ("shared_event_id", record.filled("sharedEventID").into()),
        ("original_event_id", original.into()),
        ("event_time", instant::show(record.time).into()),
        ("event_date", record.time.format("%Y-%m-%d").to_string().into()),
        ("event_source", record.source.clone().into()),
        ("event_name", record.name.clone().into()),
        ("event_type", event_type(record).into()),
        ("usage_class", record.class.into()),
        ("read_only", record.at("readOnly").flag().into()),
        ("region", record.filled("awsRegion").into()),
        ("error_code", record.filled("errorCode").into()),
        ("error_message", record.filled("errorMessage").into()),
        ("source_ip", record.text("sourceIPAddress").into()),
        ("user_agent", record.text("userAgent").into()),
        ("vpc_endpoint_id", record.text("vpcEndpointId").into()),
        ("tls_version", record.text("tlsDetails.tlsVersion").into()),
        ("request_id", record.text("requestID").into()),
    ];
    row.extend(columns.map(|(name, value)| (name.to_owned(), value)));
}

/// As logged; what a VPC endpoint logs is told by its type, whatever it says.
fn event_type(record: &Record) -> Option<String> {
    let logged = record.text("eventType");
    let is_network = record.text("eventCategory").as_deref() == Some("NetworkActivity");
    let says_so = logged.as_deref().is_some_and(|kind| kind == "AwsVpceEvent" || kind == "AwsVpceEvents");
    if is_network && !says_so { Some("AwsVpceEvent".to_owned()) } else { logged }
}

/// What stands in for a missing `eventID`.
fn fingerprint(record: &Record) -> String {
    let first_arn = record.first_resource_arn();
    // In whole seconds of UTC, as CloudTrail writes it.
    let time = record.text("eventTime").map(|text| match DateTime::parse_from_rfc3339(&text) {
        Ok(at) => at.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => text,
    });
    let parts =
        [time, record.text("requestID"), record.text("eventName"), record.text("userIdentity.principalId"), first_arn];
    format!("fp:{}", parts.map(Option::unwrap_or_default).join("/"))
}

/// Which key, and whose log this is.
fn keys(record: &Record, row: &mut Map<String, Value>) {
    let keys = keys::keys(record);
    let (key_account, key_region) = match keys.source.as_deref() {
        Some(arn) => (keys::arn_field(arn, 4), keys::arn_field(arn, 3)),
        None => keys::alias_place(record),
    };
    let account = keys::log_account(record).or(key_account.clone());
    let account = account.or_else(|| record.filled("userIdentity.accountId"));
    let columns: [(&str, Value); 7] = [
        ("account_id", account.into()),
        ("key_id", keys.source.as_deref().and_then(keys::key_id).into()),
        ("key_account_id", key_account.into()),
        ("key_region", key_region.into()),
        ("key_arn", keys.source.into()),
        ("dest_key_arn", keys.destination.into()),
        ("key_alias", keys::alias(record).into()),
    ];
    row.extend(columns.map(|(name, value)| (name.to_owned(), value)));
}

/// Who called.
fn caller(record: &Record, identity: &Identity, row: &mut Map<String, Value>) {
    let session = "userIdentity.sessionContext";
    let start = record.text(&format!("{session}.attributes.creationDate"));
    let start = start.and_then(|text| instant::rfc3339(&text).or_else(|| instant::iso_basic(&text)));
    let for_whom = "userIdentity.onBehalfOf";
    let columns: [(&str, Value); 14] = [
        ("on_behalf_of", record.filled(&format!("{for_whom}.userId")).into()),
        ("identity_store", record.filled(&format!("{for_whom}.identityStoreArn")).into()),
        ("principal", identity.principal.clone().into()),
        ("principal_type", identity.kind.clone().into()),
        ("principal_id", identity.id.clone().into()),
        ("principal_inferred", identity.principal.as_ref().map(|_| identity.inferred).into()),
        ("principal_account_id", identity.account.clone().into()),
        ("session_name", identity.session_name.clone().into()),
        ("session_arn", identity.session_arn.clone().into()),
        ("access_key_id", record.filled("userIdentity.accessKeyId").into()),
        ("session_start", start.map(instant::show).into()),
        ("source_identity", record.filled(&format!("{session}.sourceIdentity")).into()),
        ("mfa", record.at(&format!("{session}.attributes.mfaAuthenticated")).flag().into()),
        ("invoked_by", record.invoked_by().into()),
    ];
    row.extend(columns.map(|(name, value)| (name.to_owned(), value)));
}

/// Who made a call: the caller, or a service for it.
#[derive(Debug, PartialEq)]
enum Maker {
    Itself,
    Nameless,
    Named(String),
}

impl Maker {
    /// The service, named or not.
    fn service(&self) -> Option<String> {
        match self {
            Maker::Itself => None,
            Maker::Nameless => Some("AWS Internal".to_owned()),
            Maker::Named(name) => Some(name.clone()),
        }
    }
}

/// What AWS writes and no caller can, the strongest first.
fn maker(record: &Record, by_ec2: bool) -> Maker {
    let nameless =
        |text: &str| text == "internal.amazonaws.com" || text == "AWS Internal" || text.starts_with("AWS Internal/");
    if let Some(name) = record.invoked_by() {
        return if nameless(&name) { Maker::Nameless } else { Maker::Named(name) };
    }
    if by_ec2 {
        return Maker::Named("ec2.amazonaws.com".to_owned());
    }
    for member in ["sourceIPAddress", "vpcEndpointId"] {
        let text = record.text(member).unwrap_or_default();
        if nameless(&text) {
            return Maker::Nameless;
        }
        let is_host = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
        if is_host && text.contains(".amazonaws.") {
            return Maker::Named(text);
        }
    }
    Maker::Itself
}
