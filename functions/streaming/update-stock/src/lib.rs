//! Levels of stock from the queue: the newest of each product counts, what becomes low alerts, and
//! each level that was told is a row of the lake.

use contracts::{
    collect::read_level,
    envelope::{Coordinates, Message},
    fields::BadMessage,
};
use domain::{
    stock::{Change, Level, Limits, check_told},
    time::UtcMillis,
};
use lake::{
    Lake, LakeError,
    rows::{Source, StockRow, write_stock},
};
use lambda_kit::{Outcome, Received, batch, metrics, sqs::Handler};
use sql_store::{
    Store, StoreError,
    lake::register,
    stock::{HistoryError, not_in_lake, record_in_lake, record_level},
};

/// How often the levels are told apart anew when other instances record some of them meanwhile.
const MOST_LOOKS: u32 = 5;

/// A level and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedLevel {
    /// What it says.
    pub level: Level,
    /// Its record's place, if a topic brought it.
    pub source: Option<Coordinates>,
}

/// The handler of the queue of `atualizacoes_estoque`. Database 1 needs no marks: an older level
/// changes nothing, and the same one is not newer.
pub struct UpdateStock {
    store: Store,
    lake: Lake,
    usual: Limits,
}

/// Why levels did not reach the lake; the queue gives them again.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl UpdateStock {
    /// Levels are kept in `store` and `lake`; `usual` says what is low for products without an own
    /// threshold.
    #[must_use]
    pub const fn new(store: Store, lake: Lake, usual: Limits) -> Self {
        Self { store, lake, usual }
    }

    async fn update(&self, level: &Level, now: UtcMillis) -> Outcome {
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
    }

    /// Those of these levels that are not in the lake yet become one file of it.
    async fn keep(&self, told: &[&SourcedLevel], now: UtcMillis) -> Result<(), NotKept> {
        let levels: Vec<&Level> = told.iter().map(|one| &one.level).collect();
        for _ in 0..MOST_LOOKS {
            let places = not_in_lake(&self.store, &levels).await?;
            let fresh: Vec<&SourcedLevel> = places
                .iter()
                .filter_map(|place| told.get(*place).copied())
                .collect();
            // The file comes before the transaction that makes it visible.
            let rows = fresh.iter().map(|one| row(one)).collect();
            let Some(file) = write_stock(&self.lake, rows, now).await? else {
                return Ok(());
            };
            let levels: Vec<&Level> = fresh.iter().map(|one| &one.level).collect();
            match record_in_lake(&self.store, &levels, &file, now).await {
                Ok(()) => return Ok(()),
                Err(HistoryError::Raced) => {}
                Err(HistoryError::NotRegistered) => {
                    let path = self.lake.data_path()?;
                    register(&self.store, &path, now).await?;
                }
                Err(HistoryError::Store(error)) => return Err(error.into()),
            }
        }
        let attempts = MOST_LOOKS;
        Err(StoreError::Contended { attempts }.into())
    }
}

fn row(told: &SourcedLevel) -> StockRow {
    StockRow {
        product: told.level.product.as_str().to_owned(),
        level: told.level.units,
        updated: told.level.told,
        source: told.source.as_ref().map(|place| Source {
            topic: place.topic.clone(),
            partition: place.partition,
            offset: place.offset,
        }),
    }
}

impl Handler for UpdateStock {
    type Message = SourcedLevel;

    fn decode(&self, message: &Message) -> Result<SourcedLevel, BadMessage> {
        Ok(SourcedLevel {
            level: read_level(&message.fields)?,
            source: message.coordinates.clone(),
        })
    }

    async fn handle(&self, batch: &[Received<SourcedLevel>], now: UtcMillis) -> Vec<Outcome> {
        let outcomes = batch::one_by_one(batch, async |received| {
            self.update(&received.message.level, now).await
        })
        .await;
        let told: Vec<&SourcedLevel> = batch
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, Outcome::Done))
            .map(|(received, _)| &received.message)
            .collect();
        let Err(error) = self.keep(&told, now).await else {
            return outcomes;
        };
        let code = error.to_string();
        tracing::error!(code, "levels of stock did not reach the lake");
        let again = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Done => Outcome::Retry(code.clone()),
            outcome => outcome,
        });
        again.collect()
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
