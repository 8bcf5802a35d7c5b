//! Dead letters on a Kafka topic of their own, sealed; the topic's retention is their expiry, so a
//! process does not run where they would lie for ever.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::changes::Record;
use kafka_settings::ClusterContext;
use lambda_kit::{DeadLetters, SealKey, dead_letter::SendFailed};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{RunError, Settings};

/// A topic that the consumer makes keeps letters for so many days, as SQS does at most.
pub const LETTER_DAYS: u32 = 14;
/// A topic that keeps them for longer is refused.
pub const LONGEST_LETTER_DAYS: u32 = 30;

const RETENTION: &str = "retention.ms";
/// Kafka deletes whole segments: a letter stays until the youngest of its segment is too old.
const SEGMENT: &str = "segment.ms";
const CLEANUP: &str = "cleanup.policy";
const DAY_MS: i64 = 86_400_000;
const SEND_LIMIT: Duration = Duration::from_secs(30);
const ADMIN_LIMIT: Duration = Duration::from_secs(10);
/// The check is waited for so long before the member begins.
const CHECKED_FIRST: Duration = Duration::from_secs(2);
/// A broker that is away is asked again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(5);

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

/// [`check_letter_topic`], before the member's client is there: its threads take over the memory that
/// the check's leave. Where the broker is away it goes on beside the member: the future that is answered
/// ends when it found something wrong.
pub(crate) async fn check_letter_topic_first(
    settings: &Settings,
) -> Result<impl Future<Output = RunError> + use<>, RunError> {
    let mut checking = tokio::spawn(check_letter_topic(settings.clone()));
    let in_time = tokio::time::timeout(CHECKED_FIRST, &mut checking).await;
    let is_checked = match in_time {
        Ok(outcome) => outcome
            .unwrap_or(Err(RunError::PollerEnded))
            .map(|()| true)?,
        Err(_) => false,
    };
    Ok(async move {
        if !is_checked && let Ok(Err(wrong)) = checking.await {
            return wrong;
        }
        std::future::pending().await
    })
}

/// Makes the topic of letters with an expiry where it is missing, and refuses one that keeps them for
/// too long, or for ever. It waits for a broker that is away.
async fn check_letter_topic(settings: Settings) -> Result<(), RunError> {
    let topic = settings.dead_letter_topic.as_str();
    let admin: AdminClient<ClusterContext> = settings
        .client()
        .create_with_context(settings.cluster.context())?;
    let mut is_there = false;
    loop {
        match longest_stay(&admin, topic).await {
            Ok(Some(millis)) => {
                let longest = i64::from(LONGEST_LETTER_DAYS) * DAY_MS;
                return match (0..=longest).contains(&millis) {
                    true => Ok(()),
                    false => Err(RunError::LettersStay(topic.to_owned())),
                };
            }
            // There is no such topic, or we may not know of it.
            Ok(None) if !is_there => match make(&admin, topic).await {
                Ok(is_ours) if is_ours => return Ok(()),
                Ok(_) => is_there = true,
                Err(reason) => {
                    tracing::warn!(reason, "the dead letters have no topic that is known");
                    return Ok(());
                }
            },
            Ok(None) => {
                tracing::warn!("the retention of the dead letters is not known");
                return Ok(());
            }
            Err(error) => {
                tracing::debug!(%error, "the dead letters' topic was not looked at");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }
}

/// How long the topic keeps a letter at most, in milliseconds; below zero for ever. Nothing where the
/// broker does not tell.
async fn longest_stay(
    admin: &AdminClient<ClusterContext>,
    topic: &str,
) -> Result<Option<i64>, KafkaError> {
    let options = AdminOptions::new().request_timeout(Some(ADMIN_LIMIT));
    let asked = [ResourceSpecifier::Topic(topic)];
    let told = admin.describe_configs(&asked, &options).await?;
    let config = told.into_iter().next().and_then(Result::ok);
    let value = |name| {
        let entry = config.as_ref().and_then(|config| config.get(name));
        entry.and_then(|entry| entry.value.as_deref())
    };
    let millis = |name| value(name).and_then(|value| value.parse::<i64>().ok());
    // A compacted topic takes no letters, as they have no key.
    let is_compacted = value(CLEANUP).is_some_and(|policy| policy.contains("compact"));
    Ok(millis(RETENTION).map(|retention| match retention {
        ..0 => retention,
        _ if is_compacted => -1,
        _ => retention.saturating_add(millis(SEGMENT).unwrap_or_default()),
    }))
}

/// The topic is there: true where it was made here, and not by another member, or before.
async fn make(admin: &AdminClient<ClusterContext>, topic: &str) -> Result<bool, String> {
    let retention = (i64::from(LETTER_DAYS) * DAY_MS).to_string();
    let segment = DAY_MS.to_string();
    // As many replicas as the cluster has by default.
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(-1))
        .set(RETENTION, &retention)
        .set(SEGMENT, &segment)
        .set(CLEANUP, "delete");
    let options = AdminOptions::new().operation_timeout(Some(ADMIN_LIMIT));
    let made = admin.create_topics(&[new], &options).await;
    match made.map(|made| made.into_iter().next()) {
        Ok(Some(Ok(_))) => Ok(true),
        Ok(Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None) => Ok(false),
        Ok(Some(Err((_, code)))) => Err(code.to_string()),
        Err(error) => Err(error.to_string()),
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
