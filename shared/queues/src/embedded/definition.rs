//! Which queues there are; `cargo local` takes them from template.yaml.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::EmbeddedQueues;
use super::file::{begin_write, file_error, statement};
use crate::error::QueueError;

/// A queue as template.yaml describes it (AWS::SQS::Queue).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDefinition {
    /// The name; that of a FIFO queue ends in `.fifo`, as on SQS.
    pub name: String,
    /// FifoQueue.
    pub fifo: bool,
    /// ContentBasedDeduplication: a FIFO message without deduplication id gets its body's hash.
    pub deduplicates_content: bool,
    /// VisibilityTimeout in seconds.
    pub visibility_seconds: u32,
    /// MessageRetentionPeriod in seconds.
    pub retention_seconds: u32,
    /// DelaySeconds.
    pub delay_seconds: u32,
    /// RedrivePolicy.
    pub redrive: Option<Redrive>,
}

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue.
    pub dead_letter_queue: String,
    /// maxReceiveCount: how often a message is handed out before it is a dead letter.
    pub maximum_receives: u32,
}

impl QueueDefinition {
    /// A queue with SQS's defaults: 30 s visibility, 4 days retention, no delay, no redrive.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            fifo: name.ends_with(".fifo"),
            name,
            deduplicates_content: false,
            visibility_seconds: 30,
            retention_seconds: 345_600,
            delay_seconds: 0,
            redrive: None,
        }
    }
}

/// A row of `filas`.
#[derive(Debug, FromQueryResult)]
pub(super) struct QueueRow {
    pub(super) fifo: i64,
    pub(super) deduplica_por_conteudo: i64,
    pub(super) visibilidade_s: i64,
    pub(super) maximo_recebimentos: Option<i64>,
    pub(super) fila_morta: Option<String>,
    pub(super) retencao_s: i64,
    pub(super) atraso_s: i64,
}

impl QueueRow {
    /// Loads the queue or says that there is none.
    pub(super) async fn load(
        connection: &impl ConnectionTrait,
        name: &str,
    ) -> Result<Self, QueueError> {
        let query = statement(
            "SELECT fifo, deduplica_por_conteudo, visibilidade_s, maximo_recebimentos, fila_morta,
                    retencao_s, atraso_s
             FROM filas WHERE nome = ?",
            [name.into()],
        );
        Self::find_by_statement(query)
            .one(connection)
            .await
            .map_err(file_error)?
            .ok_or_else(|| QueueError::UnknownQueue {
                name: name.to_owned(),
            })
    }
}

impl EmbeddedQueues {
    /// Creates the queues or changes their settings, all of them or none; messages stay.
    ///
    /// # Errors
    /// [`QueueError::InvalidDefinition`] for a dead-letter queue that is not defined here or is of
    /// the other kind, a name that contradicts `fifo`, or a queue that would change its kind.
    pub async fn define(&self, queues: &[QueueDefinition]) -> Result<(), QueueError> {
        check_definitions(queues)?;
        let transaction = begin_write(&self.connection).await?;
        for queue in queues {
            match QueueRow::load(&transaction, &queue.name).await {
                Ok(row) if (row.fifo == 1) != queue.fifo => {
                    return Err(invalid(
                        queue,
                        "a queue cannot change between standard and FIFO",
                    ));
                }
                Ok(_) | Err(QueueError::UnknownQueue { .. }) => {}
                Err(error) => return Err(error),
            }
            let redrive = queue.redrive.as_ref();
            let upsert = statement(
                "INSERT INTO filas (nome, fifo, deduplica_por_conteudo, visibilidade_s,
                     maximo_recebimentos, fila_morta, retencao_s, atraso_s)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (nome) DO UPDATE SET
                     deduplica_por_conteudo = excluded.deduplica_por_conteudo,
                     visibilidade_s = excluded.visibilidade_s,
                     maximo_recebimentos = excluded.maximo_recebimentos,
                     fila_morta = excluded.fila_morta,
                     retencao_s = excluded.retencao_s,
                     atraso_s = excluded.atraso_s",
                [
                    queue.name.as_str().into(),
                    i64::from(queue.fifo).into(),
                    i64::from(queue.deduplicates_content).into(),
                    i64::from(queue.visibility_seconds).into(),
                    redrive
                        .map(|redrive| i64::from(redrive.maximum_receives))
                        .into(),
                    redrive
                        .map(|redrive| redrive.dead_letter_queue.clone())
                        .into(),
                    i64::from(queue.retention_seconds).into(),
                    i64::from(queue.delay_seconds).into(),
                ],
            );
            transaction.execute_raw(upsert).await.map_err(file_error)?;
        }
        transaction.commit().await.map_err(file_error)
    }
}

fn check_definitions(queues: &[QueueDefinition]) -> Result<(), QueueError> {
    let by_name: BTreeMap<&str, &QueueDefinition> = queues
        .iter()
        .map(|queue| (queue.name.as_str(), queue))
        .collect();
    for queue in queues {
        let well_named = !queue.name.is_empty()
            && queue.name.len() <= 80
            && queue
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !well_named {
            return Err(invalid(
                queue,
                "a name has 1 to 80 letters, digits, hyphens, underscores",
            ));
        }
        if queue.fifo != queue.name.ends_with(".fifo") {
            return Err(invalid(
                queue,
                "the name of a FIFO queue, and of no other, ends in .fifo",
            ));
        }
        if queue.visibility_seconds > 43_200 || queue.delay_seconds > 900 {
            return Err(invalid(
                queue,
                "visibility is at most 43200 s and delay at most 900 s",
            ));
        }
        let Some(redrive) = &queue.redrive else {
            continue;
        };
        if redrive.maximum_receives == 0 || redrive.dead_letter_queue == queue.name {
            return Err(invalid(
                queue,
                "redrive needs another queue and at least one receive",
            ));
        }
        match by_name.get(redrive.dead_letter_queue.as_str()) {
            None => return Err(invalid(queue, "its dead-letter queue is not defined")),
            Some(dead) if dead.fifo != queue.fifo => {
                return Err(invalid(queue, "its dead-letter queue is of the other kind"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn invalid(queue: &QueueDefinition, reason: &'static str) -> QueueError {
    QueueError::InvalidDefinition {
        name: queue.name.clone(),
        reason,
    }
}
