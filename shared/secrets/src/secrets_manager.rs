//! AWS Secrets Manager.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use serde_json::{Map, Value};

use crate::error::Problem;
use crate::key::SecretName;
use crate::process::ProcessEnvironment;

/// How long Secrets Manager may take for one answer; a cold start waits for it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Builds the client; it is needed at the cold start only.
pub(crate) fn client(sdk: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let config = aws_sdk_secretsmanager::config::Builder::from(sdk)
        .timeout_config(timeouts)
        .build();
    Client::from_conf(config)
}

/// Reads one secret's JSON object.
pub(crate) async fn read(
    client: &Client,
    process: &ProcessEnvironment,
    secret: SecretName,
) -> Result<Map<String, Value>, Problem> {
    let id = process
        .get(secret.id_variable())
        .ok_or(Problem::SecretIdUnset(secret))?;
    let output = client
        .get_secret_value()
        .secret_id(id)
        .send()
        .await
        .map_err(|error| Problem::SecretUnreadable {
            secret,
            code: code(&error),
        })?;
    let text = output.secret_string().unwrap_or_default();
    serde_json::from_str(text).map_err(|error| Problem::SecretNotJson {
        secret,
        line: error.line(),
        column: error.column(),
    })
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> String {
    let kind = match error {
        SdkError::ServiceError(_) => error.code().unwrap_or("ServiceError"),
        SdkError::TimeoutError(_) => "Timeout",
        SdkError::DispatchFailure(_) => "Connection",
        _ => "Request",
    };
    kind.to_owned()
}
