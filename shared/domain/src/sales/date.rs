//! When something was sold, as exports write it.

use crate::{
    calendar::Calendar,
    sales::fault::{Column, Fault, Refusal},
    time::{UtcMillis, days_from_civil},
};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// 1990-01-01T00:00:00-02:00: what was sold before is a broken date.
const EARLIEST_MS: i64 = 631_159_200_000;
/// The greatest difference to UTC that any place has, rounded up.
const LARGEST_OFFSET_MINUTES: i64 = 18 * 60;

/// Reads dates; remembers when days begin.
#[derive(Debug, Clone)]
pub struct Dates {
    calendar: Calendar,
    latest_ms: i64,
}

/// What a text says, before it is held against the calendar.
struct Written {
    year: i32,
    /// Days since 1970-01-01.
    day: i32,
    millis: i64,
    /// Milliseconds that the clock is ahead of UTC; none for a São Paulo clock.
    offset_ms: Option<i64>,
}

impl Dates {
    /// Dates up to a day after `now`.
    #[must_use]
    pub fn new(now: UtcMillis) -> Self {
        Self {
            calendar: Calendar::new(),
            latest_ms: now.get().saturating_add(MILLIS_PER_DAY),
        }
    }

    /// Reads `2026-11-20`, `20/11/2026`, either with a time behind a blank or a `T`
    /// (`15:04`, `15:04:05`, `15:04:05.123`), the ISO one also with an offset (`Z`, `-03:00`,
    /// `-0300`, `-03`). Without one it is São Paulo's clock, without a time its midnight.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::DateInvalid`], [`Fault::DateInFuture`], [`Fault::DateAbsurd`].
    pub fn parse(&mut self, text: &[u8]) -> Result<UtcMillis, Refusal> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(Fault::Missing.of(Column::Sold));
        }
        let written = written(text).ok_or(Fault::DateInvalid.of(Column::Sold))?;
        match written.year {
            ..1989 => return Err(Fault::DateAbsurd.of(Column::Sold)),
            9990.. => return Err(Fault::DateInFuture.of(Column::Sold)),
            _ => {}
        }
        match written.offset_ms {
            None => self.clock(written.day, written.millis),
            Some(offset) => {
                self.instant(i64::from(written.day) * MILLIS_PER_DAY + written.millis - offset)
            }
        }
    }

    /// What São Paulo's clock shows `millis` after the beginning of a day, counted from 1970-01-01.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn clock(&mut self, day: i32, millis: i64) -> Result<UtcMillis, Refusal> {
        match day {
            // 1989 is absurd whatever the hour.
            ..7_000 => Err(Fault::DateAbsurd.of(Column::Sold)),
            2_900_000.. => Err(Fault::DateInFuture.of(Column::Sold)),
            _ => {
                let instant = self.calendar.instant_ms(day, millis);
                self.instant(instant.ok_or(Fault::DateInvalid.of(Column::Sold))?)
            }
        }
    }

    /// A time in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Fault::DateInFuture`], [`Fault::DateAbsurd`].
    pub fn instant(&self, millis: i64) -> Result<UtcMillis, Refusal> {
        if millis < EARLIEST_MS {
            return Err(Fault::DateAbsurd.of(Column::Sold));
        }
        if millis > self.latest_ms {
            return Err(Fault::DateInFuture.of(Column::Sold));
        }
        UtcMillis::new(millis).map_err(|_| Fault::DateInFuture.of(Column::Sold))
    }
}

fn written(text: &[u8]) -> Option<Written> {
    let (date, rest) = text.split_at_checked(10)?;
    let is_iso = date.get(4) == Some(&b'-');
    let (year, month, day) = if is_iso {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else {
            return None;
        };
        (
            pair(y1, y2)? * 100 + pair(y3, y4)?,
            pair(m1, m2)?,
            pair(d1, d2)?,
        )
    } else {
        let [d1, d2, b'/', m1, m2, b'/', y1, y2, y3, y4] = *date else {
            return None;
        };
        (
            pair(y1, y2)? * 100 + pair(y3, y4)?,
            pair(m1, m2)?,
            pair(d1, d2)?,
        )
    };
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let (millis, offset_ms) = match rest {
        [] => (0, None),
        [b' ' | b'T', time @ ..] => time_of_day(time, is_iso)?,
        _ => return None,
    };
    Some(Written {
        year,
        day: days_from_civil(year, month, day),
        millis,
        offset_ms,
    })
}

const fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn time_of_day(text: &[u8], takes_offset: bool) -> Option<(i64, Option<i64>)> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else {
        return None;
    };
    let (hours, minutes) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
    let (seconds, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (pair(*s1, *s2)?, rest),
        rest => (0, rest),
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let (fraction, rest) = match (rest, text.get(5)) {
        ([b'.' | b',', rest @ ..], Some(b':')) => fraction(rest)?,
        (rest, _) => (0, rest),
    };
    let millis = i64::from(hours * 3600 + minutes * 60 + seconds) * 1000 + fraction;
    let offset = match rest {
        [] => None,
        rest if takes_offset => Some(offset_ms(rest)?),
        _ => return None,
    };
    Some((millis, offset))
}

/// One to nine digits: milliseconds, what is finer is cut off.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (digits, rest) = text.split_at_checked(count)?;
    let mut millis = 0;
    for place in 0..3 {
        millis = millis * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    Some((millis, rest))
}

fn offset_ms(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [h1, h2] => (pair(h1, h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (pair(h1, h2)?, pair(m1, m2)?),
        _ => return None,
    };
    let offset_minutes = i64::from(hours * 60 + minutes);
    (minutes < 60 && offset_minutes <= LARGEST_OFFSET_MINUTES)
        .then_some(sign * offset_minutes * 60_000)
}

/// Two digits.
fn pair(tens: u8, ones: u8) -> Option<i32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dates() -> Dates {
        Dates::new(UtcMillis::parse("2026-11-21T12:00:00Z").unwrap())
    }

    fn read(text: &str) -> Result<String, Fault> {
        let read = dates().parse(text.as_bytes());
        read.map(|at| at.to_string())
            .map_err(|refusal| refusal.fault)
    }

    #[test]
    fn dates_are_read_in_each_form() {
        for (text, expected) in [
            ("2026-11-20", "2026-11-20T03:00:00.000Z"),
            (" 2026-11-20 ", "2026-11-20T03:00:00.000Z"),
            ("20/11/2026", "2026-11-20T03:00:00.000Z"),
            ("20/11/2026 15:04", "2026-11-20T18:04:00.000Z"),
            ("20/11/2026T15:04:05", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20T15:04:05", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20 15:04:05.1239", "2026-11-20T18:04:05.123Z"),
            ("2026-11-20T15:04:05Z", "2026-11-20T15:04:05.000Z"),
            ("2026-11-20T15:04:05-03:00", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20 15:04:05+0530", "2026-11-20T09:34:05.000Z"),
            ("2026-11-20T15:04-03", "2026-11-20T18:04:00.000Z"),
            ("2016-09-04 21:15:19", "2016-09-05T00:15:19.000Z"),
            ("2017-12-01", "2017-12-01T02:00:00.000Z"),
            ("2017-10-15", "2017-10-15T03:00:00.000Z"),
            ("1990-01-01", "1990-01-01T02:00:00.000Z"),
            ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00.000Z"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_or_can_not_be_is_refused() {
        for text in [
            "ontem",
            "2026-13-01",
            "2026-02-30",
            "2026-00-10",
            "31/04/2026",
            "11/20/2026",
            "2026/11/20",
            "20-11-2026",
            "2026-11-20T",
            "2026-11-20T24:00:00",
            "2026-11-20T10",
            "2026-11-20T10:60",
            "2026-11-20T10:00:60",
            "2026-11-20T10:00:00.",
            "2026-11-20T10:00:00+19:00",
            "2026-11-20T10:00:00 -03:00",
            "20/11/2026 10:00-03:00",
            "2026-11-20T10:00.5",
            "2026-11-200",
            "20/11/26",
            "1/1/2026",
            "46000",
            "2026-11-20x",
        ] {
            assert_eq!(read(text), Err(Fault::DateInvalid), "{text}");
        }
        for (text, fault) in [
            ("", Fault::Missing),
            ("1989-12-31", Fault::DateAbsurd),
            ("0000-01-01", Fault::DateAbsurd),
            ("1990-01-01T00:00:00Z", Fault::DateAbsurd),
            ("2026-11-22T12:00:00.001Z", Fault::DateInFuture),
            ("2026-11-23", Fault::DateInFuture),
            ("9999-12-31", Fault::DateInFuture),
        ] {
            assert_eq!(read(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn typed_dates_are_held_against_the_same_limits() {
        let mut dates = dates();
        assert_eq!(dates.clock(-5, 0), Err(Fault::DateAbsurd.of(Column::Sold)));
        assert_eq!(
            dates.clock(i32::MAX, 0),
            Err(Fault::DateInFuture.of(Column::Sold))
        );
        assert_eq!(
            dates.instant(i64::MAX),
            Err(Fault::DateInFuture.of(Column::Sold))
        );
        assert_eq!(dates.instant(0), Err(Fault::DateAbsurd.of(Column::Sold)));
        assert_eq!(
            dates.clock(20_000, 0).unwrap().to_string(),
            "2024-10-04T03:00:00.000Z"
        );
    }

    proptest! {
        #[test]
        fn every_time_is_read_as_the_zone_reads_it(millis in EARLIEST_MS + 86_400_000..1_795_000_000_000_i64) {
            let at = UtcMillis::new(millis).unwrap();
            let mut dates = Dates::new(UtcMillis::parse("2027-01-01T00:00:00Z").unwrap());
            prop_assert_eq!(dates.parse(at.to_string().as_bytes()), Ok(at));
            let text = at.to_string();
            let clock = text.trim_end_matches('Z');
            prop_assert_eq!(dates.parse(clock.as_bytes()), Ok(UtcMillis::parse(clock).unwrap()));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[0-9T:/ .Z+-]{0,30}") {
            let _ = dates().parse(text.as_bytes());
        }
    }
}
