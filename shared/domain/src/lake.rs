//! What the lake's catalogue and those who write and read its files tell each other of a file.

use crate::time::{Day, UtcMillis};

/// A table of the lake; its number and name never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// `vendas`: the lines of sales that count.
    Sales,
    /// `pedidos_sem_venda`: orders that a file spoke of last and that have no sale.
    OrdersWithoutSale,
    /// `eventos_clientes`: what customers did in the shop.
    CustomerEvents,
    /// `estoque`: levels of stock as they were told.
    Stock,
    /// `produtos_mais_vistos`: views by product and day.
    MostViewed,
}

/// The least and the greatest value of a column in a file, as the catalogue writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSummary {
    /// The column's name.
    pub column: &'static str,
    /// The least value; `None` where all are null.
    pub least: Option<String>,
    /// The greatest value.
    pub greatest: Option<String>,
    /// How many values are null.
    pub nulls: u64,
    /// Size in the file, compressed, in bytes.
    pub size_bytes: u64,
}

/// A Parquet file that was written and that no snapshot has yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its table.
    pub table: Table,
    /// Its name below the table's path: `01JC….parquet`.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Size of the Parquet footer in bytes, its length and magic not counted.
    pub footer_bytes: u64,
    /// One for each column of the table, in the table's order.
    pub columns: Vec<ColumnSummary>,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its number in the catalogue.
    pub id: i64,
    /// Its name below the table's path.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// The first and the last São Paulo day in it, where the table has days.
    pub days: Option<(Day, Day)>,
    /// The least and the greatest order in it, by bytes, where the table has orders.
    pub orders: Option<(String, String)>,
    /// The least and the greatest load in it, where the table has loads.
    pub loads: Option<(i64, i64)>,
}

/// A state of the lake: what `sales-summary` answers from, and what a cursor stays on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub i64);

/// When a snapshot was made and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number.
    pub id: SnapshotId,
    /// When it was committed.
    pub committed: UtcMillis,
}
