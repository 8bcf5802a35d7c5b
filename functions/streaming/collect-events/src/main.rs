//! Wiring of collect-events.

use std::{process::ExitCode, time::Duration};

use cold_start::{QueueParts, kafka_needs, kafka_setting};
use collect_events::{CollectEvents, Door};
use kafka_producer::KafkaProducer;

/// Kafka acknowledges within this time, or the caller is told to come again: an answer is due
/// before API Gateway's 30 s are over.
const KAFKA_LIMIT: Duration = Duration::from_secs(8);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("collect-events", async || {
        let parts = QueueParts::open(kafka_needs()).await?;
        let setting = |name: &str| kafka_setting(&parts.process, &parts.secrets, name);
        let door = match KafkaProducer::of_settings(setting, KAFKA_LIMIT)? {
            Some(producer) => Door::Kafka(producer),
            None => Door::Queues {
                events_url: parts.variable("EVENTOS_QUEUE_URL")?.to_owned(),
                stock_url: parts.variable("ESTOQUE_QUEUE_URL")?.to_owned(),
                queues: parts.queues,
            },
        };
        Ok(((), CollectEvents::new(door)))
    })
    .await
}
