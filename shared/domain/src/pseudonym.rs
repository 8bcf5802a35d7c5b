//! Pseudonyms: what stands for a person where the person must not stand (LGPD, art. 13 § 4).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Invalid;
use crate::identity::{ContactId, CustomerId};
use crate::personal::Phone;

/// 128 bits: no two of a country's people meet.
const PSEUDONYM_BYTES: usize = 16;

/// Makes pseudonyms: HMAC-SHA256 under a key that only the owner of the base has. Without it nobody
/// tells from a pseudonym whom it stands for, though CPFs and phones can be listed.
#[derive(Clone)]
pub struct PseudonymKey(Hmac<Sha256>);

impl PseudonymKey {
    /// From at least 32 bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn new(key: &[u8]) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a key of at least 32 bytes");
        if key.len() < 32 {
            return Err(RULE);
        }
        Hmac::new_from_slice(key).map(Self).map_err(|_| RULE)
    }

    /// Of a customer.
    ///
    /// # Errors
    /// Never: a pseudonym is an id.
    pub fn of_customer(&self, customer: &CustomerId) -> Result<ContactId, Invalid> {
        ContactId::parse(self.of("cliente", customer.as_str()))
    }

    /// Of a phone.
    #[must_use]
    pub fn of_phone(&self, phone: &Phone) -> String {
        self.of("telefone", phone.expose())
    }

    fn of(&self, kind: &str, text: &str) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.0.clone();
        for part in [kind, ":", text] {
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        let mut hex = String::with_capacity(PSEUDONYM_BYTES * 2);
        for byte in digest.iter().take(PSEUDONYM_BYTES) {
            for digit in [byte >> 4, byte & 15] {
                hex.extend(
                    DIGITS
                        .get(usize::from(digit))
                        .map(|&digit| char::from(digit)),
                );
            }
        }
        hex
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PseudonymKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_depends_on_its_key_and_kind() {
        let key = PseudonymKey::new(&[1; 32]).unwrap();
        let customer = CustomerId::parse("+5511964166764").unwrap();
        let phone = Phone::parse("+5511964166764").unwrap();
        let contact = key.of_customer(&customer).unwrap();
        assert_eq!(contact.as_str().len(), 32);
        assert_eq!(key.of_customer(&customer).unwrap(), contact);
        assert_ne!(key.of_phone(&phone), contact.as_str());
        let other = PseudonymKey::new(&[2; 32]).unwrap();
        assert_ne!(other.of_customer(&customer).unwrap(), contact);
        assert!(PseudonymKey::new(&[1; 31]).is_err());
    }
}
