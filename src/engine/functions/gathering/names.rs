//! `listed(name)`, `listed_in_order(name, at)` and `most_often(name, times)`: the first five of the names of a group, and how many
//! more there are, as a text. They differ in which come first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::scalar::ScalarValue;

use super::{Gather, some_of};

const SEPARATOR: &str = ", ";

/// By the alphabet.
#[derive(Debug, Default)]
pub(super) struct Listed {
    names: BTreeSet<String>,
}

impl Gather for Listed {
    const NAME: &'static str = "listed";

    fn takes() -> Vec<DataType> {
        vec![DataType::Utf8]
    }

    fn gives() -> DataType {
        DataType::Utf8
    }

    fn add(&mut self, columns: &[ArrayRef]) {
        for name in columns[0].as_string::<i32>().iter().flatten() {
            if !self.names.contains(name) {
                self.names.insert(name.to_owned());
            }
        }
    }

    fn rows(&self) -> Vec<ArrayRef> {
        vec![Arc::new(self.names.iter().map(Some).collect::<StringArray>())]
    }

    fn answer(&self) -> ScalarValue {
        ScalarValue::Utf8(some_of(self.names.iter().map(String::as_str), SEPARATOR))
    }

    fn heap(&self) -> usize {
        self.names.iter().map(|name| size_of_val(name) + name.capacity()).sum()
    }
}

/// A number for each name.
type Numbers = BTreeMap<String, i64>;

fn note(numbers: &mut Numbers, columns: &[ArrayRef], put: fn(i64, i64) -> i64) {
    let (names, given) = (columns[0].as_string::<i32>(), columns[1].as_primitive::<Int64Type>());
    for row in (0..names.len()).filter(|row| names.is_valid(*row)) {
        let number = if given.is_valid(row) { given.value(row) } else { 0 };
        match numbers.get_mut(names.value(row)) {
            Some(known) => *known = put(*known, number),
            None => drop(numbers.insert(names.value(row).to_owned(), number)),
        }
    }
}

fn rows(numbers: &Numbers) -> Vec<ArrayRef> {
    let names: StringArray = numbers.keys().map(Some).collect();
    vec![Arc::new(names), Arc::new(numbers.values().copied().collect::<Int64Array>())]
}

fn told(numbers: &Numbers, place: fn(i64) -> i64) -> ScalarValue {
    let mut order: Vec<(i64, &str)> = numbers.iter().map(|(name, number)| (place(*number), name.as_str())).collect();
    order.sort_unstable();
    ScalarValue::Utf8(some_of(order.into_iter().map(|(_, name)| name), SEPARATOR))
}

fn heap(numbers: &Numbers) -> usize {
    numbers.iter().map(|(name, number)| size_of_val(name) + name.capacity() + size_of_val(number)).sum()
}

/// By the least number that stands beside them: a time, a place.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    least: Numbers,
}

impl Gather for InOrder {
    const NAME: &'static str = "listed_in_order";

    fn takes() -> Vec<DataType> {
        vec![DataType::Utf8, DataType::Int64]
    }

    fn gives() -> DataType {
        DataType::Utf8
    }

    fn add(&mut self, columns: &[ArrayRef]) {
        note(&mut self.least, columns, i64::min);
    }

    fn rows(&self) -> Vec<ArrayRef> {
        rows(&self.least)
    }

    fn answer(&self) -> ScalarValue {
        told(&self.least, |least| least)
    }

    fn heap(&self) -> usize {
        heap(&self.least)
    }
}

/// By the sum of the numbers that stand beside them, the largest first.
#[derive(Debug, Default)]
pub(super) struct MostOften {
    sums: Numbers,
}

impl Gather for MostOften {
    const NAME: &'static str = "most_often";

    fn takes() -> Vec<DataType> {
        vec![DataType::Utf8, DataType::Int64]
    }

    fn gives() -> DataType {
        DataType::Utf8
    }

    fn add(&mut self, columns: &[ArrayRef]) {
        note(&mut self.sums, columns, i64::saturating_add);
    }

    fn rows(&self) -> Vec<ArrayRef> {
        rows(&self.sums)
    }

    fn answer(&self) -> ScalarValue {
        told(&self.sums, |sum| -sum)
    }

    fn heap(&self) -> usize {
        heap(&self.sums)
    }
}
