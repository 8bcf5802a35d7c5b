//! Dead letters go back to their queue: what was sealed is opened, what came by redrive goes as it
//! is. Records of `clientes` lie in no queue, so they are taken over here. Each letter is deleted
//! only once that was done, so a crash does it twice and loses none.

use std::collections::{BTreeMap, BTreeSet};

use contracts::customers;
use domain::time::UtcMillis;
use lambda_kit::{SealKey, dead_letter::DeadLetter, kafka};
use queues::{OutgoingMessage, QueueError, Queues, ReceivedMessage};
use serde_json::{Value, json};
use sql_store::Store;

/// Messages that one receive may give (SQS quota).
const AT_ONCE: u32 = 10;

/// The address of a route whose records are taken over into database 1.
const CUSTOMERS: &str = "clientes";

/// Queues of dead letters by their names in the template, and where each is replayed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRoutes(BTreeMap<String, (String, String)>);

impl DeadLetterRoutes {
    /// From `DEAD_LETTER_ROUTES`: `{"<name>": ["<dead letters' address>", "<queue's address>"]}`;
    /// instead of a queue's address, `clientes` stands for database 1.
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

/// What became of one letter.
enum Delivered {
    Yes,
    Unopened,
    Refused,
}

/// Where letters are replayed from and to.
pub(crate) struct Replay<'a> {
    pub queues: &'a Queues,
    pub store: &'a Store,
    pub key: &'a SealKey,
    pub route: &'a (String, String),
}

impl Replay<'_> {
    /// Replays at most `most` dead letters; `clock` says when to stop.
    pub(crate) async fn run(
        &self,
        most: u32,
        clock: impl Fn() -> Option<UtcMillis>,
    ) -> Result<Replayed, QueueError> {
        let (from, to) = self.route;
        let mut replayed = Replayed::default();
        let mut seen = BTreeSet::new();
        while let Some(now) = clock() {
            let handled = replayed.sent + replayed.unopened + replayed.refused;
            let wanted = most.saturating_sub(handled).min(AT_ONCE);
            if wanted == 0 {
                break;
            }
            let letters = self.queues.receive(from, wanted, now.get()).await?;
            // One that could not be opened becomes visible again: then the queue was seen whole.
            let fresh: Vec<&ReceivedMessage> = letters
                .iter()
                .filter(|letter| seen.insert(letter.message_id.clone()))
                .collect();
            if fresh.is_empty() {
                break;
            }
            for letter in fresh {
                let delivered = match to.as_str() {
                    CUSTOMERS => self.take_over(letter, now).await,
                    queue => self.send(letter, queue, now).await,
                };
                match delivered {
                    Delivered::Yes => {
                        let handle = std::slice::from_ref(&letter.receipt_handle);
                        self.queues.delete(from, handle).await?;
                        replayed.sent += 1;
                    }
                    Delivered::Unopened => replayed.unopened += 1,
                    Delivered::Refused => replayed.refused += 1,
                }
            }
        }
        Ok(replayed)
    }

    async fn send(&self, letter: &ReceivedMessage, queue: &str, now: UtcMillis) -> Delivered {
        let Some(message) = open(letter, self.key, queue) else {
            return Delivered::Unopened;
        };
        let sent = self.queues.send(queue, &[message], now.get()).await;
        match sent.into_iter().next() {
            Some(Ok(_)) => Delivered::Yes,
            Some(Err(error)) => {
                tracing::error!(%error, "a dead letter was not sent");
                Delivered::Refused
            }
            None => Delivered::Refused,
        }
    }

    /// A record that still can't be read stays where it is.
    async fn take_over(&self, letter: &ReceivedMessage, now: UtcMillis) -> Delivered {
        let sealed = serde_json::from_str::<DeadLetter>(&letter.body).ok();
        let Some(content) = sealed.and_then(|sealed| sealed.open(self.key)) else {
            return Delivered::Unopened;
        };
        let news = kafka::read_record(&content).and_then(|record| {
            customers::read(customers::Source {
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                partition: record.partition,
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
            })
        });
        let news = match news {
            Ok(news) => news,
            Err(bad) => {
                let field = bad.field.unwrap_or("-");
                tracing::warn!(code = bad.code, field, "a dead letter still can't be read");
                return Delivered::Refused;
            }
        };
        match sql_store::customers::sync(self.store, &[news], now).await {
            Ok(_) => Delivered::Yes,
            Err(error) => {
                tracing::error!(%error, "a dead letter was not taken over");
                Delivered::Refused
            }
        }
    }
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
