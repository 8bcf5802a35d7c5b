//! The company's customers from `clientes` into database 1: the newest version wins. Whom a record
//! deletes is erased from the documents too, before it is acknowledged.

use contracts::customers;
use contracts::fields::BadMessage;
use documents::{Documents, DocumentsError};
use domain::customers::News;
use domain::time::UtcMillis;
use lambda_kit::kafka::{Handler, Record};
use lambda_kit::{Outcome, Received, batch, metrics};
use sql_store::customers::Synced;

/// The handler of the topic.
pub struct SyncCustomers {
    documents: Documents,
}

impl SyncCustomers {
    /// Customers are kept in the SQL database of `documents`.
    #[must_use]
    pub const fn new(documents: Documents) -> Self {
        Self { documents }
    }

    async fn take_over(&self, news: &[News], now: UtcMillis) -> Result<Synced, DocumentsError> {
        let synced = self.documents.sync_customers(news, now).await?;
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        metrics::count("CustomersKept", count(synced.kept));
        metrics::count("CustomersDeleted", count(synced.deleted));
        Ok(synced)
    }
}

impl Handler for SyncCustomers {
    type Message = News;

    fn decode(&self, record: &Record) -> Result<News, BadMessage> {
        customers::read(customers::Source {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
        })
    }

    async fn handle(&self, batch: &[Received<News>], now: UtcMillis) -> Vec<Outcome> {
        let news: Vec<News> = batch
            .iter()
            .map(|received| received.message.clone())
            .collect();
        match self.take_over(&news, now).await {
            Ok(_) => vec![Outcome::Done; batch.len()],
            Err(error) if error.is_transient() => {
                vec![Outcome::Retry(error.to_string()); batch.len()]
            }
            // One record must not hold up its neighbours: each has a transaction of its own.
            Err(_) => {
                batch::one_by_one(batch, async |received| {
                    let alone = std::slice::from_ref(&received.message);
                    match self.take_over(alone, now).await {
                        Ok(_) => Outcome::Done,
                        Err(error) if error.is_transient() => Outcome::Retry(error.to_string()),
                        Err(_) => Outcome::Reject(BadMessage {
                            code: "recusado_pelo_banco",
                            field: None,
                            rule: "must be a record that the database takes",
                        }),
                    }
                })
                .await
            }
        }
    }
}
