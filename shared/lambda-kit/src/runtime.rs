//! Between lambda_runtime and the triggers: cold start, one invocation, its log and metrics.

use std::process::ExitCode;

use domain::time::UtcMillis;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use crate::{clock, logging, metrics};

/// Why a function could not start. Its text tells what to mend and holds no secret.
pub type StartError = Box<dyn std::error::Error>;

/// What has to happen after each invocation, whatever became of it.
pub trait Aftercare {
    /// Announces what was committed. It must not fail the invocation: a schedule sweeps.
    fn after_invocation(&self) -> impl Future<Output = ()>;
}

/// Nothing has to happen.
impl Aftercare for () {
    async fn after_invocation(&self) {}
}

/// A function's parts and its handler, once they are built.
pub(crate) struct Started<P, H>(pub (P, H));

impl<P: Aftercare, H> Aftercare for Started<P, H> {
    async fn after_invocation(&self) {
        self.0.0.after_invocation().await;
    }
}

/// What Lambda tells of one invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Lambda's id of this invocation.
    pub request_id: String,
    /// X-Ray's id, if tracing is on.
    pub trace_id: Option<String>,
    /// When Lambda ends the process.
    pub deadline: UtcMillis,
    /// The time at which the invocation began.
    pub now: UtcMillis,
}

impl Invocation {
    /// An invocation at `now` with a minute left, for tests.
    #[must_use]
    pub fn at(now: UtcMillis) -> Self {
        Self {
            request_id: "test".to_owned(),
            trace_id: None,
            deadline: now.plus_millis(60_000),
            now,
        }
    }
}

/// The whole invocation failed: Lambda's retry rules decide what follows. The code is stable and
/// holds nothing of the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}")]
pub struct InvocationFailed {
    /// What failed.
    pub code: String,
}

impl InvocationFailed {
    /// With a stable code.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into() }
    }
}

/// Lambda shows the code to whoever invoked the function.
impl From<InvocationFailed> for lambda_runtime::Diagnostic {
    fn from(failed: InvocationFailed) -> Self {
        Self {
            error_type: "InvocationFailed".to_owned(),
            error_message: failed.code,
        }
    }
}

/// Starts the function and serves invocations until Lambda ends the process.
pub(crate) async fn serve<P, E, R, Start, Serve>(
    function: &'static str,
    start: Start,
    serve: Serve,
) -> ExitCode
where
    P: Aftercare,
    E: DeserializeOwned,
    R: Serialize,
    Start: AsyncFnOnce() -> Result<P, StartError>,
    Serve: AsyncFn(&P, E, &Invocation) -> Result<R, InvocationFailed>,
{
    logging::start(function);
    // On the heap: futures in one another nest deeper than the compiler follows.
    let parts = match Box::pin(start()).await {
        Ok(parts) => parts,
        Err(error) => {
            tracing::error!(reason = %error, "cold start failed");
            return ExitCode::FAILURE;
        }
    };
    let handler = service_fn(|event: LambdaEvent<E>| {
        let (parts, serve) = (&parts, &serve);
        async move {
            let invocation = Invocation {
                request_id: event.context.request_id,
                trace_id: event.context.xray_trace_id,
                deadline: deadline(event.context.deadline),
                now: clock::now(),
            };
            let ids = logging::RequestIds::of(&invocation);
            let work = Box::pin(async {
                let answer = serve(parts, event.payload, &invocation).await;
                parts.after_invocation().await;
                if let Err(failed) = &answer {
                    tracing::error!(code = %failed.code, "invocation failed");
                    metrics::count("InvocationsFailed", 1);
                }
                metrics::flush(function, clock::now());
                answer
            });
            logging::with_request(ids, work).await
        }
    });
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = %error, "the Lambda Runtime API is gone");
            ExitCode::FAILURE
        }
    }
}

fn deadline(deadline_ms: u64) -> UtcMillis {
    i64::try_from(deadline_ms)
        .ok()
        .and_then(|ms| UtcMillis::new(ms).ok())
        .unwrap_or_else(clock::now)
}
