//! What streams into the lake, in a warehouse that speaks the protocol (PostgreSQL): compaction puts
//! the same rows into other files, and none comes twice or goes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that can't go on must stop"
)]

use std::collections::BTreeMap;

use domain::{
    lake::{DataFile, Snapshot, SnapshotId, Table},
    time::UtcMillis,
};
use testkit::{postgres_schema, without_redshift_keys};
use tokio_postgres::{NoTls, SimpleQueryMessage};
use warehouse::{
    Tls, Warehouse, WarehouseError,
    sync::{LiveFiles, LoadStep, Statements, sync},
};

/// Rows by the number of their file, each as a list of SQL literals.
struct Files(BTreeMap<i64, Vec<String>>);

impl LoadStep for Files {
    fn create_statement(&self, statement: &str) -> String {
        without_redshift_keys(statement)
    }

    async fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        _: Table,
        files: &[DataFile],
    ) -> Result<(), WarehouseError> {
        for row in files.iter().flat_map(|file| &self.0[&file.id]) {
            let insert = format!("INSERT INTO {staging} VALUES ({row})");
            database.run(&insert).await?;
        }
        Ok(())
    }
}

/// The rows that a table has after each of these states of the lake.
async fn held(url: &str, table: Table, states: &[&[(i64, &[&str])]]) -> Vec<usize> {
    let warehouse = Warehouse::open(url, Tls::Never).unwrap();
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let now = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
    let mut counts = Vec::new();
    for (snapshot, state) in (1..).zip(states) {
        let rows = state
            .iter()
            .map(|(id, rows)| (*id, rows.iter().map(|row| (*row).to_owned()).collect()));
        let step = Files(rows.collect());
        let files = state.iter().map(|(id, rows)| DataFile {
            id: *id,
            name: format!("{id}.parquet"),
            rows: rows.len() as u64,
            size_bytes: 1,
            days: None,
            orders: None,
            loads: None,
        });
        let live = [LiveFiles {
            table,
            files: files.collect(),
        }];
        for _ in 0..2 {
            let snapshot = Snapshot {
                id: SnapshotId(snapshot),
                committed: now,
            };
            sync(&warehouse, &step, table, &live, snapshot)
                .await
                .unwrap();
        }
        let select = format!("SELECT * FROM {}", table.name());
        let answer = client.simple_query(&select).await.unwrap();
        let is_row = |message: &&SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(_));
        counts.push(answer.iter().filter(is_row).count());
    }
    counts
}

#[tokio::test]
async fn levels_of_stock_survive_compaction_row_by_row() {
    let Some(url) = postgres_schema().await else {
        return;
    };
    // Two warehouses told p1 at the same moment, in files that are not put together at once.
    let (a, b, c) = (
        "'p1', 5, '2026-11-19 15:00:00', '2026-11-19', NULL, NULL, NULL",
        "'p1', 7, '2026-11-19 15:00:00', '2026-11-19', 'atualizacoes_estoque', 0, 9",
        "'p2', 1, '2026-11-19 16:00:00', '2026-11-19', NULL, NULL, NULL",
    );
    let states: [&[(i64, &[&str])]; 3] = [
        &[(1, &[a]), (2, &[b])],
        &[(1, &[a]), (2, &[b]), (3, &[c])],
        &[(2, &[b]), (4, &[a, c])],
    ];
    assert_eq!(held(&url, Table::Stock, &states).await, [2, 3, 3]);
}

#[tokio::test]
async fn events_survive_compaction_with_and_without_an_id_of_their_own() {
    let Some(url) = postgres_schema().await else {
        return;
    };
    let event = |id: &str| {
        format!(
            "'u1', 'clique', 'p1', '2026-11-19 15:00:00', '{id}', NULL, NULL, NULL, NULL, NULL, \
             '2026-11-19', NULL, NULL, NULL"
        )
    };
    let (a, b) = (event("e1"), event("k/eventos_clientes/0/7/1795186800000"));
    let states: [&[(i64, &[&str])]; 2] = [&[(1, &[&a]), (2, &[&b])], &[(3, &[&a, &b])]];
    assert_eq!(held(&url, Table::CustomerEvents, &states).await, [2, 2]);
}

#[tokio::test]
async fn the_views_of_a_day_are_those_of_its_newest_file() {
    let Some(url) = postgres_schema().await else {
        return;
    };
    let states: [&[(i64, &[&str])]; 2] = [
        &[(1, &["'p1', 3, '2026-11-19'"])],
        &[
            (2, &["'p1', 5, '2026-11-19'", "'p2', 1, '2026-11-19'"]),
            (3, &["'p1', 1, '2026-11-20'"]),
        ],
    ];
    assert_eq!(held(&url, Table::MostViewed, &states).await, [1, 3]);
}
