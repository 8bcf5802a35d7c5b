//! Dead letters, opened and read once more: after the consumer, its mapping or its database was
//! mended. A letter that is replayed twice changes nothing, so nothing is noted in Kafka: each replay
//! reads all that lies in the topic, and the topic's retention takes it away.

use std::{collections::BTreeMap, time::Duration};

use consumer::{ChangeStore, Consumer};
use contracts::changes::{Projection, Shape};
use lambda_kit::{
    SealKey, clock,
    dead_letter::DeadLetter,
    kafka::{Handler, read_record},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use sql_store::{
    Store,
    projection::{Columns, ProjectionTable},
};
use tokio::sync::mpsc::{self, Sender};

use crate::{Keys, RunError, Settings, runner::Member};

const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Letters between the reading thread and the store.
const LETTERS_AHEAD: usize = 16;

/// What a replay came to, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Taken over, or older than what is kept.
    pub applied: usize,
    /// Still can't be read, or the database still refuses them.
    pub refused: usize,
    /// Of another consumer or another key, or a part is missing.
    pub unopened: usize,
}

/// A message's id and when it was refused, and in how many parts it was sealed.
type Sealed = (String, String, usize);

/// What the letters hold.
struct Opener<'a> {
    key: &'a SealKey,
    /// Parts of records that no single letter holds, until the last one is there.
    parts: BTreeMap<Sealed, BTreeMap<usize, Vec<u8>>>,
    unopened: usize,
}

impl Opener<'_> {
    /// The whole record, with its only or its last letter.
    fn open(&mut self, letter: &[u8], consumer: &str) -> Option<Vec<u8>> {
        let letter: Option<DeadLetter> = serde_json::from_slice(letter).ok();
        let letter = letter.filter(|letter| letter.funcao == consumer);
        let opened = letter.and_then(|letter| Some((letter.open(self.key)?, letter)));
        let Some((content, letter)) = opened else {
            self.unopened += 1;
            return None;
        };
        let (Some(part), Some(parts)) = (letter.parte, letter.partes) else {
            return Some(content);
        };
        let name = (letter.id_mensagem, letter.recebido_em, parts);
        let known = self.parts.entry(name.clone()).or_default();
        known.insert(part, content);
        if known.len() < parts {
            return None;
        }
        let whole = self.parts.remove(&name)?;
        Some(whole.into_values().flatten().collect())
    }
}

/// Replays the letters that lie in the dead-letter topic now.
///
/// # Errors
/// When Kafka or the database fails, or the mapping is wrong: then it is to be done again.
pub async fn replay_letters<P>(
    settings: Settings,
    mapping: &str,
    store: Store,
    keys: Keys,
) -> Result<Replayed, RunError>
where
    P: Projection,
    P::Row: Columns + Clone,
{
    let table = ProjectionTable::<P::Row>::new(store, keys.pseudonyms, P::NAME);
    let consumer = Consumer::<P, _>::new(Shape::parse::<P>(mapping)?, table, clock::now);
    let context = settings.cluster.context();
    let (sender, mut letters) = mpsc::channel(LETTERS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        let reader: Member = settings
            .client()
            .set("group.id", format!("{}-cartas", settings.group))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create_with_context(context)?;
        read_letters(&reader, &settings.dead_letter_topic, &sender)
    });
    let mut opener = Opener {
        key: &keys.seal,
        parts: BTreeMap::new(),
        unopened: 0,
    };
    let mut replayed = Replayed::default();
    while let Some(letter) = letters.recv().await {
        let Some(content) = opener.open(&letter, P::NAME) else {
            continue;
        };
        match take_over(&consumer, &content).await? {
            true => replayed.applied += 1,
            false => replayed.refused += 1,
        }
    }
    reading.await.map_err(|_| RunError::PollerEnded)??;
    consumer.store().forget().await;
    replayed.unopened = opener.unopened + opener.parts.len();
    Ok(replayed)
}

/// Whether the record could be read and was applied. The reason of a refusal is logged, and no value.
async fn take_over<P, S>(consumer: &Consumer<P, S>, content: &[u8]) -> Result<bool, RunError>
where
    P: Projection,
    P::Row: Clone,
    S: ChangeStore<P::Row>,
{
    let change = match read_record(content).and_then(|record| consumer.decode(&record)) {
        Ok(change) => change,
        Err(bad) => {
            let field = bad.field.unwrap_or("-");
            tracing::warn!(code = bad.code, field, "a dead letter still can't be read");
            return Ok(false);
        }
    };
    match consumer.apply(&[change], clock::now()).await {
        Ok(_) => Ok(true),
        Err(error) if error.blames_the_row() => {
            tracing::warn!(error = %error, "the store still refuses a dead letter");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Hands over what lies between each partition's beginning and its end as it is now.
fn read_letters(
    reader: &BaseConsumer<kafka_settings::ClusterContext>,
    topic: &str,
    letters: &Sender<Vec<u8>>,
) -> Result<(), RunError> {
    let metadata = reader.fetch_metadata(Some(topic), ANSWER_LIMIT)?;
    let partitions = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions());
    let mut ends = BTreeMap::new();
    let mut places = TopicPartitionList::new();
    for partition in partitions {
        let (first, end) = reader.fetch_watermarks(topic, partition.id(), ANSWER_LIMIT)?;
        if first < end {
            ends.insert(partition.id(), end);
            places.add_partition_offset(topic, partition.id(), Offset::Offset(first))?;
        }
    }
    reader.assign(&places)?;
    while !ends.is_empty() {
        match reader.poll(ANSWER_LIMIT) {
            Some(Ok(message)) => {
                let end = ends.get(&message.partition()).copied().unwrap_or_default();
                if message.offset() + 1 >= end {
                    ends.remove(&message.partition());
                }
                let letter = message.payload().filter(|_| message.offset() < end);
                // The other side is gone where the database failed: it tells why.
                if letter.is_some_and(|letter| letters.blocking_send(letter.to_vec()).is_err()) {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ends.remove(&partition);
            }
            Some(Err(error)) => return Err(error.into()),
            None => {
                let silent = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(silent).into());
            }
        }
    }
    Ok(())
}
