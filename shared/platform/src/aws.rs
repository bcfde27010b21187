//! What AWS clients of a function share: region, credentials and endpoint from the environment that Lambda gives it, and
//! one HTTPS client. The full loader of `aws-config` would look in ten more places and start several milliseconds later.

use aws_credential_types::Credentials;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::{behavior_version::BehaviorVersion, orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::{SdkConfig, region::Region};

use crate::{
    config::{ConfigError, Lookup, check_url},
    https::Https,
};

/// Builds the configuration from `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and
/// `AWS_ENDPOINT_URL`.
///
/// # Errors
/// If region or credentials are not set, or the endpoint is reached without TLS and is not this machine.
pub fn sdk_config(lookup: &impl Lookup) -> Result<SdkConfig, ConfigError> {
    let credentials = Credentials::new(
        lookup.required("AWS_ACCESS_KEY_ID")?,
        lookup.required("AWS_SECRET_ACCESS_KEY")?,
        lookup.find("AWS_SESSION_TOKEN").filter(|token| !token.is_empty()),
        None,
        "environment",
    );
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(lookup.required("AWS_REGION")?))
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(Https::default());
    let endpoint = lookup.find("AWS_ENDPOINT_URL").filter(|url| !url.is_empty());
    if let Some(endpoint) = &endpoint {
        check_url("AWS_ENDPOINT_URL", endpoint)?;
    }
    config.set_endpoint_url(endpoint);
    Ok(config.build())
}

/// A failed call of AWS for the log: its code, its status and AWS's own id of it. Messages of AWS may quote what was sent,
/// and are left out.
#[must_use]
pub fn describe<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    match error {
        SdkError::ServiceError(failed) => {
            let code = failed.err().code().unwrap_or("an unknown error");
            let id = failed.raw().headers().get("x-amzn-requestid").unwrap_or("none");
            format!("{code} (status {}, request {id})", failed.raw().status())
        }
        SdkError::ResponseError(failed) => format!("an unreadable answer (status {})", failed.raw().status()),
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failed) => {
            // None of these errors knows what was to be sent.
            failed.as_connector_error().map_or_else(|| "not sent".to_owned(), |error| crate::causes(error))
        }
        _ => "the request could not be built".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};

    use super::*;

    struct Refused(ErrorMetadata);

    impl ProvideErrorMetadata for Refused {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    #[test]
    fn a_refusal_is_described_without_what_it_quotes() {
        let mut answer = HttpResponse::new(StatusCode::try_from(400).expect("is a status"), SdkBody::from("hunter2"));
        answer.headers_mut().insert("x-amzn-requestid", "R-1");
        let metadata = ErrorMetadata::builder().code("ValidationException").message("hunter2 is no number").build();
        let error = SdkError::service_error(Refused(metadata), answer);
        assert_eq!(describe(&error), "ValidationException (status 400, request R-1)");
    }

    #[test]
    fn an_endpoint_elsewhere_needs_tls() {
        let with = |endpoint: &'static str| {
            sdk_config(&move |key: &str| Some(if key == "AWS_ENDPOINT_URL" { endpoint } else { "x" }.to_owned()))
        };
        assert!(with("http://127.0.0.1:4566").is_ok());
        assert!(with("").is_ok());
        let refused = with("http://example.test:4566").err();
        assert_eq!(refused, Some(ConfigError::Unencrypted { key: "AWS_ENDPOINT_URL" }));
    }
}
