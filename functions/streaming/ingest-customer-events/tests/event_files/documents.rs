//! Documents in MongoDB: whoever dies or is overtaken at whichever call, clicks are there once, and
//! nothing stays of who was erased.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel},
};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::shop::{FUNCTION, Letters, NOW, Places, Shop, sqs};
use documents::DocumentsError;
use domain::{
    customers::{News, Place},
    identity::CustomerId,
};
use lambda_kit::sqs::answer;
use serde_json::{Value, json};
use sql_store::{
    Options, StoreError, Tx,
    observer::{Point, StatementObserver},
    values,
};
use tokio::{sync::Notify, time::sleep};

/// What the calls of MongoDB are called, which stand between transactions.
const CALLS: [&str; 3] = ["find", "insert", "delete"];
/// More than there are in any run of a batch.
const MOST_POINTS: usize = 200;
/// How long an erasure has to get as far as it can before the instance goes on.
const LOCKED_FOR: Duration = Duration::from_millis(15);

/// Stops an instance at its n-th point, for ever or until it is told to go on.
struct Stop {
    at: usize,
    of_calls_alone: bool,
    passed: AtomicUsize,
    died: Notify,
    pause: Option<(Sender<()>, Mutex<Receiver<()>>)>,
}

impl Stop {
    fn death(at: usize) -> Arc<Self> {
        Arc::new(Self {
            at,
            of_calls_alone: false,
            passed: AtomicUsize::new(0),
            died: Notify::new(),
            pause: None,
        })
    }
}

impl StatementObserver for Stop {
    fn cuts_at(&self, point: Point<'_>) -> bool {
        let (Point::Before(name) | Point::After(name)) = point;
        if self.of_calls_alone && !CALLS.contains(&name) {
            return false;
        }
        if self.passed.fetch_add(1, Ordering::SeqCst) != self.at {
            return false;
        }
        let Some((reached, go_on)) = &self.pause else {
            self.died.notify_one();
            return true;
        };
        reached.send(()).unwrap();
        go_on.lock().unwrap().recv().unwrap();
        false
    }
}

fn click(id: &str, user: &str, product: &str) -> String {
    json!({"id_evento": id, "id_usuario": user, "tipo_evento": "clique", "id_produto": product,
        "timestamp": NOW.plus_millis(-60_000).to_string()})
    .to_string()
}

fn observed(by: &Arc<Stop>) -> Options {
    Options {
        observer: Some(by.clone()),
        ..Options::default()
    }
}

async fn deliver(places: &Places, options: Options, event: Value) -> bool {
    let instance = places.instance(options).await;
    let letters = Letters::default();
    let answer = answer(FUNCTION, &letters, &instance, event, NOW).await;
    answer.unwrap()["batchItemFailures"] == json!([])
}

/// Whether it was done before it died.
async fn deliver_until(shop: &Shop, at: usize, event: Value) -> bool {
    let death = Stop::death(at);
    let places = shop.places();
    tokio::select! {
        biased;
        done = deliver(&places, observed(&death), event) => { assert!(done); true }
        () = death.died.notified() => false,
    }
}

async fn customer(shop: &Shop, id: &str) {
    let insert = async |tx: &Tx| {
        tx.execute(
            "INSERT INTO customers (customer_id, version, deleted, region, registered_ms, \
             updated_ms) VALUES (?, 1, 0, 'BA', 0, 0)",
            values![id],
        )
        .await
    };
    let inserted = shop.store.transact::<_, StoreError, _>(insert).await;
    inserted.unwrap();
}

fn deletion(id: &str) -> News {
    News {
        customer: CustomerId::parse(id).unwrap(),
        version: Some(2),
        place: Place {
            partition: 0,
            offset: 1,
            recorded: NOW,
        },
        profile: None,
    }
}

/// An instance in a thread of its own that waits at its n-th point.
struct Paused {
    stop: Arc<Stop>,
    goes_on: Sender<()>,
    instance: JoinHandle<bool>,
}

impl Paused {
    /// Comes back when it waits, or is done with fewer points.
    async fn at(at: usize, of_calls_alone: bool, places: Places, event: Value) -> Self {
        let (reached, waits) = channel();
        let (goes_on, go_on) = channel();
        let stop = Arc::new(Stop {
            at,
            of_calls_alone,
            passed: AtomicUsize::new(0),
            died: Notify::new(),
            pause: Some((reached, Mutex::new(go_on))),
        });
        let options = observed(&stop);
        let instance = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(deliver(&places, options, event))
        });
        while waits.try_recv().is_err() && !instance.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
        Self {
            stop,
            goes_on,
            instance,
        }
    }

    /// Whether it had fewer points.
    fn goes_on(self) -> bool {
        self.goes_on.send(()).ok();
        assert!(self.instance.join().unwrap());
        self.stop.passed.load(Ordering::SeqCst) <= self.stop.at
    }
}

#[tokio::test]
async fn who_loses_against_another_content_takes_its_click_back_wherever_it_died() {
    let Some(shop) = Shop::in_mongodb().await else {
        return;
    };
    let mut is_done = false;
    let mut at = 0;
    while !is_done {
        assert!(at < MOST_POINTS);
        let clicks = |product| {
            let id = |number| format!("e{at}-{number}");
            sqs((0..3).map(|number| click(&id(number), &format!("u{at}"), product)))
        };
        is_done = deliver_until(&shop, at, clicks("primeiro")).await;
        assert!(deliver(&shop.places(), Options::default(), clicks("outro")).await);
        assert!(deliver(&shop.places(), Options::default(), clicks("primeiro")).await);
        let user = format!("u{at}");
        let noted = shop.clicks(&[("user_id", Some(&user))]).await;
        assert_eq!(noted, 3, "point {at}");
        // After a statement is before the next one.
        at += 2;
    }
    assert!(at > 20, "{at} points");
}

#[tokio::test]
async fn nothing_stays_of_who_is_erased_while_an_instance_waits_at_any_call() {
    let Some(shop) = Shop::in_mongodb().await else {
        return;
    };
    let mut at = 0;
    loop {
        let (ana, rui) = (format!("ana{at}"), format!("rui{at}"));
        for id in [&ana, &rui] {
            customer(&shop, id).await;
        }
        let event = sqs([
            click(&format!("a{at}"), &ana, "p"),
            click(&format!("r{at}"), &rui, "p"),
        ]);
        let paused = Paused::at(at, true, shop.places(), event).await;
        let erasure = shop.documents.sync_customers(&[deletion(&ana)], NOW).await;
        assert_eq!(erasure.unwrap().deleted, 1);
        let is_past = paused.goes_on();
        assert_eq!(
            shop.clicks(&[("user_id", Some(&ana))]).await,
            0,
            "call {at}"
        );
        assert_eq!(
            shop.clicks(&[("user_id", Some(&rui))]).await,
            1,
            "call {at}"
        );
        let places = i64::try_from(at + 1).unwrap();
        assert_eq!(shop.profiles().await, places, "call {at}");
        if is_past {
            break;
        }
        at += 1;
    }
    assert!(at >= 6, "{at} points at calls");
}

#[tokio::test]
async fn nothing_stays_of_who_is_erased_wherever_instance_and_erasure_died() {
    let Some(shop) = Shop::in_mongodb().await else {
        return;
    };
    for at in 0..MOST_POINTS {
        let ana = format!("ana{at}");
        customer(&shop, &ana).await;
        let event = sqs([click(&format!("a{at}"), &ana, "p")]);
        let is_done = deliver_until(&shop, at, event.clone()).await;
        let news = [deletion(&ana)];
        // After a statement is before the next one: so each of the two meets each place.
        if at % 2 == 0 {
            // SQL has erased, and who was to erase the documents is dead.
            let erased = sql_store::customers::sync(&shop.store, &news, NOW).await;
            assert_eq!(erased.unwrap().deleted, 1);
            assert!(deliver(&shop.places(), Options::default(), event).await);
            let again = shop.documents.sync_customers(&news, NOW).await;
            assert_eq!(again.unwrap().deleted, 0);
        } else {
            let erased = shop.documents.sync_customers(&news, NOW).await;
            assert_eq!(erased.unwrap().deleted, 1);
            assert!(deliver(&shop.places(), Options::default(), event).await);
        }
        assert_eq!(shop.clicks(&[]).await, 0, "point {at}");
        assert_eq!(shop.profiles().await, 0, "point {at}");
        if is_done {
            assert!(at > 20, "{at} points");
            return;
        }
    }
    panic!("more than {MOST_POINTS} points");
}

#[tokio::test]
async fn nothing_stays_in_sql_of_who_is_erased_while_an_instance_waits_at_any_statement() {
    for shop in Shop::everywhere().await {
        if shop.has_mongodb() {
            continue;
        }
        // After a statement is before the next one.
        for at in (0..MOST_POINTS).step_by(2) {
            let ana = format!("ana{at}");
            customer(&shop, &ana).await;
            let event = sqs([click(&format!("a{at}"), &ana, "p")]);
            let paused = Paused::at(at, false, shop.places(), event).await;
            let news = [deletion(&ana)];
            let erases = shop.documents.sync_customers(&news, NOW);
            // It may have to wait for what the instance holds.
            let goes_on = async {
                sleep(LOCKED_FOR).await;
                tokio::task::spawn_blocking(|| paused.goes_on())
                    .await
                    .unwrap()
            };
            let (erased, is_past) = futures::join!(erases, goes_on);
            assert_eq!(erased.unwrap().deleted, 1);
            let label = format!("point {at} on {}", shop.label);
            assert_eq!(shop.clicks(&[]).await, 0, "{label}");
            assert_eq!(shop.profiles().await, 0, "{label}");
            if is_past {
                break;
            }
        }
    }
}

#[tokio::test]
async fn while_mongodb_is_away_a_batch_comes_again_and_nothing_of_it_is_there() {
    let shop = Shop::everywhere().await.swap_remove(0);
    let mut away = shop.places();
    away.mongodb = Some(testkit::unreachable_mongodb("segredo", "segredo"));
    let event = sqs([click("e1", "ana", "p")]);
    assert!(!deliver(&away, Options::default(), event.clone()).await);
    assert_eq!(shop.sum("events").await, 0);
    assert!(deliver(&shop.places(), Options::default(), event).await);
    assert_eq!((shop.sum("events").await, shop.clicks(&[]).await), (1, 1));
    assert!(DocumentsError::Unreachable.is_transient());
}
