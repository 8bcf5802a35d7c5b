//! Sending: all messages of a call in one transaction.

use md5::Md5;
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};
use sha2::{Digest, Sha256};

use super::definition::QueueRow;
use super::file::{begin_write, file_error, statement};
use super::{EmbeddedQueues, SendPoint};
use crate::batches::Sending;
use crate::error::{QueueError, SendError};
use crate::message::{OutgoingMessage, SentMessage, hex};
use crate::url::require_embedded;

/// How long a FIFO queue remembers a deduplication id, in milliseconds (SQS: five minutes).
const DEDUPLICATION_MS: i64 = 300_000;

#[derive(FromQueryResult)]
struct RememberedRow {
    id_mensagem: String,
    sequencia: i64,
}

#[derive(FromQueryResult)]
struct SequenceRow {
    sequencia: i64,
}

impl EmbeddedQueues {
    /// See [`crate::Queues::send`].
    pub async fn send(
        &self,
        queue_url: &str,
        messages: &[OutgoingMessage],
        now_ms: i64,
    ) -> Vec<Result<SentMessage, SendError>> {
        self.reach(queue_url, SendPoint::Before).await;
        let sent = self.send_all(queue_url, messages, now_ms).await;
        self.reach(queue_url, SendPoint::After).await;
        match sent {
            Ok(outcomes) => outcomes,
            Err(error) => messages.iter().map(|_| Err(error.clone().into())).collect(),
        }
    }

    async fn send_all(
        &self,
        queue_url: &str,
        messages: &[OutgoingMessage],
        now_ms: i64,
    ) -> Result<Vec<Result<SentMessage, SendError>>, QueueError> {
        let name = require_embedded(queue_url)?;
        let transaction = begin_write(&self.connection).await?;
        let queue = QueueRow::load(&transaction, name).await?;
        let fifo = queue.fifo == 1;
        let groups = messages.iter().map(|message| message.group_id.as_deref());
        let mut sending = Sending::new(groups.map(|group| group.filter(|_| fifo)));
        for (position, message) in messages.iter().enumerate() {
            if let Err(error) = message.check(fifo, queue.deduplica_por_conteudo == 1) {
                sending.record(position, Err(error));
            }
        }
        if fifo {
            let forget = statement(
                "DELETE FROM deduplicacoes WHERE fila = ? AND enviada_em_ms <= ?",
                [name.into(), (now_ms - DEDUPLICATION_MS).into()],
            );
            transaction.execute_raw(forget).await.map_err(file_error)?;
        }
        // Nothing here fails alone, so all that may go goes in the order given.
        for (position, message) in messages.iter().enumerate() {
            if sending.is_settled(position) {
                continue;
            }
            let sent = match deduplication_id(message, fifo) {
                Some(id) => send_once(&transaction, name, &queue, message, &id, now_ms).await?,
                None => {
                    insert(&transaction, name, &queue, message, None, now_ms)
                        .await?
                        .0
                }
            };
            sending.record(position, Ok(sent));
        }
        transaction.commit().await.map_err(file_error)?;
        Ok(sending.into_outcomes())
    }
}

/// The id given, or the body's hash where the queue deduplicates by content.
fn deduplication_id(message: &OutgoingMessage, fifo: bool) -> Option<String> {
    fifo.then(|| {
        let of_content = || hex(&Sha256::digest(message.body.as_bytes()));
        message.deduplication_id.clone().unwrap_or_else(of_content)
    })
}

/// Sends a FIFO message unless its deduplication id was seen within five minutes.
async fn send_once(
    transaction: &DatabaseTransaction,
    name: &str,
    queue: &QueueRow,
    message: &OutgoingMessage,
    deduplication_id: &str,
    now_ms: i64,
) -> Result<SentMessage, QueueError> {
    let seen = statement(
        "SELECT id_mensagem, sequencia FROM deduplicacoes WHERE fila = ? AND deduplicacao = ?",
        [name.into(), deduplication_id.into()],
    );
    let seen = RememberedRow::find_by_statement(seen)
        .one(transaction)
        .await
        .map_err(file_error)?;
    if let Some(first) = seen {
        return Ok(SentMessage {
            message_id: first.id_mensagem,
            sequence_number: Some(sequence_number(first.sequencia)),
        });
    }
    let (sent, sequence) = insert(
        transaction,
        name,
        queue,
        message,
        Some(deduplication_id),
        now_ms,
    )
    .await?;
    let remember = statement(
        "INSERT INTO deduplicacoes (fila, deduplicacao, enviada_em_ms, id_mensagem, sequencia)
         VALUES (?, ?, ?, ?, ?)",
        [
            name.into(),
            deduplication_id.into(),
            now_ms.into(),
            sent.message_id.as_str().into(),
            sequence.into(),
        ],
    );
    transaction
        .execute_raw(remember)
        .await
        .map_err(file_error)?;
    Ok(sent)
}

async fn insert(
    transaction: &DatabaseTransaction,
    name: &str,
    queue: &QueueRow,
    message: &OutgoingMessage,
    deduplication_id: Option<&str>,
    now_ms: i64,
) -> Result<(SentMessage, i64), QueueError> {
    let message_id = random_uuid()?;
    let delay_seconds = message.delay_seconds.map_or(queue.atraso_s, i64::from);
    let insert = statement(
        "INSERT INTO mensagens (fila, id_mensagem, corpo, md5_corpo, grupo, deduplicacao,
             enviada_em_ms, visivel_em_ms, recebimentos)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) RETURNING sequencia",
        [
            name.into(),
            message_id.as_str().into(),
            message.body.as_str().into(),
            hex(&Md5::digest(message.body.as_bytes())).into(),
            message.group_id.clone().into(),
            deduplication_id.map(str::to_owned).into(),
            now_ms.into(),
            (now_ms + delay_seconds * 1_000).into(),
        ],
    );
    let row = SequenceRow::find_by_statement(insert)
        .one(transaction)
        .await
        .map_err(file_error)?;
    let sequence = row.map_or(0, |row| row.sequencia);
    let sequence_number = (queue.fifo == 1).then(|| sequence_number(sequence));
    Ok((
        SentMessage {
            message_id,
            sequence_number,
        },
        sequence,
    ))
}

/// SQS's sequence numbers have 20 digits, so that text sorts as the numbers do.
pub(super) fn sequence_number(sequence: i64) -> String {
    format!("{sequence:020}")
}

/// A random (version 4) UUID: SQS's message ids have this form.
pub(super) fn random_uuid() -> Result<String, QueueError> {
    let mut bytes = random_bytes()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    let groups = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts: Vec<&str> = groups
        .iter()
        .filter_map(|(from, to)| text.get(*from..*to))
        .collect();
    Ok(parts.join("-"))
}

/// Sixteen bytes that nobody can guess.
pub(super) fn random_bytes() -> Result<[u8; 16], QueueError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| QueueError::File {
        reason: "the system gave no random bytes".to_owned(),
        busy: false,
    })?;
    Ok(bytes)
}
