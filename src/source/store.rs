//! A bucket as the lake's store, reached with the same credentials as everything else at AWS.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut};
use object_store::{CredentialProvider, ObjectStore};
use tokio::sync::Mutex;

use super::s3::home_region;

/// Credentials are asked for again when they are this close to their end.
const FRESH: Duration = Duration::from_mins(5);

/// A store on a bucket, rooted at the bucket. Commits rest on S3's conditional writes, so that two writers never overwrite
/// each other.
///
/// # Errors
/// When S3 cannot be asked for the bucket, or what is configured makes no sense, such as an endpoint that is no URL.
pub async fn bucket_store(bucket: &str, config: &SdkConfig) -> object_store::Result<Arc<dyn ObjectStore>> {
    let failed = |source| object_store::Error::Generic { store: "S3", source: Box::new(source) };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(home_region(bucket, config).await.map_err(failed)?.to_string())
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok().or_else(|| config.endpoint_url().map(str::to_owned));
    if let Some(endpoint) = endpoint {
        // Who runs a store of their own may run it without TLS; its address says so.
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    if let Some(provider) = config.credentials_provider() {
        builder = builder.with_credentials(Arc::new(Bridge { provider, held: Mutex::new(None) }));
    }
    Ok(Arc::new(builder.build()?))
}

/// The SDK's credentials in the store's words.
#[derive(Debug)]
struct Bridge {
    provider: SharedCredentialsProvider,
    held: Mutex<Option<(Arc<AwsCredential>, Option<SystemTime>)>>,
}

#[async_trait]
impl CredentialProvider for Bridge {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        if let Some((credential, end)) = &*held
            && end.is_none_or(|end| SystemTime::now() + FRESH < end)
        {
            return Ok(Arc::clone(credential));
        }
        let found = self.provider.provide_credentials().await;
        let found = found.map_err(|source| object_store::Error::Generic { store: "S3", source: Box::new(source) })?;
        let credential = Arc::new(translated(&found));
        *held = Some((Arc::clone(&credential), found.expiry()));
        Ok(credential)
    }
}

fn translated(found: &Credentials) -> AwsCredential {
    AwsCredential {
        key_id: found.access_key_id().to_owned(),
        secret_key: found.secret_access_key().to_owned(),
        token: found.session_token().map(str::to_owned),
    }
}
