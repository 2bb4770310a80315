//! `in_shared_calls(shared_event_id, event_time)`: whether the call of an event is in `shared_calls`, though the event does not
//! say so itself.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use hashbrown::HashSet;

use crate::lake::calls::call_id;

/// The ids of calls, as soon as they are known.
pub(crate) type CallIds = Arc<OnceLock<HashSet<u128>>>;

/// The function over these ids. Until they are known, it is false.
pub(crate) fn in_shared_calls(ids: CallIds) -> ScalarUDF {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let signature = Signature::exact(vec![DataType::Utf8View, time], Volatility::Immutable);
    ScalarUDF::from(InSharedCalls { ids, signature })
}

struct InSharedCalls {
    ids: CallIds,
    signature: Signature,
}

impl InSharedCalls {
    fn ids(&self) -> Option<&HashSet<u128>> {
        self.ids.get().filter(|ids| !ids.is_empty())
    }
}

impl ScalarUDFImpl for InSharedCalls {
    fn name(&self) -> &'static str {
        "in_shared_calls"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&given.args)?;
        let (shared, times) = (arrays[0].as_string_view(), arrays[1].as_primitive::<TimestampMicrosecondType>());
        let is_in = |row: usize| {
            let is_known = shared.is_valid(row) && times.is_valid(row);
            is_known && self.ids().is_some_and(|ids| ids.contains(&call_id(shared.value(row), times.value(row))))
        };
        let answers: BooleanArray = (0..shared.len()).map(|row| Some(is_in(row))).collect();
        Ok(ColumnarValue::Array(Arc::new(answers)))
    }

    /// Without ids it is `false`, and no row is checked.
    fn simplify(&self, given: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(if self.ids().is_some() {
            ExprSimplifyResult::Original(given)
        } else {
            ExprSimplifyResult::Simplified(lit(false))
        })
    }
}

impl PartialEq for InSharedCalls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ids, &other.ids)
    }
}

impl Eq for InSharedCalls {}

impl Hash for InSharedCalls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for InSharedCalls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InSharedCalls").field("ids", &self.ids().map(HashSet::len)).finish_non_exhaustive()
    }
}
