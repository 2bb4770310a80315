//! Who called: facts §2.2, with the ARN before the type.

use super::Record;
use super::keys::{arn_field, partition_among};

/// The principal of an EBS volume being attached. No such role exists.
pub const EC2_INFRASTRUCTURE: &str = "service:ec2-infrastructure";

/// The caller of an event.
#[derive(Debug)]
pub struct Identity {
    /// `AssumedRole`, `IAMUser`, ….
    pub kind: String,
    /// The identity that stays the same from session to session.
    pub principal: Option<String>,
    /// Whether `principal` is a role's ARN that was rebuilt from the session's.
    pub inferred: bool,
    /// `principalId` without the session.
    pub id: Option<String>,
    /// The caller's account.
    pub account: Option<String>,
    pub session_name: Option<String>,
    pub session_arn: Option<String>,
}

impl Identity {
    /// Reads `userIdentity`.
    pub fn of(record: &Record) -> Self {
        let kind = kind(record);
        let (principal, inferred) = principal(record, &kind);
        let session_name = session_name(record, &kind);
        let has_session_arn = matches!(kind.as_str(), "AssumedRole" | "FederatedUser");
        Identity {
            principal,
            inferred,
            id: principal_id(record, &kind, session_name.as_deref()),
            account: account(record),
            session_name,
            session_arn: arn(record).filter(|arn| has_session_arn && sts_role(arn).is_none()),
            kind,
        }
    }
}

fn arn(record: &Record) -> Option<String> {
    record.filled("userIdentity.arn")
}

fn kind(record: &Record) -> String {
    let by_arn = arn(record).and_then(|arn| kind_of_arn(&arn));
    let by_type = record.filled("userIdentity.type");
    let by_absence = if record.invoked_by().is_some() { "AWSService" } else { "Unknown" };
    by_arn.map(str::to_owned).or(by_type).unwrap_or_else(|| by_absence.to_owned())
}

fn kind_of_arn(arn: &str) -> Option<&'static str> {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let iam = match fields.as_slice() {
        ["arn", _, "iam", _, _, resource] => resource,
        _ => "",
    };
    match arn {
        _ if arn.contains(":assumed-role/") || sts_role(arn).is_some() => Some("AssumedRole"),
        _ if iam.starts_with("role/") => Some("Role"),
        _ if iam.starts_with("user/") => Some("IAMUser"),
        _ if arn.ends_with(":root") => Some("Root"),
        _ if arn.contains(":federated-user/") => Some("FederatedUser"),
        _ => None,
    }
}

/// The principal, and whether it was inferred.
fn principal(record: &Record, kind: &str) -> (Option<String>, bool) {
    let text = |name: &str| record.filled(&format!("userIdentity.{name}"));
    let raw = || text("principalId").or(text("userName"));
    let invoked_by = record.invoked_by();
    let principal = match kind {
        "AssumedRole" => {
            let (role, inferred) = assumed_role(record);
            if role.is_some() {
                return (role, inferred);
            }
            None
        }
        "Root" => arn(record).or_else(|| Some(format!("arn:{}:iam::{}:root", partition(record), text("accountId")?))),
        "FederatedUser" => arn(record).map(|arn| match text("sessionContext.sessionIssuer.arn") {
            Some(issuer) => format!("{arn}|{issuer}"),
            None => arn,
        }),
        "AWSAccount" => text("accountId").map(|account| {
            // Nobody in particular has no id: `acct:ANONYMOUS_PRINCIPAL/`.
            format!("acct:{account}/{}", before_colon(&text("principalId").unwrap_or_default()))
        }),
        "AWSService" if invoked_by.as_deref() == Some("AWS Internal") && text("type").is_none() => {
            Some("service:kms-internal".to_owned())
        }
        "AWSService" => invoked_by.map(|host| format!("service:{host}")),
        "IdentityCenterUser" => identity_center(record),
        "SAMLUser" => raw().map(|id| format!("saml:{id}")),
        "WebIdentityUser" => raw().map(|id| format!("web:{id}")),
        _ => None,
    };
    (principal.or_else(|| somebody(record, kind)), false)
}

/// Whatever else tells who it was.
fn somebody(record: &Record, kind: &str) -> Option<String> {
    let text = |name: &str| record.filled(&format!("userIdentity.{name}"));
    let id = principal_id(record, kind, session_name(record, kind).as_deref());
    let service = || record.maker().service().filter(|_| kind == "AWSService").map(|name| format!("service:{name}"));
    arn(record)
        .or(id)
        .or_else(|| text("sessionContext.sessionIssuer.arn"))
        .or_else(|| text("sessionContext.sessionIssuer.principalId"))
        .or_else(|| text("userName"))
        .or_else(|| identity_center(record))
        .or_else(|| Some(format!("acct:{}/{}", text("accountId")?, text("accessKeyId")?)))
        .or_else(service)
}

/// The partition of an ARN that AWS wrote into the record, else of its Region.
fn partition(record: &Record) -> String {
    let resource = record.first_resource_arn();
    let arns = [record.filled("userIdentity.sessionContext.sessionIssuer.arn"), resource];
    partition_among(&arns, &record.filled("awsRegion").unwrap_or_default())
}

fn identity_center(record: &Record) -> Option<String> {
    let store = record.filled("userIdentity.onBehalfOf.identityStoreArn")?;
    Some(format!("idc:{store}/{}", record.filled("userIdentity.onBehalfOf.userId")?))
}

fn assumed_role(record: &Record) -> (Option<String>, bool) {
    let session = arn(record).filter(|arn| arn.starts_with("arn:"));
    if session.as_deref().is_some_and(|arn| arn.contains(":assumed-role/aws:ec2-infrastructure/")) {
        return (Some(EC2_INFRASTRUCTURE.to_owned()), false);
    }
    if let Some(issuer) = record.filled("userIdentity.sessionContext.sessionIssuer.arn") {
        return (Some(issuer), false);
    }
    let rebuilt = session.and_then(|arn| {
        let (partition, account) = (arn_field(&arn, 1)?, arn_field(&arn, 4)?);
        let role = sts_role(&arn).map(str::to_owned).or_else(|| Some(role_and_session(&arn)?.0.to_owned()));
        let role = role.filter(|role| !role.is_empty())?;
        Some(format!("arn:{partition}:iam::{account}:role/{role}"))
    });
    let inferred = rebuilt.is_some();
    (rebuilt, inferred)
}

/// The role in `arn:…:sts::…:role/<role>`, an ARN of no session.
fn sts_role(arn: &str) -> Option<&str> {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    match fields.as_slice() {
        ["arn", _, "sts", _, _, resource] => resource.strip_prefix("role/"),
        _ => None,
    }
}

/// The two names in `…:assumed-role/<role>/<session>`.
fn role_and_session(arn: &str) -> Option<(&str, Option<&str>)> {
    let (_, names) = arn.split_once(":assumed-role/")?;
    match names.split_once('/') {
        Some((role, session)) => Some((role, Some(session))),
        None => Some((names, None)),
    }
}

fn session_name(record: &Record, kind: &str) -> Option<String> {
    let principal_id = record.filled("userIdentity.principalId");
    let after_colon = || principal_id?.split_once(':').map(|(_, session)| session.to_owned());
    match (kind, arn(record).filter(|arn| sts_role(arn).is_none())) {
        ("AssumedRole", Some(arn)) => role_and_session(&arn)?.1.map(str::to_owned),
        ("AssumedRole", None) | ("AWSAccount", _) => after_colon(),
        _ => None,
    }
}

fn principal_id(record: &Record, kind: &str, session_name: Option<&str>) -> Option<String> {
    let id = record.filled("userIdentity.principalId")?;
    if !matches!(kind, "AssumedRole" | "AWSAccount") {
        return Some(id);
    }
    let without_session = session_name.and_then(|session| id.strip_suffix(&format!(":{session}")));
    Some(without_session.map_or_else(|| before_colon(&id), str::to_owned))
}

fn before_colon(text: &str) -> String {
    text.split_once(':').map_or(text, |(before, _)| before).to_owned()
}

fn account(record: &Record) -> Option<String> {
    let stated = record.text("userIdentity.accountId");
    let twelve_digits = |id: &String| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
    stated.filter(twelve_digits).or_else(|| arn_field(&arn(record).filter(|arn| arn.starts_with("arn:"))?, 4))
}
