//! What a channel was not told of yet, as the lake knows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};

use super::WatchError;
use crate::detect::{Finding, Status};
use crate::engine::Engine;
use crate::instant;
use crate::query::{Catalog, Severity};

/// A finding that is to be told; its JSON is the finding's, and since when it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The finding, as the latest run left it.
    #[serde(flatten)]
    pub finding: Finding,
    /// The run that it has been open since: with the fingerprint, what tells this time from another.
    #[serde(serialize_with = "plainly")]
    pub opened_at: DateTime<Utc>,
    /// The latest run.
    #[serde(skip)]
    pub run_at: DateTime<Utc>,
}

fn plainly<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant::plain(*at))
}

/// A row of `pending-notifications`.
#[derive(Deserialize)]
struct Row {
    detector: String,
    severity: Severity,
    status: Status,
    message: String,
    key_arn: Option<String>,
    principal: Option<String>,
    account_id: Option<String>,
    region: Option<String>,
    asset: Option<String>,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
    events: i64,
    evidence: String,
    detail: Option<String>,
    fingerprint: String,
    opened_at: DateTime<Utc>,
    run_at: DateTime<Utc>,
}

impl From<Row> for Pending {
    fn from(row: Row) -> Self {
        let finding = Finding {
            detector: row.detector,
            severity: row.severity,
            status: row.status,
            message: row.message,
            key_arn: row.key_arn,
            principal: row.principal,
            account_id: row.account_id,
            region: row.region,
            asset: row.asset,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            events: row.events,
            evidence: serde_json::from_str(&row.evidence).unwrap_or_default(),
            detail: row.detail,
            reason: None,
            fingerprint: row.fingerprint,
        };
        Self { finding, opened_at: row.opened_at, run_at: row.run_at }
    }
}

/// The findings at or above a severity that a channel is to be told of, the worst first.
///
/// # Errors
/// When the lake cannot be read.
pub async fn pending(
    engine: &Engine,
    catalog: &Catalog,
    channel: &str,
    bar: Severity,
    now: DateTime<Utc>,
) -> Result<Vec<Pending>, WatchError> {
    let query = catalog.get("pending-notifications")?;
    let given = [("channel".to_owned(), channel.to_owned()), ("severity".to_owned(), bar.name().to_owned())];
    let rows: Vec<Row> = engine.run(query, query.bind(&given, now)?).await?.read()?;
    Ok(rows.into_iter().map(Pending::from).collect())
}

#[derive(Deserialize)]
struct Delivery {
    delivered_at: Option<DateTime<Utc>>,
}

/// When the newest object of the lake was delivered, where the objects' names tell it.
///
/// # Errors
/// When the lake cannot be read.
pub async fn newest_delivery(
    engine: &Engine,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, WatchError> {
    let query = catalog.get("newest-delivery")?;
    let rows: Vec<Delivery> = engine.run(query, query.bind(&[], now)?).await?.read()?;
    Ok(rows.into_iter().find_map(|row| row.delivered_at))
}
