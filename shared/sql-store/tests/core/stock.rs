//! One stock: the newest level wins in any order, and a crossing alerts once.

use std::collections::BTreeMap;

use domain::{
    identity::ProductId,
    stock::{Change, Level, Limits, LowReason},
    time::{Day, UtcMillis},
};
use proptest::{prelude::*, test_runner::TestRunner};
use sql_store::{
    FromQueryResult, Store, Tx,
    stock::{alerts, levels, note_sales, record_level, sold_before},
    values,
};

use crate::stores::{NOON, Scissors, fresh, rows, run};

const USUAL: Limits = Limits {
    threshold_units: 5,
    cover_days: 7,
};

fn level(product: &str, units: i64, told_ms: i64, minimum: Option<i64>) -> Level {
    let product = ProductId::parse(product).unwrap();
    let level = Level::new(product, units, UtcMillis::new(told_ms).unwrap()).unwrap();
    match minimum {
        Some(minimum) => level.with_minimum(minimum).unwrap(),
        None => level,
    }
}

async fn record(store: &Store, units: i64, told_ms: i64) -> Change {
    let level = level("p", units, told_ms, None);
    let now = NOON.plus_millis(told_ms);
    record_level(store, &level, USUAL, now).await.unwrap()
}

/// What does not depend on the order of arrival.
async fn state(store: &Store) -> Vec<(String, i64, i64, Option<i64>, Option<String>)> {
    let page = levels(store, None, None, 100).await.unwrap();
    let rows = page.rows.into_iter();
    rows.map(|row| {
        (
            row.product_id,
            row.units,
            row.told_ms,
            row.minimum_units,
            row.low_reason,
        )
    })
    .collect()
}

#[derive(FromQueryResult)]
struct Kind {
    event_type: String,
}

/// The events of the outbox in their order.
async fn events(store: &Store) -> Vec<String> {
    let sql = "SELECT event_type FROM outbox ORDER BY aggregate_key, version";
    let found = store.transact(async |tx: &Tx| tx.all::<Kind>(sql, values![]).await);
    let found = found.await.unwrap().into_iter();
    found.map(|row| row.event_type).collect()
}

async fn empty(store: &Store) {
    let tables = ["stock", "stock_alerts", "product_sales", "outbox"];
    let statements = tables.map(|table| format!("DELETE FROM {table}"));
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run(store, &statements).await;
}

#[tokio::test]
async fn an_alert_comes_with_each_crossing_and_not_with_each_message() {
    for fresh in fresh().await {
        let low = Change::BecameLow(LowReason::Threshold);
        let story = [
            (1, 9, Change::Level),
            (2, 5, low),
            (3, 4, Change::Level),
            (3, 4, Change::None),
            (2, 90, Change::None),
            (5, 6, Change::Recovered),
            (6, 0, low),
        ];
        for (told_ms, units, expected) in story {
            let change = record(&fresh.store, units, told_ms).await;
            assert_eq!(change, expected, "{}: {told_ms}", fresh.label());
        }
        let expected = ["estoque.baixo", "estoque.reposto", "estoque.baixo"];
        assert_eq!(events(&fresh.store).await, expected);
        let all = alerts(&fresh.store, false, None, 10).await.unwrap().rows;
        assert_eq!(all.len(), 2);
        let open = alerts(&fresh.store, true, None, 10).await.unwrap().rows;
        assert_eq!((open.len(), open[0].units), (1, 0));
        let first = alerts(&fresh.store, false, None, 1).await.unwrap();
        assert!(first.has_more);
        let before = Some(first.rows[0].id.as_str());
        let second = alerts(&fresh.store, false, before, 1).await.unwrap();
        assert_eq!(second.rows[0].ended_ms, Some(NOON.get() + 5));
    }
}

#[tokio::test]
async fn a_stock_that_lasts_too_few_days_is_low() {
    let day = |text| Day::parse(text).unwrap();
    for fresh in fresh().await {
        let store = &fresh.store;
        let note = async |sold, until| note_sales(store, "p", sold, until, USUAL, NOON).await;
        assert_eq!(note(10, day("2026-11-18")).await, Ok(Change::None));
        assert_eq!(record(store, 20, 1).await, Change::Level, "56 days");
        let low = Change::BecameLow(LowReason::Cover);
        assert_eq!(note(100, day("2026-11-19")).await, Ok(low), "5 days");
        assert_eq!(note(0, day("2026-11-17")).await, Ok(Change::Level), "older");
        assert_eq!(record(store, 19, 2).await, Change::Level);
        assert_eq!(record(store, 25, 3).await, Change::Recovered, "7 days");
        assert_eq!(sold_before(store, day("2026-11-19"), 9).await, Ok(vec![]));
        let left = sold_before(store, day("2026-11-20"), 9).await;
        assert_eq!(left, Ok(vec!["p".to_owned()]));
    }
}

#[tokio::test]
async fn a_products_own_minimum_is_the_newest_that_was_told() {
    for fresh in fresh().await {
        let told = async |units, told_ms, minimum| {
            let level = level("p", units, told_ms, minimum);
            record_level(&fresh.store, &level, USUAL, NOON)
                .await
                .unwrap()
        };
        assert_eq!(told(8, 5, None).await, Change::Level);
        // An older message that tells a minimum: the level stays, the minimum counts.
        let low = Change::BecameLow(LowReason::Threshold);
        assert_eq!(told(90, 4, Some(8)).await, low);
        assert_eq!(told(90, 3, Some(0)).await, Change::None);
        assert_eq!(told(8, 6, Some(7)).await, Change::Recovered);
    }
}

/// Levels of two products: times and units often meet.
fn histories() -> impl Strategy<Value = Vec<Level>> {
    let one = (0..2_u8, 0..12_i64, 1..8_i64, prop::option::of(0..9_i64));
    let one = one.prop_map(|(product, units, told_ms, minimum)| {
        let product = if product == 0 { "a" } else { "b" };
        level(product, units, told_ms, minimum)
    });
    prop::collection::vec(one, 1..10)
}

/// The same in another order, some twice, and where a process dies.
fn shuffled(all: Vec<Level>) -> impl Strategy<Value = (Vec<Level>, Vec<Level>, Vec<usize>)> {
    let again = prop::collection::vec(prop::sample::select(all.clone()), 0..4);
    let cuts = prop::collection::vec(0..30_usize, 0..6);
    (Just(all.clone()), again, cuts).prop_flat_map(|(all, again, cuts)| {
        let mut delivered = all.clone();
        delivered.extend(again);
        (Just(all), Just(delivered).prop_shuffle(), Just(cuts))
    })
}

#[test]
fn whatever_the_order_the_repetitions_and_the_deaths_the_stock_is_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let all = runtime.block_on(fresh());
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let stories = histories().prop_flat_map(shuffled);
    let outcome = TestRunner::new(config).run(&stories, |(told, delivered, cuts)| {
        runtime.block_on(async {
            for fresh in &all {
                empty(&fresh.store).await;
                for level in &told {
                    record_level(&fresh.store, level, USUAL, NOON)
                        .await
                        .unwrap();
                }
                let expected = state(&fresh.store).await;
                empty(&fresh.store).await;
                let mut cuts = cuts.iter();
                for level in &delivered {
                    if let Some(cut) = cuts.next() {
                        // A process dies at this statement; the queue gives the message again.
                        let scissors = Scissors::cutting_at(*cut);
                        let dying = fresh.beside(scissors.options()).await;
                        let work = record_level(&dying, level, USUAL, NOON);
                        scissors.around(work).await;
                    }
                    record_level(&fresh.store, level, USUAL, NOON)
                        .await
                        .unwrap();
                }
                prop_assert_eq!(&state(&fresh.store).await, &expected);
                // Each alert that is open is its product's, and each event has its version once.
                let low = expected.iter().filter(|row| row.4.is_some()).count();
                let open = alerts(&fresh.store, true, None, 100).await.unwrap().rows;
                prop_assert_eq!(open.len(), low);
                let ended = rows(&fresh.store, "stock_alerts").await as usize - open.len();
                let mut kinds = BTreeMap::new();
                for kind in events(&fresh.store).await {
                    *kinds.entry(kind).or_insert(0) += 1;
                }
                let told = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
                prop_assert_eq!(told("estoque.baixo"), ended + open.len());
                prop_assert_eq!(told("estoque.reposto"), ended);
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

/// A shop's seeded year: sold, replenished, each level delivered up to three times and some late.
#[tokio::test]
async fn in_a_long_history_alerts_are_as_many_as_crossings() {
    for fresh in fresh().await {
        for seed in 1..=3_u64 {
            empty(&fresh.store).await;
            let mut random = seed;
            let mut next = |below: u64| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            let (mut units, mut was_low, mut crossings) = (40_i64, false, 0);
            let mut earlier: Vec<(i64, i64)> = Vec::new();
            for told_ms in 1..=200_i64 {
                if units <= 2 {
                    units += 40;
                } else {
                    units -= i64::try_from(next(4)).unwrap();
                }
                let is_low = units <= USUAL.threshold_units;
                crossings += i64::from(is_low && !was_low);
                was_low = is_low;
                for _ in 0..=next(3) {
                    record(&fresh.store, units, told_ms).await;
                }
                earlier.push((units, told_ms));
                let place = usize::try_from(next(earlier.len() as u64)).unwrap();
                let (units, told_ms) = earlier[place];
                record(&fresh.store, units, told_ms).await;
            }
            let told = rows(&fresh.store, "stock_alerts").await;
            assert!(crossings > 3, "seed {seed}");
            assert_eq!(told, crossings, "{} seed {seed}", fresh.label());
        }
    }
}
