//! Our own public keys, by key id. A key never comes from a token.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// RFC 8725 and aws-lc ask for 2,048 bits: 256 bytes, which are 342 characters of base64url.
const SHORTEST_RSA_MODULUS_CHARS: usize = 342;

/// Why a key set is refused. It names key ids and never a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// No JWK set.
    #[error("TOKEN_JWKS is no JWK set ({0}): write {{\"keys\":[…]}}")]
    NotASet(String),
    /// A key without `kid`.
    #[error("a key of TOKEN_JWKS has no kid: give each key its own")]
    NoId,
    /// Two keys of one `kid`.
    #[error("TOKEN_JWKS has two keys of the kid {0}: give each key its own")]
    TwiceTheId(String),
    /// A private or symmetric key, which has no place in an environment variable.
    #[error("the key {0} of TOKEN_JWKS is not public: leave out d, and take no symmetric keys")]
    NotPublic(String),
    /// A key that no accepted algorithm fits.
    #[error(
        "the key {0} of TOKEN_JWKS fits none of ES256 (EC, P-256), RS256 (RSA, 2048 bits or more) \
         and EdDSA (OKP, Ed25519), or names another alg or use"
    )]
    Unfit(String),
}

/// Public keys by key id, each with the one algorithm that it is used with.
pub(crate) struct Keys(BTreeMap<String, Key>);

/// A public key and its algorithm.
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: Option<String>,
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

impl Keys {
    pub(crate) fn parse(text: &str) -> Result<Self, KeysError> {
        let set: KeySet = serde_json::from_str(text).map_err(|error| {
            // serde's own text quotes values, and a value may be a private key.
            let (line, column) = (error.line(), error.column());
            KeysError::NotASet(format!(
                "{:?}, line {line}, column {column}",
                error.classify()
            ))
        })?;
        let mut keys = BTreeMap::new();
        for jwk in set.keys {
            let id = jwk
                .kid
                .clone()
                .filter(|id| !id.is_empty())
                .ok_or(KeysError::NoId)?;
            let key = jwk.into_key(&id)?;
            if keys.insert(id.clone(), key).is_some() {
                return Err(KeysError::TwiceTheId(id));
            }
        }
        Ok(Self(keys))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }
}

impl Jwk {
    fn into_key(self, id: &str) -> Result<Key, KeysError> {
        let unfit = || KeysError::Unfit(id.to_owned());
        if self.d.is_some() || self.k.is_some() || self.kty == "oct" {
            return Err(KeysError::NotPublic(id.to_owned()));
        }
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(unfit());
        }
        let (algorithm, name, decoding) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let (x, y) = self.x.zip(self.y).ok_or_else(unfit)?;
                (
                    Algorithm::ES256,
                    "ES256",
                    DecodingKey::from_ec_components(&x, &y),
                )
            }
            ("OKP", Some("Ed25519")) => {
                let x = self.x.ok_or_else(unfit)?;
                (
                    Algorithm::EdDSA,
                    "EdDSA",
                    DecodingKey::from_ed_components(&x),
                )
            }
            ("RSA", None) => {
                let (n, e) = self.n.zip(self.e).ok_or_else(unfit)?;
                if n.len() < SHORTEST_RSA_MODULUS_CHARS {
                    return Err(unfit());
                }
                (
                    Algorithm::RS256,
                    "RS256",
                    DecodingKey::from_rsa_components(&n, &e),
                )
            }
            _ => return Err(unfit()),
        };
        if self.alg.as_deref().is_some_and(|alg| alg != name) {
            return Err(unfit());
        }
        let decoding = decoding.map_err(|_| unfit())?;
        Ok(Key {
            algorithm,
            decoding,
        })
    }
}
