//! The closing lines of `ingest`: the counts of the run, and the objects that could not be read.

use keytrail::ingest::Report;
use keytrail::render::thousands;

use super::Context;

/// Rejected objects that the closing lines name; JSON and the `objects` table name all.
const NAMED_MAX: usize = 20;

pub(super) fn closing_line(report: &Report) -> String {
    let (objects, records) = (&report.objects, &report.records);
    let mut line = format!(
        "{} objects read{}, {} unchanged{}, {} skipped{}; {} records: {} kept, {} other{}, {} duplicate, {} rejected; \
         lake version {}, {:.1} s",
        thousands(objects.ingested + objects.partial),
        match objects.rejected {
            0 => String::new(),
            rejected => format!(", {} not readable", thousands(rejected)),
        },
        thousands(objects.unchanged),
        match objects.unchanged_damaged {
            0 => String::new(),
            damaged => format!(" ({} damaged)", thousands(damaged)),
        },
        thousands(objects.skipped),
        match objects.archived {
            0 => String::new(),
            archived => format!(", {} archived", thousands(archived)),
        },
        thousands(records.read),
        thousands(records.kept),
        thousands(records.other),
        match records.filtered {
            0 => String::new(),
            filtered => format!(" ({} not asked for)", thousands(filtered)),
        },
        thousands(records.duplicate),
        thousands(records.rejected),
        report.lake_version,
        report.seconds,
    );
    if report.interrupted {
        line.push_str("; stopped before the end: run it again to read the rest");
    }
    line
}

pub(super) fn tell_rejects(context: &Context, report: &Report) {
    if report.untimely > 0 {
        let (objects, hold) =
            (thousands(report.untimely), if report.untimely == 1 { "object holds" } else { "objects hold" });
        context.printer.note(&format!(
            "note: {objects} {hold} events of a time that cannot be, before 2013 or more than a day ahead: they are kept, and \
             left out of answers; `keytrail query impossible-times` shows them"
        ));
    }
    for rejected in report.rejects.iter().take(NAMED_MAX) {
        context.printer.warn(&format!("{}: {}", rejected.object, rejected.reason));
    }
    if report.objects.unchanged_damaged > 0 {
        context.printer.warn(
            "objects that were damaged in an earlier run have not changed: `keytrail query unread-objects` lists them",
        );
    }
    if report.rejects.len() > NAMED_MAX {
        let more = report.rejects.len() - NAMED_MAX;
        context.printer.warn(&format!("and {more} more objects: `keytrail query unread-objects` lists all"));
    }
    tell_archived(context, report);
}

/// What becomes of archived objects: those that were met before are not named again.
fn tell_archived(context: &Context, report: &Report) {
    let archived = report.objects.archived;
    if archived == 0 {
        return;
    }
    let (count, them) = if archived == 1 {
        ("1 object is".to_owned(), "it")
    } else {
        (format!("{} objects are", thousands(archived)), "them")
    };
    context.printer.warn(&format!(
        "{count} in an archive and could not be read: restore {them}, or copy {them} to another storage class, then run this again. \
         `keytrail query unread-objects` gives the restore commands"
    ));
    if report.archived_beyond > 0 {
        context.printer.warn(&format!(
            "{} of them were not checked for a restore; --full checks all",
            thousands(report.archived_beyond)
        ));
    }
}
