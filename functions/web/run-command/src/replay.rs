//! Dead letters go back to their queue: what was sealed is opened, what came by redrive goes as it
//! is. Records of `clientes` lie in no queue, so they are taken over here, as their reader would.
//! An invocation that failed for good begins again. Each letter is deleted only once that was done,
//! so a crash does it twice and loses none.

use std::collections::{BTreeMap, BTreeSet};

use contracts::customers;
use documents::Documents;
use domain::time::UtcMillis;
use invocations::Invoker;
use lambda_kit::{SealKey, dead_letter::DeadLetter, kafka};
use queues::{OutgoingMessage, QueueError, Queues, ReceivedMessage};
use serde_json::{Value, json};

use crate::{FailedBatches, Telesales};

/// Messages that one receive may give (SQS quota).
const AT_ONCE: u32 = 10;

/// The address of a route whose records are taken over into database 1.
const CUSTOMERS: &str = "clientes";
/// The address of a route whose records are taken over into database 2.
const TELESALES: &str = "televendas";
/// What the address of a route begins with whose letters are failed invocations of a function.
const INVOKE: &str = "invocar:";
/// Before a function's name: it is the bridge, and a letter holds a record.
const BRIDGE: &str = "ponte:";

/// Queues of dead letters by their names in the template, and where each is replayed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRoutes(BTreeMap<String, (String, String)>);

impl DeadLetterRoutes {
    /// From `DEAD_LETTER_ROUTES`: `{"<name>": ["<dead letters' address>", "<queue's address>"]}`;
    /// instead of a queue's address, `clientes` stands for database 1, `televendas` for database 2,
    /// whose route stands in `TELESALES_DEAD_LETTER_ROUTES`, and `invocar:<function>` for a function
    /// whose failed invocations begin again.
    ///
    /// # Errors
    /// When one is anything else.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut all = BTreeMap::new();
        for text in texts {
            let more: BTreeMap<String, (String, String)> =
                serde_json::from_str(text).map_err(|_| {
                    "DEAD_LETTER_ROUTES must be a JSON object of pairs of queue addresses: mend \
                     it in template.yaml"
                })?;
            all.extend(more);
        }
        Ok(Self(all))
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

/// What a letter turned out to hold.
enum Opened {
    Whole(Original),
    /// A part; others are still to come.
    Waits,
    Unopened,
}

/// A message as it was before it was refused, and the letters that held it.
struct Original {
    content: Vec<u8>,
    /// The FIFO group to send it back to.
    group: String,
    /// Names this replay: sent twice within five minutes it arrives once.
    identity: String,
    receipts: Vec<String>,
}

/// The message's id, when it was refused, and in how many parts it was sealed.
type Sealed = (String, String, usize);
/// Receipt and content of each part, by its place.
type Pieces = BTreeMap<usize, (String, Vec<u8>)>;

/// Parts of messages that no single letter holds, until the last one is there.
#[derive(Default)]
struct Parts(BTreeMap<Sealed, Pieces>);

impl Parts {
    /// The whole message with its last part.
    fn add(&mut self, sealed: DeadLetter, content: Vec<u8>, receipt: String) -> Option<Original> {
        let (part, parts) = (sealed.parte?, sealed.partes?);
        let name = (sealed.id_mensagem, sealed.recebido_em, parts);
        let known = self.0.entry(name.clone()).or_default();
        known.insert(part, (receipt, content));
        if known.len() < parts {
            return None;
        }
        let whole = self.0.remove(&name)?;
        let (receipts, contents): (Vec<_>, Vec<_>) = whole.into_values().unzip();
        Some(Original {
            content: contents.concat(),
            group: sealed.grupo.unwrap_or_else(|| name.0.clone()),
            identity: name.0,
            receipts,
        })
    }

    /// How many letters wait for another part.
    fn waiting(&self) -> u32 {
        let letters = self.0.values().map(BTreeMap::len).sum::<usize>();
        u32::try_from(letters).unwrap_or(u32::MAX)
    }
}

/// Where letters are replayed from and to.
pub(crate) struct Replay<'a> {
    pub queues: &'a Queues,
    pub documents: &'a Documents,
    pub telesales: Option<&'a Telesales>,
    pub invoker: Option<&'a Invoker>,
    pub batches: Option<&'a FailedBatches>,
    /// What the bridge refuses from now on is not replayed in the same run.
    pub started: String,
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
        let (from, _) = self.route;
        let mut parts = Parts::default();
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
                match self.open(letter, &mut parts) {
                    Opened::Whole(original) => self.deliver(&original, now, &mut replayed).await?,
                    Opened::Waits => {}
                    Opened::Unopened => replayed.unopened += 1,
                }
            }
        }
        replayed.unopened += parts.waiting();
        Ok(replayed)
    }

    async fn deliver(
        &self,
        original: &Original,
        now: UtcMillis,
        replayed: &mut Replayed,
    ) -> Result<(), QueueError> {
        let (from, to) = self.route;
        let delivered = match to.as_str() {
            CUSTOMERS => self.take_over(&original.content, now).await,
            TELESALES => match self.telesales {
                Some(telesales) => telesales.take_over(&original.content, now).await,
                None => false,
            },
            to => match (
                to.strip_prefix(INVOKE),
                to.strip_prefix(BRIDGE),
                self.batches,
            ) {
                (Some(function), _, _) => self.invoke(&original.content, function).await,
                (None, Some(function), Some(batches)) => {
                    batches.takes_record(function, &original.content).await
                }
                (None, Some(_), None) => false,
                (None, None, _) => self.send(original, to, now).await,
            },
        };
        if delivered {
            self.queues.delete(from, &original.receipts).await?;
            replayed.sent += 1;
        } else {
            replayed.refused += 1;
        }
        Ok(())
    }

    /// What a letter holds; a letter that came by redrive is the message itself.
    fn open(&self, letter: &ReceivedMessage, parts: &mut Parts) -> Opened {
        let receipt = letter.receipt_handle.clone();
        let sealed = serde_json::from_str::<DeadLetter>(&letter.body).ok();
        let content = match &sealed {
            None if [CUSTOMERS, TELESALES].contains(&self.route.1.as_str()) => None,
            None => Some(letter.body.clone().into_bytes()),
            Some(sealed) if self.is_fresh(sealed) => None,
            Some(sealed) if self.route.1 == TELESALES => self
                .telesales
                .and_then(|telesales| sealed.open(telesales.seal_key())),
            Some(sealed) => sealed.open(self.key),
        };
        let Some(content) = content else {
            return Opened::Unopened;
        };
        let group = match sealed {
            Some(sealed) if sealed.partes.is_some() => {
                let whole = parts.add(sealed, content, receipt);
                return whole.map_or(Opened::Waits, Opened::Whole);
            }
            sealed => sealed.and_then(|sealed| sealed.grupo),
        };
        let group = group.or_else(|| letter.message_group_id.clone());
        Opened::Whole(Original {
            content,
            group: group.unwrap_or_else(|| letter.message_id.clone()),
            identity: letter.message_id.clone(),
            receipts: vec![receipt],
        })
    }

    /// Whether the bridge refused a record once more while this replay runs.
    fn is_fresh(&self, sealed: &DeadLetter) -> bool {
        self.route.1.starts_with(BRIDGE) && sealed.recebido_em >= self.started
    }

    async fn send(&self, original: &Original, queue: &str, now: UtcMillis) -> bool {
        let Ok(body) = String::from_utf8(original.content.clone()) else {
            return false;
        };
        let message = if queue.ends_with(".fifo") {
            let once = format!("reenvio-{}", original.identity);
            OutgoingMessage::fifo(body, original.group.clone(), once)
        } else {
            OutgoingMessage::new(body)
        };
        let sent = self.queues.send(queue, &[message], now.get()).await;
        match sent.into_iter().next() {
            Some(Ok(_)) => true,
            Some(Err(error)) => {
                tracing::error!(%error, "a dead letter was not sent");
                false
            }
            None => false,
        }
    }

    /// Begins a failed invocation again: Lambda's record of it holds its event (Lambda developer
    /// guide, "Destinations for asynchronous invocation").
    async fn invoke(&self, record: &[u8], function: &str) -> bool {
        let record: Option<Value> = serde_json::from_slice(record).ok();
        let event = record
            .as_ref()
            .and_then(|record| record.get("requestPayload"));
        let (Some(event), Some(invoker)) = (event, self.invoker) else {
            return false;
        };
        let begun = invoker.invoke_async(function, event.to_string().into_bytes());
        match begun.await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "a failed invocation was not begun again");
                false
            }
        }
    }

    /// A record that still can't be read stays where it is.
    async fn take_over(&self, content: &[u8], now: UtcMillis) -> bool {
        let news = kafka::read_record(content).and_then(|record| {
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
                return false;
            }
        };
        match self.documents.sync_customers(&[news], now).await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%error, "a dead letter was not taken over");
                false
            }
        }
    }
}
