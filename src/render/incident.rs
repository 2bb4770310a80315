//! An incident as a Markdown document: for a ticket, or for those who were not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::chain::named;
use super::markdown::{escape, table};
use crate::chain::Trail;
use crate::incident::{Actor, Address, Counts, DayCovered, Incident, Listed, Moment};
use crate::instant::plain;

/// Addresses that the summary names.
const ADDRESSES_MAX: usize = 5;

/// What the proofs of an asset's name are worth.
const TRUST: &str = "\
What an asset's name is worth: *proved*, it was in the encryption context of a decrypt that succeeded, so that the ciphertext was made for \
that name, by whoever made it; *service*, an AWS service named it; *claimed*, the caller did, and nothing checked it.";

/// The incident as Markdown.
#[must_use]
pub fn incident_markdown(incident: &Incident) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, incident);
    out
}

fn write_all(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(out, "# KMS incident: {}\n", scope(incident))?;
    summary(out, incident)?;
    identities(out, incident)?;
    keys_and_assets(out, incident)?;
    sessions(out, incident)?;
    timeline(out, incident)?;
    coverage(out, incident)?;
    evidence(out, incident)
}

fn scope(incident: &Incident) -> String {
    let scope = &incident.scope;
    let time = |at: Option<DateTime<Utc>>| at.map(plain);
    let parts = [
        ("key", scope.key_arn.clone()),
        ("principal", scope.principal.clone()),
        ("session", scope.session.clone()),
        ("address", scope.source_ip.clone()),
        ("since", time(scope.since)),
        ("until", time(scope.until)),
    ];
    let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", escape(&value?))));
    parts.collect::<Vec<_>>().join(", ")
}

fn period(counts: &Counts) -> String {
    let end = |at: Option<DateTime<Utc>>| at.map_or_else(|| "?".to_owned(), plain);
    format!("{} to {}", end(counts.first_seen), end(counts.last_seen))
}

/// A count of things, in words.
fn counted(count: i64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn summary(out: &mut String, incident: &Incident) -> std::fmt::Result {
    let counts = &incident.counts;
    writeln!(out, "## Summary\n")?;
    if counts.calls + counts.dry_runs == 0 {
        writeln!(out, "- No call to KMS in this lake is like that.")?;
    } else {
        writeln!(out, "- {}, from {}.", calls(counts), period(counts))?;
        decrypted(out, incident)?;
        let from = |address: &&Address| address.source_ip.parse::<IpAddr>().is_ok();
        let addresses: Vec<String> = incident
            .addresses
            .rows
            .iter()
            .filter(from)
            .take(ADDRESSES_MAX)
            .map(|from| escape(&from.source_ip))
            .collect();
        let addresses = if addresses.is_empty() { "no address of a client".to_owned() } else { addresses.join(", ") };
        writeln!(
            out,
            "- By {}, with {}; seen from {addresses}. What an AWS service called for someone shows no client's address.",
            counted(incident.identities.total, "identity", "identities"),
            counted(incident.keys.total, "key", "keys"),
        )?;
    }
    if incident.scope.source_ip.is_some() {
        writeln!(
            out,
            "- Calls that AWS services made for whoever was at this address do not show it: ask again with `--principal` or \
             `--session` for those who were seen from it."
        )?;
    }
    let is_refused = |moment: &&Moment| {
        moment.event_name.as_deref().is_some_and(|name| name.starts_with("Assume"))
            && moment.outcome.as_deref() != Some("ok")
    };
    let refused = incident.timeline.rows.iter().filter(is_refused).count();
    if refused > 0 {
        writeln!(
            out,
            "- {} to assume a role failed, see the timeline.",
            counted(i64::try_from(refused).unwrap_or(i64::MAX), "attempt", "attempts")
        )?;
    }
    let lost = incident.identities.rows.iter().filter(|actor| !actor.trail.end.is_known).count();
    if lost > 0 {
        writeln!(out, "- Who was behind {lost} of the identities below is not known for sure.")?;
    }
    if incident.sessions_opened.total > 0 {
        let opened = counted(incident.sessions_opened.total, "session was", "sessions were");
        writeln!(out, "- {opened} opened; what was done in them is here only as far as it fits what was asked.")?;
    }
    worth(out, incident)?;
    let version = incident.lake_version;
    writeln!(
        out,
        "- Lake version {version}. Calls to KMS and what gives them meaning; other services' events are not kept.\n"
    )
}

/// What calls came to.
fn calls(counts: &Counts) -> String {
    let (calls, decrypts) = (counted(counts.calls, "call to KMS", "calls to KMS"), counts.decrypts);
    let dry = if counts.dry_runs > 0 {
        format!(", and {}", counted(counts.dry_runs, "dry run", "dry runs"))
    } else {
        String::new()
    };
    format!(
        "{calls}, {}, {} denied{dry}",
        counted(decrypts, "successful decrypt", "successful decrypts"),
        counts.denied
    )
}

/// How many assets of each kind were decrypted.
fn decrypted(out: &mut String, incident: &Incident) -> std::fmt::Result {
    let mut kinds: BTreeMap<&str, (BTreeSet<&str>, i64)> = BTreeMap::new();
    for asset in incident.assets.rows.iter().filter(|asset| asset.counts.decrypts > 0) {
        let kind = kinds.entry(asset.asset_type.as_deref().unwrap_or("other")).or_default();
        kind.0.insert(&asset.asset);
        kind.1 += asset.counts.decrypts;
    }
    if kinds.is_empty() {
        return Ok(());
    }
    let told = kinds.iter().map(|(kind, (assets, times))| {
        let assets = counted(i64::try_from(assets.len()).unwrap_or(i64::MAX), "asset", "assets");
        format!("{assets} of type {} ({})", escape(kind), counted(*times, "decrypt", "decrypts"))
    });
    let shown = i64::try_from(incident.assets.rows.len()).unwrap_or(i64::MAX);
    let more = if incident.assets.total > shown { ", and others that are not shown" } else { "" };
    writeln!(
        out,
        "- Decrypted, by the names in their encryption contexts: {}{more}.",
        told.collect::<Vec<_>>().join(", ")
    )
}

/// What the logs of the time are worth.
fn worth(out: &mut String, incident: &Incident) -> std::fmt::Result {
    let hours = |get: fn(&DayCovered) -> i64| incident.coverage.iter().map(get).sum::<i64>();
    let (proven, observed) = (hours(|day| day.proven), hours(|day| day.observed));
    let (unknown, blind) = (hours(|day| day.unknown), hours(|day| day.blind));
    let verdict = if proven + observed + unknown + blind == 0 {
        "nothing is known of them, and that no call was found says nothing"
    } else if observed + unknown + blind == 0 {
        "nothing that CloudTrail logged in these is missing; of other accounts and Regions nothing is said"
    } else {
        "there may have been more than is told here"
    };
    writeln!(
        out,
        "- The logs of that time, in hours of each account and Region that the lake knows: {proven} proven, {observed} observed, \
         {unknown} unknown, {blind} blind; {verdict}."
    )?;
    let spoiled = incident.evidence.objects.iter().filter(|object| object.trouble.is_some()).count();
    if spoiled > 0 {
        let spoiled = counted(i64::try_from(spoiled).unwrap_or(i64::MAX), "log object is", "log objects are");
        writeln!(out, "- {spoiled} not as they were, or not verified as they are: see the evidence.")?;
    }
    let missing = &incident.accounts_without_logs;
    if !missing.is_empty() {
        writeln!(out, "- Of account {} the lake has no log.", missing.join(", "))?;
    }
    Ok(())
}

/// How many rows a list leaves out.
fn left_out<T>(out: &mut String, list: &Listed<T>) -> std::fmt::Result {
    let shown = i64::try_from(list.rows.len()).unwrap_or(i64::MAX);
    if list.total > shown {
        writeln!(out, "\n{} more are not shown; `--limit` shows more.", list.total - shown)?;
    }
    Ok(())
}

fn identities(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(out, "## Identities and chains\n")?;
    for actor in &incident.identities.rows {
        identity(out, actor)?;
    }
    left_out(out, &incident.identities)?;
    writeln!(out)
}

fn identity(out: &mut String, actor: &Actor) -> std::fmt::Result {
    let counts = &actor.counts;
    writeln!(out, "- **{}**: {}, {}", escape(&named(&actor.identity)), calls(counts), period(counts))?;
    if let Some(first) = &actor.identity.source_identity {
        writeln!(out, "  - source identity {}", escape(first))?;
    }
    trail(out, &actor.trail)
}

fn trail(out: &mut String, trail: &Trail) -> std::fmt::Result {
    for link in &trail.links {
        let start = &link.start;
        writeln!(
            out,
            "  - {} at {} by {}{}: {} (event {})",
            escape(&start.event_name),
            plain(start.started_at),
            escape(&named(&start.caller())),
            start.source_ip.as_ref().map_or_else(String::new, |address| format!(" from {}", escape(address))),
            escape(&link.why),
            escape(&start.event_id)
        )?;
    }
    let end = &trail.end;
    let who = end.principal.as_deref().unwrap_or("no one");
    let word = if end.is_known { "origin" } else { "the trail ends at" };
    writeln!(out, "  - {word} {}: {}", escape(who), escape(&end.message))?;
    end.hints.iter().try_for_each(|hint| writeln!(out, "    - {}", escape(hint)))
}

/// Counts, as the last cells of a row.
fn cells(counts: &Counts) -> [String; 5] {
    let time = |at: Option<DateTime<Utc>>| at.map_or_else(String::new, plain);
    [
        counts.calls.to_string(),
        counts.succeeded.to_string(),
        counts.decrypts.to_string(),
        time(counts.first_seen),
        time(counts.last_seen),
    ]
}

fn text(value: Option<&String>) -> String {
    value.cloned().unwrap_or_default()
}

fn keys_and_assets(out: &mut String, incident: &Incident) -> std::fmt::Result {
    const COUNTS: [&str; 5] = ["calls", "succeeded", "decrypts", "first", "last"];
    let headings = |first: &[&'static str]| [first, &COUNTS[..]].concat();
    writeln!(out, "## Keys\n")?;
    let rows = incident
        .keys
        .rows
        .iter()
        .map(|key| [vec![key.key_arn.clone(), text(key.key_alias.as_ref())], cells(&key.counts).to_vec()].concat());
    out.push_str(&table(&headings(&["key", "alias"]), &rows.collect::<Vec<_>>()));
    left_out(out, &incident.keys)?;
    writeln!(out, "\n## Assets\n\n{TRUST}\n")?;
    let rows = incident.assets.rows.iter().map(|asset| {
        let what = [
            Some(&asset.asset),
            asset.asset_type.as_ref(),
            asset.asset_trust.as_ref(),
            Some(&asset.event_name),
            asset.via.as_ref(),
        ];
        [what.map(text).to_vec(), cells(&asset.counts).to_vec()].concat()
    });
    out.push_str(&table(&headings(&["asset", "type", "worth", "operation", "through"]), &rows.collect::<Vec<_>>()));
    left_out(out, &incident.assets)?;
    writeln!(out, "\n## Addresses\n")?;
    let rows = incident
        .addresses
        .rows
        .iter()
        .map(|from| [vec![from.source_ip.clone()], cells(&from.counts).to_vec()].concat());
    out.push_str(&table(&headings(&["address"]), &rows.collect::<Vec<_>>()));
    left_out(out, &incident.addresses)?;
    writeln!(out)
}

fn sessions(out: &mut String, incident: &Incident) -> std::fmt::Result {
    let opened = &incident.sessions_opened;
    if opened.total == 0 {
        return Ok(());
    }
    writeln!(out, "## Sessions opened\n")?;
    writeln!(out, "What was done in one of these, `keytrail timeline --access-key` tells.\n")?;
    let rows = opened.rows.iter().map(|start| {
        let session = start.session_arn.as_ref().or(start.principal.as_ref());
        let what = [
            Some(&start.event_name),
            session,
            start.access_key_id.as_ref(),
            start.caller.as_ref(),
            start.caller_access_key_id.as_ref(),
            start.source_ip.as_ref(),
        ];
        [vec![plain(start.started_at)], what.map(text).to_vec(), vec![start.event_id.clone()]].concat()
    });
    out.push_str(&table(
        &["time", "operation", "session", "access key", "by", "with the key", "from", "event"],
        &rows.collect::<Vec<_>>(),
    ));
    left_out(out, opened)?;
    writeln!(out)
}

fn timeline(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(out, "## Timeline\n")?;
    let rows = incident.timeline.rows.iter().map(|moment| {
        let what = moment.asset.as_ref().or(moment.assumed_role.as_ref()).or(moment.key_arn.as_ref());
        let what = what.or(moment.error_message.as_ref());
        let (name, outcome) = (moment.event_name.as_ref(), moment.outcome.as_ref());
        let cells = [
            name,
            outcome,
            moment.principal.as_ref(),
            moment.session_name.as_ref(),
            moment.via.as_ref(),
            moment.source_ip.as_ref(),
            what,
        ];
        [vec![plain(moment.event_time)], cells.map(text).to_vec(), vec![moment.event_id.clone()]].concat()
    });
    let headings = ["time", "operation", "outcome", "principal", "session", "through", "from", "on", "event"];
    out.push_str(&table(&headings, &rows.collect::<Vec<_>>()));
    if !incident.timeline.is_whole {
        writeln!(out, "\nThese are the earliest; there are more, and `--limit` shows them.")?;
    }
    writeln!(out)
}

fn coverage(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(out, "## What the logs are worth\n\nHours of each day, as `keytrail coverage` tells them.\n")?;
    // Days that are alike are one row.
    let alike = |a: &DayCovered, b: &DayCovered| {
        let of = |day: &DayCovered| (day.account_id.clone(), day.region.clone(), day.reason.clone());
        let hours = |day: &DayCovered| (day.proven, day.observed, day.unknown, day.blind);
        of(a) == of(b) && hours(a) == hours(b)
    };
    let rows = incident.coverage.chunk_by(alike).filter_map(|days| {
        let (first, last) = (days.first()?, days.last()?);
        let when = if days.len() == 1 { first.day.to_string() } else { format!("{} to {}", first.day, last.day) };
        let hours = [first.proven, first.observed, first.unknown, first.blind].map(|hours| hours.to_string());
        let place = vec![first.account_id.clone(), first.region.clone(), when];
        Some([place, hours.to_vec(), vec![text(first.reason.as_ref())]].concat())
    });
    let headings = ["account", "Region", "day", "proven", "observed", "unknown", "blind", "why"];
    out.push_str(&table(&headings, &rows.collect::<Vec<_>>()));
    writeln!(out)
}

fn evidence(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(
        out,
        "## Evidence\n\nThe log objects that hold the records of the timeline, the chains and the sessions above. SHA-256 is of the uncompressed object, as digests name it; \
         `keytrail event ID` reads a record again.\n"
    )?;
    let numbered = || incident.evidence.objects.iter().zip(1..);
    let rows = numbered().map(|(object, number)| {
        let (state, digest) = (object.object_state.as_ref(), object.digest_state.as_ref());
        let cells = [Some(&object.source_object), object.sha256.as_ref(), state, digest, object.trouble.as_ref()];
        [vec![number.to_string()], cells.map(text).to_vec()].concat()
    });
    let headings = ["no.", "object", "sha256", "object verified", "digest", "trouble"];
    out.push_str(&table(&headings, &rows.collect::<Vec<_>>()));
    writeln!(out)?;
    let numbers: BTreeMap<&str, i32> =
        numbered().map(|(object, number)| (object.source_object.as_str(), number)).collect();
    let rows = incident.evidence.records.iter().map(|record| {
        let object = record.source_object.as_deref().and_then(|object| numbers.get(object));
        let place = record.record_index.map_or_else(String::new, |place| place.to_string());
        vec![record.event_id.clone(), object.map_or_else(String::new, ToString::to_string), place]
    });
    out.push_str(&table(&["event", "object no.", "record"], &rows.collect::<Vec<_>>()));
    Ok(())
}
