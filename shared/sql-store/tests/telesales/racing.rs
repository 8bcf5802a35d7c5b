//! The consumer and the jobs at once: none fails for the other, and none undoes what the other did.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use domain::telesales::{DELETION_DAYS, RETENTION_DAYS};
use sql_store::{
    Backend, Options,
    jobs::RunError,
    observer::{Point, StatementObserver},
    projection::receipts,
    telesales::retention::expire_contacts,
};

use super::*;

const CONSUMERS: i64 = 3;
const ROUNDS: i64 = 12;

fn ana() -> Contact {
    contact("Ana Lima", "11964166764")
}

#[tokio::test]
async fn receipts_of_consumers_and_of_the_expiry_are_one_chain() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        let long_after = at(i64::from(RETENTION_DAYS + 1) * DAY_MS);
        scene
            .apply(&[change("first", 1, 1, Some(ana()))], at(0))
            .await;
        scene.apply(&[change("first", 0, 2, None)], at(0)).await;
        let consume = async |number: i64| {
            let store = Store::open(database.url()).await.unwrap();
            let table = ProjectionTable::new(store, pseudonyms(), "televendas");
            for round in 0..ROUNDS {
                let id = format!("c{number}-{round}");
                let row = change(&id, 1, 1, Some(ana()));
                table.apply(&[row], long_after).await?;
                let gone = change(&id, 0, 2, None);
                table.apply(&[gone], long_after).await?;
            }
            Ok::<_, RunError>(())
        };
        let expire = async || {
            let store = Store::open(database.url()).await.unwrap();
            let table = ProjectionTable::new(store.clone(), pseudonyms(), "televendas");
            for round in 0..ROUNDS {
                let old = change(&format!("old-{round}"), 1, 1, Some(ana()));
                table.apply(&[old], at(0)).await?;
                let clock = Clock(long_after);
                expire_contacts(&store, long_after.day(), true, &clock).await?;
            }
            Ok::<_, RunError>(())
        };
        let consumers = futures::future::join_all((0..CONSUMERS).map(consume));
        // Not before all have ended: a transaction that is still open keeps the database.
        let (consumed, expired) = tokio::join!(consumers, expire());
        expired.unwrap();
        consumed.into_iter().for_each(Result::unwrap);
        let all = 1 + ROUNDS * (CONSUMERS + 1);
        let chain = receipts::verify(&scene.store).await.unwrap();
        assert_eq!(chain, Ok(all), "{}", database.label());
    }
}

/// Does something once, when a statement is about to be sent.
struct Before<F> {
    statement: &'static str,
    has_come: AtomicBool,
    act: F,
}

impl<F: Fn() + Send + Sync> StatementObserver for Before<F> {
    fn cuts_at(&self, point: Point<'_>) -> bool {
        let is_here = matches!(point, Point::Before(sql) if sql.contains(self.statement));
        if is_here && !self.has_come.swap(true, Ordering::SeqCst) {
            (self.act)();
        }
        false
    }
}

async fn watched(
    url: &str,
    statement: &'static str,
    act: impl Fn() + Send + Sync + 'static,
) -> Store {
    let observer = Before {
        statement,
        has_come: AtomicBool::new(false),
        act,
    };
    let options = Options {
        observer: Some(Arc::new(observer)),
        ..Options::default()
    };
    Store::open_with(url, options).await.unwrap()
}

/// A consumer of its own, as another process is one.
#[tokio::main(flavor = "current_thread")]
async fn consume(
    url: &str,
    change: Change<Contact>,
    before_commit: impl Fn() + Send + Sync + 'static,
) {
    let store = watched(url, "COMMIT", before_commit).await;
    let table = ProjectionTable::new(store, pseudonyms(), "televendas");
    let now = at(i64::from(DELETION_DAYS + 2) * DAY_MS);
    table.apply(&[change], now).await.unwrap();
}

#[tokio::test]
async fn the_expiry_waits_for_a_consumers_receipt_and_goes_on_behind_it() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        // SQLite's transaction holds the whole file: nobody comes between its statements.
        if scene.store.backend() == Backend::Sqlite {
            continue;
        }
        let now = at(i64::from(RETENTION_DAYS + 1) * DAY_MS);
        let known = ["first", "old"].map(|id| change(id, 1, 1, Some(ana())));
        scene.apply(&known, at(0)).await;
        let second = change("second", 1, 1, Some(ana()));
        scene.apply(&[second], now).await;
        scene.apply(&[change("first", 0, 2, None)], now).await;
        let url = database.url().to_owned();
        let act = move || {
            let (told, is_written) = mpsc::channel();
            let (url, gone) = (url.clone(), change("second", 0, 2, None));
            std::thread::spawn(move || {
                consume(&url, gone, move || {
                    told.send(()).unwrap();
                    // Meanwhile the job comes to wait for the lock.
                    std::thread::sleep(Duration::from_millis(300));
                });
            });
            is_written.recv().unwrap();
        };
        let store = watched(database.url(), "FROM erasure_receipts", act).await;
        let counts = expire_contacts(&store, now.day(), true, &Clock(now)).await;
        assert_eq!(counts.unwrap()["contatos"], 1, "{}", database.label());
        let chain = receipts::verify(&scene.store).await.unwrap();
        assert_eq!(chain, Ok(3), "{}", database.label());
    }
}

#[tokio::test]
async fn who_comes_back_while_old_marks_are_deleted_stays() {
    for database in databases().await {
        let scene = Scene::open(database.url()).await;
        if scene.store.backend() == Backend::Sqlite {
            continue;
        }
        let known = ["back", "gone"].map(|id| change(id, 1, 1, Some(ana())));
        scene.apply(&known, at(0)).await;
        let deletions = ["back", "gone"].map(|id| change(id, 0, 2, None));
        scene.apply(&deletions, at(0)).await;
        let url = database.url().to_owned();
        let act = move || {
            let back = || consume(&url, change("back", 2, 3, Some(ana())), || ());
            std::thread::scope(|scope| scope.spawn(back).join().unwrap());
        };
        let store = watched(database.url(), "DELETE FROM contacts", act).await;
        let now = at(i64::from(DELETION_DAYS + 2) * DAY_MS);
        let counts = expire_contacts(&store, now.day(), true, &Clock(now)).await;
        let name = scene.name_of("back").await;
        assert_eq!(name.as_deref(), Some("Ana Lima"), "{}", database.label());
        assert_eq!(counts.unwrap()["pseudonimos"], 1);
        assert_eq!(scene.count("contacts").await, 1);
    }
}
