//! Where a chain ends: at someone who is known by the record, or where the lake knows no further, and why.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Identity, LINKS_MAX, SessionStart};
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

    pub(super) fn too_long(identity: &Identity) -> Self {
        let message = format!("more than {LINKS_MAX} links, or links that lead in a circle");
        Self {
            code: EndCode::TooLong,
            is_known: false,
            principal: identity.principal.clone(),
            message,
            hints: Vec::new(),
        }
    }

    /// What an identity is, seen at an instant, of whose session no start is known.
    pub(super) fn of(identity: &Identity, at: DateTime<Utc>, last: Option<&SessionStart>) -> Self {
        let Some(principal) = identity.principal.as_deref() else {
            return Self {
                code: EndCode::NoIdentity,
                is_known: false,
                principal: None,
                message: "the record names no one".to_owned(),
                hints: Vec::new(),
            };
        };
        match identity.principal_type.as_deref().unwrap_or_default() {
            "IAMUser" => user(identity, principal),
            "Root" => Self::known(EndCode::Root, principal, "the root user of the account"),
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
            _ if principal.starts_with("service:") => {
                Self::known(EndCode::Service, principal, "an AWS service, which acts for whoever set it up so")
            }
            _ => session(identity, principal, at, last),
        }
    }
}

fn user(identity: &Identity, principal: &str) -> End {
    let how = match identity.access_key_id.as_deref() {
        Some(key) if key.starts_with("AKIA") => format!("an IAM user, with the long-term access key {key}"),
        Some(_) => {
            "an IAM user, with a temporary key: of a console sign-in, or one that an AWS service used on their behalf"
                .to_owned()
        }
        None => "an IAM user".to_owned(),
    };
    End::known(EndCode::User, principal, how)
}

/// The name of a federated user's session holds the name of who opened it.
fn federated(principal: &str) -> End {
    match principal.split_once('|') {
        Some((_, issuer)) => {
            let message =
                "who opened the federated session, as its record says; the GetFederationToken is not in the lake";
            End::known(EndCode::User, issuer, message)
        }
        None => End {
            code: EndCode::NoSessionStart,
            is_known: false,
            principal: Some(principal.to_owned()),
            message: "a federated session whose GetFederationToken is not in the lake".to_owned(),
            hints: Vec::new(),
        },
    }
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
    hints.extend(earlier(last));
    End { code: EndCode::OtherAccount, is_known: false, principal: Some(principal.to_owned()), message, hints }
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
    let when = began.map_or_else(|| format!("before {}", plain(at)), |began| format!("at {}", plain(began)));
    let message =
        format!("the session of {principal} began {when}, and the STS event that opened it is not in the lake");
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
    hints.extend(earlier(last));
    End { code: EndCode::NoSessionStart, is_known: false, principal: Some(principal.to_owned()), message, hints }
}

/// Who opened an earlier session of the same name: a guess, and said so.
fn earlier(last: Option<&SessionStart>) -> Option<String> {
    let last = last?;
    let caller = last.caller.as_deref()?;
    let at = plain(last.started_at);
    Some(format!(
        "an earlier session of the same id was opened by {caller} at {at} (event {}); this one may be another's",
        last.event_id
    ))
}
