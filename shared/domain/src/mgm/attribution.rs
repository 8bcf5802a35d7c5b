//! What a click leaves behind: a signed `ref` for the shop and a signed cookie for the browser.
//!
//! `ref` = `<code>.<clicked, milliseconds in base 36>.<first 16 bytes of HMAC-SHA256, base64url>`;
//! the cookie = `<ref>.<visitor>.<signature>`. Both signatures use the same key and name their kind.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Invalid;
use crate::code::ReferralCode;
use crate::time::{Day, UtcMillis};

/// Longest `ref` and cookie that are looked at, in bytes.
const LONGEST: usize = 200;
const SIGNATURE_BYTES: usize = 16;
const VISITOR_CHARACTERS: usize = 32;
const SHORTEST_KEY: usize = 32;

/// A secret key of at least 32 bytes; `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

/// A browser, without saying whose: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Visitor(String);

/// Which link was clicked, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// The link.
    pub code: ReferralCode,
    /// The click.
    pub clicked: UtcMillis,
}

/// Why a `ref` says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadRef {
    /// It is none.
    Unreadable,
    /// It has the shape of one and a wrong signature; the code tells whose link was meant.
    Forged(ReferralCode),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// From the bytes of the secret.
    ///
    /// # Errors
    /// When there are fewer than 32.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        if bytes.len() < SHORTEST_KEY {
            return Err(Invalid::new("must be a key of at least 32 bytes"));
        }
        Ok(Self(bytes))
    }

    fn mac(&self, kind: &str, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        Some(mac)
    }

    fn sign(&self, kind: &str, text: &str) -> String {
        let digest = self.mac(kind, text).map(|mac| mac.finalize().into_bytes());
        let short = digest
            .iter()
            .flatten()
            .copied()
            .take(SIGNATURE_BYTES)
            .collect::<Vec<u8>>();
        URL_SAFE_NO_PAD.encode(short)
    }

    /// Compares in constant time.
    fn signed(&self, kind: &str, text: &str, signature: &str) -> bool {
        let given = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        given.len() == SIGNATURE_BYTES
            && self
                .mac(kind, text)
                .is_some_and(|mac| mac.verify_truncated_left(&given).is_ok())
    }
}

impl Visitor {
    /// The visitor that an address and a browser make on a São Paulo day; nobody can compute it
    /// back without the key, and the next day it is another.
    #[must_use]
    pub fn pseudonym(key: &SigningKey, address: &str, user_agent: &str, day: Day) -> Self {
        let text = format!("{address}\n{user_agent}\n{day}");
        let digest = key
            .mac("visitor", &text)
            .map(|mac| mac.finalize().into_bytes());
        let bytes = digest.iter().flatten().take(VISITOR_CHARACTERS / 2);
        Self(bytes.map(|byte| format!("{byte:02x}")).collect())
    }

    fn parse(text: &str) -> Option<Self> {
        let hexadecimal = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (hexadecimal && text.len() == VISITOR_CHARACTERS).then(|| Self(text.to_owned()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ReferralCode {
    /// A code that nobody has, the same one for the same text: a wrong link is answered with it, so
    /// that the answer has the shape of a right one.
    #[must_use]
    pub fn decoy(key: &SigningKey, text: &str) -> Self {
        let mut random = [0; 11];
        let digest = key
            .mac("decoy", text)
            .map(|mac| mac.finalize().into_bytes());
        for (byte, drawn) in random.iter_mut().zip(digest.iter().flatten()) {
            *byte = *drawn;
        }
        Self::from_random(random)
    }
}

impl Attribution {
    /// The signed `ref`.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let body = format!("{}.{}", self.code.as_str(), base36(self.clicked.get()));
        let signature = key.sign("ref", &body);
        format!("{body}.{signature}")
    }

    /// From a `ref` that we signed.
    ///
    /// # Errors
    /// See [`BadRef`].
    pub fn verify(text: &str, key: &SigningKey) -> Result<Self, BadRef> {
        if text.len() > LONGEST {
            return Err(BadRef::Unreadable);
        }
        let (body, signature) = text.rsplit_once('.').ok_or(BadRef::Unreadable)?;
        let (code, clicked) = body.split_once('.').ok_or(BadRef::Unreadable)?;
        let code = ReferralCode::parse(code).map_err(|_| BadRef::Unreadable)?;
        let clicked = i64::from_str_radix(clicked, 36)
            .ok()
            .and_then(|ms| UtcMillis::new(ms).ok());
        match clicked {
            Some(clicked) if key.signed("ref", body, signature) => Ok(Self { code, clicked }),
            _ => Err(BadRef::Forged(code)),
        }
    }

    /// The signed cookie: this `ref` and who the visitor is.
    #[must_use]
    pub fn sign_cookie(&self, visitor: &Visitor, key: &SigningKey) -> String {
        let body = format!("{}.{}", self.sign(key), visitor.as_str());
        let signature = key.sign("cookie", &body);
        format!("{body}.{signature}")
    }

    /// The attribution and visitor of a cookie that we signed; nothing for any other text.
    #[must_use]
    pub fn verify_cookie(text: &str, key: &SigningKey) -> Option<(Self, Visitor)> {
        let (body, signature) = text.rsplit_once('.')?;
        if text.len() > LONGEST || !key.signed("cookie", body, signature) {
            return None;
        }
        let (reference, visitor) = body.rsplit_once('.')?;
        Some((Self::verify(reference, key).ok()?, Visitor::parse(visitor)?))
    }
}

/// A number that is not negative, in base 36 with small letters.
fn base36(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(rest % 36).unwrap_or_default();
        digits.extend(char::from_digit(digit, 36));
        rest /= 36;
        if rest == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::new([byte; 32]).unwrap()
    }

    fn click() -> Attribution {
        Attribution {
            code: ReferralCode::from_random([5; 11]),
            clicked: UtcMillis::parse("2026-11-20T15:00:00Z").unwrap(),
        }
    }

    proptest! {
        #[test]
        fn what_was_signed_is_read_back(random: [u8; 11], clicked in 0_i64..200_000_000_000_000) {
            let code = ReferralCode::from_random(random);
            let attribution = Attribution { code, clicked: UtcMillis::new(clicked).unwrap() };
            let text = attribution.sign(&key(1));
            prop_assert_eq!(Attribution::verify(&text, &key(1)), Ok(attribution));
        }

        #[test]
        fn no_text_is_read_as_a_ref_by_chance(text in ".{0,300}") {
            prop_assert!(Attribution::verify(&text, &key(1)).is_err());
            prop_assert!(Attribution::verify_cookie(&text, &key(1)).is_none());
        }

        #[test]
        fn a_changed_character_is_noticed(place in 0_usize..40, other in "[0-9A-Za-z_-]") {
            let text = click().sign(&key(1));
            prop_assume!(place < text.len() && text[place..=place] != other);
            let mut changed = text.clone();
            changed.replace_range(place..=place, &other);
            // The last base64 digit carries four bits that the decoder refuses to ignore.
            prop_assert!(Attribution::verify(&changed, &key(1)).is_err());
        }
    }

    #[test]
    fn another_key_is_a_forgery_that_names_the_code() {
        let text = click().sign(&key(1));
        assert_eq!(
            Attribution::verify(&text, &key(2)),
            Err(BadRef::Forged(click().code))
        );
        assert_eq!(Attribution::verify("", &key(1)), Err(BadRef::Unreadable));
        assert_eq!(
            Attribution::verify("a.b.c", &key(1)),
            Err(BadRef::Unreadable)
        );
    }

    #[test]
    fn a_cookie_keeps_the_visitor_and_is_no_ref() {
        let day = click().clicked.day();
        let visitor = Visitor::pseudonym(&key(9), "203.0.113.7", "Firefox", day);
        let cookie = click().sign_cookie(&visitor, &key(1));
        assert_eq!(
            Attribution::verify_cookie(&cookie, &key(1)),
            Some((click(), visitor))
        );
        assert!(Attribution::verify_cookie(&cookie, &key(2)).is_none());
        assert!(Attribution::verify(&cookie, &key(1)).is_err());
        assert!(cookie.len() < LONGEST);
    }

    #[test]
    fn a_visitor_is_another_one_the_next_day() {
        let day = click().clicked.day();
        let today = Visitor::pseudonym(&key(9), "203.0.113.7", "Firefox", day);
        assert_eq!(
            today,
            Visitor::pseudonym(&key(9), "203.0.113.7", "Firefox", day)
        );
        assert_ne!(
            today,
            Visitor::pseudonym(&key(9), "203.0.113.7", "Firefox", day.next())
        );
        assert_ne!(
            today,
            Visitor::pseudonym(&key(9), "203.0.113.8", "Firefox", day)
        );
        assert_eq!(today.as_str().len(), 32);
    }

    #[test]
    fn a_key_is_long_and_not_shown() {
        assert!(SigningKey::new([1; 31]).is_err());
        assert_eq!(format!("{:?}", key(1)), "SigningKey(…)");
    }
}
