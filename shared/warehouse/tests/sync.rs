//! The lake's files into a warehouse that speaks the protocol (PostgreSQL), against a plain model.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that can't go on must stop"
)]

mod lake;

use domain::{
    lake::{DataFile, Snapshot, SnapshotId, Table},
    sales::{Grouping, Question},
    time::UtcMillis,
};
use lake::{Lake, Loading};
use testkit::{Random, postgres_schema};
use tokio::sync::Notify;
use tokio_postgres::NoTls;
use warehouse::{
    Tls, Warehouse, WarehouseError,
    sales::{answer, version},
    sync::{LiveFiles, LoadStep, Statements, Synced, sources, sync},
};

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00.250Z").unwrap()
}

async fn bring(
    warehouse: &Warehouse,
    step: &impl LoadStep,
    live: &[LiveFiles],
    snapshot: i64,
) -> Result<Synced, WarehouseError> {
    let snapshot = Snapshot {
        id: SnapshotId(snapshot),
        committed: now(),
    };
    sync(warehouse, step, Table::Sales, live, snapshot).await
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

/// Begins to load, says so, and goes on when it is told.
struct Held<'a> {
    step: Loading,
    begun: &'a Notify,
    goes_on: &'a Notify,
}

impl LoadStep for Held<'_> {
    fn create_statement(&self, statement: &str) -> String {
        self.step.create_statement(statement)
    }

    async fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        table: Table,
        files: &[DataFile],
    ) -> Result<(), WarehouseError> {
        self.begun.notify_one();
        self.goes_on.notified().await;
        self.goes_on.notify_one();
        self.step.load(database, staging, table, files).await
    }
}

/// Until somebody waits for a lock of this schema's `feira_arquivos`.
async fn somebody_waits(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let waits = "SELECT 1 FROM pg_locks WHERE NOT granted \
        AND relation = to_regclass('feira_arquivos')";
    let mut looks = 0;
    while client.query(waits, &[]).await.unwrap().is_empty() {
        looks += 1;
        assert!(looks < 500, "nobody waited");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Redshift takes a transaction's snapshot with its first statement, as PostgreSQL does where it is
/// told to: who waited for the other one then must see what that one did.
#[tokio::test]
async fn two_at_once_bring_each_row_once() {
    let Some(url) = postgres_schema().await else {
        return;
    };
    let mut random = Random::new(5);
    let mut lake = Lake::default();
    for _ in 0..3 {
        lake.change(&mut random);
    }
    let first = Warehouse::open(&url, Tls::Never).unwrap();
    bring(&first, &lake.loading(), &lake.live(), 1)
        .await
        .unwrap();
    while lake.live().iter().all(|one| one.files.is_empty()) || lake.rows().is_empty() {
        lake.change(&mut random);
    }
    lake.change(&mut random);
    let strict = format!("{url}%20-cdefault_transaction_isolation%3Drepeatable%5C%20read");
    let (one, other) = (
        Warehouse::open(&strict, Tls::Never).unwrap(),
        Warehouse::open(&strict, Tls::Never).unwrap(),
    );
    let (begun, goes_on) = (Notify::new(), Notify::new());
    let held = Held {
        step: lake.loading(),
        begun: &begun,
        goes_on: &goes_on,
    };
    let (live, late) = (lake.live(), lake.loading());
    let (one, other, ()) = tokio::join!(
        bring(&one, &held, &live, 2),
        async {
            begun.notified().await;
            bring(&other, &late, &live, 2).await
        },
        async {
            somebody_waits(&url).await;
            goes_on.notify_one();
        }
    );
    assert!(one.unwrap().inserted_rows > 0);
    assert_eq!(other.unwrap(), Synced::default());
    assert_eq!(lake::rows_of(&url).await, lake.rows());
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
