//! A function's answer as API Gateway turns it into HTTP: response format 2.0.
//!
//! Source: API Gateway developer guide, "Lambda function response for format 2.0".

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// The gateway's own answers carry only a message.
pub fn message(status: StatusCode, text: &str) -> Response<Body> {
    let body = serde_json::json!({ "message": text }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// What clients see when a function fails or answers nonsense.
pub fn internal_error() -> Response<Body> {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// The HTTP response that a function's payload means.
pub fn http_response(payload: &[u8]) -> Response<Body> {
    let Ok(payload) = serde_json::from_slice::<Value>(payload) else {
        return internal_error();
    };
    if payload.get("statusCode").is_none() {
        return inferred(payload);
    }
    stated(&payload).unwrap_or_else(internal_error)
}

/// Without a `statusCode` the whole payload is the body of a 200.
fn inferred(payload: Value) -> Response<Body> {
    let body = match payload {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn stated(payload: &Value) -> Option<Response<Body>> {
    let status = match payload.get("statusCode")? {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    let body = match payload.get("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) if is_base64(payload) => BASE64.decode(text).ok()?,
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(_) => return None,
    };
    let has_body = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(Value::Object(stated)) = payload.get("headers") {
        for (name, value) in stated {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.insert(name, HeaderValue::from_str(&plain(value)?).ok()?);
        }
    }
    // The length is the gateway's own business.
    headers.remove(header::CONTENT_LENGTH);
    if has_body && !headers.contains_key(header::CONTENT_TYPE) {
        let text = HeaderValue::from_static("text/plain;charset=UTF-8");
        headers.insert(header::CONTENT_TYPE, text);
    }
    if let Some(Value::Array(cookies)) = payload.get("cookies") {
        for cookie in cookies {
            headers.append(
                header::SET_COOKIE,
                HeaderValue::from_str(cookie.as_str()?).ok()?,
            );
        }
    }
    Some(response)
}

fn is_base64(payload: &Value) -> bool {
    payload
        .get("isBase64Encoded")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(payload: &str) -> (u16, Vec<(String, String)>, String) {
        let response = http_response(payload.as_bytes());
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        let body = axum::body::to_bytes(response.into_body(), 1_000)
            .await
            .expect("a body");
        (status, headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn a_stated_response_is_given_as_stated() {
        let (status, headers, body) = read(
            r#"{"statusCode":302,"headers":{"Location":"https://x","X-N":1},
                "cookies":["a=1; Path=/","b=2"],"body":"aGk=","isBase64Encoded":true}"#,
        )
        .await;
        assert_eq!((status, body.as_str()), (302, "hi"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert!(headers.contains(&pair("location", "https://x")));
        assert!(headers.contains(&pair("x-n", "1")));
        assert!(headers.contains(&pair("set-cookie", "a=1; Path=/")));
        assert!(headers.contains(&pair("set-cookie", "b=2")));
    }

    #[tokio::test]
    async fn without_a_status_code_the_payload_is_the_body() {
        let (status, headers, body) = read(r#"{"a":1}"#).await;
        assert_eq!((status, body.as_str()), (200, r#"{"a":1}"#));
        assert_eq!(
            headers,
            [("content-type".to_owned(), "application/json".to_owned())]
        );
        assert_eq!(read("\"Hello from Lambda!\"").await.2, "Hello from Lambda!");
    }

    #[tokio::test]
    async fn nonsense_is_an_internal_server_error() {
        for nonsense in [
            "",
            "{",
            r#"{"statusCode":"x"}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":200,"body":"*","isBase64Encoded":true}"#,
            r#"{"statusCode":99999}"#,
        ] {
            let (status, _, body) = read(nonsense).await;
            assert_eq!(
                (status, body.as_str()),
                (500, r#"{"message":"Internal Server Error"}"#)
            );
        }
    }
}
