//! `keytrail generate`: synthetic logs, and the truth about them.

use std::fs;

use anyhow::Result;
use keytrail::synthetic::{Plan, write_folder};

use super::args::Generate;
use super::{Context, Hinted, Outcome};
use keytrail::render::thousands;

pub(super) fn run(context: &Context, arguments: &Generate) -> Result<Outcome> {
    let folder = &arguments.folder;
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("{} is not empty", folder.display());
        return Err(Hinted::new(message, "name a folder that does not exist yet").into());
    }
    let plan = Plan {
        seed: arguments.seed,
        events: arguments.events,
        days: arguments.days,
        kms_share: arguments.kms_share,
        accounts: arguments.accounts,
        regions: arguments.regions,
        events_per_object: arguments.events_per_object,
        digests: arguments.digests,
        incidents: !arguments.no_incidents,
        ..Plan::default()
    };
    let bar = context.printer.bar("{bar:24} {percent:>3}%  {msg}  {eta} left");
    let truth = write_folder(&plan, folder, &mut |written| {
        bar.show(written, plan.events, format!("{} records made", thousands(written)));
    })?;
    bar.finish();
    context.printer.account(&format!(
        "{} records in {} objects under {}; truth.json there says what a lake of them must hold",
        thousands(truth.records),
        thousands(truth.objects),
        folder.display(),
    ))?;
    Ok(Outcome::Done)
}
