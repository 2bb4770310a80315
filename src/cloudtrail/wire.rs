//! The record as AWS writes it: structs with AWS's own names, borrowed from the record's bytes.
//!
//! Only what a column needs is named here; everything else is skipped without a copy. Reading is lenient, because a
//! log is evidence and not a request that we may refuse: a member of an unexpected type counts as absent, an unknown
//! member is ignored, and of a repeated member the last one counts, as in every common JSON reader. What does fail is
//! text that is not JSON.
//!
//! Free-form members (`requestParameters`, …) keep their text beside the few members that a column needs: [`Free`].

use std::borrow::Cow;

use super::arn::is_key_arn;
use super::json::{Broken, FromJson, Reader, scalar_text};
use super::redact::compact;

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

impl<'a> FromJson<'a> for Text<'a> {
    #[inline]
    fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
        self.0 = match json.peek()? {
            b'"' => Some(json.string()?),
            b'{' | b'[' => {
                json.skip()?;
                None
            }
            _ => scalar_text(json.scalar()?),
        };
        Ok(())
    }
}

/// A boolean, which AWS writes as `true` or as `"true"` (facts §1.3).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub Option<bool>);

impl<'a> FromJson<'a> for Flag {
    fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
        let mut text = Text::default();
        text.read(json)?;
        self.0 = match text.get() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        Ok(())
    }
}

/// A free-form member: its JSON text, and of it what a column needs.
#[derive(Debug, Default, Clone)]
pub struct Free<'a, T> {
    json: Option<&'a str>,
    /// The members that `T` names.
    pub named: T,
}

impl<'a, T> Free<'a, T> {
    /// The JSON text, unless the member is absent or null.
    pub fn json(&self) -> Option<&'a str> {
        self.json.filter(|json| *json != "null")
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for Free<'a, T> {
    fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
        self.json = Some(json.spelled(|json| self.named.read(json))?);
        Ok(())
    }
}

/// The members of an object as text pairs, for encryption contexts (string to string by KMS's own rule; what is not a
/// string is kept as its JSON text, because nothing of a context may be lost).
#[derive(Debug, Default, Clone)]
pub struct Pairs<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> FromJson<'a> for Pairs<'a> {
    fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
        self.0.clear();
        if json.peek()? != b'{' {
            return json.skip();
        }
        json.members(|json, key| {
            let value = pair_value(json)?;
            self.0.push((key, value));
            Ok(())
        })
    }
}

fn pair_value<'a>(json: &mut Reader<'a>) -> Result<Cow<'a, str>, Broken> {
    if let b'{' | b'[' = json.peek()? {
        return compact(json).map(Cow::Owned);
    }
    let mut text = Text::default();
    text.read(json)?;
    Ok(text.0.unwrap_or_default())
}

macro_rules! wire {
    ($(#[$doc:meta])* $name:ident { $($member:literal => $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone)]
        pub struct $name<'a> {
            $(#[doc = concat!("`", $member, "`")] pub $field: $type,)*
            mark: std::marker::PhantomData<&'a str>,
        }

        impl<'a> FromJson<'a> for $name<'a> {
            fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
                // Of a repeated member nothing stays but the last.
                *self = Self::default();
                if json.peek()? != b'{' {
                    return json.skip();
                }
                json.members(|json, member| match member.as_ref() {
                    $($member => self.$field.read(json),)*
                    _ => json.skip(),
                })
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
        "requestParameters" => request_parameters: Free<'a, KmsRequest<'a>>,
        "responseElements" => response_elements: Free<'a, KmsResponse<'a>>,
        "additionalEventData" => additional_event_data: Free<'a, KmsAdditional<'a>>,
        "serviceEventDetails" => service_event_details: Free<'a, ServiceDetails<'a>>,
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
    SessionIssuer { "arn" => arn: Text<'a>, "principalId" => principal_id: Text<'a>, }
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
    /// What a KMS request names (facts §3.2), and the tags that an STS request gives to a session.
    KmsRequest {
        "keyId" => key_id: Text<'a>,
        "targetKeyId" => target_key_id: Text<'a>,
        "sourceKeyId" => source_key_id: Text<'a>,
        "destinationKeyId" => destination_key_id: Text<'a>,
        "aliasName" => alias_name: Text<'a>,
        "grantId" => grant_id: Text<'a>,
        "principalTags" => principal_tags: Pairs<'a>,
        "incomingTransitiveTags" => incoming_transitive_tags: Pairs<'a>,
        "tags" => tags: Tags<'a>,
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
    /// One entry of `resources`. CloudTrail writes `ARN` (facts §1.2); records that came by way of other tools, and
    /// some of AWS's own examples, have it in lower case.
    Resource { "ARN" => arn: Text<'a>, "arn" => lower_case_arn: Text<'a>, }
}

wire! {
    /// One tag of a list; KMS's own tags have other members and are none.
    Tag { "key" => key: Text<'a>, "value" => value: Text<'a>, }
}

/// A list of tags as pairs, as AssumeRole's request has them.
#[derive(Debug, Default, Clone)]
pub struct Tags<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> FromJson<'a> for Tags<'a> {
    fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
        self.0.clear();
        if json.peek()? != b'[' {
            return json.skip();
        }
        json.elements(|json| {
            let mut tag = Tag::default();
            tag.read(json)?;
            self.0.extend(tag.key.0.map(|key| (key, tag.value.0.unwrap_or_default())));
            Ok(())
        })
    }
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

impl<'a> FromJson<'a> for Resources<'a> {
    fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Broken> {
        *self = Self::default();
        if json.peek()? != b'[' {
            return json.skip();
        }
        let mut first = true;
        json.elements(|json| {
            let mut resource = Resource::default();
            resource.read(json)?;
            let arn = if resource.arn.filled().is_some() { resource.arn } else { resource.lower_case_arn };
            self.add(arn, std::mem::take(&mut first));
            Ok(())
        })
    }
}

impl<'a> Resources<'a> {
    fn add(&mut self, arn: Text<'a>, first: bool) {
        let text = arn.get().unwrap_or_default();
        let wanted = if is_key_arn(text) {
            if self.key.get().is_none() { Some(&mut self.key) } else { Some(&mut self.second_key) }
        } else if text.starts_with("arn:") && text.contains(":alias/") {
            Some(&mut self.alias)
        } else {
            None
        };
        if let Some(wanted) = wanted.filter(|wanted| wanted.get().is_none()) {
            *wanted = arn.clone();
        }
        if first {
            self.first = arn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::from_str;
    use super::*;

    #[test]
    fn members_of_the_wrong_type_are_absent_and_the_rest_is_read() {
        let json = r#"{"userIdentity":7,"eventName":["x"],"awsRegion":"eu-west-1","readOnly":"true","resources":{},
            "recipientAccountId":123456789012,"eventID":"a","eventID":"b","tlsDetails":null}"#;
        let record: Record<'_> = from_str(json).unwrap();
        assert_eq!(record.aws_region.get(), Some("eu-west-1"));
        assert_eq!(record.recipient_account_id.get(), Some("123456789012"));
        assert_eq!((record.event_name.get(), record.event_id.get()), (None, Some("b")));
        assert_eq!(record.read_only, Flag(Some(true)));
    }

    #[test]
    fn the_arn_of_a_resource_is_read_in_lower_case_too() {
        let key = "arn:aws:kms:eu-west-1:111122223333:key/k";
        let json = format!(r#"{{"resources":[{{"arn":"{key}","accountId":"1"}},{{"ARN":"{key}2","arn":"x"}}]}}"#);
        let record: Record<'_> = from_str(&json).unwrap();
        assert_eq!(record.resources.key.get(), Some(key));
        assert_eq!(record.resources.second_key.get(), Some(format!("{key}2").as_str()));
        assert_eq!(record.resources.first.get(), Some(key));
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let record: Record<'_> = from_str(r#"{"eventID":"plain","eventName":"a\u0062"}"#).unwrap();
        assert!(matches!(record.event_id.0, Some(Cow::Borrowed("plain"))));
        assert_eq!(record.event_name.get(), Some("ab"));
    }
}
