//! Sums by group, put together from files.

use std::collections::HashMap;

use domain::sales::{Group, Grouping, Sums};
use domain::time::Day;

use crate::error::LakeError;
use crate::orders::Fingerprint;
use crate::texts::{Texts, UNKNOWN};

/// Sums of a group, and the order that was counted last.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    sums: Sums,
    order: u64,
    is_used: bool,
}

/// An order with a line of a group on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Spanning {
    order: Fingerprint,
    group: u32,
    day: i32,
}

/// Sums by group.
#[derive(Debug)]
pub struct Gathered {
    grouping: Grouping,
    texts: Texts,
    periods: HashMap<i32, u32>,
    cells: Vec<Cell>,
    order: u64,
    spanning: Vec<Spanning>,
}

impl Gathered {
    /// No sums yet.
    pub fn new(grouping: Grouping) -> Self {
        Self {
            grouping,
            texts: Texts::default(),
            periods: HashMap::new(),
            cells: Vec::new(),
            order: 0,
            spanning: Vec::new(),
        }
    }

    /// The group of a text; the unknown one's too.
    pub fn text_group(&mut self, text: &str) -> Result<u32, LakeError> {
        let group = self.texts.number(text)?;
        self.hold(group);
        Ok(group)
    }

    /// The group of a day or month.
    pub fn period_group(&mut self, period: i32) -> u32 {
        let next = self.periods.len() as u32;
        let group = *self.periods.entry(period).or_insert(next);
        self.hold(group);
        group
    }

    fn hold(&mut self, group: u32) {
        if self.cells.len() <= group as usize {
            self.cells.resize(group as usize + 1, Cell::default());
        }
    }

    /// Adds sums that are ready.
    pub fn add(&mut self, group: u32, sums: Sums) -> Result<(), LakeError> {
        let cell = self.cells.get_mut(group as usize);
        let cell = cell.ok_or(LakeError::Unexpected("a group is missing"))?;
        cell.is_used = true;
        cell.sums = cell.sums.checked_add(sums).ok_or(LakeError::TooLarge)?;
        Ok(())
    }

    /// Begins the lines of another order or day.
    pub fn begin_order(&mut self) {
        self.order += 1;
    }

    /// Adds a line of the order that was begun last.
    pub fn add_line(&mut self, group: u32, quantity: i64, centavos: i64) -> Option<()> {
        let cell = self.cells.get_mut(group as usize)?;
        cell.is_used = true;
        if cell.order != self.order {
            cell.order = self.order;
            cell.sums.orders += 1;
        }
        let revenue = centavos.checked_mul(quantity)?;
        cell.sums.quantity = cell.sums.quantity.checked_add(quantity)?;
        cell.sums.revenue_centavos = cell.sums.revenue_centavos.checked_add(revenue)?;
        Some(())
    }

    /// Notes that an order which spans days has a line of this group on this day.
    pub fn note_spanning(&mut self, order: Fingerprint, group: u32, day: i32) {
        self.spanning.push(Spanning { order, group, day });
    }

    /// Adds what another worker gathered.
    pub fn add_all(&mut self, other: Self) -> Result<(), LakeError> {
        let mut groups = vec![0; other.cells.len()];
        for (text, group) in other.texts.iter().zip(groups.iter_mut()) {
            *group = self.text_group(text)?;
        }
        for (period, group) in &other.periods {
            if let Some(place) = groups.get_mut(*group as usize) {
                *place = self.period_group(*period);
            }
        }
        for (cell, group) in other.cells.iter().zip(&groups) {
            if cell.is_used {
                self.add(*group, cell.sums)?;
            }
        }
        self.spanning.extend(other.spanning.iter().map(|noted| {
            let group = groups.get(noted.group as usize).copied();
            Spanning {
                group: group.unwrap_or(UNKNOWN),
                ..*noted
            }
        }));
        Ok(())
    }

    /// An order counts once in a group, on however many days it has lines of it.
    pub fn take_off_spanning(&mut self) {
        self.spanning.sort_unstable();
        self.spanning.dedup();
        let is_same = |left: &Spanning, right: &Spanning| {
            (left.order, left.group) == (right.order, right.group)
        };
        for days in self.spanning.chunk_by(is_same) {
            let group = days.first().map_or(0, |noted| noted.group);
            if let Some(cell) = self.cells.get_mut(group as usize) {
                cell.sums.orders -= days.len() as i64 - 1;
            }
        }
    }

    /// The groups that have lines.
    pub fn groups(&self) -> Vec<Group> {
        let mut keys: Vec<Option<String>> = vec![None; self.cells.len()];
        match self.grouping {
            Grouping::Product | Grouping::Region | Grouping::Category => {
                for (text, key) in self.texts.iter().zip(keys.iter_mut()) {
                    *key = (!text.is_empty()).then(|| text.to_owned());
                }
            }
            Grouping::Day | Grouping::Month => {
                for (period, group) in &self.periods {
                    if let Some(key) = keys.get_mut(*group as usize) {
                        *key = self.period_text(*period);
                    }
                }
            }
        }
        let groups = self.cells.iter().zip(keys);
        groups
            .filter(|(cell, _)| cell.is_used)
            .map(|(cell, key)| Group {
                key,
                sums: cell.sums,
            })
            .collect()
    }

    fn period_text(&self, period: i32) -> Option<String> {
        let day = Day::from_epoch_days(period).ok()?;
        Some(match self.grouping {
            Grouping::Month => day.month(),
            _ => day.to_string(),
        })
    }
}
