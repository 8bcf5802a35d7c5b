//! The OpenAPI document and its page: bytes that were included at build, nothing computed.
//!
//! Architecture invariant: openapi.json says what template.yaml wires; a test compares the two.

use lambda_kit::{
    Problem,
    http::{Handler, Request, Response},
};

/// The OpenAPI 3.1 document.
pub const OPENAPI: &str = include_str!("../openapi.json");
/// The page that shows it.
pub const PAGE: &str = include_str!("../docs.html");
/// The page's one style and one script by their hashes, its own document, and nothing else.
pub const PAGE_POLICY: &str = "default-src 'none'; connect-src 'self'; \
    style-src 'sha256-0ACJb3cJHtsgK6mxhpTJCV5Ln+YeQlP6KewSzp+Xd/E='; \
    script-src 'sha256-Ozl6Gt2ktLQ5/YFW+oCmhUaldEJoE89Qp7NV4RFtsS0='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Browsers and caches may keep both for five minutes.
const CACHE: &str = "public, max-age=300";

/// Answers GET /docs and GET /openapi.json.
pub struct ApiDocs;

impl Handler for ApiDocs {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        let response = match request.route.as_str() {
            "GET /openapi.json" => Response::text(200, "application/json", OPENAPI),
            "GET /docs" => Response::text(200, "text/html; charset=utf-8", PAGE)
                .with_header("content-security-policy", PAGE_POLICY)
                .with_header("referrer-policy", "no-referrer"),
            _ => return Err(Problem::not_found("There is no such route")),
        };
        Ok(response.with_header("cache-control", CACHE))
    }
}
