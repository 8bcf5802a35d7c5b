//! The six-field cron of `EventBridge`: minutes, hours, day of month, month, day of week, year.
//!
//! Days of the week count from 1 = Sunday, and exactly one of the two day fields is `?`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;

use crate::schedule::{ScheduleError, instant};

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const FIRST_YEAR: i16 = 1970;
const LAST_YEAR: i16 = 2199;

/// A cron expression of `EventBridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<i16>,
    hours: BTreeSet<i16>,
    days: Days,
    months: BTreeSet<i16>,
    years: BTreeSet<i16>,
}

/// The day field that is not `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<DayOfMonth>),
    OfWeek(Vec<DayOfWeek>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayOfMonth {
    /// Numbers, ranges, steps and `*`.
    In(BTreeSet<i16>),
    /// `L`.
    Last,
    /// `LW`: the last weekday.
    LastWeekday,
    /// `15W`: the weekday nearest to the 15th, in the same month.
    Nearest(i8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayOfWeek {
    /// Numbers, names, ranges, steps and `*`; 1 is Sunday.
    In(BTreeSet<i16>),
    /// `6L`: the last Friday; `L` alone is Saturday and reads as `In`.
    Last(i16),
    /// `6#3`: the third Friday.
    Nth(i16, i8),
}

impl Cron {
    /// Reads the text between the parentheses of `cron(…)`.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, day_of_month, month, day_of_week, year] = fields.as_slice() else {
            return Err(ScheduleError::CronFields(text.to_owned()));
        };
        let days = match (*day_of_month, *day_of_week) {
            ("?", "?") => return Err(ScheduleError::CronDays(text.to_owned())),
            (days, "?") => Days::OfMonth(list(days, day_of_month_part)?),
            ("?", days) => Days::OfWeek(list(days, day_of_week_part)?),
            _ => return Err(ScheduleError::CronDays(text.to_owned())),
        };
        let cron = Self {
            minutes: MINUTES.list(minutes)?,
            hours: HOURS.list(hours)?,
            days,
            months: MONTH.list(month)?,
            years: YEAR.list(year)?,
        };
        if !cron.days_from(date(FIRST_YEAR, 1, 1)).any(|_| true) {
            return Err(ScheduleError::Never(format!("cron({text})")));
        }
        Ok(cron)
    }

    /// The first run after `after` in a time zone; `None` when the years are over.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = after.to_zoned(zone.clone()).date();
        self.days_from(today).find_map(|day| {
            self.hours.iter().find_map(|hour| {
                self.minutes.iter().find_map(|minute| {
                    let time = day.at(small(*hour), small(*minute), 0, 0);
                    instant(time, zone).filter(|instant| *instant > after)
                })
            })
        })
    }

    /// The days it runs on, from `first` to the last of its years.
    fn days_from(&self, first: Date) -> impl Iterator<Item = Date> {
        let last_year = self.years.last().copied().unwrap_or(FIRST_YEAR);
        first
            .series(jiff::Span::new().days(1))
            .take_while(move |day| day.year() <= last_year)
            .filter(|day| self.runs_on(*day))
    }

    fn runs_on(&self, day: Date) -> bool {
        self.years.contains(&day.year())
            && self.months.contains(&day.month().into())
            && match &self.days {
                Days::OfMonth(parts) => parts.iter().any(|part| part.holds(day)),
                Days::OfWeek(parts) => parts.iter().any(|part| part.holds(day)),
            }
    }
}

impl DayOfMonth {
    fn holds(&self, day: Date) -> bool {
        let last = day.last_of_month();
        match self {
            Self::In(days) => days.contains(&day.day().into()),
            Self::Last => day == last,
            Self::LastWeekday => nearest_weekday(last) == Some(day),
            Self::Nearest(wanted) => {
                Date::new(day.year(), day.month(), *wanted)
                    .ok()
                    .and_then(nearest_weekday)
                    == Some(day)
            }
        }
    }
}

impl DayOfWeek {
    fn holds(&self, day: Date) -> bool {
        let weekday: i16 = day.weekday().to_sunday_one_offset().into();
        match self {
            Self::In(days) => days.contains(&weekday),
            Self::Last(wanted) => weekday == *wanted && day.day() > day.days_in_month() - 7,
            Self::Nth(wanted, nth) => weekday == *wanted && (day.day() - 1) / 7 + 1 == *nth,
        }
    }
}

/// The weekday nearest to `day` without leaving its month.
fn nearest_weekday(day: Date) -> Option<Date> {
    let is_first = day.day() == 1;
    let is_last = day.day() == day.days_in_month();
    let moved_days: i32 = match day.weekday() {
        Weekday::Saturday if is_first => 2,
        Weekday::Saturday => -1,
        Weekday::Sunday if is_last => -2,
        Weekday::Sunday => 1,
        _ => 0,
    };
    day.checked_add(jiff::Span::new().days(moved_days)).ok()
}

/// A field whose values are numbers in a range, some with names.
struct Field {
    name: &'static str,
    expected: &'static str,
    first: i16,
    last: i16,
    names: &'static [&'static str],
}

const MINUTES: Field = Field {
    name: "minutes",
    expected: "write 0 to 59, *, a range 0-30 or a step 0/15",
    first: 0,
    last: 59,
    names: &[],
};
const HOURS: Field = Field {
    name: "hours",
    expected: "write 0 to 23, *, a range 8-18 or a step 0/6",
    first: 0,
    last: 23,
    names: &[],
};
const DAY_OF_MONTH: Field = Field {
    name: "day of month",
    expected: "write 1 to 31, *, ?, L, LW, 15W, a range or a step",
    first: 1,
    last: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    expected: "write 1 to 12 or JAN to DEC, *, a range or a step",
    first: 1,
    last: 12,
    names: &MONTHS,
};
const DAY_OF_WEEK: Field = Field {
    name: "day of week",
    expected: "write 1 (Sunday) to 7 or SUN to SAT, *, ?, 6L, 6#3 or a range",
    first: 1,
    last: 7,
    names: &WEEKDAYS,
};
const YEAR: Field = Field {
    name: "year",
    expected: "write 1970 to 2199, *, a range or a step",
    first: FIRST_YEAR,
    last: LAST_YEAR,
    names: &[],
};

impl Field {
    fn list(&self, text: &str) -> Result<BTreeSet<i16>, ScheduleError> {
        let mut values = BTreeSet::new();
        for part in text.split(',') {
            values.extend(self.part(part)?);
        }
        Ok(values)
    }

    /// `*`, `5`, `5-9`, and each of them with a step: `*/10`, `5/10`, `5-30/10`.
    fn part(&self, text: &str) -> Result<BTreeSet<i16>, ScheduleError> {
        let wrong = || self.wrong(text);
        let (range, step) = match text.split_once('/') {
            None => (text, None),
            Some((range, step)) => {
                let step: usize = step.parse().map_err(|_| wrong())?;
                (range, Some(step).filter(|step| *step > 0))
            }
        };
        if text.contains('/') && step.is_none() {
            return Err(wrong());
        }
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if range == "*" => (self.first, self.last),
            None => {
                let value = self.value(range)?;
                (value, if step.is_some() { self.last } else { value })
            }
        };
        if first > last {
            return Err(wrong());
        }
        Ok((first..=last).step_by(step.unwrap_or(1)).collect())
    }

    fn value(&self, text: &str) -> Result<i16, ScheduleError> {
        let named = self
            .names
            .iter()
            .zip(self.first..)
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some((_, value)) => Some(value),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        value
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| self.wrong(text))
    }

    fn wrong(&self, text: &str) -> ScheduleError {
        ScheduleError::CronField {
            field: self.name,
            text: text.to_owned(),
            expected: self.expected,
        }
    }
}

fn list<T>(
    text: &str,
    part: fn(&str) -> Result<T, ScheduleError>,
) -> Result<Vec<T>, ScheduleError> {
    text.split(',').map(part).collect()
}

fn day_of_month_part(text: &str) -> Result<DayOfMonth, ScheduleError> {
    match text {
        "L" => Ok(DayOfMonth::Last),
        "LW" => Ok(DayOfMonth::LastWeekday),
        _ => match text.strip_suffix('W') {
            Some(day) => DAY_OF_MONTH
                .value(day)
                .map(|day| DayOfMonth::Nearest(small(day))),
            None => DAY_OF_MONTH.part(text).map(DayOfMonth::In),
        },
    }
}

fn day_of_week_part(text: &str) -> Result<DayOfWeek, ScheduleError> {
    if text == "L" {
        return Ok(DayOfWeek::In(BTreeSet::from([7])));
    }
    if let Some((weekday, nth)) = text.split_once('#') {
        let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth));
        let nth = nth.ok_or_else(|| DAY_OF_WEEK.wrong(text))?;
        return DAY_OF_WEEK
            .value(weekday)
            .map(|weekday| DayOfWeek::Nth(weekday, nth));
    }
    match text.strip_suffix('L') {
        Some(weekday) => DAY_OF_WEEK.value(weekday).map(DayOfWeek::Last),
        None => DAY_OF_WEEK.part(text).map(DayOfWeek::In),
    }
}

/// Values of fields were checked to be below 60 where this is used.
fn small(value: i16) -> i8 {
    i8::try_from(value).unwrap_or(i8::MAX)
}
