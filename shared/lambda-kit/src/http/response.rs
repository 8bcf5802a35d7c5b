//! A response, written as API Gateway's format 2.0.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Problem;

/// What goes back to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
    /// The body as text.
    pub body: String,
    /// Whether that text is the base64 of the bytes that go back.
    pub is_base64: bool,
}

impl Response {
    /// A status without a body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            cookies: Vec::new(),
            body: String::new(),
            is_base64: false,
        }
    }

    /// A JSON body that no cache keeps.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(text) => Self::json_text(status, text),
            Err(_) => Problem::internal().into(),
        }
    }

    /// A body that is JSON text already.
    #[must_use]
    pub fn json_text(status: u16, body: String) -> Self {
        Self::text(status, "application/json", body).with_header("cache-control", "no-store")
    }

    /// A body of this content type.
    #[must_use]
    pub fn text(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        let mut response = Self::empty(status);
        response.body = body.into();
        response.with_header("content-type", content_type)
    }

    /// The body is the base64 of what goes back.
    #[must_use]
    pub const fn in_base64(mut self) -> Self {
        self.is_base64 = true;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With one more cookie.
    #[must_use]
    pub fn with_cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }

    pub(super) fn into_event(self) -> Value {
        let headers: Map<String, Value> = self
            .headers
            .into_iter()
            .chain([("x-content-type-options", "nosniff".to_owned())])
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        json!({
            "statusCode": self.status,
            "headers": headers,
            "cookies": self.cookies,
            "body": self.body,
            "isBase64Encoded": self.is_base64,
        })
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut response = Self::text(problem.status, "application/problem+json", body)
            .with_header("cache-control", "no-store");
        if let Some(seconds) = problem.retry_after_seconds {
            response = response.with_header("retry-after", seconds.to_string());
        }
        response
    }
}
