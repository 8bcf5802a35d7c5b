//! Customers whose master is Feira: each change is a version more and an event, in one transaction.
//! The event holds ids only; what leaves is made of the customer's state when it is sent.

use contracts::customers::{CHANGED, CustomerChanged};
use domain::{
    customers::{Customer, Profile},
    identity::CustomerId,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::{NO_VERSION, locked_customers, write};
use crate::{Store, StoreError, Tx, outbox::NewEvent, values};

#[derive(FromQueryResult)]
struct VersionRow {
    customer_id: String,
    version: i64,
}

/// Registers a customer, changes the profile or, without one, deletes the customer. Answers the
/// new version; none where nothing changed.
///
/// # Errors
/// When the database fails.
pub async fn change(
    store: &Store,
    id: &CustomerId,
    profile: Option<&Profile>,
    now: UtcMillis,
) -> Result<Option<i64>, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let known = locked_customers(tx, vec![id.as_str()]).await?;
            let kept = known.get(id.as_str());
            let Some(next) = Customer::changed(id.clone(), kept, profile.cloned(), now) else {
                return Ok(None);
            };
            let rewritten: Vec<&str> = known.keys().map(String::as_str).collect();
            match write(tx, &rewritten, &[&next], now).await {
                // Another transaction registered the same customer: now the row can be locked.
                Err(StoreError::Duplicate) => return Err(tx.redo()),
                written => written?,
            };
            let version = next.version.unwrap_or(NO_VERSION);
            tx.publish(&[event(id, version, now)?], now).await?;
            Ok(Some(version))
        })
        .await
}

/// Announces customers as they are, deleted ones too, in the order of their ids: `limit` at most
/// after this one. Answers how many there were, and the last of them.
///
/// # Errors
/// When the database fails.
pub async fn announce(
    store: &Store,
    after: Option<&str>,
    limit: u32,
    now: UtcMillis,
) -> Result<(usize, Option<String>), StoreError> {
    const SQL: &str = "SELECT customer_id, version FROM customers WHERE customer_id > ? \
        ORDER BY customer_id LIMIT ?";
    store
        .transact(async |tx: &Tx| {
            let rows: Vec<VersionRow> = tx
                .all(SQL, values![after.unwrap_or_default(), limit])
                .await?;
            let mut events = Vec::with_capacity(rows.len());
            for row in &rows {
                let id = CustomerId::parse(row.customer_id.as_str())?;
                events.push(event(&id, row.version, now)?);
            }
            tx.publish(&events, now).await?;
            let last = rows.into_iter().last().map(|row| row.customer_id);
            Ok((events.len(), last))
        })
        .await
}

fn event(id: &CustomerId, version: i64, now: UtcMillis) -> Result<NewEvent, StoreError> {
    let changed = CustomerChanged::new(id, version, now);
    Ok(NewEvent {
        event_type: CHANGED,
        aggregate_key: changed.aggregate_key(),
        version,
        payload: serde_json::to_string(&changed).map_err(|_| StoreError::NotJson)?,
    })
}
