//! Who says "never again" is not called again, whatever became of the contact during the call.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use super::*;
use domain::telesales::CallOutcome;
use sql_store::{
    Options,
    observer::{Point, StatementObserver},
    telesales::contacts::{TelesalesError, claim, end_call},
};

const OLD_PHONE: &str = "11964166764";

impl Scene {
    async fn know(&self, id: &str, version: i64, phone: &str) {
        let row = contact(id, phone);
        let change = change(id, version, version, Some(row));
        self.apply(&[change], at(0)).await;
    }

    async fn claim(&self, by: &str, id: &str, now: UtcMillis) -> Result<UtcMillis, TelesalesError> {
        claim(&self.store, &agent(by), &contact_id(id), now).await
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
