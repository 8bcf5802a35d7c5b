//! The places of an order: several vouchers that stack, or one that does not.

use domain::{identity::OrderId, mgm::voucher::State};

use crate::{StoreError, Tx, values};

/// Takes a place for a voucher. False when the order's others leave none.
pub(super) async fn join_order(
    tx: &Tx,
    order: &OrderId,
    stackable: bool,
) -> Result<bool, StoreError> {
    let exclusive = i32::from(!stackable);
    for _ in 0..2 {
        let joined = tx
            .execute(
                "UPDATE order_vouchers SET exclusive = ?, holders = holders + 1 \
                 WHERE order_id = ? AND (holders = 0 OR (exclusive = 0 AND ? = 0))",
                values![exclusive, order.as_str(), exclusive],
            )
            .await?;
        if joined > 0 {
            return Ok(true);
        }
        let first = tx
            .insert_new(
                "INSERT INTO order_vouchers (order_id, exclusive, holders) VALUES (?, ?, 1)",
                values![order.as_str(), exclusive],
            )
            .await?;
        if first {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives one place back.
pub(super) async fn leave_order(tx: &Tx, order: &OrderId) -> Result<(), StoreError> {
    let sql = "UPDATE order_vouchers SET holders = holders - 1 WHERE order_id = ? AND holders > 0";
    match tx.execute(sql, values![order.as_str()]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Broken(
            "order_vouchers lacks a place that was taken",
        )),
    }
}

/// Gives the place of a reserved voucher back.
pub(super) async fn leave_order_of(tx: &Tx, state: &State) -> Result<(), StoreError> {
    match state {
        State::Reserved(reservation) => leave_order(tx, &reservation.order).await,
        State::Issued | State::Used(_) | State::Cancelled | State::Expired => Ok(()),
    }
}
