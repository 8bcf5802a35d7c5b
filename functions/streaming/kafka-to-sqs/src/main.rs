//! Wiring of kafka-to-sqs.

use std::process::ExitCode;

use cold_start::{Need, ProcessEnvironment, QueueParts, keys};
use kafka_to_sqs::{Bridge, Parts, Settings, TopicQueues};
use queues::{MAX_MESSAGE_BYTES, SqsLimits};

/// At 20 ms a request and ten records in each, enough for 60,000 records a second.
const IN_FLIGHT: usize = 128;
/// Within the time that Lambda has left, so often.
const ATTEMPTS: u32 = 8;
const LONGEST_PAUSE_MS: u64 = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::kafka::run_on_events("kafka-to-sqs", async || {
        let message_bytes = match ProcessEnvironment::current().get("SQS_MESSAGE_BYTES") {
            Some(text) => text
                .parse()
                .map_err(|_| "SQS_MESSAGE_BYTES must be a number")?,
            None => MAX_MESSAGE_BYTES,
        };
        let limits = SqsLimits {
            request_bytes: message_bytes,
            in_flight: IN_FLIGHT,
            attempts: ATTEMPTS,
            longest_pause_ms: LONGEST_PAUSE_MS,
            ..SqsLimits::default()
        };
        let parts = QueueParts::open_with(&[Need::Required(keys::DEAD_LETTER_KEY)], limits).await?;
        let settings = Settings {
            queues: TopicQueues::parse(parts.variable("TOPIC_QUEUES")?)?,
            dead_letters_url: parts.variable("DEAD_LETTER_QUEUE_URL")?.to_owned(),
            claims_bucket: parts.variable("CLAIMS_BUCKET")?.to_owned(),
            message_bytes,
            seal_key: parts.seal_key(keys::DEAD_LETTER_KEY)?,
        };
        let files = parts.files()?;
        let outside = Parts::new(parts.queues, files);
        Ok(Bridge::new(settings, outside))
    })
    .await
}
