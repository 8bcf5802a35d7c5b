//! Sets of orders, known by 128 bits of hash so that ten million of them fit into memory.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use ahash::RandomState;

use crate::error::SortError;

/// Up to this many orders a set keeps the ids themselves, by which Bloom filters can be asked.
const MOST_NAMED: usize = 20_000;
/// Parts by which what was seen of orders is sorted; the first bits of a fingerprint say which.
const PARTS: usize = 64;
const PART_SHIFT: u32 = 122;
/// Bytes of an order seen on a day, in a part's file.
const SEEN_BYTES: usize = 20;
/// The day under which a cancelled order is seen; no line has it.
pub const CANCELLED: i32 = i32::MIN;

/// 128 bits of an order's id: of ten million orders two share one with a chance below 10⁻²⁴.
pub type Fingerprint = u128;

/// A set of them.
pub type FingerprintSet = HashSet<Fingerprint, RandomState>;

/// Hashes orders; always in the same way within a process.
#[derive(Debug, Clone)]
pub struct Fingerprints {
    high: RandomState,
    low: RandomState,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self {
            high: RandomState::with_seeds(0x9e37, 0x79b9, 0x7f4a, 0x7c15),
            low: RandomState::with_seeds(0xbf58, 0x476d, 0x1ce4, 0xe5b9),
        }
    }
}

impl Fingerprints {
    /// The fingerprint of this order.
    #[must_use]
    pub fn of(&self, order: &str) -> Fingerprint {
        let high = self.high.hash_one(order.as_bytes());
        let low = self.low.hash_one(order.as_bytes());
        (u128::from(high) << 64) | u128::from(low)
    }
}

/// Orders that are looked for.
#[derive(Debug, Default)]
pub struct OrderSet {
    fingerprints: Fingerprints,
    held: FingerprintSet,
    /// Where the set came sorted, in the place of `held`.
    sorted: SortedFingerprints,
    /// The ids, while they are few.
    named: Option<Vec<String>>,
}

impl OrderSet {
    /// A set of none.
    #[must_use]
    pub fn new() -> Self {
        Self {
            named: Some(Vec::new()),
            ..Self::default()
        }
    }

    fn from_sorted(sorted: Vec<Fingerprint>, named: Option<Vec<String>>) -> Self {
        Self {
            sorted: SortedFingerprints::new(sorted),
            named,
            ..Self::default()
        }
    }

    /// Adds an order; whether it is new.
    pub fn insert(&mut self, order: &str) -> bool {
        let fingerprint = self.fingerprints.of(order);
        if self.sorted.position(fingerprint).is_some() || !self.held.insert(fingerprint) {
            return false;
        }
        match &mut self.named {
            Some(named) if named.len() < MOST_NAMED => named.push(order.to_owned()),
            named => *named = None,
        }
        true
    }

    /// Whether the order is in it.
    #[must_use]
    pub fn contains(&self, order: &str) -> bool {
        let fingerprint = self.fingerprints.of(order);
        self.held.contains(&fingerprint) || self.sorted.position(fingerprint).is_some()
    }

    /// The place of an order in a set that a sorted file gave: from 0 to its length.
    #[must_use]
    pub fn position(&self, order: &str) -> Option<usize> {
        self.sorted.position(self.fingerprints.of(order))
    }

    /// How many orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len() + self.sorted.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its orders are few enough for Bloom filters to be asked for them.
    #[must_use]
    pub const fn is_named(&self) -> bool {
        self.named.is_some()
    }

    /// The ids, where they are few enough to be kept.
    pub(crate) fn named(&self) -> Option<&[String]> {
        self.named.as_deref()
    }
}

/// The most first bits of a fingerprint that say where to look for it.
const MOST_INDEX_BITS: u32 = 20;

/// Fingerprints in order. As they are spread evenly, their first bits lead to a few neighbours.
#[derive(Debug, Default)]
struct SortedFingerprints {
    all: Vec<Fingerprint>,
    /// By the first bits: how many fingerprints have smaller ones.
    starts: Vec<u32>,
    index_bits: u32,
}

impl SortedFingerprints {
    fn new(all: Vec<Fingerprint>) -> Self {
        let index_bits = all.len().max(1).ilog2().min(MOST_INDEX_BITS);
        let mut sorted = Self {
            all,
            starts: Vec::new(),
            index_bits,
        };
        let mut starts = vec![0_u32; (1 << index_bits) + 1];
        for fingerprint in &sorted.all {
            if let Some(count) = starts.get_mut(sorted.first_bits(*fingerprint) + 1) {
                *count += 1;
            }
        }
        let mut before = 0;
        for count in &mut starts {
            before += *count;
            *count = before;
        }
        sorted.starts = starts;
        sorted
    }

    fn first_bits(&self, fingerprint: Fingerprint) -> usize {
        let bits = fingerprint.checked_shr(Fingerprint::BITS - self.index_bits);
        bits.unwrap_or(0) as usize
    }

    fn position(&self, fingerprint: Fingerprint) -> Option<usize> {
        let bits = self.first_bits(fingerprint);
        let begin = *self.starts.get(bits)? as usize;
        let end = *self.starts.get(bits + 1)? as usize;
        let near = self.all.get(begin..end)?.binary_search(&fingerprint);
        near.ok().map(|place| begin + place)
    }
}

/// What was seen of orders while lines came: which there are, on which days, and which were
/// cancelled.
#[derive(Debug)]
pub struct SeenOrders {
    fingerprints: Fingerprints,
    held: Vec<(Fingerprint, i32)>,
    most_held: usize,
    last: Option<(Fingerprint, i32)>,
    files: Option<Vec<BufWriter<File>>>,
    names: OrderSet,
    least: Option<String>,
    greatest: Option<String>,
}

/// What the orders of a file come to.
#[derive(Debug, Default)]
pub struct OrderFacts {
    /// How many distinct orders there are.
    pub distinct: u64,
    /// Orders with lines on more than one day.
    pub spanning: FingerprintSet,
    /// Orders with a line of quantity 0.
    pub cancelled: FingerprintSet,
}

impl SeenOrders {
    /// `budget_bytes` of memory; what is more goes to temporary files.
    pub fn new(budget_bytes: usize) -> Self {
        Self {
            fingerprints: Fingerprints::default(),
            held: Vec::new(),
            most_held: (budget_bytes / size_of::<(Fingerprint, i32)>()).max(16),
            last: None,
            files: None,
            names: OrderSet::new(),
            least: None,
            greatest: None,
        }
    }

    /// Notes that the order has a line on this day.
    pub fn note(
        &mut self,
        folder: &std::path::Path,
        order: &str,
        day: i32,
    ) -> Result<(), SortError> {
        let seen = (self.fingerprints.of(order), day);
        if self.last.replace(seen) == Some(seen) {
            return Ok(());
        }
        if self.least.as_deref().is_none_or(|least| order < least) {
            self.least = Some(order.to_owned());
        }
        if self
            .greatest
            .as_deref()
            .is_none_or(|greatest| order > greatest)
        {
            self.greatest = Some(order.to_owned());
        }
        if self.names.named().is_some() {
            self.names.insert(order);
            if self.names.named().is_none() {
                self.names = OrderSet::default();
            }
        }
        self.held.push(seen);
        if self.held.len() >= self.most_held {
            self.spill(folder)?;
        }
        Ok(())
    }

    fn spill(&mut self, folder: &std::path::Path) -> Result<(), SortError> {
        if self.files.is_none() {
            let open = || Ok::<_, SortError>(BufWriter::new(tempfile::tempfile_in(folder)?));
            self.files = Some((0..PARTS).map(|_| open()).collect::<Result<_, _>>()?);
        }
        let files = self.files.as_mut().map_or(&mut [][..], Vec::as_mut_slice);
        for (fingerprint, day) in self.held.drain(..) {
            if let Some(file) = files.get_mut((fingerprint >> PART_SHIFT) as usize) {
                file.write_all(&fingerprint.to_le_bytes())?;
                file.write_all(&day.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// Ends the noting.
    pub fn finish(mut self, folder: &std::path::Path) -> Result<KnownOrders, SortError> {
        if self.files.is_some() {
            self.spill(folder)?;
            self.held = Vec::new();
        }
        let files = match self.files {
            None => Vec::new(),
            Some(writers) => writers
                .into_iter()
                .map(|writer| {
                    writer
                        .into_inner()
                        .map_err(|error| error.into_error().into())
                })
                .collect::<Result<_, SortError>>()?,
        };
        let named = self.names.named().map(<[String]>::to_vec);
        Ok(KnownOrders {
            held: self.held,
            files,
            named,
            range: self.least.zip(self.greatest),
        })
    }
}

/// The orders of a file that has been read.
#[derive(Debug)]
pub struct KnownOrders {
    held: Vec<(Fingerprint, i32)>,
    files: Vec<File>,
    named: Option<Vec<String>>,
    range: Option<(String, String)>,
}

impl KnownOrders {
    /// The least and the greatest order, by bytes.
    pub fn range(&self) -> Option<(&str, &str)> {
        let (least, greatest) = self.range.as_ref()?;
        Some((least, greatest))
    }

    /// Counts them and finds those that span days or were cancelled.
    pub fn facts(&self) -> Result<OrderFacts, SortError> {
        let mut facts = OrderFacts::default();
        self.each_part(|seen| {
            // Of each order a day on which it has lines, where it has lines.
            let mut days: HashMap<Fingerprint, i32, RandomState> =
                HashMap::with_capacity_and_hasher(seen.len(), RandomState::with_seeds(1, 2, 3, 4));
            for (fingerprint, day) in seen {
                if *day == CANCELLED {
                    facts.cancelled.insert(*fingerprint);
                }
                let known = days.entry(*fingerprint).or_insert(*day);
                if *known == CANCELLED {
                    *known = *day;
                }
                if *day != CANCELLED && known != day {
                    facts.spanning.insert(*fingerprint);
                }
            }
            facts.distinct += days.len() as u64;
        })?;
        Ok(facts)
    }

    /// All of them as a set: 16 bytes for each of `distinct`.
    pub fn set(&self, distinct: u64) -> Result<OrderSet, SortError> {
        let mut sorted = Vec::with_capacity(usize::try_from(distinct).unwrap_or(0));
        self.each_part(|seen| {
            let mut part: Vec<Fingerprint> = seen.iter().map(|(one, _)| *one).collect();
            part.sort_unstable();
            part.dedup();
            sorted.extend(part);
        })?;
        Ok(OrderSet::from_sorted(sorted, self.named.clone()))
    }

    /// What was seen of orders part by part: an order's is in one part, and fingerprints of a part
    /// are greater than those of the parts before.
    fn each_part(&self, mut visit: impl FnMut(&[(Fingerprint, i32)])) -> Result<(), SortError> {
        if self.files.is_empty() {
            visit(&self.held);
            return Ok(());
        }
        for file in &self.files {
            visit(&read_part(file)?);
        }
        Ok(())
    }
}

fn read_part(file: &File) -> Result<Vec<(Fingerprint, i32)>, SortError> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut seen = Vec::new();
    let mut bytes = vec![0; SEEN_BYTES * 4_096];
    let mut filled = 0;
    loop {
        let rest = bytes.get_mut(filled..).unwrap_or_default();
        let read = file.read(rest)?;
        filled += read;
        let whole = filled - filled % SEEN_BYTES;
        for record in bytes
            .get(..whole)
            .unwrap_or_default()
            .chunks_exact(SEEN_BYTES)
        {
            if let Some((fingerprint, day)) = record.split_first_chunk::<16>()
                && let Some((day, _)) = day.split_first_chunk::<4>()
            {
                seen.push((u128::from_le_bytes(*fingerprint), i32::from_le_bytes(*day)));
            }
        }
        bytes.copy_within(whole..filled, 0);
        filled -= whole;
        if read == 0 {
            return Ok(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(budget_bytes: usize) -> KnownOrders {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = SeenOrders::new(budget_bytes);
        for round in 0..2 {
            for at in 0..1_000 {
                let day = if at % 10 == 0 { round } else { 0 };
                seen.note(folder.path(), &format!("P{at}"), day).unwrap();
            }
        }
        seen.note(folder.path(), "P3", CANCELLED).unwrap();
        seen.finish(folder.path()).unwrap()
    }

    #[test]
    fn orders_are_counted_alike_in_memory_and_in_files() {
        for budget_bytes in [1 << 20, 0] {
            let known = seen(budget_bytes);
            let facts = known.facts().unwrap();
            assert_eq!(facts.distinct, 1_000);
            assert_eq!(facts.spanning.len(), 100);
            assert_eq!(facts.cancelled.len(), 1);
            assert_eq!(known.range(), Some(("P0", "P999")));
            let set = known.set(facts.distinct).unwrap();
            assert_eq!(set.len(), 1_000);
            assert!(set.contains("P999") && !set.contains("P1000"));
            let mut places: Vec<usize> = (0..1_000)
                .map(|at| set.position(&format!("P{at}")).unwrap())
                .collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..1_000));
            assert_eq!(set.named().map(<[String]>::len), Some(1_000));
        }
    }
}
