//! Schedule expressions of `EventBridge` Scheduler: `rate(…)`, `cron(…)` and `at(…)`.
//!
//! Source: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::cron::Cron;
use crate::model::Schedule;

/// Why a schedule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Neither rate, cron nor at.
    #[error(
        "{0:?} is no schedule: write rate(5 minutes), cron(0 6 * * ? *) or at(2026-11-20T06:00:00)"
    )]
    Unknown(String),
    /// A rate that `EventBridge` refuses.
    #[error(
        "rate({0}) is no rate: write rate(1 minute), rate(5 minutes), rate(2 hours) or rate(1 day)"
    )]
    Rate(String),
    /// A time that is none.
    #[error("at({0}) is no time: write at(yyyy-mm-ddThh:mm:ss)")]
    At(String),
    /// A cron expression without its six fields.
    #[error("cron({0}) needs six fields: minutes, hours, day of month, month, day of week, year")]
    CronFields(String),
    /// One field of a cron expression.
    #[error("{text:?} is no {field} of a cron expression: {expected}")]
    CronField {
        /// Which of the six.
        field: &'static str,
        /// What is written.
        text: String,
        /// What may be written.
        expected: &'static str,
    },
    /// Both or neither day field is `?`.
    #[error("cron({0}): exactly one of day of month and day of week must be a question mark")]
    CronDays(String),
    /// A date that does not exist, such as February 30.
    #[error("{0} never runs: no such day comes")]
    Never(String),
    /// A time zone that is none.
    #[error("{0:?} is no IANA time zone: write America/Sao_Paulo or UTC")]
    Zone(String),
}

/// When a schedule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleExpression {
    /// Each so many seconds.
    Rate {
        /// The period.
        period_seconds: i64,
    },
    /// By the calendar, to the minute.
    Cron(Cron),
    /// Once, at a local time.
    At(DateTime),
}

impl FromStr for ScheduleExpression {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let unknown = || ScheduleError::Unknown(text.to_owned());
        let inner = text.strip_suffix(')').ok_or_else(unknown)?;
        match inner.split_once('(') {
            Some(("rate", rate)) => parse_rate(rate),
            Some(("cron", cron)) => Cron::parse(cron).map(Self::Cron),
            Some(("at", time)) => parse_at(time),
            _ => Err(unknown()),
        }
    }
}

impl ScheduleExpression {
    /// The first run after `after`, in the time zone of the schedule; `None` when there is none.
    ///
    /// A rate counts from the beginning of 1970, so that a restart keeps the rhythm. A local time
    /// that a change of the clock skips does not run, one that it repeats runs once (`EventBridge`
    /// Scheduler's own rule).
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Rate { period_seconds } => {
                let periods = after.as_second().div_euclid(*period_seconds);
                Timestamp::from_second((periods + 1).checked_mul(*period_seconds)?).ok()
            }
            Self::Cron(cron) => cron.next_after(after, zone),
            Self::At(time) => instant(*time, zone).filter(|instant| *instant > after),
        }
    }
}

impl Schedule {
    /// The expression, read.
    pub fn parsed(&self) -> Result<ScheduleExpression, ScheduleError> {
        self.expression.parse()
    }

    /// The time zone, looked up.
    pub fn zone(&self) -> Result<TimeZone, ScheduleError> {
        TimeZone::get(&self.timezone).map_err(|_| ScheduleError::Zone(self.timezone.clone()))
    }

    /// The first run after `after`; `None` when there is none.
    pub fn next_after(&self, after: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
        Ok(self.parsed()?.next_after(after, &self.zone()?))
    }

    /// What the function gets for the run of `scheduled`: the input with
    /// `<aws.scheduler.scheduled-time>` replaced, in UTC to the second as `EventBridge` writes it.
    pub fn payload(&self, scheduled: Timestamp) -> String {
        let time = scheduled.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.input
            .as_deref()
            .unwrap_or("{}")
            .replace(SCHEDULED_TIME, &time)
    }
}

/// The placeholder that `EventBridge` Scheduler replaces by the time a run was meant for.
pub(crate) const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";

/// The instant of a local time; `None` when the clock skips it, the first when it comes twice.
pub(crate) fn instant(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Gap { .. } => None,
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(time).ok()
        }
    }
}

fn parse_rate(text: &str) -> Result<ScheduleExpression, ScheduleError> {
    let wrong = || ScheduleError::Rate(text.to_owned());
    let (count, unit) = text.split_once(' ').ok_or_else(wrong)?;
    let count: i64 = count.parse().map_err(|_| wrong())?;
    let unit_seconds: i64 = match (count, unit) {
        (1, "minute") | (2.., "minutes") => 60,
        (1, "hour") | (2.., "hours") => 3_600,
        (1, "day") | (2.., "days") => 86_400,
        _ => return Err(wrong()),
    };
    let period_seconds = count.checked_mul(unit_seconds).ok_or_else(wrong)?;
    Ok(ScheduleExpression::Rate { period_seconds })
}

fn parse_at(text: &str) -> Result<ScheduleExpression, ScheduleError> {
    let wrong = || ScheduleError::At(text.to_owned());
    // jiff also reads shorter and longer forms; `EventBridge` takes this one alone.
    if text.len() != "yyyy-mm-ddThh:mm:ss".len() {
        return Err(wrong());
    }
    DateTime::strptime("%Y-%m-%dT%H:%M:%S", text)
        .map(ScheduleExpression::At)
        .map_err(|_| wrong())
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
