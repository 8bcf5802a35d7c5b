//! Where events go out: queues and, where the table names a topic, Kafka.

use std::collections::BTreeMap;

use contracts::customers::{self, CHANGED, CustomerChanged};
use domain::{customers::Customer, identity::CustomerId, time::UtcMillis};
use kafka_producer::{KafkaProducer, OutgoingRecord};
use queues::{OutgoingMessage, Queues};
use serde_json::Value;
use sql_store::{Store, Tx, customers::load, outbox::OutgoingEvent};

use crate::Target;

/// Why an event stays. It holds nothing of the event.
pub(crate) type NotSent = String;

const NO_OBJECT: &str = "its payload is no JSON object";

/// The ways out.
pub(crate) struct Outlets {
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) kafka: Option<KafkaProducer>,
}

impl Outlets {
    /// Sends events of different keys to one target; one answer for each, in their order.
    pub(crate) async fn send(
        &self,
        target: &Target,
        events: &[&OutgoingEvent],
        now: UtcMillis,
    ) -> Vec<Result<(), NotSent>> {
        match target {
            Target::Queue(url) => self.to_queue(url, events, now).await,
            Target::Topic(topic) => self.to_topic(topic, events).await,
        }
    }

    async fn to_queue(
        &self,
        url: &str,
        events: &[&OutgoingEvent],
        now: UtcMillis,
    ) -> Vec<Result<(), NotSent>> {
        let messages = events.iter().map(|event| message(url, event));
        settle(messages.collect(), async |messages: Vec<_>| {
            let answers = self.queues.send(url, &messages, now.get()).await;
            let answers = answers.into_iter();
            answers
                .map(|answer| answer.map(|_| ()).map_err(|error| error.to_string()))
                .collect()
        })
        .await
    }

    async fn to_topic(&self, topic: &str, events: &[&OutgoingEvent]) -> Vec<Result<(), NotSent>> {
        let Some(kafka) = &self.kafka else {
            return vec![Err("there is no Kafka".to_owned()); events.len()];
        };
        let customers = match self.customers_of(events).await {
            Ok(customers) => customers,
            Err(reason) => return vec![Err(reason); events.len()],
        };
        let records = events.iter().map(|event| record(event, &customers));
        settle(records.collect(), async |records: Vec<_>| {
            let answers = kafka.send(topic, &records).await.into_iter();
            answers
                .map(|answer| answer.map_err(|error| error.to_string()))
                .collect()
        })
        .await
    }

    /// The customers whom these events announce, as they are now.
    async fn customers_of(
        &self,
        events: &[&OutgoingEvent],
    ) -> Result<BTreeMap<String, Customer>, NotSent> {
        let announced: Vec<CustomerId> =
            events.iter().filter_map(|event| announced(event)).collect();
        let read = self.store.transact(async |tx: &Tx| {
            let mut customers = BTreeMap::new();
            for id in &announced {
                if let Some(customer) = load(tx, id).await? {
                    customers.insert(id.to_string(), customer);
                }
            }
            Ok::<_, sql_store::StoreError>(customers)
        });
        read.await.map_err(|error| error.to_string())
    }
}

/// Sends what could be made of the events, and puts each answer at its event's place.
async fn settle<T>(
    made: Vec<Option<T>>,
    send: impl AsyncFnOnce(Vec<T>) -> Vec<Result<(), NotSent>>,
) -> Vec<Result<(), NotSent>> {
    let is_made: Vec<bool> = made.iter().map(Option::is_some).collect();
    let mut answers = send(made.into_iter().flatten().collect()).await.into_iter();
    let answers = is_made.into_iter().map(|is_made| match is_made {
        true => answers
            .next()
            .unwrap_or_else(|| Err("there was no answer".to_owned())),
        false => Err(NO_OBJECT.to_owned()),
    });
    answers.collect()
}

/// The event with its own id, by which consumers tell a repetition; `None` when its payload is
/// none that our code writes.
fn body(event: &OutgoingEvent) -> Option<String> {
    let Ok(Value::Object(mut body)) = serde_json::from_str(&event.payload) else {
        return None;
    };
    body.insert("id_evento".to_owned(), event.id.as_str().into());
    Some(Value::Object(body).to_string())
}

fn message(url: &str, event: &OutgoingEvent) -> Option<OutgoingMessage> {
    let body = body(event)?;
    Some(if url.ends_with(".fifo") {
        let group = queues::group_id(&[event.aggregate_key.as_bytes()]);
        OutgoingMessage::fifo(body, group, event.id.as_str())
    } else {
        OutgoingMessage::new(body)
    })
}

/// A changed customer leaves as the customer is now, under the customer's id; any other event as
/// it is, under its aggregate.
fn record(event: &OutgoingEvent, customers: &BTreeMap<String, Customer>) -> Option<OutgoingRecord> {
    let (key, value) = if event.event_type == CHANGED {
        let id = announced(event)?.to_string();
        let value = customers.get(&id).and_then(customers::write);
        (id, value)
    } else {
        (event.aggregate_key.clone(), Some(body(event)?.into_bytes()))
    };
    Some(OutgoingRecord {
        key: Some(key.into_bytes()),
        value,
        headers: Vec::new(),
    })
}

/// The customer whom an event announces.
fn announced(event: &OutgoingEvent) -> Option<CustomerId> {
    if event.event_type != CHANGED {
        return None;
    }
    let changed: CustomerChanged = serde_json::from_str(&event.payload).ok()?;
    CustomerId::parse(changed.id_cliente).ok()
}
