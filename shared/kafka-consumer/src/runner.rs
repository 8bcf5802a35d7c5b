//! The process: a polling thread, the store's side, health, and an orderly end.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use consumer::{ChangeStore, Consumer, REFUSED_BY_STORE};
use contracts::changes::{BadShape, Change, Projection, Record, Shape};
use domain::{Invalid, pseudonym::PseudonymKey};
use kafka_settings::ClusterContext;
use lambda_kit::{DeadLetters, SealKey, clock, dead_letter::DeadLetter, logging, metrics};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use sql_store::{
    Store, StoreError,
    projection::{Columns, ProjectionTable, forget_pages},
};
use tokio::{
    net::TcpListener,
    signal::unix,
    sync::{mpsc, watch},
};

use crate::{
    KafkaDeadLetters, Settings,
    health::{self, Health},
    letters::{LONGEST_LETTER_DAYS, check_letter_topic_first, event_json},
    poller::{Batch, PATIENCE, Poller},
};

/// What was replaced or deleted leaves SQLite's file at most so much later, if writing the file anew
/// takes less than a part of that time.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// The part: a large file is written anew more seldom.
const FORGET_PART: u32 = 20;
/// Batches between the two threads: one in hand, one waiting.
const BATCHES_AHEAD: usize = 1;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
const METRICS_EVERY: Duration = Duration::from_secs(60);
const FETCH_LIMIT: Duration = Duration::from_secs(10);
/// How long a batch that is being applied may take after the process was asked to stop: an
/// orchestrator waits 30 s before it kills.
const GRACE: Duration = Duration::from_secs(10);
/// Applied offsets are committed this often, when a partition is handed on, and at the end.
const COMMIT_EVERY_MS: u32 = 500;

/// Why the process ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Kafka's client refused.
    #[error("Kafka refused: {0}")]
    Kafka(#[from] KafkaError),
    /// The health endpoint's address can't be had.
    #[error("HEALTH_ADDRESS can't be listened on: {0}")]
    Health(std::io::Error),
    /// The operating system gives no signals.
    #[error("SIGTERM can't be listened to: {0}")]
    Signals(std::io::Error),
    /// The mapping of the fields is wrong.
    #[error(transparent)]
    Mapping(#[from] BadShape),
    /// A record can't be read, and nothing can seal it.
    #[error("no random bytes from the operating system: a record could not be sealed")]
    NotSealed,
    /// Dead letters would lie for longer than they may.
    #[error(
        "the topic {0} keeps dead letters for longer than {LONGEST_LETTER_DAYS} days, or compacts \
         them: set its retention.ms and segment.ms, for example to 1209600000 and 86400000, and its \
         cleanup.policy to delete"
    )]
    LettersStay(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The polling thread ended.
    #[error("the thread that polls Kafka has ended")]
    PollerEnded,
}

/// The keys of a consumer.
pub struct Keys {
    pub(crate) pseudonyms: PseudonymKey,
    pub(crate) seal: SealKey,
}

impl Keys {
    /// One makes pseudonyms, the other seals dead letters; 32 bytes each at least.
    ///
    /// # Errors
    /// When one is shorter.
    pub fn new(pseudonym_key: &[u8], dead_letter_key: &[u8]) -> Result<Self, Invalid> {
        let seal = SealKey::new(dead_letter_key);
        Ok(Self {
            pseudonyms: PseudonymKey::new(pseudonym_key)?,
            seal: seal.ok_or(Invalid::new("must be a key of at least 32 bytes"))?,
        })
    }
}

/// Runs a consumer on its table in `store`; `mapping` tells where the fields stand.
///
/// # Errors
/// See [`run`]; or when the mapping is wrong.
pub async fn start<P>(
    settings: Settings,
    mapping: &str,
    store: Store,
    keys: Keys,
) -> Result<(), RunError>
where
    P: Projection + 'static,
    P::Row: Columns + Send + 'static,
{
    // Before anything that takes time: as a container's first process it would not hear a SIGTERM.
    let stopping = stop_on_signal()?;
    logging::start(P::NAME);
    // What was replaced or erased before a sudden end is still to leave SQLite's file.
    forget_pages(&store).await;
    let table = ProjectionTable::<P::Row>::new(store.clone(), keys.pseudonyms, P::NAME);
    let consumer = Consumer::<P, _>::new(Shape::parse::<P>(mapping)?, table, clock::now);
    let letters = KafkaDeadLetters::new(&settings, keys.seal);
    let outcome = run(stopping, settings, consumer, letters).await;
    forget_pages(&store).await;
    outcome
}

/// Consumes until `stopping` turns true ([`stop_on_signal`]): what was read by then is applied and
/// committed.
///
/// # Errors
/// When Kafka or the health endpoint can't be set up.
pub async fn run<P, S>(
    stopping: watch::Receiver<bool>,
    settings: Settings,
    consumer: Consumer<P, S>,
    letters: KafkaDeadLetters,
) -> Result<(), RunError>
where
    P: Projection + 'static,
    P::Row: Send + 'static,
    S: ChangeStore<P::Row> + Send + Sync + 'static,
{
    let letters_stay = check_letter_topic_first(&settings).await?;
    tokio::pin!(letters_stay);
    let health = Health::new();
    let listener = TcpListener::bind(&settings.health_address)
        .await
        .map_err(RunError::Health)?;
    let serving = tokio::spawn(health::serve(listener, Arc::clone(&health)));
    let context = settings.cluster.context();
    let kafka: Arc<Member> = Arc::new(group_member(&settings).create_with_context(context)?);
    kafka.subscribe(&[&settings.topic])?;
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let consumer = Arc::new(consumer);
    let poller = Poller {
        kafka: Arc::clone(&kafka),
        consumer: Arc::clone(&consumer),
        settings: settings.clone(),
        key: letters.seal_key().clone(),
        health: Arc::clone(&health),
        stopping: stopping.clone(),
        patience: PATIENCE,
        said: Cell::new(None),
    };
    let polling = std::thread::spawn(move || poller.run(&sender));
    let mut checked = Ok(());
    tracing::info!("consuming");
    let applier = Applier {
        kafka,
        consumer,
        settings,
        letters,
        health,
        stopping,
    };
    let mut flush = tokio::time::interval(METRICS_EVERY);
    let mut forget = Instant::now();
    loop {
        tokio::select! {
            _ = flush.tick() => metrics::flush(P::NAME, clock::now()),
            wrong = &mut letters_stay => {
                checked = Err(wrong);
                break;
            }
            () = tokio::time::sleep_until(forget.into()) => {
                let began = Instant::now();
                applier.consumer.store().forget().await;
                forget = Instant::now() + FORGET_EVERY.max(began.elapsed() * FORGET_PART);
            }
            batch = batches.recv() => {
                let Some(mut batch) = batch else { break };
                if !applier.apply(&mut batch).await {
                    // Not committed either: it comes again.
                    break;
                }
                applier.mark_done(&batch);
            }
        }
    }
    drop(batches);
    let ended = polling.join();
    applier.commit_last();
    serving.abort();
    metrics::flush(P::NAME, clock::now());
    checked.and(ended.unwrap_or(Err(RunError::PollerEnded)))
}

/// A client that reads.
pub(crate) type Member = BaseConsumer<ClusterContext>;

pub(crate) fn group_member(settings: &Settings) -> ClientConfig {
    let mut client = settings.client();
    client
        .set("group.id", &settings.group)
        // librdkafka commits what is stored, and stored is what was applied.
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", COMMIT_EVERY_MS.to_string())
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set(
            "session.timeout.ms",
            settings.session_timeout_ms.to_string(),
        )
        .set(
            "heartbeat.interval.ms",
            (settings.session_timeout_ms / 4).to_string(),
        )
        .set("fetch.wait.max.ms", "20")
        // librdkafka reads ahead; more than this would only fill memory.
        .set("queued.max.messages.kbytes", "256")
        .set("queued.min.messages", "10000")
        .set("fetch.message.max.bytes", "65536")
        // So short a queue must be looked at again soon, and not only after a second.
        .set("fetch.queue.backoff.ms", "1");
    if let Some(id) = &settings.instance_id {
        client.set("group.instance.id", id);
    }
    client
}

/// Turns true at SIGTERM or Ctrl-C.
///
/// # Errors
/// When the operating system gives no signals.
pub fn stop_on_signal() -> Result<watch::Receiver<bool>, RunError> {
    let listen = |kind| unix::signal(kind).map_err(RunError::Signals);
    let mut terminate = listen(unix::SignalKind::terminate())?;
    let mut interrupt = listen(unix::SignalKind::interrupt())?;
    let (asked, stopping) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        asked.send_replace(true);
    });
    Ok(stopping)
}

/// The store's side.
struct Applier<P: Projection, S> {
    kafka: Arc<Member>,
    consumer: Arc<Consumer<P, S>>,
    settings: Settings,
    letters: KafkaDeadLetters,
    health: Arc<Health>,
    stopping: watch::Receiver<bool>,
}

impl<P: Projection, S: ChangeStore<P::Row>> Applier<P, S> {
    /// Applies a batch, however long the store is away; false when the process must stop before.
    async fn apply(&self, batch: &mut Batch<P::Row>) -> bool {
        let mut wait = FIRST_RETRY;
        self.health.trying();
        loop {
            let limit = self.settings.apply_limit;
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(limit, self.try_apply(batch)) => {
                    outcome.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
                }
                // What is cut off is rolled back.
                () = self.stopped_for(GRACE) => return false,
            };
            match outcome {
                Ok(()) => {
                    self.health.applied(batch.records);
                    return true;
                }
                Err(reason) => {
                    tracing::warn!(reason = %reason, "batch will be retried");
                    metrics::count("BatchesRetried", 1);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stopped_for(Duration::ZERO) => return false,
            }
            wait = (wait * 2).min(LONGEST_RETRY);
        }
    }

    /// Ends when the process was asked to stop so long ago.
    async fn stopped_for(&self, grace: Duration) {
        let mut stopping = self.stopping.clone();
        let asked = stopping.wait_for(|asked| *asked).await.is_ok();
        if !asked {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(grace).await;
    }

    /// Dead letters first: a record is done with when its letter has arrived.
    async fn try_apply(&self, batch: &mut Batch<P::Row>) -> Result<(), String> {
        let letters = batch.letters.iter();
        // All at once: a flood of what can't be read must not hold up what can.
        let sent = letters.map(|letter| self.letters.send_dead_letter(letter.clone()));
        let sent = futures::future::try_join_all(sent).await;
        sent.map_err(|failed| failed.to_string())?;
        batch.letters.clear();
        match self.consumer.apply(&batch.changes, clock::now()).await {
            Ok(_) => Ok(()),
            Err(error) if !error.blames_the_row() => Err(error.to_string()),
            Err(_) => self.apply_one_by_one(&batch.changes).await,
        }
    }

    /// One record must not hold up its neighbours: each has a transaction of its own.
    async fn apply_one_by_one(&self, changes: &[Change<P::Row>]) -> Result<(), String> {
        for change in changes {
            let alone = std::slice::from_ref(change);
            match self.consumer.apply(alone, clock::now()).await {
                Ok(_) => {}
                Err(error) if !error.blames_the_row() => return Err(error.to_string()),
                Err(error) => self.bury(change, &error).await?,
            }
        }
        Ok(())
    }

    /// The record's bytes are gone by now, so Kafka is asked for them again.
    async fn bury(&self, change: &Change<P::Row>, error: &StoreError) -> Result<(), String> {
        let place = change.stamp.place;
        let settings = self.settings.clone();
        let fetched = move || fetch(&settings, place.partition, place.offset);
        let fetched = tokio::task::spawn_blocking(fetched).await;
        let content = fetched.map_err(|_| "the fetching thread ended".to_owned())??;
        let coordinates = format!(
            "{}-{}@{}",
            self.settings.topic, place.partition, place.offset
        );
        tracing::warn!(message_id = %coordinates, error = %error, "record refused by the store");
        metrics::count("MessagesRejected", 1);
        let key = self.letters.seal_key();
        let sealed = DeadLetter::seal_in_parts(
            key,
            P::NAME,
            &coordinates,
            None,
            &REFUSED_BY_STORE,
            &content,
            clock::now(),
        );
        for letter in sealed.map_err(|failed| failed.to_string())? {
            let body = serde_json::to_string(&letter).map_err(|_| "json".to_owned())?;
            let sent = self.letters.send_dead_letter(body).await;
            sent.map_err(|failed| failed.to_string())?;
        }
        Ok(())
    }

    /// Its offsets may be committed.
    fn mark_done(&self, batch: &Batch<P::Row>) {
        for (partition, next) in &batch.next_offsets {
            let topic = &self.settings.topic;
            if let Err(error) = self.kafka.store_offset(topic, *partition, *next - 1) {
                // The partition went to another member, which reads this again: it changes nothing.
                tracing::debug!(error = %error, "offset not stored");
            }
        }
    }

    /// Waits until what was applied is committed, and leaves the group.
    fn commit_last(&self) {
        match self.kafka.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => tracing::warn!(error = %error, "offsets not committed"),
        }
        self.kafka.unsubscribe();
    }
}

/// A record, as Lambda's event holds it.
fn fetch(settings: &Settings, partition: i32, offset: i64) -> Result<Vec<u8>, String> {
    let topic = &settings.topic;
    let fetched = (|| -> Result<Option<Vec<u8>>, KafkaError> {
        let reader: Member = settings
            .client()
            .set("group.id", format!("{}-cartas", settings.group))
            .set("enable.auto.commit", "false")
            // Where the topic no longer has it, another record answers, and not nobody.
            .set("auto.offset.reset", "earliest")
            .create_with_context(settings.cluster.context())?;
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        reader.assign(&place)?;
        let found = reader.poll(FETCH_LIMIT).transpose()?;
        Ok(found.map(|message| {
            let is_there = message.offset() == offset;
            let record = Record {
                key: message.key().filter(|_| is_there),
                value: message.payload().filter(|_| is_there),
                partition,
                offset,
                timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            };
            event_json(topic, &record)
        }))
    })();
    match fetched {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err("Kafka does not answer".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
