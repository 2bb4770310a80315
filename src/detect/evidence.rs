//! The ids of events for findings that name none: asked for once, when it is known what was found.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::error::DataFusionError;

use super::{DetectError, Finding};
use crate::engine::{Engine, EngineError};
use crate::query::{Catalog, Evidence};

/// Divides the values of a list.
const DIVIDER: &str = "\u{1f}";

/// Fills in the evidence of findings that have none, where their detector says which events show them.
pub(super) async fn fetch(
    engine: &Engine,
    catalog: &Catalog,
    now: DateTime<Utc>,
    findings: impl Iterator<Item = &mut Finding>,
) -> Result<(), DetectError> {
    let is_of_decrypts =
        |name: &str| catalog.detectors().any(|one| one.name == name && one.evidence == Some(Evidence::Decrypts));
    let mut wanted: Vec<Wanted<'_>> = findings
        .filter(|one| one.evidence.is_empty() && is_of_decrypts(&one.detector))
        .filter_map(Wanted::of)
        .collect();
    let (Some(since), Some(last)) = (wanted.iter().map(|one| one.first).min(), wanted.iter().map(|one| one.last).max())
    else {
        return Ok(());
    };
    let joined = |value: &dyn Fn(usize, &Wanted<'_>) -> String| {
        let values: Vec<String> = wanted.iter().enumerate().map(|(row, one)| value(row, one)).collect();
        values.join(DIVIDER)
    };
    let given = [
        ("rows", joined(&|row, _| row.to_string())),
        ("keys", joined(&|_, one| one.finding.key_arn.clone().unwrap_or_default())),
        ("principals", joined(&|_, one| one.finding.principal.clone().unwrap_or_default())),
        ("firsts", joined(&|_, one| one.first.timestamp_micros().to_string())),
        ("lasts", joined(&|_, one| one.last.timestamp_micros().to_string())),
        ("since", since.to_rfc3339()),
        ("until", (last + TimeDelta::seconds(1)).to_rfc3339()),
    ];
    let query = catalog.get("finding-evidence")?;
    let values = query.bind(&given.map(|(name, value)| (name.to_owned(), value)), now)?;
    for batch in engine.run(query, values).await?.batches {
        let ids = cast(&batch["evidence"], &DataType::new_list(DataType::Utf8, true));
        let ids = ids.map_err(|error| EngineError::from(DataFusionError::from(error)))?;
        let rows = batch["row"].as_primitive::<Int64Type>();
        for (row, ids) in rows.iter().zip(ids.as_list::<i32>().iter()) {
            let place = row.and_then(|row| usize::try_from(row).ok());
            if let (Some(one), Some(ids)) = (place.and_then(|place| wanted.get_mut(place)), ids) {
                one.finding.evidence = ids.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            }
        }
    }
    Ok(())
}

struct Wanted<'f> {
    finding: &'f mut Finding,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

impl<'f> Wanted<'f> {
    fn of(finding: &'f mut Finding) -> Option<Self> {
        let (first, last) = finding.first_seen.zip(finding.last_seen)?;
        finding.principal.is_some().then_some(Self { finding, first, last })
    }
}
