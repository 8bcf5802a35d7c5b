//! The history of the checks of the sales, and what the checks ask of database 1.

use std::collections::BTreeSet;

use domain::time::{Day, UtcMillis};
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, Value, page::Page, placeholders, values};

/// Keys of one statement.
const BATCH: usize = 1_000;

/// What a check found for a date.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct CheckResult {
    /// The date.
    pub day: String,
    /// The check's name.
    pub check_name: String,
    /// Its kind.
    pub kind: String,
    /// `ok`, `aviso`, `erro` or `sem_dados`.
    pub verdict: String,
    /// How many keys failed.
    pub failures: i64,
    /// How many were looked at.
    pub checked: i64,
    /// A sentence.
    pub detail: String,
    /// The key of the file of all failing keys, where there are any.
    pub failures_key: Option<String>,
    /// The lake's version that was looked at.
    pub snapshot_id: Option<i64>,
    /// When it was looked at.
    pub checked_ms: i64,
}

const COLUMNS: &str = "day, check_name, kind, verdict, failures, checked, detail, failures_key, \
    snapshot_id, checked_ms";

/// Writes the results of a date in the place of those that it had.
///
/// # Errors
/// When the database fails.
pub async fn record(tx: &Tx, day: Day, results: &[CheckResult]) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM quality_results WHERE day = ?",
        values![day.to_string()],
    )
    .await?;
    if results.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO quality_results ({COLUMNS}) VALUES {}",
        placeholders(results.len(), 10)
    );
    let mut rows = Vec::new();
    for result in results {
        rows.extend(values![
            day.to_string(),
            result.check_name.as_str(),
            result.kind.as_str(),
            result.verdict.as_str(),
            result.failures,
            result.checked,
            result.detail.as_str(),
            result.failures_key.clone(),
            result.snapshot_id,
            result.checked_ms,
        ]);
    }
    tx.execute(&sql, rows).await?;
    Ok(())
}

/// The results of a date, by name; without a date those of the newest.
///
/// # Errors
/// When the database fails.
pub async fn of_day(store: &Store, day: Option<Day>) -> Result<Vec<CheckResult>, StoreError> {
    let of = if day.is_some() {
        "?"
    } else {
        "(SELECT MAX(day) FROM quality_results)"
    };
    let sql = format!("SELECT {COLUMNS} FROM quality_results WHERE day = {of} ORDER BY check_name");
    let values: Vec<Value> = day.iter().map(|day| day.to_string().into()).collect();
    store
        .transact(async |tx: &Tx| tx.all(&sql, values.clone()).await)
        .await
}

/// The results of a check, newest first, before `before`.
///
/// # Errors
/// When the database fails.
pub async fn of_check(
    store: &Store,
    check_name: &str,
    before: Option<Day>,
    size: u32,
) -> Result<Page<CheckResult>, StoreError> {
    let before = before.map_or_else(|| "9999".to_owned(), |day| day.to_string());
    let sql = format!(
        "SELECT {COLUMNS} FROM quality_results WHERE check_name = ? AND day < ? \
         ORDER BY day DESC LIMIT ?"
    );
    let rows = store
        .transact(async |tx: &Tx| {
            tx.all(&sql, values![check_name, before.as_str(), size + 1])
                .await
        })
        .await?;
    Ok(Page::cut(rows, size))
}

/// Which of these products the catalog knows; `None` where it knows no product at all.
///
/// # Errors
/// When the database fails.
pub async fn known_products(
    store: &Store,
    products: &[&str],
) -> Result<Option<BTreeSet<String>>, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        product_id: String,
    }
    let any = store
        .transact(async |tx: &Tx| tx.exists("SELECT 1 FROM products LIMIT 1", values![]).await)
        .await?;
    if !any {
        return Ok(None);
    }
    let mut known = BTreeSet::new();
    for products in products.chunks(BATCH) {
        let sql = format!(
            "SELECT product_id FROM products WHERE product_id IN {}",
            placeholders(1, products.len())
        );
        let rows: Vec<Row> = store
            .transact(async |tx: &Tx| {
                let values = products
                    .iter()
                    .map(|product| Value::from(*product))
                    .collect();
                tx.all(&sql, values).await
            })
            .await?;
        known.extend(rows.into_iter().map(|row| row.product_id));
    }
    Ok(Some(known))
}

impl CheckResult {
    /// Of this check for this date.
    #[must_use]
    pub fn begun(day: Day, check_name: &str, kind: &str, now: UtcMillis) -> Self {
        Self {
            day: day.to_string(),
            check_name: check_name.to_owned(),
            kind: kind.to_owned(),
            verdict: "sem_dados".to_owned(),
            failures: 0,
            checked: 0,
            detail: String::new(),
            failures_key: None,
            snapshot_id: None,
            checked_ms: now.get(),
        }
    }
}
