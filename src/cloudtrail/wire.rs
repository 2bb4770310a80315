//! The record as AWS writes it: structs with AWS's own names, borrowed from the record's bytes.
//!
//! Only what a column needs is named here; everything else is skipped without a copy. Reading is lenient, because a
//! log is evidence and not a request that we may refuse: a member of an unexpected type counts as absent, an unknown
//! member is ignored, and of a repeated member the last one counts, as in every common JSON reader. What does fail is
//! text that is not JSON.
//!
//! Free-form members (`requestParameters`, …) stay raw here. [`Raw::read`] reads the few that a column needs.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Members of a visitor that make a value of another type count as absent.
macro_rules! other_types_are_absent {
    ($($kind:ident),*) => { $(other_types_are_absent!(@ $kind);)* };
    (@ scalar) => {
        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
        fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
        fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
        fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
    };
    (@ text) => {
        fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
    };
    (@ null) => {
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
    };
    (@ array) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
            while array.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (@ object) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// A scalar as text: a string is itself, numbers and booleans are their value's JSON text, anything else is absent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    /// The text, empty or not.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text, unless it is empty.
    #[must_use]
    pub fn filled(&self) -> Option<&str> {
        self.get().filter(|text| !text.is_empty())
    }

    /// Takes the text out for a column, unless it is empty.
    pub fn take_filled(&mut self) -> Option<Cow<'a, str>> {
        self.0.take().filter(|text| !text.is_empty())
    }

    /// Takes the text out for a column, empty or not.
    pub fn take(&mut self) -> Option<Cow<'a, str>> {
        self.0.take()
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(if value { "true" } else { "false" }))))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(value.to_string()))))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(value.to_string()))))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Text<'de>, E> {
        Ok(Text(serde_json::Number::from_f64(value).map(|number| Cow::Owned(number.to_string()))))
    }

    other_types_are_absent!(null, array, object);
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A boolean, which AWS writes as `true` or as `"true"` (facts §1.3).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub Option<bool>);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Ok(Self(match text.get() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        }))
    }
}

/// A member of any shape, kept as its JSON text.
#[derive(Debug, Default, Clone, Copy)]
pub struct Raw<'a>(Option<&'a RawValue>);

impl<'a> Raw<'a> {
    /// The JSON text, unless the member is absent or null.
    pub fn json(self) -> Option<&'a str> {
        self.0.map(RawValue::get).filter(|json| *json != "null")
    }

    /// Reads the members that `T` names; an absent member reads as if it were an empty object.
    ///
    /// # Errors
    /// When the member's text is no JSON after all: a number that no double holds.
    pub fn read<T: Deserialize<'a> + Default>(self) -> Result<T, serde_json::Error> {
        self.json().map_or_else(|| Ok(T::default()), serde_json::from_str)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(Some(raw)))
    }
}

/// The members of an object as text pairs, for encryption contexts (string to string by KMS's own rule; what is not a
/// string is kept as its JSON text, because nothing of a context may be lost).
#[derive(Debug, Default, Clone)]
pub struct Pairs<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Pairs<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = object.next_entry::<Text<'de>, &'de RawValue>()? {
            let value = pair_value(value.get()).map_err(de::Error::custom)?;
            pairs.push((key.0.unwrap_or_default(), value));
        }
        Ok(Pairs(pairs))
    }

    other_types_are_absent!(scalar, text, null, array);
}

fn pair_value(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    if json.starts_with(['{', '[']) {
        return super::redact::compact(json).map(Cow::Owned);
    }
    let text: Text<'_> = serde_json::from_str(json)?;
    Ok(text.0.unwrap_or_default())
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

macro_rules! wire {
    ($(#[$doc:meta])* $name:ident { $($member:literal => $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone)]
        pub struct $name<'a> {
            $(#[doc = concat!("`", $member, "`")] pub $field: $type,)*
            mark: std::marker::PhantomData<&'a str>,
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> Visitor<'de> for Members {
                    type Value = $name<'de>;

                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str("any JSON value")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                        let mut this = $name::default();
                        while let Some(member) = object.next_key::<Text<'de>>()? {
                            match member.get().unwrap_or_default() {
                                $($member => this.$field = object.next_value()?,)*
                                _ => { object.next_value::<IgnoredAny>()?; }
                            }
                        }
                        Ok(this)
                    }

                    other_types_are_absent!(scalar, text, null, array);
                }
                deserializer.deserialize_any(Members)
            }
        }
    };
}

wire! {
    /// One record (facts §1.2).
    Record {
        "userIdentity" => user_identity: UserIdentity<'a>,
        "eventTime" => event_time: Text<'a>,
        "eventSource" => event_source: Text<'a>,
        "eventName" => event_name: Text<'a>,
        "awsRegion" => aws_region: Text<'a>,
        "sourceIPAddress" => source_ip_address: Text<'a>,
        "userAgent" => user_agent: Text<'a>,
        "errorCode" => error_code: Text<'a>,
        "errorMessage" => error_message: Text<'a>,
        "requestParameters" => request_parameters: Raw<'a>,
        "responseElements" => response_elements: Raw<'a>,
        "additionalEventData" => additional_event_data: Raw<'a>,
        "serviceEventDetails" => service_event_details: Raw<'a>,
        "requestID" => request_id: Text<'a>,
        "eventID" => event_id: Text<'a>,
        "eventType" => event_type: Text<'a>,
        "eventCategory" => event_category: Text<'a>,
        "readOnly" => read_only: Flag,
        "resources" => resources: Resources<'a>,
        "recipientAccountId" => recipient_account_id: Text<'a>,
        "sharedEventID" => shared_event_id: Text<'a>,
        "vpcEndpointId" => vpc_endpoint_id: Text<'a>,
        "tlsDetails" => tls_details: TlsDetails<'a>,
        "addendum" => addendum: Addendum<'a>,
    }
}

wire! {
    /// Who called (facts §2.1).
    UserIdentity {
        "type" => kind: Text<'a>,
        "principalId" => principal_id: Text<'a>,
        "arn" => arn: Text<'a>,
        "accountId" => account_id: Text<'a>,
        "accessKeyId" => access_key_id: Text<'a>,
        "userName" => user_name: Text<'a>,
        "invokedBy" => invoked_by: Text<'a>,
        "sessionContext" => session_context: SessionContext<'a>,
        "onBehalfOf" => on_behalf_of: OnBehalfOf<'a>,
    }
}

wire! {
    /// The session that signed the call.
    SessionContext {
        "sessionIssuer" => session_issuer: SessionIssuer<'a>,
        "attributes" => attributes: SessionAttributes<'a>,
        "sourceIdentity" => source_identity: Text<'a>,
    }
}

wire! {
    /// The role or user that the session was issued for; its ARN keeps the role's path, which the STS ARN drops.
    SessionIssuer { "arn" => arn: Text<'a>, }
}

wire! {
    /// When and how the session was opened.
    SessionAttributes {
        "creationDate" => creation_date: Text<'a>,
        "mfaAuthenticated" => mfa_authenticated: Flag,
    }
}

wire! {
    /// The IAM Identity Center user behind a call.
    OnBehalfOf { "userId" => user_id: Text<'a>, "identityStoreArn" => identity_store_arn: Text<'a>, }
}

wire! {
    /// TLS of the connection; absent when a service called.
    TlsDetails { "tlsVersion" => tls_version: Text<'a>, }
}

wire! {
    /// Why a record was delivered late or again.
    Addendum { "reason" => reason: Text<'a>, "originalEventID" => original_event_id: Text<'a>, }
}

wire! {
    /// What a KMS request names (facts §3.2).
    KmsRequest {
        "keyId" => key_id: Text<'a>,
        "targetKeyId" => target_key_id: Text<'a>,
        "sourceKeyId" => source_key_id: Text<'a>,
        "destinationKeyId" => destination_key_id: Text<'a>,
        "aliasName" => alias_name: Text<'a>,
        "grantId" => grant_id: Text<'a>,
        "encryptionContext" => encryption_context: Pairs<'a>,
        "sourceEncryptionContext" => source_encryption_context: Pairs<'a>,
        "destinationEncryptionContext" => destination_encryption_context: Pairs<'a>,
    }
}

wire! {
    /// What KMS answers, for the operations that log an answer.
    KmsResponse {
        "keyId" => key_id: Text<'a>,
        "keyMetadata" => key_metadata: KeyMetadata<'a>,
        "grantId" => grant_id: Text<'a>,
        "keyMaterialId" => key_material_id: Text<'a>,
    }
}

wire! {
    /// The key that `CreateKey` made.
    KeyMetadata { "arn" => arn: Text<'a>, }
}

wire! {
    /// `additionalEventData` of a KMS event.
    KmsAdditional { "keyMaterialId" => key_material_id: Text<'a>, "grantId" => grant_id: Text<'a>, }
}

wire! {
    /// `serviceEventDetails` of `RotateKey` and `DeleteExpiredKeyMaterial`.
    ServiceDetails { "keyId" => key_id: Text<'a>, "currentKeyMaterialId" => current_key_material_id: Text<'a>, }
}

wire! {
    /// One entry of `resources`.
    Resource { "ARN" => arn: Text<'a>, }
}

/// `resources`, reduced to what the key columns need, so that no list is built per record.
#[derive(Debug, Default, Clone)]
pub struct Resources<'a> {
    /// ARN of the first entry, whatever it is.
    pub first: Text<'a>,
    /// First key ARN.
    pub key: Text<'a>,
    /// Second key ARN: ReEncrypt's destination (facts §3.2.3).
    pub second_key: Text<'a>,
    /// First alias ARN; alias events list key and alias in either order (facts §3.2.4).
    pub alias: Text<'a>,
}

struct ResourcesVisitor;

impl<'de> Visitor<'de> for ResourcesVisitor {
    type Value = Resources<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Resources<'de>, A::Error> {
        let mut this = Resources::default();
        let mut first = true;
        while let Some(resource) = array.next_element::<Resource<'de>>()? {
            let arn = resource.arn;
            let text = arn.get().unwrap_or_default();
            if super::key::is_key_arn(text) {
                if this.key.get().is_none() {
                    this.key = arn.clone();
                } else if this.second_key.get().is_none() {
                    this.second_key = arn.clone();
                }
            } else if text.starts_with("arn:") && text.contains(":alias/") && this.alias.get().is_none() {
                this.alias = arn.clone();
            }
            if std::mem::take(&mut first) {
                this.first = arn;
            }
        }
        Ok(this)
    }

    other_types_are_absent!(scalar, text, null, object);
}

impl<'de: 'a, 'a> Deserialize<'de> for Resources<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ResourcesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_the_wrong_type_are_absent_and_the_rest_is_read() {
        let json = r#"{"userIdentity":7,"eventName":["x"],"awsRegion":"eu-west-1","readOnly":"true","resources":{},
            "recipientAccountId":123456789012,"eventID":"a","eventID":"b","tlsDetails":null}"#;
        let record: Record<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(record.aws_region.get(), Some("eu-west-1"));
        assert_eq!(record.recipient_account_id.get(), Some("123456789012"));
        assert_eq!((record.event_name.get(), record.event_id.get()), (None, Some("b")));
        assert_eq!(record.read_only, Flag(Some(true)));
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let record: Record<'_> = serde_json::from_str(r#"{"eventID":"plain","eventName":"a\u0062"}"#).unwrap();
        assert!(matches!(record.event_id.0, Some(Cow::Borrowed("plain"))));
        assert_eq!(record.event_name.get(), Some("ab"));
    }
}
