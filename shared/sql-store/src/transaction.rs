//! Transactions: one use case, all of it or nothing, redone when the database asks for it.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::time::UtcMillis;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, FromQueryResult, QueryResult, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait, Value,
};

use crate::{
    Backend, Store, StoreError,
    error::{Verdict, judge},
    observer::Point,
};

/// How often a use case is tried when the database asks for a redo (docs/adr/0002).
const MOST_ATTEMPTS: u32 = 5;
const FIRST_PAUSE_MS: u64 = 5;

/// An open transaction.
pub struct Tx {
    inner: DatabaseTransaction,
    store: Store,
    must_redo: AtomicBool,
    publishes: AtomicBool,
}

impl Store {
    /// Runs `work` in one transaction and commits it when it returns `Ok`. Deadlock, lock timeout
    /// and BUSY redo the whole of it, so `work` must have no effect but its statements.
    ///
    /// # Errors
    /// What `work` returned, after a rollback; or the store's own failure.
    pub async fn transact<T, E, W>(&self, work: W) -> Result<T, E>
    where
        W: AsyncFn(&Tx) -> Result<T, E>,
        E: From<StoreError>,
    {
        for attempt in 1..=MOST_ATTEMPTS {
            if attempt > 1 {
                self.pause_before(attempt).await;
            }
            let Some(tx) = self.begin().await? else {
                continue;
            };
            let outcome = work(&tx).await;
            if tx.must_redo.load(Ordering::Acquire) {
                tx.roll_back().await;
                continue;
            }
            match outcome {
                Ok(value) => {
                    if tx.commit().await? {
                        return Ok(value);
                    }
                }
                Err(error) => {
                    tx.roll_back().await;
                    return Err(error);
                }
            }
        }
        Err(StoreError::Contended {
            attempts: MOST_ATTEMPTS,
        }
        .into())
    }

    /// Doubles from 5 ms, with jitter so that two rivals don't meet again.
    async fn pause_before(&self, attempt: u32) {
        let mut jitter = [0_u8; 1];
        // Without random bytes the pause is the plain one.
        let _ = getrandom::fill(&mut jitter);
        let pause_ms = (FIRST_PAUSE_MS << attempt.min(8)) + u64::from(jitter[0] % 16);
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
    }

    /// `None` asks for a redo.
    async fn begin(&self) -> Result<Option<Tx>, StoreError> {
        self.reach(Point::Before("BEGIN")).await;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = match self.connection.begin_with_options(options).await {
            Ok(inner) => inner,
            Err(error) => {
                return match judge(&error) {
                    Verdict::Redo => Ok(None),
                    Verdict::Unique => Err(StoreError::Duplicate),
                    Verdict::Fatal(fatal) => Err(fatal),
                };
            }
        };
        self.reach(Point::After("BEGIN")).await;
        Ok(Some(Tx {
            inner,
            store: self.clone(),
            must_redo: AtomicBool::new(false),
            publishes: AtomicBool::new(false),
        }))
    }
}

impl Tx {
    /// Runs a statement that changes rows; answers how many rows it matched.
    ///
    /// # Errors
    /// When the database refuses it; [`StoreError::Duplicate`] on a unique key.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.store.reach(Point::Before(sql)).await;
        let answer = self.inner.execute_raw(self.statement(sql, values)).await;
        self.store.reach(Point::After(sql)).await;
        answer
            .map(|result| result.rows_affected())
            .map_err(|error| self.fault(&error))
    }

    /// Runs an INSERT; false when a unique key says that the row is there already.
    ///
    /// # Errors
    /// When the database refuses it for another reason.
    pub async fn insert_new(&self, sql: &str, values: Vec<Value>) -> Result<bool, StoreError> {
        match self.execute(sql, values).await {
            Ok(_) => Ok(true),
            Err(StoreError::Duplicate) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The first row of a query.
    ///
    /// # Errors
    /// When the database refuses it, or the row does not fit `R`.
    pub async fn one<R: FromQueryResult>(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<R>, StoreError> {
        let row = self.first(sql, values).await?;
        row.map(|row| R::from_query_result(&row, ""))
            .transpose()
            .map_err(|error| self.fault(&error))
    }

    /// Whether a query has any row; what it selects doesn't matter.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn exists(&self, sql: &str, values: Vec<Value>) -> Result<bool, StoreError> {
        Ok(self.first(sql, values).await?.is_some())
    }

    /// All rows of a query. Bound it by LIMIT or by its keys.
    ///
    /// # Errors
    /// When the database refuses it, or a row does not fit `R`.
    pub async fn all<R: FromQueryResult>(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<R>, StoreError> {
        self.store.reach(Point::Before(sql)).await;
        let answer = self.inner.query_all_raw(self.statement(sql, values)).await;
        self.store.reach(Point::After(sql)).await;
        let rows = answer.map_err(|error| self.fault(&error))?;
        rows.iter()
            .map(|row| R::from_query_result(row, ""))
            .collect::<Result<_, _>>()
            .map_err(|error| self.fault(&error))
    }

    /// Locks the rows of a SELECT: append it. SQLite's transaction holds the whole file already.
    #[must_use]
    pub const fn for_update(&self) -> &'static str {
        match self.store.backend {
            Backend::Sqlite => "",
            Backend::MySql => " FOR UPDATE",
        }
    }

    /// The same against who would change them, not against who reads them.
    #[must_use]
    pub const fn for_share(&self) -> &'static str {
        match self.store.backend {
            Backend::Sqlite => "",
            // MariaDB has no FOR SHARE.
            Backend::MySql => " LOCK IN SHARE MODE",
        }
    }

    /// Which database this is.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.store.backend
    }

    /// A new ULID of the time `now`.
    ///
    /// # Errors
    /// [`StoreError::NoEntropy`].
    pub fn new_id(&self, now: UtcMillis) -> Result<String, StoreError> {
        let random = u128::from_le_bytes(self.random()?);
        Ok(ulid::Ulid::from_parts(now.get().unsigned_abs(), random).to_string())
    }

    /// Random bytes for a code.
    ///
    /// # Errors
    /// [`StoreError::NoEntropy`].
    pub fn random<const N: usize>(&self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).map_err(|_| StoreError::NoEntropy)?;
        Ok(bytes)
    }

    /// Asks for a redo of the whole use case, since what it read without a lock has changed: return
    /// the error.
    pub fn redo(&self) -> StoreError {
        self.must_redo.store(true, Ordering::Release);
        StoreError::Contended { attempts: 1 }
    }

    pub(crate) fn note_published(&self) {
        self.publishes.store(true, Ordering::Release);
    }

    async fn first(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<QueryResult>, StoreError> {
        self.store.reach(Point::Before(sql)).await;
        let answer = self.inner.query_one_raw(self.statement(sql, values)).await;
        self.store.reach(Point::After(sql)).await;
        answer.map_err(|error| self.fault(&error))
    }

    fn statement(&self, sql: &str, values: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.store.sea_backend(), sql, values)
    }

    fn fault(&self, error: &sea_orm::DbErr) -> StoreError {
        match judge(error) {
            Verdict::Redo => self.redo(),
            Verdict::Unique => StoreError::Duplicate,
            Verdict::Fatal(fatal) => fatal,
        }
    }

    /// False asks for a redo.
    async fn commit(self) -> Result<bool, StoreError> {
        let Self {
            inner,
            store,
            publishes,
            ..
        } = self;
        store.reach(Point::Before("COMMIT")).await;
        let answer = inner.commit().await;
        store.reach(Point::After("COMMIT")).await;
        match answer {
            Ok(()) => {
                store
                    .has_published
                    .fetch_or(publishes.into_inner(), Ordering::AcqRel);
                Ok(true)
            }
            Err(error) => match judge(&error) {
                Verdict::Redo => Ok(false),
                Verdict::Unique => Err(StoreError::Duplicate),
                Verdict::Fatal(fatal) => Err(fatal),
            },
        }
    }

    /// A failed rollback leaves a broken connection, which the pool drops: nothing to add.
    async fn roll_back(self) {
        if let Err(error) = self.inner.rollback().await {
            tracing::debug!(error = %StoreError::from(error), "rollback failed");
        }
    }
}
