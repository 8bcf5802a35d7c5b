//! A use case is all or nothing, and is done anew when the database asks for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sql_store::{Backend, FromQueryResult, Options, Store, StoreError, Tx, values};
use tokio::sync::Barrier;

use crate::stores::{NOON, SHORT, Scissors, fresh, impatient, rows, run, together};

const TABLE: &str = "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, n BIGINT NOT NULL)";

#[derive(FromQueryResult)]
struct Sum {
    n: i64,
}

async fn value(store: &Store, id: i32) -> i64 {
    let row: Option<Sum> = store
        .transact(async |tx: &Tx| {
            tx.one::<Sum>("SELECT n FROM t WHERE id = ?", values![id])
                .await
        })
        .await
        .unwrap();
    row.unwrap().n
}

async fn add(tx: &Tx, id: i32, more: i64) -> Result<u64, StoreError> {
    tx.execute("UPDATE t SET n = n + ? WHERE id = ?", values![more, id])
        .await
}

#[tokio::test]
async fn a_use_case_is_all_there_or_not_at_all() {
    for fresh in fresh().await {
        let store = &fresh.store;
        run(store, &[TABLE, "INSERT INTO t VALUES (1, 0), (2, 0)"]).await;
        let both: Result<u64, StoreError> = store
            .transact(async |tx: &Tx| Ok(add(tx, 1, 5).await? + add(tx, 2, 5).await?))
            .await;
        assert_eq!(both, Ok(2), "rows matched");
        let failed: Result<(), StoreError> = store
            .transact(async |tx: &Tx| {
                add(tx, 1, 5).await?;
                Err(StoreError::Broken("on purpose"))
            })
            .await;
        assert_eq!(failed, Err(StoreError::Broken("on purpose")));
        assert_eq!((value(store, 1).await, value(store, 2).await), (5, 5));
    }
}

#[tokio::test]
async fn an_update_that_changes_nothing_still_tells_the_rows_it_matched() {
    for fresh in fresh().await {
        let store = &fresh.store;
        run(store, &[TABLE, "INSERT INTO t VALUES (1, 7)"]).await;
        for (id, matched) in [(1, 1), (2, 0)] {
            let told = store
                .transact(async |tx: &Tx| {
                    tx.execute("UPDATE t SET n = 7 WHERE id = ?", values![id])
                        .await
                })
                .await;
            assert_eq!(told, Ok(matched), "{}", fresh.label());
        }
    }
}

#[tokio::test]
async fn a_unique_key_is_told_apart_from_every_other_refusal() {
    for fresh in fresh().await {
        let store = &fresh.store;
        run(store, &[TABLE]).await;
        let inserted = store
            .transact(async |tx: &Tx| {
                let sql = "INSERT INTO t VALUES (1, 1)";
                let first = tx.insert_new(sql, values![]).await?;
                let second = tx.insert_new(sql, values![]).await?;
                // The transaction goes on after the key said no.
                add(tx, 1, 1).await?;
                Ok::<_, StoreError>((first, second))
            })
            .await;
        assert_eq!(inserted, Ok((true, false)));
        assert_eq!(value(store, 1).await, 2);
        for bad in [
            "INSERT INTO t (id) VALUES (NULL)",
            "INSERT INTO nowhere VALUES (1)",
        ] {
            let refused = store
                .transact(async |tx: &Tx| tx.insert_new(bad, values![]).await)
                .await;
            assert!(
                matches!(refused, Err(StoreError::Refused { .. })),
                "{}: {refused:?}",
                fresh.label()
            );
        }
    }
}

#[tokio::test]
async fn a_deadlock_redoes_the_whole_use_case_and_both_succeed() {
    for fresh in fresh().await {
        run(
            &fresh.store,
            &[TABLE, "INSERT INTO t VALUES (1, 0), (2, 0)"],
        )
        .await;
        let other = fresh.beside(Options::default()).await;
        let (both_hold_one, tries) = (Barrier::new(2), AtomicU32::new(0));
        let work = async |store: &Store, first: i32, second: i32| {
            let is_first_try = std::cell::Cell::new(true);
            store
                .transact(async |tx: &Tx| {
                    tries.fetch_add(1, Ordering::SeqCst);
                    add(tx, first, 1).await?;
                    if is_first_try.replace(false) && tx.backend() == Backend::MySql {
                        both_hold_one.wait().await;
                    }
                    add(tx, second, 1).await
                })
                .await
        };
        let (one, two) = tokio::join!(work(&fresh.store, 1, 2), work(&other, 2, 1));
        assert_eq!((one, two), (Ok(1), Ok(1)), "{}", fresh.label());
        assert_eq!((value(&other, 1).await, value(&other, 2).await), (2, 2));
        let least = if fresh.store.backend() == Backend::MySql {
            3
        } else {
            2
        };
        assert!(tries.load(Ordering::SeqCst) >= least, "{}", fresh.label());
    }
}

#[tokio::test]
async fn a_lock_that_is_never_given_back_ends_the_use_case_after_five_tries() {
    for fresh in fresh().await {
        run(&fresh.store, &[TABLE, "INSERT INTO t VALUES (1, 0)"]).await;
        let scissors = Scissors::watching();
        let other = fresh
            .beside(Options {
                observer: Some(scissors.clone()),
                ..impatient()
            })
            .await;
        let contended = fresh
            .store
            .transact(async |tx: &Tx| {
                add(tx, 1, 1).await?;
                let blocked = other.transact(async |tx: &Tx| add(tx, 1, 1).await).await;
                Ok::<_, StoreError>(blocked)
            })
            .await
            .unwrap();
        assert_eq!(
            contended,
            Err(StoreError::Contended { attempts: 5 }),
            "{}",
            fresh.label()
        );
        assert_eq!(scissors.count_of("BEGIN"), 5, "{}", fresh.label());
        assert_eq!(value(&other, 1).await, 1);
    }
}

#[tokio::test]
async fn a_lock_that_is_given_back_in_time_costs_a_redo_and_nothing_else() {
    for fresh in fresh().await {
        run(&fresh.store, &[TABLE, "INSERT INTO t VALUES (1, 0)"]).await;
        let scissors = Scissors::watching();
        let other = fresh
            .beside(Options {
                observer: Some(scissors.clone()),
                ..impatient()
            })
            .await;
        let (held, is_held) = tokio::sync::oneshot::channel();
        let held = std::sync::Mutex::new(Some(held));
        let slow = fresh.store.transact(async |tx: &Tx| {
            add(tx, 1, 1).await?;
            held.lock().unwrap().take().unwrap().send(()).unwrap();
            tokio::time::sleep(SHORT * 2).await;
            Ok::<_, StoreError>(())
        });
        let second = async {
            is_held.await.unwrap();
            other.transact(async |tx: &Tx| add(tx, 1, 10).await).await
        };
        let (slow, second) = tokio::join!(slow, second);
        assert_eq!((slow, second), (Ok(()), Ok(1)), "{}", fresh.label());
        assert_eq!(value(&other, 1).await, 11);
    }
}

#[tokio::test]
async fn ten_connections_that_count_together_lose_no_count() {
    for fresh in fresh().await {
        run(&fresh.store, &[TABLE, "INSERT INTO t VALUES (1, 0)"]).await;
        let mut counters = Vec::new();
        for _ in 0..10 {
            let store = fresh.beside(Options::default()).await;
            counters.push(async move {
                for _ in 0..10 {
                    store
                        .transact(async |tx: &Tx| {
                            let sql = format!("SELECT n FROM t WHERE id = 1{}", tx.for_update());
                            let row: Option<Sum> = tx.one(&sql, values![]).await?;
                            let next = row.unwrap().n + 1;
                            tx.execute("UPDATE t SET n = ? WHERE id = 1", values![next])
                                .await
                        })
                        .await
                        .unwrap();
                }
            });
        }
        together(counters).await;
        assert_eq!(value(&fresh.store, 1).await, 100, "{}", fresh.label());
    }
}

#[tokio::test]
async fn a_run_that_is_cut_off_leaves_all_or_nothing_and_no_lock() {
    for fresh in fresh().await {
        run(
            &fresh.store,
            &[TABLE, "INSERT INTO t VALUES (1, 0), (2, 0)"],
        )
        .await;
        let mut done = 0;
        for point in 0.. {
            let scissors = Scissors::cutting_at(point);
            let store = fresh.beside(scissors.options()).await;
            let work = store.transact(async |tx: &Tx| {
                Ok::<_, StoreError>(add(tx, 1, 1).await? + add(tx, 2, 1).await?)
            });
            let finished = scissors.around(work).await;
            drop(store);
            let values = (value(&fresh.store, 1).await, value(&fresh.store, 2).await);
            assert_eq!(values.0, values.1, "{} at {point}", fresh.label());
            done = values.0;
            if finished.is_some() {
                assert_eq!(
                    point, 8,
                    "before and after BEGIN, two statements and COMMIT"
                );
                break;
            }
        }
        // Cut after COMMIT, and the run that was not cut.
        assert_eq!(done, 2, "{}", fresh.label());
    }
}

#[tokio::test]
async fn ids_of_one_moment_differ_and_sort_by_time() {
    for fresh in fresh().await {
        let ids = fresh
            .store
            .transact(async |tx: &Tx| {
                let later = NOON.plus_millis(1);
                Ok::<_, StoreError>([tx.new_id(NOON)?, tx.new_id(NOON)?, tx.new_id(later)?])
            })
            .await
            .unwrap();
        assert_ne!(ids[0], ids[1]);
        assert!(ids[0] < ids[2] && ids[1] < ids[2]);
        assert!(ids.iter().all(|id| id.len() == 26));
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_as_unreachable() {
    let Ok(store) = Store::open("mysql://nobody@127.0.0.1:9/none").await else {
        return;
    };
    let waited = tokio::time::timeout(
        Duration::from_secs(20),
        store.transact(async |tx: &Tx| tx.execute("SELECT 1", values![]).await),
    );
    let answer = waited.await.unwrap();
    assert_eq!(answer, Err(StoreError::Unreachable));
    assert_eq!(
        rows_of_a_missing_folder().await,
        Err(StoreError::Unreachable)
    );
}

async fn rows_of_a_missing_folder() -> Result<(), StoreError> {
    Store::open("sqlite:///nowhere/at/all.sqlite")
        .await
        .map(drop)
}

#[tokio::test]
async fn times_and_texts_come_back_as_they_were_written() {
    #[derive(FromQueryResult)]
    struct Row {
        job: String,
        paused_ms: i64,
    }
    for fresh in fresh().await {
        let job = "São João 🌽";
        let row: Option<Row> = fresh
            .store
            .transact(async |tx: &Tx| {
                tx.execute(
                    "INSERT INTO job_pauses VALUES (?, ?)",
                    values![job, i64::MAX],
                )
                .await?;
                tx.one::<Row>("SELECT job, paused_ms FROM job_pauses", values![])
                    .await
            })
            .await
            .unwrap();
        let row = row.unwrap();
        assert_eq!((row.job.as_str(), row.paused_ms), (job, i64::MAX));
        assert_eq!(rows(&fresh.store, "job_pauses").await, 1);
    }
}

#[tokio::test]
async fn a_server_with_no_connection_left_is_worth_another_try() {
    for fresh in fresh().await {
        if fresh.store.backend() == Backend::Sqlite {
            continue;
        }
        let (user, url) = ("feira_limited", fresh.database.url());
        run(
            &fresh.store,
            &[
                "CREATE OR REPLACE USER feira_limited@'%' WITH MAX_USER_CONNECTIONS 1",
                "GRANT ALL ON *.* TO feira_limited@'%'",
            ],
        )
        .await;
        let address = url.rsplit_once('@').unwrap().1;
        let limited = format!("mysql://{user}@{address}");
        let first = Store::open(&limited).await.unwrap();
        let second = Store::open(&limited).await.unwrap();
        let refused = first
            .transact(async |_: &Tx| {
                let ask = async |tx: &Tx| tx.execute("DO 1", values![]).await;
                Ok::<_, StoreError>(second.transact(ask).await)
            })
            .await
            .unwrap();
        assert_eq!(refused, Err(StoreError::Unreachable));
        run(&fresh.store, &["DROP USER feira_limited@'%'"]).await;
    }
}

#[derive(FromQueryResult)]
struct Status {
    #[sea_orm(from_alias = "Value")]
    value: String,
}

/// To make room for another one a statement is closed, and the next command waits for the server's
/// delayed acknowledgement: 40 ms each.
#[tokio::test]
async fn no_function_has_more_statements_than_stay_prepared() {
    const MORE_THAN_A_FUNCTION_HAS: i32 = 80;
    let Some(database) = testkit::mariadb().await else {
        return;
    };
    let store = Store::open(database.url()).await.unwrap();
    run(&store, &[TABLE]).await;
    let closed: Option<Status> = store
        .transact(async |tx: &Tx| {
            for other in 0..MORE_THAN_A_FUNCTION_HAS {
                let text = format!("SELECT n FROM t WHERE id = ? AND n <> {other}");
                tx.one::<Sum>(&text, values![1]).await?;
            }
            let text = "SHOW SESSION STATUS LIKE 'Com_stmt_close'";
            tx.one::<Status>(text, values![]).await
        })
        .await
        .unwrap();
    assert_eq!(closed.unwrap().value, "0");
}
