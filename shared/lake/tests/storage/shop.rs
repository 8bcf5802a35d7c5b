//! A lake in a folder, lines to fill it with, and the files of a snapshot kept by hand.

use std::collections::BTreeSet;

use domain::lake::{DataFile, Table, WrittenFile};
use domain::money::Centavos;
use domain::sales::SaleLine;
use domain::time::{Day, UtcMillis};
use files::{Files, FolderFiles};
use lake::{Lake, OrderFate, RepeatedLines, Rewritten, SortedOrders, SortedSales, Written};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

/// A line that owns its texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedLine {
    pub order: String,
    pub product: String,
    pub quantity: i32,
    pub centavos: i64,
    pub sold: UtcMillis,
    pub region: String,
    pub category: String,
}

impl OwnedLine {
    pub fn as_line(&self) -> SaleLine<'_> {
        SaleLine {
            order: &self.order,
            product: &self.product,
            quantity: self.quantity,
            unit_price: Centavos::new(self.centavos).unwrap(),
            sold: self.sold,
            region: &self.region,
            category: &self.category,
        }
    }
}

/// Lines of few orders, products and days, so that they meet.
pub fn lines(most: usize) -> impl Strategy<Value = Vec<OwnedLine>> {
    lines_of(most, 20, 40)
}

/// Many lines on few days with so many products that their totals are not worth writing.
pub fn crowded_lines(most: usize) -> impl Strategy<Value = Vec<OwnedLine>> {
    lines_of(most, 700, 5)
}

fn lines_of(most: usize, products: u32, days: u32) -> impl Strategy<Value = Vec<OwnedLine>> {
    let start = UtcMillis::parse("2026-01-29T00:00:00-03:00").unwrap().get();
    let line = (
        0..60_u32,
        0..products,
        prop_oneof![-3..0, 1..9],
        0..500_000_i64,
        (0..days, 0..86_400_000_i64),
        prop::sample::select(vec!["SP", "RJ", "", "São José"]),
        prop::sample::select(vec!["casa", "", "moda"]),
    );
    let line = line.prop_map(
        move |(order, product, quantity, centavos, when, region, category)| {
            // Half of the orders have all their lines on one day.
            let day = if order % 2 == 0 { order % days } else { when.0 };
            OwnedLine {
                order: format!("pedido-{order:03}"),
                product: format!("p{product}"),
                quantity,
                centavos,
                sold: UtcMillis::new(start + i64::from(day) * 86_400_000 + when.1).unwrap(),
                region: region.to_owned(),
                category: category.to_owned(),
            }
        },
    );
    prop::collection::vec(line, 0..most)
}

/// The same lines every time.
pub fn some_lines(most: usize) -> Vec<OwnedLine> {
    let mut runner = TestRunner::deterministic();
    lines(most).new_tree(&mut runner).unwrap().current()
}

/// A lake with the files that a snapshot would have.
pub struct Shop {
    pub folder: TempDir,
    pub lake: Lake,
    pub sales: Vec<DataFile>,
    pub without_sale: Vec<DataFile>,
    ids: i64,
}

impl Shop {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::Folder(FolderFiles::open(&folder.path().join("arquivos")).unwrap());
        Self {
            lake: Lake::new(files, "vendas-feira"),
            folder,
            sales: Vec::new(),
            without_sale: Vec::new(),
            ids: 0,
        }
    }

    /// Writes lines as one load.
    pub async fn load(&mut self, lines: &[OwnedLine], cancelled: &[&str], load: i64) -> Written {
        let fate = |_: &str| OrderFate::Ours;
        self.load_with(lines, cancelled, load, &fate).await
    }

    pub async fn load_with(
        &mut self,
        lines: &[OwnedLine],
        cancelled: &[&str],
        load: i64,
        fate: &(dyn Fn(&str) -> OrderFate + Sync),
    ) -> Written {
        let temporary = tempfile::tempdir().unwrap();
        let mut sales = SortedSales::with_budget(temporary.path(), 4_000);
        for line in lines {
            sales.push(&line.as_line(), 0).unwrap();
        }
        for order in cancelled {
            sales.cancel(order).unwrap();
        }
        let sorted = sales.finish().unwrap();
        let without_sale = SortedOrders::new(temporary.path());
        let folder = temporary.path();
        let written = lake::write(
            &self.lake,
            &sorted,
            load,
            folder,
            fate,
            without_sale,
            RepeatedLines::Kept,
        )
        .await;
        let written = written.unwrap();
        for file in &written.files {
            self.add(file);
        }
        written
    }

    /// Adds a file to the snapshot.
    pub fn add(&mut self, file: &WrittenFile) {
        self.ids += 1;
        let known = data_file(self.ids, file);
        match file.table {
            Table::Sales => self.sales.push(known),
            _ => self.without_sale.push(known),
        }
    }

    /// Writes all files of `vendas` anew without these orders.
    pub async fn drop_orders(&mut self, orders: &BTreeSet<String>) {
        for file in std::mem::take(&mut self.sales) {
            let drops = |order: &str, _: i64| orders.contains(order);
            let folder = self.folder.path();
            match lake::rewrite(&self.lake, Table::Sales, &file, &drops, folder)
                .await
                .unwrap()
            {
                Rewritten::Unchanged => self.sales.push(file),
                Rewritten::Emptied => {}
                Rewritten::Replaced(file) => self.add(&file),
            }
        }
    }

    /// The distinct orders of all files of a table, with their loads.
    pub async fn orders(&self, table: Table) -> BTreeSet<(String, i64)> {
        let files = match table {
            Table::Sales => &self.sales,
            _ => &self.without_sale,
        };
        let mut found = BTreeSet::new();
        for file in files {
            lake::orders_of(&self.lake, table, file, None, &mut |order, load| {
                found.insert((order.to_owned(), load));
                Ok(())
            })
            .await
            .unwrap();
        }
        found
    }
}

/// What the catalogue would tell of a written file.
pub fn data_file(id: i64, file: &WrittenFile) -> DataFile {
    let extent = |name: &str| {
        let column = file.columns.iter().find(|column| column.column == name)?;
        Some((column.least.clone()?, column.greatest.clone()?))
    };
    let number = |text: String| text.parse::<i64>().unwrap();
    let day = |text: String| Day::parse(&text).unwrap();
    DataFile {
        id,
        name: file.name.clone(),
        rows: file.rows,
        size_bytes: file.size_bytes,
        days: extent("dia").map(|(least, greatest)| (day(least), day(greatest))),
        orders: extent("id_pedido"),
        loads: extent("carga").map(|(least, greatest)| (number(least), number(greatest))),
    }
}
