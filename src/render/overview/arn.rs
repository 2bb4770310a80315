//! What an ARN says of where a resource is, for formats that want it told apart.

/// The parts of an ARN; none where it is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub partition: Option<&'a str>,
    pub region: Option<&'a str>,
    pub account: Option<&'a str>,
    /// What is behind the account.
    pub resource: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub fn of(arn: &'a str) -> Self {
        let mut parts = arn.splitn(6, ':');
        if parts.next() != Some("arn") {
            return Self::default();
        }
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (partition, _service) = (next(), next());
        Self { partition, region: next(), account: next(), resource: next() }
    }
}
