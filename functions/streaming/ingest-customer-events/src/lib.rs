//! Events of customers: each one's effects exactly once, in live figures, views, click log and lake.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    envelope::{Coordinates, Message},
    events::read,
    fields::BadMessage,
};
use documents::{Documents, DocumentsError};
use domain::{events::CustomerEvent, profiles::BuyerProfile, time::UtcMillis};
use lake::{
    Lake, LakeError,
    rows::{EventRow, Source, write_events},
};
use lambda_kit::{Outcome, Received, metrics, sqs::Handler};
use sql_store::{
    Store, StoreError,
    events::{self, Batch, BatchCounts, EventKey, Incoming, IngestError, Sorted},
    lake::register,
};

/// How often a batch is told apart anew when other instances take its events meanwhile.
const MOST_LOOKS: u32 = 5;

/// An event and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedEvent {
    /// What it says.
    pub event: CustomerEvent,
    /// Its record's place, if a topic brought it.
    pub source: Option<Coordinates>,
}

/// The handler of EventosQueue.
pub struct IngestCustomerEvents {
    store: Store,
    documents: Documents,
    lake: Lake,
}

/// Why a batch was not ingested; the queue gives it again.
#[derive(Debug)]
enum Failure {
    Store(StoreError),
    Documents(DocumentsError),
    Lake(LakeError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DocumentsError> for Failure {
    fn from(error: DocumentsError) -> Self {
        Self::Documents(error)
    }
}

impl Failure {
    fn code(&self) -> String {
        match self {
            Self::Store(error) => error.to_string(),
            Self::Documents(error) => error.to_string(),
            Self::Lake(error) => error.to_string(),
        }
    }
}

impl IngestCustomerEvents {
    /// Effects go into `store`, `documents` and `lake`.
    #[must_use]
    pub const fn new(store: Store, documents: Documents, lake: Lake) -> Self {
        Self {
            store,
            documents,
            lake,
        }
    }

    async fn ingest(
        &self,
        batch: &[Received<SourcedEvent>],
        now: UtcMillis,
    ) -> Result<BatchCounts, Failure> {
        let incoming: Vec<Incoming> = batch.iter().map(incoming).collect();
        let users: BTreeSet<&str> = incoming.iter().map(|one| one.event.user.as_str()).collect();
        let profiles = self.documents.profiles(&users, now).await?;
        for _ in 0..MOST_LOOKS {
            let sorted = events::sort(&self.store, &incoming).await?;
            // Documents and the file come before the transaction that makes them count.
            self.documents
                .log_clicks(&incoming, &sorted, &profiles, now)
                .await?;
            let rows = rows(batch, &sorted, &profiles);
            let file = write_events(&self.lake, rows, now)
                .await
                .map_err(Failure::Lake)?;
            let batch = Batch {
                incoming: &incoming,
                sorted: &sorted,
                profiles: &profiles,
                file: file.as_ref(),
                logs_clicks: self.documents.are_in_sql(),
            };
            match events::commit(&self.store, &batch, now).await {
                Ok(counts) => return Ok(counts),
                Err(IngestError::Raced) => {}
                Err(IngestError::NotRegistered) => {
                    let path = self.lake.data_path().map_err(Failure::Lake)?;
                    register(&self.store, &path, now).await?;
                }
                Err(IngestError::Store(error)) => return Err(error.into()),
            }
        }
        let attempts = MOST_LOOKS;
        Err(StoreError::Contended { attempts }.into())
    }
}

/// `id_evento` is the identity wherever the event comes by; without it, the record's coordinates.
fn incoming(received: &Received<SourcedEvent>) -> Incoming {
    let event = &received.message.event;
    let key = match &event.event_id {
        Some(id) => EventKey::of(&format!("e/{id}")),
        None => EventKey::of(&received.identity),
    };
    Incoming {
        key,
        event: event.clone(),
    }
}

fn rows(
    batch: &[Received<SourcedEvent>],
    sorted: &Sorted,
    profiles: &BTreeMap<String, BuyerProfile>,
) -> Vec<EventRow> {
    let fresh = sorted.fresh.iter().filter_map(|place| batch.get(*place));
    fresh
        .map(|received| {
            let SourcedEvent { event, source } = &received.message;
            let profile = profiles.get(event.user.as_str());
            EventRow {
                user: event.user.as_str().to_owned(),
                kind: event.kind.as_str().to_owned(),
                product: event.product.as_ref().map(|id| id.as_str().to_owned()),
                occurred: event.occurred,
                // Without its own, what tells it from others: every row of the lake has one.
                event_id: event
                    .event_id
                    .clone()
                    .unwrap_or_else(|| received.identity.clone()),
                session: event.session.clone(),
                quantity: event.quantity,
                price_centavos: event.price.map(|price| price.get()),
                reference: event.reference.clone(),
                region: profile.and_then(|profile| profile.region.clone()),
                source: source.as_ref().map(|place| Source {
                    topic: place.topic.clone(),
                    partition: place.partition,
                    offset: place.offset,
                }),
            }
        })
        .collect()
}

impl Handler for IngestCustomerEvents {
    type Message = SourcedEvent;

    fn decode(&self, message: &Message) -> Result<SourcedEvent, BadMessage> {
        Ok(SourcedEvent {
            event: read(&message.fields)?,
            source: message.coordinates.clone(),
        })
    }

    async fn handle(&self, batch: &[Received<SourcedEvent>], now: UtcMillis) -> Vec<Outcome> {
        let outcome = match self.ingest(batch, now).await {
            Ok(counts) => {
                note(&counts);
                Outcome::Done
            }
            Err(failure) => {
                let code = failure.code();
                tracing::error!(code, "a batch was not ingested");
                Outcome::Retry(code)
            }
        };
        vec![outcome; batch.len()]
    }
}

fn note(counts: &BatchCounts) {
    metrics::count("EventsIngested", counts.events);
    for (name, count) in [
        ("EventsDuplicated", counts.duplicates),
        ("EventsConflicting", counts.conflicts),
        ("EventsLate", counts.late),
        ("EventsAhead", counts.ahead),
    ] {
        if count > 0 {
            metrics::count(name, count);
        }
    }
}
