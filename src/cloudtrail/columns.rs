//! The columns of the lake's `events` table: one list, one line per column.
//!
//! From this list derive the [`Event`] that decoding fills in, the Arrow [`EventBuilder`] that it is appended to, the
//! table's schema, and the table of columns in the README. Adding a column is adding a line here and filling the
//! field in `decode.rs`.
//!
//! ```text
//! record bytes ── decode ──► Event<'a> (borrowed) ── append ──► EventBuilder ── finish ──► RecordBatch
//! ```
//!
//! This file knows nothing of JSON, and decides nothing about a value: what a column *means* is its line of prose
//! here; how it is found in a record is in the modules beside this one.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Int32Builder, MapBuilder, MapFieldNames, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::symbols::SymbolBuilder;

/// Rows in a batch: enough for Parquet's dictionaries to pay, little enough that a batch per worker, one on its way and
/// one being written stay well under the memory bound. Builders have room for so many from the start, which saves copying
/// every column each time that it would grow.
pub const BATCH_ROWS: usize = 64 * 1024;

/// Name of the partition column: it lives in the table's folder names, not inside its Parquet files.
pub const PARTITION: &str = "event_date";

/// Name of the column that the lake fills in, since it follows from others.
pub const CALL: &str = "call";

/// What a column holds, and so how it is built and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text that mostly differs from row to row: ids, object names, JSON.
    Text,
    /// UTF-8 text drawn from few values, kept dictionary-encoded in memory: names, ARNs, codes.
    Symbol,
    /// True, false or null.
    Flag,
    /// An instant in microseconds since the epoch, UTC.
    Instant,
    /// A UTC day.
    Day,
    /// A 32-bit count or position.
    Count,
    /// String pairs, sorted by key.
    Pairs,
}

impl Kind {
    /// The Arrow type of the column in the lake, which every engine sees (Delta has no dictionary type).
    #[must_use]
    pub fn lake_type(self) -> DataType {
        match self {
            Kind::Text | Kind::Symbol => DataType::Utf8,
            Kind::Flag => DataType::Boolean,
            Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Day => DataType::Date32,
            Kind::Count => DataType::Int32,
            Kind::Pairs => pairs_type(),
        }
    }
}

/// One column of the `events` table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name, in SQL and in every output.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it means, in one sentence; the README's table prints it.
    pub doc: &'static str,
}

fn pairs_type() -> DataType {
    let entries = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries.into()), false)), false)
}

/// A value of a text column: borrowed from the record wherever the record spells it out.
pub type Text<'a> = Option<Cow<'a, str>>;

macro_rules! value_type {
    ($life:lifetime Text) => { Text<$life> };
    ($life:lifetime Symbol) => { Text<$life> };
    ($life:lifetime Flag) => { Option<bool> };
    ($life:lifetime Instant) => { Option<i64> };
    ($life:lifetime Day) => { Option<i32> };
    ($life:lifetime Count) => { Option<i32> };
    ($life:lifetime Pairs) => { Vec<(Cow<$life, str>, Cow<$life, str>)> };
}

macro_rules! builder_type {
    (Text) => { StringBuilder };
    (Symbol) => { SymbolBuilder };
    (Flag) => { BooleanBuilder };
    (Instant) => { TimestampMicrosecondBuilder };
    (Day) => { Date32Builder };
    (Count) => { Int32Builder };
    (Pairs) => { MapBuilder<StringBuilder, StringBuilder> };
}

macro_rules! new_builder {
    (Instant) => {
        TimestampMicrosecondBuilder::with_capacity(BATCH_ROWS).with_timezone("UTC")
    };
    (Pairs) => {
        pairs_builder()
    };
    (Text) => {
        StringBuilder::with_capacity(BATCH_ROWS, 0)
    };
    ($kind:ident) => {
        <builder_type!($kind)>::with_capacity(BATCH_ROWS)
    };
}

macro_rules! append {
    (Text, $builder:expr, $value:expr) => {
        $builder.append_option($value.as_deref())
    };
    (Symbol, $builder:expr, $value:expr) => {
        $builder.append_option($value.as_deref())
    };
    (Pairs, $builder:expr, $value:expr) => {
        append_pairs(&mut $builder, &$value)?
    };
    ($kind:ident, $builder:expr, $value:expr) => {
        $builder.append_option($value)
    };
}

macro_rules! finish {
    (Symbol, $builder:expr) => {
        Arc::new(std::mem::replace(&mut $builder, new_builder!(Symbol)).finish()?)
    };
    (Text, $builder:expr) => {{
        let column = $builder.finish();
        // The next batch's text is about as long.
        $builder = StringBuilder::with_capacity(BATCH_ROWS, column.value_data().len());
        Arc::new(column)
    }};
    ($kind:ident, $builder:expr) => {
        Arc::new(std::mem::replace(&mut $builder, new_builder!($kind)).finish())
    };
}

fn pairs_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

fn append_pairs(
    builder: &mut MapBuilder<StringBuilder, StringBuilder>,
    pairs: &[(Cow<'_, str>, Cow<'_, str>)],
) -> Result<(), ArrowError> {
    for (key, value) in pairs {
        builder.keys().append_value(key);
        builder.values().append_value(value);
    }
    builder.append(!pairs.is_empty())
}

macro_rules! columns {
    ($($name:ident: $kind:ident, $doc:literal;)*) => {
        /// Every column, in the order of the table.
        pub const COLUMNS: &[Column] = &[$(Column { name: stringify!($name), kind: Kind::$kind, doc: $doc }),*];

        /// One decoded record, a field per column, borrowed from the record's bytes.
        #[derive(Debug, Default, Clone, PartialEq)]
        pub struct Event<'a> {
            $(#[doc = $doc] pub $name: value_type!('a $kind),)*
        }

        /// Arrow builders, one per column.
        pub struct EventBuilder {
            rows: usize,
            $($name: builder_type!($kind),)*
        }

        impl Default for EventBuilder {
            fn default() -> Self {
                Self { rows: 0, $($name: new_builder!($kind),)* }
            }
        }

        impl EventBuilder {
            /// Appends one row.
            ///
            /// # Errors
            /// When a dictionary overflows its 32-bit keys, which the row bound of a batch rules out.
            pub fn append(&mut self, event: &Event<'_>) -> Result<(), ArrowError> {
                $(append!($kind, self.$name, event.$name);)*
                self.rows += 1;
                Ok(())
            }

            /// Takes the rows appended so far and leaves the builder empty.
            ///
            /// # Errors
            /// Never with builders that this type filled itself; Arrow checks their lengths once more.
            pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
                self.rows = 0;
                let columns: Vec<ArrayRef> = vec![$(finish!($kind, self.$name)),*];
                let fields: Vec<Field> = COLUMNS
                    .iter()
                    .zip(&columns)
                    .map(|(column, array)| Field::new(column.name, array.data_type().clone(), true))
                    .collect();
                RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            }
        }
    };
}

impl EventBuilder {
    /// Rows appended since the last [`finish`](Self::finish).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

columns! {
    event_id: Text, "CloudTrail's `eventID`; for a record without one, `fp:` and what identifies it instead";
    shared_event_id: Text, "`sharedEventID`: the same call as another account's log tells it";
    original_event_id: Text, "The event that this one patches (`addendum.originalEventID`, reason `UPDATED_DATA`)";
    event_time: Instant, "When the request completed (`eventTime`)";
    event_date: Day, "UTC day of `event_time`; the partition";
    event_source: Symbol, "The service that logged it, such as `kms.amazonaws.com`";
    event_name: Symbol, "The API operation";
    event_type: Symbol, "`AwsApiCall`, `AwsServiceEvent`, …; `AwsVpceEvent` for what a VPC endpoint logged";
    usage_class: Symbol, "`decrypt`, `encrypt`, `generate`, `sign`, `mac`, `read`, `lifecycle`, `rotation`, `access`, `keystore`, `internal`, `context`, or `other` for a KMS operation that keytrail does not know";
    read_only: Flag, "`readOnly`";
    account_id: Symbol, "The account whose log this is (`recipientAccountId`)";
    region: Symbol, "`awsRegion`";
    error_code: Symbol, "`errorCode`; null on success";
    error_message: Text, "`errorMessage`";
    outcome: Symbol, "`ok`, `denied`, `key_unusable`, `dry_run`, `throttled` or `error`";
    key_arn: Symbol, "The KMS key; for ReEncrypt the source key";
    key_id: Symbol, "Key id, the last part of `key_arn`";
    key_account_id: Symbol, "Account that owns the key";
    key_region: Symbol, "Region of the key";
    key_alias: Symbol, "Alias that the request named, `alias/…`";
    dest_key_arn: Symbol, "ReEncrypt's destination key";
    principal: Symbol, "Stable identity: role ARN with path, user ARN, `service:<host>`, `arn:…:root`, or an id if the record has nothing else; never a session";
    principal_type: Symbol, "`AssumedRole`, `IAMUser`, `AWSService`, …, decided from the ARN before `userIdentity.type`";
    principal_id: Symbol, "Unique id (`AROA…`, `AIDA…`) without the session: it tells a recreated role from the first";
    principal_inferred: Flag, "True when the record lacks the role's ARN and `principal` was rebuilt without its path";
    principal_account_id: Symbol, "Account of the caller";
    session_name: Symbol, "Role session name; for EBS the instance id";
    session_arn: Symbol, "STS ARN of the session";
    access_key_id: Symbol, "Access key that signed the call";
    session_start: Instant, "When the session's credentials were issued";
    source_identity: Symbol, "`sourceIdentity`, which survives role chaining";
    mfa: Flag, "Whether the session was authenticated with MFA";
    on_behalf_of: Symbol, "`onBehalfOf.userId`: the person of IAM Identity Center for whom the call was made";
    identity_store: Symbol, "`onBehalfOf.identityStoreArn`: the identity store that holds that user";
    principal_tags: Text, "JSON of the tags that an STS call gave to the session: passed in, asserted by the identity provider, or inherited";
    invoked_by: Symbol, "`userIdentity.invokedBy` as logged";
    via: Symbol, "The AWS service that the call came through; null for a direct call";
    source_ip: Symbol, "`sourceIPAddress`: an address, a service name or `AWS Internal`";
    user_agent: Symbol, "`userAgent`";
    vpc_endpoint_id: Symbol, "`vpcEndpointId`";
    tls_version: Symbol, "`tlsDetails.tlsVersion`";
    encryption_context: Pairs, "Every pair of the encryption context, sorted by key; ReEncrypt's differing destination pairs as `destination:<key>`";
    asset: Text, "The resource that the context names: object, secret, volume, table, …";
    asset_type: Symbol, "What kind of resource, such as `s3-object` or `ssm-parameter`";
    asset_trust: Symbol, "`service` (an AWS service set the context), `proved` (a successful decrypt), `claimed` (the caller's word)";
    key_material_id: Symbol, "Which generation of the key's material was used";
    grant_id: Text, "Grant created, retired or revoked";
    request_id: Text, "`requestID`";
    request_parameters: Text, "JSON of `requestParameters`, for write operations and context events; session tokens redacted";
    response_elements: Text, "JSON of `responseElements`, likewise";
    additional_event_data: Text, "JSON of `additionalEventData` and `serviceEventDetails`, likewise";
    source_object: Symbol, "The log object that the record was read from";
    record_index: Count, "Position of the record in that object, from 0";
    call: Symbol, "How the row counts in `calls`: `single` is a call; `shared` has a `sharedEventID` and is a call unless `shared_calls` has it; `copy` is one of several rows of a call, merged in `shared_calls`; `uncertain` counts unless the lake has the event that it repeats; `none` is not a KMS call";
}

/// The schema of the `events` table as the lake declares it.
#[must_use]
pub fn lake_schema() -> SchemaRef {
    let fields: Vec<Field> =
        COLUMNS.iter().map(|column| Field::new(column.name, column.kind.lake_type(), true)).collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_goes_in_and_comes_out_under_its_columns_name() {
        let mut builder = EventBuilder::default();
        let pairs = vec![("aws:s3:arn".into(), "arn:aws:s3:::b/k".into())];
        let event = Event { event_id: Some("e1".into()), encryption_context: pairs, ..Event::default() };
        builder.append(&event).unwrap();
        builder.append(&Event::default()).unwrap();
        assert_eq!(builder.rows(), 2);
        let batch = builder.finish().unwrap();
        assert_eq!((batch.num_rows(), builder.rows()), (2, 0));
        assert!(batch.column_by_name("encryption_context").unwrap().is_null(1));
        assert_eq!(batch.num_columns(), lake_schema().fields().len());
    }
}
