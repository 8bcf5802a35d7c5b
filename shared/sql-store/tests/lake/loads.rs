//! The ledger of loads.

use domain::{
    lake::SnapshotId,
    sales::{FileRank, Sums},
};
use sql_store::{
    Store, StoreError, Tx, products,
    sales_loads::{self, EndError, FileVersion, LoadCounts, LoadStatus, Report},
};

use crate::scene::{NOON, lakes};

const REPORT: Report<'static> = Report {
    counts: LoadCounts {
        read: 12,
        kept: 11,
        quarantined: 1,
        sums: Sums {
            quantity: 30,
            revenue_centavos: -450,
            orders: 7,
        },
    },
    quarantine_key: Some("relatorios/x/quarentena.csv"),
    json: "{\"linhas\":12}",
};

fn version(key: &str, modified_ms: i64, etag: &str) -> FileVersion {
    FileVersion {
        bucket: "feira-vendas".to_owned(),
        key: key.to_owned(),
        modified_ms,
        etag: etag.to_owned(),
        size_bytes: 5,
    }
}

async fn finish(store: &Store, number: i64) -> Result<(), EndError> {
    store
        .transact(async |tx: &Tx| {
            sales_loads::finish(tx, number, REPORT, SnapshotId(4), NOON).await
        })
        .await
}

#[tokio::test]
async fn a_version_of_a_file_is_loaded_once_and_told_by_its_id() {
    for scene in lakes().await {
        let (store, label) = (&scene.store, scene.label());
        let file = version("vendas/dia.csv", 1_000, "e1");
        let load = sales_loads::begin(store, &file, NOON).await.unwrap();
        assert_eq!(
            (load.number, load.status),
            (1, LoadStatus::Loading),
            "{label}"
        );
        let again = sales_loads::begin(store, &file, NOON.plus_days(1))
            .await
            .unwrap();
        assert_eq!(again, load, "{label}: a run that died is taken up");
        finish(store, 1).await.unwrap();
        assert_eq!(
            finish(store, 1).await,
            Err(EndError::AlreadyEnded),
            "{label}"
        );
        let late = sales_loads::refuse(store, 1, REPORT, NOON).await;
        assert_eq!(late, Err(EndError::AlreadyEnded), "{label}");

        let told = sales_loads::find(store, &load.id).await.unwrap().unwrap();
        assert_eq!(told.status, LoadStatus::Loaded);
        assert_eq!(told.counts, REPORT.counts);
        assert_eq!(told.report.as_deref(), Some(REPORT.json));
        assert_eq!(told.snapshot, Some(SnapshotId(4)));
        assert_eq!(told.file, file);
        let repeated = sales_loads::begin(store, &file, NOON.plus_days(1))
            .await
            .unwrap();
        assert_eq!(repeated, told, "{label}: the first's report");
        assert_eq!(sales_loads::find(store, "01K").await.unwrap(), None);
        assert_eq!(sales_loads::newest_end(store).await.unwrap(), Some(NOON));
    }
}

#[tokio::test]
async fn versions_and_ranks_are_told_of_what_was_loaded() {
    for scene in lakes().await {
        let (store, label) = (&scene.store, scene.label());
        for (key, modified_ms, etag) in [
            ("vendas/a.csv", 2_000, "e1"),
            ("vendas/a.csv", 1_000, "e2"),
            ("vendas/a.csv", 3_000, "e3"),
            ("vendas/b.csv", 9_000, "e4"),
        ] {
            let file = version(key, modified_ms, etag);
            sales_loads::begin(store, &file, NOON).await.unwrap();
        }
        finish(store, 1).await.unwrap();
        finish(store, 2).await.unwrap();
        sales_loads::refuse(store, 3, REPORT, NOON).await.unwrap();
        let versions = store
            .transact(async |tx: &Tx| {
                sales_loads::loaded_versions(tx, "feira-vendas", "vendas/a.csv").await
            })
            .await
            .unwrap();
        let numbers: Vec<i64> = versions.iter().map(|version| version.number).collect();
        assert_eq!(
            numbers,
            [1, 2],
            "{label}: newest first, refused ones left out"
        );
        let ranks = sales_loads::ranks(store, &[1, 4, 77]).await.unwrap();
        let rank = |modified_ms, key: &str| FileRank {
            modified_ms,
            key: key.to_owned(),
        };
        let told: Vec<_> = ranks.into_iter().collect();
        assert_eq!(
            told,
            [
                (1, rank(2_000, "vendas/a.csv")),
                (4, rank(9_000, "vendas/b.csv"))
            ],
            "{label}"
        );
    }
}

#[tokio::test]
async fn files_that_come_at_once_get_numbers_of_their_own() {
    for scene in lakes().await {
        let mut stores = Vec::new();
        for _ in 0..4 {
            stores.push(scene.beside().await);
        }
        let begun = stores.iter().enumerate().map(|(index, store)| async move {
            // Two announcements of each of two files.
            let file = version(&format!("vendas/{}.csv", index % 2), 1, "e");
            sales_loads::begin(store, &file, NOON).await.unwrap().number
        });
        let mut numbers = futures::future::join_all(begun).await;
        assert_eq!(numbers[0], numbers[2], "{}", scene.label());
        assert_eq!(numbers[1], numbers[3], "{}", scene.label());
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers, [1, 2], "{}", scene.label());
    }
}

#[tokio::test]
async fn the_newest_category_of_a_product_counts() {
    for scene in lakes().await {
        let store = &scene.store;
        for (category, told) in [
            ("livros", NOON),
            ("velho", NOON.minus_days(1)),
            ("jogos", NOON.plus_days(1)),
        ] {
            store
                .transact(async |tx: &Tx| {
                    products::note_category(tx, "p1", category, told).await?;
                    Ok::<_, StoreError>(())
                })
                .await
                .unwrap();
        }
        let told = products::categories(store, &["p1", "p2"]).await.unwrap();
        let told: Vec<_> = told.into_iter().collect();
        assert_eq!(
            told,
            [("p1".to_owned(), "jogos".to_owned())],
            "{}",
            scene.label()
        );
        assert!(products::regions(store, &["x"]).await.unwrap().is_empty());
    }
}
