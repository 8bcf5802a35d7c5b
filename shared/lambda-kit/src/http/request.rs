//! A request, read from API Gateway's event.

use std::collections::BTreeMap;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::fields::Fields;
use domain::time::UtcMillis;

use super::LARGEST_BODY_BYTES;
use crate::{FieldError, Invocation, Problem};

const LONGEST_KEY: usize = 128;
/// Longest subject: it fits every column that keeps one.
const LONGEST_SUBJECT: usize = 64;

/// Whom the token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's `sub`: a customer's id or a service's.
    pub subject: String,
    /// What the token allows.
    pub scopes: Vec<String>,
}

/// A request with everything that a handler may need; header names are in lower case.
#[derive(Clone)]
pub struct Request {
    /// The template's route, such as `GET /vouchers/{code}`.
    pub route: String,
    /// Path parameters by name, decoded.
    pub path: BTreeMap<String, String>,
    /// Query parameters by name; repeated ones joined by commas, as API Gateway does.
    pub query: BTreeMap<String, String>,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Cookies, each `name=value`.
    pub cookies: Vec<String>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// Whom the token speaks for; `None` on public routes.
    pub principal: Option<Principal>,
    /// The caller's address: personal data, for an HMAC only.
    pub source_ip: String,
    /// When the invocation began.
    pub now: UtcMillis,
}

impl Principal {
    /// Whether the token has the scope.
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|mine| mine == scope)
    }
}

impl Request {
    pub(super) fn read(
        event: ApiGatewayV2httpRequest,
        invocation: &Invocation,
    ) -> Result<Self, Problem> {
        let text = event.body.unwrap_or_default();
        let body = if event.is_base64_encoded {
            STANDARD
                .decode(text)
                .map_err(|_| Problem::field("body", "must be base64 as declared"))?
        } else {
            text.into_bytes()
        };
        if body.len() > LARGEST_BODY_BYTES {
            return Err(Problem::too_large(LARGEST_BODY_BYTES));
        }
        let mut query: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in event.query_string_parameters.iter() {
            // The event's reader splits at commas; what was sent is put together again.
            query
                .entry(name.to_owned())
                .and_modify(|known| {
                    known.push(',');
                    known.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
        let headers = &event.headers;
        let fields = event
            .request_context
            .authorizer
            .map(|authorizer| authorizer.fields);
        Ok(Self {
            route: event.route_key.unwrap_or_default(),
            path: event.path_parameters.into_iter().collect(),
            query,
            headers: headers
                .iter()
                // A header that is not ASCII stays, to be refused: dropped it would be ignored.
                .map(|(name, value)| {
                    let text = String::from_utf8_lossy(value.as_bytes());
                    (name.to_string(), text.into_owned())
                })
                .collect(),
            cookies: event.cookies.unwrap_or_default(),
            body,
            principal: fields.and_then(|fields| principal(&fields)),
            source_ip: event.request_context.http.source_ip.unwrap_or_default(),
            now: invocation.now,
        })
    }

    /// A parameter of the path.
    ///
    /// # Errors
    /// When the route has none of that name.
    pub fn path_parameter(&self, name: &str) -> Result<&str, Problem> {
        let value = self.path.get(name).map(String::as_str);
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Problem::field(name, "must be given"))
    }

    /// A query parameter, when it is given.
    #[must_use]
    pub fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Refuses query parameters that the route does not know, so that a typing error is noticed.
    ///
    /// # Errors
    /// Names each unknown parameter.
    pub fn only_query(&self, known: &[&str]) -> Result<(), Problem> {
        let unknown: Vec<FieldError> = self
            .query
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .take(10)
            .map(|name| {
                let name: String = name.chars().take(50).collect();
                FieldError::new(name, "is not a parameter of this route")
            })
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(unknown))
        }
    }

    /// The page size `limite`: at least 1, at most `most`, `most` when it is not given.
    ///
    /// # Errors
    /// When it is no such number.
    pub fn page_size(&self, most: u32) -> Result<u32, Problem> {
        match self.query_parameter("limite") {
            None => Ok(most),
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=most).contains(size))
                .ok_or_else(|| {
                    Problem::field("limite", format!("must be a whole number from 1 to {most}"))
                }),
        }
    }

    /// A header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Whether the caller has the answer with this entity tag: If-None-Match, compared weakly
    /// (RFC 9110 §13.1.2).
    #[must_use]
    pub fn knows(&self, tag: &str) -> bool {
        let Some(known) = self.header("if-none-match") else {
            return false;
        };
        let mut known = known.split(',').map(str::trim);
        known.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies
            .iter()
            .find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whom the token speaks for.
    ///
    /// # Errors
    /// 401 when the event has no token's claims.
    pub fn principal(&self) -> Result<&Principal, Problem> {
        self.principal.as_ref().ok_or_else(Problem::unauthenticated)
    }

    /// The body's fields, for a reader that checks them one by one.
    ///
    /// # Errors
    /// When the body is no JSON object.
    pub fn fields(&self) -> Result<Fields, Problem> {
        Ok(Fields::read(&self.body)?)
    }

    /// The Idempotency-Key, when it is given.
    ///
    /// # Errors
    /// When it is empty, too long, or holds other than visible ASCII.
    pub fn idempotency_key(&self) -> Result<Option<&str>, Problem> {
        const NAME: &str = "Idempotency-Key";
        match self.header("idempotency-key") {
            None => Ok(None),
            Some(key) => {
                let fits = (1..=LONGEST_KEY).contains(&key.len());
                if fits && key.bytes().all(|byte| byte.is_ascii_graphic()) {
                    Ok(Some(key))
                } else {
                    Err(Problem::field(
                        NAME,
                        "must be 1 to 128 visible ASCII characters",
                    ))
                }
            }
        }
    }

    /// The Idempotency-Key of a route that needs one.
    ///
    /// # Errors
    /// 400 when it is missing or malformed.
    pub fn required_idempotency_key(&self) -> Result<&str, Problem> {
        let missing = || Problem::field("Idempotency-Key", "must be given");
        self.idempotency_key()?.ok_or_else(missing)
    }
}

/// `claims` is what the authorizer put into `requestContext.authorizer.lambda`.
fn principal(claims: &std::collections::HashMap<String, serde_json::Value>) -> Option<Principal> {
    let subject = claims.get("sub")?.as_str()?;
    let visible = subject.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(1..=LONGEST_SUBJECT).contains(&subject.len()) {
        return None;
    }
    let scopes = claims
        .get("scope")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    Some(Principal {
        subject: subject.to_owned(),
        scopes: scopes
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}
