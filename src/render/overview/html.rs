//! The report as one file for a browser. It loads nothing, and is read without its script, which only filters and sorts.
//!
//! The page's own style and script are named by their hashes in a Content-Security-Policy: whatever else a log might smuggle in
//! would not run. What a log says is escaped by the template, never in a link, and shown with its control characters visible.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::NaiveDate;

use super::charts::{Chart, Mark, by_day, calendar, heat, spark};
use super::{Hours, NEXT, caveats, count, counted, gaps, headline, minute, section, short, sized};
use crate::detect::Finding;
use crate::instant::plain;
use crate::overview::{Overview, days};
use crate::query::Severity;
use crate::render::clean;

/// Rows of a table; the JSON has all.
const SHOWN: usize = 200;

/// Findings that a browser lays out in no time.
const LONG: usize = 500;

const STYLE: &str = include_str!("../../../templates/report.css");
const SCRIPT: &str = include_str!("../../../templates/report.js");

pub(super) fn write(overview: &Overview) -> askama::Result<String> {
    let mut page = String::new();
    Page::of(overview).render_into(&mut page)?;
    Ok(clean(&page))
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'p> {
    policy: String,
    /// Whether it has more findings than a browser lays out in no time.
    is_long: bool,
    style: &'static str,
    script: &'static str,
    title: String,
    since: String,
    until: String,
    previous: Option<String>,
    looked_at: String,
    headline: String,
    caveats: Vec<String>,
    figures: Vec<Figure>,
    lists: Vec<List<'p>>,
    severities: Vec<&'static str>,
    keys: Vec<KeyRow>,
    keys_more: usize,
    by_day: Chart,
    heat: Chart,
    pairs: Vec<Vec<String>>,
    pairs_more: usize,
    idle: Vec<Vec<String>>,
    idle_more: usize,
    idle_cost: u64,
    managed: Vec<Vec<String>>,
    managed_more: usize,
    calendar: Chart,
    hours: String,
    gaps: Vec<Vec<String>>,
    gaps_more: usize,
    about: Vec<AboutRow<'p>>,
    provenance: Vec<(&'static str, String)>,
}

/// A number that stands out, with what it counts.
struct Figure {
    number: String,
    what: &'static str,
    class: &'static str,
}

/// Findings of one fate.
struct List<'p> {
    id: &'static str,
    heading: &'static str,
    lead: &'static str,
    findings: Vec<Card<'p>>,
}

/// A finding, and what is behind it.
struct Card<'p> {
    finding: &'p Finding,
    title: &'p str,
    /// The message with names for ARNs.
    brief: String,
    severity: &'static str,
    /// The worst is the greatest.
    weight: usize,
    seen: String,
    facts: Vec<(&'static str, String)>,
    next: Vec<Piece<'p>>,
}

/// A piece of prose: plain, or a name between backticks.
struct Piece<'p> {
    is_name: bool,
    text: &'p str,
}

struct KeyRow {
    key_arn: String,
    name: String,
    severity: &'static str,
    state: String,
    findings: String,
    decrypts: String,
    last: String,
    spark: Vec<Mark>,
    spark_width: usize,
    spark_title: String,
}

struct AboutRow<'p> {
    detector: &'p str,
    title: &'p str,
    severity: &'static str,
    attack: String,
    sections: Vec<(&'p str, Vec<Vec<Piece<'p>>>)>,
}

impl<'p> Page<'p> {
    fn of(overview: &'p Overview) -> Self {
        let window = overview.window;
        let days = days(overview.looked_at);
        // Days before the first log are no days without decrypts.
        let first = overview.provenance.sources.first_event.map(|at| at.date_naive());
        let logged: Vec<NaiveDate> =
            days.iter().copied().filter(|day| first.is_none_or(|first| *day >= first)).collect();
        let activity = &overview.decrypts;
        let key_name = |arn: &str| {
            let key = activity.keys.rows.iter().find(|key| key.key_arn == arn);
            short(arn, key.and_then(|key| key.aliases.as_deref()))
        };
        let pairs = activity.pairs.rows.iter().map(|pair| {
            let who = pair.principal.clone().unwrap_or_else(|| "nobody named".to_owned());
            let counts = [pair.counts.decrypts, pair.counts.recent, pair.counts.failed].map(count);
            let last = pair.counts.last_seen.map(minute).unwrap_or_default();
            [vec![who, key_name(&pair.key_arn)], counts.to_vec(), vec![last]].concat()
        });
        let idle = overview.idle_keys.keys.iter().map(|key| {
            let name = short(&key.key_arn, key.aliases.as_deref());
            let kind = if key.detector == "unused-key" { "unused" } else { "unexplained" };
            vec![name, kind.to_owned(), key.detail.clone().unwrap_or_default(), key.key_arn.clone()]
        });
        let managed = overview.aws_managed.iter().map(|under| {
            let kind = under.asset_type.clone().unwrap_or_else(|| "other".to_owned());
            let last = under.last_seen.map(minute).unwrap_or_default();
            let counts = [count(under.assets), count(under.calls)];
            [
                vec![short(&under.key_arn, under.aliases.as_deref()), kind],
                counts.to_vec(),
                vec![last, under.key_arn.clone()],
            ]
            .concat()
        });
        let gaps = gaps(overview);
        let gaps = gaps.iter().map(|gap| {
            let scope = gap.scope().unwrap_or_else(|| "all".to_owned());
            vec![gap.detectors.join(", "), scope, gap.why.to_owned()]
        });
        let (pairs, pairs_more) = listed(pairs);
        let (idle, idle_more) = listed(idle);
        let (managed, managed_more) = listed(managed);
        let (gaps, gaps_more) = listed(gaps);
        let pairs_left =
            usize::try_from(activity.pairs.total).unwrap_or_default().saturating_sub(activity.pairs.rows.len());
        Self {
            policy: policy(),
            is_long: overview.findings.all().count() > LONG,
            style: STYLE,
            script: SCRIPT,
            title: format!("KMS keys, {} to {}", minute(window.since), minute(window.until)),
            since: minute(window.since),
            until: minute(window.until),
            previous: overview.previous_until.map(minute),
            looked_at: minute(overview.looked_at.since),
            headline: headline(overview),
            caveats: caveats(overview),
            figures: figures(overview),
            lists: lists(overview),
            severities: Severity::ALL.into_iter().rev().map(Severity::name).collect(),
            keys: overview.keys_at_risk.iter().take(SHOWN).map(key_row).collect(),
            keys_more: overview.keys_at_risk.len().saturating_sub(SHOWN),
            by_day: by_day(activity, &logged),
            heat: heat(activity),
            pairs,
            pairs_more: pairs_more + pairs_left,
            idle,
            idle_more,
            idle_cost: overview.idle_keys.unused_usd_a_month,
            managed,
            managed_more,
            calendar: calendar(overview, &days),
            hours: Hours::of(&overview.coverage).told(),
            gaps,
            gaps_more,
            about: about(overview),
            provenance: provenance(overview),
        }
    }
}

/// What may run and be shown: this page's own style and script, by their hashes, and nothing from anywhere.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// The first rows, and how many more there are.
fn listed(rows: impl Iterator<Item = Vec<String>>) -> (Vec<Vec<String>>, usize) {
    let mut rows: Vec<Vec<String>> = rows.collect();
    let more = rows.len().saturating_sub(SHOWN);
    rows.truncate(SHOWN);
    (rows, more)
}

fn figures(overview: &Overview) -> Vec<Figure> {
    let findings = &overview.findings;
    let worst = findings.worst_new().map_or("quiet", Severity::name);
    let hours = Hours::of(&overview.coverage);
    let known = hours.proven + hours.observed;
    let share = (known * 100).checked_div(known + hours.unknown + hours.blind);
    let number = |number: usize| count(sized(number));
    vec![
        Figure { number: number(findings.new.len()), what: "new findings", class: worst },
        Figure { number: number(overview.counts.open - overview.counts.new), what: "still open", class: "quiet" },
        Figure { number: number(overview.counts.resolved), what: "resolved", class: "quiet" },
        Figure { number: number(overview.keys_at_risk.len()), what: "keys at risk", class: "quiet" },
        Figure { number: roughly(overview.decrypts.total.recent), what: "recent decrypts", class: "quiet" },
        Figure {
            number: share.map_or_else(|| "–".to_owned(), |share| format!("{share} %")),
            what: "of hours have logs",
            class: "quiet",
        },
    ]
}

/// A count that fits a box: from ten millions on, in millions.
fn roughly(number: i64) -> String {
    match number {
        10_000_000.. => format!("{}.{} M", count(number / 1_000_000), number / 100_000 % 10),
        _ => count(number),
    }
}

fn lists(overview: &Overview) -> Vec<List<'_>> {
    let findings = &overview.findings;
    let new = match overview.previous_until {
        Some(_) => "Not in the report before, or not as bad.",
        None => "With an event of this window, or with none at all.",
    };
    let all = [
        ("new", "New", new, &findings.new),
        ("ongoing", "Still open", "Found before, or without an event of the window.", &findings.ongoing),
        (
            "unjudged",
            "Not to be judged now",
            "Found before; what it takes to look again is missing.",
            &findings.unjudged,
        ),
        ("resolved", "Resolved", "In the report before, and no more.", &findings.resolved),
        (
            "aged",
            "Too long ago by now",
            "Nobody has ended it; it only lies before the days that are looked at.",
            &findings.aged,
        ),
        ("accepted", "Accepted", "By the expectations file.", &findings.accepted),
    ];
    all.into_iter()
        .filter(|(id, .., list)| !list.is_empty() || *id == "new")
        .map(|(id, heading, lead, list)| List {
            id,
            heading,
            lead,
            findings: list.iter().map(|finding| card(overview, finding)).collect(),
        })
        .collect()
}

fn card<'p>(overview: &'p Overview, finding: &'p Finding) -> Card<'p> {
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(plain);
    let facts = [
        ("Detail", super::detail(finding).map(str::to_owned)),
        ("Accepted because", finding.reason.clone()),
        ("Key", finding.key_arn.clone()),
        ("Principal", finding.principal.clone()),
        ("Asset", finding.asset.clone()),
        ("Account", finding.account_id.clone()),
        ("Region", finding.region.clone()),
        ("First seen", time(finding.first_seen)),
        ("Last seen", time(finding.last_seen)),
        ("Events", (finding.events > 0).then(|| count(finding.events))),
    ];
    let about = overview.detectors.iter().find(|about| about.detector == finding.detector);
    Card {
        finding,
        title: about.map_or(finding.detector.as_str(), |about| about.title.as_str()),
        brief: brief(overview, finding),
        severity: finding.severity.name(),
        weight: Severity::ALL.iter().position(|one| *one == finding.severity).unwrap_or_default(),
        seen: finding.last_seen.map(minute).unwrap_or_default(),
        facts: facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        next: section(overview, &finding.detector, NEXT).map(pieces).unwrap_or_default(),
    }
}

/// The message as a line has room for it: the key and the principal by the names that people call them.
fn brief(overview: &Overview, finding: &Finding) -> String {
    let mut brief = finding.message.clone();
    if let Some(key_arn) = &finding.key_arn {
        let aliases =
            overview.keys_at_risk.iter().find(|key| key.key_arn == *key_arn).and_then(|key| key.aliases.as_deref());
        brief = brief.replace(key_arn.as_str(), &short(key_arn, aliases));
    }
    if let Some(principal) = finding.principal.as_ref().filter(|principal| !principal.is_empty()) {
        brief = brief.replace(principal.as_str(), &short(principal, None));
    }
    brief
}

/// Prose, cut at its backticks.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    text.split('`').enumerate().map(|(at, text)| Piece { is_name: at % 2 == 1, text }).collect()
}

fn key_row(key: &crate::overview::KeyAtRisk) -> KeyRow {
    KeyRow {
        name: short(&key.key_arn, key.aliases.as_deref()),
        key_arn: key.key_arn.clone(),
        severity: key.severity.name(),
        state: match (&key.state, key.deletion_date) {
            (Some(state), Some(at)) => format!("{state}, deleted on {}", at.format("%Y-%m-%d")),
            (Some(state), None) => state.clone(),
            (None, _) => "not known".to_owned(),
        },
        findings: count(sized(key.findings)),
        decrypts: count(key.decrypts),
        last: key.last_decrypt.map(minute).unwrap_or_default(),
        spark: spark(&key.days),
        spark_width: key.days.len() * 4,
        spark_title: format!(
            "{} in {}, at most {} a day",
            counted(key.decrypts, "decrypt", "decrypts"),
            counted(sized(key.days.len()), "day", "days"),
            count(key.days.iter().copied().max().unwrap_or_default())
        ),
    }
}

fn about(overview: &Overview) -> Vec<AboutRow<'_>> {
    let detectors = overview.detectors.iter().map(|about| AboutRow {
        detector: &about.detector,
        title: &about.title,
        severity: about.severity.name(),
        attack: about.attack.join(", "),
        sections: about
            .sections
            .iter()
            .map(|section| (section.heading.as_str(), section.text.lines().map(pieces).collect()))
            .collect(),
    });
    detectors.collect()
}

fn provenance(overview: &Overview) -> Vec<(&'static str, String)> {
    let provenance = &overview.provenance;
    let sources = &provenance.sources;
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| at.map_or_else(|| "none".to_owned(), plain);
    vec![
        ("Window", format!("{} to {}", plain(overview.window.since), plain(overview.window.until))),
        ("Looked at", format!("{} to {}", plain(overview.looked_at.since), plain(overview.looked_at.until))),
        ("Series", overview.series.clone()),
        ("Lake version", provenance.lake_version.to_string()),
        ("Log objects", format!("{}, {} of them not read to the end", count(sources.objects), count(sources.damaged))),
        ("Events", format!("{} to {}", time(sources.first_event), time(sources.last_event))),
        ("Digests", format!("{} valid, {} not", count(sources.digests_valid), count(sources.digests_not_valid))),
        ("Last inventory", time(sources.inventory_at)),
        ("Expectations", if provenance.has_expectations { "given".to_owned() } else { "none".to_owned() }),
        ("Detectors evaluated", count(sized(overview.evaluated.len()))),
        ("keytrail", provenance.keytrail_version.to_owned()),
    ]
}
