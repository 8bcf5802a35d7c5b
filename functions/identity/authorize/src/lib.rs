//! API Gateway authorizer: validates a bearer token against the scopes of its route.
//!
//! Tokens are access tokens of RFC 9068, checked as RFC 8725 asks. What a token says is never
//! logged; a refusal is, by its code.

mod keys;
mod scopes;
mod token;

use domain::time::UtcMillis;
use lambda_kit::authorizer::{Claims, Handler, Question};

pub use keys::KeysError;
pub use token::Refusal;

use keys::Keys;
use token::Expected;

/// What the template gives this function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Public keys as a JWK set (RFC 7517).
    pub jwks: String,
    /// The `iss` of every token.
    pub issuer: String,
    /// The `aud` of every token.
    pub audience: String,
}

/// Variables that are missing, all at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment lacks {0}: name them in template.yaml, under AuthorizeFunction")]
pub struct SettingsMissing(String);

impl Settings {
    /// Reads `TOKEN_JWKS`, `TOKEN_ISSUER` and `TOKEN_AUDIENCE`.
    ///
    /// # Errors
    /// Names every variable that is unset or empty.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsMissing> {
        let mut missing = Vec::new();
        let mut read = |name: &'static str| {
            let value = variable(name).filter(|value| !value.is_empty());
            if value.is_none() {
                missing.push(name);
            }
            value.unwrap_or_default()
        };
        let settings = Self {
            jwks: read("TOKEN_JWKS"),
            issuer: read("TOKEN_ISSUER"),
            audience: read("TOKEN_AUDIENCE"),
        };
        if missing.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsMissing(missing.join(", ")))
        }
    }
}

/// Decides on requests by their token and the scopes of their route.
pub struct TokenAuthorizer {
    keys: Keys,
    expected: Expected,
}

impl TokenAuthorizer {
    /// Reads the keys; nothing is computed with them before the first token comes.
    ///
    /// # Errors
    /// When the key set can't be read or holds a key that must not be there.
    pub fn new(settings: Settings) -> Result<Self, KeysError> {
        let keys = Keys::parse(&settings.jwks)?;
        if keys.is_empty() {
            tracing::warn!(
                reason = "TOKEN_JWKS has no keys",
                "every token will be refused"
            );
        }
        let expected = Expected {
            issuer: settings.issuer,
            audience: settings.audience,
        };
        Ok(Self { keys, expected })
    }

    /// The claims of a request that may pass, or why it may not.
    ///
    /// # Errors
    /// The refusal, for the log and the tests; the caller only learns that it was refused.
    pub fn decide(&self, question: &Question, now: UtcMillis) -> Result<Claims, Refusal> {
        let accepted = scopes::of_route(&question.route).ok_or(Refusal::UnknownRoute)?;
        if accepted == [scopes::PUBLIC] {
            return Ok(Claims::new());
        }
        let header = question.authorization.as_deref().ok_or(Refusal::NoToken)?;
        let token = token::read(header, &self.keys, &self.expected, now)?;
        if !token.has_one_of(accepted) {
            return Err(Refusal::ScopeMissing);
        }
        Ok(token.into_claims())
    }
}

impl Handler for TokenAuthorizer {
    fn authorize(&self, question: &Question, now: UtcMillis) -> Option<Claims> {
        self.decide(question, now)
            .inspect_err(|refusal| {
                tracing::info!(
                    route = question.route,
                    reason = refusal.code(),
                    "token refused"
                );
            })
            .ok()
    }
}
