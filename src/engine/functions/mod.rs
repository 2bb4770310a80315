//! Functions of SQL that keytrail adds: decisions about AWS's own formats that are made in one place, in Rust.

mod selectors;

use datafusion::prelude::SessionContext;

/// Makes every function known to a session.
pub(crate) fn register(session: &SessionContext) {
    session.register_udf(selectors::selectors_capture_kms());
}
