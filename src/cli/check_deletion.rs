//! `keytrail check-deletion`: may a key be deleted, and which ones might be.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Datelike, Duration, SubsecRound, Utc};
use keytrail::engine::Rows;
use keytrail::instant;
use keytrail::render::{Format, verdict_text};
use keytrail::verdict::{Answer, Asked, Options, Phase, Verdict, check};

use super::args::{CheckDeletion, LOOKBACK_DAYS_DEFAULT, WATCH_DAYS_DEFAULT};
use super::{Context, Hinted, Outcome, names};

/// Lengths of a look-back, in days.
const LOOKBACK_DAYS: std::ops::RangeInclusive<i64> = 1..=3660;

pub(super) fn run(context: &Context, arguments: &CheckDeletion) -> Result<Outcome> {
    let now = Utc::now().trunc_subsecs(0);
    let until = arguments.until.as_ref().map_or(Ok(now), |text| instant::parse(text, now))?;
    let lookback = &arguments.lookback;
    let length = instant::length(lookback)
        .map_err(|_| Hinted::new(format!("{lookback:?} is no length of time"), "write it as 90d, 26w or 2160h"))?;
    let since = until - length;
    if !LOOKBACK_DAYS.contains(&length.num_days()) {
        let message = format!("a look-back of {} days is no look-back", length.num_days());
        return Err(Hinted::new(message, "write it as 90d, 26w or 2160h; a day at least, and ten years at most").into());
    }
    if until > now + Duration::days(1) || until.year() < 2013 {
        return Err(
            Hinted::new("no log is of that time", "--until is now, or an instant of which there are logs").into()
        );
    }
    let engine = context.engine()?;
    let key_arn = arguments.key.as_ref().map(|name| names::key(context, &engine, name, "a verdict")).transpose()?;
    let (watch_days, accept_observed) = (arguments.watch_days, arguments.accept_observed);
    let options = options(context, arguments, length);
    let asked = Asked { key_arn, since, until, now, watch_days, accept_observed, options };
    let verdicts = context.runtime.block_on(check(&engine, &context.catalog, &asked))?;
    if arguments.all {
        return all(context, verdicts);
    }
    let Some(verdict) = verdicts.first() else { return Ok(Outcome::Incomplete) };
    match context.printer.format() {
        Format::Json | Format::Ndjson => context.printer.json(verdict)?,
        Format::Table => context.printer.line(&verdict_text(verdict))?,
        Format::Csv | Format::Markdown => context.printer.rows(&reasons(verdict)?)?,
    }
    Ok(match verdict.verdict {
        Answer::InUse => Outcome::BadNews,
        Answer::Unknown => Outcome::Incomplete,
        Answer::NoUseFound => Outcome::Done,
    })
}

/// What the commands that a verdict prints repeat: what was given and is not the default.
fn options(context: &Context, arguments: &CheckDeletion, length: Duration) -> Options {
    let mut check = String::new();
    if length != Duration::days(LOOKBACK_DAYS_DEFAULT) {
        let hours = length.num_hours();
        let age = if hours % 24 == 0 { format!("{}d", hours / 24) } else { format!("{hours}h") };
        check.extend([" --lookback ", &age]);
    }
    if arguments.watch_days != WATCH_DAYS_DEFAULT {
        check.extend([" --watch-days ", &arguments.watch_days.to_string()]);
    }
    if arguments.accept_observed {
        check.push_str(" --accept-observed");
    }
    Options { everywhere: context.repeated.clone(), check, has_until: arguments.until.is_some() }
}

/// The reasons as rows, for formats that have no other form.
fn reasons(verdict: &Verdict) -> Result<Rows> {
    let text = |get: &dyn Fn(usize) -> Option<String>| -> ArrayRef {
        Arc::new((0..verdict.reasons.len()).map(get).collect::<StringArray>())
    };
    let of = |at: usize| &verdict.reasons[at];
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("verdict", text(&|_| Some(verdict.verdict.name().to_owned())), true),
        ("supports", text(&|at| Some(of(at).supports.name().to_owned())), true),
        ("code", text(&|at| Some(of(at).code.to_owned())), true),
        ("key_arn", text(&|at| of(at).key_arn.clone()), true),
        ("message", text(&|at| Some(of(at).message.clone())), true),
        ("settle", text(&|at| of(at).settle.as_ref().and_then(|step| step.command.clone())), true),
    ])?;
    Ok(Rows { schema: batch.schema(), batches: vec![batch] })
}

/// How ready a key is for deletion: what nobody needs first, and of that what has come furthest; then what is least unknown;
/// then what was used longest ago.
fn readiness(verdict: &Verdict) -> (Answer, usize, usize, Option<DateTime<Utc>>, String) {
    let answer = verdict.verdict;
    let phase = match verdict.phase {
        Phase::PendingDeletion => 0,
        Phase::Disabled => 1,
        _ => 2,
    };
    let unsettled = verdict.reasons.iter().filter(|reason| reason.supports == Answer::Unknown).count();
    (answer, phase, unsettled, verdict.last_use.as_ref().map(|last| last.at), verdict.key_arn.clone())
}

fn all(context: &Context, mut verdicts: Vec<Verdict>) -> Result<Outcome> {
    verdicts.retain(|verdict| verdict.phase != Phase::Deleted);
    verdicts.sort_by_cached_key(|verdict| {
        let (answer, phase, unsettled, last, arn) = readiness(verdict);
        (std::cmp::Reverse(answer), phase, unsettled, last, arn)
    });
    match context.printer.format() {
        Format::Json => context.printer.json(&verdicts)?,
        Format::Ndjson => verdicts.iter().try_for_each(|verdict| context.printer.json(verdict))?,
        _ => context.printer.rows(&lines(&verdicts)?)?,
    }
    let of = |answer: Answer| verdicts.iter().filter(|verdict| verdict.verdict == answer).count();
    let [ready, unknown, used] = [Answer::NoUseFound, Answer::Unknown, Answer::InUse].map(of);
    let cost: i64 =
        verdicts.iter().filter(|one| one.verdict == Answer::NoUseFound).map(|one| one.yearly_cost_usd).sum();
    context.printer.note(&format!(
        "{ready} keys without use (at most {cost} USD a year), {unknown} unknown, {used} in use; keytrail check-deletion KEY \
         tells more of each"
    ));
    Ok(Outcome::Done)
}

/// A line for each verdict.
fn lines(verdicts: &[Verdict]) -> Result<Rows> {
    let text = |get: &dyn Fn(&Verdict) -> Option<String>| -> ArrayRef {
        Arc::new(verdicts.iter().map(get).collect::<StringArray>())
    };
    let number =
        |get: &dyn Fn(&Verdict) -> i64| -> ArrayRef { Arc::new(verdicts.iter().map(get).collect::<Int64Array>()) };
    let last = verdicts.iter().map(|verdict| verdict.last_use.as_ref().map(|last| last.at.timestamp_micros()));
    let last: TimestampMicrosecondArray = last.collect();
    let count = |verdict: &Verdict, answer: Answer| {
        let of = verdict.reasons.iter().filter(|reason| reason.supports == answer).count();
        i64::try_from(of).unwrap_or(i64::MAX)
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("verdict", text(&|verdict| Some(verdict.verdict.name().to_owned())), true),
        ("phase", text(&|verdict| Some(verdict.phase.name().to_owned())), true),
        ("key_arn", text(&|verdict| Some(verdict.key_arn.clone())), true),
        ("alias", text(&|verdict| verdict.aliases.first().cloned()), true),
        ("last_use", Arc::new(last.with_timezone("UTC")) as ArrayRef, true),
        ("unsettled", number(&|verdict| count(verdict, Answer::Unknown)), true),
        ("yearly_cost_usd", number(&|verdict| verdict.yearly_cost_usd), true),
        ("why", text(&|verdict| verdict.reasons.first().map(|reason| reason.message.clone())), true),
    ])?;
    Ok(Rows { schema: batch.schema(), batches: vec![batch] })
}
