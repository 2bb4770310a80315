//! An aggregate over all rows, by the accumulator that keeps many groups: each of our aggregates is written once.

use std::fmt;

use arrow::array::ArrayRef;
use datafusion::error::Result;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::scalar::ScalarValue;

/// The only group.
const GROUP: usize = 0;

/// A single group. Evaluating it does not end it, since a window asks again after more rows.
pub(super) struct OneGroup<G>(G);

impl<G: GroupsAccumulator + Clone> OneGroup<G> {
    pub fn new(groups: G) -> Self {
        Self(groups)
    }
}

impl<G> fmt::Debug for OneGroup<G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OneGroup").finish_non_exhaustive()
    }
}

impl<G: GroupsAccumulator + Clone + Sync> Accumulator for OneGroup<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.0.update_batch(values, &vec![GROUP; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |column| column.len());
        self.0.merge_batch(states, &vec![GROUP; rows], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut groups = self.0.clone();
        // Without any rows there is no group yet.
        groups.update_batch(&[], &[], None, 1)?;
        ScalarValue::try_from_array(&groups.evaluate(EmitTo::All)?, GROUP)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut groups = self.0.clone();
        groups.update_batch(&[], &[], None, 1)?;
        groups.state(EmitTo::All)?.iter().map(|column| ScalarValue::try_from_array(column, GROUP)).collect()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
