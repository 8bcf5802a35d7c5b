//! Types that hold a value and never show it.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The fewest bytes of a key: 256 bits.
pub const MIN_KEY_BYTES: usize = 32;

/// A secret text. It has no `Display`, and its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the value in.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Hands the value out, to the one that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(redacted)")
    }
}

/// The bytes of a key, at least [`MIN_KEY_BYTES`]. Its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes(Vec<u8>);

impl KeyBytes {
    /// Decodes a key from base64, standard or URL-safe, padded or not; `None` when it is none or
    /// has fewer than [`MIN_KEY_BYTES`] bytes.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text = text.trim();
        [&STANDARD, &URL_SAFE]
            .into_iter()
            .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).ok())
            .filter(|bytes| bytes.len() >= MIN_KEY_BYTES)
            .map(Self)
    }

    /// Hands the bytes out, to the one that signs or seals with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for KeyBytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyBytes(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let bytes = KeyBytes::from_base64(&"QUJD".repeat(11)).unwrap();
        assert!(!format!("{:?} {bytes:?}", Secret::new("abc123")).contains("abc123"));
        assert!(!format!("{bytes:?}").contains("65"));
    }

    #[test]
    fn keys_come_in_every_base64_and_have_32_bytes() {
        let bytes = [0xfb_u8; 32];
        for text in [
            base64::prelude::BASE64_STANDARD.encode(bytes),
            base64::prelude::BASE64_STANDARD_NO_PAD.encode(bytes),
            base64::prelude::BASE64_URL_SAFE.encode(bytes),
            base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes),
        ] {
            assert_eq!(KeyBytes::from_base64(&text).unwrap().expose(), bytes);
        }
        assert_eq!(KeyBytes::from_base64("c2hvcnQ="), None);
        assert_eq!(
            KeyBytes::from_base64("no base64 at all, but long enough to be one"),
            None
        );
    }
}
