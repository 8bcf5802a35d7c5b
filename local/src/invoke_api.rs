//! The Lambda Invoke API, reached by the functions' own AWS SDK through AWS_ENDPOINT_URL_LAMBDA.
//!
//! Source: Lambda API reference, "Invoke".

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use serde_json::json;

use crate::invoker::Invoker;
use crate::processes::InvokeError;

/// Limit of a synchronous request; an asynchronous one may have 1 MB ("Lambda quotas").
const REQUEST_BYTES: usize = 6 * 1024 * 1024;

/// The Invoke API's one route.
pub fn router(invoker: Arc<Invoker>) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .with_state(invoker)
}

async fn invoke(
    State(invoker): State<Arc<Invoker>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !header("authorization").is_some_and(|text| invoker.is_ours(text)) {
        let text = "Only processes of this instance may invoke functions here.";
        return refusal(StatusCode::FORBIDDEN, "AccessDeniedException", text);
    }
    let Some(function) = invoker.function_named(&name) else {
        let text = format!("Function not found: {name}");
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &text);
    };
    let payload = if body.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body
    };
    if serde_json::from_slice::<serde::de::IgnoredAny>(&payload).is_err() {
        let text = "Could not parse request body into json.";
        return refusal(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            text,
        );
    }
    match header("x-amz-invocation-type").unwrap_or("RequestResponse") {
        "DryRun" => status_only(StatusCode::NO_CONTENT),
        "Event" => match invoker
            .invoke_later(&function, payload.to_vec(), None)
            .await
        {
            Ok(_id) => status_only(StatusCode::ACCEPTED),
            Err(error) => refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "ServiceException",
                &error.to_string(),
            ),
        },
        _ => synchronous(&invoker, &function, payload, header("x-amz-log-type")).await,
    }
}

async fn synchronous(
    invoker: &Arc<Invoker>,
    function: &str,
    payload: Bytes,
    log_type: Option<&str>,
) -> Response<Body> {
    let outcome = if log_type == Some("Tail") {
        invoker.invoke_with_log(function, payload).await
    } else {
        invoker.invoke(function, payload).await
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let (status, kind) = match error {
                InvokeError::Unknown(_) => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
                InvokeError::NotStarted { .. } => {
                    (StatusCode::BAD_GATEWAY, "InvalidRuntimeException")
                }
                InvokeError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "ServiceException"),
            };
            return refusal(status, kind, &error.to_string());
        }
    };
    let mut response = Response::builder()
        .status(StatusCode::OK)
        .header("content-type", "application/json")
        .header("x-amz-executed-version", "$LATEST")
        .header("x-amzn-requestid", &outcome.request_id);
    if let Some(kind) = outcome.function_error {
        response = response.header("x-amz-function-error", kind);
    }
    if log_type == Some("Tail") {
        response = response.header("x-amz-log-result", BASE64.encode(&outcome.log_tail));
    }
    response
        .body(Body::from(outcome.payload))
        .unwrap_or_else(|_invalid| status_only(StatusCode::INTERNAL_SERVER_ERROR))
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn refusal(status: StatusCode, kind: &'static str, text: &str) -> Response<Body> {
    use axum::response::IntoResponse;
    let body = Json(json!({ "Type": "User", "Message": text }));
    (status, [("x-amzn-errortype", kind)], body).into_response()
}
