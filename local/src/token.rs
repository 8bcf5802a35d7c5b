//! Access tokens for a laptop: RFC 9068 (`at+jwt`), signed with ES256 by a key of this state folder.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, OrFailure};
use crate::processes::new_request_id;

/// An ES256 key pair. `Debug` shows the key's id only.
#[derive(Clone)]
pub struct SigningKey {
    pkcs8: Vec<u8>,
    x: String,
    y: String,
    id: String,
}

/// What a token says.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// `sub`: a customer's id, or the client itself.
    pub subject: &'a str,
    /// `scope`, separated by blanks.
    pub scope: &'a str,
    /// `iat`, seconds since 1970.
    pub issued_at_s: i64,
    /// Seconds until it ends.
    pub valid_s: i64,
}

impl SigningKey {
    /// A new key pair in PKCS #8.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new_pkcs8() -> Result<Vec<u8>, Failure> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        let document = document.or_work(|| "no key could be made".to_owned())?;
        Ok(document.as_ref().to_vec())
    }

    /// Reads a key pair.
    ///
    /// # Errors
    /// A sentence that says what the key must be.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Failure> {
        let wrong = || "TOKEN_SIGNING_KEY is no ES256 key: take its line away".to_owned();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
        let pair = pair.or_mend(wrong)?;
        // An uncompressed point: 4, then 32 bytes of x and of y (SEC 1, 2.3.3).
        let point = pair.public_key().as_ref();
        let coordinates = point.get(1..33).zip(point.get(33..65));
        let (x, y) = coordinates.ok_or_else(|| Failure::mend(wrong()))?;
        let (x, y) = (BASE64URL.encode(x), BASE64URL.encode(y));
        // RFC 7638: the hash of the required members in order.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = BASE64URL.encode(Sha256::digest(members.as_bytes()));
        Ok(Self {
            pkcs8: pkcs8.to_vec(),
            x,
            y,
            id,
        })
    }

    /// The public key as the one member of a key set (RFC 7517).
    pub fn jwks(&self) -> Value {
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y,
            "kid": self.id, "alg": "ES256", "use": "sig",
        }] })
    }

    /// Signs an access token.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn token(&self, claims: &Claims<'_>) -> Result<String, Failure> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.id.clone());
        let body = json!({
            "iss": claims.issuer,
            "aud": claims.audience,
            "sub": claims.subject,
            "client_id": "cargo-local",
            "iat": claims.issued_at_s,
            "exp": claims.issued_at_s.saturating_add(claims.valid_s),
            "jti": new_request_id(),
            "scope": claims.scope,
        });
        let key = EncodingKey::from_ec_der(&self.pkcs8);
        jsonwebtoken::encode(&header, &body, &key).or_work(|| "no token could be signed".to_owned())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    #[test]
    fn a_token_is_verified_with_the_published_key() {
        let key = SigningKey::from_pkcs8(&SigningKey::new_pkcs8().expect("a key")).expect("reads");
        let claims = Claims {
            issuer: "https://feira.local",
            audience: "feira",
            subject: "c1",
            scope: "a b",
            issued_at_s: jiff::Timestamp::now().as_second(),
            valid_s: 60,
        };
        let token = key.token(&claims).expect("signs");
        let jwks = key.jwks();
        let published = &jwks["keys"][0];
        let coordinate = |name: &str| published[name].as_str().expect("text").to_owned();
        let decoding = DecodingKey::from_ec_components(&coordinate("x"), &coordinate("y"));
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["feira"]);
        let data = jsonwebtoken::decode::<Value>(&token, &decoding.expect("a key"), &validation);
        let data = data.expect("verifies");
        assert_eq!(data.header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(data.header.kid.as_deref(), published["kid"].as_str());
        assert_eq!(data.claims["scope"], "a b");
    }
}
