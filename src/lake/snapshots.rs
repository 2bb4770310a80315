//! Writes what a run found at one instant: the keys and trails that exist, what detectors say, or whom it told. Rows are
//! added, never changed.

use arrow::array::RecordBatch;

use super::columns::batch;
use super::findings::{DETECTION_COLUMNS, Detected, FINDING_COLUMNS, NOTIFICATION_COLUMNS, NotificationRow};
use super::inventory::{INVENTORY_COLUMNS, KEY_COLUMNS, Snapshot, TRAIL_COLUMNS};
use super::parquet;
use super::reports::{REPORT_COLUMNS, ReportRow};
use super::table::Commit;
use super::tables::{DETECTIONS, FINDINGS, INVENTORIES, KEYS, NOTIFICATIONS, REPORTS, TRAILS, TableSpec};
use super::{Lake, LakeError};

/// Adds one snapshot; all three tables exist afterwards.
///
/// They are committed one after the other, what says that something was listed after what was found by it: nobody reads of
/// a listing whose keys are not there yet.
///
/// # Errors
/// When the lake cannot be written.
pub async fn record(lake: &Lake, snapshot: &Snapshot) -> Result<(), LakeError> {
    append(lake, &KEYS, &batch(KEY_COLUMNS, &snapshot.keys)?).await?;
    append(lake, &TRAILS, &batch(TRAIL_COLUMNS, &snapshot.trails)?).await?;
    append(lake, &INVENTORIES, &batch(INVENTORY_COLUMNS, &snapshot.inventories)?).await
}

/// Adds what one run of detectors found; both tables exist afterwards.
///
/// # Errors
/// When the lake cannot be written.
pub async fn record_detected(lake: &Lake, detected: &Detected) -> Result<(), LakeError> {
    append(lake, &FINDINGS, &batch(FINDING_COLUMNS, &detected.findings)?).await?;
    append(lake, &DETECTIONS, &batch(DETECTION_COLUMNS, &detected.detections)?).await
}

/// Adds a report that was written.
///
/// # Errors
/// When the lake cannot be written.
pub async fn record_report(lake: &Lake, report: &ReportRow) -> Result<(), LakeError> {
    append(lake, &REPORTS, &batch(REPORT_COLUMNS, std::slice::from_ref(report))?).await
}

/// Adds what was told; the table exists afterwards.
///
/// # Errors
/// When the lake cannot be written.
pub async fn record_notified(lake: &Lake, rows: &[NotificationRow]) -> Result<(), LakeError> {
    append(lake, &NOTIFICATIONS, &batch(NOTIFICATION_COLUMNS, rows)?).await
}

async fn append(lake: &Lake, spec: &'static TableSpec, rows: &RecordBatch) -> Result<(), LakeError> {
    let mut table = lake.open_or_create(spec).await?;
    if rows.num_rows() == 0 {
        return Ok(());
    }
    let add = parquet::write(table.store().as_ref(), rows, None, true).await?;
    // A snapshot does not conflict with another; but commits that came between must be read before the next attempt.
    while table.commit(vec![add.clone()], Vec::new(), &[]).await? == Commit::Conflict {
        table.refresh().await?;
    }
    Ok(())
}
