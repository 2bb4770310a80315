//! Functions of SQL that keytrail adds: decisions about AWS's own formats that are made in one place, in Rust.
//!
//! - `selectors_capture_kms(json)`: whether a trail with these event selectors records the use of KMS keys
//! - `matches_any(text, patterns)`: whether a text is of one of some patterns with `*` and `?`
//! - `is_within(text, patterns)`: the same, where no patterns let anything pass
//! - `counted(number, thing)`: a number of things in words, as in `2 calls`
//! - `policy_allows(json, action)`: whom a key policy lets do something, as a list
//! - `open_to_anyone(json)`: what it lets anyone do, in words
//! - `tag_names(json)`: a key's tags as texts, `tag:name=value`
//! - `json_member(json, name)`: a member of a JSON object, text as it is meant and everything else as JSON
//! - `spoken_time(text)`: the instant that a text such as `Jul 10, 2023, 6:38:25 PM` names
//! - `address_block(address)`: the network that an address is probably of
//! - `aws_partition(arn, region)`: the partition that an ARN is of, or else a Region
//! - `key_ids(bytes)`: every key id in a text that may be broken, as a list
//! - `in_shared_calls(id, time)`: whether `shared_calls` has the call of an event that is not marked as a copy
//! - `call_mark(…)`: how an event counts in `calls`, for files of earlier versions
//! - `horizon_from()`, `horizon_until()`: the span of time that the lake can tell of
//! - `window_from()`, `window_since()`, `window_until()`: what a run of the detectors looks at
//! - `days(n)`, `hours(n)`, `minutes(n)`, `days_between(from, to)`, `hour_of(time)`, `hours_of(time)`: time as detectors speak of it
//! - `is_use(usage_class)`: whether an operation uses key material, or may do so
//! - `is_unserved(outcome, error_code)`: whether a call was allowed and failed on AWS's side
//! - `some_of(list, separator)`: the first five of some texts, and how many more there are
//!
//! And of groups:
//!
//! - `evidence(event_id, event_time)`: the ids of the first ten events
//! - `listed(name)`, `listed_in_order(name, at)`, `most_often(name, times)`: the first five names, and how many more there are
//! - `median_deviation(number)`: the median of the distances from the median
//! - `distinct_texts(text)`: how many different texts there are
//! - `latest(text, time, limit)`: the different texts of the latest times, as a list

mod addresses;
mod call_marks;
mod conditions;
mod counting;
mod distinct_texts;
mod gathering;
mod horizon;
mod intervals;
mod key_ids;
mod latest;
mod matching;
mod members;
mod one_group;
mod partitions;
mod policies;
mod selectors;
mod shared_calls;
mod uses;

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::{DataType, Field};
use datafusion::prelude::SessionContext;

pub(super) use call_marks::call_mark;
pub use horizon::{Horizon, Span};
pub(super) use shared_calls::CallIds;

/// Makes every function known to a session. Until [`see`] says better, the lake can tell of any time.
pub(crate) fn register(session: &SessionContext) {
    see(session, Horizon::default());
    share(session, CallIds::default());
    for function in [
        selectors::selectors_capture_kms(),
        matching::matches_any(),
        matching::is_within(),
        counting::counted(),
        matching::tag_names(),
        members::json_member(),
        members::spoken_time(),
        policies::policy_allows(),
        policies::open_to_anyone(),
        addresses::address_block(),
        partitions::aws_partition(),
        key_ids::key_ids(),
        gathering::some_of_list(),
        uses::is_use(),
        uses::is_unserved(),
    ]
    .into_iter()
    .chain(intervals::functions())
    {
        session.register_udf(function);
    }
    let aggregates = [distinct_texts::distinct_texts(), latest::latest()];
    for function in aggregates.into_iter().chain(gathering::functions()) {
        session.register_udaf(function);
    }
}

/// Makes the span of time that the lake can tell of known to the statements that are planned from now on.
pub(crate) fn see(session: &SessionContext, horizon: Horizon) {
    for function in horizon.functions() {
        session.register_udf(function);
    }
    look_at(session, horizon.into());
}

/// Makes what a run looks at known to the statements that are planned from now on.
pub(super) fn look_at(session: &SessionContext, span: Span) {
    for function in span.functions() {
        session.register_udf(function);
    }
}

/// Gives the session the ids of shared calls, once they are known.
pub(super) fn share(session: &SessionContext, ids: CallIds) {
    session.register_udf(shared_calls::in_shared_calls(ids));
}

/// A list of texts.
fn texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

/// Whether an aggregate's filter lets a row through.
fn is_chosen(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}
