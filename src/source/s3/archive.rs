//! Objects in an archive: what S3 says of them, and the command that takes them out.
//!
//! A listing tells the storage classes that are archives as such, and whether a copy was restored. The archive tiers of
//! Intelligent-Tiering show only when one asks for the object.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::Object;

use crate::shell;

/// What S3 answers who asks for the bytes of an archived object.
pub(super) const INVALID_STATE: &str = "InvalidObjectState";

/// Storage classes whose objects cannot be read as they are. Glacier Instant Retrieval is none of them.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// The archive of an object of Intelligent-Tiering, where only the answer to a request tells of it.
pub const TIER: &str = "INTELLIGENT_TIERING archive tier";

/// The archive that a listed object is in, unless a restored copy of it is there.
pub(super) fn of_listing(object: &Object) -> Option<String> {
    let class = object.storage_class.as_ref()?.as_str();
    let is_restored = object
        .restore_status
        .as_ref()
        .is_some_and(|status| status.is_restore_in_progress != Some(true) && status.restore_expiry_date.is_some());
    (ARCHIVES.contains(&class) && !is_restored).then(|| class.to_owned())
}

/// The same, from the answer about one object.
pub(super) fn of_head(answer: &HeadObjectOutput) -> Option<String> {
    if let Some(tier) = &answer.archive_status {
        return Some(format!("{TIER} {tier}"));
    }
    let class = answer.storage_class.as_ref()?.as_str();
    let is_restored = answer.restore.as_deref().is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
    (ARCHIVES.contains(&class) && !is_restored).then(|| class.to_owned())
}

/// The command that makes an archived object readable for a week; one of Intelligent-Tiering is moved out for good, and
/// takes no number of days.
#[must_use]
pub fn restore_command(uri: &str, class: &str) -> String {
    let (bucket, key) = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).unwrap_or((uri, ""));
    let request = if class.starts_with(TIER) {
        r#"{"GlacierJobParameters":{"Tier":"Standard"}}"#
    } else {
        r#"{"Days":7,"GlacierJobParameters":{"Tier":"Standard"}}"#
    };
    format!("aws s3api restore-object --bucket {bucket} --key {} --restore-request '{request}'", shell::word(key))
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::DateTime;
    use aws_sdk_s3::types::{ArchiveStatus, ObjectStorageClass, RestoreStatus, StorageClass};

    use super::*;

    #[test]
    fn a_listing_tells_archives_and_what_was_restored() {
        let status = |ongoing, until: Option<i64>| {
            let status = RestoreStatus::builder().is_restore_in_progress(ongoing);
            status.set_restore_expiry_date(until.map(DateTime::from_secs)).build()
        };
        let of = |class: &str, status: Option<RestoreStatus>| {
            of_listing(
                &Object::builder().storage_class(ObjectStorageClass::from(class)).set_restore_status(status).build(),
            )
        };
        assert_eq!(of("GLACIER", None).as_deref(), Some("GLACIER"));
        assert_eq!(of("DEEP_ARCHIVE", Some(status(true, None))).as_deref(), Some("DEEP_ARCHIVE"));
        assert_eq!(of("GLACIER", Some(status(false, Some(1_800_000_000)))), None);
        for class in ["STANDARD", "STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "REDUCED_REDUNDANCY"] {
            assert_eq!(of(class, None), None, "{class}");
        }
        assert_eq!(of_listing(&Object::builder().build()), None);
    }

    #[test]
    fn an_answer_about_an_object_tells_the_tiers_too() {
        let glacier = || HeadObjectOutput::builder().storage_class(StorageClass::Glacier);
        assert_eq!(of_head(&glacier().build()).as_deref(), Some("GLACIER"));
        assert!(of_head(&glacier().restore("ongoing-request=\"true\"").build()).is_some());
        let restored = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"";
        assert_eq!(of_head(&glacier().restore(restored).build()), None);
        let tiering = || HeadObjectOutput::builder().storage_class(StorageClass::IntelligentTiering);
        assert_eq!(of_head(&tiering().build()), None);
        let archived = of_head(&tiering().archive_status(ArchiveStatus::DeepArchiveAccess).build());
        assert_eq!(archived.as_deref(), Some("INTELLIGENT_TIERING archive tier DEEP_ARCHIVE_ACCESS"));
    }

    #[test]
    fn the_command_names_the_object_as_a_shell_takes_it() {
        assert_eq!(
            restore_command("s3://b/a/1_x.json.gz", "GLACIER"),
            "aws s3api restore-object --bucket b --key a/1_x.json.gz --restore-request \
             '{\"Days\":7,\"GlacierJobParameters\":{\"Tier\":\"Standard\"}}'"
        );
        let odd = restore_command("s3://b/it's $(x)", TIER);
        assert!(odd.contains(r"--key 'it'\''s $(x)' ") && !odd.contains("Days"), "{odd}");
    }
}
