//! Reads a queue for a function, as Lambda's event source mapping does.
//!
//! What the function did not handle stays hidden until its visibility timeout ends, then comes
//! again; the queue itself moves it to the dead letters after too many receives.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use queues::{EmbeddedQueues, QueueError, ReceivedMessage};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::bundle::{Queue, QueueSource};
use crate::events::sqs::{self, BatchAnswer};
use crate::invoker::Invoker;
use crate::terminal::note;

/// A quiet queue is looked at this often; after an invocation at once.
const QUIET_LOOK: Duration = Duration::from_millis(50);
/// A queue that was quiet for [`IDLE_AFTER`] is looked at this often, to spare the battery.
const IDLE_LOOK: Duration = Duration::from_millis(250);
/// See [`IDLE_LOOK`].
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// SQS hands out at most so many messages at once.
const RECEIVE_MAX: usize = 10;

/// One event source mapping of a queue.
pub struct QueuePoller {
    source: QueueSource,
    queue: Queue,
    queues: EmbeddedQueues,
    invoker: Arc<Invoker>,
    slots: Arc<Semaphore>,
    width: u32,
    stopping: watch::Receiver<bool>,
}

impl QueuePoller {
    /// A poller for a mapping of the template.
    pub fn new(
        source: QueueSource,
        queue: Queue,
        queues: EmbeddedQueues,
        invoker: Arc<Invoker>,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let function = invoker.bundle().functions.get(&source.function);
        let processes = function.map_or(1, |function| function.max_processes);
        let width = source
            .max_concurrency
            .unwrap_or(processes)
            .min(processes)
            .max(1);
        let slots = Arc::new(Semaphore::new(width));
        let width = u32::try_from(width).unwrap_or(1);
        Arc::new(Self {
            source,
            queue,
            queues,
            invoker,
            slots,
            width,
            stopping,
        })
    }

    /// Polls until the instance stops, then waits for what is running.
    pub async fn run(self: Arc<Self>) {
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                return;
            };
            let batch = self.gather().await;
            if batch.is_empty() {
                drop(slot);
                break;
            }
            let poller = Arc::clone(&self);
            tokio::spawn(async move {
                poller.hand_over(batch).await;
                drop(slot);
            });
        }
        let _all = self.slots.acquire_many(self.width).await;
    }

    /// The next batch; empty only when the instance stops.
    async fn gather(&self) -> Vec<ReceivedMessage> {
        let mut stopping = self.stopping.clone();
        let mut batch: Vec<ReceivedMessage> = Vec::new();
        let window = Duration::from_millis(self.source.window_ms);
        let mut window_ends: Option<Instant> = None;
        let begun = Instant::now();
        loop {
            if *stopping.borrow() {
                return batch;
            }
            let wanted = self
                .source
                .batch_size
                .saturating_sub(batch.len())
                .min(RECEIVE_MAX);
            let received = self.receive(wanted).await;
            let is_full_answer = received.len() == wanted;
            batch.extend(received);
            if batch.len() >= self.source.batch_size {
                return batch;
            }
            if is_full_answer {
                continue;
            }
            let now = Instant::now();
            if !batch.is_empty() && now >= *window_ends.get_or_insert(now + window) {
                return batch;
            }
            let is_idle = begun.elapsed() > IDLE_AFTER;
            let look = if is_idle { IDLE_LOOK } else { QUIET_LOOK };
            let look = window_ends.map_or(look, |ends| look.min(ends - now));
            tokio::select! {
                () = self.invoker.activity().notified() => {}
                () = tokio::time::sleep(look) => {}
                _changed = stopping.changed() => {}
            }
        }
    }

    async fn receive(&self, wanted: usize) -> Vec<ReceivedMessage> {
        let max = u32::try_from(wanted.max(1)).unwrap_or(1);
        match self.queues.receive(&self.queue.url(), max, now_ms()).await {
            Ok(messages) => messages,
            Err(error) => {
                self.complain(&error).await;
                Vec::new()
            }
        }
    }

    async fn hand_over(&self, batch: Vec<ReceivedMessage>) {
        let event = sqs::event(&batch, &self.queue.arn());
        let payload = Bytes::from(event.to_string());
        let outcome = match self.invoker.invoke(&self.source.function, payload).await {
            Ok(outcome) if outcome.is_success() => outcome,
            Ok(_failed) => return self.tell(batch.len(), "failed"),
            Err(error) => return self.tell(batch.len(), &format!("was not tried ({error})")),
        };
        let ids: Vec<&str> = batch
            .iter()
            .map(|message| message.message_id.as_str())
            .collect();
        let failed = if self.source.partial_answers {
            match sqs::read_answer(&outcome.payload, &ids) {
                BatchAnswer::Failed(failed) => failed,
                BatchAnswer::Malformed => {
                    return self.tell(batch.len(), "got an answer that names no such message");
                }
            }
        } else {
            std::collections::BTreeSet::new()
        };
        let handled: Vec<String> = batch
            .iter()
            .filter(|message| !failed.contains(&message.message_id))
            .map(|message| message.receipt_handle.clone())
            .collect();
        if handled.is_empty() {
            return;
        }
        while let Err(error) = self.queues.delete(&self.queue.url(), &handled).await {
            self.complain(&error).await;
            if !error.is_transient() {
                return;
            }
        }
    }

    fn tell(&self, messages: usize, what: &str) {
        let (function, queue) = (&self.source.function, &self.queue.name);
        note(&format!(
            "{function}: a batch of {messages} from {queue} {what}; it comes again"
        ));
    }

    async fn complain(&self, error: &QueueError) {
        note(&format!("queue {}: {error}", self.queue.name));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Makes visible again what an earlier instance had received and not finished when it was ended:
/// nobody else reads these queues, so nobody works on it any more. Those deliveries don't count, or
/// a few ends in a row would bury what is being handled.
///
/// # Errors
/// The queue's own.
pub async fn take_back(queues: &EmbeddedQueues, queue: &Queue) -> Result<u64, QueueError> {
    queues.take_back(&queue.url(), now_ms()).await
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
