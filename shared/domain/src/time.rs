//! Points in time and São Paulo days. Nothing here reads a clock.

use std::fmt;

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::Invalid;

/// The zone whose days the companies count in.
static SAO_PAULO: TimeZone = jiff::tz::get!("America/Sao_Paulo");

const MILLIS_PER_DAY: i64 = 86_400_000;
/// 9999-01-01T00:00:00Z: what lies beyond is a broken date, and sums of it stay inside i64.
const LATEST: i64 = 253_370_764_800_000;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMillis(i64);

/// A calendar day in America/Sao_Paulo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(civil::Date);

impl UtcMillis {
    /// From milliseconds since the epoch.
    ///
    /// # Errors
    /// Before 1970 or from the year 9999 on.
    pub const fn new(millis: i64) -> Result<Self, Invalid> {
        if millis < 0 || millis >= LATEST {
            return Err(Invalid::new("must be a time between 1970 and 9998"));
        }
        Ok(Self(millis))
    }

    /// From an RFC 3339 text with an offset; a text without one is America/Sao_Paulo. Precision
    /// below a millisecond is cut off.
    ///
    /// # Errors
    /// When the text is no such time, or outside [`Self::new`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a time such as 2026-11-20T15:04:05-03:00");
        if text.len() > 40 {
            return Err(RULE);
        }
        let instant: Timestamp = match text.parse() {
            Ok(instant) => instant,
            Err(_) => text
                .parse::<civil::DateTime>()
                .and_then(|local| local.to_zoned(SAO_PAULO.clone()))
                .map_err(|_| RULE)?
                .timestamp(),
        };
        Self::new(instant.as_millisecond())
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// This time plus `millis`, held inside the representable range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(0, LATEST - 1))
    }

    /// So many days earlier; never before 1970.
    #[must_use]
    pub fn minus_days(self, days: u32) -> Self {
        self.plus_millis(-i64::from(days) * MILLIS_PER_DAY)
    }

    /// This time plus `days` of 24 hours.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        self.plus_millis(i64::from(days) * MILLIS_PER_DAY)
    }

    /// What a São Paulo clock shows so many milliseconds after the beginning of a day; an hour that
    /// the clock skips is the one after it, of one that it shows twice it is the first.
    ///
    /// # Errors
    /// Outside [`Self::new`], or where a day has no such millisecond.
    pub fn of_clock(day: Day, millis: i64) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a time of a day");
        if !(0..MILLIS_PER_DAY).contains(&millis) {
            return Err(RULE);
        }
        let span = jiff::Span::new().try_milliseconds(millis);
        let instant = span
            .and_then(|span| day.0.at(0, 0, 0, 0).checked_add(span))
            .and_then(|clock| clock.to_zoned(SAO_PAULO.clone()))
            .map_err(|_| RULE)?
            .timestamp();
        Self::new(instant.as_millisecond())
    }

    /// The São Paulo day of this time.
    #[must_use]
    pub fn day(self) -> Day {
        let instant = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        Day(SAO_PAULO.to_datetime(instant).date())
    }
}

/// RFC 3339 in UTC with milliseconds: 2026-11-20T18:04:05.000Z.
impl fmt::Display for UtcMillis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(formatter, "{instant:.3}")
    }
}

impl Day {
    /// From a text such as 2026-11-20.
    ///
    /// # Errors
    /// When the text is no date between 1970 and 9998.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a date such as 2026-11-20");
        let date: civil::Date = if text.len() == 10 {
            text.parse().map_err(|_| RULE)?
        } else {
            return Err(RULE);
        };
        if (1970..=9998).contains(&date.year()) {
            Ok(Self(date))
        } else {
            Err(RULE)
        }
    }

    /// The first moment of this day.
    #[must_use]
    pub fn start(self) -> UtcMillis {
        let start = self
            .0
            .to_zoned(SAO_PAULO.clone())
            .map(|zoned| zoned.timestamp());
        UtcMillis(
            start
                .map_or(0, Timestamp::as_millisecond)
                .clamp(0, LATEST - 1),
        )
    }

    /// The first moment after this day.
    #[must_use]
    pub fn end(self) -> UtcMillis {
        self.next().start()
    }

    /// The day after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.tomorrow().unwrap_or(self.0))
    }

    /// The day before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.yesterday().unwrap_or(self.0))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn epoch_days(self) -> i32 {
        let midnight = self.0.to_datetime(civil::Time::midnight());
        let seconds = TimeZone::UTC
            .to_timestamp(midnight)
            .map_or(0, Timestamp::as_second);
        i32::try_from(seconds.div_euclid(MILLIS_PER_DAY / 1000)).unwrap_or(0)
    }

    /// The day so many days after 1970-01-01.
    ///
    /// # Errors
    /// Before 1970 or from the year 9999 on.
    pub fn from_epoch_days(days: i32) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid::new("must be a day between 1970 and 9998");
        if days < 0 || i64::from(days) * MILLIS_PER_DAY >= LATEST {
            return Err(RULE);
        }
        let midnight = Timestamp::from_second(i64::from(days) * (MILLIS_PER_DAY / 1000));
        let midnight = midnight.map_err(|_| RULE)?;
        Ok(Self(TimeZone::UTC.to_datetime(midnight).date()))
    }

    /// The month of this day: 2026-11.
    #[must_use]
    pub fn month(self) -> String {
        format!("{:04}-{:02}", self.0.year(), self.0.month())
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant's days_from_civil). The caller
/// knows that the date exists.
pub(crate) const fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    // Years that begin in March have their leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// 2026-11-20.
impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_offset_is_sao_paulo() {
        let with_offset = UtcMillis::parse("2016-10-07T13:18:03-03:00").unwrap();
        assert_eq!(with_offset.to_string(), "2016-10-07T16:18:03.000Z");
        assert_eq!(
            UtcMillis::parse("2016-10-07T13:18:03").unwrap(),
            with_offset
        );
        assert_eq!(
            UtcMillis::parse("2016-10-07 13:18:03").unwrap(),
            with_offset
        );
        let summer_time = UtcMillis::parse("2017-12-01T10:00:00").unwrap();
        assert_eq!(summer_time.to_string(), "2017-12-01T12:00:00.000Z");
    }

    #[test]
    fn days_are_sao_paulo_days() {
        let before_midnight = UtcMillis::parse("2026-11-21T02:59:59.999Z").unwrap();
        assert_eq!(before_midnight.day().to_string(), "2026-11-20");
        assert_eq!(
            before_midnight.plus_millis(1).day(),
            Day::parse("2026-11-21").unwrap()
        );
        let day = before_midnight.day();
        assert_eq!(day.end(), before_midnight.plus_millis(1));
        assert_eq!(day.next().previous(), day);
        assert_eq!(day.month(), "2026-11");
    }

    #[test]
    fn what_a_clock_shows_becomes_an_instant() {
        let at = |day: &str, hours: i64| {
            let day = Day::parse(day).unwrap();
            UtcMillis::of_clock(day, hours * 3_600_000)
                .unwrap()
                .to_string()
        };
        assert_eq!(at("2026-11-20", 15), "2026-11-20T18:00:00.000Z");
        // The clock went from 0 to 1 o'clock.
        assert_eq!(at("2017-10-15", 0), "2017-10-15T03:00:00.000Z");
        let day = Day::parse("2026-11-20").unwrap();
        assert!(UtcMillis::of_clock(day, MILLIS_PER_DAY).is_err());
    }

    #[test]
    fn days_are_counted_from_1970() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("2024-02-29", 19_782),
            ("9998-12-31", 2_932_531),
        ] {
            let day = Day::parse(text).unwrap();
            assert_eq!(day.epoch_days(), days, "{text}");
            assert_eq!(Day::from_epoch_days(days), Ok(day));
        }
        assert!(Day::from_epoch_days(-1).is_err());
        assert!(Day::from_epoch_days(i32::MAX).is_err());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-13-01T00:00:00Z",
            "ontem",
            "1969-12-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
        ] {
            assert!(UtcMillis::parse(text).is_err(), "{text}");
        }
        for text in [
            "2026-02-30",
            "20261120",
            "2026-11-20T00:00:00Z",
            "0000-01-01",
        ] {
            assert!(Day::parse(text).is_err(), "{text}");
        }
    }
}
