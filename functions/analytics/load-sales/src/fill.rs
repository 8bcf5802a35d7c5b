//! Regions and categories that a file lacks: of the order's customer, and of the catalogue.

use std::collections::{BTreeMap, HashMap};

use domain::{money::Centavos, sales::SaleLine, time::UtcMillis};
use sql_store::{Store, StoreError, products};

/// Lines that are asked about together.
const BATCH_LINES: usize = 1_000;
/// Products whose category, or that they have none, is remembered.
const KNOWN_PRODUCTS: usize = 200_000;

/// Lines that wait for what they lack; those behind them wait too, to keep the file's order.
#[derive(Default)]
pub(crate) struct Waiting {
    lines: Vec<OwnedLine>,
    categories: HashMap<String, Option<String>>,
}

pub(crate) struct OwnedLine {
    order: String,
    product: String,
    region: String,
    category: String,
    quantity: i32,
    unit_price: Centavos,
    sold: UtcMillis,
    fingerprint: u64,
}

impl Waiting {
    /// Whether this line has to wait.
    pub(crate) fn wants(&self, line: &SaleLine<'_>) -> bool {
        !self.lines.is_empty() || line.region.is_empty() || line.category.is_empty()
    }

    /// Whether no line waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Keeps the line; whether the batch is full.
    pub(crate) fn push(&mut self, line: &SaleLine<'_>, fingerprint: u64) -> bool {
        self.lines.push(OwnedLine {
            order: line.order.to_owned(),
            product: line.product.to_owned(),
            region: line.region.to_owned(),
            category: line.category.to_owned(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            sold: line.sold,
            fingerprint,
        });
        self.lines.len() >= BATCH_LINES
    }

    /// Fills what is known of the lines that wait, and gives them.
    pub(crate) async fn fill(&mut self, store: &Store) -> Result<Vec<OwnedLine>, StoreError> {
        let mut lines = std::mem::take(&mut self.lines);
        let regions = regions(store, &lines).await?;
        self.learn(store, &lines).await?;
        for line in &mut lines {
            if line.region.is_empty()
                && let Some(region) = regions.get(&line.order)
            {
                line.region.clone_from(region);
            }
            if line.category.is_empty()
                && let Some(Some(category)) = self.categories.get(&line.product)
            {
                line.category.clone_from(category);
            }
        }
        Ok(lines)
    }

    async fn learn(&mut self, store: &Store, lines: &[OwnedLine]) -> Result<(), StoreError> {
        if self.categories.len() > KNOWN_PRODUCTS {
            self.categories.clear();
        }
        let unknown = lines
            .iter()
            .filter(|line| line.category.is_empty())
            .map(|line| line.product.as_str())
            .filter(|product| !self.categories.contains_key(*product));
        let unknown = distinct(unknown);
        if unknown.is_empty() {
            return Ok(());
        }
        let mut found = products::categories(store, &unknown).await?;
        for product in unknown {
            self.categories
                .insert(product.to_owned(), found.remove(product));
        }
        Ok(())
    }
}

async fn regions(
    store: &Store,
    lines: &[OwnedLine],
) -> Result<BTreeMap<String, String>, StoreError> {
    let lacking = lines
        .iter()
        .filter(|line| line.region.is_empty())
        .map(|line| line.order.as_str());
    let orders = distinct(lacking);
    if orders.is_empty() {
        return Ok(BTreeMap::new());
    }
    products::regions(store, &orders).await
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl OwnedLine {
    /// The line, and its fingerprint.
    pub(crate) fn borrowed(&self) -> (SaleLine<'_>, u64) {
        let line = SaleLine {
            order: &self.order,
            product: &self.product,
            quantity: self.quantity,
            unit_price: self.unit_price,
            sold: self.sold,
            region: &self.region,
            category: &self.category,
        };
        (line, self.fingerprint)
    }
}
