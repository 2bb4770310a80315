//! Who calls: every kind of `userIdentity` of facts §2.2, and the sessions in which they call.
//!
//! A principal's `userIdentity` is rendered once per session and then copied into each record. [`Principal::stable`] is
//! what the decoder must make of it. This module refuses to decide who calls what (`workload`) or to write STS events
//! (`sts`).

use super::clock::{HOUR, Seconds};
use super::dice::Dice;
use super::oddities;
use super::record::Record;

/// The kinds of identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An IAM user with a long-term access key.
    User,
    /// An IAM user in a console session.
    ConsoleUser,
    Root,
    /// A role session; `path` as in the role's ARN, `/` or `/service/`.
    Role {
        path: String,
        trust: Trust,
    },
    /// A role's own, persistent identity (type `Role`).
    BareRole,
    Federated {
        issuer: String,
    },
    /// An AWS service principal: only `invokedBy`.
    Service(&'static str),
    /// KMS itself: no type.
    KmsInternal,
    /// The role that EC2 attaches encrypted volumes with; no such role exists in IAM.
    Ec2Infrastructure,
    IdentityCenter {
        store: String,
    },
    Directory,
    Unknown,
}

/// Who may assume a role, and so which STS event starts its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Service(&'static str),
    /// Another principal, by its place in the world; may live in another account.
    Principal(usize),
    Saml,
    /// A web identity provider, such as a CI system.
    Web,
}

/// The current credentials of a principal.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) access_key: String,
    pub(super) started: Seconds,
    pub(super) ends: Seconds,
}

/// Somebody who calls AWS.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    pub(super) kind: Kind,
    /// The identity that the decoder must derive.
    pub(super) stable: String,
    pub(super) account: usize,
    pub(super) account_id: String,
    pub(super) name: String,
    /// `AIDA…` or `AROA…`.
    pub(super) unique_id: String,
    pub(super) source_ip: String,
    pub(super) user_agent: String,
    pub(super) vpc_endpoint: Option<String>,
    pub(super) session: Session,
    /// `userIdentity`'s members up to `invokedBy`, for the current session.
    rendered: Vec<u8>,
}

impl Principal {
    pub(super) fn new(kind: Kind, account: usize, account_id: &str, name: &str, dice: &mut Dice) -> Self {
        let prefix = if matches!(kind, Kind::Role { .. } | Kind::BareRole) { "AROA" } else { "AIDA" };
        let mut principal = Self {
            stable: String::new(),
            account,
            account_id: account_id.to_owned(),
            name: name.to_owned(),
            unique_id: dice.unique_id(prefix),
            source_ip: oddities::source_ip(dice),
            user_agent: (*dice.pick(oddities::USER_AGENTS)).to_owned(),
            vpc_endpoint: dice.one_in(8).then(|| format!("vpce-0{}", dice.hex(16))),
            session: Session { name: name.to_owned(), access_key: dice.unique_id("AKIA"), started: 0, ends: 0 },
            rendered: Vec::new(),
            kind,
        };
        principal.stable = principal.stable_identity();
        principal.render();
        principal
    }

    /// The ARN that IAM knows the principal by.
    pub(super) fn iam_arn(&self) -> String {
        let account = &self.account_id;
        match &self.kind {
            Kind::Root => format!("arn:aws:iam::{account}:root"),
            Kind::Role { path, .. } => format!("arn:aws:iam::{account}:role{path}{}", self.name),
            Kind::BareRole => format!("arn:aws:iam::{account}:role/{}", self.name),
            _ => format!("arn:aws:iam::{account}:user/{}", self.name),
        }
    }

    /// The ARN as `userIdentity.arn` gives it.
    pub(super) fn arn(&self) -> String {
        match &self.kind {
            Kind::Role { .. } => {
                format!("arn:aws:sts::{}:assumed-role/{}/{}", self.account_id, self.name, self.session.name)
            }
            Kind::Federated { .. } => format!("arn:aws:sts::{}:federated-user/{}", self.account_id, self.name),
            Kind::Ec2Infrastructure => {
                format!("arn:aws:sts::{}:assumed-role/aws:ec2-infrastructure/{}", self.account_id, self.session.name)
            }
            _ => self.iam_arn(),
        }
    }

    /// `principalId` as logged.
    pub(super) fn principal_id(&self) -> String {
        match &self.kind {
            Kind::Root => self.account_id.clone(),
            Kind::Role { .. } => format!("{}:{}", self.unique_id, self.session.name),
            Kind::Federated { .. } => format!("{}:{}", self.account_id, self.name),
            Kind::Ec2Infrastructure => format!("{}:aws:ec2-infrastructure:{}", self.account_id, self.session.name),
            _ => self.unique_id.clone(),
        }
    }

    fn stable_identity(&self) -> String {
        match &self.kind {
            Kind::Federated { issuer } => format!("{}|{issuer}", self.arn()),
            Kind::Service(host) => format!("service:{host}"),
            Kind::KmsInternal => "service:kms-internal".to_owned(),
            Kind::Ec2Infrastructure => "service:ec2-infrastructure".to_owned(),
            Kind::IdentityCenter { store } => format!("idc:{store}/{}", self.name),
            Kind::Directory | Kind::Unknown => self.unique_id.clone(),
            _ => self.iam_arn(),
        }
    }

    /// Whether a session has to be started before calling at this instant.
    pub(super) fn needs_session(&self, at: Seconds) -> bool {
        let has_sessions = matches!(self.kind, Kind::Role { .. } | Kind::ConsoleUser | Kind::Federated { .. });
        has_sessions && at >= self.session.ends
    }

    /// Starts a session. A long-running role keeps its session's name.
    pub(super) fn start_session(&mut self, at: Seconds, hostile: bool, dice: &mut Dice) {
        let name = match &self.kind {
            Kind::Role { .. } if hostile && dice.one_in(12) => dice.pick(oddities::hostile_names()).clone(),
            Kind::Role { trust, .. } => session_name(trust, &self.name, at, dice),
            _ => self.name.clone(),
        };
        let ends = at + if dice.one_in(4) { 8 * HOUR } else { 3 * HOUR };
        self.session = Session { name, access_key: dice.unique_id("ASIA"), started: at, ends };
        self.render();
    }

    /// The infrastructure role acts for one instance after another.
    pub(super) fn act_for_instance(&mut self, instance: String) {
        self.session.name = instance;
        self.render();
    }

    /// Writes `userIdentity`, with the service that calls on the principal's behalf.
    pub(super) fn write(&self, record: &mut Record, invoked_by: Option<&str>) {
        record.open_in("userIdentity");
        record.raw_members(&self.rendered);
        match (&self.kind, invoked_by) {
            (Kind::Service(host), _) => record.text("invokedBy", host),
            (Kind::KmsInternal, _) => record.text("invokedBy", "AWS Internal"),
            (_, Some(host)) => record.text("invokedBy", host),
            _ => {}
        }
        record.close();
    }

    /// Writes `userIdentity` as the other account of a cross-account call sees it: who, but not what.
    pub(super) fn write_as_foreigner(&self, record: &mut Record, invoked_by: Option<&str>) {
        record.open_in("userIdentity");
        record.text("type", "AWSAccount");
        record.text("principalId", &self.principal_id());
        record.text("accountId", &self.account_id);
        if let Some(host) = invoked_by {
            record.text("invokedBy", host);
        }
        record.close();
    }

    fn render(&mut self) {
        let mut record = Record::new();
        self.write_members(&mut record);
        self.rendered.clear();
        self.rendered.extend_from_slice(record.bytes());
    }

    fn write_members(&self, record: &mut Record) {
        let type_name = match &self.kind {
            Kind::KmsInternal => return record.text("accountId", &self.account_id),
            Kind::Service(_) => return record.text("type", "AWSService"),
            Kind::IdentityCenter { store } => return self.write_identity_center(record, store),
            Kind::User | Kind::ConsoleUser => "IAMUser",
            Kind::Root => "Root",
            Kind::Role { .. } | Kind::Ec2Infrastructure => "AssumedRole",
            Kind::BareRole => "Role",
            Kind::Federated { .. } => "FederatedUser",
            Kind::Directory => "Directory",
            Kind::Unknown => "Unknown",
        };
        record.text("type", type_name);
        record.text("principalId", &self.principal_id());
        if !matches!(self.kind, Kind::Directory | Kind::Unknown) {
            record.text("arn", &self.arn());
        }
        record.text("accountId", &self.account_id);
        match &self.kind {
            Kind::Ec2Infrastructure => record.text("accessKeyId", ""),
            Kind::BareRole | Kind::Directory | Kind::Unknown => {}
            _ => record.text("accessKeyId", &self.session.access_key),
        }
        if matches!(self.kind, Kind::User | Kind::ConsoleUser) {
            record.text("userName", &self.name);
        }
        self.write_session(record);
    }

    fn write_identity_center(&self, record: &mut Record, store: &str) {
        record.text("type", "IdentityCenterUser");
        record.text("accountId", &self.account_id);
        record.open_in("onBehalfOf");
        record.text("userId", &self.name);
        record.text("identityStoreArn", store);
        record.close();
        record.text("credentialId", &self.unique_id);
    }

    fn write_session(&self, record: &mut Record) {
        let (issuer_type, issuer_id, issuer_arn, issuer_name) = match &self.kind {
            Kind::Role { .. } => ("Role", self.unique_id.clone(), self.iam_arn(), self.name.as_str()),
            Kind::Ec2Infrastructure => (
                "Role",
                format!("{}:aws:ec2-infrastructure", self.account_id),
                format!("arn:aws:iam::{}:role/aws:ec2-infrastructure", self.account_id),
                "aws:ec2-infrastructure",
            ),
            Kind::Federated { issuer } => {
                let name = issuer.rsplit('/').next().unwrap_or("");
                ("IAMUser", self.unique_id.clone(), issuer.clone(), name)
            }
            Kind::ConsoleUser => ("", String::new(), String::new(), ""),
            _ => return,
        };
        record.open_in("sessionContext");
        record.open_in("sessionIssuer");
        if !issuer_type.is_empty() {
            record.text("type", issuer_type);
            record.text("principalId", &issuer_id);
            record.text("arn", &issuer_arn);
            record.text("accountId", &self.account_id);
            record.text("userName", issuer_name);
        }
        record.close();
        record.open_in("webIdFederationData");
        record.close();
        record.open_in("attributes");
        if self.kind != Kind::Ec2Infrastructure {
            record.instant("creationDate", self.session.started);
            record.text("mfaAuthenticated", if self.kind == Kind::ConsoleUser { "true" } else { "false" });
        }
        record.close();
        record.close();
    }
}

fn session_name(trust: &Trust, role: &str, at: Seconds, dice: &mut Dice) -> String {
    match trust {
        Trust::Service("ec2.amazonaws.com") => format!("i-0{}", dice.hex(16)),
        Trust::Service("ecs-tasks.amazonaws.com") => dice.hex(32),
        Trust::Service("config.amazonaws.com") => "LambdaDescribeHandlerSession".to_owned(),
        Trust::Service(_) => role.to_owned(),
        Trust::Saml => format!("{}@example.com", dice.pick(oddities::PEOPLE)),
        Trust::Web => "GitHubActions".to_owned(),
        Trust::Principal(_) => format!("botocore-session-{at}"),
    }
}
