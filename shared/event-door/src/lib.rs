//! Where what shops and warehouses tell goes on to: Kafka, or the queues in the bridge's envelope.
//!
//! Architecture invariant: nothing is told to be taken before it is safe there.

use std::{collections::BTreeMap, time::Duration};

use cold_start::{ProcessEnvironment, Secrets, kafka_setting, variable};
use contracts::collect::{Collected, EVENTS_TOPIC, STOCK_TOPIC};
use domain::time::UtcMillis;
use kafka_producer::{Credentials, KafkaProducer, OutgoingRecord};
use lambda_kit::StartError;
use queues::{OutgoingMessage, Queues};

/// What is not taken within this time is told to come again: an answer is due before Lambda ends the
/// function, and API Gateway's 30 s.
const LIMIT: Duration = Duration::from_secs(8);
/// The queue of each topic.
const QUEUES: [(&str, &str); 2] = [
    (EVENTS_TOPIC, "EVENTOS_QUEUE_URL"),
    (STOCK_TOPIC, "ESTOQUE_QUEUE_URL"),
];

/// The way on.
#[derive(Clone)]
pub enum Door {
    /// To the topics, acknowledged by all replicas.
    Kafka(KafkaProducer),
    /// To the queues that the bridge would fill.
    Queues {
        /// The queues.
        queues: Queues,
        /// Their URLs by topic.
        urls: BTreeMap<&'static str, String>,
    },
}

/// Something is not safe yet. The text holds nothing of it.
pub type NotSent = String;

impl Door {
    /// To Kafka where KAFKA_BROKERS is set, else to the queues of these topics. Declare
    /// [`cold_start::kafka_needs`].
    ///
    /// # Errors
    /// When a setting of Kafka is wrong, or the URL of a queue is missing.
    pub fn open(
        topics: &[&'static str],
        process: &ProcessEnvironment,
        secrets: &Secrets,
        credentials: Option<Credentials>,
        queues: Queues,
    ) -> Result<Self, StartError> {
        let setting = |name: &str| kafka_setting(process, secrets, name);
        if let Some(producer) = KafkaProducer::of_settings(setting, credentials, LIMIT)? {
            return Ok(Self::Kafka(producer));
        }
        let mut urls = BTreeMap::new();
        for (topic, name) in QUEUES {
            if topics.contains(&topic) {
                urls.insert(topic, variable(process, name)?.to_owned());
            }
        }
        Ok(Self::Queues { queues, urls })
    }

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
            Self::Queues { queues, urls } => {
                let Some(url) = urls.get(topic) else {
                    return vec![Err("this topic has no queue here".to_owned()); taken.len()];
                };
                let messages: Vec<OutgoingMessage> = taken
                    .iter()
                    .map(|one| OutgoingMessage::new(one.enveloped(topic)))
                    .collect();
                let answers = queues
                    .send_within(url, messages.as_slice(), now.get(), LIMIT)
                    .await
                    .into_iter();
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
