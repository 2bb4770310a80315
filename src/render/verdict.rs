//! A verdict for a terminal: the answer in one line, then why, what the logs are worth week by week, and what to do next.

use std::fmt::Write as _;

use super::clean::clean;
use crate::instant::plain;
use crate::verdict::{Answer, Phase, Verdict, Week, Worth};

/// Reasons of one kind that are shown; JSON has them all.
const SHOWN: usize = 12;

/// The verdict as lines of text. Every text is cleaned by itself: a line end in a name must not begin a line.
#[must_use]
pub fn verdict_text(verdict: &Verdict) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, verdict);
    out.trim_end().to_owned()
}

fn write_all(out: &mut String, verdict: &Verdict) -> std::fmt::Result {
    let answer = match verdict.verdict {
        Answer::InUse => "IN USE: someone needs it",
        Answer::Unknown => "UNKNOWN: the evidence does not suffice",
        Answer::NoUseFound => "NO USE FOUND: as far as logs can tell",
    };
    writeln!(out, "{answer}\n")?;
    let names = if verdict.aliases.is_empty() { "no alias".to_owned() } else { verdict.aliases.join(", ") };
    let phase = if verdict.phase == Phase::Unknown { "its state is not known" } else { verdict.phase.name() };
    writeln!(out, "{} ({}), {}", clean(&verdict.key_arn), clean(&names), phase.replace('_', " "))?;
    for (what, text) in [("owner", &verdict.owner), ("purpose", &verdict.purpose)] {
        if let Some(text) = text {
            writeln!(out, "{what}: {}", clean(text))?;
        }
    }
    match &verdict.last_use {
        Some(last) => {
            let by = last.principal.as_ref().map_or_else(String::new, |by| format!(" by {}", clean(by)));
            writeln!(out, "last use: {}{by} ({})", plain(last.at), last.source)?;
        }
        None => writeln!(out, "last use: none is known")?,
    }
    for answer in [Answer::InUse, Answer::Unknown, Answer::NoUseFound] {
        let of = || verdict.reasons.iter().filter(|reason| reason.supports == answer);
        if of().next().is_none() {
            continue;
        }
        let heading = match answer {
            Answer::InUse => "It is needed, because",
            Answer::Unknown if verdict.verdict == Answer::Unknown => "It is not known whether it is needed, because",
            Answer::Unknown => "Besides",
            Answer::NoUseFound => "Nobody is seen to need it, because",
        };
        writeln!(out, "\n{heading}")?;
        for reason in of().take(SHOWN) {
            let other = reason.key_arn.as_ref().filter(|arn| **arn != verdict.key_arn);
            let of_whom = other.map_or_else(String::new, |arn| format!("{}: ", clean(arn)));
            writeln!(out, "- {of_whom}{}", clean(&reason.message))?;
        }
        more(out, of().count())?;
    }
    dependents(out, verdict)?;
    for (heading, lines) in [("Think of this", &verdict.warnings), ("What no log shows", &verdict.cannot_see)] {
        // What cannot be seen matters to whoever believes that nothing is there.
        if lines.is_empty() || (heading == "What no log shows" && verdict.verdict != Answer::NoUseFound) {
            continue;
        }
        writeln!(out, "\n{heading}")?;
        for line in lines {
            writeln!(out, "- {}", clean(line))?;
        }
    }
    if let Some(assets) = verdict.assets.as_ref().filter(|assets| assets.total > 0 && verdict.verdict != Answer::InUse)
    {
        writeln!(out, "\nWhat may still be encrypted with it: {} named in the logs, the latest", assets.total)?;
        for asset in assets.latest.iter().take(SHOWN) {
            let worth = asset.asset_trust.as_deref().unwrap_or("claimed");
            writeln!(out, "- {} ({}, last {})", clean(&asset.asset), clean(worth), plain(asset.last_used))?;
        }
        more(out, usize::try_from(assets.total).unwrap_or(usize::MAX))?;
    }
    calendar(out, verdict)?;
    if !verdict.next_steps.is_empty() {
        writeln!(out, "\nWhat to do next (nothing of this was run)")?;
    }
    for (at, step) in verdict.next_steps.iter().enumerate() {
        writeln!(out, "{}. {}", at + 1, clean(&step.what))?;
        if let Some(command) = &step.command {
            writeln!(out, "     {}", clean(command))?;
        }
    }
    Ok(())
}

/// Who uses the key, or fails to, the busiest first.
fn dependents(out: &mut String, verdict: &Verdict) -> std::fmt::Result {
    let needy = || verdict.dependents.iter().filter(|one| one.calls > 0 || one.failing > 0);
    if needy().next().is_some() {
        writeln!(out, "\nWho depends on it")?;
    }
    for one in needy().take(SHOWN) {
        let via = one.via.as_ref().map_or_else(String::new, |via| format!(" through {}", clean(via)));
        let failing = if one.failing > 0 { format!(", {} failing", one.failing) } else { String::new() };
        let last = one.last_used.max(one.last_failing).map_or_else(String::new, |at| format!(", last {}", plain(at)));
        let assets = match (one.asset_examples.first(), one.assets) {
            (Some(asset), 1) => format!("; {}", clean(asset)),
            (Some(asset), assets) => format!("; {} and {} more", clean(asset), assets - 1),
            (None, _) => String::new(),
        };
        writeln!(
            out,
            "- {}{via}: {} uses{failing}{last}{assets}",
            clean(one.principal.as_deref().unwrap_or("someone")),
            one.calls
        )?;
    }
    more(out, needy().count())
}

fn more(out: &mut String, count: usize) -> std::fmt::Result {
    if count > SHOWN {
        writeln!(out, "- and {} more, see --format json", count - SHOWN)?;
    }
    Ok(())
}

/// A line per week: a sign per day for the worst of its hours, and how often the key was used.
fn calendar(out: &mut String, verdict: &Verdict) -> std::fmt::Result {
    let hours = verdict.coverage.hours;
    writeln!(
        out,
        "\n{} to {}: {} hours proven, {} observed, {} unknown, {} blind",
        plain(verdict.since),
        plain(verdict.until),
        hours.proven,
        hours.observed,
        hours.unknown,
        hours.blind
    )?;
    writeln!(out, "  week of     days      uses  failing   (# proven  o observed  . unknown  x blind)")?;
    for Week { begin, calls, failing, days, .. } in &verdict.coverage.weeks {
        let signs: String = days
            .iter()
            .map(|worth| match worth {
                Worth::Proven => '#',
                Worth::Observed => 'o',
                Worth::Unknown => '.',
                Worth::Blind => 'x',
            })
            .collect();
        writeln!(out, "  {}  {signs:7}  {calls:>6}  {failing:>7}", begin.date_naive())?;
    }
    Ok(())
}
