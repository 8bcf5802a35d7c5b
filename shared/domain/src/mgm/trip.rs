//! Completed trips: an order is completed with its last leg.

use crate::{
    Invalid,
    identity::{CustomerId, OrderId},
    time::UtcMillis,
};

/// More legs than any ticket has.
const MOST_LEGS: i64 = 50;

/// A leg of a trip: the first of two, or the whole of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    number: u8,
    of: u8,
}

impl Leg {
    /// The whole order at once: delivered goods, or a trip that the company's system confirms
    /// without telling its legs.
    pub const WHOLE: Self = Self { number: 0, of: 0 };
    /// The only leg of a one-way trip.
    pub const ONLY: Self = Self { number: 1, of: 1 };

    /// Leg `number` of `of`, counted from 1.
    ///
    /// # Errors
    /// When there is no such leg, or more than 50.
    pub fn new(number: i64, of: i64) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a leg between 1 and the number of legs (50)");
        if !(1..=MOST_LEGS).contains(&of) || !(1..=of).contains(&number) {
            return Err(RULE);
        }
        match (u8::try_from(number), u8::try_from(of)) {
            (Ok(number), Ok(of)) => Ok(Self { number, of }),
            _ => Err(RULE),
        }
    }

    /// As it was stored.
    ///
    /// # Errors
    /// When it was never stored by us.
    pub fn restore(number: i64, of: i64) -> Result<Self, Invalid> {
        if (number, of) == (0, 0) {
            Ok(Self::WHOLE)
        } else {
            Self::new(number, of)
        }
    }

    /// Its number; 0 stands for the whole order.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.number
    }

    /// How many legs the trip has; 0 stands for the whole order.
    #[must_use]
    pub const fn of(self) -> u8 {
        self.of
    }
}

/// A leg of an order that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedLeg {
    /// The order.
    pub order: OrderId,
    /// Whose order it is.
    pub customer: CustomerId,
    /// Which leg.
    pub leg: Leg,
    /// When it was over.
    pub completed: UtcMillis,
}

/// When an order was completed by these legs: with the latest of them, once none is missing. Where
/// messages disagree on the number of legs, the larger one counts.
#[must_use]
pub fn completion(legs: &[(Leg, UtcMillis)]) -> Option<UtcMillis> {
    let expected = legs.iter().map(|(leg, _)| leg.of).max()?;
    let whole = legs.iter().any(|(leg, _)| *leg == Leg::WHOLE);
    let there = |number| legs.iter().any(|(leg, _)| leg.number == number);
    if whole || (1..=expected).all(there) {
        legs.iter().map(|(_, completed)| *completed).max()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> UtcMillis {
        UtcMillis::new(millis).unwrap()
    }

    fn leg(number: i64, of: i64) -> Leg {
        Leg::new(number, of).unwrap()
    }

    #[test]
    fn a_round_trip_is_completed_with_its_last_leg() {
        assert_eq!(completion(&[]), None);
        assert_eq!(completion(&[(leg(2, 2), at(9))]), None);
        assert_eq!(
            completion(&[(leg(2, 2), at(9)), (leg(1, 2), at(5))]),
            Some(at(9))
        );
        assert_eq!(completion(&[(Leg::ONLY, at(5))]), Some(at(5)));
    }

    #[test]
    fn the_same_leg_twice_is_one_leg() {
        assert_eq!(completion(&[(leg(1, 2), at(5)), (leg(1, 2), at(6))]), None);
    }

    #[test]
    fn the_larger_number_of_legs_counts() {
        assert_eq!(completion(&[(leg(1, 1), at(5)), (leg(2, 3), at(6))]), None);
    }

    #[test]
    fn a_confirmed_order_needs_no_legs() {
        assert_eq!(
            completion(&[(leg(1, 2), at(5)), (Leg::WHOLE, at(7))]),
            Some(at(7))
        );
    }

    #[test]
    fn legs_that_do_not_exist_are_refused() {
        for (number, of) in [
            (0, 1),
            (2, 1),
            (1, 0),
            (1, 51),
            (-1, 2),
            (i64::MAX, i64::MAX),
        ] {
            assert!(Leg::new(number, of).is_err(), "{number} of {of}");
        }
        assert_eq!(Leg::restore(0, 0), Ok(Leg::WHOLE));
    }
}
