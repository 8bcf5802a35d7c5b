//! What a customer is as a buyer.

use crate::{Invalid, time::UtcMillis};

/// So many paid orders make a loyal customer.
pub const LOYAL_ORDERS: u64 = 5;
/// Who bought nothing for so many days has gone away.
pub const INACTIVE_DAYS: u32 = 180;

/// The kind of buyer, from a customer's own orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Known, and never bought.
    Prospect,
    /// Bought once.
    New,
    /// Bought again.
    Returning,
    /// Bought [`LOYAL_ORDERS`] times or more.
    Loyal,
    /// Bought nothing for [`INACTIVE_DAYS`].
    Inactive,
}

/// What is known of a customer as a buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuyerProfile {
    /// The state of the customer's address, as two letters.
    pub region: Option<String>,
    /// The kind of buyer.
    pub segment: Segment,
    /// Paid orders.
    pub orders: u64,
    /// When the last one was paid.
    pub last_purchase: Option<UtcMillis>,
    /// The category that most units were bought of.
    pub favourite_category: Option<String>,
}

impl Segment {
    /// The kind of a buyer with so many paid orders, seen from `now`.
    #[must_use]
    pub fn of(orders: u64, last_purchase: Option<UtcMillis>, now: UtcMillis) -> Self {
        match (orders, last_purchase) {
            (0, _) => Self::Prospect,
            (_, Some(last)) if last < now.minus_days(INACTIVE_DAYS) => Self::Inactive,
            (1, _) => Self::New,
            (..LOYAL_ORDERS, _) => Self::Returning,
            _ => Self::Loyal,
        }
    }

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prospect => "sem_compra",
            Self::New => "novo",
            Self::Returning => "recorrente",
            Self::Loyal => "fiel",
            Self::Inactive => "inativo",
        }
    }

    /// From the stored word.
    ///
    /// # Errors
    /// For a word that we never store.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        [
            Self::Prospect,
            Self::New,
            Self::Returning,
            Self::Loyal,
            Self::Inactive,
        ]
        .into_iter()
        .find(|segment| segment.as_str() == word)
        .ok_or(Invalid::new("must be a stored segment"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buyer_is_new_then_returning_then_loyal_and_inactive_after_half_a_year() {
        let now = UtcMillis::new(1_795_186_800_000).unwrap();
        let of = |orders, days| Segment::of(orders, Some(now.minus_days(days)), now);
        assert_eq!(Segment::of(0, None, now), Segment::Prospect);
        assert_eq!(of(1, 10), Segment::New);
        assert_eq!(of(4, 10), Segment::Returning);
        assert_eq!(of(5, 180), Segment::Loyal);
        assert_eq!(of(5, 181), Segment::Inactive);
        for segment in [Segment::New, Segment::Inactive] {
            assert_eq!(Segment::parse(segment.as_str()), Ok(segment));
        }
        assert!(Segment::parse("vip").is_err());
    }
}
