//! Sorted lines become files of the lake.

mod sales_file;
mod without_sale_file;

use std::collections::HashSet;
use std::path::Path;
use std::time::SystemTime;

use domain::lake::WrittenFile;
use ulid::Ulid;

use crate::error::LakeError;
use crate::orders::{FingerprintSet, Fingerprints};
use crate::place::Lake;
use crate::sort::{LetteredFields, SaleFields, Sorted, SortedOrders};

pub(crate) use crate::totals::TextArrays;
pub(crate) use sales_file::{Line, LocalFile, SalesFile, text_arrays};
pub(crate) use without_sale_file::WithoutSaleFile;

/// What becomes of an order that a file speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderFate {
    /// Its lines count; where it was cancelled, that it has no sale.
    Ours,
    /// A newer file has the last word: nothing is written of it.
    Others,
    /// The file has the last word, and it is that the order has no sale.
    WithoutSale,
}

/// What a load wrote.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files of `vendas`, then of `pedidos_sem_venda`.
    pub files: Vec<WrittenFile>,
    /// Lines in them that count.
    pub lines: u64,
    /// Orders without sale that were given or found, repeated ones counted again.
    pub orders_without_sale: u64,
    /// Lines of the file that are the same to the letter as an earlier one of their day and order.
    pub repeated: Repeated,
}

/// What repeated lines come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeated {
    /// How many.
    pub lines: u64,
    /// Their units.
    pub quantity: i64,
    /// What they are worth.
    pub revenue_centavos: i64,
}

/// What becomes of lines that are the same to the letter as an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatedLines {
    /// They count: one line for each unit is a common export.
    Kept,
    /// They are left out.
    Dropped,
}

/// A new name for a file: it sorts by the time of its making.
fn new_name() -> Result<String, LakeError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| LakeError::Interrupted)?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = since.map_or(0, |since| since.as_millis());
    let now_ms = u64::try_from(now_ms).unwrap_or(0);
    let id = Ulid::from_parts(now_ms, u128::from_le_bytes(random));
    Ok(format!("{id}.parquet"))
}

/// Writes the lines of a load, and of its orders those that have no sale, into the lake; the
/// totals go beside. `fate` is asked once for each order and day. `without_sale` brings orders of
/// other loads that have no sale any more.
///
/// When it fails, what was written before is deleted as far as it can be.
///
/// # Errors
/// When the temporary folder or the file store fails, or a sum is too large.
pub async fn write(
    lake: &Lake,
    sorted: &Sorted,
    load: i64,
    folder: &Path,
    fate: &(dyn Fn(&str) -> OrderFate + Sync),
    without_sale: SortedOrders,
    repeated_lines: RepeatedLines,
) -> Result<Written, LakeError> {
    let mut work = Work {
        sorted,
        load,
        folder,
        fate,
        without_sale,
        repeated_lines,
        file_rows: lake.file_rows(),
        files: Vec::new(),
        lines: 0,
        repeated: Repeated::default(),
    };
    work.sales()?;
    let (lines, orders_without_sale) = (work.lines, work.cancelled_orders()?);
    let repeated = work.repeated;
    Ok(Written {
        repeated,
        files: upload(lake, work.end()?).await?,
        lines,
        orders_without_sale,
    })
}

struct Work<'a> {
    sorted: &'a Sorted,
    load: i64,
    folder: &'a Path,
    fate: &'a (dyn Fn(&str) -> OrderFate + Sync),
    without_sale: SortedOrders,
    repeated_lines: RepeatedLines,
    file_rows: u64,
    files: Vec<LocalFile>,
    lines: u64,
    repeated: Repeated,
}

/// What is known of the order whose lines come.
#[derive(Default)]
struct Current {
    /// No order before the first.
    order: Option<String>,
    day: i32,
    is_written: bool,
    is_spanning: bool,
}

/// Fingerprints of the lines of a day and order: mostly one or two.
#[derive(Default)]
struct Seen {
    few: Vec<u64>,
    many: HashSet<u64>,
}

impl Seen {
    const FEW: usize = 16;

    fn clear(&mut self) {
        self.few.clear();
        if !self.many.is_empty() {
            self.many = HashSet::new();
        }
    }

    fn is_first(&mut self, fingerprint: u64) -> bool {
        if self.few.contains(&fingerprint) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(fingerprint);
            return true;
        }
        self.many.insert(fingerprint)
    }
}

impl Repeated {
    fn add(&mut self, line: &SaleFields) -> Result<(), LakeError> {
        let quantity = i64::from(line.quantity);
        let revenue = line.price_centavos.checked_mul(quantity);
        self.lines += 1;
        self.quantity = self.quantity.saturating_add(quantity);
        self.revenue_centavos = revenue
            .and_then(|revenue| self.revenue_centavos.checked_add(revenue))
            .ok_or(LakeError::TooLarge)?;
        Ok(())
    }
}

impl Work<'_> {
    fn sales(&mut self) -> Result<(), LakeError> {
        let (sorted, load) = (self.sorted, self.load);
        let texts = sorted.texts();
        let arrays = text_arrays(texts);
        let (folder, file_rows) = (self.folder, self.file_rows);
        let begin = || {
            let file = SalesFile::begin(folder, texts, arrays.clone())?;
            Ok::<_, LakeError>(file.with_most_rows(file_rows))
        };
        let mut file = begin()?;
        let mut current = Current::default();
        let mut seen = Seen::default();
        sorted.each_line(
            |day,
             order,
             LetteredFields {
                 fields,
                 fingerprint,
             }| {
                if current.day != day || current.order.as_deref() != Some(order) {
                    self.judge(day, order, &mut current)?;
                    if current.is_written && file.is_full_before(day, order) {
                        self.files
                            .extend(std::mem::replace(&mut file, begin()?).finish()?);
                    }
                    seen.clear();
                }
                if !seen.is_first(fingerprint) {
                    self.repeated.add(&fields)?;
                    if self.repeated_lines == RepeatedLines::Dropped {
                        return Ok(());
                    }
                }
                if !current.is_written {
                    return Ok(());
                }
                self.lines += 1;
                file.line(&Line {
                    order,
                    day,
                    fields,
                    load,
                    is_spanning: current.is_spanning,
                })
            },
        )?;
        self.files.extend(file.finish()?);
        Ok(())
    }

    fn judge(&mut self, day: i32, order: &str, to: &mut Current) -> Result<(), LakeError> {
        let facts = self.sorted.facts();
        let fate = (self.fate)(order);
        if fate == OrderFate::WithoutSale {
            self.without_sale.push(order, self.load)?;
        }
        let needs_fingerprint = !(facts.cancelled.is_empty() && facts.spanning.is_empty());
        let fingerprint = needs_fingerprint.then(|| Fingerprints::default().of(order));
        let is_in = |orders: &FingerprintSet| fingerprint.is_some_and(|one| orders.contains(&one));
        order.clone_into(to.order.get_or_insert_default());
        to.day = day;
        to.is_written = fate == OrderFate::Ours && !is_in(&facts.cancelled);
        to.is_spanning = is_in(&facts.spanning);
        Ok(())
    }

    /// Takes the orders that the file cancels to those without sale, unless others own them.
    fn cancelled_orders(&mut self) -> Result<u64, LakeError> {
        let (sorted, load, fate) = (self.sorted, self.load, self.fate);
        let without_sale = &mut self.without_sale;
        sorted.each_cancelled(|order| match fate(order) {
            OrderFate::Others => Ok(()),
            OrderFate::Ours | OrderFate::WithoutSale => {
                without_sale.push(order, load).map_err(LakeError::from)
            }
        })?;
        Ok(self.without_sale.count())
    }

    fn end(mut self) -> Result<Vec<LocalFile>, LakeError> {
        if self.without_sale.count() > 0 {
            let files = orders_without_sale(self.without_sale, self.folder)?;
            self.files.extend(files);
        }
        Ok(self.files)
    }
}

/// Files of `pedidos_sem_venda` with these orders.
pub(crate) fn orders_without_sale(
    orders: SortedOrders,
    folder: &Path,
) -> Result<Vec<LocalFile>, LakeError> {
    let mut files = Vec::new();
    let mut file = WithoutSaleFile::begin(folder)?;
    orders.finish(|order, load| {
        if file.is_full() {
            let next = WithoutSaleFile::begin(folder)?;
            files.extend(std::mem::replace(&mut file, next).finish()?);
        }
        file.order(order, load)
    })?;
    files.extend(file.finish()?);
    Ok(files)
}

/// Brings local files into the lake; of a failed attempt nothing stays.
pub(crate) async fn upload(
    lake: &Lake,
    files: Vec<LocalFile>,
) -> Result<Vec<WrittenFile>, LakeError> {
    let mut written = Vec::new();
    for file in files {
        let name = file.written.name.clone();
        let table = file.written.table;
        written.push(file.written);
        let mut outcome = Ok(());
        if let Some(totals) = &file.totals {
            // Readers open the totals of files that they know: these come first.
            outcome = lake.put_totals(&name, totals.path()).await;
        }
        if outcome.is_ok() {
            outcome = lake.put(table, &name, file.data.path()).await;
        }
        if let Err(error) = outcome {
            discard(lake, &written).await;
            return Err(error);
        }
    }
    Ok(written)
}

/// Deletes files that no snapshot got, as far as they can be: the sweep takes the rest.
pub async fn discard(lake: &Lake, files: &[WrittenFile]) {
    for file in files {
        if let Err(error) = lake.delete(file.table, &file.name).await {
            tracing::warn!(%error, file.name, "a file that nobody needs was not deleted");
        }
    }
}
