//! The friend's trip (or order) is completed: the promoter's voucher.

use contracts::{envelope::Message, fields::BadMessage, mgm::trips};
use domain::{mgm::trip::CompletedLeg, time::UtcMillis};
use lambda_kit::{Outcome, Received, metrics, sqs::Handler};
use sql_store::{
    Store,
    mgm::{
        purchases::RecordOrderError,
        trips::{TripMessage, complete_trips},
    },
};

/// The handler of the queue of `viagens`.
pub struct IssueTripVoucher {
    store: Store,
}

impl IssueTripVoucher {
    /// Vouchers are issued in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Handler for IssueTripVoucher {
    type Message = CompletedLeg;

    fn decode(&self, message: &Message) -> Result<CompletedLeg, BadMessage> {
        trips::read(&message.fields)
    }

    async fn handle(&self, batch: &[Received<CompletedLeg>], now: UtcMillis) -> Vec<Outcome> {
        let messages: Vec<TripMessage> = batch
            .iter()
            .map(|received| TripMessage {
                id: received.identity.clone(),
                leg: received.message.clone(),
            })
            .collect();
        let handled = complete_trips(&self.store, &messages, now).await;
        let vouchers = i64::try_from(handled.vouchers).unwrap_or(i64::MAX);
        metrics::count("VouchersIssued", vouchers);
        let outcomes = handled.results.into_iter().map(|result| match result {
            Ok(()) => Outcome::Done,
            Err(RecordOrderError::OtherCustomer(_)) => Outcome::Reject(BadMessage::invalid(
                "id_cliente",
                "must be the customer whom the order has",
            )),
            Err(RecordOrderError::Store(error)) => Outcome::Retry(error.to_string()),
        });
        outcomes.collect()
    }
}
