//! `keytrail demo`: the main job from end to end, on logs that it makes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::Utc;
use keytrail::ingest::Options;
use keytrail::lake::Lake;
use keytrail::synthetic::{Plan, Truth, write_folder};

use super::args::{By, Demo, Who, Window};
use super::ingest::watched;
use super::ingested::{closing_line, tell_rejects};
use super::{Context, Hinted, Outcome, ask};
use keytrail::render::thousands;

/// The incident that the demo asks about.
const INCIDENT: &str = "secret-harvest";

/// The planted key's alias.
const ALIAS: &str = "alias/payroll";

pub(super) fn run(mut context: Context, arguments: &Demo) -> Result<Outcome> {
    let logs = arguments.folder.join("logs");
    let lake = arguments.folder.join("lake");
    context.lake_uri = lake.display().to_string();
    context.lake = Lake::at(&context.lake_uri)?;
    let truth = logs_and_truth(&context, arguments, &logs)?;
    let options = Options::at(Utc::now());
    context.printer.note(&format!("\n$ keytrail --lake {} ingest {}", lake.display(), logs.display()));
    let report = watched(&context, &[logs.display().to_string()], &options)?;
    context.printer.note(&closing_line(&report));
    tell_rejects(&context, &report);
    if let Some(incident) = truth.incidents.iter().find(|incident| incident.name == INCIDENT) {
        context.printer.note(&format!("\nPlanted in these logs: {}", incident.story));
    }
    context.printer.note(&format!("\n$ keytrail --lake {} who {ALIAS}", lake.display()));
    let window = Window { since: None, until: None };
    let who = Who { key: ALIAS.to_owned(), by: By::Principal, principal: None, window };
    ask::who(&context, &who)?;
    context.printer.note(&format!(
        "\nNext: keytrail --lake {0} who {ALIAS} --by asset\n      keytrail --lake {0} detect\n      keytrail --lake {0} queries",
        lake.display()
    ));
    Ok(if report.is_whole() { Outcome::Done } else { Outcome::Incomplete })
}

/// Makes the logs, or takes those of an earlier demo.
fn logs_and_truth(context: &Context, arguments: &Demo, logs: &Path) -> Result<Truth> {
    let truth = logs.join("truth.json");
    if let Ok(text) = fs::read(&truth) {
        context.printer.note(&format!("using the logs of an earlier demo in {}", logs.display()));
        return serde_json::from_slice(&text).with_context(|| format!("{} is damaged", truth.display()));
    }
    if fs::read_dir(logs).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("{} holds files that are not a demo's", logs.display());
        return Err(
            Hinted::new(message, "delete it if an earlier demo was interrupted, or choose another --folder").into()
        );
    }
    let plan = Plan { events: arguments.events, ..Plan::default() };
    let bar = context.printer.bar("{bar:24} {percent:>3}%  {msg}  {eta} left");
    let truth = write_folder(&plan, logs, &mut |written| {
        bar.show(written, plan.events, format!("{} records made", thousands(written)));
    })?;
    bar.finish();
    context.printer.note(&format!(
        "made {} CloudTrail records in {} objects under {}",
        thousands(truth.records),
        thousands(truth.objects),
        logs.display()
    ));
    Ok(truth)
}
