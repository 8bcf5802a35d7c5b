//! Where each section of a totals file begins.

use std::collections::HashMap;
use std::fmt::Write;

/// The footer's key under which the sections stand.
pub const SECTIONS_KEY: &str = "feira.secoes";

/// For how long a section's sums stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// All of the file.
    File,
    /// A month of it.
    Month,
    /// A day of it.
    Day,
}

impl Level {
    /// `nivel`.
    pub const fn number(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Month => 1,
            Self::Day => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::File),
            1 => Some(Self::Month),
            2 => Some(Self::Day),
            _ => None,
        }
    }
}

/// A range of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// The first row.
    pub first: u64,
    /// How many rows.
    pub rows: u64,
}

/// All sections of a file, and the days that it has lines of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sections {
    /// By `agrupamento`, `nivel` and `periodo` (days since 1970; 0 for a file).
    places: HashMap<(u8, Level, i32), Section>,
    /// Days with lines, ascending, and how many lines.
    days: Vec<(i32, u64)>,
    rows: u64,
}

impl Sections {
    /// Adds a section after the others.
    pub fn add(&mut self, grouping: u8, level: Level, period: i32, rows: u64) {
        let first = self.rows;
        self.rows += rows;
        self.places
            .insert((grouping, level, period), Section { first, rows });
    }

    /// Sets the days with lines and how many they have.
    pub fn set_days(&mut self, days: Vec<(i32, u64)>) {
        self.days = days;
    }

    /// The section, where it was written.
    pub fn find(&self, grouping: u8, level: Level, period: i32) -> Option<Section> {
        self.places.get(&(grouping, level, period)).copied()
    }

    /// Days with lines, ascending, and how many lines: as the file is sorted by day, these are
    /// ranges of its rows.
    pub fn days(&self) -> &[(i32, u64)] {
        &self.days
    }

    /// Memory held, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.places.capacity() * size_of::<((u8, Level, i32), Section)>()
            + self.days.capacity() * 16
    }

    /// As the footer has it.
    pub fn text(&self) -> String {
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_by_key(|(_, section)| (section.first, section.rows));
        let mut text = String::new();
        for ((grouping, level, period), section) in places {
            let level = level.number();
            // Writing to a text never fails.
            let _ = write!(text, "{grouping} {level} {period} {};", section.rows);
        }
        text.push('|');
        let mut last = 0;
        for (day, lines) in &self.days {
            let _ = write!(text, "{} {lines};", day - last);
            last = *day;
        }
        text
    }

    /// From the footer's text.
    pub fn parse(text: &str) -> Option<Self> {
        let (places, days) = text.split_once('|')?;
        let mut sections = Self::default();
        for place in places.split_terminator(';') {
            let mut numbers = place.split(' ');
            let grouping = numbers.next()?.parse().ok()?;
            let level = Level::from_number(numbers.next()?.parse().ok()?)?;
            let period = numbers.next()?.parse().ok()?;
            sections.add(grouping, level, period, numbers.next()?.parse().ok()?);
        }
        let mut last = 0;
        for day in days.split_terminator(';') {
            let (step, lines) = day.split_once(' ')?;
            last += step.parse::<i32>().ok()?;
            sections.days.push((last, lines.parse().ok()?));
        }
        Some(sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_come_back_from_their_text() {
        let mut sections = Sections::default();
        sections.add(0, Level::File, 0, 1);
        sections.add(1, Level::File, 0, 50_000);
        sections.add(1, Level::Month, 20_500, 7);
        sections.add(1, Level::Day, 20_517, 3);
        sections.set_days(vec![(20_517, 3), (20_518, 1), (20_600, 900)]);
        let read = Sections::parse(&sections.text()).unwrap();
        assert_eq!(read, sections);
        let day = read.find(1, Level::Day, 20_517);
        let expected = Section {
            first: 50_008,
            rows: 3,
        };
        assert_eq!(day, Some(expected));
        assert_eq!(Sections::parse("1 9 0 4;|"), None);
    }
}
