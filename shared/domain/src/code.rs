//! Codes that people read, type and guess at: Crockford base32 from random bytes.

use std::fmt;

use crate::Invalid;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Crockford's check symbols: the value of the number modulo 37.
const CHECK_ALPHABET: &[u8; 37] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";
const REFERRAL_CHARACTERS: usize = 11;
const VOUCHER_CHARACTERS: usize = 16;

/// The code of a promoter's link: 11 characters, 55 random bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferralCode(String);

/// The code of a coupon or voucher: 16 characters (80 random bits) and a check character.
///
/// Whoever holds it may spend it, so it does not appear in logs: `Debug` redacts it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VoucherCode(String);

/// The five low bits of each byte become a character.
fn encode(random: &[u8]) -> String {
    random
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
        .map(|&c| char::from(c))
        .collect()
}

/// Upper case, without hyphens and blanks, and with I, L and O read as Crockford reads them.
fn normalise(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes()
        .filter(|byte| !matches!(byte, b'-' | b' '))
        .map(|byte| match byte.to_ascii_uppercase() {
            b'I' | b'L' => b'1',
            b'O' => b'0',
            other => other,
        })
}

fn check_character(body: &[u8]) -> Option<u8> {
    let remainder = body.iter().try_fold(0_usize, |remainder, byte| {
        let value = ALPHABET.iter().position(|symbol| symbol == byte)?;
        Some((remainder * 32 + value) % 37)
    })?;
    CHECK_ALPHABET.get(remainder).copied()
}

impl ReferralCode {
    /// From 11 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; REFERRAL_CHARACTERS]) -> Self {
        Self(encode(&random))
    }

    /// From what a link or a person says: case, hyphens and look-alike letters don't matter.
    ///
    /// # Errors
    /// When no such code can exist.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let code: Vec<u8> = normalise(text).take(REFERRAL_CHARACTERS + 1).collect();
        if code.len() != REFERRAL_CHARACTERS || code.iter().any(|byte| !ALPHABET.contains(byte)) {
            return Err(Invalid::new("must be a referral code of 11 characters"));
        }
        Ok(Self(code.into_iter().map(char::from).collect()))
    }

    /// The 11 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VoucherCode {
    /// From 16 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; VOUCHER_CHARACTERS]) -> Self {
        let mut code = encode(&random);
        code.extend(check_character(code.as_bytes()).map(char::from));
        Self(code)
    }

    /// From what a person typed: case, hyphens and look-alike letters don't matter.
    ///
    /// # Errors
    /// When the length, a character or the check character is wrong.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a voucher code of 17 characters");
        let code: Vec<u8> = normalise(text).take(VOUCHER_CHARACTERS + 2).collect();
        match code.split_last() {
            Some((check, body))
                if body.len() == VOUCHER_CHARACTERS && check_character(body) == Some(*check) =>
            {
                Ok(Self(code.into_iter().map(char::from).collect()))
            }
            _ => Err(RULE),
        }
    }

    /// The 17 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for VoucherCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VoucherCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_code_parses_back(random: [u8; 16], link: [u8; 11]) {
            let voucher = VoucherCode::from_random(random);
            prop_assert_eq!(&VoucherCode::parse(&voucher.as_str().to_lowercase()).unwrap(), &voucher);
            let referral = ReferralCode::from_random(link);
            prop_assert_eq!(ReferralCode::parse(referral.as_str()).unwrap(), referral);
        }

        #[test]
        fn one_wrong_character_is_noticed(random: [u8; 16], place in 0_usize..16, other in 0_usize..32) {
            let code = VoucherCode::from_random(random);
            let mut bytes = code.as_str().as_bytes().to_vec();
            prop_assume!(bytes[place] != ALPHABET[other]);
            bytes[place] = ALPHABET[other];
            prop_assert!(VoucherCode::parse(std::str::from_utf8(&bytes).unwrap()).is_err());
        }
    }

    #[test]
    fn hyphens_and_look_alikes_are_read_as_meant() {
        let code = ReferralCode::parse("01ab-cdef-ghj").unwrap();
        assert_eq!(ReferralCode::parse("OLAB CDEF GHJ").unwrap(), code);
        assert!(ReferralCode::parse("01ABCDEFGHJK").is_err());
        assert!(ReferralCode::parse("ÁÁÁÁÁÁÁÁÁÁÁ").is_err());
    }
}
