//! One stock: the warehouse's newest level, and when it is low.

use crate::{Invalid, identity::ProductId, time::UtcMillis};

/// Largest level, up or down, in units: sums of a shop's levels stay inside i64.
pub const LARGEST_LEVEL: i64 = 1_000_000_000;
/// How far a clock of another system may be ahead of ours. A level of a later time would win over
/// every true one until then.
pub const CLOCK_AHEAD_DAYS: u32 = 1;
/// The days whose sales say how long a stock lasts.
pub const SALES_DAYS: i64 = 28;

/// What a warehouse told of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// The product.
    pub product: ProductId,
    /// Units in stock; negative where more was sold than there was.
    pub units: i64,
    /// When that was so.
    pub told: UtcMillis,
    /// The product's own threshold, in units, where it was told with the level.
    pub minimum: Option<i64>,
}

/// Why a stock is low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LowReason {
    /// It fell to its threshold or under it.
    Threshold,
    /// It lasts fewer days than it should.
    Cover,
}

/// What a product's stock is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At this many units, or fewer, it is low.
    pub threshold_units: i64,
    /// With fewer days of cover it is low; 0 asks for none.
    pub cover_days: i64,
}

/// What a new level changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is older than the known one, or the same.
    None,
    /// The stock is as low, or not low, as before.
    Level,
    /// The stock is low, which it was not before: an alert.
    BecameLow(LowReason),
    /// The stock is no longer low: the alert ends.
    Recovered,
}

impl LowReason {
    /// The word on the wire and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Threshold => "limite",
            Self::Cover => "cobertura",
        }
    }
}

impl Level {
    /// A level of a product.
    ///
    /// # Errors
    /// When it is beyond [`LARGEST_LEVEL`].
    pub fn new(product: ProductId, units: i64, told: UtcMillis) -> Result<Self, Invalid> {
        if !(-LARGEST_LEVEL..=LARGEST_LEVEL).contains(&units) {
            return Err(Invalid::new(
                "must be a whole number from -1000000000 to 1000000000",
            ));
        }
        Ok(Self {
            product,
            units,
            told,
            minimum: None,
        })
    }

    /// With the product's own threshold.
    ///
    /// # Errors
    /// When it is negative or beyond [`LARGEST_LEVEL`].
    pub fn with_minimum(self, minimum: i64) -> Result<Self, Invalid> {
        if (0..=LARGEST_LEVEL).contains(&minimum) {
            Ok(Self {
                minimum: Some(minimum),
                ..self
            })
        } else {
            Err(Invalid::new("must be a whole number from 0 to 1000000000"))
        }
    }
}

/// Whether a number told at `told_ms` replaces the one told at `known_told_ms`. Of two of the same time the
/// lower one counts, whatever their order.
#[must_use]
pub const fn replaces(told_ms: i64, number: i64, known_told_ms: i64, known: i64) -> bool {
    told_ms > known_told_ms || told_ms == known_told_ms && number < known
}

/// Whether a time can have been told at `now`.
///
/// # Errors
/// When it is more than a day ahead.
pub fn check_told(told: UtcMillis, now: UtcMillis) -> Result<(), Invalid> {
    if told > now.plus_days(CLOCK_AHEAD_DAYS) {
        Err(Invalid::new("must not be more than a day ahead"))
    } else {
        Ok(())
    }
}

/// Days that `available` units last when `sold` were sold in [`SALES_DAYS`], rounded down; none
/// where nothing was sold.
#[must_use]
pub const fn cover_days(available: i64, sold: i64) -> Option<i64> {
    if sold <= 0 {
        return None;
    }
    if available <= 0 {
        return Some(0);
    }
    Some(available.saturating_mul(SALES_DAYS) / sold)
}

impl Limits {
    /// Why `available` units are too few, where they are.
    #[must_use]
    pub fn low(self, available: i64, sold: i64) -> Option<LowReason> {
        if available <= self.threshold_units {
            return Some(LowReason::Threshold);
        }
        let is_short = cover_days(available, sold).is_some_and(|days| days < self.cover_days);
        is_short.then_some(LowReason::Cover)
    }
}

/// What becomes of an alert when the stock is, or is no longer, low.
#[must_use]
pub const fn crossing(was_low: bool, low: Option<LowReason>) -> Change {
    match (was_low, low) {
        (false, Some(reason)) => Change::BecameLow(reason),
        (true, None) => Change::Recovered,
        _ => Change::Level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_is_low_at_its_threshold_or_under_its_cover() {
        let limits = Limits {
            threshold_units: 5,
            cover_days: 7,
        };
        assert_eq!(limits.low(5, 0), Some(LowReason::Threshold));
        assert_eq!(limits.low(6, 0), None, "nothing is sold");
        assert_eq!(limits.low(13, 56), Some(LowReason::Cover), "6.5 days");
        assert_eq!(limits.low(14, 56), None, "7 days");
        let no_cover = Limits {
            cover_days: 0,
            ..limits
        };
        assert_eq!(no_cover.low(6, 1_000_000), None);
    }

    #[test]
    fn cover_is_days_that_are_wholly_covered() {
        assert_eq!(cover_days(10, 0), None);
        assert_eq!(cover_days(-1, 5), Some(0));
        assert_eq!(cover_days(55, 56), Some(27));
        assert!(cover_days(LARGEST_LEVEL, 1).is_some());
    }

    #[test]
    fn an_alert_comes_with_a_crossing_only() {
        let reason = LowReason::Threshold;
        assert_eq!(crossing(false, Some(reason)), Change::BecameLow(reason));
        assert_eq!(crossing(true, Some(reason)), Change::Level);
        assert_eq!(crossing(true, None), Change::Recovered);
        assert_eq!(crossing(false, None), Change::Level);
    }

    #[test]
    fn of_two_levels_of_one_time_the_lower_counts() {
        let at = |millis| UtcMillis::new(millis).unwrap();
        assert!(replaces(10, 3, 9, 1));
        assert!(replaces(10, 3, 10, 4));
        assert!(!replaces(10, 3, 10, 3));
        assert!(!replaces(10, 3, 11, 9));
        assert!(check_told(at(86_400_001), at(0)).is_err());
        assert!(check_told(at(86_400_000), at(0)).is_ok());
    }
}
