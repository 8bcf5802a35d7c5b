//! Lambda's Kafka event and what its answer says about each record.
//!
//! Source: Lambda developer guide, "Using Lambda with self-managed Apache Kafka"; key and value
//! are base64 and absent for null, header values are signed bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

/// The bootstrap server that events of the embedded log name.
pub const BOOTSTRAP_SERVERS: &str = "localhost:9092";

/// One record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Whose clock that was.
    pub timestamp_type: TimestampType,
    /// The key; null is allowed.
    pub key: Option<Vec<u8>>,
    /// The value; without one the record is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Name and value, in order; a value may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Whose clock a record's timestamp is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    Create,
    /// The broker's.
    LogAppend,
}

impl TimestampType {
    const fn wire_name(self) -> &'static str {
        match self {
            Self::Create => "CREATE_TIME",
            Self::LogAppend => "LOG_APPEND_TIME",
        }
    }
}

/// The event for a batch; `cluster_arn` makes it one of MSK.
pub fn event(records: &[Record], bootstrap_servers: &str, cluster_arn: Option<&str>) -> Value {
    let mut by_partition: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in records {
        let place = format!("{}-{}", record.topic, record.partition);
        by_partition
            .entry(place)
            .or_default()
            .push(record_json(record));
    }
    let mut event = Map::new();
    match cluster_arn {
        Some(arn) => {
            event.insert("eventSource".to_owned(), json!("aws:kafka"));
            event.insert("eventSourceArn".to_owned(), json!(arn));
        }
        None => {
            event.insert("eventSource".to_owned(), json!("SelfManagedKafka"));
        }
    }
    event.insert("bootstrapServers".to_owned(), json!(bootstrap_servers));
    event.insert("records".to_owned(), json!(by_partition));
    Value::Object(event)
}

fn record_json(record: &Record) -> Value {
    let mut json = Map::new();
    json.insert("topic".to_owned(), json!(record.topic));
    json.insert("partition".to_owned(), json!(record.partition));
    json.insert("offset".to_owned(), json!(record.offset));
    json.insert("timestamp".to_owned(), json!(record.timestamp_ms));
    json.insert(
        "timestampType".to_owned(),
        json!(record.timestamp_type.wire_name()),
    );
    if let Some(key) = &record.key {
        json.insert("key".to_owned(), json!(BASE64.encode(key)));
    }
    if let Some(value) = &record.value {
        json.insert("value".to_owned(), json!(BASE64.encode(value)));
    }
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(name, value)| {
            let bytes = value.as_ref().map(|value| {
                let bytes = value.iter().map(|byte| byte.cast_signed());
                bytes.collect::<Vec<i8>>()
            });
            json!({ name.as_str(): bytes })
        })
        .collect();
    json.insert("headers".to_owned(), Value::Array(headers));
    Value::Object(json)
}

/// About how many bytes a record takes in the event, and rather more: base64 makes four of three, a
/// header's byte up to five.
pub fn event_bytes(record: &Record) -> usize {
    const NAMES_AND_NUMBERS: usize = 280;
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter();
    let headers = headers.map(|(name, value)| name.len() + 8 + length(value) * 5);
    let content = (length(&record.key) + length(&record.value)).div_ceil(3) * 4;
    NAMES_AND_NUMBERS + record.topic.len() + content + headers.sum::<usize>()
}

/// What becomes of a batch of one partition after the function answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchAnswer {
    /// Everything was handled.
    Handled,
    /// The first failed offset: what lies before it was handled.
    FailedFrom(i64),
    /// The answer cannot be trusted: the whole batch counts as failed.
    Malformed,
}

/// Reads `{"batchItemFailures":[{"itemIdentifier":{"partition":"topic-0","offset":15}}]}` for the
/// records of one partition.
pub fn read_answer(answer: &[u8], records: &[Record]) -> BatchAnswer {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return BatchAnswer::Handled;
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return BatchAnswer::Malformed;
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return BatchAnswer::Handled,
        Some(Value::Array(failures)) => failures,
        Some(_) => return BatchAnswer::Malformed,
    };
    let mut first: Option<i64> = None;
    for failure in failures {
        let identifier = failure.get("itemIdentifier");
        let partition = identifier
            .and_then(|id| id.get("partition"))
            .and_then(Value::as_str);
        let offset = identifier
            .and_then(|id| id.get("offset"))
            .and_then(Value::as_i64);
        let (Some(partition), Some(offset)) = (partition, offset) else {
            return BatchAnswer::Malformed;
        };
        let is_known = records.iter().any(|record| {
            record.offset == offset && format!("{}-{}", record.topic, record.partition) == partition
        });
        if !is_known {
            return BatchAnswer::Malformed;
        }
        first = Some(first.map_or(offset, |known| known.min(offset)));
    }
    first.map_or(BatchAnswer::Handled, BatchAnswer::FailedFrom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64) -> Record {
        Record {
            topic: "clientes".to_owned(),
            partition: 0,
            offset,
            timestamp_ms: 1_545_084_650_987,
            timestamp_type: TimestampType::Create,
            key: Some(b"abc".to_vec()),
            value: Some(b"{}".to_vec()),
            headers: vec![("origem".to_owned(), Some("ë".as_bytes().to_vec()))],
        }
    }

    #[test]
    fn a_self_managed_event_has_no_arn_and_signed_header_bytes() {
        let tombstone = Record {
            value: None,
            timestamp_type: TimestampType::LogAppend,
            headers: vec![("vazio".to_owned(), None)],
            ..record(16)
        };
        assert_eq!(
            event(&[record(15), tombstone], BOOTSTRAP_SERVERS, None),
            json!({
                "eventSource": "SelfManagedKafka",
                "bootstrapServers": "localhost:9092",
                "records": {"clientes-0": [
                    {"topic": "clientes", "partition": 0, "offset": 15,
                     "timestamp": 1_545_084_650_987_i64, "timestampType": "CREATE_TIME",
                     "key": "YWJj", "value": "e30=", "headers": [{"origem": [-61, -85]}]},
                    {"topic": "clientes", "partition": 0, "offset": 16,
                     "timestamp": 1_545_084_650_987_i64, "timestampType": "LOG_APPEND_TIME",
                     "key": "YWJj", "headers": [{"vazio": null}]}
                ]}
            })
        );
        assert_eq!(
            event(&[record(1)], BOOTSTRAP_SERVERS, Some("arn:x"))["eventSource"],
            "aws:kafka"
        );
    }

    #[test]
    fn no_event_is_larger_than_what_is_said_of_its_records() {
        let full = Record {
            value: Some(vec![255; 10_000]),
            headers: vec![("h".to_owned(), Some(vec![128; 1_000]))],
            ..record(i64::MAX)
        };
        for one in [record(1), full] {
            let told = event_bytes(&one);
            let is = event(&[one], BOOTSTRAP_SERVERS, None).to_string().len();
            assert!((is..is * 3).contains(&told), "{told} for {is}");
        }
    }

    #[test]
    fn the_lowest_failed_offset_counts() {
        let records = [record(15), record(16), record(17)];
        let read = |answer: &str| read_answer(answer.as_bytes(), &records);
        assert_eq!(read("null"), BatchAnswer::Handled);
        assert_eq!(read(r#"{"batchItemFailures":[]}"#), BatchAnswer::Handled);
        let item = |offset| {
            format!(r#"{{"itemIdentifier":{{"partition":"clientes-0","offset":{offset}}}}}"#)
        };
        let two = format!(r#"{{"batchItemFailures":[{},{}]}}"#, item(17), item(16));
        assert_eq!(read(&two), BatchAnswer::FailedFrom(16));
        let unknown = format!(r#"{{"batchItemFailures":[{}]}}"#, item(99));
        assert_eq!(read(&unknown), BatchAnswer::Malformed);
        assert_eq!(
            read(r#"{"batchItemFailures":[{}]}"#),
            BatchAnswer::Malformed
        );
    }
}
