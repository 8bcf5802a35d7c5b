//! Receiving: visibility, FIFO groups, receive counts and the way to the dead letters.

use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};

use super::EmbeddedQueues;
use super::definition::QueueRow;
use super::file::{begin_write, file_error, statement};
use super::send::{random_bytes, sequence_number};
use crate::error::QueueError;
use crate::message::{ReceivedMessage, hex};
use crate::url::require_embedded;

/// What stands as the sender of an embedded queue's messages.
const SENDER_ID: &str = "feira";

#[derive(FromQueryResult)]
struct WorkRow {
    mais_antiga_ms: Option<i64>,
    visivel: i64,
}

#[derive(FromQueryResult)]
struct MessageRow {
    sequencia: i64,
    id_mensagem: String,
    corpo: String,
    md5_corpo: String,
    grupo: Option<String>,
    deduplicacao: Option<String>,
    enviada_em_ms: i64,
    recebimentos: i64,
    primeiro_recebimento_ms: Option<i64>,
}

impl EmbeddedQueues {
    /// See [`crate::Queues::receive`].
    ///
    /// A message that was received as often as the queue allows goes to the dead letters instead.
    ///
    /// # Errors
    /// [`QueueError`] when the queue is not defined or the file fails.
    pub async fn receive(
        &self,
        queue_url: &str,
        max: u32,
        now_ms: i64,
    ) -> Result<Vec<ReceivedMessage>, QueueError> {
        let name = require_embedded(queue_url)?;
        let queue = QueueRow::load(&self.connection, name).await?;
        if !self.has_work(name, &queue, now_ms).await? {
            return Ok(Vec::new());
        }
        let transaction = begin_write(&self.connection).await?;
        let queue = QueueRow::load(&transaction, name).await?;
        forget_expired(&transaction, name, &queue, now_ms).await?;
        let wanted = usize::try_from(max.clamp(1, 10)).unwrap_or(1);
        let mut received: Vec<ReceivedMessage> = Vec::with_capacity(wanted);
        loop {
            let candidates = candidates(
                &transaction,
                name,
                wanted - received.len(),
                now_ms,
                &received,
            )
            .await?;
            let mut moved = false;
            for row in candidates {
                match &queue.fila_morta {
                    Some(dead)
                        if queue
                            .maximo_recebimentos
                            .is_some_and(|m| row.recebimentos >= m) =>
                    {
                        bury(&transaction, dead, row.sequencia, now_ms).await?;
                        moved = true;
                    }
                    _ => received.push(hand_out(&transaction, &queue, row, now_ms).await?),
                }
            }
            // Dead letters made room: the next ones may go out in the same answer.
            if !moved || received.len() == wanted {
                break;
            }
        }
        transaction.commit().await.map_err(file_error)?;
        Ok(received)
    }

    /// A cheap look without the write lock, so that polling an idle queue disturbs nobody.
    async fn has_work(
        &self,
        name: &str,
        queue: &QueueRow,
        now_ms: i64,
    ) -> Result<bool, QueueError> {
        let query = statement(
            "SELECT (SELECT MIN(enviada_em_ms) FROM mensagens WHERE fila = ?) AS mais_antiga_ms,
                    EXISTS (SELECT 1 FROM mensagens WHERE fila = ? AND visivel_em_ms <= ?)
                        AS visivel",
            [name.into(), name.into(), now_ms.into()],
        );
        let row = WorkRow::find_by_statement(query)
            .one(&self.connection)
            .await
            .map_err(file_error)?;
        let oldest_kept_ms = oldest_kept_ms(queue, now_ms);
        Ok(row.is_some_and(|row| {
            row.visivel == 1
                || row
                    .mais_antiga_ms
                    .is_some_and(|sent_ms| sent_ms < oldest_kept_ms)
        }))
    }

    /// See [`crate::Queues::delete`].
    ///
    /// # Errors
    /// [`QueueError`] when the queue is not defined or the file fails.
    pub async fn delete(
        &self,
        queue_url: &str,
        receipts: &[String],
    ) -> Result<Vec<bool>, QueueError> {
        let name = require_embedded(queue_url)?;
        let transaction = begin_write(&self.connection).await?;
        QueueRow::load(&transaction, name).await?;
        let mut deleted = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let delete = statement(
                "DELETE FROM mensagens WHERE recibo = ? AND fila = ?",
                [receipt.as_str().into(), name.into()],
            );
            let result = transaction.execute_raw(delete).await.map_err(file_error)?;
            deleted.push(result.rows_affected() == 1);
        }
        transaction.commit().await.map_err(file_error)?;
        Ok(deleted)
    }

    /// See [`crate::Queues::change_visibility`].
    ///
    /// # Errors
    /// [`QueueError`] when the queue is not defined or the file fails.
    pub async fn change_visibility(
        &self,
        queue_url: &str,
        receipt: &str,
        seconds: u32,
        now_ms: i64,
    ) -> Result<bool, QueueError> {
        let name = require_embedded(queue_url)?;
        let transaction = begin_write(&self.connection).await?;
        QueueRow::load(&transaction, name).await?;
        let change = statement(
            "UPDATE mensagens SET visivel_em_ms = ?
             WHERE recibo = ? AND fila = ? AND visivel_em_ms > ?",
            [
                (now_ms + i64::from(seconds) * 1_000).into(),
                receipt.into(),
                name.into(),
                now_ms.into(),
            ],
        );
        let result = transaction.execute_raw(change).await.map_err(file_error)?;
        transaction.commit().await.map_err(file_error)?;
        Ok(result.rows_affected() == 1)
    }
}

fn oldest_kept_ms(queue: &QueueRow, now_ms: i64) -> i64 {
    now_ms - queue.retencao_s * 1_000
}

/// Deletes what is past the queue's retention.
async fn forget_expired(
    transaction: &DatabaseTransaction,
    name: &str,
    queue: &QueueRow,
    now_ms: i64,
) -> Result<(), QueueError> {
    let forget = statement(
        "DELETE FROM mensagens WHERE fila = ? AND enviada_em_ms < ?",
        [name.into(), oldest_kept_ms(queue, now_ms).into()],
    );
    transaction.execute_raw(forget).await.map_err(file_error)?;
    Ok(())
}

/// The next visible messages in order.
///
/// Of a FIFO group nothing goes out while one of it is in flight, and nothing overtakes a delayed
/// one; messages already taken for the same answer do not lock their group.
async fn candidates(
    transaction: &DatabaseTransaction,
    name: &str,
    limit: usize,
    now_ms: i64,
    taken: &[ReceivedMessage],
) -> Result<Vec<MessageRow>, QueueError> {
    let placeholders = vec!["?"; taken.len()].join(", ");
    let sql = format!(
        "SELECT m.sequencia, m.id_mensagem, m.corpo, m.md5_corpo, m.grupo, m.deduplicacao,
                m.enviada_em_ms, m.recebimentos, m.primeiro_recebimento_ms
         FROM mensagens m JOIN filas f ON f.nome = m.fila
         WHERE m.fila = ? AND m.visivel_em_ms <= ?
           AND (f.fifo = 0 OR NOT EXISTS (
               SELECT 1 FROM mensagens b
               WHERE b.fila = m.fila AND b.grupo = m.grupo AND b.visivel_em_ms > ?
                 AND (b.recibo IS NOT NULL OR b.sequencia < m.sequencia)
                 AND (b.recibo IS NULL OR b.recibo NOT IN ({placeholders}))))
         ORDER BY m.sequencia LIMIT ?"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut values = vec![name.into(), now_ms.into(), now_ms.into()];
    values.extend(
        taken
            .iter()
            .map(|message| message.receipt_handle.as_str().into()),
    );
    values.push(limit.into());
    MessageRow::find_by_statement(statement(&sql, values))
        .all(transaction)
        .await
        .map_err(file_error)
}

/// Marks the message as in flight under a new receipt.
async fn hand_out(
    transaction: &DatabaseTransaction,
    queue: &QueueRow,
    row: MessageRow,
    now_ms: i64,
) -> Result<ReceivedMessage, QueueError> {
    let receipt_handle = hex(&random_bytes()?);
    let first_receive_ms = row.primeiro_recebimento_ms.unwrap_or(now_ms);
    let receive_count = row.recebimentos + 1;
    let update = statement(
        "UPDATE mensagens SET recibo = ?, visivel_em_ms = ?, recebimentos = ?,
             primeiro_recebimento_ms = ?
         WHERE sequencia = ?",
        [
            receipt_handle.as_str().into(),
            (now_ms + queue.visibilidade_s * 1_000).into(),
            receive_count.into(),
            first_receive_ms.into(),
            row.sequencia.into(),
        ],
    );
    transaction.execute_raw(update).await.map_err(file_error)?;
    Ok(ReceivedMessage {
        message_id: row.id_mensagem,
        receipt_handle,
        body: row.corpo,
        md5_of_body: row.md5_corpo,
        sent_timestamp_ms: row.enviada_em_ms,
        approximate_receive_count: u32::try_from(receive_count).unwrap_or(u32::MAX),
        approximate_first_receive_timestamp_ms: first_receive_ms,
        sender_id: SENDER_ID.to_owned(),
        message_group_id: row.grupo,
        message_deduplication_id: row.deduplicacao,
        sequence_number: (queue.fifo == 1).then(|| sequence_number(row.sequencia)),
    })
}

/// Moves the message to the dead letters, where it keeps id, body, group and time of sending.
async fn bury(
    transaction: &DatabaseTransaction,
    dead_letter_queue: &str,
    sequence: i64,
    now_ms: i64,
) -> Result<(), QueueError> {
    let bury = statement(
        "UPDATE mensagens SET fila = ?, recibo = NULL, visivel_em_ms = ?, recebimentos = 0,
             primeiro_recebimento_ms = NULL
         WHERE sequencia = ?",
        [dead_letter_queue.into(), now_ms.into(), sequence.into()],
    );
    transaction.execute_raw(bury).await.map_err(file_error)?;
    Ok(())
}
