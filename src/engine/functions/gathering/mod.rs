//! Aggregate functions that gather a few values of a group in memory: names, ids, numbers.
//!
//! What is gathered can be written down as rows of the arguments' own types, and be gathered again from these: so that a group
//! that was read in parts is put together by the same code.

mod deviation;
mod ids;
mod names;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ScalarUDF, Signature, Volatility, create_udf,
};
use datafusion::scalar::ScalarValue;

/// All of them.
pub(super) fn functions() -> [AggregateUDF; 5] {
    [
        of::<deviation::MedianDeviation>(),
        of::<ids::Evidence>(),
        of::<names::Listed>(),
        of::<names::InOrder>(),
        of::<names::MostOften>(),
    ]
}

fn of<G: Gather>() -> AggregateUDF {
    AggregateUDF::from(Gathered::<G> {
        signature: Signature::any(G::takes().len(), Volatility::Immutable),
        kind: PhantomData,
    })
}

/// What is gathered of one group.
trait Gather: Default + fmt::Debug + Send + Sync + 'static {
    /// The function's name.
    const NAME: &'static str;

    /// The types of its arguments.
    fn takes() -> Vec<DataType>;

    /// The type of its answer.
    fn gives() -> DataType;

    /// Takes rows in, a column for each argument, of these types.
    fn add(&mut self, columns: &[ArrayRef]);

    /// Rows from which the same can be gathered again.
    fn rows(&self) -> Vec<ArrayRef>;

    /// The answer.
    fn answer(&self) -> ScalarValue;

    /// Bytes on the heap.
    fn heap(&self) -> usize;
}

struct Gathered<G> {
    signature: Signature,
    kind: PhantomData<G>,
}

impl<G: Gather> AggregateUDFImpl for Gathered<G> {
    fn name(&self) -> &'static str {
        G::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(G::gives())
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Group(G::default())))
    }

    fn state_fields(&self, given: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |(place, kind): (usize, DataType)| -> FieldRef {
            let name = format_state_name(given.name, &format!("column {place}"));
            Arc::new(Field::new(name, DataType::new_list(kind, true), true))
        };
        Ok(G::takes().into_iter().enumerate().map(field).collect())
    }
}

impl<G> PartialEq for Gathered<G> {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl<G> Eq for Gathered<G> {}

impl<G: Gather> Hash for Gathered<G> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        G::NAME.hash(state);
    }
}

impl<G: Gather> fmt::Debug for Gathered<G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(G::NAME)
    }
}

#[derive(Debug)]
struct Group<G>(G);

impl<G: Gather> Accumulator for Group<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let columns = values.iter().zip(G::takes()).map(|(column, kind)| Ok(cast(column, &kind)?));
        self.0.add(&columns.collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let parts = states.first().map_or(0, Array::len);
        for part in 0..parts {
            let rows: Vec<ArrayRef> = states.iter().map(|column| column.as_list::<i32>().value(part)).collect();
            self.0.add(&rows);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = |column| SingleRowListArrayBuilder::new(column).with_nullable(true).build_list_scalar();
        Ok(self.0.rows().into_iter().map(list).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.0.answer())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.heap()
    }
}

/// A list of texts, as one value.
fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> ScalarValue {
    let texts: StringArray = texts.map(Some).collect();
    SingleRowListArrayBuilder::new(Arc::new(texts)).with_nullable(true).build_list_scalar()
}

/// `some_of(list, separator)`: what [`some_of`] makes of a list.
pub(super) fn some_of_list() -> ScalarUDF {
    let takes = vec![super::texts(), DataType::Utf8];
    create_udf("some_of", takes, DataType::Utf8, Volatility::Immutable, Arc::new(some_of_each))
}

fn some_of_each(given: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(given)?;
    let (lists, separators) = (arrays[0].as_list::<i32>(), arrays[1].as_string::<i32>());
    let told = lists.iter().zip(separators.iter()).map(|(list, separator)| {
        let list = list?;
        let names: Vec<&str> = list.as_string::<i32>().iter().flatten().collect();
        some_of(names.into_iter(), separator.unwrap_or(", "))
    });
    Ok(ColumnarValue::Array(Arc::new(told.collect::<StringArray>())))
}

/// How many things a finding names one by one.
const NAMED: usize = 5;

/// The first few names as a text, and how many more there are; null for none.
fn some_of<'a>(mut names: impl ExactSizeIterator<Item = &'a str>, separator: &str) -> Option<String> {
    let more = names.len().saturating_sub(NAMED);
    let first: Vec<&str> = names.by_ref().take(NAMED).collect();
    if first.is_empty() {
        return None;
    }
    let first = first.join(separator);
    Some(if more == 0 { first } else { format!("{first} and {more} more") })
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    /// What a statement answers, as text.
    async fn asked(sql: &str) -> String {
        let session = SessionContext::new();
        crate::engine::functions::register(&session);
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let cell = arrow::compute::cast(rows[0].column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        arrow::util::display::array_value_to_string(&cell, 0).unwrap()
    }

    #[tokio::test]
    async fn names_are_listed_once_and_five_of_them_are_named() {
        let of = |what: &str, values: &str| format!("SELECT {what} FROM (VALUES {values}) AS t (name, at)");
        let six = "('b', 6), ('a', 5), ('f', 4), ('c', 3), ('d', 2), ('e', 1), ('a', 9), (NULL, 0)";
        assert_eq!(asked(&of("listed(name)", six)).await, "a, b, c, d, e and 1 more");
        assert_eq!(asked(&of("listed(name)", "('b', 1), ('a', 2), ('b', 3)")).await, "a, b");
        assert_eq!(asked(&of("listed(name) IS NULL", "(CAST(NULL AS VARCHAR), 1)")).await, "true");
        assert_eq!(asked(&of("listed_in_order(name, at)", six)).await, "e, d, c, f, a and 1 more");
        // a is 14 in all, and those that are equal stand in the order of their names.
        let weights = "('a', 5), ('a', 9), ('c', 3), ('b', 3), (NULL, 99), ('d', NULL)";
        assert_eq!(asked(&of("most_often(name, at)", weights)).await, "a, b, c, d");
    }

    #[tokio::test]
    async fn evidence_is_the_first_ten_ids() {
        let values: Vec<String> = (0..40).map(|at| format!("('e{:02}', {})", (at * 7) % 40, (at * 7) % 40)).collect();
        let rows = format!("(VALUES {}, (NULL, -1), ('late', NULL)) AS t (id, at)", values.join(", "));
        let at = "arrow_cast(at, 'Timestamp(Microsecond, Some(\"UTC\"))')";
        let ids = asked(&format!("SELECT array_to_string(evidence(id, {at}), ' ') FROM {rows}")).await;
        assert_eq!(ids, "e00 e01 e02 e03 e04 e05 e06 e07 e08 e09");
        let none = asked(&format!("SELECT cardinality(evidence(id, {at})) FROM {rows} WHERE id IS NULL")).await;
        assert_eq!(none, "0");
    }

    #[tokio::test]
    async fn groups_that_are_read_in_parts_come_to_the_same() {
        let session = SessionContext::new_with_config(
            datafusion::prelude::SessionConfig::new().with_target_partitions(4).with_batch_size(8),
        );
        crate::engine::functions::register(&session);
        let sql = "SELECT g, listed(CAST(n AS VARCHAR)) AS l, most_often(CAST(n AS VARCHAR), n) AS o, median_deviation(n) AS d
            FROM (SELECT value % 3 AS g, value % 17 AS n FROM generate_series(1, 1000)) GROUP BY g ORDER BY g";
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        for line in shown.lines().filter(|line| line.contains("more")) {
            assert!(line.contains("0, 1, 10, 11, 12 and 12 more"), "{line}");
            assert!(line.contains("16, 15, 14, 13, 12 and 12 more"), "{line}");
            // Of 0 to 16, each as often as the others, the median is 8, and four are nearer than half of them.
            assert!(line.contains("| 4.0 "), "{line}");
        }
        assert_eq!(shown.lines().filter(|line| line.contains("more")).count(), 3, "{shown}");
    }

    #[tokio::test]
    async fn the_median_deviation_is_that_of_the_distances_from_the_median() {
        let of = |values: &str| format!("SELECT median_deviation(n) FROM (VALUES {values}) AS t (n)");
        assert_eq!(asked(&of("(1), (1), (2), (2), (4), (6), (9)")).await, "1.0");
        assert_eq!(asked(&of("(1), (3)")).await, "1.0");
        assert_eq!(asked(&of("(7), (NULL)")).await, "0.0");
    }
}
