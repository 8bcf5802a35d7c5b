//! The orders of a date against their lines in the lake.

use std::collections::HashMap;
use std::io;

use domain::{
    lake::DataFile,
    time::{Day, UtcMillis},
};
use lake::StoredLine;
use sql_store::{Store, StoreError, sales_export::orders_of_day};

use crate::failures::Failures;

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

/// The orders whose news came on a date, and what the lake has of them.
#[derive(Default)]
pub struct Orders {
    sums: HashMap<String, (Sum, Sum)>,
    days: Option<(Day, Day)>,
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
                let mut expected = Sum::default();
                if !order.is_void {
                    for line in &order.lines {
                        expected.add(line.quantity, line.price_centavos);
                    }
                }
                orders.note_day(order.sold);
                orders.sums.insert(order.id, (expected, Sum::default()));
            }
        }
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
        if let Some((_, found)) = self.sums.get_mut(order) {
            found.add(i64::from(quantity), price);
        }
    }

    /// The orders that differ, by id.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn compare(&self) -> io::Result<Failures> {
        let mut failures = Failures::among(self.sums.len());
        let mut wrong: Vec<(&String, &(Sum, Sum))> = self
            .sums
            .iter()
            .filter(|(_, (expected, found))| expected != found)
            .collect();
        wrong.sort();
        for (order, (expected, found)) in wrong {
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
