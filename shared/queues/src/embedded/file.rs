//! The file: how it is opened, its tables and its write transactions.

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    Value,
};

use crate::error::QueueError;

/// How long a statement waits for another process's write before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a write that found the file busy is begun anew.
const BEGIN_ATTEMPTS: u32 = 5;

/// The tables, each statement repeatable. `sequencia` never comes twice: it is FIFO's order.
const TABLES: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS filas (
        nome VARCHAR(80) NOT NULL PRIMARY KEY,
        fifo INTEGER NOT NULL,
        deduplica_por_conteudo INTEGER NOT NULL,
        visibilidade_s INTEGER NOT NULL,
        maximo_recebimentos INTEGER,
        fila_morta VARCHAR(80),
        retencao_s INTEGER NOT NULL,
        atraso_s INTEGER NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS mensagens (
        sequencia INTEGER PRIMARY KEY AUTOINCREMENT,
        fila VARCHAR(80) NOT NULL REFERENCES filas (nome),
        id_mensagem VARCHAR(36) NOT NULL UNIQUE,
        corpo TEXT NOT NULL,
        md5_corpo VARCHAR(32) NOT NULL,
        grupo VARCHAR(128),
        deduplicacao VARCHAR(128),
        enviada_em_ms BIGINT NOT NULL,
        visivel_em_ms BIGINT NOT NULL,
        recebimentos INTEGER NOT NULL,
        primeiro_recebimento_ms BIGINT,
        recibo VARCHAR(64)
    )",
    "CREATE INDEX IF NOT EXISTS mensagens_por_ordem ON mensagens (fila, sequencia)",
    "CREATE INDEX IF NOT EXISTS mensagens_por_grupo ON mensagens (fila, grupo, visivel_em_ms)",
    "CREATE INDEX IF NOT EXISTS mensagens_por_envio ON mensagens (fila, enviada_em_ms)",
    "CREATE UNIQUE INDEX IF NOT EXISTS mensagens_por_recibo ON mensagens (recibo)",
    "CREATE TABLE IF NOT EXISTS deduplicacoes (
        fila VARCHAR(80) NOT NULL,
        deduplicacao VARCHAR(128) NOT NULL,
        enviada_em_ms BIGINT NOT NULL,
        id_mensagem VARCHAR(36) NOT NULL,
        sequencia BIGINT NOT NULL,
        PRIMARY KEY (fila, deduplicacao)
    ) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS deduplicacoes_por_envio ON deduplicacoes (fila, enviada_em_ms)",
];

/// Opens the file and creates what is missing.
pub(super) async fn open(path: &Path) -> Result<DatabaseConnection, QueueError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(|error| QueueError::File {
                reason: error.to_string(),
                busy: false,
            })?;
    }
    let mut attempt = 1;
    loop {
        match try_open(path).await {
            // Two processes that switch a new file to WAL at once do not wait for one another.
            Err(QueueError::File { busy: true, .. }) if attempt < BEGIN_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 50)).await;
    }
}

async fn try_open(path: &Path) -> Result<DatabaseConnection, QueueError> {
    let path = path.to_path_buf();
    // The address is a placeholder: a path is set as it is, with nothing in it to be escaped.
    let mut options = ConnectOptions::new("sqlite://filas.sqlite");
    options
        .max_connections(1)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
        });
    let connection = Database::connect(options).await.map_err(file_error)?;
    let present = statement(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND name = 'deduplicacoes_por_envio'",
        [],
    );
    if connection
        .query_one_raw(present)
        .await
        .map_err(file_error)?
        .is_none()
    {
        let transaction = begin_write(&connection).await?;
        for table in TABLES {
            transaction
                .execute_unprepared(table)
                .await
                .map_err(file_error)?;
        }
        transaction.commit().await.map_err(file_error)?;
    }
    Ok(connection)
}

/// Begins a transaction that holds the file's write lock from its first statement.
pub(super) async fn begin_write(
    connection: &DatabaseConnection,
) -> Result<DatabaseTransaction, QueueError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let mut attempt = 1;
    loop {
        match connection
            .begin_with_options(options)
            .await
            .map_err(file_error)
        {
            Err(QueueError::File { busy: true, .. }) if attempt < BEGIN_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// A statement with its values.
pub(super) fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

/// SQLite's words for a failure; they name tables and columns and quote no value.
pub(super) fn file_error(error: DbErr) -> QueueError {
    let busy = match &error {
        DbErr::Conn(RuntimeErr::SqlxError(source))
        | DbErr::Exec(RuntimeErr::SqlxError(source))
        | DbErr::Query(RuntimeErr::SqlxError(source)) => is_busy(source),
        _ => false,
    };
    QueueError::File {
        reason: error.to_string(),
        busy,
    }
}

/// SQLITE_BUSY (5) and SQLITE_LOCKED (6) with their extended codes: the low byte tells.
fn is_busy(error: &sea_orm::SqlxError) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
