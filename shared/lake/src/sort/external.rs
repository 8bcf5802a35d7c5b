//! Records sorted by day, order and the sequence in which they came: in memory while they fit,
//! else in runs on disk that are merged.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::codec;
use super::merge::Merge;
use super::run::Run;
use crate::error::SortError;

/// What a record carries besides its key.
pub trait Payload: Copy {
    /// Appends it; `day` is the record's.
    fn encode(&self, day: i32, bytes: &mut Vec<u8>);
    /// Takes it off the front.
    fn decode(day: i32, bytes: &mut &[u8]) -> Option<Self>;
}

/// A record as the merge gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a, P> {
    /// Days since 1970, or a number that sorts before all days.
    pub day: i32,
    /// The order.
    pub order: &'a str,
    /// The rest.
    pub payload: P,
}

#[derive(Debug, Clone, Copy)]
struct Entry<P> {
    day: i32,
    offset: u32,
    length: u32,
    payload: P,
}

/// Takes records, one by one.
#[derive(Debug)]
pub struct Sorter<P> {
    folder: PathBuf,
    budget_bytes: usize,
    entries: Vec<Entry<P>>,
    /// The orders' ids, one after the other.
    orders: String,
    /// How many first bytes all orders of `entries` share.
    shared: usize,
    runs: Vec<File>,
    count: u64,
}

/// Records that can be gone through in order, as often as needed.
#[derive(Debug)]
pub struct SortedRecords<P> {
    entries: Vec<Entry<P>>,
    keys: Vec<u128>,
    orders: String,
    runs: Vec<File>,
    count: u64,
}

impl<P: Payload> Sorter<P> {
    /// Runs go to unnamed files of `folder` when `budget_bytes` of memory are full.
    pub fn new(folder: &Path, budget_bytes: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            budget_bytes,
            entries: Vec::new(),
            orders: String::new(),
            shared: usize::MAX,
            runs: Vec::new(),
            count: 0,
        }
    }

    /// Takes a record.
    pub fn push(&mut self, day: i32, order: &str, payload: P) -> Result<(), SortError> {
        if order.len() > super::LONGEST_ORDER_BYTES {
            return Err(SortError::OrderTooLong);
        }
        let (offset, length) = match self.entries.last() {
            Some(last) if self.order_of(last) == order => (last.offset, last.length),
            _ => self.keep_order(order)?,
        };
        self.entries.push(Entry {
            day,
            offset,
            length,
            payload,
        });
        self.count += 1;
        let entry_bytes = size_of::<Entry<P>>() + size_of::<u128>();
        if self.entries.len() * entry_bytes + self.orders.len() > self.budget_bytes {
            self.spill()?;
        }
        Ok(())
    }

    /// How many were taken.
    pub fn taken(&self) -> u64 {
        self.count
    }

    fn keep_order(&mut self, order: &str) -> Result<(u32, u32), SortError> {
        let offset = u32::try_from(self.orders.len()).map_err(|_| SortError::TooLarge)?;
        let length = u32::try_from(order.len()).map_err(|_| SortError::OrderTooLong)?;
        self.shared = match self.entries.first() {
            None => order.len(),
            Some(first) => {
                let first = self.order_of(first).as_bytes().iter();
                let alike = first.zip(order.as_bytes()).take(self.shared);
                alike.take_while(|(left, right)| left == right).count()
            }
        };
        self.orders.push_str(order);
        Ok((offset, length))
    }

    fn order_of(&self, entry: &Entry<P>) -> &str {
        text_of(&self.orders, entry)
    }

    fn spill(&mut self) -> Result<(), SortError> {
        let keys = sorted_keys(&self.entries, &self.orders, self.shared);
        let mut run = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(&self.folder)?);
        let mut bytes = Vec::with_capacity(256);
        let (mut last_day, mut last_order) = (0_i64, "");
        for key in keys {
            let Some(entry) = self.entries.get(index_of(key)) else {
                continue;
            };
            let order = self.order_of(entry);
            let same = order.bytes().zip(last_order.bytes());
            let same = same.take_while(|(left, right)| left == right).count();
            let suffix = order.as_bytes().get(same..).unwrap_or_default();
            bytes.clear();
            codec::put_signed(&mut bytes, i64::from(entry.day) - last_day);
            codec::put(&mut bytes, same as u64);
            codec::put(&mut bytes, suffix.len() as u64);
            bytes.extend_from_slice(suffix);
            entry.payload.encode(entry.day, &mut bytes);
            run.write_all(&bytes)?;
            (last_day, last_order) = (i64::from(entry.day), order);
        }
        let file = run
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        self.runs.push(file);
        self.entries.clear();
        self.orders.clear();
        Ok(())
    }

    /// Ends the taking. What was spilled stays on disk, so that memory is free again.
    pub fn finish(mut self) -> Result<SortedRecords<P>, SortError> {
        let mut keys = Vec::new();
        if self.runs.is_empty() {
            keys = sorted_keys(&self.entries, &self.orders, self.shared);
        } else {
            if !self.entries.is_empty() {
                self.spill()?;
            }
            self.entries = Vec::new();
            self.orders = String::new();
        }
        Ok(SortedRecords {
            entries: self.entries,
            keys,
            orders: self.orders,
            runs: self.runs,
            count: self.count,
        })
    }
}

impl<P: Payload> SortedRecords<P> {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Runs on disk; none where all fitted into memory.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Gives each record in order.
    pub fn each<E: From<SortError>>(
        &self,
        mut visit: impl FnMut(Record<'_, P>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.runs.is_empty() {
            for key in &self.keys {
                if let Some(entry) = self.entries.get(index_of(*key)) {
                    visit(Record {
                        day: entry.day,
                        order: text_of(&self.orders, entry),
                        payload: entry.payload,
                    })?;
                }
            }
            return Ok(());
        }
        let runs = self
            .runs
            .iter()
            .map(|file| Run::open(file, self.runs.len()));
        let mut merge = Merge::new(runs.collect::<Result<Vec<_>, _>>()?)?;
        while let Some(record) = merge.next()? {
            visit(record)?;
        }
        Ok(())
    }
}

fn text_of<'a, P>(orders: &'a str, entry: &Entry<P>) -> &'a str {
    let start = entry.offset as usize;
    orders
        .get(start..start + entry.length as usize)
        .unwrap_or_default()
}

fn index_of(key: u128) -> usize {
    (key as u32) as usize
}

/// The entries' places in order. A key is the day, eight bytes of the order after what all share,
/// and the entry's place; where these are equal the orders themselves decide.
fn sorted_keys<P>(entries: &[Entry<P>], orders: &str, shared: usize) -> Vec<u128> {
    let rest = |entry: &Entry<P>| {
        let order = text_of(orders, entry).as_bytes();
        order.get(shared.min(order.len())..).unwrap_or_default()
    };
    let mut keys: Vec<u128> = entries
        .iter()
        .zip(0_u32..)
        .map(|(entry, place)| {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(rest(entry)) {
                *to = *from;
            }
            let day = u128::from((entry.day as u32) ^ 0x8000_0000);
            (day << 96) | (u128::from(u64::from_be_bytes(eight)) << 32) | u128::from(place)
        })
        .collect();
    keys.sort_unstable_by(|left, right| {
        (left >> 32).cmp(&(right >> 32)).then_with(|| {
            let order = |key: &u128| entries.get(index_of(*key)).map(rest);
            order(left).cmp(&order(right)).then(left.cmp(right))
        })
    });
    keys
}
