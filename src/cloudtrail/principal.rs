//! Who called: a stable identity for every kind of `userIdentity` (facts §2.2).
//!
//! The identity is decided from the ARN before `type`, because AWS's own records show `type: "IAMUser"` beside the ARN
//! of a role session. A session is an attribute, never the identity: a role is one principal however many sessions it
//! has, and its ARN comes from `sessionIssuer`, which keeps the role's path where the STS ARN drops it.
//!
//! Whoever is told by anything at all has a principal: what its kind should have, else any ARN of the record, else an id
//! as the record spells it (`known_by`). A null principal means that the record names nobody.

use std::borrow::Cow;

use super::arn::{Arn, part};
use super::columns::Text;
use super::wire::UserIdentity;

/// EBS decrypts volumes as a session of this role, which does not exist (facts §2.2, synthetic principals).
const EC2_INFRASTRUCTURE: &str = "aws:ec2-infrastructure";

/// The principal of EBS's own decrypts.
pub const EC2_INFRASTRUCTURE_PRINCIPAL: &str = "service:ec2-infrastructure";

/// What a `userIdentity` says, one field per column.
#[derive(Debug, Default, PartialEq)]
pub struct Caller<'a> {
    /// `principal`
    pub principal: Text<'a>,
    /// `principal_type`
    pub kind: Text<'a>,
    /// `principal_id`
    pub id: Text<'a>,
    /// `principal_inferred`
    pub inferred: Option<bool>,
    /// `principal_account_id`
    pub account_id: Text<'a>,
    /// `session_name`
    pub session_name: Text<'a>,
    /// `session_arn`
    pub session_arn: Text<'a>,
}

/// The kinds that an ARN alone tells.
fn kind_of_arn(arn: &str) -> Option<&'static str> {
    let fields = Arn::new(arn)?;
    let resource = fields.resource()?;
    match fields.service()? {
        // STS knows roles only by their sessions; Glue and others leave the session out (`…:role/NAME`).
        "sts" if resource.starts_with("assumed-role/") || resource.starts_with("role/") => Some("AssumedRole"),
        "sts" if resource.starts_with("federated-user/") => Some("FederatedUser"),
        "iam" if resource.starts_with("role/") => Some("Role"),
        "iam" if resource.starts_with("user/") => Some("IAMUser"),
        "iam" if resource == "root" => Some("Root"),
        _ => None,
    }
}

impl<'a> Caller<'a> {
    /// Reads the caller of a record. `partition` tells of which partition the record is, for what has no ARN.
    #[must_use]
    pub fn of(identity: &mut UserIdentity<'a>, partition: impl FnOnce() -> String) -> Self {
        let arn = identity.arn.take_filled();
        let typed = identity.kind.filled().is_some();
        let kind = Self::kind(arn.as_deref(), identity);
        let mut this = Self { account_id: account(arn.as_deref(), identity), ..Self::default() };
        match kind.as_ref() {
            "AssumedRole" => this.assumed_role(arn.clone(), identity),
            "FederatedUser" => this.federated_user(arn.clone(), identity),
            "Root" => this.principal = arn.clone().or_else(|| root(identity, partition)),
            "AWSAccount" => this.account(identity),
            "AWSService" => this.principal = service(identity, typed),
            "IdentityCenterUser" => this.principal = identity_center(identity),
            "SAMLUser" => this.principal = named("saml", identity),
            "WebIdentityUser" => this.principal = named("web", identity),
            _ => {}
        }
        if this.id.is_none() {
            this.id = identity.principal_id.take_filled();
        }
        if this.principal.is_none() {
            this.principal = known_by(arn, this.id.clone(), identity);
        }
        if this.principal.is_some() && this.inferred.is_none() {
            this.inferred = Some(false);
        }
        this.kind = Some(kind);
        this
    }

    fn kind(arn: Option<&str>, identity: &mut UserIdentity<'a>) -> Cow<'a, str> {
        if let Some(kind) = arn.and_then(kind_of_arn) {
            return Cow::Borrowed(kind);
        }
        let missing = if identity.invoked_by.filled().is_some() { "AWSService" } else { "Unknown" };
        identity.kind.take_filled().unwrap_or(Cow::Borrowed(missing))
    }

    fn assumed_role(&mut self, arn: Text<'a>, identity: &mut UserIdentity<'a>) {
        let by_id = || identity.principal_id.get().and_then(|id| id.split_once(':')).map(|(_, name)| owned(name));
        let is_session = arn.as_deref().and_then(sts_role).is_none();
        self.session_name = match &arn {
            Some(arn) if is_session => part(arn, |arn| Some(role_and_session(arn)?.1)),
            _ => by_id(),
        };
        self.id = identity.principal_id.take_filled().map(|id| without_session(id, self.session_name.as_deref()));
        self.principal =
            if arn.as_deref().and_then(role_and_session).is_some_and(|(role, _)| role == EC2_INFRASTRUCTURE) {
                Some(Cow::Borrowed(EC2_INFRASTRUCTURE_PRINCIPAL))
            } else if let Some(role) = identity.session_context.session_issuer.arn.take_filled() {
                Some(role)
            } else {
                let rebuilt = arn.as_deref().and_then(role_of_session);
                self.inferred = rebuilt.is_some().then_some(true);
                rebuilt.map(Cow::Owned)
            };
        self.session_arn = arn.filter(|_| is_session);
    }

    fn federated_user(&mut self, arn: Text<'a>, identity: &mut UserIdentity<'a>) {
        let issuer = identity.session_context.session_issuer.arn.clone().take_filled();
        self.principal = match (&arn, issuer) {
            (Some(arn), Some(issuer)) => Some(Cow::Owned(format!("{arn}|{issuer}"))),
            (arn, _) => arn.clone(),
        };
        self.session_arn = arn;
    }

    /// A caller of another account, of which only account and id are told; its twin tells the rest.
    fn account(&mut self, identity: &mut UserIdentity<'a>) {
        let id = identity.principal_id.take_filled();
        self.session_name = id.as_deref().and_then(|id| id.split_once(':')).map(|(_, name)| owned(name));
        self.id = id.map(|id| without_session(id, None));
        let id = self.id.as_deref().unwrap_or_default();
        self.principal = identity.account_id.filled().map(|account| Cow::Owned(format!("acct:{account}/{id}")));
    }
}

fn owned<'a>(text: &str) -> Cow<'a, str> {
    Cow::Owned(text.to_owned())
}

fn account<'a>(arn: Option<&str>, identity: &mut UserIdentity<'a>) -> Text<'a> {
    let is_account = |text: &&str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if identity.account_id.get().as_ref().is_some_and(is_account) {
        return identity.account_id.clone().take();
    }
    arn.and_then(Arn::new).and_then(Arn::account).map(owned)
}

fn root<'a>(identity: &UserIdentity<'a>, partition: impl FnOnce() -> String) -> Text<'a> {
    identity.account_id.filled().map(|account| Cow::Owned(format!("arn:{}:iam::{account}:root", partition())))
}

fn service<'a>(identity: &UserIdentity<'a>, typed: bool) -> Text<'a> {
    let host = identity.invoked_by.filled()?;
    // KMS's own events have no type at all (facts §2.2).
    if host == "AWS Internal" && !typed {
        return Some(Cow::Borrowed("service:kms-internal"));
    }
    Some(Cow::Owned(format!("service:{host}")))
}

fn identity_center<'a>(identity: &UserIdentity<'a>) -> Text<'a> {
    let user = identity.on_behalf_of.user_id.filled()?;
    let store = identity.on_behalf_of.identity_store_arn.filled()?;
    Some(Cow::Owned(format!("idc:{store}/{user}")))
}

fn named<'a>(prefix: &str, identity: &UserIdentity<'a>) -> Text<'a> {
    let name = identity.principal_id.filled().or(identity.user_name.filled())?;
    Some(Cow::Owned(format!("{prefix}:{name}")))
}

/// Who it is when the record lacks what tells its kind of caller: an ARN, whatever it names; the unique id, of a
/// session without the session; a name; the person it is for; or, of what is known by account and access key alone, these.
fn known_by<'a>(arn: Text<'a>, id: Text<'a>, identity: &UserIdentity<'a>) -> Text<'a> {
    let issuer = &identity.session_context.session_issuer;
    let names = [&issuer.arn, &issuer.principal_id, &identity.user_name];
    let key = || {
        let (account, key) = (identity.account_id.filled()?, identity.access_key_id.filled()?);
        Some(Cow::Owned(format!("acct:{account}/{key}")))
    };
    arn.or(id)
        .or_else(|| names.into_iter().find_map(|name| name.clone().take_filled()))
        .or_else(|| identity_center(identity))
        .or_else(key)
}

/// Role and session name of `arn:…:assumed-role/Role/Session`.
fn role_and_session(arn: &str) -> Option<(&str, &str)> {
    Arn::new(arn)?.resource()?.strip_prefix("assumed-role/")?.split_once('/')
}

/// The role of `arn:…:sts::…:role/Role`, which names no session.
fn sts_role(arn: &str) -> Option<&str> {
    let fields = Arn::new(arn).filter(|fields| fields.service() == Some("sts"))?;
    fields.resource()?.strip_prefix("role/")
}

/// The role ARN that an STS ARN implies; its path is not known.
fn role_of_session(arn: &str) -> Option<String> {
    let fields = Arn::new(arn)?;
    let of_session = || fields.resource()?.strip_prefix("assumed-role/")?.split('/').next();
    let role = sts_role(arn).or_else(of_session).filter(|role| !role.is_empty())?;
    Some(format!("arn:{}:iam::{}:role/{role}", fields.partition()?, fields.account()?))
}

fn without_session<'a>(id: Cow<'a, str>, session: Option<&str>) -> Cow<'a, str> {
    let ends = session.and_then(|name| id.strip_suffix(name)?.strip_suffix(':')).map(str::len);
    let end = ends.or_else(|| id.find(':')).unwrap_or(id.len());
    match id {
        Cow::Borrowed(id) => Cow::Borrowed(&id[..end]),
        Cow::Owned(mut id) => {
            id.truncate(end);
            Cow::Owned(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::from_str;
    use super::*;

    fn principal(json: &str) -> (String, String, Option<bool>) {
        let mut identity: UserIdentity<'_> = from_str(json).unwrap();
        let caller = Caller::of(&mut identity, || "aws".to_owned());
        (caller.principal.unwrap().into_owned(), caller.kind.unwrap().into_owned(), caller.inferred)
    }

    #[test]
    fn every_type_has_a_stable_identity() {
        let role = r#"{"type":"AssumedRole","principalId":"AROA1:s","arn":"arn:aws:sts::1:assumed-role/R/s",
            "sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:role/path/R"}}}"#;
        let cases = [
            (role, "arn:aws:iam::1:role/path/R", "AssumedRole"),
            (r#"{"type":"Root","accountId":"1"}"#, "arn:aws:iam::1:root", "Root"),
            (r#"{"type":"IAMUser","arn":"arn:aws:iam::1:user/p/u"}"#, "arn:aws:iam::1:user/p/u", "IAMUser"),
            (r#"{"type":"IAMUser","arn":"arn:aws:iam::1:role/R"}"#, "arn:aws:iam::1:role/R", "Role"),
            (
                r#"{"type":"FederatedUser","arn":"arn:aws:sts::1:federated-user/f","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:user/u"}}}"#,
                "arn:aws:sts::1:federated-user/f|arn:aws:iam::1:user/u",
                "FederatedUser",
            ),
            (r#"{"type":"AWSAccount","accountId":"2","principalId":"AROA2:s"}"#, "acct:2/AROA2", "AWSAccount"),
            (
                r#"{"type":"AWSService","invokedBy":"cloudtrail.amazonaws.com"}"#,
                "service:cloudtrail.amazonaws.com",
                "AWSService",
            ),
            (r#"{"accountId":"1","invokedBy":"AWS Internal"}"#, "service:kms-internal", "AWSService"),
            (
                r#"{"type":"IdentityCenterUser","onBehalfOf":{"userId":"u","identityStoreArn":"arn:s"}}"#,
                "idc:arn:s/u",
                "IdentityCenterUser",
            ),
        ];
        for (json, expected, kind) in cases {
            assert_eq!(principal(json), (expected.to_owned(), kind.to_owned(), Some(false)), "{json}");
        }
    }

    #[test]
    fn a_session_without_its_issuer_is_rebuilt_and_says_so() {
        let json = r#"{"type":"IAMUser","arn":"arn:aws:sts::1:assumed-role/R/s"}"#;
        assert_eq!(principal(json), ("arn:aws:iam::1:role/R".into(), "AssumedRole".into(), Some(true)));
    }

    #[test]
    fn ebs_attach_is_the_service_and_names_the_instance() {
        let json = r#"{"type":"AssumedRole","principalId":"1:aws:ec2-infrastructure:i-1","accessKeyId":"",
            "arn":"arn:aws:sts::1:assumed-role/aws:ec2-infrastructure/i-1"}"#;
        let caller = Caller::of(&mut from_str(json).unwrap(), || "aws".to_owned());
        assert_eq!(caller.principal.as_deref(), Some(EC2_INFRASTRUCTURE_PRINCIPAL));
        assert_eq!(caller.session_name.as_deref(), Some("i-1"));
        assert_eq!(caller.id.as_deref(), Some("1:aws:ec2-infrastructure"));
    }

    #[test]
    fn root_without_an_arn_is_of_the_partition_of_the_record() {
        let mut identity: UserIdentity<'_> = from_str(r#"{"type":"Root","accountId":"1"}"#).unwrap();
        let caller = Caller::of(&mut identity, || "aws-iso-b".to_owned());
        assert_eq!(caller.principal.as_deref(), Some("arn:aws-iso-b:iam::1:root"));
    }

    #[test]
    fn nobody_is_null_who_is_told_by_anything() {
        let role = r#"{"type":"AssumedRole","arn":"arn:aws-cn:sts::1:role/CatalogRole","accountId":"1"}"#;
        let wanted = ("arn:aws-cn:iam::1:role/CatalogRole".into(), "AssumedRole".into(), Some(true));
        assert_eq!(principal(role), wanted);
        for (json, wanted) in [
            (r#"{"type":"AssumedRole","principalId":"AROA1:s9","accountId":"1"}"#, "AROA1"),
            (
                r#"{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/","principalId":"AROA1:s"}"#,
                "arn:aws:sts::1:assumed-role/",
            ),
            (r#"{"type":"AssumedRole","sessionContext":{"sessionIssuer":{"principalId":"AROA1"}}}"#, "AROA1"),
            (r#"{"type":"FederatedUser","principalId":"1:bob","accountId":"1"}"#, "1:bob"),
            (
                r#"{"type":"FederatedUser","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:user/u"}}}"#,
                "arn:aws:iam::1:user/u",
            ),
            (r#"{"type":"Root","principalId":"1"}"#, "1"),
            (r#"{"type":"AWSAccount","principalId":"AIDA1"}"#, "AIDA1"),
            (r#"{"type":"AWSService","principalId":"x"}"#, "x"),
            (r#"{"type":"IdentityCenterUser","principalId":"x:u"}"#, "x:u"),
            (r#"{"type":"SAMLUser","arn":"arn:x"}"#, "arn:x"),
            (r#"{"type":"Unknown","userName":"u"}"#, "u"),
            (r#"{"onBehalfOf":{"userId":"u","identityStoreArn":"arn:s"}}"#, "idc:arn:s/u"),
            (r#"{"type":"IAMUser","accountId":"1","accessKeyId":"AKIA1"}"#, "acct:1/AKIA1"),
        ] {
            assert_eq!(principal(json).0, wanted, "{json}");
        }
        let mut nobody: UserIdentity<'_> = from_str(r#"{"type":"IAMUser","accountId":"1"}"#).unwrap();
        assert_eq!(Caller::of(&mut nobody, || "aws".to_owned()).principal, None);
    }

    #[test]
    fn a_role_that_sts_names_without_a_session_has_its_session_from_the_id() {
        let json = r#"{"type":"AssumedRole","principalId":"AROA1:s","arn":"arn:aws:sts::1:role/path/R"}"#;
        let caller = Caller::of(&mut from_str(json).unwrap(), || "aws".to_owned());
        assert_eq!(caller.principal.as_deref(), Some("arn:aws:iam::1:role/path/R"));
        assert_eq!((caller.session_name.as_deref(), caller.session_arn), (Some("s"), None));
        assert_eq!(caller.id.as_deref(), Some("AROA1"));
    }
}
