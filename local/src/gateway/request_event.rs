//! An HTTP request as API Gateway hands it over: payload format 2.0.
//!
//! Sources: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs" and
//! "Control access to HTTP APIs with AWS Lambda authorizers". The path arrives decoded, the query
//! as it was sent; seen with live gateways in hotsock/voker#8.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::percent::decode_query;
use super::routing::Chosen;
use crate::bundle::{LOCAL_ACCOUNT, LOCAL_REGION};

/// The API's id in events and ARNs.
pub const API_ID: &str = "feiralocal";

/// A request before it is routed.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Upper case.
    pub method: String,
    /// Decoded.
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    /// `HTTP/1.1`.
    pub protocol: String,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The client's body.
    pub body: Bytes,
    /// The client's address.
    pub source_ip: String,
    /// The port that it reached.
    pub port: u16,
    /// API Gateway's request id.
    pub request_id: String,
    /// When it came.
    pub received: Timestamp,
}

/// The event for the function of the chosen route. `authorizer` is the context that the
/// authorizer gave.
pub fn function_event(
    incoming: &Incoming,
    chosen: &Chosen<'_>,
    authorizer: Option<&Value>,
) -> Value {
    let mut event = common(incoming, chosen);
    event.insert("version".to_owned(), json!("2.0"));
    if let (Some(context), Some(Value::Object(request_context))) =
        (authorizer, event.get_mut("requestContext"))
    {
        request_context.insert("authorizer".to_owned(), json!({ "lambda": context }));
    }
    let is_text = is_text(&incoming.headers) && std::str::from_utf8(&incoming.body).is_ok();
    if !incoming.body.is_empty() {
        let body = if is_text {
            String::from_utf8_lossy(&incoming.body).into_owned()
        } else {
            BASE64.encode(&incoming.body)
        };
        event.insert("body".to_owned(), Value::String(body));
    }
    let is_base64 = !incoming.body.is_empty() && !is_text;
    event.insert("isBase64Encoded".to_owned(), Value::Bool(is_base64));
    Value::Object(event)
}

/// The event for the authorizer of the chosen route.
pub fn authorizer_event(
    incoming: &Incoming,
    chosen: &Chosen<'_>,
    identity_source: &[String],
) -> Value {
    let mut event = common(incoming, chosen);
    event.insert("version".to_owned(), json!("2.0"));
    event.insert("type".to_owned(), json!("REQUEST"));
    let (method, path) = (&incoming.method, &incoming.path);
    let arn = format!(
        "arn:aws:execute-api:{LOCAL_REGION}:{LOCAL_ACCOUNT}:{API_ID}/$default/{method}{path}"
    );
    event.insert("routeArn".to_owned(), json!(arn));
    event.insert("identitySource".to_owned(), json!(identity_source));
    Value::Object(event)
}

fn common(incoming: &Incoming, chosen: &Chosen<'_>) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("routeKey".to_owned(), json!(chosen.route.key));
    event.insert("rawPath".to_owned(), json!(incoming.path));
    event.insert("rawQueryString".to_owned(), json!(incoming.query));
    let cookies = cookies(&incoming.headers);
    if !cookies.is_empty() {
        event.insert("cookies".to_owned(), json!(cookies));
    }
    event.insert("headers".to_owned(), json!(headers(incoming)));
    let query = query_parameters(&incoming.query);
    if !query.is_empty() {
        event.insert("queryStringParameters".to_owned(), json!(query));
    }
    if !chosen.path_parameters.is_empty() {
        event.insert("pathParameters".to_owned(), json!(chosen.path_parameters));
    }
    event.insert(
        "requestContext".to_owned(),
        request_context(incoming, &chosen.route.key),
    );
    event
}

fn request_context(incoming: &Incoming, route_key: &str) -> Value {
    let host = text_of(&incoming.headers, &header::HOST).unwrap_or_default();
    let domain = host
        .rsplit_once(':')
        .map_or(host.as_str(), |(name, _port)| name);
    json!({
        "accountId": LOCAL_ACCOUNT,
        "apiId": API_ID,
        "domainName": domain,
        "domainPrefix": domain.split('.').next().unwrap_or_default(),
        "http": {
            "method": incoming.method,
            "path": incoming.path,
            "protocol": incoming.protocol,
            "sourceIp": incoming.source_ip,
            "userAgent": text_of(&incoming.headers, &header::USER_AGENT).unwrap_or_default(),
        },
        "requestId": incoming.request_id,
        "routeKey": route_key,
        "stage": "$default",
        "time": incoming.received.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "timeEpoch": incoming.received.as_millisecond(),
    })
}

/// Lower-case names, repeated ones joined by commas, cookies apart, and what the gateway adds.
fn headers(incoming: &Incoming) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for name in incoming.headers.keys() {
        if name == header::COOKIE || name == header::CONNECTION {
            continue;
        }
        if let Some(value) = text_of(&incoming.headers, name) {
            headers.insert(name.as_str().to_owned(), value);
        }
    }
    let forwarded = match headers.get("x-forwarded-for") {
        Some(known) => format!("{known}, {}", incoming.source_ip),
        None => incoming.source_ip.clone(),
    };
    headers.insert("x-forwarded-for".to_owned(), forwarded);
    headers.insert("x-forwarded-port".to_owned(), incoming.port.to_string());
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    headers
        .entry("content-length".to_owned())
        .or_insert_with(|| incoming.body.len().to_string());
    headers
        .entry("x-amzn-trace-id".to_owned())
        .or_insert_with(|| {
            let id = crate::runtime_api::trace_id(
                &incoming.request_id,
                incoming.received.as_millisecond(),
            );
            id.split(';').next().unwrap_or_default().to_owned()
        });
    headers
}

/// Every value of a header, joined by commas; `None` when it is absent.
pub fn text_of(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let values: Vec<String> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::COOKIE);
    lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .map(|cookie| cookie.trim().to_owned())
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// Decoded names and values; a repeated name's values joined by commas.
pub fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode_query(value);
        parameters
            .entry(decode_query(name))
            .and_modify(|known| {
                known.push(',');
                known.push_str(&value);
            })
            .or_insert_with(|| value.clone());
    }
    parameters
}

/// API Gateway hands these types over as text; every other body is base64, forms among them.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = text_of(headers, &header::CONTENT_TYPE) else {
        return true;
    };
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(
            kind.as_str(),
            "application/json" | "application/xml" | "application/javascript"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Route;

    fn route() -> Route {
        Route {
            key: "GET /r/{code}".to_owned(),
            method: Some("GET".to_owned()),
            path: Some("/r/{code}".to_owned()),
            function: "F".to_owned(),
            authorizer: None,
            scopes: Vec::new(),
        }
    }

    fn incoming() -> Incoming {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "127.0.0.1:8080"),
            ("user-agent", "curl/8"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("cookie", "a=1; b=2"),
        ] {
            headers.append(name, value.parse().expect("a header value"));
        }
        Incoming {
            method: "GET".to_owned(),
            path: "/r/a b".to_owned(),
            query: "x=1&x=2&y=a%20b&z".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            headers,
            body: Bytes::new(),
            source_ip: "127.0.0.1".to_owned(),
            port: 8080,
            request_id: "3f2a8c1d-0000-4000-8000-123456789abc".to_owned(),
            received: Timestamp::from_millisecond(1_583_348_638_390).expect("a time"),
        }
    }

    #[test]
    fn a_get_request_has_the_shape_of_payload_2_0() {
        let route = route();
        let parameters = BTreeMap::from([("code".to_owned(), "a b".to_owned())]);
        let chosen = Chosen {
            route: &route,
            path_parameters: parameters,
        };
        let context = json!({ "sub": "c1" });
        let event = function_event(&incoming(), &chosen, Some(&context));
        assert_eq!(
            event,
            json!({
                "version": "2.0",
                "routeKey": "GET /r/{code}",
                "rawPath": "/r/a b",
                "rawQueryString": "x=1&x=2&y=a%20b&z",
                "cookies": ["a=1", "b=2"],
                "headers": {
                    "content-length": "0",
                    "host": "127.0.0.1:8080",
                    "user-agent": "curl/8",
                    "x-amzn-trace-id": "Root=1-5e5ffb9e-3f2a8c1d0000400080001234",
                    "x-forwarded-for": "127.0.0.1",
                    "x-forwarded-port": "8080",
                    "x-forwarded-proto": "http",
                    "x-twice": "1,2"
                },
                "queryStringParameters": {"x": "1,2", "y": "a b", "z": ""},
                "pathParameters": {"code": "a b"},
                "requestContext": {
                    "accountId": "000000000000",
                    "apiId": "feiralocal",
                    "authorizer": {"lambda": {"sub": "c1"}},
                    "domainName": "127.0.0.1",
                    "domainPrefix": "127",
                    "http": {
                        "method": "GET", "path": "/r/a b", "protocol": "HTTP/1.1",
                        "sourceIp": "127.0.0.1", "userAgent": "curl/8"
                    },
                    "requestId": "3f2a8c1d-0000-4000-8000-123456789abc",
                    "routeKey": "GET /r/{code}",
                    "stage": "$default",
                    "time": "04/Mar/2020:19:03:58 +0000",
                    "timeEpoch": 1_583_348_638_390_i64
                },
                "isBase64Encoded": false
            })
        );
    }

    #[test]
    fn json_is_text_and_a_form_is_base64() {
        let route = route();
        let chosen = Chosen {
            route: &route,
            path_parameters: BTreeMap::new(),
        };
        let with = |kind: &str, body: &'static [u8]| {
            let mut incoming = incoming();
            incoming
                .headers
                .insert("content-type", kind.parse().expect("a header value"));
            incoming.body = Bytes::from_static(body);
            function_event(&incoming, &chosen, None)
        };
        let event = with("application/problem+json; charset=utf-8", b"{}");
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!("{}"), &json!(false))
        );
        let event = with("application/x-www-form-urlencoded", b"a=1");
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!("YT0x"), &json!(true))
        );
        let event = with("text/plain", b"\xff");
        assert_eq!(event["isBase64Encoded"], json!(true));
    }

    #[test]
    fn the_authorizer_gets_its_request_event() {
        let route = route();
        let chosen = Chosen {
            route: &route,
            path_parameters: BTreeMap::new(),
        };
        let event = authorizer_event(&incoming(), &chosen, &["Bearer x".to_owned()]);
        assert_eq!(event["type"], "REQUEST");
        assert_eq!(event["identitySource"], json!(["Bearer x"]));
        assert_eq!(event["routeKey"], "GET /r/{code}");
        assert!(event.get("body").is_none() && event.get("isBase64Encoded").is_none());
    }
}
