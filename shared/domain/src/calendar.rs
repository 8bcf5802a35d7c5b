//! São Paulo days by table, for millions of times in a row: a look into the time zone's rules takes
//! a hundred times as long.

use crate::time::{Day, UtcMillis};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// 2100-01-01: later days are looked up each time.
const TABLE_DAYS: usize = 47_482;
const UNKNOWN: i64 = i64::MIN;

/// When each São Paulo day begins, learnt as it is asked.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    starts_ms: Vec<i64>,
}

impl Calendar {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            starts_ms: Vec::new(),
        }
    }

    /// The first millisecond of a day, counted from 1970-01-01; `None` outside 1970 to 9998.
    pub fn start_ms(&mut self, number: i32) -> Option<i64> {
        let place = usize::try_from(number).ok()?;
        if place >= TABLE_DAYS {
            return Some(Day::from_epoch_days(number).ok()?.start().get());
        }
        if self.starts_ms.len() <= place {
            self.starts_ms.resize(place + 1, UNKNOWN);
        }
        let start = self.starts_ms.get_mut(place)?;
        if *start == UNKNOWN {
            *start = Day::from_epoch_days(number).ok()?.start().get();
        }
        Some(*start)
    }

    /// The São Paulo day of a time, in days since 1970-01-01.
    pub fn day_number(&mut self, at: UtcMillis) -> i32 {
        // São Paulo is behind UTC all year: its day is UTC's or the one before.
        let number = i32::try_from(at.get().div_euclid(MILLIS_PER_DAY)).unwrap_or(i32::MAX);
        match self.start_ms(number) {
            Some(start) if start <= at.get() => number,
            Some(_) if number > 0 => number - 1,
            _ => at.day().epoch_days(),
        }
    }

    /// The instant at which a São Paulo clock shows so many milliseconds of a day; `None` where
    /// there is none between 1970 and 9998. See [`UtcMillis::of_clock`].
    pub fn instant_ms(&mut self, number: i32, millis: i64) -> Option<i64> {
        let start = self.start_ms(number)?;
        if self.start_ms(number + 1)? - start == MILLIS_PER_DAY {
            return (0..MILLIS_PER_DAY)
                .contains(&millis)
                .then_some(start + millis);
        }
        let day = Day::from_epoch_days(number).ok()?;
        UtcMillis::of_clock(day, millis).ok().map(UtcMillis::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_table_says_what_the_zone_says(millis in 0_i64..4_200_000_000_000, of_day in 0..MILLIS_PER_DAY) {
            let mut calendar = Calendar::new();
            let at = UtcMillis::new(millis).unwrap();
            prop_assert_eq!(calendar.day_number(at), at.day().epoch_days());
            prop_assert_eq!(calendar.day_number(at), at.day().epoch_days());
            let clock = UtcMillis::of_clock(at.day(), of_day).unwrap().get();
            prop_assert_eq!(calendar.instant_ms(at.day().epoch_days(), of_day), Some(clock));
        }
    }

    #[test]
    fn every_hour_of_years_with_summer_time_is_right() {
        let mut calendar = Calendar::new();
        let first = UtcMillis::parse("1990-01-01T00:00:00Z").unwrap();
        for hour in 0..24 * 365 * 31 {
            let at = first.plus_millis(hour * 3_600_000);
            assert_eq!(calendar.day_number(at), at.day().epoch_days(), "{at}");
        }
    }

    #[test]
    fn days_outside_the_calendar_have_no_start() {
        let mut calendar = Calendar::new();
        assert_eq!(calendar.start_ms(-1), None);
        assert_eq!(calendar.start_ms(i32::MAX), None);
        assert!(calendar.start_ms(60_000).is_some());
        // Midnight in UTC is the evening before in São Paulo.
        assert_eq!(calendar.day_number(UtcMillis::new(0).unwrap()), -1);
    }
}
