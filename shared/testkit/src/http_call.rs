//! HTTP requests as API Gateway hands them to a function: payload format 2.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A request in the making; [`HttpCall::event`] is what the function gets.
#[derive(Debug, Clone)]
pub struct HttpCall {
    route: String,
    path: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    claims: Option<Value>,
    body: Option<String>,
}

impl HttpCall {
    /// A request of a route as the template writes it: `POST /vouchers/{code}/commit`.
    #[must_use]
    pub fn of(route: &str) -> Self {
        let headers = BTreeMap::from([
            ("host".to_owned(), "feira.test".to_owned()),
            (
                "user-agent".to_owned(),
                "Mozilla/5.0 (X11; Linux x86_64)".to_owned(),
            ),
            ("x-forwarded-proto".to_owned(), "https".to_owned()),
        ]);
        Self {
            route: route.to_owned(),
            path: BTreeMap::new(),
            headers,
            query: BTreeMap::new(),
            claims: None,
            body: None,
        }
    }

    /// The value of `{name}` in the route.
    #[must_use]
    pub fn path(mut self, name: &str, value: &str) -> Self {
        self.path.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A header; `name` is in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A query parameter, decoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What the authorizer found in the token: whom it speaks for, and its scopes with a space
    /// between them.
    #[must_use]
    pub fn token_of(mut self, subject: &str, scope: &str) -> Self {
        self.claims = Some(json!({"sub": subject, "scope": scope}));
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self.header("content-type", "application/json")
    }

    /// API Gateway's event.
    ///
    /// # Panics
    /// Where the route has no method.
    #[must_use]
    pub fn event(&self) -> Value {
        let (method, template) = self.route.split_once(' ').expect("a route is METHOD /path");
        let path = self
            .path
            .iter()
            .fold(template.to_owned(), |path, (name, value)| {
                path.replace(&format!("{{{name}}}"), value)
            });
        let mut event = json!({
            "version": "2.0",
            "routeKey": self.route,
            "rawPath": path,
            "rawQueryString": "",
            "headers": self.headers,
            "pathParameters": self.path,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "feiratest",
                "domainName": "feira.test",
                "domainPrefix": "feira",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7",
                    "userAgent": self.headers["user-agent"],
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": self.route,
                "stage": "$default",
                "time": "20/Nov/2026:12:00:00 +0000",
                "timeEpoch": 1_795_176_000_000_i64,
            },
            "isBase64Encoded": false,
        });
        if !self.query.is_empty() {
            let pairs: Vec<String> = self
                .query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            event["rawQueryString"] = json!(pairs.join("&"));
            event["queryStringParameters"] = json!(self.query);
        }
        if let Some(claims) = &self.claims {
            event["requestContext"]["authorizer"] = json!({"lambda": claims});
        }
        if let Some(body) = &self.body {
            event["body"] = json!(body);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_parameters_stand_in_the_path_too() {
        let event = HttpCall::of("GET /r/{code}").path("code", "ABC").event();
        assert_eq!(event["rawPath"], "/r/ABC");
        assert_eq!(event["pathParameters"]["code"], "ABC");
        assert_eq!(event["requestContext"]["http"]["method"], "GET");
        assert!(event["requestContext"].get("authorizer").is_none());
    }
}
