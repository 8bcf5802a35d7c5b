//! One access token: RFC 9068 claims, checked in the way of RFC 8725.

use domain::time::UtcMillis;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use lambda_kit::authorizer::Claims;
use serde::Deserialize;

use crate::keys::Keys;

/// Longest token that is looked at; API Gateway takes headers of 10,240 bytes in all.
const MAX_TOKEN_BYTES: usize = 8_192;
/// How far the clocks of issuer and authorizer may differ.
const CLOCK_SKEW_SECONDS: i64 = 30;
const MILLIS_PER_SECOND: i64 = 1_000;

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The route is not in the template.
    UnknownRoute,
    /// There is no Authorization header.
    NoToken,
    /// The header is no bearer token.
    NotBearer,
    /// The token is longer than any of ours.
    TooLong,
    /// No JWT, an algorithm that nobody knows, or claims of the wrong type.
    Unreadable,
    /// `typ` is not `at+jwt`, so it is another kind of token.
    WrongType,
    /// `crit` asks for something that is not understood (RFC 7515 §4.1.11).
    UnknownExtension,
    /// No `kid`, or one that is none of our keys.
    UnknownKey,
    /// `alg` is not the algorithm of the key.
    WrongAlgorithm,
    /// The signature is not of our key.
    BadSignature,
    /// `iss` is missing or another.
    WrongIssuer,
    /// `aud` is missing or another.
    WrongAudience,
    /// `exp` has passed.
    Expired,
    /// `nbf` is still to come.
    NotYetValid,
    /// It has none of the scopes of the route.
    ScopeMissing,
}

impl Refusal {
    /// Stable code for the log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownRoute => "unknown_route",
            Self::NoToken => "no_token",
            Self::NotBearer => "not_bearer",
            Self::TooLong => "too_long",
            Self::Unreadable => "unreadable",
            Self::WrongType => "wrong_type",
            Self::UnknownExtension => "unknown_extension",
            Self::UnknownKey => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::ScopeMissing => "scope_missing",
        }
    }
}

/// What every token must say.
pub(crate) struct Expected {
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

/// The claims that are used; `iss` and `aud` are checked before.
#[derive(Deserialize)]
pub(crate) struct AccessToken {
    sub: String,
    client_id: String,
    jti: String,
    #[serde(default)]
    scope: String,
    #[serde(rename = "iat")]
    _issued_at: i64,
    exp: i64,
    nbf: Option<i64>,
}

impl AccessToken {
    pub(crate) fn has_one_of(&self, accepted: &[&str]) -> bool {
        self.scope.split(' ').any(|scope| accepted.contains(&scope))
    }

    pub(crate) fn into_claims(self) -> Claims {
        Claims::from([
            ("sub".to_owned(), self.sub),
            ("scope".to_owned(), self.scope),
            ("client_id".to_owned(), self.client_id),
            ("jti".to_owned(), self.jti),
        ])
    }
}

/// Reads the Authorization header and believes it only when everything fits.
pub(crate) fn read(
    header: &str,
    keys: &Keys,
    expected: &Expected,
    now: UtcMillis,
) -> Result<AccessToken, Refusal> {
    let token = match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        _ => return Err(Refusal::NotBearer),
    };
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::TooLong);
    }
    let header = decode_header(token).map_err(|_| Refusal::Unreadable)?;
    if !header.typ.as_deref().is_some_and(is_access_token) {
        return Err(Refusal::WrongType);
    }
    if header.crit.is_some() {
        return Err(Refusal::UnknownExtension);
    }
    let key = header
        .kid
        .and_then(|id| keys.get(&id))
        .ok_or(Refusal::UnknownKey)?;
    if header.alg != key.algorithm {
        return Err(Refusal::WrongAlgorithm);
    }
    let mut validation = Validation::new(key.algorithm);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[&expected.issuer]);
    validation.set_audience(&[&expected.audience]);
    // Times are compared below, with the time that comes in.
    validation.validate_exp = false;
    let token = decode::<AccessToken>(token, &key.decoding, &validation)
        .map_err(|error| refusal(error.kind()))?
        .claims;
    let now_seconds = now.get().div_euclid(MILLIS_PER_SECOND);
    if token.exp.saturating_add(CLOCK_SKEW_SECONDS) <= now_seconds {
        return Err(Refusal::Expired);
    }
    if token
        .nbf
        .is_some_and(|nbf| nbf.saturating_sub(CLOCK_SKEW_SECONDS) > now_seconds)
    {
        return Err(Refusal::NotYetValid);
    }
    Ok(token)
}

/// RFC 9068 §4: `at+jwt`, with or without `application/`, in any case.
fn is_access_token(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt"]
        .iter()
        .any(|wanted| typ.eq_ignore_ascii_case(wanted))
}

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::InvalidSignature => Refusal::BadSignature,
        ErrorKind::InvalidIssuer => Refusal::WrongIssuer,
        ErrorKind::InvalidAudience => Refusal::WrongAudience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Refusal::WrongIssuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Refusal::WrongAudience,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Refusal::WrongAlgorithm,
        _ => Refusal::Unreadable,
    }
}
