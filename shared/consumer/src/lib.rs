//! A consumer of changes is three things: the fields it takes ([`Projection`]), the row it keeps, and
//! where. Batches, order, versions, duplicates, dead letters and metrics come with it, in a Lambda
//! (this crate) as in a process of its own (kafka-consumer).
//!
//! Architecture invariant: a field that the consumer does not name is skipped while the record is
//! read, and nothing of a record outlives it but the row.

use contracts::{
    changes::{self, Change, Projection, Shape},
    fields::BadMessage,
};
use domain::time::UtcMillis;
use lambda_kit::{
    Outcome, Received, batch,
    kafka::{Handler, Record},
    metrics,
};
use sql_store::{
    StoreError,
    projection::{Applied, Columns, ProjectionTable},
};

/// Where a consumer keeps its rows.
pub trait ChangeStore<R> {
    /// Applies changes in their order, all of them or none; the newest version wins, whatever was
    /// applied before.
    fn apply(
        &self,
        changes: &[Change<R>],
        now: UtcMillis,
    ) -> impl Future<Output = Result<Applied, StoreError>>;

    /// Takes what was replaced or deleted out of where it lay, if the store does not do so itself.
    fn forget(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

impl<R: Columns> ChangeStore<R> for ProjectionTable<R> {
    async fn apply(&self, changes: &[Change<R>], now: UtcMillis) -> Result<Applied, StoreError> {
        Self::apply(self, changes, now).await
    }

    async fn forget(&self) {
        Self::forget(self).await;
    }
}

/// A consumer with its store.
pub struct Consumer<P: Projection, S> {
    shape: Shape,
    store: S,
    clock: fn() -> UtcMillis,
    projection: std::marker::PhantomData<fn(P)>,
}

impl<P: Projection, S: ChangeStore<P::Row>> Consumer<P, S> {
    /// Records of this shape are kept in `store`; `clock` tells which of them lie in the future.
    #[must_use]
    pub const fn new(shape: Shape, store: S, clock: fn() -> UtcMillis) -> Self {
        Self {
            shape,
            store,
            clock,
            projection: std::marker::PhantomData,
        }
    }

    /// Where the rows are.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Reads one record.
    ///
    /// # Errors
    /// Names what is wrong and holds no value of the record.
    pub fn read(&self, record: &changes::Record<'_>) -> Result<Change<P::Row>, BadMessage> {
        changes::read::<P>(&self.shape, record, (self.clock)())
    }

    /// Applies a batch, and counts what it changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn apply(
        &self,
        changes: &[Change<P::Row>],
        now: UtcMillis,
    ) -> Result<Applied, StoreError> {
        let applied = self.store.apply(changes, now).await?;
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        metrics::count("RowsKept", count(applied.kept));
        metrics::count("RowsDeleted", count(applied.deleted));
        metrics::count("ChangesOld", count(applied.old));
        Ok(applied)
    }
}

/// What the store refuses for good goes to dead letters.
pub const REFUSED_BY_STORE: BadMessage = BadMessage {
    code: "recusado_pelo_banco",
    field: None,
    rule: "must be a record that the database takes",
};

impl<P, S> Handler for Consumer<P, S>
where
    P: Projection,
    P::Row: Clone,
    S: ChangeStore<P::Row>,
{
    type Message = Change<P::Row>;

    fn decode(&self, record: &Record) -> Result<Self::Message, BadMessage> {
        self.read(&changes::Record {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
        })
    }

    async fn handle(&self, batch: &[Received<Self::Message>], now: UtcMillis) -> Vec<Outcome> {
        let changes: Vec<Change<P::Row>> = batch
            .iter()
            .map(|received| received.message.clone())
            .collect();
        let outcomes = match self.apply(&changes, now).await {
            Ok(_) => vec![Outcome::Done; batch.len()],
            Err(error) if !error.blames_the_row() => {
                vec![Outcome::Retry(error.to_string()); batch.len()]
            }
            // One record must not hold up its neighbours: each has a transaction of its own.
            Err(_) => {
                batch::one_by_one(batch, async |received| {
                    let alone = std::slice::from_ref(&received.message);
                    match self.apply(alone, now).await {
                        Ok(_) => Outcome::Done,
                        Err(error) if !error.blames_the_row() => Outcome::Retry(error.to_string()),
                        Err(_) => Outcome::Reject(REFUSED_BY_STORE),
                    }
                })
                .await
            }
        };
        self.store.forget().await;
        outcomes
    }
}
