//! Asks the authorizer function about a request, and remembers its answers as API Gateway does.
//!
//! Source: API Gateway developer guide, "Control access to HTTP APIs with AWS Lambda authorizers":
//! a missing identity source is 401 without asking; the cached answer holds for every request with
//! the same identity source values.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::HeaderName;
use hyper::body::Bytes;
use serde_json::Value;

use super::request_event::{Incoming, authorizer_event, query_parameters, text_of};
use super::routing::Chosen;
use crate::bundle::Authorizer;
use crate::invoker::Invoker;
use crate::processes::lock;

/// Past so many remembered answers the outdated ones are swept out.
const CACHE_ENTRIES: usize = 10_000;

/// The authorizer's verdict on a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Go on, with this context.
    Allowed(Value),
    /// 403.
    Denied,
    /// 401: an identity source is missing.
    Unauthenticated,
    /// 500: the authorizer failed or answered nonsense.
    Broken,
}

/// Remembered answers of all authorizers.
#[derive(Debug, Default)]
pub struct Verdicts {
    remembered: Mutex<HashMap<Vec<String>, (Instant, Verdict)>>,
}

impl Verdicts {
    /// The verdict on a request, remembered or asked for.
    pub async fn on(
        &self,
        invoker: &Invoker,
        authorizer: &Authorizer,
        incoming: &Incoming,
        chosen: &Chosen<'_>,
    ) -> Verdict {
        let mut values = Vec::with_capacity(authorizer.identity_sources.len());
        for source in &authorizer.identity_sources {
            match identity(source, incoming, chosen) {
                Some(value) if !value.is_empty() => values.push(value),
                _ => return Verdict::Unauthenticated,
            }
        }
        let mut key = values.clone();
        key.push(authorizer.function.clone());
        if let Some(verdict) = self.remembered(&key) {
            return verdict;
        }
        let event = authorizer_event(incoming, chosen, &values);
        let payload = Bytes::from(event.to_string());
        let verdict = match invoker.invoke(&authorizer.function, payload).await {
            Ok(outcome) if outcome.is_success() => {
                verdict_of(&outcome.payload, authorizer.simple_responses)
            }
            _ => Verdict::Broken,
        };
        if authorizer.cache_ms > 0 && verdict != Verdict::Broken {
            self.remember(key, &verdict, Duration::from_millis(authorizer.cache_ms));
        }
        verdict
    }

    fn remembered(&self, key: &[String]) -> Option<Verdict> {
        let remembered = lock(&self.remembered);
        let (until, verdict) = remembered.get(key)?;
        (*until > Instant::now()).then(|| verdict.clone())
    }

    fn remember(&self, key: Vec<String>, verdict: &Verdict, duration: Duration) {
        let now = Instant::now();
        let mut remembered = lock(&self.remembered);
        if remembered.len() >= CACHE_ENTRIES {
            remembered.retain(|_, (until, _)| *until > now);
        }
        remembered.insert(key, (now + duration, verdict.clone()));
    }
}

/// The value of one identity source; `None` when the request has none.
fn identity(source: &str, incoming: &Incoming, chosen: &Chosen<'_>) -> Option<String> {
    if let Some(name) = source.strip_prefix("$request.header.") {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).ok()?;
        return text_of(&incoming.headers, &name);
    }
    if let Some(name) = source.strip_prefix("$request.querystring.") {
        return query_parameters(&incoming.query).remove(name);
    }
    match source.strip_prefix("$context.")? {
        "routeKey" => Some(chosen.route.key.clone()),
        "httpMethod" => Some(incoming.method.clone()),
        "path" => Some(incoming.path.clone()),
        "identity.sourceIp" => Some(incoming.source_ip.clone()),
        "stage" => Some("$default".to_owned()),
        _ => None,
    }
}

/// Reads `{"isAuthorized": …, "context": {…}}`, or an IAM policy.
fn verdict_of(answer: &[u8], simple_responses: bool) -> Verdict {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return Verdict::Broken;
    };
    let context = answer.get("context").cloned();
    let context = context
        .filter(Value::is_object)
        .unwrap_or_else(|| serde_json::json!({}));
    let is_allowed = if simple_responses {
        answer.get("isAuthorized").and_then(Value::as_bool)
    } else {
        let effect = answer
            .pointer("/policyDocument/Statement/0/Effect")
            .and_then(Value::as_str);
        effect.map(|effect| effect == "Allow")
    };
    match is_allowed {
        Some(true) => Verdict::Allowed(context),
        Some(false) => Verdict::Denied,
        None => Verdict::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn simple_responses_and_policies_are_read() {
        let simple = |answer: &Value| verdict_of(answer.to_string().as_bytes(), true);
        assert_eq!(
            simple(&json!({"isAuthorized": true, "context": {"sub": "c"}})),
            Verdict::Allowed(json!({"sub": "c"}))
        );
        assert_eq!(
            simple(&json!({"isAuthorized": true})),
            Verdict::Allowed(json!({}))
        );
        assert_eq!(simple(&json!({"isAuthorized": false})), Verdict::Denied);
        assert_eq!(simple(&json!({"isAuthorized": "yes"})), Verdict::Broken);
        assert_eq!(verdict_of(b"", true), Verdict::Broken);
        let policy = json!({"policyDocument": {"Statement": [{"Effect": "Allow"}]}});
        assert_eq!(
            verdict_of(policy.to_string().as_bytes(), false),
            Verdict::Allowed(json!({}))
        );
    }

    #[test]
    fn answers_are_remembered_by_identity_until_they_are_outdated() {
        let verdicts = Verdicts::default();
        let key = |text: &str| vec![text.to_owned()];
        verdicts.remember(key("a"), &Verdict::Denied, Duration::from_secs(60));
        verdicts.remember(key("b"), &Verdict::Denied, Duration::ZERO);
        assert_eq!(verdicts.remembered(&key("a")), Some(Verdict::Denied));
        assert_eq!(verdicts.remembered(&key("b")), None);
        assert_eq!(verdicts.remembered(&key("c")), None);
    }
}
