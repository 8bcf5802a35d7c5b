//! What operators and tests do with a queue: count, look, move dead letters back.

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::EmbeddedQueues;
use super::definition::QueueRow;
use super::file::{begin_write, file_error, statement};
use super::send::random_uuid;
use crate::error::QueueError;
use crate::message::QueueCounts;
use crate::url::require_embedded;

/// A message as it lies in the queue, untouched by the look.
#[derive(Clone, PartialEq, Eq, FromQueryResult)]
pub struct PeekedMessage {
    /// The id under which it was sent.
    #[sea_orm(from_alias = "id_mensagem")]
    pub message_id: String,
    /// The text.
    #[sea_orm(from_alias = "corpo")]
    pub body: String,
    /// The FIFO group.
    #[sea_orm(from_alias = "grupo")]
    pub group_id: Option<String>,
    /// How often it was received from this queue.
    #[sea_orm(from_alias = "recebimentos")]
    pub receive_count: i64,
    /// When it is visible (again), epoch milliseconds.
    #[sea_orm(from_alias = "visivel_em_ms")]
    pub visible_at_ms: i64,
    /// The receipt of its last delivery.
    #[sea_orm(from_alias = "recibo")]
    pub receipt_handle: Option<String>,
}

impl std::fmt::Debug for PeekedMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PeekedMessage")
            .field("message_id", &self.message_id)
            .field("receive_count", &self.receive_count)
            .field("visible_at_ms", &self.visible_at_ms)
            .finish_non_exhaustive()
    }
}

#[derive(FromQueryResult)]
struct CountsRow {
    visiveis: i64,
    em_voo: i64,
    atrasadas: i64,
}

#[derive(FromQueryResult)]
struct SequenceRow {
    sequencia: i64,
}

impl EmbeddedQueues {
    /// See [`crate::Queues::counts`]; here the numbers are exact.
    ///
    /// # Errors
    /// [`QueueError`] when the queue is not defined or the file fails.
    pub async fn counts(&self, queue_url: &str, now_ms: i64) -> Result<QueueCounts, QueueError> {
        let name = require_embedded(queue_url)?;
        QueueRow::load(&self.connection, name).await?;
        let query = statement(
            "SELECT COALESCE(SUM(visivel_em_ms <= ?), 0) AS visiveis,
                    COALESCE(SUM(visivel_em_ms > ? AND recibo IS NOT NULL), 0) AS em_voo,
                    COALESCE(SUM(visivel_em_ms > ? AND recibo IS NULL), 0) AS atrasadas
             FROM mensagens WHERE fila = ?",
            [now_ms.into(), now_ms.into(), now_ms.into(), name.into()],
        );
        let row = CountsRow::find_by_statement(query)
            .one(&self.connection)
            .await
            .map_err(file_error)?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(row.map_or_else(QueueCounts::default, |row| QueueCounts {
            visible: count(row.visiveis),
            in_flight: count(row.em_voo),
            delayed: count(row.atrasadas),
        }))
    }

    /// The first `max` messages of the queue in order, whatever their state; nothing changes.
    ///
    /// # Errors
    /// [`QueueError`] when the queue is not defined or the file fails.
    pub async fn peek(&self, queue_url: &str, max: u32) -> Result<Vec<PeekedMessage>, QueueError> {
        let name = require_embedded(queue_url)?;
        QueueRow::load(&self.connection, name).await?;
        let query = statement(
            "SELECT id_mensagem, corpo, grupo, recebimentos, visivel_em_ms, recibo
             FROM mensagens WHERE fila = ? ORDER BY sequencia LIMIT ?",
            [name.into(), i64::from(max).into()],
        );
        PeekedMessage::find_by_statement(query)
            .all(&self.connection)
            .await
            .map_err(file_error)
    }

    /// Makes visible again what was received and neither deleted nor given back, as if those
    /// deliveries had not been: for the one reader of the queue, after a sudden end. Answers how many.
    ///
    /// # Errors
    /// [`QueueError`] when the queue is not defined or the file fails.
    pub async fn take_back(&self, queue_url: &str, now_ms: i64) -> Result<u64, QueueError> {
        let name = require_embedded(queue_url)?;
        QueueRow::load(&self.connection, name).await?;
        let update = statement(
            "UPDATE mensagens SET visivel_em_ms = ?, recebimentos = recebimentos - 1, recibo = NULL
             WHERE fila = ? AND visivel_em_ms > ? AND recibo IS NOT NULL",
            [now_ms.into(), name.into(), now_ms.into()],
        );
        let updated = self.connection.execute_raw(update).await;
        Ok(updated.map_err(file_error)?.rows_affected())
    }

    /// Moves every dead letter that is not in flight to the end of the queue it came from.
    ///
    /// As on SQS a moved message is a new one: new id, time and receive count, same body and group.
    ///
    /// # Errors
    /// [`QueueError`] when a queue is not defined, is not the other's dead-letter queue, or the
    /// file fails.
    pub async fn redrive(
        &self,
        dead_letter_url: &str,
        source_url: &str,
        now_ms: i64,
    ) -> Result<u64, QueueError> {
        let dead = require_embedded(dead_letter_url)?;
        let source = require_embedded(source_url)?;
        let transaction = begin_write(&self.connection).await?;
        QueueRow::load(&transaction, dead).await?;
        let source_row = QueueRow::load(&transaction, source).await?;
        if source_row.fila_morta.as_deref() != Some(dead) {
            return Err(QueueError::InvalidDefinition {
                name: dead.to_owned(),
                reason: "it is not the dead-letter queue of the queue to move to",
            });
        }
        let query = statement(
            "SELECT sequencia FROM mensagens WHERE fila = ? AND visivel_em_ms <= ?
             ORDER BY sequencia",
            [dead.into(), now_ms.into()],
        );
        let rows = SequenceRow::find_by_statement(query)
            .all(&transaction)
            .await;
        let rows = rows.map_err(file_error)?;
        for row in &rows {
            let copy = statement(
                "INSERT INTO mensagens (fila, id_mensagem, corpo, md5_corpo, grupo, deduplicacao,
                     enviada_em_ms, visivel_em_ms, recebimentos)
                 SELECT ?, ?, corpo, md5_corpo, grupo, deduplicacao, ?, ?, 0
                 FROM mensagens WHERE sequencia = ?",
                [
                    source.into(),
                    random_uuid()?.into(),
                    now_ms.into(),
                    now_ms.into(),
                    row.sequencia.into(),
                ],
            );
            transaction.execute_raw(copy).await.map_err(file_error)?;
            let remove = statement(
                "DELETE FROM mensagens WHERE sequencia = ?",
                [row.sequencia.into()],
            );
            transaction.execute_raw(remove).await.map_err(file_error)?;
        }
        transaction.commit().await.map_err(file_error)?;
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }
}
