//! Lines of sales, sorted by day, order and the sequence in which they came, in bounded memory.

mod codec;
mod external;
mod merge;
mod run;

use std::path::Path;

use domain::sales::SaleLine;
use domain::time::{Day, UtcMillis};

use crate::error::SortError;
use crate::orders::{CANCELLED, KnownOrders, OrderFacts, OrderSet, SeenOrders};
use crate::texts::LineTexts;
use external::{Payload, SortedRecords, Sorter};

/// The longest id of an order in bytes.
pub const LONGEST_ORDER_BYTES: usize = 1_024;
/// Memory for lines that wait to be sorted; what is more goes to the temporary folder.
pub const SORT_BUDGET_BYTES: usize = 96 * 1024 * 1024;
/// Memory for what is noted of orders.
const SEEN_BUDGET_BYTES: usize = 16 * 1024 * 1024;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// What a line has besides its order and day; texts by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SaleFields {
    pub product: u32,
    pub region: u32,
    pub category: u32,
    pub quantity: i32,
    pub price_centavos: i64,
    pub sold_ms: i64,
}

impl Payload for SaleFields {
    fn encode(&self, day: i32, bytes: &mut Vec<u8>) {
        codec::put(bytes, u64::from(self.product));
        codec::put(bytes, u64::from(self.region));
        codec::put(bytes, u64::from(self.category));
        codec::put_signed(bytes, i64::from(self.quantity));
        codec::put_signed(bytes, self.price_centavos);
        codec::put_signed(bytes, self.sold_ms - i64::from(day) * MILLIS_PER_DAY);
    }

    fn decode(day: i32, bytes: &mut &[u8]) -> Option<Self> {
        let number = |bytes: &mut &[u8]| u32::try_from(codec::take(bytes)?).ok();
        Some(Self {
            product: number(bytes)?,
            region: number(bytes)?,
            category: number(bytes)?,
            quantity: i32::try_from(codec::take_signed(bytes)?).ok()?,
            price_centavos: codec::take_signed(bytes)?,
            sold_ms: codec::take_signed(bytes)?
                .checked_add(i64::from(day).checked_mul(MILLIS_PER_DAY)?)?,
        })
    }
}

/// A line and the hash of its letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LetteredFields {
    pub fields: SaleFields,
    pub fingerprint: u64,
}

impl Payload for LetteredFields {
    fn encode(&self, day: i32, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.fingerprint.to_le_bytes());
        self.fields.encode(day, bytes);
    }

    fn decode(day: i32, bytes: &mut &[u8]) -> Option<Self> {
        let (fingerprint, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(Self {
            fingerprint: u64::from_le_bytes(*fingerprint),
            fields: SaleFields::decode(day, bytes)?,
        })
    }
}

/// The load of an order that has no sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load(pub i64);

impl Payload for Load {
    fn encode(&self, _: i32, bytes: &mut Vec<u8>) {
        codec::put_signed(bytes, self.0);
    }

    fn decode(_: i32, bytes: &mut &[u8]) -> Option<Self> {
        codec::take_signed(bytes).map(Self)
    }
}

/// Takes the checked lines of a file, one by one, in the file's sequence.
pub struct SortedSales {
    folder: std::path::PathBuf,
    texts: LineTexts,
    lines: Sorter<LetteredFields>,
    cancelled: Sorter<Load>,
    seen: SeenOrders,
    days: SaoPauloDays,
}

/// The lines of a file in order, and what its orders come to.
pub struct Sorted {
    texts: LineTexts,
    lines: SortedRecords<LetteredFields>,
    cancelled: SortedRecords<Load>,
    orders: KnownOrders,
    facts: OrderFacts,
}

impl SortedSales {
    /// Runs go to unnamed files of `folder` once [`SORT_BUDGET_BYTES`] are full.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self::with_budget(folder, SORT_BUDGET_BYTES)
    }

    /// With another budget, for tests and small machines.
    #[must_use]
    pub fn with_budget(folder: &Path, budget_bytes: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            texts: LineTexts::default(),
            lines: Sorter::new(folder, budget_bytes),
            cancelled: Sorter::new(folder, budget_bytes / 16),
            seen: SeenOrders::new(SEEN_BUDGET_BYTES.min(budget_bytes)),
            days: SaoPauloDays::default(),
        }
    }

    /// Takes a line. Lines of a day and order that are the same to the letter have the same
    /// `fingerprint`.
    ///
    /// # Errors
    /// When a limit is met ([`SortError`]) or the temporary folder fails.
    pub fn push(&mut self, line: &SaleLine<'_>, fingerprint: u64) -> Result<(), SortError> {
        line.revenue_centavos().ok_or(SortError::TooLarge)?;
        let day = self.days.day_of(line.sold);
        self.seen.note(&self.folder, line.order, day)?;
        let fields = SaleFields {
            product: self.texts.products.number(line.product)?,
            region: self.texts.regions.number(line.region)?,
            category: self.texts.categories.number(line.category)?,
            quantity: line.quantity,
            price_centavos: line.unit_price.get(),
            sold_ms: line.sold.get(),
        };
        self.lines.push(
            day,
            line.order,
            LetteredFields {
                fields,
                fingerprint,
            },
        )
    }

    /// Takes a line of quantity 0: the order has no sale, whatever else the file says of it.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn cancel(&mut self, order: &str) -> Result<(), SortError> {
        self.seen.note(&self.folder, order, CANCELLED)?;
        self.cancelled.push(0, order, Load(0))
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// When the temporary folder fails.
    pub fn finish(self) -> Result<Sorted, SortError> {
        let lines = self.lines.finish()?;
        let cancelled = self.cancelled.finish()?;
        let orders = self.seen.finish(&self.folder)?;
        let facts = orders.facts()?;
        Ok(Sorted {
            texts: self.texts,
            lines,
            cancelled,
            orders,
            facts,
        })
    }
}

impl Sorted {
    /// How many lines were taken, cancelled orders' included, quantity 0 not.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines.count()
    }

    /// How many distinct orders the file speaks of.
    #[must_use]
    pub fn distinct_orders(&self) -> u64 {
        self.facts.distinct
    }

    /// Runs that went to the temporary folder; none where memory was enough.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.lines.runs()
    }

    /// The least and the greatest order that the file speaks of, by bytes.
    #[must_use]
    pub fn order_range(&self) -> Option<(&str, &str)> {
        self.orders.range()
    }

    /// Every order that the file speaks of, as a set of 16 bytes an order: built anew by each
    /// call, to be dropped before the lines are written.
    ///
    /// # Errors
    /// When the temporary folder fails.
    pub fn order_set(&self) -> Result<OrderSet, SortError> {
        self.orders.set(self.facts.distinct)
    }

    pub(crate) fn texts(&self) -> &LineTexts {
        &self.texts
    }

    pub(crate) fn facts(&self) -> &OrderFacts {
        &self.facts
    }

    pub(crate) fn each_line<E: From<SortError>>(
        &self,
        mut visit: impl FnMut(i32, &str, LetteredFields) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lines
            .each(|record| visit(record.day, record.order, record.payload))
    }

    /// Each cancelled order once, by bytes.
    pub(crate) fn each_cancelled<E: From<SortError>>(
        &self,
        mut visit: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut last: Option<String> = None;
        self.cancelled.each(|record| {
            if last.as_deref() != Some(record.order) {
                visit(record.order)?;
                last = Some(record.order.to_owned());
            }
            Ok(())
        })
    }
}

/// Orders that have no sale, with the load that said so, sorted by order in bounded memory.
pub struct SortedOrders {
    orders: Sorter<Load>,
}

impl SortedOrders {
    /// Runs go to unnamed files of `folder` when a small budget is full.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            orders: Sorter::new(folder, SORT_BUDGET_BYTES / 4),
        }
    }

    /// Takes an order; of repeated ones the last taken counts.
    ///
    /// # Errors
    /// When the id is too long or the temporary folder fails.
    pub fn push(&mut self, order: &str, load: i64) -> Result<(), SortError> {
        self.orders.push(0, order, Load(load))
    }

    /// How many were taken, repeated ones counted again.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.orders.taken()
    }

    /// Ends the taking and gives each order once, by bytes.
    pub(crate) fn finish<E: From<SortError>>(
        self,
        mut visit: impl FnMut(&str, i64) -> Result<(), E>,
    ) -> Result<(), E> {
        let sorted = self.orders.finish()?;
        let mut last: Option<(String, i64)> = None;
        sorted.each::<E>(|record| {
            match &mut last {
                Some((order, load)) if order == record.order => *load = record.payload.0,
                _ => {
                    if let Some((order, load)) = &last {
                        visit(order, *load)?;
                    }
                    last = Some((record.order.to_owned(), record.payload.0));
                }
            }
            Ok(())
        })?;
        match &last {
            Some((order, load)) => visit(order, *load),
            None => Ok(()),
        }
    }
}

/// The São Paulo days of times, without asking the zone for each.
#[derive(Debug, Default)]
struct SaoPauloDays {
    /// Of some days (counted from 1970) their first moment, by the day's last bits.
    starts: Vec<Option<(i64, i64)>>,
}

impl SaoPauloDays {
    const KEPT: usize = 4_096;

    fn day_of(&mut self, time: UtcMillis) -> i32 {
        // São Paulo is behind UTC by two or three hours: its day is UTC's or the one before.
        let utc_day = time.get().div_euclid(MILLIS_PER_DAY);
        let start = self.start_of(utc_day);
        let day = utc_day - i64::from(time.get() < start);
        i32::try_from(day).unwrap_or(i32::MAX)
    }

    fn start_of(&mut self, utc_day: i64) -> i64 {
        if self.starts.is_empty() {
            self.starts = vec![None; Self::KEPT];
        }
        let computed = || {
            let day = i32::try_from(utc_day).ok().map(Day::from_epoch_days);
            day.and_then(Result::ok).map_or(0, |day| day.start().get())
        };
        let place = usize::try_from(utc_day).unwrap_or(0) % Self::KEPT;
        match self.starts.get_mut(place) {
            Some(Some((day, start))) if *day == utc_day => *start,
            Some(kept) => {
                let start = computed();
                *kept = Some((utc_day, start));
                start
            }
            None => computed(),
        }
    }
}

#[cfg(test)]
mod tests;
