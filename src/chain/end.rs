//! Where a chain ends: at someone who is known by the record, or where the lake knows no further, and why.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::starts::CANDIDATES_MAX;
use super::{Identity, LINKS_MAX, SessionStart, Sought};
use crate::instant::plain;

/// What a chain ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCode {
    /// An IAM user.
    User,
    /// The root user of an account.
    Root,
    /// An AWS service.
    Service,
    /// Someone who signed in elsewhere: with SAML, a web identity or IAM Identity Center.
    Federated,
    /// A session whose beginning is not in the lake.
    NoSessionStart,
    /// Several STS events fit, of different callers.
    Ambiguous,
    /// A caller of another account, whose log is not in the lake.
    OtherAccount,
    /// A record that names no one.
    NoIdentity,
    /// More links than are followed.
    TooLong,
}

impl EndCode {
    /// Whether it is someone: the first identity that there is.
    #[must_use]
    pub fn is_known(self) -> bool {
        matches!(self, EndCode::User | EndCode::Root | EndCode::Service | EndCode::Federated)
    }

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EndCode::User => "user",
            EndCode::Root => "root",
            EndCode::Service => "service",
            EndCode::Federated => "federated",
            EndCode::NoSessionStart => "no_session_start",
            EndCode::Ambiguous => "ambiguous",
            EndCode::OtherAccount => "other_account",
            EndCode::NoIdentity => "no_identity",
            EndCode::TooLong => "too_long",
        }
    }
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// What it is.
    pub code: EndCode,
    /// Whether it is the first identity that there is; else the last that the lake knows.
    pub is_known: bool,
    /// Who.
    pub principal: Option<String>,
    /// In words.
    pub message: String,
    /// What may tell more.
    pub hints: Vec<String>,
}

impl End {
    fn known(code: EndCode, principal: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            is_known: code.is_known(),
            principal: Some(principal.into()),
            message: message.into(),
            hints: Vec::new(),
        }
    }

    fn unknown(code: EndCode, principal: Option<&str>, message: impl Into<String>, hints: Vec<String>) -> Self {
        Self { code, is_known: false, principal: principal.map(str::to_owned), message: message.into(), hints }
    }

    /// The walk was given up at an identity: after so many links, or where it had been before.
    pub(super) fn too_long(identity: &Identity, is_circle: bool) -> Self {
        let principal = identity.principal.as_deref();
        if is_circle {
            return Self::unknown(EndCode::TooLong, principal, "the links lead in a circle", Vec::new());
        }
        let key = identity.access_key_id.as_deref().filter(|key| !key.is_empty());
        let hints = key.map(|key| format!("it goes on with keytrail chain {key}")).into_iter().collect();
        Self::unknown(EndCode::TooLong, principal, format!("more than {LINKS_MAX} links"), hints)
    }

    /// The end with what the session that it opened says of it: credentials of an instance can be taken from it.
    pub(super) fn with_session(mut self, opened: Option<&SessionStart>) -> Self {
        let name = opened.and_then(|start| start.session_name.as_deref());
        if let (EndCode::Service, Some(name)) = (self.code, name.filter(|name| name.starts_with("i-"))) {
            self.hints
                .push(format!("{name} is an EC2 instance: what runs there used its credentials, or someone took them"));
        }
        self
    }

    /// Several starts fit, and they are of different callers.
    pub(super) fn ambiguous(identity: &Identity, candidates: &[&SessionStart]) -> Self {
        let message = "several STS events fit this session, of different callers, and the record does not tell which";
        let told = candidates.iter().map(|start| {
            let caller = start.caller.as_deref().unwrap_or("someone unnamed");
            let session =
                start.caller_session_name.as_ref().map_or_else(String::new, |name| format!(" (session {name})"));
            format!("{caller}{session}, {} at {}, event {}", start.event_name, plain(start.started_at), start.event_id)
        });
        let mut hints: Vec<String> = told.collect();
        if candidates.len() == CANDIDATES_MAX {
            hints.push("and there may be more".to_owned());
        }
        Self::unknown(EndCode::Ambiguous, identity.principal.as_deref(), message, hints)
    }

    /// What an identity is of whose session no start is known; `last` is the last one of the same id before.
    pub(super) fn of(sought: &Sought, last: Option<&SessionStart>) -> Self {
        let (identity, at) = (&sought.identity, sought.at);
        let Some(principal) = identity.principal.as_deref() else {
            return Self::unknown(EndCode::NoIdentity, None, "the record names no one", Vec::new());
        };
        match identity.principal_type.as_deref().unwrap_or_default() {
            "IAMUser" => user(identity, principal),
            "Root" => root(identity, principal),
            "SAMLUser" => Self::known(
                EndCode::Federated,
                principal,
                "someone who signed in with SAML, as the provider names them",
            ),
            "WebIdentityUser" => Self::known(
                EndCode::Federated,
                principal,
                "someone, or some job, that a web identity provider vouched for",
            ),
            "IdentityCenterUser" => Self::known(EndCode::Federated, principal, "a user of IAM Identity Center"),
            "FederatedUser" => federated(principal),
            "AWSAccount" => other_account(identity, principal, at, last),
            _ if principal.starts_with("service:") => Self::known(
                EndCode::Service,
                principal,
                "an AWS service, which opened the session for what it runs or manages",
            ),
            _ => session(identity, principal, at, last),
        }
    }
}

fn user(identity: &Identity, principal: &str) -> End {
    let how = match identity.access_key_id.as_deref().filter(|key| !key.is_empty()) {
        Some(key) if key.starts_with("AKIA") => format!("an IAM user, with the long-term access key {key}"),
        Some(_) => {
            "an IAM user, with a temporary key: of a console sign-in, or one that an AWS service used on their behalf"
                .to_owned()
        }
        None => "an IAM user".to_owned(),
    };
    End::known(EndCode::User, principal, how)
}

/// The root user signs in at the console, or someone of the management account takes root's credentials with `AssumeRoot`.
fn root(identity: &Identity, principal: &str) -> End {
    if identity.access_key_id.as_deref().is_some_and(|key| key.starts_with("ASIA")) {
        let message = "root with a temporary key, and the event that opened the session is not in the lake: a console sign-in of \
                       the root user, or an AssumeRoot by someone of the organization's management account";
        let hint = "an AssumeRoot is in the log of the management account".to_owned();
        return End::unknown(EndCode::NoSessionStart, Some(principal), message, vec![hint]);
    }
    End::known(EndCode::Root, principal, "the root user of the account")
}

/// The name of a federated user's session holds the name of who opened it.
fn federated(principal: &str) -> End {
    let Some((_, issuer)) = principal.split_once('|') else {
        let message = "a federated session whose GetFederationToken is not in the lake";
        return End::unknown(EndCode::NoSessionStart, Some(principal), message, Vec::new());
    };
    let code = if issuer.ends_with(":root") { EndCode::Root } else { EndCode::User };
    End::known(
        code,
        issuer,
        "who opened the federated session, as its record says; the GetFederationToken is not in the lake",
    )
}

fn other_account(identity: &Identity, principal: &str, at: DateTime<Utc>, last: Option<&SessionStart>) -> End {
    let account = identity.principal_account_id.as_deref().unwrap_or("another account");
    let what = match identity.principal_id.as_deref() {
        Some(id) if id.starts_with("AIDA") => "an IAM user, by their unique id",
        Some(id) if id.starts_with("AROA") => "a role, by its unique id",
        _ => "someone",
    };
    let message = format!(
        "{what}, of account {account}: the log of that account names the caller, and the lake has no copy of it"
    );
    let mut hints = vec![format!("ingest the log of account {account} from {}", plain(at))];
    hints.extend(another(identity, last));
    End::unknown(EndCode::OtherAccount, Some(principal), message, hints)
}

/// A role's session, or whatever else has no start in the lake.
fn session(identity: &Identity, principal: &str, at: DateTime<Utc>, last: Option<&SessionStart>) -> End {
    // Nobody but the service can assume a service-linked role: its trust cannot be edited.
    if let Some((_, rest)) = principal.split_once(":role/aws-service-role/")
        && let Some((service, _)) = rest.split_once('/')
    {
        let message = format!("a service-linked role, {principal}, which only its service can assume");
        return End::known(EndCode::Service, format!("service:{service}"), message);
    }
    let began = identity.session_start;
    let account = identity.principal_account_id.as_deref().unwrap_or("?");
    let when = began.map_or_else(String::new, |began| format!(" began at {}, and", plain(began)));
    let verb = if began.is_some() { "the session of" } else { "of the session of" };
    let message = format!("{verb} {principal}{when} the STS event that opened it is not in the lake");
    let around = began.unwrap_or(at);
    let (since, until) = (around - TimeDelta::hours(1), around + TimeDelta::hours(1));
    let mut hints = vec![format!(
        "whether the log of that hour is there: keytrail coverage --account {account} --since {} --until {}; a trail that \
         records only write events has no AssumeRole",
        plain(since),
        plain(until)
    )];
    let name = identity.session_name.as_deref().unwrap_or_default();
    if let Some(first) = &identity.source_identity {
        hints.push(format!("source identity {first:?}: whoever opened the first session of the chain set it"));
    }
    if principal.contains(":role/aws-reserved/sso.amazonaws.com/") {
        hints.push(format!("a role of IAM Identity Center: {name:?} is the user's name there"));
    } else if name.starts_with("i-") {
        hints.push(format!("{name} is the id of an EC2 instance: its own credentials, or taken from it"));
    } else if !name.is_empty() {
        hints.push(format!("the session's name is {name:?}, which the caller chose"));
    }
    hints.extend(another(identity, last));
    End::unknown(EndCode::NoSessionStart, Some(principal), message, hints)
}

/// Who opened another session of the same id: a guess, and said so.
fn another(identity: &Identity, last: Option<&SessionStart>) -> Option<String> {
    let last = last?;
    let caller = last.caller.as_deref()?;
    let at = plain(last.started_at);
    let event = &last.event_id;
    if identity.session_start.is_some_and(|began| began.timestamp() == last.started_at.timestamp()) {
        return Some(format!(
            "{caller} opened a session of the same id in the same second (event {event}), and was given another key: it is that \
             session if the call was made in the console, which signs with keys of its own"
        ));
    }
    Some(format!(
        "another session of the same id was opened by {caller} at {at} (event {event}); this one may be someone else's"
    ))
}
