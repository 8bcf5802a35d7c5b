//! The small SQLite files that `cargo local` keeps beside the bundle's own.

use std::path::Path;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, ExecResult,
    QueryResult, Statement, Value,
};

/// How long one process waits for another's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// One file, one connection: writes of this process queue up instead of colliding.
#[derive(Debug, Clone)]
pub struct SqliteFile {
    connection: DatabaseConnection,
}

impl SqliteFile {
    /// Opens or makes the file and its tables.
    ///
    /// # Errors
    /// The database's own, when the file is none of ours or the folder is not writable.
    pub async fn open(path: &Path, tables: &[&str]) -> Result<Self, DbErr> {
        let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
        options
            .max_connections(1)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(|options| {
                options
                    .busy_timeout(BUSY_TIMEOUT)
                    .pragma("journal_mode", "WAL")
                    // With a write-ahead log a killed process loses nothing; a power cut at most the
                    // last commits.
                    .pragma("synchronous", "NORMAL")
            });
        let connection = Database::connect(options).await?;
        for table in tables {
            connection.execute_unprepared(table).await?;
        }
        Ok(Self { connection })
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// The database's own.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<ExecResult, DbErr> {
        self.connection.execute_raw(statement(sql, values)).await
    }

    /// Runs a query.
    ///
    /// # Errors
    /// The database's own.
    pub async fn rows(&self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        self.connection.query_all_raw(statement(sql, values)).await
    }

    /// The connection, for a transaction.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }
}

/// A statement with `?` placeholders.
pub fn statement(sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}
