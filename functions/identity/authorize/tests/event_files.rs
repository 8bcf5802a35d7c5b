//! The event files of this function, and tokens minted here for what files can't enumerate.
//!
//! The keys are the published examples of RFC 7515 (A.2, A.3) and RFC 8037 (A.1): nobody's secret.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use authorize::{Refusal, Settings, TokenAuthorizer};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::time::UtcMillis;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use lambda_kit::authorizer::{Handler, Question, answer};
use serde_json::{Value, json};

/// 2026-11-20T12:00:00Z, between the times in the event files.
const NOW_SECONDS: i64 = 1_795_176_000;
const JWKS: &str = include_str!("keys/jwks.json");

/// What each refused event file must be refused for.
const REFUSED: [(&str, Refusal); 18] = [
    ("expired", Refusal::Expired),
    ("not-yet-valid", Refusal::NotYetValid),
    ("wrong-audience", Refusal::WrongAudience),
    ("wrong-issuer", Refusal::WrongIssuer),
    ("alg-none", Refusal::Unreadable),
    ("hs256-with-public-key", Refusal::WrongAlgorithm),
    ("unknown-key", Refusal::UnknownKey),
    ("without-key-id", Refusal::UnknownKey),
    ("key-in-header", Refusal::BadSignature),
    ("id-token", Refusal::WrongType),
    ("critical-extension", Refusal::UnknownExtension),
    ("without-subject", Refusal::Unreadable),
    ("scope-missing", Refusal::ScopeMissing),
    ("scope-of-another-route", Refusal::ScopeMissing),
    ("unknown-route", Refusal::UnknownRoute),
    ("no-token", Refusal::NoToken),
    ("basic", Refusal::NotBearer),
    ("cut-short", Refusal::BadSignature),
];

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../events/authorize")
}

fn event(name: &str) -> Value {
    let text = std::fs::read_to_string(events().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn authorizer() -> TokenAuthorizer {
    TokenAuthorizer::new(settings(JWKS)).unwrap()
}

fn settings(jwks: &str) -> Settings {
    Settings {
        jwks: jwks.to_owned(),
        issuer: "https://feira.local".to_owned(),
        audience: "feira".to_owned(),
    }
}

fn at(seconds: i64) -> UtcMillis {
    UtcMillis::new(seconds * 1_000).unwrap()
}

fn answered(name: &str) -> Value {
    answer(&authorizer(), &event(name), at(NOW_SECONDS))
}

fn question(event: &Value) -> Question {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Question {
        route: text(&event["routeKey"]).unwrap(),
        authorization: text(&event["headers"]["authorization"]),
    }
}

/// What a PEM file holds; the library reads such files only with a feature that nothing deployed
/// needs.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

/// A question with a token of these claims, on `GET /vouchers/me`.
fn asked_with(header: &Header, claims: &Value) -> Question {
    let key = match header.alg {
        Algorithm::RS256 => EncodingKey::from_rsa_der(&der(include_str!("keys/rs256.pem"))),
        Algorithm::EdDSA => EncodingKey::from_ed_der(&der(include_str!("keys/eddsa.pem"))),
        _ => EncodingKey::from_ec_der(&der(include_str!("keys/es256.pem"))),
    };
    let token = encode(header, claims, &key).unwrap();
    Question {
        route: "GET /vouchers/me".to_owned(),
        authorization: Some(format!("Bearer {token}")),
    }
}

fn header(algorithm: Algorithm, key_id: &str) -> Header {
    let mut header = Header::new(algorithm);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(key_id.to_owned());
    header
}

fn claims() -> Value {
    json!({
        "iss": "https://feira.local", "aud": "feira", "sub": "c1", "client_id": "loja",
        "jti": "t1", "iat": NOW_SECONDS - 60, "exp": NOW_SECONDS + 600, "scope": "customer"
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn decided(claims: &Value) -> Result<(), Refusal> {
    let question = asked_with(&header(Algorithm::ES256, "es256"), claims);
    authorizer().decide(&question, at(NOW_SECONDS)).map(|_| ())
}

#[test]
fn accepted_events_pass_with_the_claims_that_functions_need() {
    assert_eq!(
        answered("accepted-customer-es256"),
        json!({"isAuthorized": true, "context": {
            "sub": "01K9Z7D4Q0CLIENTE000000001", "scope": "customer", "client_id": "loja",
            "jti": "01K9Z7D4Q0TOKEN00000000001"
        }})
    );
    assert_eq!(
        answered("accepted-service-rs256")["context"]["scope"],
        "vouchers:service"
    );
    assert_eq!(
        answered("accepted-admin-eddsa")["context"]["scope"],
        "mgm:admin customer"
    );
    assert_eq!(
        answered("accepted-public-without-token"),
        json!({"isAuthorized": true, "context": {}})
    );
}

#[test]
fn refused_events_are_refused_for_their_own_reason() {
    for (name, refusal) in REFUSED {
        let name = format!("refused-{name}");
        let decided = authorizer().decide(&question(&event(&name)), at(NOW_SECONDS));
        assert_eq!(decided, Err(refusal), "{name}");
        assert_eq!(answered(&name), json!({"isAuthorized": false}), "{name}");
    }
}

#[test]
fn every_event_file_is_tested() {
    let files: BTreeSet<String> = std::fs::read_dir(events())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("refused-"))
        .collect();
    let tested = REFUSED
        .iter()
        .map(|(name, _)| format!("refused-{name}.json"))
        .collect();
    assert_eq!(files, tested);
}

#[test]
fn what_is_no_event_is_refused() {
    for event in [
        json!(null),
        json!([]),
        json!({}),
        json!({"routeKey": 5, "headers": []}),
    ] {
        assert_eq!(
            answer(&authorizer(), &event, at(NOW_SECONDS)),
            json!({"isAuthorized": false})
        );
    }
}

#[test]
fn clocks_may_differ_by_thirty_seconds() {
    assert_eq!(decided(&with("exp", json!(NOW_SECONDS - 29))), Ok(()));
    assert_eq!(
        decided(&with("exp", json!(NOW_SECONDS - 30))),
        Err(Refusal::Expired)
    );
    assert_eq!(decided(&with("nbf", json!(NOW_SECONDS + 30))), Ok(()));
    assert_eq!(
        decided(&with("nbf", json!(NOW_SECONDS + 31))),
        Err(Refusal::NotYetValid)
    );
    assert_eq!(decided(&with("exp", json!(i64::MAX))), Ok(()));
}

#[test]
fn every_claim_of_rfc_9068_is_needed_in_its_type() {
    assert_eq!(decided(&claims()), Ok(()));
    for name in [
        "iss",
        "aud",
        "sub",
        "client_id",
        "jti",
        "iat",
        "exp",
        "scope",
    ] {
        let mut missing = claims();
        missing.as_object_mut().unwrap().remove(name);
        assert!(decided(&missing).is_err(), "{name} missing");
        assert!(
            decided(&with(name, json!({"a": 1}))).is_err(),
            "{name} of the wrong type"
        );
    }
}

#[test]
fn scopes_match_whole_words() {
    for scope in ["customers", "Customer", "customer:admin", "", "public"] {
        assert_eq!(
            decided(&with("scope", json!(scope))),
            Err(Refusal::ScopeMissing),
            "{scope}"
        );
    }
    assert_eq!(decided(&with("scope", json!("a customer b"))), Ok(()));
}

#[test]
fn a_key_is_used_with_its_own_algorithm_only() {
    for (algorithm, key_id) in [
        ("RS256", "es256"),
        ("EdDSA", "es256"),
        ("RS384", "rs256"),
        ("PS256", "rs256"),
    ] {
        let header = json!({"typ": "at+jwt", "alg": algorithm, "kid": key_id});
        let parts = [header, claims()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let question = Question {
            route: "GET /vouchers/me".to_owned(),
            authorization: Some(format!("Bearer {}.c2ln", parts.join("."))),
        };
        let decided = authorizer().decide(&question, at(NOW_SECONDS));
        assert_eq!(
            decided,
            Err(Refusal::WrongAlgorithm),
            "{algorithm} with {key_id}"
        );
    }
}

#[test]
fn a_token_longer_than_ours_is_not_looked_at() {
    let long = with("sub", json!("x".repeat(9_000)));
    assert_eq!(decided(&long), Err(Refusal::TooLong));
}

#[test]
fn without_keys_every_token_is_refused() {
    let authorizer = TokenAuthorizer::new(settings(r#"{"keys":[]}"#)).unwrap();
    let question = asked_with(&header(Algorithm::ES256, "es256"), &claims());
    assert_eq!(
        authorizer.decide(&question, at(NOW_SECONDS)),
        Err(Refusal::UnknownKey)
    );
    assert!(authorizer.authorize(&question, at(NOW_SECONDS)).is_none());
}

#[test]
fn a_key_set_that_must_not_be_is_refused_without_its_values() {
    let private =
        r#"{"keys":[{"kid":"a","kty":"EC","crv":"P-256","x":"eA","y":"eQ","d":"segredo"}]}"#;
    let cases = [
        ("no json", "is no JWK set"),
        (r#"{"keys":[{"kid":"a","kty":"segredo"#, "is no JWK set"),
        (r#"{"keys":[{"kty":"EC"}]}"#, "has no kid"),
        (private, "the key a of TOKEN_JWKS is not public"),
        (
            r#"{"keys":[{"kid":"a","kty":"oct","k":"segredo"}]}"#,
            "is not public",
        ),
        (
            r#"{"keys":[{"kid":"a","kty":"RSA","n":"segredo","e":"AQAB"}]}"#,
            "fits none",
        ),
        (
            r#"{"keys":[{"kid":"a","kty":"EC","crv":"P-384","x":"eA","y":"eQ"}]}"#,
            "fits none",
        ),
        (
            r#"{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","x":"eA","use":"enc"}]}"#,
            "fits none",
        ),
    ];
    for (jwks, says) in cases {
        let error = TokenAuthorizer::new(settings(jwks))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains(says) && !error.contains("segredo"),
            "{jwks}: {error}"
        );
    }
    let twice = r#"{"keys":[
        {"kid":"a","kty":"OKP","crv":"Ed25519","x":"eA"},
        {"kid":"a","kty":"OKP","crv":"Ed25519","x":"eA"}]}"#;
    let error = TokenAuthorizer::new(settings(twice))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("two keys of the kid a"), "{error}");
}

#[test]
fn missing_settings_are_named_together() {
    let error = Settings::read(|name| (name == "TOKEN_ISSUER").then(|| "x".to_owned()));
    assert_eq!(
        error.unwrap_err().to_string(),
        "the environment lacks TOKEN_JWKS, TOKEN_AUDIENCE: name them in template.yaml, \
         under AuthorizeFunction"
    );
}
