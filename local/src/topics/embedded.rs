//! Kafka on a laptop: topics, partitions and offsets in one SQLite file, `kafka.sqlite`.
//!
//! Records of one key lie in one partition, offsets have no gaps, and each reader keeps its own
//! place per partition. That is all a Lambda event source mapping can notice of a broker.

use std::path::Path;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use sha2::{Digest, Sha256};

use super::{LogError, NewRecord, PartitionLog};
use crate::bundle::TopicSource;
use crate::events::kafka::{Record, TimestampType};
use crate::sqlite::{SqliteFile, statement};

/// Partitions of every topic.
pub const PARTITIONS: i32 = 4;

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS registros (
        topico TEXT NOT NULL, particao INTEGER NOT NULL, deslocamento INTEGER NOT NULL,
        horario_ms INTEGER NOT NULL, chave BLOB, valor BLOB, cabecalhos TEXT NOT NULL,
        PRIMARY KEY (topico, particao, deslocamento)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS leituras (
        leitor TEXT NOT NULL, topico TEXT NOT NULL, particao INTEGER NOT NULL,
        proximo INTEGER NOT NULL, PRIMARY KEY (leitor, topico, particao)) WITHOUT ROWID",
];

/// The log. Several processes may open it at once.
#[derive(Debug, Clone)]
pub struct EmbeddedTopics(SqliteFile);

impl EmbeddedTopics {
    /// Opens or makes it in the state folder.
    ///
    /// # Errors
    /// The database's own.
    pub async fn open(state_dir: &Path) -> Result<Self, DbErr> {
        Ok(Self(
            SqliteFile::open(&state_dir.join("kafka.sqlite"), &TABLES).await?,
        ))
    }

    /// Writes records to a topic, all of them or none, and answers how many.
    ///
    /// # Errors
    /// The database's own.
    pub async fn produce(
        &self,
        topic: &str,
        records: &[NewRecord],
        now_ms: i64,
    ) -> Result<usize, DbErr> {
        let transaction = self.begin_write().await?;
        let mut next = [0_i64; PARTITIONS as usize];
        for (partition, next) in next.iter_mut().enumerate() {
            *next = end_of(&transaction, topic, i32::try_from(partition).unwrap_or(0)).await?;
        }
        for record in records {
            let partition = partition_of(record.key.as_deref(), next.iter().sum());
            let slot = usize::try_from(partition).unwrap_or(0);
            let Some(offset) = next.get_mut(slot) else {
                continue;
            };
            let sql = "INSERT INTO registros
                (topico, particao, deslocamento, horario_ms, chave, valor, cabecalhos)
                VALUES (?, ?, ?, ?, ?, ?, ?)";
            let headers = serde_json::to_string(&record.headers)
                .map_err(|error| DbErr::Custom(error.to_string()))?;
            let values = vec![
                topic.into(),
                partition.into(),
                (*offset).into(),
                now_ms.into(),
                record.key.clone().into(),
                record.value.clone().into(),
                headers.into(),
            ];
            transaction.execute_raw(statement(sql, values)).await?;
            *offset += 1;
        }
        transaction.commit().await?;
        Ok(records.len())
    }

    /// Where a reader goes on in a partition; a new one begins at the start or at the end.
    ///
    /// # Errors
    /// The database's own.
    pub async fn position(
        &self,
        reader: &str,
        topic: &str,
        partition: i32,
        from_start: bool,
    ) -> Result<i64, DbErr> {
        let sql = "SELECT proximo FROM leituras WHERE leitor = ? AND topico = ? AND particao = ?";
        let values = vec![reader.into(), topic.into(), partition.into()];
        if let Some(row) = self.0.rows(sql, values).await?.first() {
            return row.try_get("", "proximo");
        }
        let begin = if from_start {
            0
        } else {
            end_of(self.0.connection(), topic, partition).await?
        };
        self.commit(reader, topic, partition, begin).await?;
        Ok(begin)
    }

    /// Moves a reader: everything before `next` is handled.
    ///
    /// # Errors
    /// The database's own.
    pub async fn commit(
        &self,
        reader: &str,
        topic: &str,
        partition: i32,
        next: i64,
    ) -> Result<(), DbErr> {
        let sql = "INSERT OR REPLACE INTO leituras (leitor, topico, particao, proximo)
                   VALUES (?, ?, ?, ?)";
        let values = vec![reader.into(), topic.into(), partition.into(), next.into()];
        self.0.execute(sql, values).await.map(drop)
    }

    /// At most `max` records of a partition from an offset on.
    ///
    /// # Errors
    /// The database's own.
    pub async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        max: usize,
    ) -> Result<Vec<Record>, DbErr> {
        let sql = "SELECT deslocamento, horario_ms, chave, valor, cabecalhos FROM registros
                   WHERE topico = ? AND particao = ? AND deslocamento >= ?
                   ORDER BY deslocamento LIMIT ?";
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let values = vec![topic.into(), partition.into(), from.into(), limit.into()];
        let rows = self.0.rows(sql, values).await?;
        rows.iter()
            .map(|row| record(row, topic, partition))
            .collect()
    }

    /// How many records of a topic a reader has not handled yet.
    ///
    /// # Errors
    /// The database's own.
    pub async fn lag(&self, reader: &str, topic: &str) -> Result<u64, DbErr> {
        let sql = "SELECT COUNT(*) AS atraso FROM registros r WHERE r.topico = ?
                   AND r.deslocamento >= COALESCE((SELECT l.proximo FROM leituras l
                       WHERE l.leitor = ? AND l.topico = r.topico AND l.particao = r.particao), 0)";
        let rows = self.0.rows(sql, vec![topic.into(), reader.into()]).await?;
        let lag: i64 = rows
            .first()
            .map_or(Ok(0), |row| row.try_get("", "atraso"))?;
        Ok(u64::try_from(lag).unwrap_or(0))
    }

    /// The first offset and the end of each partition.
    ///
    /// # Errors
    /// The database's own.
    pub async fn extents(&self, topic: &str) -> Result<Vec<(i32, i64, i64)>, DbErr> {
        let mut extents = Vec::new();
        for partition in 0..PARTITIONS {
            let end = end_of(self.0.connection(), topic, partition).await?;
            extents.push((partition, 0, end));
        }
        Ok(extents)
    }

    async fn begin_write(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.0.connection().begin_with_options(options).await
    }
}

/// A partition as one mapping reads it.
pub struct EmbeddedPartition {
    log: EmbeddedTopics,
    reader: String,
    topic: String,
    partition: i32,
    from_start: bool,
}

impl EmbeddedPartition {
    /// The partition for this mapping.
    pub fn new(log: &EmbeddedTopics, source: &TopicSource, partition: i32) -> Self {
        Self {
            log: log.clone(),
            reader: source.reader.clone(),
            topic: source.topic.clone(),
            partition,
            from_start: source.from_start,
        }
    }
}

impl PartitionLog for EmbeddedPartition {
    fn partition(&self) -> i32 {
        self.partition
    }

    async fn position(&self) -> Result<i64, LogError> {
        let (log, reader, topic) = (&self.log, &self.reader, &self.topic);
        let position = log.position(reader, topic, self.partition, self.from_start);
        Ok(position.await?)
    }

    async fn read(&self, from: i64, max: usize) -> Result<Vec<Record>, LogError> {
        let read = self.log.read(&self.topic, self.partition, from, max);
        Ok(read.await?)
    }

    async fn commit(&self, next: i64) -> Result<(), LogError> {
        let (log, reader, topic) = (&self.log, &self.reader, &self.topic);
        Ok(log.commit(reader, topic, self.partition, next).await?)
    }
}

async fn end_of(
    connection: &impl ConnectionTrait,
    topic: &str,
    partition: i32,
) -> Result<i64, DbErr> {
    let sql = "SELECT COALESCE(MAX(deslocamento) + 1, 0) AS fim FROM registros
               WHERE topico = ? AND particao = ?";
    let query = statement(sql, vec![topic.into(), partition.into()]);
    let row = connection.query_one_raw(query).await?;
    row.map_or(Ok(0), |row| row.try_get("", "fim"))
}

fn record(row: &QueryResult, topic: &str, partition: i32) -> Result<Record, DbErr> {
    let headers: String = row.try_get("", "cabecalhos")?;
    Ok(Record {
        topic: topic.to_owned(),
        partition,
        offset: row.try_get("", "deslocamento")?,
        timestamp_ms: row.try_get("", "horario_ms")?,
        timestamp_type: TimestampType::Create,
        key: row.try_get("", "chave")?,
        value: row.try_get("", "valor")?,
        headers: serde_json::from_str(&headers).map_err(|e| DbErr::Custom(e.to_string()))?,
    })
}

/// The partition of a key, or for records without one the next in turn.
fn partition_of(key: Option<&[u8]>, turn: i64) -> i32 {
    let number = match key {
        Some(key) => Sha256::digest(key)
            .iter()
            .take(4)
            .fold(0_i64, |n, byte| n << 8 | i64::from(*byte)),
        None => turn,
    };
    i32::try_from(number.rem_euclid(i64::from(PARTITIONS))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(key: &str, value: &str) -> NewRecord {
        NewRecord {
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: vec![("h".to_owned(), vec![1, 255])],
        }
    }

    #[tokio::test]
    async fn records_of_one_key_keep_their_order_and_survive() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = EmbeddedTopics::open(folder.path()).await.expect("opens");
        let records: Vec<NewRecord> = (0..20)
            .map(|n| keyed(&format!("k{}", n % 3), &n.to_string()))
            .collect();
        assert_eq!(
            log.produce("clientes", &records, 5)
                .await
                .expect("produces"),
            20
        );
        drop(log);
        let log = EmbeddedTopics::open(folder.path()).await.expect("opens");
        log.produce("clientes", &[keyed("k0", "last")], 6)
            .await
            .expect("produces");
        let mut values_of_k0 = Vec::new();
        let mut all = 0;
        for partition in 0..PARTITIONS {
            let records = log
                .read("clientes", partition, 0, 100)
                .await
                .expect("reads");
            for (place, record) in records.iter().enumerate() {
                assert_eq!(record.offset, i64::try_from(place).expect("small"));
                assert_eq!(record.headers, [("h".to_owned(), Some(vec![1, 255]))]);
                if record.key.as_deref() == Some(b"k0") {
                    values_of_k0.push(record.value.clone().expect("a value"));
                }
            }
            all += records.len();
        }
        assert_eq!(all, 21);
        assert_eq!(values_of_k0.first().expect("one"), b"0");
        assert_eq!(values_of_k0.last().expect("one"), b"last");
    }

    #[tokio::test]
    async fn each_reader_has_its_own_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = EmbeddedTopics::open(folder.path()).await.expect("opens");
        let tombstone = NewRecord {
            key: Some(b"a".to_vec()),
            ..NewRecord::default()
        };
        log.produce("t", &[tombstone], 1).await.expect("produces");
        let partition = partition_of(Some(b"a"), 0);
        assert_eq!(
            log.position("new", "t", partition, false)
                .await
                .expect("a place"),
            1
        );
        assert_eq!(
            log.position("old", "t", partition, true)
                .await
                .expect("a place"),
            0
        );
        assert_eq!(log.lag("old", "t").await.expect("a lag"), 1);
        log.commit("old", "t", partition, 1).await.expect("commits");
        assert_eq!(log.lag("old", "t").await.expect("a lag"), 0);
        assert_eq!(
            log.read("t", partition, 0, 9).await.expect("reads")[0].value,
            None
        );
    }
}
