//! Which totals and which rows of a file answer a question.

use domain::lake::DataFile;
use domain::sales::{Grouping, Question};

use crate::totals::{Level, Section, Sections, month_of};

/// The days that count, both ends included, in days since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: i32,
    last: i32,
}

impl Range {
    /// The days that a question asks for.
    pub fn of(question: &Question) -> Self {
        Self {
            first: question.from.map_or(i32::MIN, |day| day.epoch_days()),
            last: question.to.map_or(i32::MAX, |day| day.epoch_days()),
        }
    }

    /// Whether the day counts.
    pub fn holds(self, day: i32) -> bool {
        (self.first..=self.last).contains(&day)
    }

    /// Whether it has more than one day.
    pub fn is_long(self) -> bool {
        self.first < self.last
    }

    /// Whether the file may have lines of these days.
    pub fn meets(self, file: &DataFile) -> bool {
        file.days.is_none_or(|(first, last)| {
            first.epoch_days() <= self.last && last.epoch_days() >= self.first
        })
    }
}

/// A section to add, and the period under which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedSection {
    /// Its rows.
    pub section: Section,
    /// The day or the first day of the month, where the question groups by these.
    pub period: i32,
}

/// Rows of a day to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedRows {
    /// The day.
    pub day: i32,
    /// The first row in the file.
    pub first: u64,
    /// How many.
    pub rows: u64,
}

/// What of a file is read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Sections of its totals.
    pub sections: Vec<PlannedSection>,
    /// Rows of its data, ascending.
    pub rows: Vec<PlannedRows>,
}

/// `agrupamento` of the totals that can answer; none where several things are filtered or grouped.
pub fn totals_for(question: &Question) -> Option<u8> {
    let grouped = match question.grouping {
        Grouping::Product => Some(1),
        Grouping::Region => Some(2),
        Grouping::Category => Some(3),
        Grouping::Day | Grouping::Month => None,
    };
    let filters = [
        (question.product.is_some(), 1),
        (question.region.is_some(), 2),
        (question.category.is_some(), 3),
    ];
    let mut wanted = grouped;
    for (is_filtered, grouping) in filters {
        match wanted {
            _ if !is_filtered => {}
            None => wanted = Some(grouping),
            Some(wanted) if wanted == grouping => {}
            Some(_) => return None,
        }
    }
    Some(wanted.unwrap_or(0))
}

impl Plan {
    /// The plan for a file whose totals have these sections.
    pub fn of(question: &Question, range: Range, sections: &Sections) -> Self {
        let mut planner = Planner {
            days: days_of(range, sections),
            sections,
            grouping: totals_for(question),
            plan: Self::default(),
        };
        match question.grouping {
            Grouping::Day => {
                let days = std::mem::take(&mut planner.days);
                days.iter().for_each(|day| planner.day(day, day.day));
            }
            Grouping::Month => planner.months(true),
            Grouping::Product | Grouping::Region | Grouping::Category => planner.all(),
        }
        planner.plan.rows.sort_by_key(|rows| rows.first);
        planner.plan
    }
}

/// The rows of each day in the range.
fn days_of(range: Range, sections: &Sections) -> Vec<PlannedRows> {
    let mut first = 0;
    let mut days = Vec::new();
    for (day, rows) in sections.days().iter().copied() {
        if range.holds(day) {
            days.push(PlannedRows { day, first, rows });
        }
        first += rows;
    }
    days
}

struct Planner<'a> {
    days: Vec<PlannedRows>,
    sections: &'a Sections,
    grouping: Option<u8>,
    plan: Plan,
}

impl Planner<'_> {
    /// The whole range as one period.
    fn all(&mut self) {
        if self.days.len() == self.sections.days().len() && self.section(Level::File, 0, 0) {
            return;
        }
        self.months(false);
    }

    /// Month by month, as periods of their own or of one.
    fn months(&mut self, are_periods: bool) {
        let days = std::mem::take(&mut self.days);
        let all = self.sections.days();
        for month in days.chunk_by(|left, right| month_of(left.day) == month_of(right.day)) {
            let first_day = month.first().map_or(0, |rows| month_of(rows.day));
            let period = if are_periods { first_day } else { 0 };
            let in_file = all.iter().filter(|(day, _)| month_of(*day) == first_day);
            let is_whole = in_file.count() == month.len();
            if is_whole && self.month(first_day, period, month.len()) {
                continue;
            }
            month.iter().for_each(|rows| self.day(rows, period));
        }
    }

    /// A whole month; false where the totals lack it.
    fn month(&mut self, first_day: i32, period: i32, days: usize) -> bool {
        // A file of one month has the month's sums as its own.
        let is_file = days == self.sections.days().len();
        is_file && self.section(Level::File, 0, period)
            || self.section(Level::Month, first_day, period)
    }

    fn day(&mut self, rows: &PlannedRows, period: i32) {
        let is_file = self.sections.days().len() == 1;
        let found = is_file && self.section(Level::File, 0, period)
            || self.section(Level::Day, rows.day, period);
        if !found {
            self.plan.rows.push(*rows);
        }
    }

    fn section(&mut self, level: Level, of: i32, period: i32) -> bool {
        let grouping = self.grouping;
        let section = grouping.and_then(|grouping| self.sections.find(grouping, level, of));
        self.plan
            .sections
            .extend(section.map(|section| PlannedSection { section, period }));
        section.is_some()
    }
}
