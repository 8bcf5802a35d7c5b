//! Levels of stock from the queue: the newest of each product counts, and what becomes low alerts.

use contracts::{collect::read_level, envelope::Message, fields::BadMessage};
use domain::{
    stock::{Change, Level, Limits, check_told},
    time::UtcMillis,
};
use lambda_kit::{Outcome, Received, batch, metrics, sqs::Handler};
use sql_store::{Store, stock::record_level};

/// The handler of the queue of `atualizacoes_estoque`. It needs no marks: an older level changes
/// nothing, and the same one is not newer.
pub struct UpdateStock {
    store: Store,
    usual: Limits,
}

impl UpdateStock {
    /// Levels are kept in `store`; `usual` says what is low for products without an own threshold.
    #[must_use]
    pub const fn new(store: Store, usual: Limits) -> Self {
        Self { store, usual }
    }
}

impl Handler for UpdateStock {
    type Message = Level;

    fn decode(&self, message: &Message) -> Result<Level, BadMessage> {
        read_level(&message.fields)
    }

    async fn handle(&self, batch: &[Received<Level>], now: UtcMillis) -> Vec<Outcome> {
        batch::one_by_one(batch, async |received| {
            let level = &received.message;
            if let Err(invalid) = check_told(level.told, now) {
                return Outcome::Reject(BadMessage::invalid("ultima_atualizacao", invalid.rule));
            }
            match record_level(&self.store, level, self.usual, now).await {
                Ok(change) => {
                    count(change);
                    Outcome::Done
                }
                Err(error) => Outcome::Retry(error.to_string()),
            }
        })
        .await
    }
}

fn count(change: Change) {
    match change {
        Change::None => metrics::count("StockLevelsOld", 1),
        Change::Level => metrics::count("StockLevelsTaken", 1),
        Change::BecameLow(_) => {
            metrics::count("StockLevelsTaken", 1);
            metrics::count("StockAlerts", 1);
        }
        Change::Recovered => {
            metrics::count("StockLevelsTaken", 1);
            metrics::count("StockRecoveries", 1);
        }
    }
}
