//! Database 2: its migrations, its receipts, and records that its consumer could not read.

use consumer::Consumer;
use contracts::telesales;
use domain::{telesales::Contact, time::UtcMillis};
use lambda_kit::{
    SealKey,
    kafka::{self, Handler},
    metrics,
};
use serde_json::{Value, json};
use sql_store::{
    Store, StoreError,
    migrate::{TELESALES, migrate_by},
    projection::{ProjectionTable, receipts},
};

/// What a command needs of telesales.
pub struct Telesales {
    consumer: Consumer<telesales::Telesales, ProjectionTable<Contact>>,
    seal_key: SealKey,
}

impl Telesales {
    /// With the consumer that project-customer runs, and the key that opens its dead letters.
    #[must_use]
    pub const fn new(
        consumer: Consumer<telesales::Telesales, ProjectionTable<Contact>>,
        seal_key: SealKey,
    ) -> Self {
        Self { consumer, seal_key }
    }

    /// Database 2.
    pub(crate) const fn store(&self) -> &Store {
        self.consumer.store().store()
    }

    pub(crate) const fn seal_key(&self) -> &SealKey {
        &self.seal_key
    }

    pub(crate) async fn migrate(&self, now: UtcMillis) -> Result<Vec<&'static str>, StoreError> {
        migrate_by(self.store(), &TELESALES, now).await
    }

    /// Checks the chain of the receipts of erasures.
    pub(crate) async fn verify(&self) -> Result<Value, StoreError> {
        Ok(match receipts::verify(self.store()).await? {
            Ok(receipts) => json!({"integro": true, "recibos": receipts}),
            Err(place) => {
                metrics::count("ReceiptsBroken", 1);
                tracing::error!(place, "the receipts of erasures are broken");
                json!({"integro": false, "primeiro_recibo_quebrado": place})
            }
        })
    }

    /// Takes a record over as its consumer would; one that still can't be read stays where it is.
    pub(crate) async fn take_over(&self, content: &[u8], now: UtcMillis) -> bool {
        let change = kafka::read_record(content).and_then(|record| self.consumer.decode(&record));
        let change = match change {
            Ok(change) => change,
            Err(bad) => {
                let field = bad.field.unwrap_or("-");
                tracing::warn!(code = bad.code, field, "a dead letter still can't be read");
                return false;
            }
        };
        let applied = self.consumer.apply(&[change], now).await;
        self.consumer.store().forget().await;
        match applied {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%error, "a dead letter was not taken over");
                false
            }
        }
    }
}
