//! `median_deviation(number)`: the median of the distances from the median.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::scalar::ScalarValue;

use super::Gather;

#[derive(Debug, Default)]
pub(super) struct MedianDeviation {
    numbers: Vec<f64>,
}

impl Gather for MedianDeviation {
    const NAME: &'static str = "median_deviation";

    fn takes() -> Vec<DataType> {
        vec![DataType::Float64]
    }

    fn gives() -> DataType {
        DataType::Float64
    }

    fn add(&mut self, columns: &[ArrayRef]) {
        self.numbers.extend(columns[0].as_primitive::<Float64Type>().iter().flatten());
    }

    fn rows(&self) -> Vec<ArrayRef> {
        vec![Arc::new(Float64Array::from(self.numbers.clone()))]
    }

    fn answer(&self) -> ScalarValue {
        let middle = median(self.numbers.clone());
        let distances = middle.map(|middle| self.numbers.iter().map(|number| (number - middle).abs()).collect());
        ScalarValue::Float64(distances.and_then(median))
    }

    fn heap(&self) -> usize {
        self.numbers.capacity() * size_of::<f64>()
    }
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let upper = *numbers.get(numbers.len() / 2)?;
    let lower = *numbers.get((numbers.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}
