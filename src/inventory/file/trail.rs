//! One trail's members, likewise.

use super::super::rows::json;
use super::super::selectors::Selectors;
use super::super::{Field, Status, Trail, Unknown};
use super::members::Members;
use super::names;

/// Reads a trail.
///
/// # Errors
/// When a member is not what it should be, or is none at all but nearly spelt like one.
pub(super) fn trail(members: &Members) -> Result<Trail, String> {
    let arn: String = members.take("TrailARN")?.ok_or("it has no `TrailARN`")?;
    members.spelt(&names::TRAIL)?;
    let status = Status {
        is_logging: members.take("IsLogging")?,
        start_logging_time: members.time("StartLoggingTime")?,
        stop_logging_time: members.time("StopLoggingTime")?,
        latest_delivery_time: members.time("LatestDeliveryTime")?,
        latest_delivery_error: members.take("LatestDeliveryError")?.filter(|error: &String| !error.is_empty()),
        latest_digest_time: members.time("LatestDigestDeliveryTime")?,
    };
    let is_selected = members.has_any(&["EventSelectors", "AdvancedEventSelectors"]);
    let selectors = Selectors {
        event_selectors: members.take("EventSelectors")?,
        advanced_event_selectors: members.take("AdvancedEventSelectors")?,
    };
    Ok(Trail {
        name: members.take("Name")?,
        home_region: members.take("HomeRegion")?,
        is_multi_region: members.take("IsMultiRegionTrail")?,
        is_organization: members.take("IsOrganizationTrail")?,
        include_global_services: members.take("IncludeGlobalServiceEvents")?,
        log_file_validation: members.take("LogFileValidationEnabled")?,
        bucket: members.take("S3BucketName")?,
        prefix: members.take("S3KeyPrefix")?,
        kms_key_id: members.take("KmsKeyId")?,
        status: match status.is_logging {
            Some(_) => Field::Known(status),
            None => Field::Unknown(Unknown::not_given("cloudtrail:GetTrailStatus")),
        },
        selectors: if is_selected {
            Field::Known(json(&selectors.without_empty_lists()))
        } else {
            Field::Unknown(Unknown::not_given("cloudtrail:GetEventSelectors"))
        },
        arn,
    })
}
