//! Kafka functions (MSK or self-managed, by event source mapping): each record is decoded alone,
//! failures are reported by partition and offset.

use std::{collections::BTreeMap, process::ExitCode};

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::fields::BadMessage;
use domain::time::UtcMillis;
use serde_json::{Value, json, value::RawValue};

use crate::{
    Aftercare, DeadLetters, Invocation, InvocationFailed, Outcome, Received, StartError,
    batch::{self, Raw},
    metrics, runtime,
};

/// A record with its coordinates. Without a value it is a tombstone: a delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The record's time in milliseconds.
    pub timestamp_ms: i64,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes.
    pub value: Option<Vec<u8>>,
}

/// A function that consumes a topic.
pub trait Handler {
    /// What a record says.
    type Message;

    /// Reads one record.
    ///
    /// # Errors
    /// Names the field; the record goes to dead letters and its neighbours go on.
    fn decode(&self, record: &Record) -> Result<Self::Message, BadMessage>;

    /// Handles the readable records of a batch, each partition in order; one outcome for each.
    fn handle(
        &self,
        batch: &[Received<Self::Message>],
        now: UtcMillis,
    ) -> impl Future<Output = Vec<Outcome>>;
}

/// Runs the function until Lambda ends it.
pub async fn run<P, H, S>(function: &'static str, start: S) -> ExitCode
where
    P: Aftercare + DeadLetters,
    H: Handler,
    S: AsyncFnOnce() -> Result<(P, H), StartError>,
{
    runtime::serve(
        function,
        async || start().await.map(runtime::Started),
        async |runtime::Started((parts, handler)): &runtime::Started<P, H>,
               event,
               invocation: &Invocation| {
            answer(function, parts, handler, &event, invocation.now).await
        },
    )
    .await
}

/// A function that reads Kafka's event itself.
pub trait EventHandler {
    /// Handles one event, given as its JSON text, and answers with its partial failures.
    fn handle(
        &self,
        event: &str,
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Value, InvocationFailed>>;
}

/// Runs a function that reads the event itself until Lambda ends it.
pub async fn run_on_events<H, S>(function: &'static str, start: S) -> ExitCode
where
    H: EventHandler,
    S: AsyncFnOnce() -> Result<H, StartError>,
{
    runtime::serve(
        function,
        async || start().await.map(|handler| runtime::Started(((), handler))),
        async |runtime::Started(((), handler)): &runtime::Started<(), H>,
               event: Box<RawValue>,
               invocation: &Invocation| { handler.handle(event.get(), invocation).await },
    )
    .await
}

/// What the mapping is told: per partition the first offset that must come again, by the
/// partition's name in the event.
#[must_use]
pub fn failures<'a>(first: impl IntoIterator<Item = (&'a str, i64)>) -> Value {
    let failures: Vec<Value> = first
        .into_iter()
        .map(|(partition, offset)| {
            json!({"itemIdentifier": {"partition": partition, "offset": offset}})
        })
        .collect();
    json!({"batchItemFailures": failures})
}

/// Handles one event of the Kafka event source mapping and answers with its partial failures.
///
/// # Errors
/// When the event is none of Kafka: then the whole batch is retried.
pub async fn answer<P: DeadLetters, H: Handler>(
    function: &str,
    parts: &P,
    handler: &H,
    event: &Value,
    now: UtcMillis,
) -> Result<Value, InvocationFailed> {
    let partitions = event
        .get("records")
        .and_then(Value::as_object)
        .ok_or_else(|| InvocationFailed::new("not_a_kafka_event"))?;
    let mut sources: Vec<Source> = Vec::new();
    for (group, records) in partitions {
        let records = records
            .as_array()
            .ok_or_else(|| InvocationFailed::new("not_a_kafka_event"))?;
        sources.extend(records.iter().map(|record| Source::new(group, record)));
    }
    let raw: Vec<Raw<'_>> = sources.iter().map(Source::raw).collect();
    metrics::count(
        "MessagesReceived",
        i64::try_from(raw.len()).unwrap_or(i64::MAX),
    );
    let decoded = batch::decode(function, parts, &raw, now, |one| {
        let record = read_record(one.content)?;
        let identity = format!(
            "k/{}/{}/{}/{}",
            record.topic, record.partition, record.offset, record.timestamp_ms
        );
        Ok((identity, handler.decode(&record)?))
    })
    .await;
    let outcomes = if decoded.messages.is_empty() {
        Vec::new()
    } else {
        handler.handle(&decoded.messages, now).await
    };
    let retry = batch::settle(function, parts, &raw, decoded, outcomes, now).await;
    Ok(failures(first_failures(&sources, &retry)?))
}

/// A record as the event holds it, kept as JSON text until it is decoded alone.
struct Source {
    partition: String,
    offset: Option<i64>,
    text: String,
}

impl Source {
    fn new(partition: &str, record: &Value) -> Self {
        Self {
            partition: partition.to_owned(),
            offset: record.get("offset").and_then(Value::as_i64),
            text: record.to_string(),
        }
    }

    fn raw(&self) -> Raw<'_> {
        Raw {
            id: format!("{}@{}", self.partition, self.offset.unwrap_or(-1)),
            group: Some(self.partition.clone()),
            content: self.text.as_bytes(),
        }
    }
}

/// The mapping goes back to the offset that it is told, so the first failure of a partition counts.
fn first_failures<'a>(
    sources: &'a [Source],
    retry: &[usize],
) -> Result<BTreeMap<&'a str, i64>, InvocationFailed> {
    let mut first: BTreeMap<&str, i64> = BTreeMap::new();
    for source in retry.iter().filter_map(|&place| sources.get(place)) {
        let offset = source
            .offset
            .ok_or_else(|| InvocationFailed::new("record_without_offset"))?;
        let lowest = first.entry(&source.partition).or_insert(offset);
        *lowest = offset.min(*lowest);
    }
    Ok(first)
}

/// Reads one record as the event holds it: the sealed content of a record's dead letter.
///
/// # Errors
/// When it has no coordinates, or its key or value is no base64.
pub fn read_record(json: &[u8]) -> Result<Record, BadMessage> {
    const NO_COORDINATES: BadMessage =
        BadMessage::invalid("offset", "must come with topic and partition");
    let record: Value = serde_json::from_slice(json).map_err(|_| BadMessage::NOT_JSON)?;
    let number = |name| record.get(name).and_then(Value::as_i64);
    let bytes = |name: &'static str| match record.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => STANDARD.decode(text).map(Some).map_err(|_| name),
        Some(_) => Err(name),
    };
    let base64 = |name| BadMessage::invalid(name, "must be base64");
    Ok(Record {
        topic: record
            .get("topic")
            .and_then(Value::as_str)
            .ok_or(NO_COORDINATES)?
            .to_owned(),
        partition: number("partition")
            .and_then(|partition| i32::try_from(partition).ok())
            .ok_or(NO_COORDINATES)?,
        offset: number("offset").ok_or(NO_COORDINATES)?,
        timestamp_ms: number("timestamp").unwrap_or_default(),
        key: bytes("key").map_err(base64)?,
        value: bytes("value").map_err(base64)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::Letters;

    struct Values;

    impl Handler for Values {
        type Message = Option<Vec<u8>>;

        fn decode(&self, record: &Record) -> Result<Self::Message, BadMessage> {
            match record.value.as_deref() {
                Some(b"bad") => Err(BadMessage::NOT_JSON),
                _ => Ok(record.value.clone()),
            }
        }

        async fn handle(&self, batch: &[Received<Self::Message>], _: UtcMillis) -> Vec<Outcome> {
            batch::one_by_one(batch, async |received| match received.message.as_deref() {
                Some(b"later") => Outcome::Retry("later".to_owned()),
                _ => Outcome::Done,
            })
            .await
        }
    }

    fn record(partition: i64, offset: i64, value: Option<&str>) -> Value {
        json!({
            "topic": "clientes", "partition": partition, "offset": offset, "timestamp": 1,
            "timestampType": "CREATE_TIME", "headers": [],
            "value": value.map(|value| STANDARD.encode(value)),
        })
    }

    #[tokio::test]
    async fn a_partition_without_a_list_of_records_fails_instead_of_being_forgotten() {
        let event = json!({"records": {"clientes-0": {"0": record(0, 5, Some("x"))}}});
        let letters = Letters::new(true);
        let now = UtcMillis::new(0).unwrap();
        let failed = answer("f", &letters, &Values, &event, now).await;
        assert_eq!(failed, Err(InvocationFailed::new("not_a_kafka_event")));
    }

    #[tokio::test]
    async fn each_partition_is_retried_from_its_first_failure() {
        let event = json!({"eventSource": "aws:kafka", "records": {
            "clientes-0": [record(0, 5, Some("x")), record(0, 6, Some("later")), record(0, 7, None)],
            "clientes-1": [record(1, 9, None), {"topic": "clientes", "offset": 10}, record(1, 11, Some("bad"))],
        }});
        let letters = Letters::new(true);
        let now = UtcMillis::new(0).unwrap();
        let answer = answer("f", &letters, &Values, &event, now).await.unwrap();
        let expected = json!([{"itemIdentifier": {"partition": "clientes-0", "offset": 6}}]);
        assert_eq!(answer["batchItemFailures"], expected);
        assert_eq!(letters.sent.borrow().len(), 2);
    }
}
