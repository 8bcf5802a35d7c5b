//! Wiring of publish-outbox.

use std::{process::ExitCode, time::Duration};

use cold_start::{SqlParts, kafka_needs, kafka_setting};
use kafka_producer::KafkaProducer;
use publish_outbox::{EventRoutes, PublishOutbox, RoutesError};

/// A record is acknowledged within this time or given up, before its shard's lease ends.
const KAFKA_LIMIT: Duration = Duration::from_secs(8);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::direct::run("publish-outbox", async || {
        let parts = SqlParts::open(kafka_needs()).await?;
        let routes = EventRoutes::parse(parts.variable("EVENT_ROUTES")?)?;
        let queues = parts.queues().await?;
        let has_topics = routes.has_topics();
        let credentials = parts.credentials();
        let mut publisher = PublishOutbox::new(parts.store, queues, routes, lambda_kit::clock::now);
        if has_topics {
            let setting = |name: &str| kafka_setting(&parts.process, &parts.secrets, name);
            let kafka = KafkaProducer::of_settings(setting, credentials, KAFKA_LIMIT)?;
            publisher = publisher.with_kafka(kafka.ok_or(RoutesError::NoKafka)?);
        }
        Ok(((), publisher))
    })
    .await
}
