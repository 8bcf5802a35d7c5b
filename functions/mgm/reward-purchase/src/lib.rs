//! A purchase made through a link: the friend's coupon. A cancelled one: neither coupon nor voucher.

use contracts::{envelope::Message, fields::BadMessage, mgm::purchases::Purchase};
use domain::{
    mgm::{attribution::SigningKey, referral::Order},
    time::UtcMillis,
};
use lambda_kit::{Outcome, Received, batch, metrics, sqs::Handler};
use sql_store::{
    Store,
    mgm::purchases::{RecordOrderError, Recorded, record_order},
};

/// The handler of the queue of `pedidos`.
pub struct RewardPurchase {
    store: Store,
    signing_key: SigningKey,
}

impl RewardPurchase {
    /// Orders are kept in `store`; a `ref` counts when it was signed with `signing_key`.
    #[must_use]
    pub const fn new(store: Store, signing_key: SigningKey) -> Self {
        Self { store, signing_key }
    }
}

impl Handler for RewardPurchase {
    type Message = Order;

    fn decode(&self, message: &Message) -> Result<Order, BadMessage> {
        Ok(Purchase::read(&message.fields)?.order(&self.signing_key))
    }

    async fn handle(&self, batch: &[Received<Order>], now: UtcMillis) -> Vec<Outcome> {
        batch::one_by_one(batch, async |received| {
            let order = &received.message;
            match record_order(&self.store, &received.identity, order, now).await {
                Ok(recorded) => {
                    note(order, &recorded);
                    Outcome::Done
                }
                Err(RecordOrderError::OtherCustomer(_)) => Outcome::Reject(BadMessage::invalid(
                    "id_cliente",
                    "must be the customer whom the order has",
                )),
                Err(RecordOrderError::Store(error)) => Outcome::Retry(error.to_string()),
            }
        })
        .await
    }
}

fn note(order: &Order, recorded: &Recorded) {
    let order_id = order.id.as_str();
    match recorded {
        Recorded::Before | Recorded::Order => {}
        Recorded::Accepted(referral) => {
            tracing::info!(order_id, referral_id = %referral, "referral accepted");
            metrics::count("ReferralsAccepted", 1);
        }
        Recorded::Refused(refusal) => {
            let reason = refusal.as_str();
            tracing::info!(order_id, reason, "purchase through a link refused");
            metrics::count("ReferralsRefused", 1);
        }
        Recorded::Voided(referral) => {
            tracing::info!(order_id, referral_id = %referral, "referral voided");
            metrics::count("ReferralsVoided", 1);
        }
    }
}
