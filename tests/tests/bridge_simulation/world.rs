//! Queues, a bucket and a mapping with all their faults, around the real bridge.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use contracts::envelope::Envelope;
use domain::time::UtcMillis;
use files::{FileAddress, FileError};
use kafka_to_sqs::Outside;
use queues::{Carrier, Outbox, OutgoingMessage, QueueError, SendError, SentMessage, SqsLimits};
use testkit::Random;

use crate::{executor::Clock, plan::UNWANTED_TIMESTAMP};

/// A FIFO queue forgets deduplication ids after this time.
const DEDUPLICATION_MS: u64 = 300_000;
pub const LIMITS: SqsLimits = SqsLimits {
    request_bytes: 1_500,
    in_flight: 3,
    attempts: 3,
    first_pause_ms: 20,
    longest_pause_ms: 400,
    request_timeout_ms: 1_000,
};
/// So many faults may happen before the world calms down.
const FAULTS: usize = 12;

/// A message as its queue keeps it.
#[derive(Clone)]
pub struct Lying {
    pub group: Option<String>,
    pub body: String,
}

pub struct World {
    pub clock: Clock,
    pub random: RefCell<Random>,
    faults_left: Cell<usize>,
    is_fifo: bool,
    pub queue: RefCell<Vec<Lying>>,
    pub letters: RefCell<Vec<String>>,
    pub bucket: RefCell<BTreeMap<String, Vec<u8>>>,
    seen: RefCell<BTreeMap<String, u64>>,
    /// Bodies that the bridge was told are taken, since this was emptied last.
    pub told: RefCell<BTreeSet<String>>,
    /// Requests that are under way, and the most that were.
    under_way: Cell<usize>,
    pub most_under_way: Cell<usize>,
}

/// A request that is under way until it is answered or dropped.
struct UnderWay<'w>(&'w World);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

impl World {
    pub fn new(random: Random, is_fifo: bool) -> Self {
        Self {
            clock: Clock::default(),
            random: RefCell::new(random),
            faults_left: Cell::new(FAULTS),
            is_fifo,
            queue: RefCell::default(),
            letters: RefCell::default(),
            bucket: RefCell::default(),
            seen: RefCell::default(),
            told: RefCell::default(),
            under_way: Cell::default(),
            most_under_way: Cell::default(),
        }
    }

    pub fn below(&self, end: usize) -> usize {
        self.random.borrow_mut().below(end)
    }

    /// Whether a fault happens that happens so many times of a hundred.
    pub fn fault(&self, percent: u64) -> bool {
        let left = self.faults_left.get();
        let happens = left > 0 && self.random.borrow_mut().percent(percent);
        if happens {
            self.faults_left.set(left - 1);
        }
        happens
    }

    /// A place at which the process may be killed.
    async fn step(&self) {
        if self.fault(2) {
            self.clock.die().await;
        }
    }

    fn begin(&self) -> UnderWay<'_> {
        let count = self.under_way.get() + 1;
        self.under_way.set(count);
        self.most_under_way
            .set(self.most_under_way.get().max(count));
        UnderWay(self)
    }

    fn store(&self, queue_url: &str, message: &OutgoingMessage) {
        if queue_url == crate::LETTERS {
            self.letters.borrow_mut().push(message.body.clone());
            return;
        }
        assert_eq!(message.group_id.is_some(), self.is_fifo);
        if let Some(once) = &message.deduplication_id {
            let now = self.clock.now_ms();
            let mut seen = self.seen.borrow_mut();
            let known = seen
                .get(once)
                .is_some_and(|sent| now - sent < DEDUPLICATION_MS);
            if known {
                return;
            }
            seen.insert(once.clone(), now);
        }
        self.queue.borrow_mut().push(Lying {
            group: message.group_id.clone(),
            body: message.body.clone(),
        });
    }

    fn answer(&self, queue_url: &str, message: &OutgoingMessage) -> Result<SentMessage, SendError> {
        let code = || "InternalError".to_owned();
        let is_letter = queue_url == crate::LETTERS;
        let is_unwanted = || {
            let envelope = Envelope::read(&message.body).unwrap();
            envelope.coordinates.timestamp_ms == UNWANTED_TIMESTAMP
        };
        if !is_letter && is_unwanted() {
            return Err(SendError::Refused { code: code() });
        }
        if self.fault(6) {
            return Err(SendError::Unavailable { code: code() });
        }
        self.store(queue_url, message);
        if self.fault(3) {
            // Stored, and its entry is missing in the answer.
            return Err(SendError::Unavailable { code: code() });
        }
        Ok(SentMessage {
            message_id: String::new(),
            sequence_number: None,
        })
    }
}

impl Carrier for World {
    async fn carry(
        &self,
        queue_url: &str,
        messages: Vec<(usize, OutgoingMessage)>,
    ) -> Vec<(usize, Result<SentMessage, SendError>)> {
        let bytes: usize = messages.iter().map(|(_, message)| message.body.len()).sum();
        assert!(messages.len() <= 10 && (bytes <= LIMITS.request_bytes || messages.len() == 1));
        let groups = messages
            .iter()
            .filter_map(|(_, message)| message.group_id.as_ref());
        let distinct: BTreeSet<&String> = groups.clone().collect();
        assert_eq!(
            distinct.len(),
            groups.count(),
            "one entry of a group in a request"
        );
        let _under_way = self.begin();
        self.step().await;
        self.clock.sleep(1 + self.below(40) as u64).await;
        let all = |error: &SendError| -> Vec<_> {
            messages
                .iter()
                .map(|(position, _)| (*position, Err(error.clone())))
                .collect()
        };
        let unavailable = |code: &str| SendError::Unavailable {
            code: code.to_owned(),
        };
        if self.fault(4) {
            return all(&unavailable("ThrottlingException"));
        }
        if self.fault(1) {
            let code = "AccessDenied".to_owned();
            return all(&SendError::Queue(QueueError::Refused { code }));
        }
        let answers: Vec<_> = messages
            .iter()
            .map(|(position, message)| (*position, self.answer(queue_url, message)))
            .collect();
        self.clock.sleep(1 + self.below(40) as u64).await;
        self.step().await;
        if self.fault(4) {
            // The answer is lost: all may lie there.
            self.clock.sleep(LIMITS.request_timeout_ms).await;
            return all(&unavailable("Timeout"));
        }
        let taken = messages.iter().zip(&answers);
        let taken = taken.filter(|(_, (_, answer))| answer.is_ok());
        let bodies = taken.map(|((_, message), _)| message.body.clone());
        self.told.borrow_mut().extend(bodies);
        answers
    }

    async fn pause(&self, length: Duration) {
        self.clock
            .sleep(u64::try_from(length.as_millis()).unwrap())
            .await;
    }

    fn random(&self) -> u64 {
        self.below(1 << 20) as u64
    }
}

impl Outside for &World {
    async fn send<O: Outbox + ?Sized>(
        &self,
        queue_url: &str,
        outbox: &O,
        time: Duration,
    ) -> Vec<Result<SentMessage, SendError>> {
        queues::send_over(*self, queue_url, outbox, LIMITS, Some(time)).await
    }

    async fn put_value(&self, address: &FileAddress, value: Vec<u8>) -> Result<(), FileError> {
        self.step().await;
        self.clock.sleep(5).await;
        let unavailable = || {
            Err(FileError::Unavailable {
                code: "SlowDown".to_owned(),
            })
        };
        if self.fault(5) {
            return unavailable();
        }
        self.bucket
            .borrow_mut()
            .insert(address.key().to_owned(), value);
        self.step().await;
        if self.fault(3) {
            return unavailable();
        }
        Ok(())
    }

    async fn pause(&self, length: Duration) {
        Carrier::pause(*self, length).await;
    }

    fn now(&self) -> UtcMillis {
        UtcMillis::new(i64::try_from(self.clock.now_ms()).unwrap()).unwrap()
    }
}
