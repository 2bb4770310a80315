//! Which rows of `events` are of the same call, and the one row that they become.
//!
//! ```text
//! row ─► mark ─┬ single ────────────────────────────► a call
//!              ├ shared, copy ─► rows of one call? ─► merged: a row of `shared_calls`
//!              ├ uncertain ────► repeats another event? asked in SQL
//!              └ none ─────────► no call to AWS KMS
//! ```
//!
//! The owner of a key and its caller may both log a call, under one `sharedEventID` and with the same time. Such rows are
//! merged here, as the view `calls` says. Most rows with a `sharedEventID` are the only ones of their call: those count as
//! they are.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray, StringDictionaryBuilder,
    TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

use super::identity::Texts;
use crate::cloudtrail::columns::CALL;

/// How a row of `events` counts in `calls`: the column `call`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Other rows are of the same call.
    Copy,
    /// It is no call to AWS KMS.
    None,
    /// It has a `sharedEventID`, so that other rows may be of the same call.
    Shared,
    /// It is a call.
    Single,
    /// It repeats another event if the lake has that one.
    Uncertain,
}

/// The values of the column, in the order of [`Mark`]. The last one in order of letters is the rarest, so that the range of a file
/// shows whether it has any.
const MARKS: [&str; 5] = ["copy", "none", "shared", "single", "uncertain"];

/// The name of [`Mark::Uncertain`].
pub const UNCERTAIN: &str = MARKS[Mark::Uncertain as usize];

/// The name of [`Mark::Copy`].
pub const COPY: &str = MARKS[Mark::Copy as usize];

/// What a mark follows from.
pub const MARKED_BY: [&str; 5] = ["event_source", "event_type", "event_id", "original_event_id", "shared_event_id"];

/// What it follows from which rows become one, and of which of them its values are.
pub(super) const MERGED_BY: [&str; 19] = [
    "event_time",
    "record_index",
    "shared_event_id",
    "event_id",
    "account_id",
    "region",
    "source_object",
    "event_name",
    "usage_class",
    "outcome",
    "key_arn",
    "key_id",
    "key_account_id",
    "key_region",
    "dest_key_arn",
    "principal",
    "principal_id",
    "principal_account_id",
    "asset",
];

impl Mark {
    /// Its name in the column.
    #[must_use]
    pub fn name(self) -> &'static str {
        MARKS[self as usize]
    }

    fn named(name: &str) -> Option<Self> {
        let all = [Self::Copy, Self::None, Self::Shared, Self::Single, Self::Uncertain];
        all.into_iter().find(|mark| mark.name() == name)
    }

    /// The mark of a row, by the values of [`MARKED_BY`].
    #[must_use]
    pub fn of([source, event_type, id, original, shared]: [Option<&str>; 5]) -> Self {
        if source != Some("kms.amazonaws.com") {
            return Self::None;
        }
        let is_endpoint = is_of_endpoint(event_type);
        // A patch under its event's own id repeats that event, unless it is one of two copies.
        let is_patch = original.is_some() && (original != id || shared.is_none());
        let has_no_id = id.is_some_and(|id| id.starts_with("fp:"));
        match shared {
            _ if is_endpoint || is_patch => Self::Uncertain,
            Some(_) => Self::Shared,
            None if has_no_id => Self::Uncertain,
            None => Self::Single,
        }
    }
}

/// Whether a VPC endpoint logged an event of this type, in a log of its own.
pub(super) fn is_of_endpoint(event_type: Option<&str>) -> bool {
    matches!(event_type, Some("AwsVpceEvent" | "AwsVpceEvents"))
}

/// The marks of some rows: those that the column has, and for the rest what follows from [`MARKED_BY`].
///
/// # Errors
/// When a column is missing.
pub fn marks(batch: &RecordBatch) -> Result<Vec<Mark>, ArrowError> {
    let known = batch.column_by_name(CALL).map(|_| Texts::of(batch, CALL)).transpose()?;
    let known = |row: usize| Mark::named(known?.get(row)?);
    let rows = batch.num_rows();
    if let Some(marks) = (0..rows).map(known).collect::<Option<Vec<Mark>>>() {
        return Ok(marks);
    }
    // The oldest lakes do not have the one column.
    let is_there = |name: &str| name != "original_event_id" || batch.column_by_name(name).is_some();
    let text = |name: &str| is_there(name).then(|| Texts::of(batch, name)).transpose();
    let texts = MARKED_BY.map(text).into_iter().collect::<Result<Vec<_>, _>>()?;
    let made = |row: usize| Mark::of([0, 1, 2, 3, 4].map(|column: usize| texts[column]?.get(row)));
    Ok((0..rows).map(|row| known(row).unwrap_or_else(|| made(row))).collect())
}

/// The same rows with these marks.
///
/// # Errors
/// When there is no column for them.
pub fn with_marks(batch: &RecordBatch, marks: &[Mark]) -> Result<RecordBatch, ArrowError> {
    let place = batch.schema_ref().index_of(CALL)?;
    let keys: Int32Array = marks.iter().map(|mark| *mark as i32).collect();
    let column: DictionaryArray<Int32Type> =
        DictionaryArray::try_new(keys, Arc::new(StringArray::from(MARKS.to_vec())))?;
    let mut columns = batch.columns().to_vec();
    columns[place] = Arc::new(column);
    RecordBatch::try_new(batch.schema(), columns)
}

/// The same rows with their marks: those that share a call with another row here are copies, whatever the rest of the lake has.
///
/// # Errors
/// When a column is missing.
pub fn with_copies_marked(parts: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut marked = Vec::with_capacity(parts.len());
    let mut rows_of: HashMap<u128, u32> = HashMap::new();
    for part in parts {
        let (of_rows, ids) = (marks(part)?, call_ids(part)?);
        let shared = |mark: Mark, id: Option<u128>| id.filter(|_| matches!(mark, Mark::Shared | Mark::Copy));
        let ids: Vec<Option<u128>> = of_rows.iter().zip(ids).map(|(mark, id)| shared(*mark, id)).collect();
        ids.iter().flatten().for_each(|id| *rows_of.entry(*id).or_default() += 1);
        marked.push((of_rows, ids));
    }
    let is_told_again = |id: &Option<u128>| id.is_some_and(|id| rows_of.get(&id).is_some_and(|rows| *rows > 1));
    let mark = |(part, (mut marks, ids)): (&RecordBatch, (Vec<Mark>, Vec<Option<u128>>))| {
        for (mark, _) in marks.iter_mut().zip(&ids).filter(|(_, id)| is_told_again(id)) {
            *mark = Mark::Copy;
        }
        with_marks(part, &marks)
    };
    parts.iter().zip(marked).map(mark).collect()
}

/// What the rows of one call have in common: their `sharedEventID` and time, as one number.
#[must_use]
pub fn call_id(shared: &str, time: i64) -> u128 {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&time.to_le_bytes());
    bytes.extend_from_slice(shared.as_bytes());
    xxh3_128(&bytes)
}

/// The [`call_id`] of each row, of those that have a `sharedEventID`.
///
/// # Errors
/// When a column is missing.
pub fn call_ids(batch: &RecordBatch) -> Result<Vec<Option<u128>>, ArrowError> {
    let (shared, times) = (Texts::of(batch, "shared_event_id")?, instants(batch)?);
    Ok((0..batch.num_rows()).map(|row| shared.get(row).map(|id| call_id(id, times.value(row)))).collect())
}

fn instants(batch: &RecordBatch) -> Result<&TimestampMicrosecondArray, ArrowError> {
    let times = batch.column_by_name("event_time");
    let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    times.ok_or_else(|| ArrowError::SchemaError("no event_time".to_owned()))
}

/// Where a column of a merged row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The copy that the row is made of.
    Chosen,
    /// The copy that knows best who called.
    Caller,
    /// The chosen copy, else the best copy with a value from the owner's or the caller's log.
    Filled,
    /// The copy that names the asset.
    Asset,
    /// The copy that names the key.
    Key,
    KeyAccount,
    KeyRegion,
    Dest,
    /// The principal, else its id, else `unknown`.
    Principal,
    Mark,
    Nothing,
}

impl Origin {
    fn of(column: &str) -> Self {
        match column {
            "original_event_id" => Self::Nothing,
            CALL => Self::Mark,
            "key_arn" | "key_id" => Self::Key,
            "key_account_id" => Self::KeyAccount,
            "key_region" => Self::KeyRegion,
            "dest_key_arn" => Self::Dest,
            "principal" => Self::Principal,
            "principal_type"
            | "principal_id"
            | "principal_inferred"
            | "principal_account_id"
            | "session_name"
            | "session_arn"
            | "access_key_id"
            | "session_start"
            | "source_identity"
            | "mfa"
            | "on_behalf_of"
            | "identity_store"
            | "principal_tags" => Self::Caller,
            "key_alias"
            | "invoked_by"
            | "via"
            | "source_ip"
            | "user_agent"
            | "vpc_endpoint_id"
            | "tls_version"
            | "encryption_context"
            | "asset"
            | "key_material_id"
            | "grant_id"
            | "request_id"
            | "request_parameters"
            | "response_elements"
            | "additional_event_data" => Self::Filled,
            "asset_type" | "asset_trust" => Self::Asset,
            _ => Self::Chosen,
        }
    }
}

/// A copy, and the copy that names its key: itself, or if it names only an alias another one of the same operation.
#[derive(Debug, Clone, Copy)]
struct Twin {
    row: usize,
    named: Option<usize>,
}

/// Where a merged row takes its values from.
struct Merged {
    chosen: usize,
    caller: usize,
    /// The chosen copy first, then those that may fill in what it lacks, the best first.
    fillers: Vec<usize>,
    named: Option<usize>,
    account: usize,
    region: usize,
    dest: usize,
    /// Whether some of the rows are still marked as [`Mark::Shared`].
    is_open: bool,
}

/// What makes a copy better than another, the most important first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Higher for stronger evidence of use.
    weight: u8,
    is_owner: bool,
    knows_caller: u8,
    record: String,
}

/// Merges copies of calls, each into one row. Needs all rows of each call.
///
/// # Errors
/// When a column is missing.
pub fn merged(copies: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = Columns::of(copies)?;
    let mut calls: BTreeMap<(i64, &str), Vec<usize>> = BTreeMap::new();
    for row in 0..copies.num_rows() {
        let id = columns.shared.get(row).unwrap_or_default();
        calls.entry((columns.times.value(row), id)).or_default().push(row);
    }
    let marks = marks(copies)?;
    let mut merged = Vec::new();
    for rows in calls.values() {
        let is_open = rows.iter().any(|&row| marks[row] != Mark::Copy);
        for copies in columns.parts(rows).values() {
            merged.extend(columns.merge(copies, is_open));
        }
    }
    let schema = copies.schema_ref();
    let made =
        schema.fields().iter().zip(copies.columns()).map(|(field, column)| columns.made(&merged, field.name(), column));
    RecordBatch::try_new(Arc::clone(schema), made.collect::<Result<Vec<ArrayRef>, _>>()?)
}

/// What decides about copies.
struct Columns<'b> {
    times: &'b TimestampMicrosecondArray,
    places: &'b Int32Array,
    shared: Texts<'b>,
    event_id: Texts<'b>,
    account: Texts<'b>,
    region: Texts<'b>,
    object: Texts<'b>,
    operation: Texts<'b>,
    class: Texts<'b>,
    outcome: Texts<'b>,
    key_arn: Texts<'b>,
    key_id: Texts<'b>,
    key_account: Texts<'b>,
    key_region: Texts<'b>,
    dest: Texts<'b>,
    principal: Texts<'b>,
    principal_id: Texts<'b>,
    principal_account: Texts<'b>,
    asset: &'b ArrayRef,
}

/// What the copies of one call agree on, beside its id and time.
type Part<'b> = [Option<&'b str>; 7];

impl<'b> Columns<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Self, ArrowError> {
        let text = |name| Texts::of(batch, name);
        let missing = |name: &str| ArrowError::SchemaError(format!("no {name}"));
        let places = batch.column_by_name("record_index").and_then(|places| places.as_primitive_opt());
        Ok(Self {
            times: instants(batch)?,
            places: places.ok_or_else(|| missing("record_index"))?,
            shared: text("shared_event_id")?,
            event_id: text("event_id")?,
            account: text("account_id")?,
            region: text("region")?,
            object: text("source_object")?,
            operation: text("event_name")?,
            class: text("usage_class")?,
            outcome: text("outcome")?,
            key_arn: text("key_arn")?,
            key_id: text("key_id")?,
            key_account: text("key_account_id")?,
            key_region: text("key_region")?,
            dest: text("dest_key_arn")?,
            principal: text("principal")?,
            principal_id: text("principal_id")?,
            principal_account: text("principal_account_id")?,
            asset: batch.column_by_name("asset").ok_or_else(|| missing("asset"))?,
        })
    }

    /// The copies of one id and time, by what they agree on. A copy without a key belongs to every key that another copy of the
    /// operation names.
    fn parts(&self, rows: &[usize]) -> BTreeMap<Part<'b>, Vec<Twin>> {
        let mut parts: BTreeMap<Part<'b>, Vec<Twin>> = BTreeMap::new();
        let mut add = |copy: Twin| parts.entry(self.part(copy)).or_default().push(copy);
        let (named, nameless): (Vec<usize>, Vec<usize>) =
            rows.iter().partition(|&&row| self.key_arn.get(row).is_some());
        let mut by_operation: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for row in named {
            let copy = Twin { row, named: Some(row) };
            let part = self.part(copy);
            let [_, _, key @ ..] = part;
            // One of several copies with the same key is enough.
            if seen.insert((self.operation.get(row), key)) {
                by_operation.entry(self.operation.get(row)).or_default().push(row);
            }
            add(copy);
        }
        for row in nameless {
            match by_operation.get(&self.operation.get(row)) {
                Some(rows) => rows.iter().for_each(|&named| add(Twin { row, named: Some(named) })),
                None => add(Twin { row, named: None }),
            }
        }
        parts
    }

    fn part(&self, copy: Twin) -> Part<'b> {
        [
            self.operation.get(copy.row),
            self.class.get(copy.row),
            copy.named.and_then(|row| self.key_arn.get(row)),
            copy.named.and_then(|row| self.key_id.get(row)),
            self.key_account.get(told_by(self.key_account, copy)),
            self.key_region.get(told_by(self.key_region, copy)),
            self.dest.get(self.dest_row(copy)),
        ]
    }

    fn dest_row(&self, copy: Twin) -> usize {
        if self.dest.get(copy.row).is_some() { copy.row } else { copy.named.unwrap_or(copy.row) }
    }

    fn merge(&self, copies: &[Twin], is_open: bool) -> Option<Merged> {
        let mut placed: Vec<(Place, Twin)> = copies.iter().map(|&copy| (self.place(copy), copy)).collect();
        placed.sort_by(|(one, _), (other, _)| other.cmp(one));
        let (_, chosen) = placed.first()?;
        let caller = placed.iter().max_by(|(one, _), (other, _)| by_caller(one, other))?;
        let told = placed.iter().filter(|(place, _)| place.is_owner || place.knows_caller == 2);
        Some(Merged {
            chosen: chosen.row,
            caller: caller.1.row,
            fillers: std::iter::once(chosen.row).chain(told.map(|(_, copy)| copy.row)).collect(),
            named: chosen.named,
            account: told_by(self.key_account, *chosen),
            region: told_by(self.key_region, *chosen),
            dest: self.dest_row(*chosen),
            is_open,
        })
    }

    fn place(&self, copy: Twin) -> Place {
        let row = copy.row;
        let account = self.account.get(row);
        let owner = self.key_account.get(told_by(self.key_account, copy));
        let is_own = account.is_some() && self.principal_account.get(row) == account;
        let is_named = !self.caller(row).starts_with("acct:");
        let text = |texts: Texts<'b>| texts.get(row).unwrap_or_default();
        let place = if self.places.is_valid(row) { self.places.value(row).to_string() } else { String::new() };
        Place {
            weight: match self.outcome.get(row) {
                Some("ok") => 3,
                Some("key_unusable") => 2,
                Some("throttled") => 1,
                _ => 0,
            },
            is_owner: account.is_some() && owner == account,
            knows_caller: u8::from(is_own) + u8::from(is_named),
            record: format!(
                "{} {} {} {} {place}",
                text(self.event_id),
                text(self.account),
                text(self.region),
                text(self.object)
            ),
        }
    }

    fn caller(&self, row: usize) -> &'b str {
        self.principal.get(row).or_else(|| self.principal_id.get(row)).unwrap_or("unknown")
    }

    /// One column of the merged rows.
    fn made(&self, merged: &[Merged], name: &str, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let from = Origin::of(name);
        let row = |call: &Merged| match from {
            Origin::Chosen => Some(call.chosen),
            Origin::Caller => Some(call.caller),
            Origin::Filled => call.fillers.iter().copied().find(|&row| is_there(column, row)),
            Origin::Asset => call.fillers.iter().copied().find(|&row| is_there(self.asset, row)),
            Origin::Key => call.named,
            Origin::KeyAccount => Some(call.account),
            Origin::KeyRegion => Some(call.region),
            Origin::Dest => Some(call.dest),
            Origin::Principal | Origin::Mark | Origin::Nothing => None,
        };
        let mark = |call: &Merged| if call.is_open { Mark::Shared } else { Mark::Copy };
        match from {
            Origin::Nothing => Ok(new_null_array(column.data_type(), merged.len())),
            Origin::Principal => Ok(symbols(merged.iter().map(|call| self.caller(call.caller)))),
            Origin::Mark => Ok(symbols(merged.iter().map(|call| mark(call).name()))),
            _ => {
                let rows = merged.iter().map(|call| row(call).and_then(|row| u32::try_from(row).ok()));
                take(column, &rows.collect::<UInt32Array>(), None)
            }
        }
    }
}

/// The row with the key's value: the copy that names the key, or else this copy.
fn told_by(texts: Texts<'_>, copy: Twin) -> usize {
    copy.named.filter(|&row| texts.get(row).is_some()).unwrap_or(copy.row)
}

fn by_caller(one: &Place, other: &Place) -> Ordering {
    let place = |place: &Place| (place.knows_caller, place.weight);
    place(one).cmp(&place(other)).then_with(|| one.record.cmp(&other.record))
}

fn is_there(column: &ArrayRef, row: usize) -> bool {
    column.is_valid(row)
}

fn symbols<'t>(texts: impl Iterator<Item = &'t str>) -> ArrayRef {
    let mut column = StringDictionaryBuilder::<Int32Type>::new();
    texts.for_each(|text| column.append_value(text));
    Arc::new(column.finish())
}
