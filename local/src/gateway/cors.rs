//! Cross-origin answers that API Gateway gives by itself when the template configures CORS.
//!
//! Source: API Gateway developer guide, "Configure CORS for HTTP APIs": the gateway answers
//! preflights itself, and a CORS header of a function's own is replaced.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sam_template::Cors;

use super::request_event::text_of;

const OURS: [HeaderName; 5] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

/// The answer to a preflight; `None` when the request is none.
pub fn preflight(cors: &Cors, method: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let is_preflight = method == "OPTIONS"
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(origin) = allowed_origin(cors, headers) {
        let max_age = cors.max_age_seconds.map(|seconds| seconds.to_string());
        let values = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, Some(origin)),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                joined(&cors.allow_headers),
            ),
            (
                header::ACCESS_CONTROL_ALLOW_METHODS,
                joined(&cors.allow_methods),
            ),
            (header::ACCESS_CONTROL_MAX_AGE, max_age),
        ];
        set(response.headers_mut(), values);
    }
    Some(response)
}

/// Adds the headers that a page of an allowed origin needs to read an answer.
pub fn allow_reading(cors: &Cors, request: &HeaderMap, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    for name in OURS {
        headers.remove(name);
    }
    if let Some(origin) = allowed_origin(cors, request) {
        let values = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, Some(origin)),
            (
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                joined(&cors.expose_headers),
            ),
        ];
        set(headers, values);
    }
}

fn allowed_origin(cors: &Cors, headers: &HeaderMap) -> Option<String> {
    let origin = text_of(headers, &header::ORIGIN)?;
    if cors.allow_origins.iter().any(|allowed| allowed == "*") {
        return Some("*".to_owned());
    }
    let is_allowed = cors
        .allow_origins
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(&origin));
    is_allowed.then_some(origin)
}

fn joined(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(","))
}

fn set<const N: usize>(headers: &mut HeaderMap, values: [(HeaderName, Option<String>); N]) {
    for (name, value) in values {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        Cors {
            allow_origins: vec!["https://loja.example".to_owned()],
            allow_headers: vec!["authorization".to_owned(), "content-type".to_owned()],
            allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
            expose_headers: vec!["retry-after".to_owned()],
            max_age_seconds: Some(60),
        }
    }

    fn from(origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().expect("a header value"));
        headers.insert(
            header::ACCESS_CONTROL_REQUEST_METHOD,
            HeaderValue::from_static("POST"),
        );
        headers
    }

    #[test]
    fn a_preflight_of_an_allowed_origin_is_answered_by_the_gateway() {
        let answer = preflight(&cors(), "OPTIONS", &from("https://loja.example")).expect("one");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let headers = answer.headers();
        assert_eq!(
            headers["access-control-allow-origin"],
            "https://loja.example"
        );
        assert_eq!(headers["access-control-allow-methods"], "GET,POST");
        assert_eq!(headers["access-control-max-age"], "60");
        let stranger = preflight(&cors(), "OPTIONS", &from("https://evil.example")).expect("one");
        assert!(stranger.headers().is_empty());
        assert!(preflight(&cors(), "GET", &from("https://loja.example")).is_none());
    }

    #[test]
    fn a_function_s_own_cors_headers_are_replaced() {
        let mut response = Response::new(Body::empty());
        let star = HeaderValue::from_static("*");
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, star);
        allow_reading(&cors(), &from("https://loja.example"), &mut response);
        assert_eq!(
            response.headers()["access-control-allow-origin"],
            "https://loja.example"
        );
        assert_eq!(
            response.headers()["access-control-expose-headers"],
            "retry-after"
        );
        allow_reading(&cors(), &from("https://evil.example"), &mut response);
        assert!(response.headers().is_empty());
    }
}
