//! The report on a terminal: 100 columns, and what needs a person first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{NEXT, by_severity, caveats, count, counted, gaps, headline, minute, section, short, sized};
use crate::detect::Finding;
use crate::overview::{KeyAtRisk, Overview};
use crate::query::Severity;
use crate::render::clean::clean;

/// Columns that lines fit.
const WIDTH: usize = 100;

/// Rows of a list that are shown; the other forms have all.
const SHOWN: usize = 10;

/// Characters of a finding's message: the event and the other forms have the rest.
const MESSAGE: usize = 360;

/// Heights of a trend's bars.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn write(overview: &Overview) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, overview);
    out
}

fn write_all(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let (window, looked_at) = (overview.window, overview.looked_at);
    writeln!(out, "KMS keys, {} to {} UTC", minute(window.since), minute(window.until))?;
    paragraph(out, "", &headline(overview))?;
    for caveat in caveats(overview) {
        paragraph(out, "! ", &caveat)?;
    }
    let (now, later): (Vec<_>, Vec<_>) =
        overview.findings.new.iter().partition(|finding| finding.severity >= Severity::Medium);
    for finding in now.iter().take(SHOWN) {
        writeln!(out)?;
        told(out, overview, finding)?;
    }
    more(out, now.len())?;
    let mut others: BTreeMap<(Reverse<Severity>, &str), i64> = BTreeMap::new();
    for finding in later {
        *others.entry((Reverse(finding.severity), &finding.detector)).or_default() += 1;
    }
    writeln!(out)?;
    for ((severity, detector), findings) in others {
        writeln!(out, "{:>7} new, {} ({})", count(findings), clean(detector), severity.0.name())?;
    }
    let findings = &overview.findings;
    for (what, list) in [
        ("still open", &findings.ongoing),
        ("not to be judged now", &findings.unjudged),
        ("resolved", &findings.resolved),
        ("too long ago by now", &findings.aged),
        ("accepted", &findings.accepted),
    ] {
        if !list.is_empty() {
            writeln!(out, "{:>7} {what} ({})", count(sized(list.len())), by_severity(list))?;
        }
    }
    let hidden = overview.counts.open - findings.open().count();
    if hidden > 0 {
        writeln!(out, "{:>7} still open and not shown (--new)", count(sized(hidden)))?;
    }
    keys(out, overview)?;
    decrypts(out, overview)?;
    idle(out, overview)?;
    worth(out, overview)?;
    let days = (looked_at.until - looked_at.since).num_days();
    let sources = &overview.provenance.sources;
    let rests = format!(
        "Looked at {} from {}; lake version {}, {}.",
        counted(days, "day", "days"),
        minute(looked_at.since),
        overview.provenance.lake_version,
        counted(sources.objects, "log object", "log objects"),
    );
    writeln!(out)?;
    paragraph(out, "", &rests)
}

/// A finding: how bad, what, since when, and what to do.
fn told(out: &mut String, overview: &Overview, finding: &Finding) -> std::fmt::Result {
    let seen = finding.last_seen.map_or_else(String::new, |at| format!("  {}", minute(at)));
    writeln!(out, "{:<9}{}{seen}", finding.severity.name().to_uppercase(), clean(&finding.detector))?;
    paragraph(out, "  ", &cut(&finding.message, MESSAGE))?;
    if let Some(event) = finding.evidence.first() {
        let all = sized(finding.evidence.len());
        let more = if all > 1 { format!("  (and {} more)", count(all - 1)) } else { String::new() };
        writeln!(out, "  keytrail event {}{more}", clean(event))?;
    }
    if let Some(next) = section(overview, &finding.detector, NEXT) {
        let next = next.lines().next().unwrap_or_default().replace('`', "");
        paragraph(out, "  > ", &next)?;
    }
    Ok(())
}

fn keys(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let keys = &overview.keys_at_risk;
    if keys.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nKeys at risk{:>24}{:>10}  trend", "findings", "decrypts")?;
    for key in keys.iter().take(SHOWN) {
        writeln!(
            out,
            "  {:<9} {:>24} {:>9}  {}  {}",
            key.severity.name(),
            count(sized(key.findings)),
            count(key.decrypts),
            trend(key),
            cut(&clean(&short(&key.key_arn, key.aliases.as_deref())), 20),
        )?;
    }
    more(out, keys.len())
}

/// Decrypts of the last days, a character each.
fn trend(key: &KeyAtRisk) -> String {
    let most = key.days.iter().copied().max().unwrap_or_default().max(1);
    let bar = |decrypts: &i64| match decrypts {
        0 => '·',
        some => BARS[usize::try_from((some * 8 - 1) / most).unwrap_or_default().min(7)],
    };
    key.days.iter().rev().take(30).rev().map(bar).collect()
}

fn decrypts(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let activity = &overview.decrypts;
    writeln!(
        out,
        "\nDecrypts: {} ({} since the window began), {} failed, with {}",
        count(activity.total.decrypts),
        count(activity.total.recent),
        count(activity.total.failed),
        counted(activity.keys.total, "key", "keys"),
    )?;
    for pair in activity.pairs.rows.iter().take(SHOWN) {
        let names = activity.keys.rows.iter().find(|key| key.key_arn == pair.key_arn);
        let key = short(&pair.key_arn, names.and_then(|key| key.aliases.as_deref()));
        let who = pair.principal.as_deref().map_or_else(|| "nobody named".to_owned(), |arn| short(arn, None));
        writeln!(out, "{:>9}  {:<42} {}", count(pair.counts.decrypts), cut(&clean(&who), 42), cut(&clean(&key), 40))?;
    }
    more(out, usize::try_from(activity.pairs.total).unwrap_or_default())
}

fn idle(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let idle = &overview.idle_keys;
    let of = |detector: &str| idle.keys.iter().filter(|key| key.detector == detector).count();
    if idle.keys.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{} unused, {} unexplained; those that are unused cost at least {} USD a month",
        counted(sized(of("unused-key")), "key", "keys"),
        count(sized(of("unexplained-key"))),
        idle.unused_usd_a_month,
    )
}

fn worth(out: &mut String, overview: &Overview) -> std::fmt::Result {
    let hours = super::Hours::of(&overview.coverage);
    writeln!(out, "\nHours that the logs vouch for: {}", hours.told())?;
    let gaps = gaps(overview);
    if gaps.is_empty() {
        return Ok(());
    }
    writeln!(out, "Not evaluated:")?;
    for gap in gaps.iter().take(SHOWN) {
        let of = gap.scope().map_or_else(String::new, |scope| format!(" for {scope}"));
        paragraph(out, "  ", &format!("{}{of}: {}", gap.detectors.join(", "), gap.why))?;
    }
    more(out, gaps.len())
}

/// How many of a list are not shown.
fn more(out: &mut String, all: usize) -> std::fmt::Result {
    if all > SHOWN {
        writeln!(out, "  and {} more: --format html, json or csv has them", count(sized(all - SHOWN)))?;
    }
    Ok(())
}

/// The text in lines that fit, each behind the same lead; of a word that does not fit, so much as does.
fn paragraph(out: &mut String, lead: &str, text: &str) -> std::fmt::Result {
    let text = clean(text);
    let room = WIDTH - lead.chars().count();
    let mut line = String::new();
    let (mut used, mut begun) = (0, false);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut characters: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + characters.len() > room {
            writeln!(out, "{}{line}", if begun { " ".repeat(lead.chars().count()) } else { lead.to_owned() })?;
            (line, used, begun) = (String::new(), 0, true);
        }
        while characters.len() > room {
            let rest = characters.split_off(room);
            let lead = if begun { " ".repeat(lead.chars().count()) } else { lead.to_owned() };
            writeln!(out, "{lead}{}", characters.iter().collect::<String>())?;
            (characters, begun) = (rest, true);
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += characters.len();
        line.extend(characters);
    }
    writeln!(out, "{}{line}", if begun { " ".repeat(lead.chars().count()) } else { lead.to_owned() })
}

/// So much of the text as there is room for.
fn cut(text: &str, room: usize) -> String {
    match text.char_indices().nth(room - 1) {
        Some((at, _)) if text.chars().count() > room => format!("{}…", &text[..at]),
        _ => text.to_owned(),
    }
}
