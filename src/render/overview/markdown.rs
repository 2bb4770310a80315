//! The report for a ticket: GitHub's Markdown, in which what a log says is text and nothing else.

use std::fmt::Write as _;

use super::{NEXT, caveats, count, counted, gaps, headline, minute, section, short, sized};
use crate::detect::Finding;
use crate::overview::Overview;
use crate::query::Severity;
use crate::render::markdown::{escape, table};

/// Findings that are told at length, and rows of a table; the JSON has all.
const SHOWN: usize = 50;

pub(super) fn write(overview: &Overview) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, overview);
    out
}

fn write_all(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let (window, looked_at) = (overview.window, overview.looked_at);
    writeln!(out, "# KMS keys, {} to {} UTC\n", minute(window.since), minute(window.until))?;
    writeln!(out, "**{}**\n", escape(&headline(overview)))?;
    for caveat in caveats(overview) {
        writeln!(out, "- {}", escape(&caveat))?;
    }
    findings(out, overview)?;
    keys(out, overview)?;
    decrypts(out, overview)?;
    idle(out, overview)?;
    managed(out, overview)?;
    writeln!(out, "\n## What the logs are worth\n")?;
    writeln!(out, "Hours of each account and Region: {}.\n", super::Hours::of(&overview.coverage).told())?;
    let gaps = gaps(overview);
    if !gaps.is_empty() {
        writeln!(out, "Not evaluated:\n")?;
        let rows = gaps.iter().take(SHOWN).map(|gap| {
            vec![gap.detectors.join(", "), gap.scope().unwrap_or_else(|| "all".to_owned()), gap.why.to_owned()]
        });
        writeln!(out, "{}", table(&["detector", "scope", "why"], &rows.collect::<Vec<_>>()))?;
        left_out(out, gaps.len())?;
    }
    let sources = &overview.provenance.sources;
    writeln!(
        out,
        "\nLooked at events from {} to {}. Lake version {}, {}, {} valid and {} not. Made by keytrail {}.",
        minute(looked_at.since),
        minute(looked_at.until),
        overview.provenance.lake_version,
        counted(sources.objects, "log object", "log objects"),
        counted(sources.digests_valid, "digest", "digests"),
        count(sources.digests_not_valid),
        overview.provenance.keytrail_version,
    )
}

fn findings(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let findings = &overview.findings;
    if !findings.new.is_empty() {
        writeln!(out, "\n## New\n")?;
    }
    let (now, later): (Vec<&Finding>, Vec<&Finding>) =
        findings.new.iter().partition(|finding| finding.severity >= Severity::Medium);
    for finding in now.iter().take(SHOWN) {
        new_finding(out, overview, finding)?;
    }
    left_out(out, now.len())?;
    listed(out, "New, and less urgent", &later)?;
    for (heading, list) in [
        ("Still open", &findings.ongoing),
        ("Found before, and not to be judged now", &findings.unjudged),
        ("Resolved", &findings.resolved),
        ("Too long ago by now", &findings.aged),
        ("Accepted", &findings.accepted),
    ] {
        listed(out, heading, &list.iter().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Findings as a table.
fn listed(out: &mut String, heading: &str, list: &[&Finding]) -> std::fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## {heading}\n")?;
    let rows = list.iter().take(SHOWN).map(|finding| {
        let seen = finding.last_seen.map(minute).unwrap_or_default();
        vec![finding.severity.name().to_owned(), finding.detector.clone(), finding.message.clone(), seen]
    });
    writeln!(out, "{}", table(&["severity", "detector", "finding", "last seen"], &rows.collect::<Vec<_>>()))?;
    left_out(out, list.len())
}

fn new_finding(out: &mut String, overview: &Overview, finding: &Finding) -> std::fmt::Result {
    let seen = finding.last_seen.map_or_else(String::new, |at| format!(", last seen {}", minute(at)));
    writeln!(out, "### {}: {}\n", finding.severity.name(), escape(&finding.detector))?;
    writeln!(out, "{}\n", escape(&finding.message))?;
    writeln!(out, "- {}{seen}", counted(finding.events, "event", "events"))?;
    for (what, text) in [
        ("key", finding.key_arn.as_deref()),
        ("principal", finding.principal.as_deref()),
        ("asset", finding.asset.as_deref()),
        ("detail", super::detail(finding)),
    ] {
        if let Some(text) = text {
            writeln!(out, "- {what}: {}", escape(text))?;
        }
    }
    if !finding.evidence.is_empty() {
        let events: Vec<String> = finding.evidence.iter().map(|event| escape(event)).collect();
        writeln!(out, "- evidence: {}", events.join(", "))?;
    }
    if let Some(next) = section(overview, &finding.detector, NEXT) {
        writeln!(out, "- what to do next: {}", escape(&next.replace('`', "")))?;
    }
    writeln!(out)
}

fn keys(out: &mut String, overview: &Overview) -> std::fmt::Result {
    if overview.keys_at_risk.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Keys at risk\n")?;
    let rows = overview.keys_at_risk.iter().take(SHOWN).map(|key| {
        let names = key.aliases.clone().unwrap_or_default();
        let state = key.state.clone().unwrap_or_else(|| "?".to_owned());
        let counts = [count(sized(key.findings)), count(key.decrypts)];
        [vec![key.severity.name().to_owned(), key.key_arn.clone(), names, state], counts.to_vec()].concat()
    });
    let headings = ["worst", "key", "aliases", "state", "findings", "decrypts"];
    writeln!(out, "{}", table(&headings, &rows.collect::<Vec<_>>()))?;
    left_out(out, overview.keys_at_risk.len())
}

fn decrypts(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let activity = &overview.decrypts;
    writeln!(out, "\n## Who decrypts with what\n")?;
    writeln!(
        out,
        "{}, {} of them since the window began; {} failed.\n",
        counted(activity.total.decrypts, "decrypt", "decrypts"),
        count(activity.total.recent),
        count(activity.total.failed),
    )?;
    let names = |arn: &str| {
        let key = activity.keys.rows.iter().find(|key| key.key_arn == arn);
        short(arn, key.and_then(|key| key.aliases.as_deref()))
    };
    let rows = activity.pairs.rows.iter().take(SHOWN).map(|pair| {
        let who = pair.principal.clone().unwrap_or_else(|| "?".to_owned());
        vec![names(&pair.key_arn), who, count(pair.counts.decrypts), count(pair.counts.recent)]
    });
    writeln!(out, "{}", table(&["key", "principal", "decrypts", "in the window"], &rows.collect::<Vec<_>>()))?;
    left_out(out, usize::try_from(activity.pairs.total).unwrap_or_default())
}

fn idle(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let idle = &overview.idle_keys;
    if idle.keys.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Unused and unexplained keys\n")?;
    writeln!(out, "Those that are unused cost at least {} USD a month.\n", idle.unused_usd_a_month)?;
    let rows = idle.keys.iter().take(SHOWN).map(|key| {
        let names = key.aliases.clone().unwrap_or_default();
        vec![key.detector.clone(), key.key_arn.clone(), names, key.detail.clone().unwrap_or_default()]
    });
    writeln!(out, "{}", table(&["detector", "key", "aliases", "detail"], &rows.collect::<Vec<_>>()))?;
    left_out(out, idle.keys.len())
}

fn managed(out: &mut String, overview: &Overview) -> std::fmt::Result {
    if overview.aws_managed.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Assets under keys that AWS manages\n")?;
    let rows = overview.aws_managed.iter().take(SHOWN).map(|under| {
        let kind = under.asset_type.clone().unwrap_or_else(|| "other".to_owned());
        vec![short(&under.key_arn, under.aliases.as_deref()), kind, count(under.assets), count(under.calls)]
    });
    writeln!(out, "{}", table(&["key", "kind", "assets", "calls"], &rows.collect::<Vec<_>>()))?;
    left_out(out, overview.aws_managed.len())
}

fn left_out(out: &mut String, all: usize) -> std::fmt::Result {
    if all > SHOWN {
        writeln!(out, "{} more: `--format json` or `html` has them.\n", count(sized(all - SHOWN)))?;
    }
    Ok(())
}
