//! SQS functions: each body is read alone, failures are reported per message.

use std::{collections::HashMap, process::ExitCode};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use contracts::{
    envelope::{Message, claim_of},
    fields::BadMessage,
};
use domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::{
    Aftercare, DeadLetters, FetchFailed, Invocation, InvocationFailed, Outcome, Received,
    StartError,
    batch::{self, Raw, Unread},
    claims, metrics, runtime,
};

/// A function that consumes a queue.
pub trait Handler {
    /// What a message says.
    type Message;

    /// Reads one message.
    ///
    /// # Errors
    /// Names the field; the message goes to dead letters and its neighbours go on.
    fn decode(&self, message: &Message) -> Result<Self::Message, BadMessage>;

    /// Handles the readable messages of a batch, in order; one outcome for each.
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
            answer(function, parts, handler, event, invocation.now).await
        },
    )
    .await
}

/// Handles one event of the SQS event source mapping and answers with its partial failures.
///
/// # Errors
/// When the event is none of SQS: then the whole batch is retried.
pub async fn answer<P: DeadLetters, H: Handler>(
    function: &str,
    parts: &P,
    handler: &H,
    event: Value,
    now: UtcMillis,
) -> Result<Value, InvocationFailed> {
    let event: SqsEvent =
        serde_json::from_value(event).map_err(|_| InvocationFailed::new("not_an_sqs_event"))?;
    let raw: Vec<Raw<'_>> = event.records.iter().map(raw_of).collect();
    metrics::count(
        "MessagesReceived",
        i64::try_from(raw.len()).unwrap_or(i64::MAX),
    );
    let fetched = fetch_claims(parts, &raw).await;
    let decoded = batch::decode(function, parts, &raw, now, |one| {
        let body = std::str::from_utf8(one.content).map_err(|_| BadMessage::NOT_JSON)?;
        let message = match fetched.get(&one.id) {
            None => Message::open(body)?,
            Some(Ok(value)) => Message::open_with(body, Some(value.clone()))?,
            Some(Err(FetchFailed::Gone)) => return Err(Unread::Bad(VALUE_GONE)),
            Some(Err(FetchFailed::Later)) => return Err(Unread::Later("value_not_fetched")),
        };
        Ok((message.identity(&one.id), handler.decode(&message)?))
    })
    .await;
    let outcomes = if decoded.messages.is_empty() {
        Vec::new()
    } else {
        handler.handle(&decoded.messages, now).await
    };
    let retry = batch::settle(function, parts, &raw, decoded, outcomes, now).await;
    let failures: Vec<Value> = retry
        .iter()
        .filter_map(|&place| raw.get(place))
        .map(|one| json!({"itemIdentifier": one.id}))
        .collect();
    Ok(json!({"batchItemFailures": failures}))
}

/// Bytes of the values that one batch has in memory; a single one may be larger.
const MOST_CLAIMED_BYTES: u64 = 32 * 1024 * 1024;

const VALUE_GONE: BadMessage = BadMessage {
    code: "valor_perdido",
    field: Some("valor_em"),
    rule: "must name a value that lies there unchanged",
};

/// Values that lie elsewhere, by the queue's id of their messages. What would not fit into memory
/// beside the others comes again with the next batch.
async fn fetch_claims<P: DeadLetters>(
    parts: &P,
    raw: &[Raw<'_>],
) -> HashMap<String, Result<Vec<u8>, FetchFailed>> {
    let mut fetched = HashMap::new();
    let mut bytes = 0_u64;
    for one in raw {
        let body = std::str::from_utf8(one.content).ok();
        let Some(claim) = body.and_then(claim_of) else {
            continue;
        };
        let with_it = bytes.saturating_add(claim.bytes);
        let value = if with_it <= MOST_CLAIMED_BYTES || bytes == 0 {
            bytes = with_it;
            claims::fetch(parts, &claim).await
        } else {
            Err(FetchFailed::Later)
        };
        fetched.insert(one.id.clone(), value);
    }
    fetched
}

fn raw_of(message: &SqsMessage) -> Raw<'_> {
    Raw {
        id: message.message_id.clone().unwrap_or_default(),
        group: message.attributes.get("MessageGroupId").cloned(),
        content: message.body.as_deref().unwrap_or_default().as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::Letters;

    struct Numbers;

    impl Handler for Numbers {
        type Message = i64;

        fn decode(&self, message: &Message) -> Result<i64, BadMessage> {
            message
                .fields
                .optional_integer("n")?
                .ok_or(BadMessage::missing("n"))
        }

        async fn handle(&self, batch: &[Received<i64>], _: UtcMillis) -> Vec<Outcome> {
            batch::one_by_one(batch, async |received| match received.message {
                0 => Outcome::Retry("zero".to_owned()),
                ..0 => Outcome::Reject(BadMessage::invalid("n", "must not be negative")),
                _ => Outcome::Done,
            })
            .await
        }
    }

    fn event(bodies: &[(&str, &str)]) -> Value {
        let records: Vec<Value> = bodies
            .iter()
            .enumerate()
            .map(|(place, (group, body))| {
                json!({
                    "messageId": format!("m{place}"), "body": body,
                    "attributes": {"MessageGroupId": group}, "messageAttributes": {}
                })
            })
            .collect();
        json!({ "Records": records })
    }

    async fn failed(letters: &Letters, bodies: &[(&str, &str)]) -> Value {
        let now = UtcMillis::new(0).unwrap();
        let mut answer = answer("f", letters, &Numbers, event(bodies), now)
            .await
            .unwrap();
        answer["batchItemFailures"].take()
    }

    #[tokio::test]
    async fn a_bad_message_goes_to_dead_letters_alone() {
        let letters = Letters::new(true);
        let bodies = [
            ("a", r#"{"n":1}"#),
            ("b", "oops"),
            ("c", r#"{"n":-1}"#),
            ("a", r#"{"n":2}"#),
        ];
        assert_eq!(failed(&letters, &bodies).await, json!([]));
        let sent = letters.sent.borrow();
        let why: Vec<_> = sent
            .iter()
            .map(|letter| (letter.motivo.as_str(), letter.campo.as_deref()))
            .collect();
        assert_eq!(
            why,
            [("json_invalido", None), ("campo_invalido", Some("n"))]
        );
    }

    #[tokio::test]
    async fn a_failed_message_holds_the_later_ones_of_its_group() {
        let letters = Letters::new(true);
        let bodies = [
            ("a", r#"{"n":0}"#),
            ("b", r#"{"n":1}"#),
            ("a", r#"{"n":1}"#),
        ];
        let expected = json!([{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]);
        assert_eq!(failed(&letters, &bodies).await, expected);
    }

    #[tokio::test]
    async fn a_bad_message_whose_dead_letter_is_lost_is_retried_before_its_group_goes_on() {
        let letters = Letters::new(false);
        let bodies = [("a", "oops"), ("a", r#"{"n":1}"#), ("b", r#"{"n":1}"#)];
        let expected = json!([{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]);
        assert_eq!(failed(&letters, &bodies).await, expected);
    }

    fn claimed(key: &str, sha256: &str) -> String {
        claimed_bytes(key, sha256, 7)
    }

    fn claimed_bytes(key: &str, sha256: &str, bytes: u64) -> String {
        json!({
            "v": 1, "topico": "t", "particao": 0, "offset": 5, "timestamp_ms": 1,
            "tipo_timestamp": "CREATE_TIME", "cabecalhos": [],
            "valor_em": {"balde": "b", "chave": key, "bytes": bytes, "sha256": sha256},
        })
        .to_string()
    }

    #[tokio::test]
    async fn a_value_that_lies_elsewhere_is_fetched_proved_and_waited_for() {
        let letters = Letters::new(true);
        let sha256 = claims::sha256_hex(br#"{"n":1}"#);
        let bodies = [
            claimed("there", &sha256),
            claimed("later", &sha256),
            claimed("there", &"0".repeat(64)),
            claimed("gone", &sha256),
        ];
        let bodies: Vec<(&str, &str)> = ["a", "b", "c", "d"]
            .into_iter()
            .zip(bodies.iter().map(String::as_str))
            .collect();
        let expected = json!([{"itemIdentifier": "m1"}]);
        assert_eq!(failed(&letters, &bodies).await, expected);
        let sent = letters.sent.borrow();
        let why: Vec<&str> = sent.iter().map(|letter| letter.motivo.as_str()).collect();
        assert_eq!(why, ["valor_perdido", "valor_perdido"]);
    }

    #[tokio::test]
    async fn values_that_would_fill_the_memory_come_with_a_later_batch() {
        let letters = Letters::new(true);
        let sha256 = claims::sha256_hex(br#"{"n":1}"#);
        let (small, large) = (
            claimed("there", &sha256),
            claimed_bytes("there", &sha256, MOST_CLAIMED_BYTES),
        );
        let bodies = [("a", small.as_str()), ("b", &large), ("c", &small)];
        let expected = json!([{"itemIdentifier": "m1"}]);
        assert_eq!(failed(&letters, &bodies).await, expected);
        assert!(letters.sent.borrow().is_empty());
    }
}
