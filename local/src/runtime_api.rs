//! The Lambda Runtime API (2018-06-01) as function processes see it, one address per process:
//! `/.rt/<function>/<process>/2018-06-01/runtime/…`.
//!
//! Source: "Using the Lambda runtime API for custom runtimes" of the Lambda developer guide.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Bytes;
use serde_json::Value;

use crate::processes::{Answer, Process, Processes};

/// Lambda's limit of a synchronous answer.
const ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// The Runtime API's routes.
pub fn router(processes: Arc<Processes>) -> Router {
    let at = |rest: &str| format!("/.rt/{{function}}/{{process}}/2018-06-01/runtime/{rest}");
    Router::new()
        .route(&at("invocation/next"), get(next))
        .route(&at("invocation/{request}/response"), post(response))
        .route(&at("invocation/{request}/error"), post(error))
        .route(&at("init/error"), post(init_error))
        .layer(DefaultBodyLimit::max(ANSWER_BYTES + 64 * 1024))
        .with_state(processes)
}

async fn known(processes: &Processes, id: &str) -> Result<Arc<Process>, Response> {
    match processes.process(id) {
        Some(process) => Ok(process),
        None => {
            // The Rust runtime asks again at once after an error; an orphan must not burn the CPU.
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(StatusCode::GONE.into_response())
        }
    }
}

async fn next(
    State(processes): State<Arc<Processes>>,
    Path((_function, process)): Path<(String, String)>,
) -> Response {
    let process = match known(&processes, &process).await {
        Ok(process) => process,
        Err(gone) => return gone,
    };
    let Some(handed) = process.next_event().await else {
        return StatusCode::GONE.into_response();
    };
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let deadline_ms = now_ms.saturating_add_unsigned(handed.timeout_ms);
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &handed.request_id)
        .header("lambda-runtime-deadline-ms", deadline_ms.to_string())
        .header("lambda-runtime-invoked-function-arn", &handed.arn)
        .header(
            "lambda-runtime-trace-id",
            trace_id(&handed.request_id, now_ms),
        )
        .body(Body::from(handed.payload));
    response.unwrap_or_else(|_invalid| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// A trace id in X-Ray's form, made of the time and the request id.
pub fn trace_id(request_id: &str, now_ms: i64) -> String {
    let hex: String = request_id
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(24)
        .collect();
    format!("Root=1-{:08x}-{hex:0>24};Sampled=0", now_ms / 1_000)
}

async fn response(
    State(processes): State<Arc<Processes>>,
    Path((_function, process, request)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    if body.len() > ANSWER_BYTES {
        let text = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
        let error = serde_json::json!({
            "errorType": "Function.ResponseSizeTooLarge", "errorMessage": text,
        });
        let error = Answer::Error(Bytes::from(error.to_string()));
        answer(&processes, &process, &request, error).await;
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    answer(&processes, &process, &request, Answer::Response(body)).await
}

async fn error(
    State(processes): State<Arc<Processes>>,
    Path((_function, process, request)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = if body.is_empty() {
        let kind = headers.get("lambda-runtime-function-error-type");
        let kind = kind
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or("Unhandled");
        Bytes::from(serde_json::json!({ "errorType": kind, "errorMessage": "" }).to_string())
    } else {
        body
    };
    answer(&processes, &process, &request, Answer::Error(body)).await
}

async fn answer(processes: &Processes, process: &str, request: &str, answer: Answer) -> Response {
    let process = match known(processes, process).await {
        Ok(process) => process,
        Err(gone) => return gone,
    };
    if process.answer(request, answer) {
        StatusCode::ACCEPTED.into_response()
    } else {
        let body = serde_json::json!({
            "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID",
        });
        (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
    }
}

async fn init_error(
    State(processes): State<Arc<Processes>>,
    Path((_function, process)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let process = match known(&processes, &process).await {
        Ok(process) => process,
        Err(gone) => return gone,
    };
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |field| {
        parsed
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    process.init_failed(format!("{}: {}", text("errorType"), text("errorMessage")));
    StatusCode::ACCEPTED.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_has_the_form_of_x_ray() {
        let id = trace_id("3f2a8c1d-0000-4000-8000-123456789abc", 1_763_618_400_000);
        assert_eq!(id, "Root=1-691eae60-3f2a8c1d0000400080001234;Sampled=0");
    }
}
