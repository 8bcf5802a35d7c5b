//! Invocation of another function: the nudge to publish-outbox after a commit, and an operator's
//! replay, which waits for the answer.
//!
//! The nudge is best effort. What it announces already stands in the outbox, and a schedule sweeps
//! that each minute, so a caller may log a failure and go on ([`Invoker::nudge`]).
//!
//! Architecture invariant: this crate does not know what it invokes; a payload is bytes, and no
//! payload is ever logged.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;

/// How long an invocation may take when nothing else is said: Lambda only queues the event.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

/// The largest payload of an asynchronous invocation in bytes (Lambda quota: 1 MiB).
pub const MAX_PAYLOAD_BYTES: usize = 1_048_576;

/// The largest payload of a synchronous invocation in bytes (Lambda quota: 6 MiB).
pub const MAX_SYNCHRONOUS_BYTES: usize = 6 * 1_048_576;

/// Why an invocation was not accepted. No variant carries the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The payload is larger than Lambda takes.
    #[error("the payload has {bytes} bytes, more than Lambda takes")]
    TooLarge {
        /// Size of the payload in bytes.
        bytes: usize,
    },
    /// No answer came in time; the function may run all the same.
    #[error("no answer within {timeout_ms} ms")]
    TimedOut {
        /// The time waited in milliseconds.
        timeout_ms: u64,
    },
    /// Lambda answered and refused: no such function, no permission, throttled.
    #[error("the invocation was refused ({code})")]
    Refused {
        /// Lambda's error code.
        code: String,
    },
    /// Lambda was not reached.
    #[error("Lambda could not be reached")]
    Unreachable,
    /// The function began and failed.
    #[error("the function failed")]
    FunctionFailed,
}

/// Invokes functions by name.
#[derive(Clone, Debug)]
pub struct Invoker {
    client: Client,
    timeout: Duration,
}

impl Invoker {
    /// Builds the client; it connects with its first request.
    ///
    /// The endpoint comes from the SDK's own settings (AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL).
    /// Without AWS_REGION the SDK asks the instance metadata service and waits for it: set it.
    #[must_use]
    pub fn new(sdk: &SdkConfig, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(timeout)
            .operation_timeout(timeout)
            .build();
        let config = aws_sdk_lambda::config::Builder::from(sdk)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .build();
        Self {
            client: Client::from_conf(config),
            timeout,
        }
    }

    /// Queues an event for the function (`InvocationType: Event`) and does not wait for its end.
    ///
    /// # Errors
    /// [`InvokeError`] when Lambda did not take the event within the timeout.
    pub async fn invoke_async(
        &self,
        function_name: &str,
        payload: Vec<u8>,
    ) -> Result<(), InvokeError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(InvokeError::TooLarge {
                bytes: payload.len(),
            });
        }
        let request = self
            .client
            .invoke()
            .function_name(function_name)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload));
        request
            .send()
            .await
            .map(|_| ())
            .map_err(|error| self.sorted(&error))
    }

    /// Invokes the function and waits for its answer, a JSON text.
    ///
    /// # Errors
    /// [`InvokeError`] when it failed, or gave no answer within the timeout.
    pub async fn invoke(
        &self,
        function_name: &str,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, InvokeError> {
        if payload.len() > MAX_SYNCHRONOUS_BYTES {
            return Err(InvokeError::TooLarge {
                bytes: payload.len(),
            });
        }
        let request = self
            .client
            .invoke()
            .function_name(function_name)
            .invocation_type(InvocationType::RequestResponse)
            .payload(Blob::new(payload));
        let output = request.send().await.map_err(|error| self.sorted(&error))?;
        if output.function_error().is_some() {
            return Err(InvokeError::FunctionFailed);
        }
        Ok(output.payload.map(Blob::into_inner).unwrap_or_default())
    }

    /// [`Self::invoke_async`], with a failure logged and swallowed: a schedule does the work later.
    pub async fn nudge(&self, function_name: &str, payload: Vec<u8>) {
        if let Err(error) = self.invoke_async(function_name, payload).await {
            tracing::warn!(
                invoked_function = function_name,
                error = %error,
                "asynchronous invocation failed; the schedule will sweep"
            );
        }
    }

    fn sorted<E: ProvideErrorMetadata>(&self, error: &SdkError<E>) -> InvokeError {
        match error {
            SdkError::TimeoutError(_) => self.timed_out(),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => self.timed_out(),
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let code = error
                    .code()
                    .map_or_else(|| format!("Http{status}"), str::to_owned);
                InvokeError::Refused { code }
            }
            _ => InvokeError::Unreachable,
        }
    }

    fn timed_out(&self) -> InvokeError {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        InvokeError::TimedOut { timeout_ms }
    }
}
