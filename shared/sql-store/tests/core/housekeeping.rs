//! What is past its time goes, a bounded number of rows a call.

use sql_store::{Backend, FromQueryResult, StoreError, Tx, housekeeping::purge, values};

use crate::stores::{NOON, fresh, rows, run};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

#[tokio::test]
async fn each_row_lives_its_time_and_not_longer() {
    for fresh in fresh().await {
        let store = &fresh.store;
        let limits = [35 * DAY_MS, 24 * HOUR_MS, DAY_MS, DAY_MS];
        for age in [-1, 0, 1] {
            let [mark, key, throttle, visit] = limits.map(|limit| NOON.get() - limit - age);
            store
                .transact(async |tx: &Tx| {
                    let id = format!("m{age}");
                    tx.execute(
                        "INSERT INTO handled_messages VALUES ('c', ?, ?)",
                        values![id.as_str(), mark],
                    )
                    .await?;
                    tx.execute(
                        "INSERT INTO idempotency_keys VALUES ('p', 'r', ?, 'f', 200, '', ?)",
                        values![id.as_str(), key],
                    )
                    .await?;
                    tx.execute(
                        "INSERT INTO throttles VALUES (?, ?)",
                        values![id.as_str(), throttle],
                    )
                    .await?;
                    tx.execute(
                        "INSERT INTO link_visits VALUES ('c', ?, ?)",
                        values![id.as_str(), visit],
                    )
                    .await?;
                    Ok::<_, StoreError>(())
                })
                .await
                .unwrap();
        }
        assert_eq!(purge(store, NOON, 100).await, Ok(4), "{}", fresh.label());
        for table in [
            "handled_messages",
            "idempotency_keys",
            "throttles",
            "link_visits",
        ] {
            assert_eq!(rows(store, table).await, 2, "{}: {table}", fresh.label());
        }
        assert_eq!(purge(store, NOON, 100).await, Ok(0));
    }
}

#[tokio::test]
async fn one_call_deletes_a_bounded_number_of_the_oldest() {
    for fresh in fresh().await {
        let store = &fresh.store;
        store
            .transact(async |tx: &Tx| {
                for n in 0..25_i64 {
                    let values = values![format!("m{n}"), n];
                    tx.execute("INSERT INTO handled_messages VALUES ('c', ?, ?)", values)
                        .await?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        let mut deleted = Vec::new();
        for _ in 0..4 {
            deleted.push(purge(store, NOON, 10).await.unwrap());
        }
        assert_eq!(deleted, [10, 10, 5, 0], "{}", fresh.label());
    }
}

#[derive(FromQueryResult)]
struct RowsRead {
    total: i64,
}

#[tokio::test]
async fn what_is_deleted_is_found_by_its_index_and_not_by_reading_the_table() {
    for fresh in fresh().await {
        if fresh.store.backend() == Backend::Sqlite {
            // It tells no session how many rows it read.
            continue;
        }
        let store = &fresh.store;
        run(
            store,
            &["INSERT INTO handled_messages SELECT 'c', seq, seq FROM seq_1_to_5000"],
        )
        .await;
        let sql = "SELECT CAST(SUM(variable_value) AS SIGNED) AS total \
                   FROM information_schema.session_status \
                   WHERE variable_name LIKE 'Handler_read%'";
        let read = async || {
            let row: Option<RowsRead> = store
                .transact(async |tx: &Tx| tx.one::<RowsRead>(sql, values![]).await)
                .await
                .unwrap();
            row.unwrap().total
        };
        let before = read().await;
        assert_eq!(purge(store, NOON, 50).await, Ok(50));
        let rows = read().await - before;
        // The catalogue's own rows are read too.
        assert!(rows < 3_000, "{rows} rows read");
    }
}
