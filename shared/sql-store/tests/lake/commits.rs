//! Registering, committing, conflicts.

use domain::{
    lake::{SnapshotId, Table},
    time::UtcMillis,
};
use sql_store::{
    FromQueryResult, Tx,
    lake::{self, Change, CommitError, FilesError},
    values,
};

use crate::scene::{DATA_PATH, NOON, commit, lakes, number, run, sales};

#[tokio::test]
async fn a_lake_is_registered_once_and_is_found_where_it_was_moved_to() {
    for scene in lakes().await {
        let store = &scene.store;
        let rows = async || {
            let mut all = Vec::new();
            for table in [
                "metadata",
                "snapshot",
                "schema",
                "table",
                "column",
                "schema_versions",
            ] {
                let sql = format!("SELECT COUNT(*) AS found FROM ducklake_{table}");
                all.push(number(store, &sql).await.unwrap());
            }
            all
        };
        let columns: usize = Table::ALL.iter().map(|table| table.columns().len()).sum();
        let registered = [4, 2, 1, 5, i64::try_from(columns).unwrap(), 5];
        assert_eq!(rows().await, registered, "{}", scene.label());
        for path in [DATA_PATH, "/elsewhere/lago/"] {
            lake::register(store, path, NOON).await.unwrap();
            assert_eq!(rows().await, registered, "{}", scene.label());
            let there =
                format!("SELECT COUNT(*) AS found FROM ducklake_metadata WHERE `value` = '{path}'");
            assert_eq!(number(store, &there).await, Some(1));
        }
    }
}

#[tokio::test]
async fn files_come_and_go_and_each_snapshot_keeps_its_own() {
    for scene in lakes().await {
        let empty = scene.newest().await;
        let files = [
            sales("a", ("p1", "p5"), 1, (-2, 9)),
            sales("b", ("p6", "p9"), 1, (1, 10)),
        ];
        let first = scene.change(&files, &[], NOON).await;
        let told = lake::files_at(&scene.store, Table::Sales, first)
            .await
            .unwrap();
        assert_eq!(told[0].id, 0);
        assert_eq!(told[1].orders, Some(("p6".to_owned(), "p9".to_owned())));
        assert_eq!(told[0].loads, Some((1, 1)));
        assert_eq!(told[0].days.unwrap().1.to_string(), "2026-11-20");
        assert_eq!((told[0].rows, told[0].size_bytes), (10, 1_000));

        let later = NOON.plus_millis(1_500);
        let second = scene
            .change(&[sales("c", ("p0", "p2"), 2, (3, 4))], &[0], later)
            .await;
        assert_eq!(scene.names(empty).await, [""; 0], "{}", scene.label());
        assert_eq!(scene.names(first).await, ["a.parquet", "b.parquet"]);
        assert_eq!(scene.names(second).await, ["b.parquet", "c.parquet"]);
        let newest = lake::latest(&scene.store, &[Table::Sales])
            .await
            .unwrap()
            .unwrap();
        assert_eq!((newest.id, newest.committed), (second, later));
        let merged = [sales("d", ("p0", "p9"), 3, (1, 4))];
        let change = Change {
            added: &merged,
            ended: &[1, 2],
            note: "put together",
        };
        let tomorrow = later.plus_millis(86_400_000);
        let work = async |tx: &Tx| lake::rearrange(tx, change, tomorrow).await;
        let third = scene.store.transact(work).await.unwrap();
        assert_eq!(scene.names(third).await, ["d.parquet"]);
        let same = lake::latest(&scene.store, &[Table::Sales])
            .await
            .unwrap()
            .unwrap();
        assert_eq!((same.id, same.committed), (third, later), "no row is newer");
        let untouched = lake::latest(&scene.store, &[Table::Stock])
            .await
            .unwrap()
            .unwrap();
        assert_eq!((untouched.id, untouched.committed), (empty, NOON));
        let before = lake::files_at(&scene.store, Table::Sales, SnapshotId(0)).await;
        assert_eq!(before, Err(FilesError::SnapshotGone));
    }
}

#[derive(Debug, PartialEq, FromQueryResult)]
struct Books {
    record_count: i64,
    next_row_id: i64,
    file_size_bytes: i64,
}

#[derive(Debug, PartialEq, FromQueryResult)]
struct Range {
    contains_null: i64,
    min_value: Option<String>,
    max_value: Option<String>,
}

#[tokio::test]
async fn the_books_of_ducklake_are_kept() {
    for scene in lakes().await {
        let store = &scene.store;
        scene
            .change(&[sales("a", ("p1", "p5"), 9, (-2, 9))], &[], NOON)
            .await;
        let files = [
            sales("b", ("p0", "p4"), 10, (-10, 1)),
            sales("c", ("p5", "p7"), 10, (1, 10)),
        ];
        let last = scene.change(&files, &[0], NOON).await;
        let (books, quantity, load, region, changes) = store
            .transact(async |tx: &Tx| {
                let books = "SELECT record_count, next_row_id, file_size_bytes \
                    FROM ducklake_table_stats WHERE table_id = 1";
                let range = "SELECT contains_null, min_value, max_value \
                    FROM ducklake_table_column_stats WHERE table_id = 1 AND column_id = ?";
                Ok::<_, sql_store::StoreError>((
                    tx.one::<Books>(books, values![]).await?.unwrap(),
                    tx.one::<Range>(range, values![3]).await?.unwrap(),
                    tx.one::<Range>(range, values![10]).await?.unwrap(),
                    tx.one::<Range>(range, values![6]).await?.unwrap(),
                    tx.exists(
                        "SELECT 1 FROM ducklake_snapshot_changes WHERE snapshot_id = ? \
                         AND changes_made = 'inserted_into_table:1,deleted_from_table:1'",
                        values![last.0],
                    )
                    .await?,
                ))
            })
            .await
            .unwrap();
        let label = scene.label();
        let kept = Books {
            record_count: 20,
            next_row_id: 30,
            file_size_bytes: 2_000,
        };
        assert_eq!(books, kept, "{label}");
        let range = |contains_null, least: Option<&str>, greatest: Option<&str>| Range {
            contains_null,
            min_value: least.map(str::to_owned),
            max_value: greatest.map(str::to_owned),
        };
        assert_eq!(
            quantity,
            range(0, Some("-10"), Some("10")),
            "{label}: as numbers"
        );
        assert_eq!(load, range(0, Some("9"), Some("10")), "{label}: as numbers");
        assert_eq!(region, range(1, None, None), "{label}");
        assert!(changes, "{label}");
        let third = "SELECT row_id_start AS found FROM ducklake_data_file WHERE data_file_id = 2";
        assert_eq!(number(store, third).await, Some(20), "{label}");
        let next =
            "SELECT next_file_id AS found FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1";
        assert_eq!(number(store, next).await, Some(3), "{label}");
    }
}

#[tokio::test]
async fn who_looked_before_another_commit_looks_again() {
    for scene in lakes().await {
        let store = &scene.store;
        let base = scene.newest().await;
        scene
            .change(&[sales("a", ("p1", "p5"), 1, (1, 1))], &[], NOON)
            .await;
        let file = [sales("b", ("p1", "p5"), 2, (1, 1))];
        let stale = commit(store, base, &file, &[], NOON).await;
        assert_eq!(stale, Err(CommitError::Conflict), "{}", scene.label());
        let nothing = commit(store, base, &[], &[], NOON).await;
        assert_eq!(nothing, Err(CommitError::Conflict), "{}", scene.label());
        // Tables that nobody watches are in nobody's way.
        let change = Change {
            added: &file,
            ended: &[],
            note: "unwatched",
        };
        let unwatched = store
            .transact(async |tx: &Tx| lake::commit(tx, base, &[Table::Stock], change, NOON).await)
            .await;
        assert!(unwatched.is_ok(), "{unwatched:?}");
        let newest = scene.newest().await;
        scene.change(&[], &[0], NOON).await;
        let twice = commit(store, scene.newest().await, &[], &[0], NOON).await;
        assert_eq!(twice, Err(CommitError::Conflict), "ended twice");
        let late = commit(store, newest, &[], &[1], NOON).await;
        assert_eq!(late, Err(CommitError::Conflict), "ended since");
    }
}

#[tokio::test]
async fn a_commit_of_another_engine_is_seen() {
    for scene in lakes().await {
        let store = &scene.store;
        let base = scene.newest().await;
        run(
            store,
            "INSERT INTO ducklake_snapshot VALUES (2, '2026-11-21 12:00:07.5+00', 1, 6, 1)",
        )
        .await;
        run(
            store,
            "INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, path, \
             record_count, file_size_bytes) VALUES (0, 1, 2, 'x.parquet', 1, 1)",
        )
        .await;
        let stale = commit(store, base, &[], &[], NOON).await;
        assert_eq!(stale, Err(CommitError::Conflict), "{}", scene.label());
        let newest = lake::latest(store, &[Table::Sales]).await.unwrap().unwrap();
        assert_eq!(newest.id, SnapshotId(2));
        let at = UtcMillis::parse("2026-11-21T12:00:07.500Z").unwrap();
        assert_eq!(newest.committed, at);
        assert_eq!(scene.names(newest.id).await, ["x.parquet"]);
    }
}

#[tokio::test]
async fn commits_at_once_all_get_in_one_after_the_other() {
    for scene in lakes().await {
        let mut stores = Vec::new();
        for _ in 0..6 {
            stores.push(scene.beside().await);
        }
        let change = |index: usize| [sales(&format!("f{index}"), ("a", "b"), 1, (1, 1))];
        let base = scene.newest().await;
        let local = tokio::task::LocalSet::new();
        let outcomes = local
            .run_until(async {
                let mut tasks = tokio::task::JoinSet::new();
                for (index, store) in stores.into_iter().enumerate() {
                    tasks.spawn_local(async move {
                        let mut base = base;
                        let mut tries = 0;
                        loop {
                            tries += 1;
                            match commit(&store, base, &change(index), &[], NOON).await {
                                Err(CommitError::Conflict) => {
                                    base = lake::newest_snapshot(&store).await.unwrap().unwrap().id;
                                }
                                other => return (other, tries),
                            }
                        }
                    });
                }
                tasks.join_all().await
            })
            .await;
        let label = scene.label();
        assert!(
            outcomes.iter().all(|(end, _)| end.is_ok()),
            "{label}: {outcomes:?}"
        );
        let mut snapshots: Vec<i64> = outcomes
            .iter()
            .map(|(end, _)| end.as_ref().unwrap().0)
            .collect();
        snapshots.sort_unstable();
        assert_eq!(snapshots, [2, 3, 4, 5, 6, 7], "{label}");
        assert_eq!(scene.names(SnapshotId(7)).await.len(), 6, "{label}");
        let ids = "SELECT COUNT(DISTINCT row_id_start) AS found FROM ducklake_data_file";
        assert_eq!(number(&scene.store, ids).await, Some(6), "{label}");
    }
}
