//! Asks the lake for each part of a report, and puts the parts together.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    About, Activity, AssetsUnder, DayDecrypts, Decrypts, Findings, IdleKey, IdleKeys, KeyAtRisk, KeyDay, KeyDecrypts,
    Made, Overview, OverviewError, PairDecrypts, Provenance, SCHEMA, Section, Sources, Windows,
};
use crate::detect::{Detection, Window};
use crate::engine::Engine;
use crate::incident::DayCovered;
use crate::instant::plain;
use crate::query::{Catalog, Query, Severity};

/// Keys, and pairs of key and principal, that a report names; it says how many there are in all.
const ROWS_MAX: usize = 1000;

/// The detectors whose findings are keys that nobody needs or can explain.
const UNUSED: &str = "unused-key";
const UNEXPLAINED: &str = "unexplained-key";

/// What a report is made of besides the lake.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The series that it is one of.
    pub series: String,
    /// Its times.
    pub windows: Windows,
    /// The report before it.
    pub last: Option<Made>,
    /// Whether an expectations file was given.
    pub has_expectations: bool,
    /// When the detectors ran.
    pub run_at: DateTime<Utc>,
}

/// The last report of a series; with `before`, the last whose window had ended by then.
///
/// # Errors
/// When the lake cannot be read.
pub async fn last_report(
    engine: &Engine,
    catalog: &Catalog,
    series: &str,
    before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Option<Made>, OverviewError> {
    let given = [("series", Some(series.to_owned())), ("before", before.map(plain))];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect::<Vec<_>>();
    let made: Vec<Made> = rows(engine, catalog, "last-report", &given, now).await?;
    Ok(made.into_iter().next())
}

/// The latest event in the lake of those whose time can be.
///
/// # Errors
/// When the lake cannot be read.
pub async fn latest_event(
    engine: &Engine,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, OverviewError> {
    #[derive(Deserialize)]
    struct Span {
        last_event_time: DateTime<Utc>,
    }
    let spans: Vec<Span> = rows(engine, catalog, "span", &[], now).await?;
    Ok(spans.into_iter().next().map(|span| span.last_event_time))
}

/// Gathers a report about what a run of detectors found, which was compared with the report before.
///
/// # Errors
/// When the lake cannot be read.
pub async fn gather(
    engine: &Engine,
    catalog: &Catalog,
    detection: Detection,
    frame: &Frame,
) -> Result<Overview, OverviewError> {
    let Windows { window, looked_at } = frame.windows;
    let span = [("since", plain(looked_at.since)), ("until", plain(looked_at.until))];
    let now = looked_at.until;
    let keys: Vec<Known> = rows(engine, catalog, "overview-keys", &[], now).await?;
    let keys: BTreeMap<&str, &Known> = keys.iter().map(|key| (key.key_arn.as_str(), key)).collect();
    let aliases = |arn: &str| keys.get(arn).and_then(|key| key.aliases.clone());
    let asked = [span.as_slice(), &[("recent", plain(window.since)), ("limit", ROWS_MAX.to_string())]].concat();
    let parts = rows(engine, catalog, "overview-activity", &asked, now).await?;
    let mut decrypts = activity(parts, &aliases);
    let mut aws_managed: Vec<AssetsUnder> = rows(engine, catalog, "overview-assets", &span, now).await?;
    for assets in &mut aws_managed {
        assets.aliases = aliases(&assets.key_arn);
    }
    let coverage: Vec<DayCovered> = rows(engine, catalog, "coverage", &span, now).await?;
    let sources: Vec<Sources> = rows(engine, catalog, "overview-sources", &span, now).await?;
    let (evaluated, no_events) = (detection.evaluated.clone(), detection.no_events.clone());
    let (not_evaluated, lake_version) = (detection.not_evaluated.clone(), detection.lake_version);
    let findings = Findings::of(detection, frame.last.is_none().then_some(window.since));
    let keys_at_risk = at_risk(&findings, &decrypts, &keys, looked_at);
    decrypts.keys.rows.truncate(ROWS_MAX);
    let shown: BTreeSet<&str> = decrypts.keys.rows.iter().map(|key| key.key_arn.as_str()).collect();
    decrypts.key_days.retain(|cell| shown.contains(cell.key_arn.as_str()));
    Ok(Overview {
        schema: SCHEMA,
        series: frame.series.clone(),
        window,
        looked_at,
        previous_until: frame.last.as_ref().map(|last| last.until),
        keys_at_risk,
        idle_keys: idle(&findings, &aliases),
        detectors: about(catalog, &findings),
        counts: findings.counts(),
        findings,
        decrypts,
        aws_managed,
        coverage,
        not_evaluated,
        evaluated,
        no_events,
        provenance: Provenance {
            keytrail_version: env!("CARGO_PKG_VERSION"),
            lake_version,
            sources: sources.into_iter().next().unwrap_or_default(),
            has_expectations: frame.has_expectations,
        },
        run_at: frame.run_at,
    })
}

async fn rows<T: DeserializeOwned>(
    engine: &Engine,
    catalog: &Catalog,
    name: &str,
    given: &[(&str, String)],
    now: DateTime<Utc>,
) -> Result<Vec<T>, OverviewError> {
    let query = catalog.get(name)?;
    let given: Vec<(String, String)> = given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Ok(engine.run(query, query.bind(&given, now)?).await?.read()?)
}

/// A row of `overview-keys`.
#[derive(Debug, Deserialize)]
struct Known {
    key_arn: String,
    aliases: Option<String>,
    state: Option<String>,
    deletion_date: Option<DateTime<Utc>>,
}

/// A row of `overview-activity`: of each part only some columns are filled.
#[derive(Debug, Deserialize)]
struct Counted {
    part: String,
    in_part: i64,
    day: Option<NaiveDate>,
    via: Option<String>,
    key_arn: Option<String>,
    principal: Option<String>,
    #[serde(flatten)]
    counts: Decrypts,
}

fn activity(parts: Vec<Counted>, aliases: &dyn Fn(&str) -> Option<String>) -> Activity {
    let mut activity = Activity::default();
    for Counted { part, in_part, day, via, key_arn, principal, counts } in parts {
        match (part.as_str(), day, key_arn) {
            ("all", ..) => activity.total = counts,
            ("day", Some(day), _) => {
                let Decrypts { decrypts, failed, .. } = counts;
                activity.days.push(DayDecrypts { day, via, decrypts, failed });
            }
            ("key", _, Some(key_arn)) => {
                activity.keys.total = in_part;
                activity.keys.rows.push(KeyDecrypts { aliases: aliases(&key_arn), key_arn, counts });
            }
            ("pair", _, Some(key_arn)) => {
                activity.pairs.total = in_part;
                activity.pairs.rows.push(PairDecrypts { key_arn, principal, counts });
            }
            ("key_day", Some(day), Some(key_arn)) if counts.decrypts > 0 => {
                activity.key_days.push(KeyDay { key_arn, day, decrypts: counts.decrypts });
            }
            _ => {}
        }
    }
    activity.key_days.sort_by(|one, other| (&one.key_arn, one.day).cmp(&(&other.key_arn, other.day)));
    activity
}

/// The days of a window, in UTC.
pub(crate) fn days(window: Window) -> Vec<NaiveDate> {
    let last = (window.until - Duration::microseconds(1)).date_naive();
    window.since.date_naive().iter_days().take_while(|day| *day <= last).collect()
}

fn at_risk(
    findings: &Findings,
    decrypts: &Activity,
    keys: &BTreeMap<&str, &Known>,
    looked_at: Window,
) -> Vec<KeyAtRisk> {
    let mut risks: BTreeMap<&str, (Severity, usize)> = BTreeMap::new();
    for finding in findings.open() {
        let Some(key_arn) = finding.key_arn.as_deref() else { continue };
        let risk = risks.entry(key_arn).or_insert((finding.severity, 0));
        *risk = (risk.0.max(finding.severity), risk.1 + 1);
    }
    risks.retain(|_, (severity, _)| *severity >= Severity::Medium);
    let days = days(looked_at);
    let by_day: BTreeMap<(&str, NaiveDate), i64> =
        decrypts.key_days.iter().map(|cell| ((cell.key_arn.as_str(), cell.day), cell.decrypts)).collect();
    let counts: BTreeMap<&str, &Decrypts> =
        decrypts.keys.rows.iter().map(|key| (key.key_arn.as_str(), &key.counts)).collect();
    let mut at_risk: Vec<KeyAtRisk> = risks
        .into_iter()
        .map(|(key_arn, (severity, findings))| {
            let key = keys.get(key_arn);
            let days: Vec<i64> =
                days.iter().map(|day| by_day.get(&(key_arn, *day)).copied().unwrap_or_default()).collect();
            KeyAtRisk {
                key_arn: key_arn.to_owned(),
                aliases: key.and_then(|key| key.aliases.clone()),
                state: key.and_then(|key| key.state.clone()),
                deletion_date: key.and_then(|key| key.deletion_date),
                severity,
                findings,
                decrypts: days.iter().sum(),
                last_decrypt: counts.get(key_arn).and_then(|counts| counts.last_seen),
                days,
            }
        })
        .collect();
    at_risk.sort_by_key(|key| (std::cmp::Reverse((key.severity, key.findings)), key.key_arn.clone()));
    at_risk
}

/// Keys that were not used cost a dollar a month each; those that rotated cost more, which is why it is the least that they cost.
fn idle(findings: &Findings, aliases: &dyn Fn(&str) -> Option<String>) -> IdleKeys {
    let told = findings.open().filter(|finding| [UNUSED, UNEXPLAINED].contains(&finding.detector.as_str()));
    let keys: Vec<IdleKey> = told
        .filter_map(|finding| {
            let key_arn = finding.key_arn.clone()?;
            Some(IdleKey {
                aliases: aliases(&key_arn),
                key_arn,
                detector: finding.detector.clone(),
                is_used: finding.events > 0,
                detail: finding.detail.clone(),
            })
        })
        .collect();
    let unused: BTreeSet<&str> =
        keys.iter().filter(|key| key.detector == UNUSED).map(|key| key.key_arn.as_str()).collect();
    IdleKeys { unused_usd_a_month: unused.len() as u64, keys }
}

/// What is documented of the detectors that found something, in the order of their names.
fn about(catalog: &Catalog, findings: &Findings) -> Vec<About> {
    let found: BTreeSet<&str> = findings.all().map(|finding| finding.detector.as_str()).collect();
    let detectors = catalog.detectors().filter(|detector| found.contains(detector.name.as_str()));
    detectors
        .map(|detector| About {
            detector: detector.name.clone(),
            title: detector.title.clone(),
            severity: detector.severity.unwrap_or(Severity::Info),
            attack: detector.attack.clone(),
            sections: sections(detector),
        })
        .collect()
}

fn sections(detector: &Query) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in detector.docs.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push(Section { heading: heading.to_owned(), text: String::new() });
        } else if let Some(section) = sections.last_mut() {
            // A paragraph is set in several lines.
            let is_new = section.text.is_empty() || section.text.ends_with('\n');
            section.text.push_str(match (is_new, line.is_empty()) {
                (_, true) => "\n",
                (true, false) => "",
                (false, false) => " ",
            });
            section.text.push_str(line);
        }
    }
    sections
}
