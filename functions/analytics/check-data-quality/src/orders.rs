//! The orders of a date against their lines in the lake.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Read, Seek};

use contracts::sales::export_key;
use domain::{
    lake::{DataFile, Table},
    sales::SaleLine,
    time::{Day, UtcMillis},
};
use files::FileAddress;
use lake::{
    Lake, OrderSet, StoredLine,
    input::{Format, InputError, Lines, MAGIC_BYTES, Quarantine, read_csv, read_parquet},
    orders_of,
};
use sql_store::{Store, StoreError, jobs::RunError, sales_export::orders_of_day};

use crate::{Failed, failures::Failures};

const PAGE: u32 = 500;
const HEADER: [&str; 5] = [
    "id_pedido",
    "quantidade_esperada",
    "quantidade",
    "receita_esperada_centavos",
    "receita_centavos",
];

/// What an order comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Sum {
    quantity: i64,
    centavos: i64,
}

impl Sum {
    fn add(&mut self, quantity: i64, price_centavos: i64) {
        self.quantity = self.quantity.saturating_add(quantity);
        let revenue = quantity.saturating_mul(price_centavos);
        self.centavos = self.centavos.saturating_add(revenue);
    }
}

/// An order: what is expected of it, and what the lake has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Order {
    expected: Sum,
    found: Sum,
    is_void: bool,
    /// A newer file than the exported one speaks of it.
    is_others: bool,
}

/// The orders of a date, and what the lake has of them.
#[derive(Default)]
pub struct Orders {
    orders: HashMap<String, Order>,
    days: Option<(Day, Day)>,
    /// The load of the exported file, where the orders are those that it tells.
    load: Option<i64>,
}

impl Orders {
    /// Reads the orders of a date; those whose lines nobody told are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(store: &Store, date: Day) -> Result<Self, StoreError> {
        let mut orders = Self::default();
        let mut after = String::new();
        loop {
            let page = orders_of_day(store, date, &after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(orders);
            };
            last.id.clone_into(&mut after);
            for order in page.into_iter().filter(|order| !order.lines.is_empty()) {
                let mut told = Order::default();
                if !order.is_void {
                    for line in &order.lines {
                        told.expected.add(line.quantity, line.price_centavos);
                    }
                }
                orders.note_day(order.sold);
                orders.orders.insert(order.id, told);
            }
        }
    }

    /// Reads the orders of a date's exported file, which came into the lake by the load `load`, with
    /// the load's own rules.
    ///
    /// # Errors
    /// When the file can't be read.
    pub async fn exported(
        lake: &Lake,
        date: Day,
        load: i64,
        now: UtcMillis,
    ) -> Result<Self, Failed> {
        let address = FileAddress::new(lake.bucket(), &export_key(date))?;
        let mut from = lake.files().open(&address).await?;
        let mut to = tokio::fs::File::from_std(tempfile::tempfile()?);
        tokio::io::copy(&mut from, &mut to).await?;
        tokio::io::AsyncWriteExt::flush(&mut to).await?;
        let mut local = to.into_std().await;
        let mut first = Vec::new();
        local.rewind()?;
        let magic = u64::try_from(MAGIC_BYTES).unwrap_or_default();
        Read::take(&mut local, magic).read_to_end(&mut first)?;
        local.rewind()?;
        let mut orders = Self {
            load: Some(load),
            ..Self::default()
        };
        let mut nowhere = Quarantine::new(io::sink());
        let read = match Format::of(&first) {
            Format::Parquet => read_parquet(local, u64::MAX, now, &mut orders, &mut nowhere),
            format => read_csv(format, local, u64::MAX, now, &mut orders, &mut nowhere),
        };
        match read {
            Ok(_) => Ok(orders),
            Err(InputError::Source(error) | InputError::Quarantine(error)) => Err(error.into()),
            // It was loaded, and is another one by now.
            Err(InputError::File(_)) => Err(RunError::Outside("arquivo_trocado").into()),
            Err(InputError::Lines(never)) => match never {},
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Leaves out the orders of which a file of `pedidos_sem_venda` says that another load than the
    /// exported file's has ended them.
    ///
    /// # Errors
    /// When the file can't be read.
    pub async fn leave_to_others(&mut self, lake: &Lake, file: &DataFile) -> Result<(), Failed> {
        let mut wanted = OrderSet::new();
        for order in self.orders.keys() {
            wanted.insert(order);
        }
        let (orders, own) = (&mut self.orders, self.load);
        let mut found = |order: &str, load: i64| {
            if let Some(told) = orders.get_mut(order) {
                told.is_others |= own != Some(load);
            }
            Ok(())
        };
        orders_of(
            lake,
            Table::OrdersWithoutSale,
            file,
            Some(&wanted),
            &mut found,
        )
        .await?;
        Ok(())
    }

    fn note_day(&mut self, sold: UtcMillis) {
        let day = sold.day();
        self.days = Some(match self.days {
            None => (day, day),
            Some((first, last)) => (first.min(day), last.max(day)),
        });
    }

    /// Whether a file may hold lines of these orders.
    #[must_use]
    pub fn meets(&self, file: &DataFile) -> bool {
        match (self.days, file.days) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((first, last)), Some((least, greatest))) => least <= last && first <= greatest,
        }
    }

    /// Counts a line of the lake.
    pub fn line(&mut self, line: &StoredLine<'_>) {
        let (Some(order), Some(quantity), Some(price)) =
            (line.order, line.quantity, line.price_centavos)
        else {
            return;
        };
        if let Some(told) = self.orders.get_mut(order) {
            told.found.add(i64::from(quantity), price);
            told.is_others |= self.load.is_some() && self.load != line.load;
        }
    }

    /// The orders that differ, by id.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn compare(&self) -> io::Result<Failures> {
        let own: Vec<(&String, &Order)> = self
            .orders
            .iter()
            .filter(|(_, order)| !order.is_others)
            .collect();
        let mut failures = Failures::among(own.len());
        let mut wrong: Vec<(&String, &Order)> = own
            .into_iter()
            .filter(|(_, order)| order.expected != order.found)
            .collect();
        wrong.sort();
        for (
            order,
            Order {
                expected, found, ..
            },
        ) in wrong
        {
            failures.note(
                &HEADER,
                &[
                    order,
                    &expected.quantity.to_string(),
                    &found.quantity.to_string(),
                    &expected.centavos.to_string(),
                    &found.centavos.to_string(),
                ],
            )?;
        }
        Ok(failures)
    }
}

/// The lines of an exported file.
impl Lines for Orders {
    type Error = Infallible;

    fn sale(&mut self, line: &SaleLine<'_>, _: u64) -> Result<(), Infallible> {
        self.note_day(line.sold);
        let order = self.orders.entry(line.order.to_owned()).or_default();
        if !order.is_void {
            order
                .expected
                .add(i64::from(line.quantity), line.unit_price.get());
        }
        Ok(())
    }

    fn no_sale(&mut self, order: &str) -> Result<(), Infallible> {
        let order = self.orders.entry(order.to_owned()).or_default();
        order.is_void = true;
        order.expected = Sum::default();
        Ok(())
    }
}
