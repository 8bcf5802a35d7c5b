//! A lake in memory: what the files of a snapshot hold, after the rules of the real one.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    lake::{DataFile, Table},
    sales::{Group, Grouping, Question, Sums},
    time::{Day, UtcMillis},
};
use testkit::Random;
use tokio_postgres::NoTls;
use warehouse::{
    WarehouseError,
    sync::{LiveFiles, LoadStep, Statements},
};

/// A row of `vendas`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    order: String,
    product: String,
    quantity: i32,
    centavos: i64,
    day: Day,
    region: Option<String>,
    line: i32,
    load: i64,
}

#[derive(Default)]
pub struct Lake {
    loads: i64,
    next_file: i64,
    sales: BTreeMap<i64, Vec<Row>>,
    without_sale: BTreeMap<i64, BTreeSet<String>>,
}

/// The load step of the tests: INSERT of what the files hold.
pub struct Loading {
    sales: BTreeMap<i64, Vec<Row>>,
    without_sale: BTreeMap<i64, BTreeSet<String>>,
    pub breaks: bool,
}

pub fn day(number: u64) -> Day {
    let start = UtcMillis::parse("2026-01-01T12:00:00Z").unwrap();
    start.plus_days(u32::try_from(number).unwrap()).day()
}

impl Lake {
    /// A load of some orders, some of them without lines; or a compaction.
    pub fn change(&mut self, random: &mut Random) {
        if random.one_in(5) {
            self.compact();
            return;
        }
        self.loads += 1;
        let mut rows = Vec::new();
        let mut gone = BTreeSet::new();
        let mut spoken_of = BTreeSet::new();
        for _ in 0..=random.below(6) {
            let order = format!("pedido-{}", random.below(12));
            if !spoken_of.insert(order.clone()) {
                continue;
            }
            if random.one_in(4) {
                gone.insert(order);
                continue;
            }
            for line in 1..=random.below(3) + 1 {
                let number = random.below(60);
                rows.push(Row {
                    order: order.clone(),
                    product: format!("produto-{}", random.below(5)),
                    quantity: random.below(9) - 2,
                    centavos: random.below(100_000),
                    day: day(number),
                    region: [Some("SP"), Some("RJ"), None][random.below(3)].map(str::to_owned),
                    line,
                    load: self.loads,
                });
            }
            if rows.iter().all(|row| row.order != order) {
                gone.insert(order);
            }
        }
        self.rewrite_without(&spoken_of);
        // Two files: an order's lines may lie in both.
        let (early, late): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| row.day < day(30));
        for part in [early, late] {
            self.add_sales(part);
        }
        if !gone.is_empty() {
            self.next_file += 1;
            self.without_sale.insert(self.next_file, gone);
        }
    }

    fn add_sales(&mut self, rows: Vec<Row>) {
        if !rows.is_empty() {
            self.next_file += 1;
            self.sales.insert(self.next_file, rows);
        }
    }

    fn rewrite_without(&mut self, orders: &BTreeSet<String>) {
        let hit = |row: &Row| orders.contains(&row.order);
        let files: Vec<i64> = self.sales.keys().copied().collect();
        for id in files {
            if self.sales[&id].iter().any(hit) {
                let mut rows = self.sales.remove(&id).unwrap();
                rows.retain(|row| !hit(row));
                self.add_sales(rows);
            }
        }
        let files: Vec<i64> = self.without_sale.keys().copied().collect();
        for id in files {
            let kept: BTreeSet<String> = &self.without_sale[&id] - orders;
            if kept.len() < self.without_sale[&id].len() {
                self.without_sale.remove(&id);
                if !kept.is_empty() {
                    self.next_file += 1;
                    self.without_sale.insert(self.next_file, kept);
                }
            }
        }
    }

    fn compact(&mut self) {
        let rows: Vec<Row> = std::mem::take(&mut self.sales)
            .into_values()
            .flatten()
            .collect();
        self.add_sales(rows);
    }

    pub fn live(&self) -> Vec<LiveFiles> {
        let sales = self.sales.iter().map(|(id, rows)| file(*id, rows.len()));
        let without = self.without_sale.iter();
        let without = without.map(|(id, orders)| file(*id, orders.len()));
        vec![
            LiveFiles {
                table: Table::Sales,
                files: sales.collect(),
            },
            LiveFiles {
                table: Table::OrdersWithoutSale,
                files: without.collect(),
            },
        ]
    }

    pub fn loading(&self) -> Loading {
        Loading {
            sales: self.sales.clone(),
            without_sale: self.without_sale.clone(),
            breaks: false,
        }
    }

    pub fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.sales.values().flatten().map(told).collect();
        rows.sort();
        rows
    }

    pub fn answer(&self, question: &Question) -> Vec<Group> {
        let mut groups: BTreeMap<Option<String>, (Sums, BTreeSet<&str>)> = BTreeMap::new();
        for row in self.sales.values().flatten() {
            let out = question.from.is_some_and(|from| row.day < from)
                || question.to.is_some_and(|to| row.day > to)
                || (question.region.is_some() && row.region != question.region);
            if out {
                continue;
            }
            let key = match question.grouping {
                Grouping::Product => Some(row.product.clone()),
                Grouping::Region => row.region.clone(),
                Grouping::Category => None,
                Grouping::Day => Some(row.day.to_string()),
                Grouping::Month => Some(row.day.month()),
            };
            let (sums, orders) = groups.entry(key).or_default();
            sums.quantity += i64::from(row.quantity);
            sums.revenue_centavos += row.centavos * i64::from(row.quantity);
            orders.insert(&row.order);
        }
        groups
            .into_iter()
            .map(|(key, (mut sums, orders))| {
                sums.orders = i64::try_from(orders.len()).unwrap();
                Group { key, sums }
            })
            .collect()
    }
}

fn file(id: i64, rows: usize) -> DataFile {
    DataFile {
        id,
        name: format!("{id:026}.parquet"),
        rows: rows as u64,
        size_bytes: 1,
        days: None,
        orders: None,
        loads: None,
    }
}

fn told(row: &Row) -> String {
    let region = row.region.as_deref().unwrap_or("-");
    format!(
        "{} {} {} {} {} {region} {} {}",
        row.order, row.product, row.quantity, row.centavos, row.day, row.line, row.load
    )
}

impl LoadStep for Loading {
    fn create_statement(&self, statement: &str) -> String {
        testkit::without_redshift_keys(statement)
    }

    async fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        table: Table,
        files: &[DataFile],
    ) -> Result<(), WarehouseError> {
        for file in files {
            if table == Table::OrdersWithoutSale {
                for order in &self.without_sale[&file.id] {
                    let insert = format!("INSERT INTO {staging} VALUES ('{order}', 1)");
                    database.run(&insert).await?;
                }
                continue;
            }
            for row in &self.sales[&file.id] {
                let region = row.region.as_ref();
                let region = region.map_or("NULL".to_owned(), |text| format!("'{text}'"));
                let insert = format!(
                    "INSERT INTO {staging} VALUES ('{}', '{}', {}, {}::numeric / 100, '{} 12:00:00', \
                     {region}, NULL, '{}', {}, {})",
                    row.order,
                    row.product,
                    row.quantity,
                    row.centavos,
                    row.day,
                    row.day,
                    row.line,
                    row.load
                );
                database.run(&insert).await?;
            }
        }
        if self.breaks {
            return Err(WarehouseError::Load("broken_off"));
        }
        Ok(())
    }
}

/// The rows of `vendas`, in order.
pub async fn rows_of(url: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let rows = client
        .query(
            "SELECT concat_ws(' ', id_pedido, id_produto, quantidade, (preco * 100)::BIGINT, dia, \
             coalesce(regiao, '-'), linha, carga) FROM vendas",
            &[],
        )
        .await
        .unwrap();
    let mut rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    rows.sort();
    rows
}
