//! Dead letters on a Kafka topic of their own, sealed; the topic's retention is their expiry.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::changes::Record;
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed};
use rdkafka::{
    error::KafkaError,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::json;

use crate::Settings;

const SEND_LIMIT: Duration = Duration::from_secs(30);

/// Sends dead letters, acknowledged by all replicas.
pub struct KafkaDeadLetters {
    producer: FutureProducer,
    topic: String,
    key: SealKey,
}

impl KafkaDeadLetters {
    /// For the topic of the settings; `key` seals.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(settings: &Settings, key: SealKey) -> Result<Self, KafkaError> {
        let producer = settings
            .client()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", SEND_LIMIT.as_millis().to_string())
            .create()?;
        Ok(Self {
            producer,
            topic: settings.dead_letter_topic.clone(),
            key,
        })
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn seal_key(&self) -> &SealKey {
        &self.key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        let record: FutureRecord<'_, str, String> = FutureRecord::to(&self.topic).payload(&body);
        self.producer
            .send(record, SEND_LIMIT)
            .await
            .map(|_| ())
            .map_err(|(error, _)| {
                tracing::warn!(error = %error, "dead letter was not sent");
                SendFailed
            })
    }
}

/// The record as Lambda's event holds it, which is what a dead letter seals.
pub(crate) fn event_json(topic: &str, record: &Record<'_>) -> Vec<u8> {
    json!({
        "topic": topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "key": record.key.map(|key| STANDARD.encode(key)),
        "value": record.value.map(|value| STANDARD.encode(value)),
    })
    .to_string()
    .into_bytes()
}
