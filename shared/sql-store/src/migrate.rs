//! Migrations: run by a command, repeatable, safe to cut off at any statement.
//!
//! MySQL commits each DDL statement by itself, so progress is kept per statement, and a statement
//! that was done but not yet noted is recognised by its "already exists".

use domain::time::UtcMillis;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::{Backend, Store, StoreError, Tx, error::judge, observer::Point, values};

/// A migration: its place in the order, its name and its statements.
pub type Migration = (i64, &'static str, &'static str);

/// Throttles and the job ledger, which both databases have.
const LIMITS_AND_JOBS: &str = include_str!("../migrations/ledger.sql");

/// Database 1, in order. A released one never changes; expand before you contract.
pub const SHOP: [Migration; 12] = [
    (1, "core", include_str!("../migrations/0001_core.sql")),
    (
        2,
        "customers",
        include_str!("../migrations/0002_customers.sql"),
    ),
    (3, "mgm", include_str!("../migrations/0003_mgm.sql")),
    (4, "limits_and_jobs", LIMITS_AND_JOBS),
    (5, "lake", include_str!("../migrations/0005_lake.sql")),
    (
        6,
        "sales_sources",
        include_str!("../migrations/0006_sales_sources.sql"),
    ),
    (8, "live", include_str!("../migrations/0008_live.sql")),
    (9, "stock", include_str!("../migrations/0009_stock.sql")),
    (
        10,
        "telesales_consent",
        include_str!("../migrations/0010_telesales_consent.sql"),
    ),
    (
        11,
        "stock_polls",
        include_str!("../migrations/0011_stock_polls.sql"),
    ),
    (
        12,
        "live_room",
        include_str!("../migrations/0012_live_room.sql"),
    ),
    (
        13,
        "sales_versions",
        include_str!("../migrations/0013_sales_versions.sql"),
    ),
];

/// Receipts of what a projection erased.
pub const RECEIPTS: &str = include_str!("../migrations/receipts.sql");

/// Database 2, in order.
pub const TELESALES: [Migration; 5] = [
    (
        1,
        "contacts",
        include_str!("../migrations/telesales/0001_contacts.sql"),
    ),
    (2, "receipts", RECEIPTS),
    (3, "limits_and_jobs", LIMITS_AND_JOBS),
    (
        4,
        "leases",
        include_str!("../migrations/telesales/0004_leases.sql"),
    ),
    (
        5,
        "claimed_phones",
        include_str!("../migrations/telesales/0005_claimed_phones.sql"),
    ),
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (\
    version BIGINT NOT NULL PRIMARY KEY, statements BIGINT NOT NULL, applied_ms BIGINT NOT NULL)";

/// MySQL: 1050 table exists, 1060 column exists, 1061 index exists.
const ALREADY_THERE: [&str; 3] = ["1050", "1060", "1061"];

#[derive(FromQueryResult)]
struct Progress {
    statements: i64,
}

#[derive(FromQueryResult)]
struct Newest {
    newest: Option<i64>,
}

/// Brings database 1 up to date; answers the names of the migrations that did something.
///
/// # Errors
/// See [`migrate_by`].
pub async fn migrate(store: &Store, now: UtcMillis) -> Result<Vec<&'static str>, StoreError> {
    migrate_by(store, &SHOP, now).await
}

/// Brings a database up to date; answers the names of the migrations that did something.
///
/// # Errors
/// When a statement fails, or the database was migrated by a newer version of Feira.
pub async fn migrate_by(
    store: &Store,
    migrations: &[Migration],
    now: UtcMillis,
) -> Result<Vec<&'static str>, StoreError> {
    run_ddl(store, LEDGER).await?;
    let newest: Option<Newest> = store
        .transact(async |tx: &Tx| {
            tx.one(
                "SELECT MAX(version) AS newest FROM schema_migrations",
                values![],
            )
            .await
        })
        .await?;
    let known = migrations
        .iter()
        .map(|(version, ..)| *version)
        .max()
        .unwrap_or_default();
    if newest
        .and_then(|row| row.newest)
        .is_some_and(|newest| newest > known)
    {
        return Err(StoreError::Migration(
            "the database was migrated by a newer version of Feira: deploy that version".to_owned(),
        ));
    }
    let mut applied = Vec::new();
    for &(version, name, script) in migrations {
        if apply(store, version, script, now).await? {
            applied.push(name);
        }
    }
    Ok(applied)
}

async fn apply(
    store: &Store,
    version: i64,
    script: &str,
    now: UtcMillis,
) -> Result<bool, StoreError> {
    let statements = statements(script);
    let done = store
        .transact(async |tx: &Tx| {
            tx.insert_new(
                "INSERT INTO schema_migrations (version, statements, applied_ms) VALUES (?, 0, ?)",
                values![version, now.get()],
            )
            .await?;
            let sql = "SELECT statements FROM schema_migrations WHERE version = ?";
            let progress: Option<Progress> = tx.one(sql, values![version]).await?;
            Ok::<_, StoreError>(progress.map_or(0, |progress| progress.statements))
        })
        .await?;
    let skip = usize::try_from(done).unwrap_or(usize::MAX);
    for (index, statement) in statements.iter().enumerate().skip(skip) {
        run_ddl(store, statement).await.map_err(|error| {
            StoreError::Migration(format!(
                "migration {version}, statement {}: {error}; mend the database, then run `migrate` again",
                index + 1
            ))
        })?;
        store
            .transact(async |tx: &Tx| {
                tx.execute(
                    "UPDATE schema_migrations SET statements = ?, applied_ms = ? \
                     WHERE version = ? AND statements < ?",
                    values![index as i64 + 1, now.get(), version, index as i64 + 1],
                )
                .await
            })
            .await?;
    }
    Ok(statements.len() > skip)
}

/// The statements of a script, without comments.
fn statements(script: &str) -> Vec<String> {
    let code: Vec<&str> = script
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let code = code.join("\n");
    code.split(';')
        .map(str::trim)
        .filter(|sql| !sql.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether the column that a statement adds is there: SQLite has no code of its own for that.
async fn has_column(store: &Store, statement: &str) -> Result<bool, StoreError> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let &["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] = words.as_slice() else {
        return Ok(false);
    };
    let sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?";
    store
        .transact(async |tx: &Tx| tx.exists(sql, values![table, column]).await)
        .await
}

/// Whether SQLite needs nothing of a statement: its columns hold values of any size.
async fn is_done_in_sqlite(store: &Store, statement: &str) -> Result<bool, StoreError> {
    Ok(statement.contains(" MODIFY COLUMN ") || has_column(store, statement).await?)
}

async fn run_ddl(store: &Store, statement: &str) -> Result<(), StoreError> {
    if store.backend() == Backend::Sqlite && is_done_in_sqlite(store, statement).await? {
        return Ok(());
    }
    let sql = match store.backend() {
        Backend::MySql if statement.starts_with("CREATE TABLE") => {
            format!("{statement} ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        }
        Backend::Sqlite => statement
            .replacen("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ", 1)
            .replacen(
                "CREATE UNIQUE INDEX ",
                "CREATE UNIQUE INDEX IF NOT EXISTS ",
                1,
            ),
        Backend::MySql => statement.to_owned(),
    };
    store.reach(Point::Before(&sql)).await;
    let raw = Statement::from_string(store.sea_backend(), sql.as_str());
    let answer = store.connection.execute_raw(raw).await;
    store.reach(Point::After(&sql)).await;
    match answer {
        Ok(_) => Ok(()),
        // Another migrator came between the look and the statement.
        Err(_)
            if store.backend() == Backend::Sqlite
                && is_done_in_sqlite(store, statement).await? =>
        {
            Ok(())
        }
        Err(error) => match judge(&error) {
            crate::error::Verdict::Fatal(StoreError::Refused { code })
                if ALREADY_THERE.contains(&code.as_str()) =>
            {
                Ok(())
            }
            _ => Err(error.into()),
        },
    }
}
