//! Opening the store.

use std::{path::Path, sync::Arc, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
    sqlx::{self, sqlite::SqliteJournalMode, sqlite::SqliteSynchronous},
};

use crate::{
    StoreError,
    observer::{Point, StatementObserver},
};

/// How long SQLite waits for another process's transaction before it says BUSY.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement waits for MySQL's row lock before the use case is redone.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A frozen Lambda keeps dead sockets: a connection idle for longer is tested first.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// Which database the store runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// One file, on a laptop.
    Sqlite,
    /// MySQL or MariaDB.
    MySql,
}

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Most connections in the pool. A Lambda handles one event at a time: 1.
    pub connections: u32,
    /// Certificates (PEM) that a MySQL server must prove itself with; none: TLS only if offered.
    pub certificate_authorities: Option<&'static [u8]>,
    /// Watches each statement in tests.
    pub observer: Option<Arc<dyn StatementObserver>>,
    /// How long a statement waits for a lock before the use case is redone; none: 10 s for SQLite's
    /// file, 5 s for MySQL's rows. MySQL counts whole seconds.
    pub lock_wait: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 1,
            certificate_authorities: None,
            observer: None,
            lock_wait: None,
        }
    }
}

/// The SQL database of the shop.
#[derive(Clone)]
pub struct Store {
    pub(crate) connection: DatabaseConnection,
    pub(crate) backend: Backend,
    pub(crate) options: Options,
    pub(crate) has_published: Arc<std::sync::atomic::AtomicBool>,
}

impl Store {
    /// Opens `mysql://…` or `sqlite://path` with the defaults of a Lambda.
    ///
    /// # Errors
    /// See [`Self::open_with`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, Options::default()).await
    }

    /// Opens `mysql://…` or `sqlite://path`; a SQLite file is made if it is missing. MySQL is first
    /// reached by the first statement, so that a cold start does not wait for it.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] when SQLite's file can't be opened, and for a broken URL.
    pub async fn open_with(url: &str, options: Options) -> Result<Self, StoreError> {
        let backend = if url.starts_with("sqlite:") {
            Backend::Sqlite
        } else {
            Backend::MySql
        };
        let mut connect = ConnectOptions::new(url);
        connect
            .max_connections(options.connections)
            .min_connections(0)
            .acquire_timeout(CONNECT_TIMEOUT)
            .test_before_acquire(false)
            .sqlx_logging(false);
        match backend {
            Backend::Sqlite => {
                let busy_timeout = options.lock_wait.unwrap_or(BUSY_TIMEOUT);
                connect.map_sqlx_sqlite_opts(move |sqlite| {
                    sqlite
                        .create_if_missing(true)
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        // What is deleted is overwritten: it may be personal.
                        .pragma("secure_delete", "ON")
                        .busy_timeout(busy_timeout)
                });
            }
            Backend::MySql => {
                connect
                    .connect_lazy(true)
                    .test_before_acquire_if_idle_for(TRUSTED_IDLE);
                // Sqlx's own 100 prepared statements stay: 150 connections keep below MySQL's 16,382,
                // and each statement that has to make room for another costs 40 ms, as closing it
                // has no answer and the socket holds the next command back for one (Nagle).
                if let Some(certificates) = options.certificate_authorities {
                    connect.map_sqlx_mysql_opts(move |mysql| {
                        mysql
                            .ssl_mode(sqlx::mysql::MySqlSslMode::VerifyIdentity)
                            .ssl_ca_from_pem(certificates.to_vec())
                    });
                }
                let lock_wait_seconds = options.lock_wait.unwrap_or(LOCK_WAIT).as_secs();
                connect.map_sqlx_mysql_pool_opts(move |pool| {
                    pool.after_connect(move |connection, _| {
                        Box::pin(prepare_session(connection, lock_wait_seconds))
                    })
                });
            }
        }
        let connection = Database::connect(connect).await?;
        Ok(Self {
            connection,
            backend,
            options,
            has_published: Arc::default(),
        })
    }

    /// Opens the SQLite file at `path`.
    ///
    /// # Errors
    /// See [`Self::open_with`].
    pub async fn open_file(path: &Path, options: Options) -> Result<Self, StoreError> {
        Self::open_with(&format!("sqlite://{}", path.display()), options).await
    }

    /// Which database this is.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether a transaction has committed outbox rows since this was asked last.
    #[must_use]
    pub fn take_published(&self) -> bool {
        self.has_published
            .swap(false, std::sync::atomic::Ordering::AcqRel)
    }

    /// Writes SQLite's file anew, without what was deleted, and empties its write-ahead log; false
    /// where a reader held the log.
    pub(crate) async fn write_anew(&self) -> Result<bool, StoreError> {
        let raw = |sql: &str| Statement::from_string(self.sea_backend(), sql);
        self.connection.execute_raw(raw("VACUUM")).await?;
        let emptied = raw("PRAGMA wal_checkpoint(TRUNCATE)");
        let told = self.connection.query_one_raw(emptied).await?;
        let is_busy = told.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
        Ok(is_busy == Some(0))
    }

    pub(crate) const fn sea_backend(&self) -> DbBackend {
        match self.backend {
            Backend::Sqlite => DbBackend::Sqlite,
            Backend::MySql => DbBackend::MySql,
        }
    }

    /// Passes a point that the observer sees: a statement, or a call of another store that stands
    /// between statements.
    pub async fn reach(&self, point: Point<'_>) {
        if let Some(observer) = &self.options.observer
            && observer.cuts_at(point)
        {
            std::future::pending::<()>().await;
        }
    }
}

/// READ COMMITTED with explicit locks (docs/adr/0002), strict types, and long IN lists looked up in
/// their index: beyond 200 values (the default) the optimiser guesses, and then reads whole tables.
async fn prepare_session(
    connection: &mut sqlx::MySqlConnection,
    lock_wait_seconds: u64,
) -> Result<(), sqlx::Error> {
    use sqlx::Executor;
    connection
        .execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        .await?;
    connection
        .execute(sqlx::AssertSqlSafe(format!(
            "SET SESSION innodb_lock_wait_timeout = {lock_wait_seconds}, \
             eq_range_index_dive_limit = 0, sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"
        )))
        .await?;
    Ok(())
}
