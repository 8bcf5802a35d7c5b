//! Migrated stores for the tests, and a pair of scissors that cuts a run off at a point.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use domain::time::UtcMillis;
use sql_store::{
    FromQueryResult, Options, Store, StoreError, Tx,
    migrate::migrate,
    observer::{Point, StatementObserver},
    values,
};
use testkit::{TestDatabase, databases};
use tokio::sync::Notify;

/// 2026-11-20T12:00:00Z.
pub const NOON: UtcMillis = match UtcMillis::new(1_795_176_000_000) {
    Ok(noon) => noon,
    Err(_) => unreachable!(),
};

/// A fresh database with its schema.
pub struct Fresh {
    pub store: Store,
    pub database: TestDatabase,
}

impl Fresh {
    /// Another process's store on the same database.
    pub async fn beside(&self, options: Options) -> Store {
        Store::open_with(self.database.url(), options)
            .await
            .unwrap()
    }

    pub fn label(&self) -> &'static str {
        self.database.label()
    }
}

pub async fn fresh() -> Vec<Fresh> {
    let mut all = Vec::new();
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        migrate(&store, NOON).await.unwrap();
        all.push(Fresh { store, database });
    }
    all
}

/// Sees each point; ends the run at one of them.
#[derive(Default)]
pub struct Scissors {
    pub seen: Mutex<Vec<String>>,
    passed: AtomicUsize,
    cut_at: Option<usize>,
    was_cut: Notify,
}

impl Scissors {
    pub fn watching() -> Arc<Self> {
        Arc::default()
    }

    pub fn cutting_at(point: usize) -> Arc<Self> {
        Arc::new(Self {
            cut_at: Some(point),
            ..Self::default()
        })
    }

    pub fn options(self: &Arc<Self>) -> Options {
        Options {
            observer: Some(self.clone()),
            ..Options::default()
        }
    }

    pub fn count_of(&self, text: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|sql| sql.contains(text)).count()
    }

    /// The answer of `work`, or `None` when it was cut off.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = work => Some(answer),
            () = self.was_cut.notified() => None,
        }
    }
}

impl StatementObserver for Scissors {
    fn cuts_at(&self, point: Point<'_>) -> bool {
        let (Point::Before(sql) | Point::After(sql)) = point;
        if matches!(point, Point::Before(_)) {
            self.seen.lock().unwrap().push(sql.to_owned());
        }
        let place = self.passed.fetch_add(1, Ordering::SeqCst);
        let cuts = self.cut_at == Some(place);
        if cuts {
            self.was_cut.notify_one();
        }
        cuts
    }
}

#[derive(FromQueryResult)]
struct Count {
    found: i64,
}

/// How many rows a table has.
pub async fn rows(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) AS found FROM {table}");
    let count: Option<Count> = store
        .transact(async |tx: &Tx| tx.one::<Count>(&sql, values![]).await)
        .await
        .unwrap();
    count.unwrap().found
}

/// Commits these statements.
pub async fn run(store: &Store, statements: &[&str]) {
    store
        .transact(async |tx: &Tx| {
            for sql in statements {
                tx.execute(sql, values![]).await?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

pub const SHORT: Duration = Duration::from_millis(30);

/// A store whose statements wait for a lock for a short time only: MariaDB's least is none at all.
pub fn impatient() -> Options {
    Options {
        lock_wait: Some(SHORT),
        ..Options::default()
    }
}

/// Runs these side by side. A use case is no `Send` future, so they share this thread.
pub async fn together<T: 'static>(all: Vec<impl Future<Output = T> + 'static>) -> Vec<T> {
    let here = tokio::task::LocalSet::new();
    here.run_until(async {
        let mut tasks = tokio::task::JoinSet::new();
        for one in all {
            tasks.spawn_local(one);
        }
        tasks.join_all().await
    })
    .await
}
