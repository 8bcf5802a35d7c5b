//! Where what was taken goes: to Kafka, or to the queues in the bridge's envelope.

use contracts::collect::{Collected, EVENTS_TOPIC};
use domain::time::UtcMillis;
use kafka_producer::{KafkaProducer, OutgoingRecord};
use queues::{OutgoingMessage, Queues};

/// The way on.
pub enum Door {
    /// To the topics, acknowledged by all replicas.
    Kafka(KafkaProducer),
    /// To the queues that the bridge would fill.
    Queues {
        /// The queues.
        queues: Queues,
        /// That of `eventos_clientes`.
        events_url: String,
        /// That of `atualizacoes_estoque`.
        stock_url: String,
    },
}

/// Something is not safe yet. The text holds nothing of it.
pub type NotSent = String;

impl Door {
    /// Sends; one answer for each, in their order. What is sent is safe.
    pub async fn send(
        &self,
        topic: &'static str,
        taken: &[Collected],
        now: UtcMillis,
    ) -> Vec<Result<(), NotSent>> {
        if taken.is_empty() {
            return Vec::new();
        }
        match self {
            Self::Kafka(producer) => {
                let records: Vec<OutgoingRecord> = taken.iter().map(record).collect();
                let answers = producer.send(topic, &records).await.into_iter();
                answers
                    .map(|answer| answer.map_err(|error| error.to_string()))
                    .collect()
            }
            Self::Queues {
                queues,
                events_url,
                stock_url,
            } => {
                let url = if topic == EVENTS_TOPIC {
                    events_url
                } else {
                    stock_url
                };
                let messages: Vec<OutgoingMessage> = taken
                    .iter()
                    .map(|one| OutgoingMessage::new(one.enveloped(topic)))
                    .collect();
                let answers = queues.send(url, &messages, now.get()).await.into_iter();
                answers
                    .map(|answer| answer.map(|_| ()).map_err(|error| error.to_string()))
                    .collect()
            }
        }
    }
}

fn record(one: &Collected) -> OutgoingRecord {
    OutgoingRecord {
        key: Some(one.key.clone().into_bytes()),
        value: Some(one.json().into_bytes()),
        headers: Vec::new(),
    }
}
