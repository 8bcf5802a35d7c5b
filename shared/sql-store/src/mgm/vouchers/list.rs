//! Looking at vouchers: one's own, and what a service sends to whom.

use std::collections::HashMap;

use domain::{
    identity::{CustomerId, VoucherId},
    mgm::voucher::{OrderHold, State, Status},
    orders::OrderStatus,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::{StoredVoucher, VoucherKey};
use crate::{
    Store, StoreError, Tx, Value,
    page::{LARGEST_PAGE, Page},
    placeholders, values,
};

/// A voucher as its owner should see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownVoucher {
    /// The voucher.
    pub voucher: StoredVoucher,
    /// Its status at the time of asking: what lapsed or expired is shown so, whether or not a sweep
    /// came by.
    pub status: Status,
}

/// Whom to send a voucher to: personal data, for the service that sends it.
#[derive(Clone, PartialEq, Eq, FromQueryResult)]
pub struct Recipient {
    /// The owner.
    pub customer_id: String,
    /// The owner's name.
    pub name: Option<String>,
    /// The owner's e-mail address.
    pub email: Option<String>,
    /// The owner's phone, E.164.
    pub phone: Option<String>,
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Recipient({}, …)", self.customer_id)
    }
}

#[derive(FromQueryResult)]
struct OrderRow {
    order_id: String,
    status: String,
}

/// A customer's vouchers, newest first, after the one with the id `after`.
///
/// # Errors
/// When the database fails.
pub async fn of_owner(
    store: &Store,
    owner: &CustomerId,
    after: Option<&VoucherId>,
    limit: u32,
    now: UtcMillis,
) -> Result<Page<ShownVoucher>, StoreError> {
    let limit = limit.clamp(1, LARGEST_PAGE);
    store
        .transact(async |tx: &Tx| {
            let mut values = values![owner.as_str()];
            values.extend(after.map(|id| Value::from(id.as_str())));
            values.push(Value::from(limit + 1));
            let older = if after.is_some() { " AND id < ?" } else { "" };
            let condition = format!("owner_id = ?{older} ORDER BY id DESC LIMIT ?");
            let page = Page::cut(StoredVoucher::read(tx, &condition, values).await?, limit);
            Ok(Page {
                rows: shown(tx, page.rows, now).await?,
                has_more: page.has_more,
            })
        })
        .await
}

/// A voucher by code or id: for its owner, or for anybody's when no owner is given.
///
/// # Errors
/// When the database fails.
pub async fn find(
    store: &Store,
    key: &VoucherKey,
    owner: Option<&CustomerId>,
    now: UtcMillis,
) -> Result<Option<(ShownVoucher, Option<Recipient>)>, StoreError> {
    let (condition, value) = match key {
        VoucherKey::Code(code) => ("code = ?", code.as_str()),
        VoucherKey::Id(id) => ("id = ?", id.as_str()),
    };
    store
        .transact(async |tx: &Tx| {
            let mut found = StoredVoucher::read(tx, condition, values![value]).await?;
            found.retain(|voucher| owner.is_none() || voucher.owner.as_ref() == owner);
            let Some(shown) = shown(tx, found, now).await?.pop() else {
                return Ok(None);
            };
            let recipient = match (&shown.voucher.owner, owner) {
                (Some(customer), None) => recipient(tx, customer).await?,
                _ => None,
            };
            Ok(Some((shown, recipient)))
        })
        .await
}

/// A deleted customer is nobody to send anything to.
async fn recipient(tx: &Tx, customer: &CustomerId) -> Result<Option<Recipient>, StoreError> {
    tx.one(
        "SELECT customer_id, name, email, phone FROM customers \
         WHERE customer_id = ? AND deleted = 0",
        values![customer.as_str()],
    )
    .await
}

async fn shown(
    tx: &Tx,
    vouchers: Vec<StoredVoucher>,
    now: UtcMillis,
) -> Result<Vec<ShownVoucher>, StoreError> {
    let orders: Vec<Value> = vouchers
        .iter()
        .filter_map(|voucher| match &voucher.state {
            State::Reserved(held) => Some(Value::from(held.order.as_str())),
            _ => None,
        })
        .collect();
    let holds = holds(tx, orders).await?;
    Ok(vouchers
        .into_iter()
        .map(|voucher| {
            let hold = match &voucher.state {
                State::Reserved(held) => holds.get(held.order.as_str()).copied(),
                _ => None,
            };
            let hold = hold.unwrap_or(OrderHold::Unknown);
            ShownVoucher {
                status: voucher.state.shown(voucher.expires, hold, now),
                voucher,
            }
        })
        .collect())
}

async fn holds(tx: &Tx, orders: Vec<Value>) -> Result<HashMap<String, OrderHold>, StoreError> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT order_id, status FROM purchases WHERE order_id IN {}",
        placeholders(1, orders.len())
    );
    let rows: Vec<OrderRow> = tx.all(&sql, orders).await?;
    rows.into_iter()
        .map(|row| {
            let void = OrderStatus::parse(&row.status)?.is_void();
            Ok((
                row.order_id,
                if void {
                    OrderHold::Void
                } else {
                    OrderHold::Alive
                },
            ))
        })
        .collect()
}
