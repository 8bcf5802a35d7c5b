//! Money in whole centavos, with checked arithmetic and no floats.

use std::fmt;

use crate::Invalid;

/// An amount in Brazilian centavos. Never negative: a credit is a kind of movement, not a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Centavos(i64);

/// Largest amount that Feira handles: R$ 9,999,999,999.99. It keeps every sum of a shop inside i64.
pub const LARGEST: Centavos = Centavos(999_999_999_999);

/// A share in basis points (1/100 of a percent), from 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BasisPoints(u16);

impl Centavos {
    /// No money at all.
    pub const ZERO: Self = Self(0);

    /// From a count of centavos.
    ///
    /// # Errors
    /// When the count is negative or above [`LARGEST`].
    pub const fn new(centavos: i64) -> Result<Self, Invalid> {
        if centavos < 0 {
            return Err(Invalid::new("must not be negative"));
        }
        if centavos > LARGEST.0 {
            return Err(Invalid::new("must be at most 9999999999.99"));
        }
        Ok(Self(centavos))
    }

    /// From a decimal text with at most two places and a point ("39.90", "39.9", "39").
    ///
    /// # Errors
    /// When the text is anything else, negative, or above [`LARGEST`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a decimal amount such as \"39.90\"");
        if text.starts_with('-') {
            return Err(Invalid::new("must not be negative"));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 18) || !digits(fraction, 2) {
            return Err(RULE);
        }
        let reais: i64 = whole.parse().map_err(|_| RULE)?;
        let mut cents: i64 = fraction.parse().map_err(|_| RULE)?;
        if fraction.len() == 1 && text.contains('.') {
            cents *= 10;
        }
        let total = reais
            .checked_mul(100)
            .and_then(|value| value.checked_add(cents));
        Self::new(total.unwrap_or(i64::MAX))
    }

    /// The count of centavos.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, or `None` above [`LARGEST`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match Self::new(self.0 + other.0) {
            Ok(sum) => Some(sum),
            Err(_) => None,
        }
    }

    /// The difference, or `None` where it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match Self::new(self.0 - other.0) {
            Ok(rest) => Some(rest),
            Err(_) => None,
        }
    }

    /// This amount `count` times, or `None` above [`LARGEST`].
    #[must_use]
    pub fn checked_mul(self, count: u32) -> Option<Self> {
        self.0
            .checked_mul(i64::from(count))
            .and_then(|product| Self::new(product).ok())
    }

    /// A share of this amount, rounded down to the centavo, in the payer's favour.
    #[must_use]
    pub fn share(self, share: BasisPoints) -> Self {
        let part = i128::from(self.0) * i128::from(share.0) / 10_000;
        Self(i64::try_from(part).unwrap_or(self.0))
    }
}

impl fmt::Display for Centavos {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl BasisPoints {
    /// From a count of basis points.
    ///
    /// # Errors
    /// Outside 1 to 10,000.
    pub fn new(points: i64) -> Result<Self, Invalid> {
        match u16::try_from(points) {
            Ok(points) if (1..=10_000).contains(&points) => Ok(Self(points)),
            _ => Err(Invalid::new("must be a percentage above 0 and at most 100")),
        }
    }

    /// From a percentage with at most two places ("10", "12.5").
    ///
    /// # Errors
    /// When the text is no such percentage.
    pub fn parse_percent(text: &str) -> Result<Self, Invalid> {
        let points = Centavos::parse(text)
            .map_err(|_| Invalid::new("must be a percentage such as \"12.50\""))?;
        Self::new(points.get())
    }

    /// The count of basis points.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// As a percentage with two places ("12.50").
    #[must_use]
    pub fn percent(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_texts_become_whole_centavos() {
        for (text, centavos) in [("39.90", 3990), ("39.9", 3990), ("39", 3900), ("0.05", 5)] {
            assert_eq!(Centavos::parse(text).unwrap().get(), centavos, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "", ".", "1.", ".5", "1.234", "1,50", "-1", "+1", "1e3", "NaN", "٣", " 1",
        ] {
            assert!(Centavos::parse(text).is_err(), "{text}");
        }
        assert!(Centavos::parse("99999999999999999999").is_err());
        assert!(Centavos::parse("10000000000.00").is_err());
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(centavos in 0..=LARGEST.0) {
            let amount = Centavos::new(centavos).unwrap();
            prop_assert_eq!(Centavos::parse(&amount.to_string()).unwrap(), amount);
        }

        #[test]
        fn a_share_is_never_more_than_the_whole(
            centavos in 0..=LARGEST.0,
            points in 1_i64..=10_000,
        ) {
            let amount = Centavos::new(centavos).unwrap();
            let share = amount.share(BasisPoints::new(points).unwrap());
            prop_assert!(share <= amount);
            prop_assert_eq!(i128::from(share.get()), i128::from(centavos) * i128::from(points) / 10_000);
        }
    }
}
