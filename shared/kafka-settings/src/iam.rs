//! Tokens for Amazon MSK's access control by IAM.
//!
//! Source: AWS's published signers (aws-msk-iam-sasl-signer-python, -js, -go): an address of
//! `kafka-cluster:Connect` that is signed in its query (SigV4, 900 seconds, service
//! `kafka-cluster`), with the client's name behind it, in base64url without padding.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// How long a token serves: what the published signers take.
const TOKEN_LIFE: Duration = Duration::from_secs(900);
const SERVICE: &str = "kafka-cluster";
/// Names the client in the broker's log.
const USER_AGENT: &str = concat!("feira-kafka-settings/", env!("CARGO_PKG_VERSION"));

/// A token, and when it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedToken {
    /// What the client shows to the broker.
    pub token: String,
    /// Milliseconds since 1970.
    pub ends_ms: i64,
}

/// The credentials can't sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token of IAM could not be signed")]
pub struct NotSigned;

/// Signs a token for the clusters of a region.
///
/// # Errors
/// When the region is none, or the clock is before 1970.
pub fn sign_token(
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<SignedToken, NotSigned> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(TOKEN_LIFE);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|_| NotSigned)?
        .into();
    let mut url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let request = SignableRequest::new("GET", url.as_str(), [].into_iter(), SignableBody::empty())
        .map_err(|_| NotSigned)?;
    let signed = sign(request, &params).map_err(|_| NotSigned)?;
    let (instructions, _) = signed.into_parts();
    for (name, value) in instructions.params() {
        push_pair(&mut url, name, value);
    }
    push_pair(&mut url, "User-Agent", USER_AGENT);
    let ends = now + TOKEN_LIFE;
    let ends = ends.duration_since(UNIX_EPOCH).map_err(|_| NotSigned)?;
    // SigV4 knows whole seconds.
    let ends_ms = i64::try_from(ends.as_secs()).map_err(|_| NotSigned)? * 1_000;
    Ok(SignedToken {
        token: URL_SAFE_NO_PAD.encode(url),
        ends_ms,
    })
}

/// With the characters that SigV4 leaves as they are.
fn push_pair(url: &mut String, name: &str, value: &str) {
    use std::fmt::Write as _;
    let _ = write!(url, "&{name}=");
    for byte in value.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        // Writing into a String cannot fail.
        let _ = if is_plain {
            write!(url, "{}", char::from(byte))
        } else {
            write!(url, "%{byte:02X}")
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hmac::{Hmac, KeyInit, Mac};
    use percent_encoding::percent_decode_str;
    use sha2::{Digest, Sha256};

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    /// 2026-11-20T12:00:00.500Z.
    const NOW_MS: u64 = 1_795_176_000_500;

    /// The address within a token, and its parameters.
    fn address(session: Option<&str>) -> (String, BTreeMap<String, String>, i64) {
        let session = session.map(str::to_owned);
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, session, None, "test");
        let now = UNIX_EPOCH + Duration::from_millis(NOW_MS);
        let signed = sign_token("sa-east-1", &credentials, now).unwrap();
        assert!(!signed.token.contains('='), "no padding");
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(&signed.token).unwrap()).unwrap();
        let (address, query) = url.split_once('?').unwrap();
        assert_eq!(address, "https://kafka.sa-east-1.amazonaws.com/");
        let pairs = query.split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let value = percent_decode_str(value).decode_utf8().unwrap();
            (name.to_owned(), value.into_owned())
        });
        (query.to_owned(), pairs.collect(), signed.ends_ms)
    }

    #[test]
    fn a_token_is_a_signed_address_as_the_published_signers_write_it() {
        let (query, parameters, ends_ms) = address(Some("session/+="));
        for (name, expected) in [
            ("Action", "kafka-cluster:Connect"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            (
                "X-Amz-Credential",
                "AKIDEXAMPLE/20261120/sa-east-1/kafka-cluster/aws4_request",
            ),
            ("X-Amz-Date", "20261120T120000Z"),
            ("X-Amz-Expires", "900"),
            ("X-Amz-Security-Token", "session/+="),
            ("X-Amz-SignedHeaders", "host"),
            ("User-Agent", USER_AGENT),
        ] {
            assert_eq!(parameters[name], expected, "{name}");
        }
        assert_eq!(parameters["X-Amz-Signature"].len(), 64);
        assert_eq!(parameters.len(), 9);
        let last = query.rsplit('&').next().unwrap();
        assert!(last.starts_with("User-Agent="), "it is not signed");
        assert_eq!(ends_ms, 1_795_176_900_000, "900 s after the whole second");
        assert!(!address(None).1.contains_key("X-Amz-Security-Token"));
    }

    fn keyed(key: &[u8], text: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The signature once more, by the letter of the documentation of SigV4.
    #[test]
    fn the_signature_is_that_of_the_address_without_the_clients_name() {
        let (query, parameters, _) = address(Some("session/+="));
        let mut signed: Vec<&str> = query
            .split('&')
            .filter(|pair| {
                !pair.starts_with("X-Amz-Signature=") && !pair.starts_with("User-Agent=")
            })
            .collect();
        signed.sort_unstable();
        let nothing = hex(&Sha256::digest(b""));
        let request = format!(
            "GET\n/\n{}\nhost:kafka.sa-east-1.amazonaws.com\n\nhost\n{nothing}",
            signed.join("&")
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n20261120T120000Z\n20261120/sa-east-1/kafka-cluster/aws4_request\n{}",
            hex(&Sha256::digest(request))
        );
        let day = keyed(format!("AWS4{SECRET}").as_bytes(), "20261120");
        let key = ["sa-east-1", "kafka-cluster", "aws4_request"]
            .iter()
            .fold(day, |key, part| keyed(&key, part));
        assert_eq!(hex(&keyed(&key, &text)), parameters["X-Amz-Signature"]);
    }
}
