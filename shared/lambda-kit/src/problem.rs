//! Errors over HTTP: RFC 9457 problems with a stable `type`. They name the field and never hold
//! an internal text or a value of the request.

use contracts::fields::BadMessage;
use serde::Serialize;

/// A problem to answer with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `urn:feira:problem:<slug>`: stable, for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the kind means, for people.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What to mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Each field that is wrong.
    #[serde(rename = "errors", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
    /// Seconds for `Retry-After`.
    #[serde(skip)]
    pub retry_after_seconds: Option<u32>,
}

/// A field of the request and the rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's path on the wire ("desconto.teto"), a parameter or a header.
    pub field: String,
    /// The rule, as a clause that follows the name ("must be …").
    pub rule: String,
}

impl FieldError {
    /// A field and its rule.
    #[must_use]
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}

impl Problem {
    /// A problem of this kind. `slug` becomes the stable `type`.
    #[must_use]
    pub fn new(status: u16, slug: &str, title: &'static str) -> Self {
        Self {
            kind: format!("urn:feira:problem:{slug}"),
            title,
            status,
            detail: None,
            fields: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// With a sentence on what to mend.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// 400: fields of the request break rules.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        let mut problem = Self::new(400, "invalid-request", "The request breaks a rule");
        problem.fields = fields;
        problem
    }

    /// 400 for one field.
    #[must_use]
    pub fn field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, rule)])
    }

    /// 401: the route needs a principal and the event has none.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(401, "unauthenticated", "A valid token is needed")
    }

    /// 404.
    #[must_use]
    pub fn not_found(title: &'static str) -> Self {
        Self::new(404, "not-found", title)
    }

    /// 409.
    #[must_use]
    pub fn conflict(slug: &str, title: &'static str) -> Self {
        Self::new(409, slug, title)
    }

    /// 413.
    #[must_use]
    pub fn too_large(limit_bytes: usize) -> Self {
        let rule = format!("must be at most {limit_bytes} bytes");
        let mut problem = Self::new(413, "body-too-large", "The body is too large");
        problem.fields.push(FieldError::new("body", rule));
        problem
    }

    /// 422: an Idempotency-Key came again with another request.
    #[must_use]
    pub fn key_reused() -> Self {
        let mut problem = Self::new(
            422,
            "idempotency-key-reused",
            "The Idempotency-Key belongs to another request",
        );
        let rule = "must be one that came with no other request";
        problem
            .fields
            .push(FieldError::new("Idempotency-Key", rule));
        problem
    }

    /// 429, with `Retry-After`.
    #[must_use]
    pub fn too_many(retry_after_ms: i64) -> Self {
        let seconds = u32::try_from((retry_after_ms.max(1) + 999) / 1000).unwrap_or(u32::MAX);
        let mut problem = Self::new(429, "too-many-requests", "Too many requests");
        problem.retry_after_seconds = Some(seconds);
        problem
    }

    /// 503: worth another try.
    #[must_use]
    pub fn unavailable() -> Self {
        let mut problem = Self::new(503, "unavailable", "Please try again");
        problem.retry_after_seconds = Some(1);
        problem
    }

    /// 500: nothing of the cause is shown. Log it where it is turned into this.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(500, "internal", "Something went wrong on our side")
    }
}

impl From<BadMessage> for Problem {
    fn from(bad: BadMessage) -> Self {
        Self::field(bad.field.unwrap_or("body"), bad.rule)
    }
}
