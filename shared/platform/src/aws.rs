//! What AWS clients of a function share: region, credentials and endpoint from the environment that Lambda gives it, and
//! one HTTPS client. The full loader of `aws-config` would look in ten more places and start several milliseconds later.

use aws_credential_types::Credentials;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::{SdkConfig, region::Region};

use crate::{
    config::{ConfigError, Lookup},
    https::Https,
};

/// Builds the configuration from `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and
/// `AWS_ENDPOINT_URL`.
///
/// # Errors
/// If region or credentials are not set.
pub fn sdk_config(lookup: &impl Lookup) -> Result<SdkConfig, ConfigError> {
    let credentials = Credentials::new(
        lookup.required("AWS_ACCESS_KEY_ID")?,
        lookup.required("AWS_SECRET_ACCESS_KEY")?,
        lookup.find("AWS_SESSION_TOKEN").filter(|token| !token.is_empty()),
        None,
        "environment",
    );
    let http = Https::new().map_err(|error| ConfigError::Tls(error.to_string()))?;
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(lookup.required("AWS_REGION")?))
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http);
    config.set_endpoint_url(lookup.find("AWS_ENDPOINT_URL").filter(|url| !url.is_empty()));
    Ok(config.build())
}
