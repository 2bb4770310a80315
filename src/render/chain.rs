//! A chain for a terminal: what it begins with, each link with how it is known, and the end.

use std::fmt::Write as _;

use super::clean::clean;
use crate::chain::{Chain, Identity, Link, Trail};
use crate::instant::plain;

/// The chain as lines of text. What the logs say is cleaned value by value: a line end in a name must not begin a line.
#[must_use]
pub fn chain_text(chain: &Chain) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, chain);
    out.trim_end().to_owned()
}

fn write_all(out: &mut String, chain: &Chain) -> std::fmt::Result {
    let subject = &chain.subject;
    let who = named(&subject.identity);
    match &subject.event_name {
        Some(name) => write!(out, "{} at {} by {}", clean(name), plain(subject.event_time), clean(&who))?,
        None => write!(out, "credentials of {}, given out at {}", clean(&who), plain(subject.event_time))?,
    }
    let from = |out: &mut String, what: &str, value: &Option<String>| match value {
        Some(value) => write!(out, ", {what} {}", clean(value)),
        None => Ok(()),
    };
    from(out, "through", &subject.via)?;
    from(out, "from", &subject.source_ip)?;
    from(out, "event", &subject.event_id)?;
    from(out, "source identity", &subject.identity.source_identity)?;
    writeln!(out, "\n")?;
    for (at, link) in chain.trail.links.iter().enumerate() {
        write_link(out, at + 1, link)?;
    }
    write_end(out, &chain.trail)
}

fn write_link(out: &mut String, place: usize, link: &Link) -> std::fmt::Result {
    let start = &link.start;
    let caller = named(&start.caller());
    write!(out, "{place}. {} at {} by {}", clean(&start.event_name), plain(start.started_at), clean(&caller))?;
    if let Some(address) = &start.source_ip {
        write!(out, ", from {}", clean(address))?;
    }
    writeln!(out)?;
    let opened = start.session_arn.as_ref().or(start.principal.as_ref()).map_or("a session", |arn| arn);
    writeln!(out, "   opened {}", clean(opened))?;
    writeln!(out, "   known because {}", clean(&link.why))?;
    let object = start.source_object.as_deref().unwrap_or("?");
    writeln!(out, "   event {} in {}\n", clean(&start.event_id), clean(object))
}

fn write_end(out: &mut String, trail: &Trail) -> std::fmt::Result {
    let end = &trail.end;
    let who = end.principal.as_deref().unwrap_or("no one");
    let word = if end.is_known { "ORIGIN" } else { "THE TRAIL ENDS at" };
    writeln!(out, "{word} {}: {}", clean(who), clean(&end.message))?;
    end.hints.iter().try_for_each(|hint| writeln!(out, "- {}", clean(hint)))
}

/// A principal, with the name of its session.
pub(super) fn named(identity: &Identity) -> String {
    let principal = identity.principal.as_deref().unwrap_or("no one");
    match &identity.session_name {
        Some(session) => format!("{principal} (session {session})"),
        None => principal.to_owned(),
    }
}
