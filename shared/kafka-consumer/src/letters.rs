//! Dead letters on a Kafka topic of their own, sealed; the topic's retention is their expiry.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::changes::Record;
use kafka_settings::ClusterContext;
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed};
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::Settings;

const SEND_LIMIT: Duration = Duration::from_secs(30);

/// Sends dead letters, acknowledged by all replicas. Its producer, which costs threads and memory, is
/// made for the first one.
pub struct KafkaDeadLetters {
    client: ClientConfig,
    context: ClusterContext,
    producer: OnceCell<FutureProducer<ClusterContext>>,
    topic: String,
    key: SealKey,
}

impl KafkaDeadLetters {
    /// For the topic of the settings; `key` seals.
    #[must_use]
    pub fn new(settings: &Settings, key: SealKey) -> Self {
        let mut client = settings.client();
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", SEND_LIMIT.as_millis().to_string());
        Self {
            client,
            context: settings.cluster.context(),
            producer: OnceCell::new(),
            topic: settings.dead_letter_topic.clone(),
            key,
        }
    }

    async fn send(&self, body: &str) -> Result<(), KafkaError> {
        let context = || self.context.clone();
        let producer = self
            .producer
            .get_or_try_init(async || self.client.create_with_context(context()));
        let record: FutureRecord<'_, str, str> = FutureRecord::to(&self.topic).payload(body);
        let sent = producer.await?.send(record, SEND_LIMIT).await;
        sent.map(|_| ()).map_err(|(error, _)| error)
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn seal_key(&self) -> &SealKey {
        &self.key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        self.send(&body).await.map_err(|error| {
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
