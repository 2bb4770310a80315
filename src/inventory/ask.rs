//! What every question to AWS has in common: where it goes, and what its failure means.

use std::error::Error;
use std::sync::atomic::AtomicU64;

use aws_config::retry::RetryConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::DateTime;

use super::time::Time;
use super::{Unknown, Why};
use crate::source::aws::told;

/// How far a run has come.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the fields say what they count")]
pub struct Progress {
    pub keys_listed: AtomicU64,
    pub keys_read: AtomicU64,
}

/// The same configuration in another Region.
pub(super) fn in_region(config: &SdkConfig, region: &str) -> SdkConfig {
    config.clone().into_builder().region(Region::new(region.to_owned())).build()
}

/// How often what comes first in a Region is asked for.
const FIRST_ATTEMPTS: u32 = 4;

/// The same configuration for the first questions: whoever misspelt a Region should not wait for long to be told.
pub(super) fn first(config: &SdkConfig) -> SdkConfig {
    let retries = RetryConfig::standard().with_max_attempts(FIRST_ATTEMPTS);
    config.clone().into_builder().retry_config(retries).build()
}

/// Codes by which AWS says that the caller may not.
const DENIED: [&str; 4] = ["AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "InsufficientPermissions"];

/// Codes by which AWS says that there is no such call here: for this kind of key, or in this Region at all.
const UNSUPPORTED: [&str; 4] =
    ["UnsupportedOperationException", "UnknownOperationException", "InvalidAction", "NotImplemented"];

/// Why a call told nothing. The SDK has tried it again where that may help.
pub(super) fn unknown<E, R>(action: &'static str, error: &SdkError<E, R>) -> Unknown
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    let Some(code) = error.as_service_error().and_then(ProvideErrorMetadata::code) else {
        let code = match error {
            SdkError::ConstructionFailure(_) => "not sent",
            SdkError::TimeoutError(_) => "timed out",
            SdkError::DispatchFailure(_) => "not reached",
            _ => "no answer that makes sense",
        };
        return Unknown { action, why: Why::Failed, code: code.to_owned(), message: told(error) };
    };
    let why = match code {
        _ if DENIED.contains(&code) => Why::Denied,
        _ if UNSUPPORTED.contains(&code) => Why::Unsupported,
        _ => Why::Failed,
    };
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    Unknown { action, why, code: code.to_owned(), message: message.to_owned() }
}

/// Microseconds UTC.
pub(super) fn micros(time: &DateTime) -> i64 {
    Time::of_nanos(time.secs(), time.subsec_nanos()).0
}
