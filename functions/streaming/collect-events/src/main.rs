//! Wiring of collect-events.

use std::process::ExitCode;

use cold_start::{QueueParts, kafka_needs};
use collect_events::CollectEvents;
use contracts::collect::{EVENTS_TOPIC, STOCK_TOPIC};
use event_door::Door;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::http::run("collect-events", async || {
        let parts = QueueParts::open(kafka_needs()).await?;
        let topics = [EVENTS_TOPIC, STOCK_TOPIC];
        let door = Door::open(
            &topics,
            &parts.process,
            &parts.secrets,
            parts.credentials(),
            parts.queues.clone(),
        )?;
        Ok(((), CollectEvents::new(door)))
    })
    .await
}
