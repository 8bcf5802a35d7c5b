//! Histories of batches by seed: events come twice, late, out of order and to several instances at
//! once, and instances die at any statement. A plain model says what must be there in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::shop::{FUNCTION, NOW, Shop, sqs};
use lambda_kit::sqs::answer;
use serde_json::json;
use sql_store::{
    Options,
    observer::{Point, StatementObserver},
};
use testkit::Random;
use tokio::sync::Notify;

const SEEDS: u64 = 5;
const SEEDS_IN_MONGODB: u64 = 2;
const STEPS: usize = 14;
/// More than there are in any run of a batch.
const POINTS: usize = 60;

/// Ends an instance at its n-th point.
struct Death {
    at: usize,
    passed: AtomicUsize,
    came: Notify,
}

impl StatementObserver for Death {
    fn cuts_at(&self, _: Point<'_>) -> bool {
        let dies = self.passed.fetch_add(1, Ordering::SeqCst) == self.at;
        if dies {
            self.came.notify_one();
        }
        dies
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    number: u64,
    is_altered: bool,
}

impl Said {
    /// User, kind and time follow from the number, so that it doesn't matter which content won.
    fn body(&self) -> String {
        let number = self.number;
        let kind = ["clique", "clique", "carrinho", "compra", "busca"][(number % 5) as usize];
        let minutes_ago = if number.is_multiple_of(7) {
            90
        } else {
            number as i64 % 50
        };
        let product = if self.is_altered {
            "outro".to_owned()
        } else {
            format!("p{}", number % 9)
        };
        json!({
            "id_evento": format!("e{number}"), "id_usuario": format!("u{}", number % 11),
            "tipo_evento": kind, "id_produto": product,
            "timestamp": NOW.plus_millis(-minutes_ago * 60_000).to_string(),
        })
        .to_string()
    }
}

/// What came of each number.
#[derive(Default)]
struct Model {
    said: BTreeMap<u64, BTreeSet<bool>>,
}

impl Model {
    fn count(&self, counts: impl Fn(u64) -> bool) -> i64 {
        let found = self.said.keys().filter(|number| counts(**number)).count();
        i64::try_from(found).unwrap()
    }
}

async fn deliver(shop: &Shop, batch: &[Said], dies_at: Option<usize>) -> bool {
    let death = Arc::new(Death {
        at: dies_at.unwrap_or(usize::MAX),
        passed: AtomicUsize::new(0),
        came: Notify::new(),
    });
    let options = Options {
        observer: Some(death.clone()),
        ..Options::default()
    };
    let instance = shop.instance(options).await;
    let event = sqs(batch.iter().map(Said::body));
    let work = answer(FUNCTION, &shop.letters, &instance, event, NOW);
    tokio::select! {
        biased;
        answer = work => answer.unwrap()["batchItemFailures"].as_array().unwrap().is_empty(),
        () = death.came.notified() => false,
    }
}

fn batch(random: &mut Random, known: u64) -> Vec<Said> {
    let length = 1 + random.below(12);
    (0..length)
        .map(|_| Said {
            number: random.below(known + 8),
            is_altered: random.one_in(12),
        })
        .collect()
}

async fn history(shop: &Shop, seed: u64, label: &str) {
    let mut random = Random::new(seed);
    let mut waiting: Vec<Vec<Said>> = Vec::new();
    let mut model = Model::default();
    for step in 0..STEPS {
        let known = (step as u64) * 6;
        waiting.extend((0..1 + random.below(3)).map(|_| batch(&mut random, known)));
        // Up to three instances at once, each with a batch from anywhere in the queue.
        let mut taken = Vec::new();
        while taken.len() < 3 && !waiting.is_empty() {
            let place = random.below(waiting.len());
            let dies = random.one_in(3);
            let at = dies.then(|| random.below(POINTS));
            taken.push((waiting.swap_remove(place), at));
        }
        let runs = taken.iter().map(|(batch, at)| deliver(shop, batch, *at));
        let outcomes = futures::future::join_all(runs).await;
        for ((batch, _), is_done) in taken.into_iter().zip(outcomes) {
            // A queue gives again what was not acknowledged, and sometimes what was.
            if !is_done || random.one_in(5) {
                waiting.push(batch.clone());
            }
            for said in batch {
                model
                    .said
                    .entry(said.number)
                    .or_default()
                    .insert(said.is_altered);
            }
        }
    }
    for batch in &waiting {
        assert!(deliver(shop, batch, None).await, "{label}");
    }
    for said in waiting.iter().flatten() {
        model
            .said
            .entry(said.number)
            .or_default()
            .insert(said.is_altered);
    }
    check(shop, &model, label).await;
}

async fn check(shop: &Shop, model: &Model, label: &str) {
    let clicks = model.count(|number| number % 5 < 2);
    let late = model.count(|number| number % 7 == 0);
    let conflicts = model
        .said
        .values()
        .filter(|contents| contents.len() == 2)
        .count();
    assert_eq!(shop.sum("events").await, model.count(|_| true), "{label}");
    assert_eq!(shop.sum("clicks").await, clicks, "{label}");
    assert_eq!(
        shop.sum("carts").await,
        model.count(|number| number % 5 == 2),
        "{label}"
    );
    assert_eq!(shop.sum("late").await, late, "{label}");
    let rows = i64::try_from(shop.lake_rows().await).unwrap();
    assert_eq!(rows, model.count(|_| true), "{label}: rows of the lake");
    let marks = shop.number("SELECT COUNT(*) FROM ingested_events").await;
    assert_eq!(marks, model.count(|_| true), "{label}");
    assert_eq!(shop.clicks(&[]).await, clicks, "{label}");
    assert_eq!(
        shop.number("SELECT SUM(views) FROM product_views").await,
        clicks,
        "{label}"
    );
    let aside = shop.number("SELECT COUNT(*) FROM conflicting_events").await;
    assert_eq!(usize::try_from(aside).unwrap(), conflicts, "{label}");
    let live = shop.live().await;
    let is_live = |number: u64| !number.is_multiple_of(7);
    assert_eq!(
        i64::try_from(live.counts.events).unwrap(),
        model.count(is_live),
        "{label}"
    );
    let users: BTreeSet<u64> = model
        .said
        .keys()
        .filter(|number| is_live(**number))
        .map(|number| number % 11)
        .collect();
    assert_eq!(live.active.estimate().users, users.len() as u64, "{label}");
    assert!(shop.letters.sent.borrow().is_empty(), "{label}");
}

#[tokio::test]
async fn whatever_comes_twice_late_or_meanwhile_and_whoever_dies_the_effects_are_there_once() {
    for seed in 0..SEEDS {
        let mut shops = Shop::everywhere().await;
        // Its own enumerations stand in documents.rs.
        shops.retain(|shop| seed < SEEDS_IN_MONGODB || !shop.has_mongodb());
        for shop in shops {
            let label = format!("seed {seed} on {}", shop.label);
            history(&shop, seed, &label).await;
        }
    }
}

#[tokio::test]
async fn a_death_at_each_statement_in_turn_leaves_all_or_nothing() {
    for shop in Shop::everywhere().await {
        let (mut at, mut clicks) = (0, 0);
        loop {
            let from = 100 * at as u64;
            let said: Vec<Said> = (from..from + 12)
                .map(|number| Said {
                    number,
                    is_altered: false,
                })
                .collect();
            let before = shop.sum("events").await;
            let is_done = deliver(&shop, &said, Some(at)).await;
            let label = format!("point {at} on {}", shop.label);
            let after = shop.sum("events").await;
            assert!(after == before || after == before + 12, "{label}");
            assert_eq!(
                i64::try_from(shop.lake_rows().await).unwrap(),
                after,
                "{label}"
            );
            assert!(deliver(&shop, &said, None).await, "{label}");
            assert_eq!(shop.sum("events").await, before + 12, "{label}");
            clicks += said.iter().filter(|said| said.number % 5 < 2).count();
            let noted = usize::try_from(shop.clicks(&[]).await).unwrap();
            assert_eq!(noted, clicks, "{label}");
            if is_done {
                break;
            }
            at += 1;
        }
        assert!(at > 20, "{}: {at} points", shop.label);
    }
}
