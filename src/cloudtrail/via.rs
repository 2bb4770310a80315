//! Through which AWS service a call came: the one place that decides it.
//!
//! What proves a service is what AWS writes and no caller can, from strong to weak:
//!
//! 1. `userIdentity.invokedBy`: set whenever a service made the call (facts §2.3).
//! 2. The role `aws:ec2-infrastructure`, which does not exist: EBS calls so (facts §2.2).
//! 3. `sourceIPAddress`, where it is a service's name or `AWS Internal` and no address (facts §1.2). Some services leave
//!    `invokedBy` out.
//! 4. `vpcEndpointId`, where it is either of them and no endpoint (facts §1.2).
//!
//! Each of them names the service, or says `AWS Internal` (older: `internal.amazonaws.com`): *some* service. Which one is
//! then told by the encryption context that it set (facts §4.1), and where that does not tell, it stays `AWS Internal`.
//!
//! Nothing else proves anything: a user agent is free to choose, and so is the context of a call that nobody is known
//! to have made for the caller.

use std::borrow::Cow;

use super::columns::Text;

/// What a service is called that does not say its name.
const UNNAMED: &str = "AWS Internal";

/// The service of the role `aws:ec2-infrastructure`.
const EC2: &str = "ec2.amazonaws.com";

/// Who made a call, as far as its record proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker<'a> {
    /// The caller, as far as anyone knows.
    Caller,
    /// An AWS service that does not say which.
    Unnamed,
    /// This AWS service.
    Service(Cow<'a, str>),
}

/// The members of a record that prove a service.
#[derive(Debug, Clone, Copy)]
pub struct Proofs<'r, 'a> {
    /// `userIdentity.invokedBy`
    pub invoked_by: &'r Text<'a>,
    /// Whether the caller is the role by which EBS attaches volumes.
    pub is_ec2_infrastructure: bool,
    /// `sourceIPAddress`
    pub source_ip: &'r Text<'a>,
    /// `vpcEndpointId`
    pub vpc_endpoint_id: &'r Text<'a>,
}

impl<'a> Maker<'a> {
    /// The strongest proof decides.
    #[must_use]
    pub fn of(proofs: Proofs<'_, 'a>) -> Self {
        if let Some(name) = proofs.invoked_by.as_ref().filter(|name| !name.is_empty()) {
            return if is_unnamed(name) { Self::Unnamed } else { Self::Service(name.clone()) };
        }
        if proofs.is_ec2_infrastructure {
            return Self::Service(Cow::Borrowed(EC2));
        }
        let mut places = [proofs.source_ip, proofs.vpc_endpoint_id].into_iter().flatten();
        places.find_map(Self::of_place).unwrap_or(Self::Caller)
    }

    /// What a member shows that holds an address or an endpoint's id when the caller itself calls.
    fn of_place(place: &Cow<'a, str>) -> Option<Self> {
        if is_unnamed(place) {
            Some(Self::Unnamed)
        } else {
            is_service_name(place).then(|| Self::Service(place.clone()))
        }
    }

    /// The service by its name, if it gives one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        if let Self::Service(name) = self { Some(name) } else { None }
    }

    /// The column `via`: `context_service` is the service whose resource the encryption context names.
    #[must_use]
    pub fn via(self, context_service: Text<'a>) -> Text<'a> {
        match self {
            Self::Caller => None,
            Self::Unnamed => Some(context_service.unwrap_or(Cow::Borrowed(UNNAMED))),
            Self::Service(name) => Some(name),
        }
    }
}

/// `AWS Internal`, with or without the number behind a slash that AWS documents for addresses, or its older form.
fn is_unnamed(text: &str) -> bool {
    text == "internal.amazonaws.com"
        || text.strip_prefix(UNNAMED).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A service's DNS name, of any partition (`amazonaws.com`, `amazonaws.com.cn`, `amazonaws.eu`).
fn is_service_name(text: &str) -> bool {
    text.contains(".amazonaws.") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(invoked_by: &'static str, source_ip: &'static str, vpc_endpoint_id: &'static str) -> Maker<'static> {
        let given = |text| Some(Cow::Borrowed(text)).filter(|text: &Cow<'_, str>| !text.is_empty());
        Maker::of(Proofs {
            invoked_by: &given(invoked_by),
            is_ec2_infrastructure: false,
            source_ip: &given(source_ip),
            vpc_endpoint_id: &given(vpc_endpoint_id),
        })
    }

    fn service(name: &'static str) -> Maker<'static> {
        Maker::Service(Cow::Borrowed(name))
    }

    #[test]
    fn only_what_aws_writes_proves_a_service_and_the_strongest_proof_decides() {
        use Maker::{Caller, Unnamed};
        for (invoked_by, source_ip, endpoint, wanted) in [
            ("glue.amazonaws.com", "AWS Internal", "", service("glue.amazonaws.com")),
            ("AWS Internal", "lambda.amazonaws.com", "", Unnamed),
            ("internal.amazonaws.com", "", "", Unnamed),
            ("", "AWS Internal", "", Unnamed),
            ("", "AWS Internal/7", "", Unnamed),
            ("", "internal.amazonaws.com", "", Unnamed),
            ("", "lambda.amazonaws.com", "vpce-1", service("lambda.amazonaws.com")),
            ("", "rds.cn-north-1.amazonaws.com.cn", "", service("rds.cn-north-1.amazonaws.com.cn")),
            ("", "203.0.113.50", "AWS Internal", Unnamed),
            ("", "203.0.113.50", "athena.amazonaws.com", service("athena.amazonaws.com")),
            ("", "203.0.113.50", "vpce-0123456789abcdef0", Caller),
            ("", "2001:db8::1", "", Caller),
            ("", "AWS Internals", "", Caller),
            ("", "aws-internal/3 .amazonaws.com", "", Caller),
            ("", "", "", Caller),
        ] {
            assert_eq!(maker(invoked_by, source_ip, endpoint), wanted, "{invoked_by} {source_ip} {endpoint}");
        }
        let ebs = Proofs {
            invoked_by: &None,
            is_ec2_infrastructure: true,
            source_ip: &Some(Cow::Borrowed(UNNAMED)),
            vpc_endpoint_id: &None,
        };
        assert_eq!(Maker::of(ebs), service(EC2));
    }

    #[test]
    fn a_service_without_a_name_is_named_by_the_context_that_it_set() {
        let context = || Some(Cow::Borrowed("redshift.amazonaws.com"));
        assert_eq!(Maker::Unnamed.via(context()).as_deref(), Some("redshift.amazonaws.com"));
        assert_eq!(Maker::Unnamed.via(None).as_deref(), Some(UNNAMED));
        assert_eq!(Maker::Caller.via(context()), None);
        assert_eq!(service("x.amazonaws.com").via(context()).as_deref(), Some("x.amazonaws.com"));
    }
}
