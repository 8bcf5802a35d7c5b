//! HTTP functions behind an API Gateway HTTP API (payload format 2.0).

mod request;
mod response;

use std::process::ExitCode;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use serde_json::Value;

pub use request::{Principal, Request};
pub use response::Response;

use crate::{Aftercare, Invocation, InvocationFailed, Problem, StartError, metrics, runtime};

/// Largest body that any route takes.
pub const LARGEST_BODY_BYTES: usize = 256 * 1024;

/// A function that answers HTTP requests.
pub trait Handler {
    /// Answers one request. A problem becomes its status and body.
    fn handle(&self, request: &Request) -> impl Future<Output = Result<Response, Problem>>;
}

/// Runs the function until Lambda ends it.
pub async fn run<P, H, S>(function: &'static str, start: S) -> ExitCode
where
    P: Aftercare,
    H: Handler,
    S: AsyncFnOnce() -> Result<(P, H), StartError>,
{
    runtime::serve(
        function,
        async || start().await.map(runtime::Started),
        async |runtime::Started((_, handler)): &runtime::Started<P, H>,
               event,
               invocation: &Invocation| {
            Ok::<_, InvocationFailed>(answer(handler, event, invocation).await)
        },
    )
    .await
}

/// Answers one event in payload format 2.0.
pub async fn answer<H: Handler>(handler: &H, event: Value, invocation: &Invocation) -> Value {
    let outcome = match serde_json::from_value::<ApiGatewayV2httpRequest>(event) {
        Ok(event) => match Request::read(event, invocation) {
            Ok(request) => {
                let outcome = handler.handle(&request).await;
                let status = outcome
                    .as_ref()
                    .map_or_else(|p| p.status, |response| response.status);
                tracing::info!(route = %request.route, status, "answered");
                outcome
            }
            Err(problem) => Err(problem),
        },
        Err(_) => Err(Problem::field(
            "request",
            "must be an API Gateway event of format 2.0",
        )),
    };
    let response = outcome.unwrap_or_else(Response::from);
    metrics::count("Requests", 1);
    if response.status >= 500 {
        metrics::count("ServerErrors", 1);
    }
    response.into_event()
}
