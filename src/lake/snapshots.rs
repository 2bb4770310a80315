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

/// How many reports of a series were written: what [`record_report`] compares with.
///
/// # Errors
/// When the lake cannot be read.
pub async fn reports_written(lake: &Lake, series: &str) -> Result<i64, LakeError> {
    match lake.open(&REPORTS).await? {
        Some(table) => table.transaction(&report_id(series)).await,
        None => Ok(0),
    }
}

/// Adds a report that was written, unless the series has another since there were so many: the two would tell of one time.
/// Returns whether it was added.
///
/// # Errors
/// When the lake cannot be written.
pub async fn record_report(lake: &Lake, report: ReportRow, written: i64) -> Result<bool, LakeError> {
    let report = &ReportRow { number: written + 1, ..report };
    let rows = batch(REPORT_COLUMNS, std::slice::from_ref(report))?;
    let mut table = lake.open_or_create(&REPORTS).await?;
    let id = report_id(&report.series);
    let mut add = None;
    // Delta refuses the second of two commits with one id.
    while table.transaction(&id).await? == written {
        let add = match &add {
            Some(add) => add,
            None => add.insert(parquet::write(table.store().as_ref(), &rows, None, true).await?),
        };
        if table.commit(vec![add.clone()], Vec::new(), std::slice::from_ref(&id)).await? != Commit::Conflict {
            return Ok(true);
        }
        table.refresh().await?;
    }
    Ok(false)
}

fn report_id(series: &str) -> String {
    format!("report/{series}")
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
    table.append(rows).await
}
