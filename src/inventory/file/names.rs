//! The names that members have, AWS's own included that keytrail has no use for, so that a slip of the pen is told from a
//! member that is new.
//!
//! A name that is unknown and far from every known one is let pass: AWS adds members. One that is nearly known is an
//! error, because the entry would lose what it says without a word.

use serde_json::Value;
use serde_json::value::RawValue;

/// Letters that may be wrong, missing, too many or in the other order.
const SLIPS_MAX: usize = 2;

/// The names of an object's members, and what is within some of them.
pub(super) struct Spelling {
    names: &'static [&'static str],
    within: &'static [(&'static str, &'static Spelling)],
}

pub(super) static KEY: Spelling = Spelling {
    names: &[
        "Arn",
        "KeyArn",
        "KeyId",
        "AWSAccountId",
        "CreationDate",
        "Enabled",
        "Description",
        "KeyUsage",
        "KeyState",
        "DeletionDate",
        "ValidTo",
        "Origin",
        "CustomKeyStoreId",
        "CloudHsmClusterId",
        "ExpirationModel",
        "KeyManager",
        "CustomerMasterKeySpec",
        "KeySpec",
        "EncryptionAlgorithms",
        "SigningAlgorithms",
        "KeyAgreementAlgorithms",
        "EncapsulationAlgorithms",
        "MultiRegion",
        "MultiRegionConfiguration",
        "PendingDeletionWindowInDays",
        "MacAlgorithms",
        "XksKeyConfiguration",
        "CurrentKeyMaterialId",
        "KeyMetadata",
        "Aliases",
        "Tags",
        "RotationEnabled",
        "KeyRotationEnabled",
        "RotationPeriodInDays",
        "NextRotationDate",
        "OnDemandRotationStartDate",
        "Policy",
        "PolicyName",
        "Grants",
        "LastUsage",
    ],
    within: &[("Aliases", &ALIAS), ("Grants", &GRANT), ("LastUsage", &LAST_USAGE), ("MultiRegionConfiguration", &SET)],
};

static ALIAS: Spelling =
    Spelling { names: &["AliasName", "AliasArn", "TargetKeyId", "CreationDate", "LastUpdatedDate"], within: &[] };

static GRANT: Spelling = Spelling {
    names: &[
        "KeyId",
        "GrantId",
        "Name",
        "CreationDate",
        "GranteePrincipal",
        "RetiringPrincipal",
        "IssuingAccount",
        "Operations",
        "Constraints",
        "GranteeServicePrincipal",
        "RetiringServicePrincipal",
    ],
    within: &[("Constraints", &CONSTRAINTS)],
};

static CONSTRAINTS: Spelling =
    Spelling { names: &["EncryptionContextSubset", "EncryptionContextEquals", "SourceArn"], within: &[] };

static LAST_USAGE: Spelling = Spelling {
    names: &[
        "KeyId",
        "KeyLastUsage",
        "TrackingStartDate",
        "KeyCreationDate",
        "Operation",
        "Timestamp",
        "CloudTrailEventId",
        "KmsRequestId",
    ],
    within: &[("KeyLastUsage", &LAST_USE)],
};

static LAST_USE: Spelling =
    Spelling { names: &["Operation", "Timestamp", "CloudTrailEventId", "KmsRequestId"], within: &[] };

static SET: Spelling = Spelling {
    names: &["MultiRegionKeyType", "PrimaryKey", "ReplicaKeys"],
    within: &[("PrimaryKey", &SET_KEY), ("ReplicaKeys", &SET_KEY)],
};

static SET_KEY: Spelling = Spelling { names: &["Arn", "Region"], within: &[] };

pub(super) static TRAIL: Spelling = Spelling {
    names: &[
        "TrailARN",
        "Name",
        "S3BucketName",
        "S3KeyPrefix",
        "SnsTopicName",
        "SnsTopicARN",
        "IncludeGlobalServiceEvents",
        "IsMultiRegionTrail",
        "HomeRegion",
        "LogFileValidationEnabled",
        "CloudWatchLogsLogGroupArn",
        "CloudWatchLogsRoleArn",
        "KmsKeyId",
        "HasCustomEventSelectors",
        "HasInsightSelectors",
        "IsOrganizationTrail",
        "RecursiveLogging",
        "IsLogging",
        "LatestDeliveryError",
        "LatestNotificationError",
        "LatestDeliveryTime",
        "LatestNotificationTime",
        "StartLoggingTime",
        "StopLoggingTime",
        "LatestCloudWatchLogsDeliveryError",
        "LatestCloudWatchLogsDeliveryTime",
        "LatestDigestDeliveryTime",
        "LatestDigestDeliveryError",
        "LatestDeliveryAttemptTime",
        "LatestNotificationAttemptTime",
        "LatestNotificationAttemptSucceeded",
        "LatestDeliveryAttemptSucceeded",
        "TimeLoggingStarted",
        "TimeLoggingStopped",
        "EventSelectors",
        "AdvancedEventSelectors",
    ],
    within: &[("EventSelectors", &BASIC), ("AdvancedEventSelectors", &ADVANCED)],
};

static BASIC: Spelling = Spelling {
    names: &["ReadWriteType", "IncludeManagementEvents", "DataResources", "ExcludeManagementEventSources"],
    within: &[],
};

static ADVANCED: Spelling = Spelling { names: &["Name", "FieldSelectors"], within: &[("FieldSelectors", &CONDITION)] };

static CONDITION: Spelling = Spelling {
    names: &["Field", "Equals", "StartsWith", "EndsWith", "NotEquals", "NotStartsWith", "NotEndsWith"],
    within: &[],
};

/// The members of a file as a whole, and of what the `aws` command line prints.
pub(super) static WHOLE: Spelling = Spelling {
    names: &[
        "Keys",
        "Trails",
        "trailList",
        "Trail",
        "KeyMetadata",
        "Aliases",
        "Grants",
        "Policy",
        "PolicyName",
        "Tags",
        "KeyRotationEnabled",
        "KeyLastUsage",
        "TrackingStartDate",
        "IsLogging",
        "EventSelectors",
        "AdvancedEventSelectors",
        "Truncated",
        "NextMarker",
        "NextToken",
        "PolicyNames",
        "Rotations",
    ],
    within: &[],
};

impl Spelling {
    /// Looks at a member's name, and at those within it.
    ///
    /// # Errors
    /// With the name that was probably meant.
    pub fn check(&self, name: &str, raw: &RawValue) -> Result<(), String> {
        self.name(name)?;
        let Some((_, within)) = self.within.iter().find(|(known, _)| *known == name) else { return Ok(()) };
        // What is no JSON at all, or of another form, is told by who reads it.
        serde_json::from_str(raw.get())
            .map_or(Ok(()), |value| within.value(&value))
            .map_err(|why| format!("{name}: {why}"))
    }

    fn value(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::Array(list) => list.iter().try_for_each(|each| self.value(each)),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                self.name(name)?;
                let within = self.within.iter().find(|(known, _)| known == name);
                within.map_or(Ok(()), |(_, within)| within.value(value)).map_err(|why| format!("{name}: {why}"))
            }),
            _ => Ok(()),
        }
    }

    fn name(&self, name: &str) -> Result<(), String> {
        match self.meant(name) {
            Some(meant) => Err(format!("there is no `{name}`; did you mean `{meant}`?")),
            None => Ok(()),
        }
    }

    /// The name that was probably meant by one that is none.
    pub fn meant(&self, name: &str) -> Option<&'static str> {
        if self.names.contains(&name) {
            return None;
        }
        let plain = |name: &str| name.replace(['_', '-', ' '], "").to_ascii_lowercase();
        let wrong = plain(name);
        let near = self.names.iter().map(|known| (slips(&wrong, &plain(known)), *known));
        let (slips, meant) = near.min_by_key(|(slips, _)| *slips)?;
        // Of a short word, two letters are too much of it.
        (slips <= SLIPS_MAX.min(meant.len() / 4)).then_some(meant)
    }
}

/// How many slips make one word of another: a letter more, less or instead, or two neighbours in the other order.
fn slips(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for at in 1..=one.len() {
        let mut row = vec![at];
        for to in 1..=other.len() {
            let is_other = usize::from(one[at - 1] != other[to - 1]);
            let mut least = (rows[at - 1][to] + 1).min(row[to - 1] + 1).min(rows[at - 1][to - 1] + is_other);
            if at > 1 && to > 1 && one[at - 1] == other[to - 2] && one[at - 2] == other[to - 1] {
                least = least.min(rows[at - 2][to - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_told_from_a_member_that_is_new() {
        for (name, meant) in [
            ("Enabld", "Enabled"),
            ("KeyStat", "KeyState"),
            ("keyState", "KeyState"),
            ("key_state", "KeyState"),
            ("Polciy", "Policy"),
            ("Grant", "Grants"),
            ("LastUsge", "LastUsage"),
            ("arn", "Arn"),
            ("RotationEnabld", "RotationEnabled"),
        ] {
            assert_eq!(KEY.meant(name), Some(meant), "{name}");
        }
        for name in ["Newcomer", "Later", "Owner", "Team", "Note", "Arns2", "KeyMaterialState"] {
            assert_eq!(KEY.meant(name), None, "{name}");
        }
    }

    #[test]
    fn members_within_members_are_looked_at_too() {
        let check = |name: &str, json: &str| {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            KEY.check(name, &raw)
        };
        let why = check("Grants", r#"[{"GranteePrincpal":"x","Constraints":{}}]"#).unwrap_err();
        assert_eq!(why, "Grants: there is no `GranteePrincpal`; did you mean `GranteePrincipal`?");
        let why = check("Grants", r#"[{"Constraints":{"EncryptionContextSubst":{}}}]"#).unwrap_err();
        assert!(why.starts_with("Grants: Constraints: there is no `EncryptionContextSubst`"), "{why}");
        // What a context or a tag is called is nobody's to spell.
        assert_eq!(check("Grants", r#"[{"Constraints":{"EncryptionContextSubset":{"SourceAn":"x"}}}]"#), Ok(()));
        assert_eq!(check("Tags", r#"{"AliasNam":"x"}"#), Ok(()));
    }
}
