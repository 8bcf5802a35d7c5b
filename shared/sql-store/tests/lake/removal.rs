//! Files go a day after they ended, and a snapshot that lost files says so.

use domain::lake::{SnapshotId, Table};
use sql_store::lake::{self, FilesError};

use crate::scene::{NOON, lakes, number, sales};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn an_ended_file_goes_a_day_later_and_its_snapshots_with_it() {
    for scene in lakes().await {
        let (store, label) = (&scene.store, scene.label());
        let first = scene
            .change(
                &[
                    sales("a", ("p1", "p5"), 1, (1, 1)),
                    sales("b", ("p6", "p7"), 1, (1, 1)),
                ],
                &[],
                NOON,
            )
            .await;
        let second = scene
            .change(
                &[sales("c", ("p1", "p5"), 2, (1, 1))],
                &[0],
                NOON.plus_millis(HOUR_MS),
            )
            .await;
        let third = scene.change(&[], &[1], NOON.plus_millis(2 * HOUR_MS)).await;

        let early = NOON.plus_millis(HOUR_MS - 1);
        assert!(!lake::expire(store, early, NOON).await.unwrap());
        assert_eq!(lake::scheduled(store, 10).await.unwrap(), [], "{label}");
        assert_eq!(scene.names(first).await.len(), 2, "{label}");

        let between = NOON.plus_millis(HOUR_MS);
        assert!(
            !lake::expire(store, between, NOON.plus_days(1))
                .await
                .unwrap()
        );
        let leaving = lake::scheduled(store, 10).await.unwrap();
        assert_eq!(leaving.len(), 1, "{label}");
        assert_eq!((leaving[0].id, leaving[0].name.as_str()), (0, "a.parquet"));
        let gone = lake::files_at(store, Table::Sales, first).await;
        assert_eq!(gone, Err(FilesError::SnapshotGone), "{label}");
        assert_eq!(scene.names(second).await, ["b.parquet", "c.parquet"]);
        assert_eq!(scene.names(third).await, ["c.parquet"]);
        let oldest = "SELECT MIN(snapshot_id) AS found FROM ducklake_snapshot";
        assert_eq!(number(store, oldest).await, Some(second.0), "{label}");

        let known = lake::known_files(
            store,
            Table::Sales,
            &["a.parquet", "b.parquet", "x.parquet"],
        );
        let known: Vec<String> = known.await.unwrap().into_iter().collect();
        assert_eq!(known, ["a.parquet", "b.parquet"], "{label}");
        lake::forget(store, &[0]).await.unwrap();
        assert_eq!(lake::scheduled(store, 10).await.unwrap(), [], "{label}");
        let known = lake::known_files(store, Table::Sales, &["a.parquet"])
            .await
            .unwrap();
        assert!(known.is_empty(), "{label}");
    }
}

#[tokio::test]
async fn a_lake_that_nobody_changed_for_long_keeps_its_version_and_its_files() {
    for scene in lakes().await {
        let (store, label) = (&scene.store, scene.label());
        scene
            .change(
                &[
                    sales("a", ("p1", "p5"), 1, (1, 1)),
                    sales("b", ("p1", "p5"), 1, (1, 1)),
                ],
                &[],
                NOON,
            )
            .await;
        let last = scene.change(&[], &[0], NOON).await;
        assert!(
            !lake::expire(store, NOON.plus_days(9), NOON.plus_days(10))
                .await
                .unwrap()
        );
        let newest = lake::latest(store, &[Table::Sales]).await.unwrap().unwrap();
        assert_eq!((newest.id, newest.committed), (last, NOON), "{label}");
        assert_eq!(scene.names(last).await, ["b.parquet"], "{label}");
        assert_eq!(
            scene.newest().await,
            last,
            "{label}: the newest snapshot stays"
        );
        let next = scene
            .change(
                &[sales("c", ("p1", "p5"), 2, (1, 1))],
                &[],
                NOON.plus_days(10),
            )
            .await;
        assert_eq!(next, SnapshotId(last.0 + 1), "{label}");
        assert_eq!(
            scene.names(next).await,
            ["b.parquet", "c.parquet"],
            "{label}"
        );
    }
}
