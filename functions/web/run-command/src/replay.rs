//! Dead letters go back to their queue: what was sealed is opened, what came by redrive goes as it
//! is. Each is deleted only once it was sent, so a crash sends it twice and loses none.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::UtcMillis;
use lambda_kit::{SealKey, dead_letter::DeadLetter};
use queues::{OutgoingMessage, QueueError, Queues, ReceivedMessage};
use serde_json::{Value, json};

/// Messages that one receive may give (SQS quota).
const AT_ONCE: u32 = 10;

/// Queues of dead letters by their names in the template, and where each is replayed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRoutes(BTreeMap<String, (String, String)>);

impl DeadLetterRoutes {
    /// From `DEAD_LETTER_ROUTES`: `{"<name>": ["<dead letters' address>", "<queue's address>"]}`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        serde_json::from_str(text).map(Self).map_err(|_| {
            "DEAD_LETTER_ROUTES must be a JSON object of pairs of queue addresses: mend it in \
             template.yaml"
        })
    }

    pub(crate) fn of(&self, name: &str) -> Option<&(String, String)> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> String {
        self.0
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// What became of the dead letters.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    sent: u32,
    unopened: u32,
    refused: u32,
}

impl Replayed {
    pub(crate) fn answer(&self) -> Value {
        json!({
            "reenviadas": self.sent,
            "nao_abertas": self.unopened,
            "recusadas": self.refused,
        })
    }
}

/// Replays at most `most` dead letters; `clock` says when to stop.
pub(crate) async fn replay(
    queues: &Queues,
    key: &SealKey,
    (from, to): &(String, String),
    most: u32,
    clock: impl Fn() -> Option<UtcMillis>,
) -> Result<Replayed, QueueError> {
    let mut replayed = Replayed::default();
    let mut seen = BTreeSet::new();
    while let Some(now) = clock() {
        let handled = replayed.sent + replayed.unopened + replayed.refused;
        let wanted = most.saturating_sub(handled).min(AT_ONCE);
        if wanted == 0 {
            break;
        }
        let letters = queues.receive(from, wanted, now.get()).await?;
        // One that could not be opened becomes visible again: then the queue was seen whole.
        let fresh: Vec<&ReceivedMessage> = letters
            .iter()
            .filter(|letter| seen.insert(letter.message_id.clone()))
            .collect();
        if fresh.is_empty() {
            break;
        }
        for letter in fresh {
            let Some(message) = open(letter, key, to) else {
                replayed.unopened += 1;
                continue;
            };
            let sent = queues.send(to, &[message], now.get()).await;
            match sent.into_iter().next() {
                Some(Ok(_)) => {
                    queues
                        .delete(from, std::slice::from_ref(&letter.receipt_handle))
                        .await?;
                    replayed.sent += 1;
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "a dead letter was not sent");
                    replayed.refused += 1;
                }
                None => replayed.refused += 1,
            }
        }
    }
    Ok(replayed)
}

/// The message as it was before it was refused; nothing when the key does not open it.
fn open(letter: &ReceivedMessage, key: &SealKey, to: &str) -> Option<OutgoingMessage> {
    let (body, group) = match serde_json::from_str::<DeadLetter>(&letter.body) {
        Ok(sealed) => (String::from_utf8(sealed.open(key)?).ok()?, sealed.grupo),
        Err(_) => (letter.body.clone(), None),
    };
    if !to.ends_with(".fifo") {
        return Some(OutgoingMessage::new(body));
    }
    let group = group
        .or_else(|| letter.message_group_id.clone())
        .unwrap_or_else(|| letter.message_id.clone());
    // Sent twice within five minutes it arrives once.
    Some(OutgoingMessage::fifo(
        body,
        group,
        format!("reenvio-{}", letter.message_id),
    ))
}
