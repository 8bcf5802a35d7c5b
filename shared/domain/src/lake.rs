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

/// The DuckLake 1.0 types that our columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// An amount of reais with two places.
    Money,
    /// A point in time in UTC, in microseconds, without an offset.
    Timestamp,
    /// A day.
    Date,
}

/// A column of a table. Its number, by which DuckLake finds it in a file (`field_id`), is its place
/// in [`Table::columns`], from 1 on: a new column comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
}

const fn column(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind }
}

const SALES: [Column; 10] = [
    column("id_pedido", ColumnType::Text),
    column("id_produto", ColumnType::Text),
    column("quantidade", ColumnType::Int32),
    column("preco", ColumnType::Money),
    column("data", ColumnType::Timestamp),
    column("regiao", ColumnType::Text),
    column("categoria", ColumnType::Text),
    column("dia", ColumnType::Date),
    column("linha", ColumnType::Int32),
    column("carga", ColumnType::Int64),
];

const ORDERS_WITHOUT_SALE: [Column; 2] = [
    column("id_pedido", ColumnType::Text),
    column("carga", ColumnType::Int64),
];

const CUSTOMER_EVENTS: [Column; 14] = [
    column("id_usuario", ColumnType::Text),
    column("tipo_evento", ColumnType::Text),
    column("id_produto", ColumnType::Text),
    column("timestamp", ColumnType::Timestamp),
    column("id_evento", ColumnType::Text),
    column("id_sessao", ColumnType::Text),
    column("quantidade", ColumnType::Int32),
    column("preco", ColumnType::Money),
    column("ref", ColumnType::Text),
    column("regiao", ColumnType::Text),
    column("dia", ColumnType::Date),
    column("topico", ColumnType::Text),
    column("particao", ColumnType::Int32),
    column("posicao", ColumnType::Int64),
];

const STOCK: [Column; 7] = [
    column("id_produto", ColumnType::Text),
    column("nivel_estoque", ColumnType::Int64),
    column("ultima_atualizacao", ColumnType::Timestamp),
    column("dia", ColumnType::Date),
    column("topico", ColumnType::Text),
    column("particao", ColumnType::Int32),
    column("posicao", ColumnType::Int64),
];

const MOST_VIEWED: [Column; 3] = [
    column("id_produto", ColumnType::Text),
    column("count", ColumnType::Int64),
    column("dia", ColumnType::Date),
];

/// Where the lake lies within its bucket: the catalogue's DATA_PATH.
pub const DATA_PREFIX: &str = "lago/";
/// The path of the only schema.
const SCHEMA_FOLDER: &str = "main";

/// Where the files of `folder` (a table's name) lie within the bucket: `lago/main/vendas/`.
#[must_use]
pub fn folder(name: &str) -> String {
    format!("{DATA_PREFIX}{SCHEMA_FOLDER}/{name}/")
}

impl Table {
    /// Every table, by its number.
    pub const ALL: [Self; 5] = [
        Self::Sales,
        Self::OrdersWithoutSale,
        Self::CustomerEvents,
        Self::Stock,
        Self::MostViewed,
    ];

    /// Its number in the catalogue.
    #[must_use]
    pub const fn id(self) -> i64 {
        match self {
            Self::Sales => 1,
            Self::OrdersWithoutSale => 2,
            Self::CustomerEvents => 3,
            Self::Stock => 4,
            Self::MostViewed => 5,
        }
    }

    /// Its name, which is the name of its folder too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sales => "vendas",
            Self::OrdersWithoutSale => "pedidos_sem_venda",
            Self::CustomerEvents => "eventos_clientes",
            Self::Stock => "estoque",
            Self::MostViewed => "produtos_mais_vistos",
        }
    }

    /// Its columns, in order.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Sales => &SALES,
            Self::OrdersWithoutSale => &ORDERS_WITHOUT_SALE,
            Self::CustomerEvents => &CUSTOMER_EVENTS,
            Self::Stock => &STOCK,
            Self::MostViewed => &MOST_VIEWED,
        }
    }

    /// The number of a column (`field_id` in a file); `None` where the table has no such column.
    #[must_use]
    pub fn column_id(self, name: &str) -> Option<i64> {
        let place = self.columns().iter().position(|column| column.name == name);
        place.and_then(|place| i64::try_from(place + 1).ok())
    }
}

impl ColumnType {
    /// DuckLake's word for it.
    #[must_use]
    pub const fn ducklake(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Money => "decimal(18,2)",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
        }
    }

    /// Whether `left` is less than `right`, both as the catalogue writes values of this type.
    #[must_use]
    pub fn is_less(self, left: &str, right: &str) -> bool {
        match self {
            // ISO 8601 and UTF-8 sort by their bytes.
            Self::Text | Self::Timestamp | Self::Date => left < right,
            Self::Int32 | Self::Int64 | Self::Money => match (whole(left), whole(right)) {
                (Some(left), Some(right)) => left < right,
                _ => left < right,
            },
        }
    }
}

/// A number without its point: amounts have two places always.
fn whole(number: &str) -> Option<i128> {
    number.replacen('.', "", 1).parse().ok()
}

/// A table's file that no snapshot shows any more, and that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedFile {
    /// Its number in the catalogue.
    pub id: i64,
    /// Its table.
    pub table: Table,
    /// Its name below the table's path.
    pub name: String,
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
    /// When rows came or went last: files that were merely put together are no news.
    pub committed: UtcMillis,
}
