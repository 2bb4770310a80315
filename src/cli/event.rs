//! `keytrail event`: the record of an event as it lies in its source today, and whether that is still what was ingested
//! and what a digest vouches for.

use anyhow::Result;
use chrono::Utc;
use keytrail::cloudtrail::digest::Digest;
use keytrail::cloudtrail::raw;
use keytrail::cloudtrail::redact::redacted;
use keytrail::engine::Rows;
use keytrail::evidence::archive::agree;
use keytrail::evidence::hash::{Inside, inside};
use keytrail::ingest::OBJECT_BYTES_MAX;
use keytrail::render::{Format, clean, json_text, texts};
use keytrail::source::{self, SourceOptions};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::args::Event;
use super::{Context, Hinted, Outcome};

/// What the lake knows of where an event came from.
#[derive(Debug, Clone, Default, Serialize)]
struct Origin {
    event_id: String,
    event_time: Option<String>,
    event_name: Option<String>,
    account_id: Option<String>,
    region: Option<String>,
    source_object: String,
    record_index: u64,
    #[serde(skip)]
    version_tag: Option<String>,
    /// The version that was verified, and what came of it.
    #[serde(skip)]
    checked_version: Option<String>,
    #[serde(skip)]
    object_state: Option<String>,
    #[serde(rename = "digest")]
    digest_uri: Option<String>,
    digest_state: Option<String>,
    #[serde(rename = "verified_at")]
    checked_at: Option<String>,
}

/// Whether evidence still vouches for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Vouched {
    /// A valid digest names the object with the hash that it has now.
    Proven,
    /// Nothing speaks against it, and nothing proves it.
    Unproven,
    /// The object is not what it was, or not what its digest says.
    Contradicted,
    /// The object cannot be read.
    Unreadable,
}

/// The answer; its JSON is part of the command line's contract.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    origin: Origin,
    vouched: Vouched,
    why: String,
    /// SHA-256 of the object's uncompressed bytes, as it is now.
    sha256: Option<String>,
    /// As it is in the object, without session tokens.
    record: Option<Box<RawValue>>,
}

/// What a record calls itself.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "eventID")]
    id: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Event) -> Result<Outcome> {
    let origins = origins(context, &arguments.id)?;
    let mut worst = Outcome::Done;
    let mut answers = Vec::new();
    for origin in origins {
        let answer = context.runtime.block_on(read_again(context, origin));
        worst = match (answer.vouched, worst) {
            (Vouched::Contradicted, _) | (_, Outcome::BadNews) => Outcome::BadNews,
            (Vouched::Unreadable, _) | (_, Outcome::Incomplete) => Outcome::Incomplete,
            _ => Outcome::Done,
        };
        answers.push(answer);
    }
    match context.printer.format() {
        Format::Json => context.printer.json(&answers)?,
        Format::Ndjson => {
            answers.iter().try_for_each(|answer| context.printer.line(&json_text(answer, false)?))?;
        }
        _ => answers.iter().try_for_each(|answer| tell(context, answer))?,
    }
    Ok(worst)
}

/// Where the event's rows came from; one, unless accounts or digests share the id.
fn origins(context: &Context, id: &str) -> Result<Vec<Origin>> {
    let engine = context.engine()?;
    let query = context.catalog.get("event")?;
    let values = query.bind(&[("event_id".to_owned(), id.to_owned())], Utc::now())?;
    let rows = context.runtime.block_on(engine.run(query, values))?;
    let mut origins = of_rows(&rows);
    // Several digests may name an object; a valid one says the most.
    origins.sort_by_key(|origin| {
        (origin.account_id.clone(), origin.source_object.clone(), origin.digest_state.as_deref() != Some("valid"))
    });
    origins.dedup_by(|one, other| one.source_object == other.source_object && one.record_index == other.record_index);
    if origins.is_empty() {
        return Err(Hinted::new(
            format!("no event {id} in this lake"),
            "`keytrail timeline` tells ids; an event of another service than KMS may be counted and not kept",
        )
        .into());
    }
    Ok(origins)
}

fn of_rows(rows: &Rows) -> Vec<Origin> {
    let column = |name: &str| texts(&rows.batches, name);
    let names = ["event_id", "event_time", "event_name", "account_id", "region", "source_object", "record_index"];
    let [ids, times, names, accounts, regions, objects, places] = names.map(column);
    let [tags, digests, states, checked] = ["version_tag", "digest_uri", "digest_state", "checked_at"].map(column);
    let [versions, found] = ["checked_version", "object_state"].map(column);
    let at = |column: &Vec<Option<String>>, row: usize| column.get(row).cloned().flatten();
    let origin = |row| Origin {
        event_id: at(&ids, row).unwrap_or_default(),
        event_time: at(&times, row),
        event_name: at(&names, row),
        account_id: at(&accounts, row),
        region: at(&regions, row),
        source_object: at(&objects, row).unwrap_or_default(),
        record_index: at(&places, row).and_then(|place| place.parse().ok()).unwrap_or_default(),
        version_tag: at(&tags, row),
        checked_version: at(&versions, row),
        object_state: at(&found, row),
        digest_uri: at(&digests, row),
        digest_state: at(&states, row),
        checked_at: at(&checked, row),
    };
    (0..ids.len()).map(origin).collect()
}

async fn read_again(context: &Context, origin: Origin) -> Answer {
    let options = SourceOptions { aws: context.aws.clone(), ..SourceOptions::default() };
    let again = match source::read(&origin.source_object, &options).await {
        Ok(Some(again)) => again,
        Ok(None) => return Answer::unreadable(origin, "the object is no longer there".to_owned()),
        Err(error) => return Answer::unreadable(origin, error.to_string()),
    };
    let text = raw::text(&again.bytes, OBJECT_BYTES_MAX);
    let record = raw::record(&text, origin.record_index)
        .and_then(|record| redacted(&String::from_utf8_lossy(record)).ok())
        .and_then(|record| RawValue::from_string(record).ok());
    let sha256 = match inside(&again.bytes, OBJECT_BYTES_MAX) {
        Inside::Hash(hash) => Some(hash),
        Inside::Damaged(_) | Inside::TooLarge => None,
    };
    let (vouched, why) = judge(&origin, &again.version_tag, record.as_deref(), sha256.as_deref(), &options).await;
    Answer { origin, vouched, why, sha256, record }
}

async fn judge(
    origin: &Origin,
    version_tag: &str,
    record: Option<&RawValue>,
    sha256: Option<&str>,
    options: &SourceOptions,
) -> (Vouched, String) {
    let contradicted = |why: &str| (Vouched::Contradicted, why.to_owned());
    let unproven = |why: String| (Vouched::Unproven, why);
    let Some(record) = record else { return contradicted("the object has no sound record at this place any more") };
    let id = serde_json::from_str(record.get()).map_or(None, |named: Named| named.id);
    // A record without an id has none to compare.
    if id.as_deref() != Some(origin.event_id.as_str()) && !origin.event_id.starts_with("fp:") {
        return contradicted("another record stands at this place now");
    }
    let named = match &origin.digest_uri {
        Some(digest) => named_hash(digest, &origin.source_object, options).await,
        None => Ok(None),
    };
    let is = |tag: &Option<String>| tag.as_deref() == Some(version_tag);
    let is_valid = |state: &Option<String>| state.as_deref() == Some("valid");
    match (named, sha256) {
        (Ok(Some(named)), Some(found)) if !named.eq_ignore_ascii_case(found) => {
            contradicted("its digest names the object with another hash")
        }
        (Err(why), _) => unproven(format!("its digest cannot be read: {why}")),
        // The digest may have been rewritten with the object: what it said when it was verified is what counts.
        (Ok(Some(_)), _) if !is(&origin.checked_version) => {
            unproven("the object was written anew since it was verified: run `keytrail verify` again".to_owned())
        }
        (Ok(Some(_)), Some(_)) if is_valid(&origin.digest_state) && is_valid(&origin.object_state) => {
            (Vouched::Proven, "a valid digest names the object with this hash".to_owned())
        }
        (Ok(Some(_)), _) => {
            let state = origin.digest_state.as_deref().unwrap_or("not verified");
            unproven(format!("a digest names the object with this hash, and is itself {state}"))
        }
        _ if !is(&origin.version_tag) => {
            unproven("the object was written anew since it was ingested, and no digest names it".to_owned())
        }
        _ => unproven(
            "the object is as it was ingested; no digest is known to name it: `keytrail verify` looks for one"
                .to_owned(),
        ),
    }
}

/// The hash under which a digest names an object.
pub(super) async fn named_hash(digest: &str, object: &str, options: &SourceOptions) -> Result<Option<String>, String> {
    let again = source::read(digest, options).await.map_err(|error| error.to_string())?;
    let again = again.ok_or("it is no longer there")?;
    let digest = Digest::parse(&raw::text(&again.bytes, OBJECT_BYTES_MAX)).map_err(|error| error.to_string())?;
    let named = digest.log_files.into_iter().find(|log| agree(object, &log.s3_object));
    Ok(named.map(|log| log.hash_value))
}

impl Answer {
    fn unreadable(origin: Origin, why: String) -> Self {
        Self { origin, vouched: Vouched::Unreadable, why, sha256: None, record: None }
    }
}

fn tell(context: &Context, answer: &Answer) -> Result<()> {
    let Answer { origin, vouched, why, sha256, record } = answer;
    let line = |text: &str| context.printer.line(&clean(text));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    line(&format!("event   {} {} {}", origin.event_id, text(&origin.event_name), text(&origin.event_time)))?;
    line(&format!("object  {} record {}", origin.source_object, origin.record_index))?;
    if let Some(sha256) = sha256 {
        line(&format!("sha256  {sha256}"))?;
    }
    if let Some(digest) = &origin.digest_uri {
        line(&format!("digest  {digest} {}, verified {}", text(&origin.digest_state), text(&origin.checked_at)))?;
    }
    let state = match vouched {
        Vouched::Proven => "PROVEN",
        Vouched::Unproven => "unproven",
        Vouched::Contradicted => "CONTRADICTED",
        Vouched::Unreadable => "UNREADABLE",
    };
    line(&format!("{state}: {why}"))?;
    record.as_ref().map_or(Ok(()), |record| line(record.get()))
}
