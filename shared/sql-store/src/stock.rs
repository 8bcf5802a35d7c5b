//! One stock: the newest level of each product, whatever the order in which levels arrive, and the
//! alerts when one crosses what is low. Levels of products are locked one at a time.

mod history;
mod polls;
mod report;

pub use history::{HistoryError, not_in_lake, record_in_lake};
pub use polls::{last_poll, note_poll};
pub use report::{AlertRow, StockRow, alerts, levels};

use contracts::stock::{BECAME_LOW, RECOVERED, StockEvent, days_of_cover};
use domain::{
    stock::{Change, Level, Limits, LowReason, crossing, replaces},
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, outbox::NewEvent, values};

/// Before any level was told.
const NEVER_MS: i64 = -1;

#[derive(Debug, Clone, FromQueryResult)]
struct Known {
    product_id: String,
    units: i64,
    told_ms: i64,
    reserved_units: i64,
    minimum_units: Option<i64>,
    minimum_told_ms: i64,
    low_reason: Option<String>,
    alert_id: Option<String>,
    version: i64,
}

#[derive(FromQueryResult)]
struct Sold {
    sold_units: i64,
}

/// Takes over a level. An older one, or one that came before, changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn record_level(
    store: &Store,
    level: &Level,
    usual: Limits,
    now: UtcMillis,
) -> Result<Change, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let mut known = lock_or_make(tx, level.product.as_str(), now).await?;
            let told_ms = level.told.get();
            let is_newer = replaces(told_ms, level.units, known.told_ms, known.units);
            if is_newer {
                known.units = level.units;
                known.told_ms = told_ms;
            }
            let known_minimum = known.minimum_units.unwrap_or(i64::MAX);
            let newer_minimum = level.minimum.filter(|minimum| {
                replaces(told_ms, *minimum, known.minimum_told_ms, known_minimum)
            });
            if let Some(minimum) = newer_minimum {
                known.minimum_units = Some(minimum);
                known.minimum_told_ms = told_ms;
            }
            if !is_newer && newer_minimum.is_none() {
                return Ok(Change::None);
            }
            judge(tx, known, usual, now).await
        })
        .await
}

/// Notes what was sold of a product in the 28 days before `until`, and judges its stock by it.
///
/// # Errors
/// When the database fails.
pub async fn note_sales(
    store: &Store,
    product: &str,
    sold_units: i64,
    until: Day,
    usual: Limits,
    now: UtcMillis,
) -> Result<Change, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let known = lock(tx, product).await?;
            let day = until.to_string();
            let changed = tx
                .execute(
                    "UPDATE product_sales SET sold_units = ?, until_day = ? \
                     WHERE product_id = ? AND until_day <= ?",
                    values![sold_units, day.as_str(), product, day.as_str()],
                )
                .await?;
            if changed == 0 {
                // A later day's number is there already, or none.
                tx.insert_new(
                    "INSERT INTO product_sales (product_id, sold_units, until_day) VALUES (?, ?, ?)",
                    values![product, sold_units, day.as_str()],
                )
                .await?;
            }
            match known {
                Some(known) => judge(tx, known, usual, now).await,
                None => Ok(Change::None),
            }
        })
        .await
}

/// Products whose sales were noted for an earlier day only: nothing was sold of them since.
///
/// # Errors
/// When the database fails.
pub async fn sold_before(store: &Store, until: Day, limit: u32) -> Result<Vec<String>, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        product_id: String,
    }
    let sql = "SELECT product_id FROM product_sales WHERE until_day < ? ORDER BY until_day LIMIT ?";
    let rows: Vec<Row> = store
        .transact(async |tx: &Tx| tx.all(sql, values![until.to_string(), limit]).await)
        .await?;
    Ok(rows.into_iter().map(|row| row.product_id).collect())
}

async fn lock(tx: &Tx, product: &str) -> Result<Option<Known>, StoreError> {
    let sql = format!(
        "SELECT product_id, units, told_ms, reserved_units, minimum_units, minimum_told_ms, \
         low_reason, alert_id, version FROM stock WHERE product_id = ?{}",
        tx.for_update()
    );
    tx.one(&sql, values![product]).await
}

async fn lock_or_make(tx: &Tx, product: &str, now: UtcMillis) -> Result<Known, StoreError> {
    if let Some(known) = lock(tx, product).await? {
        return Ok(known);
    }
    tx.insert_new(
        "INSERT INTO stock (product_id, units, told_ms, reserved_units, minimum_told_ms, version, \
         updated_ms) VALUES (?, 0, ?, 0, ?, 0, ?)",
        values![product, NEVER_MS, NEVER_MS, now.get()],
    )
    .await?;
    let known = lock(tx, product).await?;
    known.ok_or(StoreError::Contended { attempts: 1 })
}

/// Writes the row as its next version.
async fn save(
    tx: &Tx,
    known: &Known,
    low: Option<LowReason>,
    now: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE stock SET units = ?, told_ms = ?, minimum_units = ?, minimum_told_ms = ?, \
         low_reason = ?, alert_id = ?, version = ?, updated_ms = ? WHERE product_id = ?",
        values![
            known.units,
            known.told_ms,
            known.minimum_units,
            known.minimum_told_ms,
            low.map(LowReason::as_str),
            known.alert_id.clone(),
            known.version + 1,
            now.get(),
            known.product_id.as_str()
        ],
    )
    .await?;
    Ok(())
}

/// Writes the row, and with a crossing its alert and event.
async fn judge(
    tx: &Tx,
    mut known: Known,
    usual: Limits,
    now: UtcMillis,
) -> Result<Change, StoreError> {
    let sql = "SELECT sold_units FROM product_sales WHERE product_id = ?";
    let sold: Option<Sold> = tx.one(sql, values![known.product_id.as_str()]).await?;
    let sold = sold.map_or(0, |sold| sold.sold_units);
    let limits = Limits {
        threshold_units: known.minimum_units.unwrap_or(usual.threshold_units),
        ..usual
    };
    let available = known.units - known.reserved_units;
    let low = limits.low(available, sold);
    let change = crossing(known.low_reason.is_some(), low);
    let version = known.version + 1;
    let ended = known.alert_id.clone();
    match change {
        Change::BecameLow(reason) => {
            let alert = tx.new_id(now)?;
            tx.execute(
                "INSERT INTO stock_alerts (id, product_id, reason, units, available_units, \
                 sold_units, threshold_units, told_ms, created_ms) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values![
                    alert.as_str(),
                    known.product_id.as_str(),
                    reason.as_str(),
                    known.units,
                    available,
                    sold,
                    limits.threshold_units,
                    known.told_ms,
                    now.get()
                ],
            )
            .await?;
            known.alert_id = Some(alert);
        }
        Change::Recovered => {
            let end = "UPDATE stock_alerts SET ended_ms = ? WHERE id = ?";
            tx.execute(end, values![now.get(), ended.clone()]).await?;
            known.alert_id = None;
        }
        Change::None | Change::Level => {}
    }
    save(tx, &known, low, now).await?;
    let (kind, alert) = match change {
        Change::BecameLow(_) => (BECAME_LOW, known.alert_id.clone()),
        Change::Recovered => (RECOVERED, ended),
        Change::None | Change::Level => return Ok(change),
    };
    let event = StockEvent {
        tipo: kind,
        id_alerta: alert.unwrap_or_default(),
        id_produto: known.product_id.clone(),
        motivo: low.map(LowReason::as_str),
        nivel_estoque: known.units,
        disponivel: available,
        limite: limits.threshold_units,
        dias_cobertura: days_of_cover(available, Some(sold)),
        ultima_atualizacao: UtcMillis::new(known.told_ms)?.to_string(),
        versao: version,
    };
    let event = NewEvent {
        event_type: kind,
        aggregate_key: format!("estoque/{}", known.product_id),
        version,
        payload: serde_json::to_string(&event).map_err(|_| StoreError::NotJson)?,
    };
    tx.publish(&[event], now).await?;
    Ok(change)
}
