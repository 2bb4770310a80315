//! Trails, from CloudTrail (facts §8.2).
//!
//! `DescribeTrails` shows a trail of all Regions in each of them, and an organization's trail in each member account. It
//! is one trail under one ARN, and its home Region is where its status and its selectors are asked for.

use aws_config::SdkConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::types;

use super::ask::{in_region, micros, unknown};
use super::rows::json;
use super::selectors::Selectors;
use super::{Field, Status, Trail, Unknown, Why};

/// The trails that show in the Region that the configuration names, without their status and selectors.
pub(super) async fn described(config: &SdkConfig) -> Result<Vec<Trail>, Unknown> {
    let answer = Client::new(config).describe_trails().include_shadow_trails(true).send().await;
    let answer = answer.map_err(|error| unknown("cloudtrail:DescribeTrails", &error))?;
    Ok(answer.trail_list.unwrap_or_default().into_iter().filter_map(trail).collect())
}

fn trail(trail: types::Trail) -> Option<Trail> {
    let not_asked = |action| Unknown { action, why: Why::Failed, code: "not asked".to_owned(), message: String::new() };
    Some(Trail {
        arn: trail.trail_arn?,
        name: trail.name,
        home_region: trail.home_region,
        is_multi_region: trail.is_multi_region_trail,
        is_organization: trail.is_organization_trail,
        include_global_services: trail.include_global_service_events,
        log_file_validation: trail.log_file_validation_enabled,
        bucket: trail.s3_bucket_name,
        prefix: trail.s3_key_prefix,
        kms_key_id: trail.kms_key_id,
        status: Field::Unknown(not_asked("cloudtrail:GetTrailStatus")),
        selectors: Field::Unknown(not_asked("cloudtrail:GetEventSelectors")),
    })
}

/// The same trail with what its home Region tells of it.
pub(super) async fn complete(config: &SdkConfig, mut trail: Trail) -> Trail {
    let config = match &trail.home_region {
        Some(home) => in_region(config, home),
        None => config.clone(),
    };
    let client = Client::new(&config);
    let (status, selectors) = tokio::join!(
        client.get_trail_status().name(&trail.arn).send(),
        client.get_event_selectors().trail_name(&trail.arn).send(),
    );
    trail.status = match status {
        Ok(answer) => Field::Known(status_of(answer)),
        Err(error) => Field::Unknown(unknown("cloudtrail:GetTrailStatus", &error)),
    };
    trail.selectors = match selectors {
        Ok(answer) => Field::Known(json(&Selectors::from(answer))),
        Err(error) => Field::Unknown(unknown("cloudtrail:GetEventSelectors", &error)),
    };
    trail
}

fn status_of(answer: GetTrailStatusOutput) -> Status {
    Status {
        is_logging: answer.is_logging,
        start_logging_time: answer.start_logging_time.as_ref().map(micros),
        stop_logging_time: answer.stop_logging_time.as_ref().map(micros),
        latest_delivery_time: answer.latest_delivery_time.as_ref().map(micros),
        latest_delivery_error: answer.latest_delivery_error.filter(|error| !error.is_empty()),
        latest_digest_time: answer.latest_digest_delivery_time.as_ref().map(micros),
    }
}
