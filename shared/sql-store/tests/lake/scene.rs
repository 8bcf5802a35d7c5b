//! A registered lake, and files that lie nowhere.

use domain::{
    lake::{ColumnSummary, SnapshotId, Table, WrittenFile},
    time::UtcMillis,
};
use sql_store::{
    FromQueryResult, Options, Store, StoreError, Tx, Value,
    lake::{self, Change, CommitError},
    migrate::migrate,
};
use testkit::{TestDatabase, databases};

/// 2026-11-21T12:00:00Z.
pub const NOON: UtcMillis = match UtcMillis::new(1_795_262_400_000) {
    Ok(noon) => noon,
    Err(_) => unreachable!(),
};

pub const DATA_PATH: &str = "s3://feira-vendas/lago/";

pub struct Lake {
    pub store: Store,
    pub database: TestDatabase,
}

impl Lake {
    pub fn label(&self) -> &'static str {
        self.database.label()
    }

    /// Another process's store on the same database.
    pub async fn beside(&self) -> Store {
        Store::open_with(self.database.url(), Options::default())
            .await
            .unwrap()
    }

    pub async fn newest(&self) -> SnapshotId {
        lake::newest_snapshot(&self.store)
            .await
            .unwrap()
            .unwrap()
            .id
    }

    /// Commits onto the newest snapshot, watching `vendas`.
    pub async fn change(&self, added: &[WrittenFile], ended: &[i64], now: UtcMillis) -> SnapshotId {
        let base = self.newest().await;
        commit(&self.store, base, added, ended, now).await.unwrap()
    }

    pub async fn names(&self, snapshot: SnapshotId) -> Vec<String> {
        let files = lake::files_at(&self.store, Table::Sales, snapshot).await;
        let files = files.unwrap_or_else(|error| panic!("{}: {error}", self.label()));
        files.into_iter().map(|file| file.name).collect()
    }
}

pub async fn lakes() -> Vec<Lake> {
    let mut all = Vec::new();
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        migrate(&store, NOON).await.unwrap();
        lake::register(&store, DATA_PATH, NOON).await.unwrap();
        all.push(Lake { store, database });
    }
    all
}

pub async fn commit(
    store: &Store,
    base: SnapshotId,
    added: &[WrittenFile],
    ended: &[i64],
    now: UtcMillis,
) -> Result<SnapshotId, CommitError> {
    let change = Change {
        added,
        ended,
        note: "a test",
    };
    store
        .transact(async |tx: &Tx| lake::commit(tx, base, &[Table::Sales], change, now).await)
        .await
}

/// A file of `vendas` with these orders, days, loads and quantities as its least and greatest.
pub fn sales(name: &str, orders: (&str, &str), load: i64, quantities: (i32, i32)) -> WrittenFile {
    let range = |column: &str| match column {
        "id_pedido" => Some((orders.0.to_owned(), orders.1.to_owned())),
        "quantidade" => Some((quantities.0.to_string(), quantities.1.to_string())),
        "preco" => Some(("9.90".to_owned(), "10.00".to_owned())),
        "dia" => Some(("2026-11-01".to_owned(), "2026-11-20".to_owned())),
        "carga" => Some((load.to_string(), load.to_string())),
        _ => None,
    };
    let columns = Table::Sales
        .columns()
        .iter()
        .map(|column| {
            let (least, greatest) = range(column.name).unzip();
            ColumnSummary {
                column: column.name,
                nulls: if least.is_none() { 10 } else { 0 },
                least,
                greatest,
                size_bytes: 7,
            }
        })
        .collect();
    WrittenFile {
        table: Table::Sales,
        name: format!("{name}.parquet"),
        rows: 10,
        size_bytes: 1_000,
        footer_bytes: 200,
        columns,
    }
}

#[derive(FromQueryResult)]
struct Found {
    found: Option<i64>,
}

/// The one number that a query selects as `found`.
pub async fn number(store: &Store, sql: &str) -> Option<i64> {
    let found: Option<Found> = store
        .transact(async |tx: &Tx| tx.one(sql, Vec::<Value>::new()).await)
        .await
        .unwrap();
    found.and_then(|row| row.found)
}

pub async fn run(store: &Store, sql: &str) {
    store
        .transact(async |tx: &Tx| {
            tx.execute(sql, Vec::<Value>::new()).await?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}
