//! The lake's files into a warehouse that speaks the protocol (PostgreSQL), against a plain model.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that can't go on must stop"
)]

mod lake;

use domain::{
    lake::{SnapshotId, Table},
    sales::{Grouping, Question},
    time::UtcMillis,
};
use lake::{Lake, Loading};
use testkit::{Random, postgres_schema};
use warehouse::{
    Tls, Warehouse, WarehouseError,
    sales::{answer, version},
    sync::{LiveFiles, Synced, sources, sync},
};

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00.250Z").unwrap()
}

async fn bring(
    warehouse: &Warehouse,
    step: &Loading,
    live: &[LiveFiles],
    snapshot: i64,
) -> Result<Synced, WarehouseError> {
    sync(
        warehouse,
        step,
        Table::Sales,
        live,
        SnapshotId(snapshot),
        now(),
    )
    .await
}

/// Every state of a lake that is loaded, replaced, cancelled and compacted at random is reached,
/// whichever states were left out, brought twice or broken off.
#[tokio::test]
async fn the_warehouse_holds_the_living_rows_whatever_was_left_out_or_repeated() {
    for seed in 0..12 {
        let Some(url) = postgres_schema().await else {
            return;
        };
        let warehouse = Warehouse::open(&url, Tls::Never).unwrap();
        let mut random = Random::new(seed);
        let mut lake = Lake::default();
        for snapshot in 1..=20 {
            lake.change(&mut random);
            let live = lake.live();
            let mut step = lake.loading();
            if random.one_in(3) {
                continue;
            }
            if random.one_in(4) {
                step.breaks = true;
                let broken = bring(&warehouse, &step, &live, snapshot).await;
                let nothing_new = live.iter().all(|one| one.files.is_empty());
                assert!(broken.is_err() || nothing_new || broken == Ok(Synced::default()));
                step.breaks = false;
            }
            bring(&warehouse, &step, &live, snapshot).await.unwrap();
            assert_eq!(
                lake::rows_of(&url).await,
                lake.rows(),
                "seed {seed}, {snapshot}"
            );
            if random.one_in(2) {
                let again = bring(&warehouse, &step, &live, snapshot).await.unwrap();
                assert_eq!(again, Synced::default(), "seed {seed}, {snapshot}");
            }
        }
    }
}

#[tokio::test]
async fn answers_are_those_of_the_rows_and_tell_their_version() {
    let Some(url) = postgres_schema().await else {
        return;
    };
    let warehouse = Warehouse::open(&url, Tls::Never).unwrap();
    let mut random = Random::new(99);
    let mut lake = Lake::default();
    for _ in 0..12 {
        lake.change(&mut random);
    }
    bring(&warehouse, &lake.loading(), &lake.live(), 41)
        .await
        .unwrap();
    let known = version(&warehouse).await.unwrap().unwrap();
    assert_eq!((known.id, known.committed), (SnapshotId(41), now()));
    let all = Question {
        grouping: Grouping::Product,
        from: None,
        to: None,
        region: None,
        category: None,
        product: None,
    };
    for grouping in [
        Grouping::Product,
        Grouping::Region,
        Grouping::Category,
        Grouping::Day,
        Grouping::Month,
    ] {
        for narrowed in [false, true] {
            let mut question = Question {
                grouping,
                ..all.clone()
            };
            if narrowed {
                question.from = Some(lake::day(3));
                question.to = Some(lake::day(40));
                question.region = Some("SP".to_owned());
            }
            let held = answer(&warehouse, SnapshotId(41), &question).await;
            let mut groups = held.unwrap().unwrap();
            let other = answer(&warehouse, SnapshotId(40), &question).await;
            assert_eq!(other.unwrap(), None);
            groups.sort_by(|one, other| one.key.cmp(&other.key));
            assert_eq!(groups, lake.answer(&question), "{question:?}");
        }
    }
}

#[tokio::test]
async fn a_warehouse_that_was_never_filled_has_no_version() {
    let Some(url) = postgres_schema().await else {
        return;
    };
    let warehouse = Warehouse::open(&url, Tls::Never).unwrap();
    assert_eq!(version(&warehouse).await.unwrap(), None);
    let nothing: Vec<LiveFiles> = sources(Table::Sales)
        .iter()
        .map(|&table| LiveFiles {
            table,
            files: Vec::new(),
        })
        .collect();
    let step = Lake::default().loading();
    bring(&warehouse, &step, &nothing, 7).await.unwrap();
    let known = version(&warehouse).await.unwrap().unwrap();
    assert_eq!(known.id, SnapshotId(7));
}

#[tokio::test]
async fn a_server_that_is_away_is_told_without_its_address() {
    let url = "postgresql://ana:s3nha@127.0.0.1:1/vendas";
    let warehouse = Warehouse::open(url, Tls::Never).unwrap();
    let away = version(&warehouse).await.unwrap_err();
    assert_eq!(away, WarehouseError::Unreachable);
    assert_eq!(away.to_string(), "the warehouse does not answer");
}
