//! The members that every CloudTrail record has, in the order in which CloudTrail writes them (facts §1.2).
//!
//! A writer calls [`Event::begin`], then writes `requestParameters` and `responseElements`, then [`Event::middle`], then
//! `resources`, then [`Event::end`]. It refuses to know any service.

use super::clock::Seconds;
use super::dice::{Dice, Guid};
use super::identity::{Kind, Principal};
use super::record::Record;

pub(super) const KMS: &str = "kms.amazonaws.com";

/// The frame of a record.
#[derive(Clone, Debug)]
pub(super) struct Event<'a> {
    pub(super) version: &'a str,
    pub(super) at: Seconds,
    pub(super) source: &'a str,
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) recipient: &'a str,
    pub(super) principal: &'a Principal,
    /// Write the identity as another account sees it: `AWSAccount`.
    pub(super) foreign: bool,
    pub(super) invoked_by: Option<&'a str>,
    pub(super) user_agent: &'a str,
    pub(super) error: Option<(&'a str, &'a str)>,
    pub(super) read_only: bool,
    pub(super) id: Guid,
    /// None for an `AwsServiceEvent`: nobody asked for it.
    pub(super) request: Option<Guid>,
    pub(super) shared: Option<Guid>,
    /// Delivered late, and says so in an `addendum`.
    pub(super) late: bool,
}

impl<'a> Event<'a> {
    /// A management event that the principal caused itself, in its own account.
    pub(super) fn direct(principal: &'a Principal, source: &'a str, name: &'a str, dice: &mut Dice) -> Self {
        Self {
            version: dice.pick::<&str>(&["1.11", "1.11", "1.11", "1.10", "1.09", "1.08"]),
            at: 0,
            source,
            name,
            region: "",
            recipient: &principal.account_id,
            principal,
            foreign: false,
            invoked_by: None,
            user_agent: &principal.user_agent,
            error: None,
            read_only: true,
            id: dice.guid(),
            request: Some(dice.guid()),
            shared: None,
            late: false,
        }
    }

    pub(super) fn at(self, at: Seconds, region: &'a str) -> Self {
        Self { at, region, ..self }
    }

    pub(super) fn write(self) -> Self {
        Self { read_only: false, ..self }
    }

    fn is_old(&self) -> bool {
        self.version == "1.02"
    }

    /// The host that stands where the client's address and agent would be.
    fn acting_host(&self) -> Option<&str> {
        match self.principal.kind {
            Kind::Service(host) => Some(host),
            Kind::KmsInternal => Some("AWS Internal"),
            _ => self.invoked_by,
        }
    }

    pub(super) fn begin(&self, record: &mut Record) {
        record.open();
        record.text("eventVersion", self.version);
        if self.foreign {
            self.principal.write_as_foreigner(record, self.invoked_by);
        } else {
            self.principal.write(record, self.invoked_by);
        }
        record.instant("eventTime", self.at);
        record.text("eventSource", self.source);
        record.text("eventName", self.name);
        record.text("awsRegion", self.region);
        let host = self.acting_host();
        record.text("sourceIPAddress", host.unwrap_or(&self.principal.source_ip));
        record.text("userAgent", host.unwrap_or(self.user_agent));
        if let Some((code, message)) = self.error {
            record.text("errorCode", code);
            if !message.is_empty() {
                record.text("errorMessage", message);
            }
        }
    }

    pub(super) fn middle(&self, record: &mut Record) {
        if let Some(request) = self.request {
            record.guid("requestID", request);
        }
        record.guid("eventID", self.id);
        record.flag("readOnly", self.read_only);
    }

    pub(super) fn end(&self, record: &mut Record) {
        record.text("eventType", if self.request.is_none() { "AwsServiceEvent" } else { "AwsApiCall" });
        if !self.is_old() {
            record.flag("managementEvent", true);
        }
        record.text("recipientAccountId", self.recipient);
        if let Some(shared) = self.shared {
            record.guid("sharedEventID", shared);
        }
        let direct = self.acting_host().is_none() && !self.is_old();
        if let Some(endpoint) = self.principal.vpc_endpoint.as_deref().filter(|_| direct) {
            record.text("vpcEndpointId", endpoint);
            record.text("vpcEndpointAccountId", &self.principal.account_id);
        }
        if !self.is_old() {
            record.text("eventCategory", "Management");
        }
        if self.late {
            record.open_in("addendum");
            record.text("reason", "DELIVERY_DELAY");
            record.close();
        }
        if direct && self.request.is_some() {
            self.write_tls(record);
        }
        if direct && self.principal.kind == Kind::ConsoleUser {
            record.text("sessionCredentialFromConsole", "true");
        }
        record.close();
    }

    fn write_tls(&self, record: &mut Record) {
        record.open_in("tlsDetails");
        record.text("tlsVersion", "TLSv1.3");
        record.text("cipherSuite", "TLS_AES_128_GCM_SHA256");
        record.text_of("clientProvidedHostHeader", |t| {
            let service = self.source.strip_suffix(".amazonaws.com").unwrap_or(self.source);
            t.push(service).push(".").push(self.region).push(".amazonaws.com");
        });
        if self.version == "1.11" {
            record.text("keyExchange", "X25519MLKEM768");
        }
        record.close();
    }
}
