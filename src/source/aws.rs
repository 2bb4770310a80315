//! How AWS is reached: credentials, Regions, endpoints and retries in one place, for every client that keytrail makes.
//!
//! ```text
//! environment, profile, SSO, instance ─► base ──────────────────────────────► SdkConfig ─► S3, KMS, CloudTrail, STS
//!                                          └ --assume-role: STS AssumeRole ─────┘
//! ```
//!
//! Everything that an AWS tool is usually told by environment variables and profiles (credentials, SSO, Region, endpoints
//! per service, FIPS, dual stack, proxies) is left to the SDK's own conventions; this module adds what a command line can
//! say and nothing else. It makes no calls: a wrong credential is told by the first request that uses it.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::{RetryConfig, RetryMode};
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_kms::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_kms::error::SdkError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector, tls};

/// How often a request is tried, the first time included. The SDK's three are meant for a service that must answer soon;
/// a run of an hour had better wait out a minute of trouble. A profile or `AWS_MAX_ATTEMPTS` may ask for more.
const ATTEMPTS_MIN: u32 = 8;

/// How long a connection may take to come about.
const CONNECT_SECONDS_MAX: u64 = 10;

/// How long a service may take to begin its answer; how long a body may stall is the SDK's own business.
const ANSWER_SECONDS_MAX: u64 = 60;

/// The Region whose STS is asked for a role of each partition when nothing names a Region. It is there for every account of
/// the partition (botocore's `partitions` data: `implicitGlobalRegion`).
const STS_REGIONS: [(&str, &str); 8] = [
    ("aws", "us-east-1"),
    ("aws-cn", "cn-northwest-1"),
    ("aws-us-gov", "us-gov-west-1"),
    ("aws-iso", "us-iso-east-1"),
    ("aws-iso-b", "us-isob-east-1"),
    ("aws-iso-e", "eu-isoe-west-1"),
    ("aws-iso-f", "us-isof-south-1"),
    ("aws-eusc", "eusc-de-east-1"),
];

/// What the user agent and CloudTrail's own records call us, so that keytrail's calls can be told from others.
const APP_NAME: &str = concat!("keytrail-", env!("CARGO_PKG_VERSION"));

/// What a command line may say of the way to AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsOptions {
    /// The Region to use instead of the configured one.
    pub region: Option<String>,
    /// The ARN of a role to assume with the credentials that are found.
    pub assume_role: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

/// The configuration of every client: found as the AWS tools find theirs, with a role assumed if one is given.
///
/// Its Region may be unset, when neither the options nor the environment nor a profile names one.
///
/// # Panics
/// Within the SDK, when the environment holds a setting that makes no sense, such as `AWS_MAX_ATTEMPTS=0`.
pub async fn config(options: &AwsOptions) -> SdkConfig {
    let base = patient(loader(options).load().await);
    let Some(role) = &options.assume_role else { return base };
    let region = base.region().cloned().unwrap_or_else(|| Region::from_static(sts_region(role)));
    let mut provider = AssumeRoleProvider::builder(role).session_name("keytrail").region(region).configure(&base);
    if let Some(id) = &options.external_id {
        provider = provider.external_id(id);
    }
    let assumed = SharedCredentialsProvider::new(provider.build().await);
    base.into_builder().credentials_provider(assumed).build()
}

fn sts_region(role: &str) -> &'static str {
    let partition = role.split(':').nth(1).unwrap_or_default();
    let known = STS_REGIONS.iter().find(|(name, _)| *name == partition);
    known.unwrap_or(&STS_REGIONS[0]).1
}

fn loader(options: &AwsOptions) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .read_timeout(Duration::from_secs(ANSWER_SECONDS_MAX));
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http_client()).timeout_config(timeouts.build());
    // The name is made of letters, digits, dots and dashes, which is all that the check asks for.
    if let Ok(name) = AppName::new(APP_NAME) {
        loader = loader.app_name(name);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader
}

/// The same with more attempts. Adaptive mode slows down every request of a client for the throttling of one, and lists
/// of a hundred prefixes share a client; so the mode is the standard one whatever is configured.
fn patient(config: SdkConfig) -> SdkConfig {
    let configured = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    let attempts = configured.max_attempts().max(ATTEMPTS_MIN);
    let retries = configured.with_retry_mode(RetryMode::Standard).with_max_attempts(attempts);
    config.into_builder().retry_config(retries).build()
}

/// An error in one line, with those of its causes that say something new.
#[must_use]
pub fn told(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // A list of what was tried, as the credential chain makes it, is part of the line too.
        let said = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ").replace(":; ", ": ");
        if !told.contains(&said) {
            told = format!("{told}: {said}");
        }
        cause = error.source();
    }
    told
}

/// Whether a request failed on its way, so that another may well arrive. One that was never sent, because there are no
/// credentials for it, would not be sent later either.
pub(crate) fn is_of_the_way<E>(error: &SdkError<E>) -> bool {
    let SdkError::DispatchFailure(failure) = error else { return false };
    let mut cause = failure.as_connector_error().and_then(Error::source);
    while let Some(error) = cause {
        if error.is::<hyper_util::client::legacy::Error>() {
            return true;
        }
        cause = error.source();
    }
    failure.is_io() || failure.is_timeout()
}

/// The HTTP client, with the TLS that the rest of keytrail has already. The SDK's own default brings a second
/// cryptographic library; apart from that, this is what it does, proxies from the environment included.
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_asked_for_in_its_own_partition() {
        let role = |partition: &str| format!("arn:{partition}:iam::111122223333:role/keytrail");
        assert_eq!(sts_region(&role("aws")), "us-east-1");
        assert_eq!(sts_region(&role("aws-us-gov")), "us-gov-west-1");
        assert_eq!(sts_region(&role("aws-eusc")), "eusc-de-east-1");
        assert_eq!(sts_region("keytrail"), "us-east-1");
    }

    #[tokio::test]
    async fn a_run_waits_out_trouble_and_says_who_it_is() {
        let options = AwsOptions { region: Some("eu-central-2".to_owned()), ..AwsOptions::default() };
        let config = config(&options).await;
        assert_eq!(config.region().map(AsRef::as_ref), Some("eu-central-2"));
        assert!(config.retry_config().is_some_and(|retries| retries.max_attempts() >= ATTEMPTS_MIN));
        assert_eq!(config.app_name().map(AsRef::as_ref), Some(APP_NAME));
        assert!(config.http_client().is_some(), "there is no default one");
    }

    #[test]
    fn what_a_profile_says_of_retries_may_be_more_and_not_less() {
        for (configured, attempts) in
            [(RetryConfig::adaptive().with_max_attempts(20), 20), (RetryConfig::disabled(), 8)]
        {
            let config = patient(SdkConfig::builder().retry_config(configured).build());
            let retries = config.retry_config().unwrap();
            assert_eq!((retries.mode(), retries.max_attempts()), (RetryMode::Standard, attempts));
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Layer(&'static str, #[source] Option<Box<Layer>>);
        let root = Layer("no route:\n  over here\n  over there", None);
        let middle = Layer("not sent", Some(Box::new(root)));
        let expected = "failed: not sent: no route: over here; over there";
        assert_eq!(told(&Layer("failed: not sent", Some(Box::new(middle)))), expected);
    }
}
