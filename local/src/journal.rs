//! What `cargo local` itself must remember over a stop: asynchronous invocations not yet done,
//! when each schedule fired last, and which files were handed over. One file, `local.sqlite`.

use std::collections::HashMap;
use std::path::Path;

use sea_orm::{ConnectionTrait, DbErr, TransactionTrait};

use crate::sqlite::{SqliteFile, statement};

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS invocacoes (
        id TEXT PRIMARY KEY, funcao TEXT NOT NULL, carga BLOB NOT NULL,
        falhas INTEGER NOT NULL, criada_ms INTEGER NOT NULL, fila_morta TEXT)",
    "CREATE TABLE IF NOT EXISTS agendas (id TEXT PRIMARY KEY, ultima_ms INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS arquivos_entregues (
        balde TEXT NOT NULL, chave TEXT NOT NULL, tamanho INTEGER NOT NULL,
        modificado_ms INTEGER NOT NULL, PRIMARY KEY (balde, chave))",
];

/// An asynchronous invocation that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingInvocation {
    /// Lambda's request id of it.
    pub id: String,
    /// Logical id of the function.
    pub function: String,
    /// The event.
    pub payload: Vec<u8>,
    /// Attempts that failed.
    pub failures: u32,
    /// The schedule's own dead-letter queue, if one started it.
    pub dead_letters: Option<String>,
}

/// A file as it was when it was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileVersion {
    /// Bytes.
    pub size: i64,
    /// Last change, milliseconds since 1970.
    pub modified_ms: i64,
}

/// The journal.
#[derive(Debug, Clone)]
pub struct Journal(SqliteFile);

impl Journal {
    /// Opens or makes it.
    ///
    /// # Errors
    /// The database's own.
    pub async fn open(state_dir: &Path) -> Result<Self, DbErr> {
        Ok(Self(
            SqliteFile::open(&state_dir.join("local.sqlite"), &TABLES).await?,
        ))
    }

    /// Keeps invocations; they are safe when this returns.
    ///
    /// # Errors
    /// The database's own.
    pub async fn keep(&self, work: &PendingInvocation, now_ms: i64) -> Result<(), DbErr> {
        self.0
            .execute(INSERT, insert_values(work, now_ms))
            .await
            .map(drop)
    }

    /// Forgets an invocation that is done.
    ///
    /// # Errors
    /// The database's own.
    pub async fn forget(&self, id: &str) -> Result<(), DbErr> {
        self.0
            .execute("DELETE FROM invocacoes WHERE id = ?", vec![id.into()])
            .await
            .map(drop)
    }

    /// Counts a failed attempt.
    ///
    /// # Errors
    /// The database's own.
    pub async fn count_failure(&self, id: &str) -> Result<(), DbErr> {
        let sql = "UPDATE invocacoes SET falhas = falhas + 1 WHERE id = ?";
        self.0.execute(sql, vec![id.into()]).await.map(drop)
    }

    /// Every invocation not done yet, oldest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn pending(&self) -> Result<Vec<PendingInvocation>, DbErr> {
        let sql = "SELECT id, funcao, carga, falhas, fila_morta FROM invocacoes
                   ORDER BY criada_ms, rowid";
        let rows = self.0.rows(sql, vec![]).await?;
        rows.iter()
            .map(|row| {
                let failures: i64 = row.try_get("", "falhas")?;
                Ok(PendingInvocation {
                    id: row.try_get("", "id")?,
                    function: row.try_get("", "funcao")?,
                    payload: row.try_get("", "carga")?,
                    failures: u32::try_from(failures).unwrap_or(u32::MAX),
                    dead_letters: row.try_get("", "fila_morta")?,
                })
            })
            .collect()
    }

    /// How many invocations are not done yet.
    ///
    /// # Errors
    /// The database's own.
    pub async fn pending_count(&self) -> Result<u64, DbErr> {
        let rows = self
            .0
            .rows("SELECT COUNT(*) AS pendentes FROM invocacoes", vec![])
            .await?;
        let count: i64 = rows
            .first()
            .map_or(Ok(0), |row| row.try_get("", "pendentes"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// When a schedule fired last.
    ///
    /// # Errors
    /// The database's own.
    pub async fn last_fired_ms(&self, schedule: &str) -> Result<Option<i64>, DbErr> {
        let sql = "SELECT ultima_ms FROM agendas WHERE id = ?";
        let rows = self.0.rows(sql, vec![schedule.into()]).await?;
        rows.first()
            .map(|row| row.try_get("", "ultima_ms"))
            .transpose()
    }

    /// Remembers that a schedule fired at `fired_ms`, together with the invocation it started:
    /// neither is there without the other.
    ///
    /// # Errors
    /// The database's own.
    pub async fn fired(
        &self,
        schedule: &str,
        fired_ms: i64,
        started: Option<(&PendingInvocation, i64)>,
    ) -> Result<(), DbErr> {
        let transaction = self.0.connection().begin().await?;
        let sql = "INSERT OR REPLACE INTO agendas (id, ultima_ms) VALUES (?, ?)";
        transaction
            .execute_raw(statement(sql, vec![schedule.into(), fired_ms.into()]))
            .await?;
        if let Some((work, now_ms)) = started {
            transaction
                .execute_raw(statement(INSERT, insert_values(work, now_ms)))
                .await?;
        }
        transaction.commit().await
    }

    /// The files of a bucket that were handed over.
    ///
    /// # Errors
    /// The database's own.
    pub async fn files(&self, bucket: &str) -> Result<HashMap<String, FileVersion>, DbErr> {
        let sql = "SELECT chave, tamanho, modificado_ms FROM arquivos_entregues WHERE balde = ?";
        let rows = self.0.rows(sql, vec![bucket.into()]).await?;
        rows.iter()
            .map(|row| {
                let version = FileVersion {
                    size: row.try_get("", "tamanho")?,
                    modified_ms: row.try_get("", "modificado_ms")?,
                };
                Ok((row.try_get("", "chave")?, version))
            })
            .collect()
    }

    /// Remembers a file as handed over, together with the invocations it started.
    ///
    /// # Errors
    /// The database's own.
    pub async fn handed_over(
        &self,
        bucket: &str,
        key: &str,
        version: FileVersion,
        started: &[PendingInvocation],
        now_ms: i64,
    ) -> Result<(), DbErr> {
        let transaction = self.0.connection().begin().await?;
        let sql = "INSERT OR REPLACE INTO arquivos_entregues
                   (balde, chave, tamanho, modificado_ms) VALUES (?, ?, ?, ?)";
        let values = vec![
            bucket.into(),
            key.into(),
            version.size.into(),
            version.modified_ms.into(),
        ];
        transaction.execute_raw(statement(sql, values)).await?;
        for work in started {
            transaction
                .execute_raw(statement(INSERT, insert_values(work, now_ms)))
                .await?;
        }
        transaction.commit().await
    }

    /// Forgets a file that is gone, so that a new one under its key counts as new.
    ///
    /// # Errors
    /// The database's own.
    pub async fn file_gone(&self, bucket: &str, key: &str) -> Result<(), DbErr> {
        let sql = "DELETE FROM arquivos_entregues WHERE balde = ? AND chave = ?";
        self.0
            .execute(sql, vec![bucket.into(), key.into()])
            .await
            .map(drop)
    }
}

const INSERT: &str = "INSERT INTO invocacoes (id, funcao, carga, falhas, criada_ms, fila_morta)
                      VALUES (?, ?, ?, ?, ?, ?)";

fn insert_values(work: &PendingInvocation, now_ms: i64) -> Vec<sea_orm::Value> {
    vec![
        work.id.as_str().into(),
        work.function.as_str().into(),
        work.payload.clone().into(),
        i64::from(work.failures).into(),
        now_ms.into(),
        work.dead_letters.clone().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(id: &str) -> PendingInvocation {
        PendingInvocation {
            id: id.to_owned(),
            function: "F".to_owned(),
            payload: b"{}".to_vec(),
            failures: 0,
            dead_letters: None,
        }
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_opening_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).await.expect("opens");
        journal.keep(&work("a"), 1).await.expect("keeps");
        journal
            .fired("s", 60_000, Some((&work("b"), 2)))
            .await
            .expect("fires");
        let version = FileVersion {
            size: 3,
            modified_ms: 4,
        };
        journal
            .handed_over("vendas", "x.csv", version, &[work("c")], 3)
            .await
            .expect("hands");
        journal.count_failure("a").await.expect("counts");
        journal.forget("b").await.expect("forgets");
        drop(journal);

        let journal = Journal::open(folder.path()).await.expect("opens");
        let pending = journal.pending().await.expect("reads");
        let ids: Vec<_> = pending
            .iter()
            .map(|work| (work.id.as_str(), work.failures))
            .collect();
        assert_eq!(ids, [("a", 1), ("c", 0)]);
        assert_eq!(
            journal.last_fired_ms("s").await.expect("reads"),
            Some(60_000)
        );
        assert_eq!(
            journal.files("vendas").await.expect("reads")["x.csv"],
            version
        );
    }
}
