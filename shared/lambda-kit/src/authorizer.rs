//! The API Gateway authorizer of HTTP APIs (payload 2.0, simple response).

use std::{collections::BTreeMap, process::ExitCode};

use domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::{Invocation, InvocationFailed, StartError, runtime};

/// What the authorizer is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// The route, such as `GET /vouchers/me`.
    pub route: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

/// What a valid token says; it reaches the function as `requestContext.authorizer.lambda`.
pub type Claims = BTreeMap<String, String>;

/// Decides on requests.
pub trait Handler {
    /// The token's claims, or `None` to deny.
    fn authorize(&self, question: &Question, now: UtcMillis) -> Option<Claims>;
}

/// Runs the authorizer until Lambda ends it.
pub async fn run<H, S>(function: &'static str, start: S) -> ExitCode
where
    H: Handler,
    S: AsyncFnOnce() -> Result<H, StartError>,
{
    runtime::serve(
        function,
        async || Ok(runtime::Started(((), start().await?))),
        async |runtime::Started(((), handler)): &runtime::Started<(), H>,
               event,
               invocation: &Invocation| {
            Ok::<_, InvocationFailed>(answer(handler, &event, invocation.now))
        },
    )
    .await
}

/// Answers one event. What can't be read is denied.
#[must_use]
pub fn answer<H: Handler>(handler: &H, event: &Value, now: UtcMillis) -> Value {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let headers = event.get("headers").and_then(Value::as_object);
    let authorization = headers.and_then(|headers| {
        headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    });
    let question = Question {
        route: text(event.get("routeKey")).unwrap_or_default(),
        authorization: text(authorization.map(|(_, value)| value)),
    };
    match handler.authorize(&question, now) {
        Some(claims) => json!({"isAuthorized": true, "context": claims}),
        None => json!({"isAuthorized": false}),
    }
}
