//! The HTTP API on this machine: what API Gateway does between a client and a function.

mod answer;
mod authorizer;
mod cors;
mod percent;
mod request_event;
mod routing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::{Extension, Router};
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::bundle::Bundle;
use crate::invoker::Invoker;
use crate::processes::new_request_id;
use answer::message;
use authorizer::{Verdict, Verdicts};
use request_event::Incoming;

/// API Gateway's limit of a request body ("Quotas for HTTP APIs").
const BODY_BYTES: usize = 10 * 1024 * 1024;
/// API Gateway's longest wait for a function ("Quotas for HTTP APIs").
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The gateway.
pub struct Gateway {
    bundle: Arc<Bundle>,
    invoker: Arc<Invoker>,
    verdicts: Verdicts,
}

/// Every route of the bundle.
pub fn router(bundle: Arc<Bundle>, invoker: Arc<Invoker>, port: u16) -> Router {
    let gateway = Arc::new(Gateway {
        bundle,
        invoker,
        verdicts: Verdicts::default(),
    });
    Router::new()
        .fallback(serve)
        .layer(Extension(port))
        .with_state(gateway)
}

async fn serve(
    State(gateway): State<Arc<Gateway>>,
    Extension(port): Extension<u16>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let request_id = new_request_id();
    let mut response = match incoming(request, client, port, &request_id).await {
        Ok(incoming) => gateway.answer_across_origins(&incoming).await,
        Err(refused) => refused,
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    response
}

async fn incoming(
    request: Request,
    client: SocketAddr,
    port: u16,
    request_id: &str,
) -> Result<Incoming, Response<Body>> {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, BODY_BYTES)
        .await
        .map_err(|_too_large| message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"))?;
    Ok(Incoming {
        method: parts.method.as_str().to_owned(),
        path: percent::decode_path(parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        protocol: format!("{:?}", parts.version),
        headers: parts.headers,
        body,
        source_ip: client.ip().to_string(),
        port,
        request_id: request_id.to_owned(),
        received: Timestamp::now(),
    })
}

impl Gateway {
    async fn answer_across_origins(&self, incoming: &Incoming) -> Response<Body> {
        let Some(rules) = &self.bundle.cors else {
            return self.answer(incoming).await;
        };
        let preflight = cors::preflight(rules, &incoming.method, &incoming.headers);
        if let Some(preflight) = preflight {
            return preflight;
        }
        let mut response = self.answer(incoming).await;
        cors::allow_reading(rules, &incoming.headers, &mut response);
        response
    }

    async fn answer(&self, incoming: &Incoming) -> Response<Body> {
        let routes = &self.bundle.routes;
        let Some(chosen) = routing::choose(routes, &incoming.method, &incoming.path) else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let mut context: Option<Value> = None;
        if let Some(name) = &chosen.route.authorizer {
            let Some(authorizer) = self.bundle.authorizers.get(name) else {
                return answer::internal_error();
            };
            match self
                .verdicts
                .on(&self.invoker, authorizer, incoming, &chosen)
                .await
            {
                Verdict::Allowed(given) => context = Some(given),
                Verdict::Denied => return message(StatusCode::FORBIDDEN, "Forbidden"),
                Verdict::Unauthenticated => {
                    return message(StatusCode::UNAUTHORIZED, "Unauthorized");
                }
                Verdict::Broken => return answer::internal_error(),
            }
        }
        let event = request_event::function_event(incoming, &chosen, context.as_ref());
        let invocation = self
            .invoker
            .invoke(&chosen.route.function, Bytes::from(event.to_string()));
        match tokio::time::timeout(INTEGRATION_TIMEOUT, invocation).await {
            Ok(Ok(outcome)) if outcome.is_success() => answer::http_response(&outcome.payload),
            Ok(Ok(_failed)) => answer::internal_error(),
            Ok(Err(_)) | Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        }
    }
}
