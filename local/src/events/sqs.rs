//! Lambda's SQS event and what its answer says about each message.
//!
//! Source: Lambda developer guide, "Using Lambda with Amazon SQS" (event, partial responses).

use std::collections::BTreeSet;

use queues::ReceivedMessage;
use serde_json::{Map, Value, json};

use crate::bundle::LOCAL_REGION;

/// The event for a batch of one queue.
pub fn event(messages: &[ReceivedMessage], queue_arn: &str) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| record(message, queue_arn))
        .collect();
    json!({ "Records": records })
}

fn record(message: &ReceivedMessage, queue_arn: &str) -> Value {
    let attributes: Map<String, Value> = message
        .attributes()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": LOCAL_REGION,
    })
}

/// What becomes of a batch after the function answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchAnswer {
    /// Every message but these was handled.
    Failed(BTreeSet<String>),
    /// The answer cannot be trusted: the whole batch counts as failed.
    Malformed,
}

/// Reads `{"batchItemFailures":[{"itemIdentifier":"…"}]}` as Lambda does: nothing, null or an
/// empty list is success; bad JSON, an empty or unknown identifier fails the whole batch.
pub fn read_answer(answer: &[u8], message_ids: &[&str]) -> BatchAnswer {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return BatchAnswer::Failed(BTreeSet::new());
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return BatchAnswer::Malformed;
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return BatchAnswer::Failed(BTreeSet::new()),
        Some(Value::Array(failures)) => failures,
        Some(_) => return BatchAnswer::Malformed,
    };
    let mut failed = BTreeSet::new();
    for failure in failures {
        match failure.get("itemIdentifier").and_then(Value::as_str) {
            Some(id) if message_ids.contains(&id) => failed.insert(id.to_owned()),
            _ => return BatchAnswer::Malformed,
        };
    }
    BatchAnswer::Failed(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> ReceivedMessage {
        ReceivedMessage {
            message_id: "059f36b4".to_owned(),
            receipt_handle: "AQEB".to_owned(),
            body: "Test message.".to_owned(),
            md5_of_body: "e4e68fb7bd0e697a0ae8f1bb342846b3".to_owned(),
            sent_timestamp_ms: 1_545_082_649_183,
            approximate_receive_count: 1,
            approximate_first_receive_timestamp_ms: 1_545_082_649_185,
            sender_id: "AIDAIENQZJOLO23YVJ4VO".to_owned(),
            message_group_id: None,
            message_deduplication_id: None,
            sequence_number: None,
        }
    }

    #[test]
    fn the_event_is_the_one_of_the_developer_guide() {
        let event = event(&[message()], "arn:aws:sqs:us-east-1:000000000000:Fila");
        assert_eq!(
            event,
            json!({"Records": [{
                "messageId": "059f36b4",
                "receiptHandle": "AQEB",
                "body": "Test message.",
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185"
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:Fila",
                "awsRegion": "us-east-1"
            }]})
        );
    }

    #[test]
    fn an_answer_names_the_failed_or_fails_them_all() {
        let none = BatchAnswer::Failed(BTreeSet::new());
        let ids = ["a", "b"];
        let read = |answer: &str| read_answer(answer.as_bytes(), &ids);
        for success in ["", "null", "{}", "\"ok\"", r#"{"batchItemFailures":null}"#] {
            assert_eq!(read(success), none, "{success}");
        }
        assert_eq!(read(r#"{"batchItemFailures":[]}"#), none);
        assert_eq!(
            read(r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#),
            BatchAnswer::Failed(BTreeSet::from(["b".to_owned()]))
        );
        for malformed in [
            "{",
            r#"{"batchItemFailures":"b"}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"zzz"}]}"#,
            r#"{"batchItemFailures":[{"messageId":"b"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
        ] {
            assert_eq!(read(malformed), BatchAnswer::Malformed, "{malformed}");
        }
    }
}
