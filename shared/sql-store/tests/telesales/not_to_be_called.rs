//! Who says "never again" is not called again, whatever became of the contact during the call.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use super::*;
use domain::telesales::{CLAIM_DAYS, CallOutcome, LEASE_MS, NotYours};
use sql_store::{
    Options,
    observer::{Point, StatementObserver},
    telesales::{
        contacts::{TelesalesError, claim, end_call, list},
        retention::expire_contacts,
    },
};

const OLD_PHONE: &str = "11964166764";
const NEW_PHONE: &str = "11955555555";

impl Scene {
    async fn know(&self, id: &str, version: i64, phone: &str) {
        let row = contact(id, phone);
        let change = change(id, version, version, Some(row));
        self.apply(&[change], at(0)).await;
    }

    async fn claim(&self, by: &str, id: &str, now: UtcMillis) -> Result<UtcMillis, TelesalesError> {
        claim(&self.store, &agent(by), &contact_id(id), now).await
    }

    async fn end(
        &self,
        by: &str,
        id: &str,
        outcome: CallOutcome,
        now: UtcMillis,
    ) -> Result<(), TelesalesError> {
        end_call(&self.store, &agent(by), &contact_id(id), outcome, now).await
    }

    async fn never_again(&self, by: &str, id: &str, now: UtcMillis) -> Result<(), TelesalesError> {
        self.end(by, id, CallOutcome::DoNotCall, now).await
    }

    async fn is_not_to_be_called(&self, phone: &str) -> bool {
        let phone = Phone::parse(phone).unwrap();
        let mark = pseudonyms().of_phone(&phone);
        let found = format!("do_not_call WHERE phone_mark = '{mark}'");
        self.count(&found).await == 1
    }

    async fn outcomes(&self) -> i64 {
        self.count("access_log WHERE purpose = 'resultado'").await
    }
}

fn refused<T>(why: NotYours) -> Result<T, TelesalesError> {
    Err(TelesalesError::NotYours(why))
}

#[tokio::test]
async fn who_is_erased_during_the_call_is_not_called_again_all_the_same() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let label = database.label();
        scene.know("ana", 1, OLD_PHONE).await;
        scene.claim("a", "ana", at(1)).await.unwrap();
        scene.apply(&[change("ana", 0, 2, None)], at(2)).await;
        for outcome in CallOutcome::ALL {
            if outcome != CallOutcome::DoNotCall {
                let told = scene.end("a", "ana", outcome, at(3)).await;
                assert_eq!(told, Err(TelesalesError::Unknown), "{label}");
            }
        }
        let foreign = scene.never_again("b", "ana", at(3)).await;
        assert_eq!(foreign, Err(TelesalesError::Unknown), "{label}");
        assert_eq!(scene.count("do_not_call").await, 0, "{label}");
        for _ in 0..2 {
            let told = scene.never_again("a", "ana", at(4)).await;
            assert_eq!(told, Ok(()), "{label}");
        }
        assert!(scene.is_not_to_be_called(OLD_PHONE).await, "{label}");
        assert_eq!(scene.outcomes().await, 1, "{label}: told again");
        assert_eq!(scene.count("calls").await, 0, "{label}: they stay erased");
        scene.know("ana", 3, OLD_PHONE).await;
        let listed = list(&scene.store, &agent("b"), region("SP"), None, 10, at(5)).await;
        assert!(listed.unwrap().rows.is_empty(), "{label}");
        let claimed = scene.claim("a", "ana", at(5)).await;
        assert_eq!(claimed, Err(TelesalesError::Unknown), "{label}");
    }
}

#[tokio::test]
async fn the_phone_that_was_called_is_meant_and_the_new_one_too() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let label = database.label();
        for (id, phone) in [
            ("ana", OLD_PHONE),
            ("bia", OLD_PHONE),
            ("caio", "1132654321"),
        ] {
            scene.know(id, 1, phone).await;
        }
        scene.claim("a", "ana", at(1)).await.unwrap();
        scene.know("ana", 2, NEW_PHONE).await;
        scene.never_again("a", "ana", at(2)).await.unwrap();
        for phone in [OLD_PHONE, NEW_PHONE] {
            assert!(scene.is_not_to_be_called(phone).await, "{label}: {phone}");
        }
        let bia = scene.claim("b", "bia", at(3)).await;
        assert_eq!(bia, Err(TelesalesError::Unknown), "{label}");
        scene.claim("a", "caio", at(3)).await.unwrap();
        scene.know("caio", 2, "+55 (11) 3265-4321").await;
        scene.never_again("a", "caio", at(4)).await.unwrap();
        let marked = scene.count("do_not_call").await;
        assert_eq!(marked, 3, "{label}: a phone in another spelling");
    }
}

#[tokio::test]
async fn any_outcome_frees_the_phone_that_was_called() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let label = database.label();
        for id in ["ana", "bia", "caio"] {
            scene.know(id, 1, OLD_PHONE).await;
        }
        let (ana, bia) = (CallOutcome::CallBack, CallOutcome::NoAnswer);
        scene.claim("a", "ana", at(1)).await.unwrap();
        scene.know("ana", 2, NEW_PHONE).await;
        scene.end("a", "ana", ana, at(1)).await.unwrap();
        scene.claim("b", "bia", at(1)).await.unwrap();
        scene.end("b", "bia", bia, at(1)).await.unwrap();

        scene.know("ana", 3, OLD_PHONE).await;
        scene.claim("a", "ana", at(2)).await.unwrap();
        scene.know("ana", 4, NEW_PHONE).await;
        let early = scene.claim("b", "bia", at(2)).await;
        assert_eq!(early, refused(NotYours::Claimed), "{label}");
        scene.claim("a", "bia", at(3)).await.unwrap();
        scene.end("a", "ana", ana, at(4)).await.unwrap();
        let still = scene.claim("b", "caio", at(5)).await;
        assert_eq!(still, refused(NotYours::Claimed), "{label}: bia is called");
        scene.end("a", "bia", bia, at(6)).await.unwrap();
        assert!(scene.claim("b", "caio", at(7)).await.is_ok(), "{label}");
        assert_eq!(scene.count("do_not_call").await, 0, "{label}");
    }
}

#[tokio::test]
async fn who_told_a_final_outcome_may_still_say_never_again() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let last_words = [
            (CallOutcome::Sale, "11964166761"),
            (CallOutcome::NotInterested, "11964166762"),
            (CallOutcome::WrongNumber, "11964166763"),
        ];
        for (last, phone) in last_words {
            let id = last.as_str();
            let label = format!("{}: {id}", database.label());
            scene.know(id, 1, phone).await;
            scene.claim("a", id, at(1)).await.unwrap();
            scene.end("a", id, last, at(2)).await.unwrap();
            let foreign = scene.never_again("b", id, at(3)).await;
            assert_eq!(foreign, refused(NotYours::NotClaimed), "{label}");
            let before = scene.outcomes().await;
            for _ in 0..2 {
                let told = scene.never_again("a", id, at(3)).await;
                assert_eq!(told, Ok(()), "{label}");
            }
            assert_eq!(scene.outcomes().await, before + 1, "{label}: told again");
            assert!(scene.is_not_to_be_called(phone).await, "{label}");
            let back = scene.end("a", id, last, at(4)).await;
            assert_eq!(back, refused(NotYours::NotClaimed), "{label}");
        }
        let noted = "calls WHERE outcome = 'nao_ligar' AND agent = 'a'";
        assert_eq!(scene.count(noted).await, 3, "{}", database.label());
    }
}

#[tokio::test]
async fn who_had_the_contact_may_say_it_for_a_day_and_another_agents_call_goes_on() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let label = database.label();
        scene.know("ana", 1, OLD_PHONE).await;
        scene.claim("a", "ana", at(0)).await.unwrap();
        let lapsed = LEASE_MS;
        scene.claim("b", "ana", at(lapsed)).await.unwrap();
        let sale = scene.end("a", "ana", CallOutcome::Sale, at(lapsed)).await;
        assert_eq!(sale, refused(NotYours::Claimed), "{label}");
        let told = scene.never_again("a", "ana", at(lapsed + 1)).await;
        assert_eq!(told, Ok(()), "{label}");
        assert!(scene.is_not_to_be_called(OLD_PHONE).await, "{label}");
        let told = scene.end("b", "ana", CallOutcome::Sale, at(lapsed + 2));
        assert_eq!(told.await, Ok(()), "{label}: hers all the same");
        scene.apply(&[change("ana", 0, 2, None)], at(3)).await;

        scene.know("bia", 1, NEW_PHONE).await;
        scene.claim("a", "bia", at(0)).await.unwrap();
        scene.apply(&[change("bia", 0, 2, None)], at(1)).await;
        let days = i64::from(CLAIM_DAYS) * DAY_MS;
        let late = scene.never_again("a", "bia", at(lapsed + days)).await;
        assert_eq!(late, Err(TelesalesError::Unknown), "{label}");
        let expire = async |now: UtcMillis| {
            let run = expire_contacts(&scene.store, now.day(), true, &Clock(now)).await;
            run.unwrap();
        };
        expire(at(lapsed + days)).await;
        assert_eq!(scene.count("claimed_phones").await, 3, "{label}");
        expire(at(lapsed + days + 3)).await;
        assert_eq!(scene.count("claimed_phones").await, 0, "{label}");
    }
}

/// Holds a transaction before its commit until the other side has come so far, or for half a second.
struct Gate {
    reached: mpsc::Sender<()>,
    other_waits: Mutex<mpsc::Receiver<()>>,
}

impl StatementObserver for Gate {
    fn cuts_at(&self, point: Point<'_>) -> bool {
        if point == Point::Before("COMMIT") {
            self.reached.send(()).unwrap();
            let other = self.other_waits.lock().unwrap();
            let _ = other.recv_timeout(Duration::from_millis(500));
        }
        false
    }
}

/// Tells when a claim is about to wait for the phone.
struct AtThePhone(mpsc::Sender<()>);

impl StatementObserver for AtThePhone {
    fn cuts_at(&self, point: Point<'_>) -> bool {
        if matches!(point, Point::Before(sql) if sql.starts_with("INSERT INTO phone_leases")) {
            let _ = self.0.send(());
        }
        false
    }
}

async fn watched(url: &str, observer: Arc<dyn StatementObserver>) -> Store {
    let options = Options {
        observer: Some(observer),
        ..Options::default()
    };
    Store::open_with(url, options).await.unwrap()
}

#[tokio::test]
async fn a_claim_that_waits_for_the_phone_sees_that_it_is_not_to_be_called() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        for id in ["ana", "bia"] {
            scene.know(id, 1, OLD_PHONE).await;
        }
        scene.claim("a", "ana", at(1)).await.unwrap();
        let (reached, is_reached) = mpsc::channel();
        let (waits, other_waits) = mpsc::channel();
        let gate = Arc::new(Gate {
            reached,
            other_waits: Mutex::new(other_waits),
        });
        let url = database.url().to_owned();
        let ending = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let store = watched(&url, gate).await;
                let ana = contact_id("ana");
                end_call(&store, &agent("a"), &ana, CallOutcome::DoNotCall, at(2)).await
            })
        });
        is_reached.recv().unwrap();
        let store = watched(database.url(), Arc::new(AtThePhone(waits))).await;
        let claimed = claim(&store, &agent("b"), &contact_id("bia"), at(3)).await;
        assert_eq!(ending.join().unwrap(), Ok(()));
        let label = database.label();
        assert_eq!(claimed, Err(TelesalesError::Unknown), "{label}");
        let leased = format!("phone_leases WHERE claimed_until_ms > {}", at(3).get());
        assert_eq!(scene.count(&leased).await, 0, "{label}");
    }
}
