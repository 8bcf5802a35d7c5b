//! What a consumer of changes keeps of each customer: the newest version wins, deletions included,
//! whatever the order, and each deletion leaves a receipt.
//!
//! A table of a projection has the columns `subject` (a pseudonym), `version`, `source_partition`,
//! `source_offset`, `recorded_ms`, `changed_ms` and `deleted`, then those of its row, which are null
//! in a deleted one.

pub mod receipts;

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    sync::atomic::{AtomicBool, Ordering},
};

use contracts::changes::Change;
use domain::{
    changes::{Mark, Place},
    identity::ContactId,
    pseudonym::PseudonymKey,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use self::receipts::{Erased, Reason};
use crate::{Backend, Store, StoreError, Tx, Value, placeholders, values};

/// Stored for a source without versions: below every version.
pub(crate) const NO_VERSION: i64 = -1;
/// How often a batch is done again when another one inserted one of its customers meanwhile.
const MOST_ATTEMPTS: u32 = 5;
/// Rows that one statement reads or writes: well below the 32,766 values of SQLite's.
const ROWS_PER_STATEMENT: usize = 500;
const OWN_COLUMNS: &str =
    "subject, version, source_partition, source_offset, recorded_ms, changed_ms, deleted";
const OWN_COLUMN_COUNT: usize = 7;

/// A row of a projection's table.
pub trait Columns {
    /// The table.
    const TABLE: &'static str;
    /// Its columns, all of which may be null.
    const COLUMNS: &'static [&'static str];
    /// Tables with a column `subject` whose rows about somebody go when theirs is erased.
    const ABOUT: &'static [&'static str] = &[];

    /// The values, in the order of the columns.
    fn values(&self, pseudonyms: &PseudonymKey) -> Vec<Value>;
}

/// The statement that makes a projection's table: its name, and the columns of its row.
#[macro_export]
macro_rules! projection_table {
    ($table:literal, $columns:literal) => {
        concat!(
            "CREATE TABLE IF NOT EXISTS ",
            $table,
            " (subject VARCHAR(32) NOT NULL PRIMARY KEY, version BIGINT NOT NULL, \
             source_partition INTEGER, source_offset BIGINT, recorded_ms BIGINT NOT NULL, \
             changed_ms BIGINT NOT NULL, deleted INTEGER NOT NULL, ",
            $columns,
            ")"
        )
    };
}

/// What a batch changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Rows that are new, changed or revived.
    pub kept: usize,
    /// Rows that were deleted.
    pub deleted: usize,
    /// Changes that were older than what is kept, or came again.
    pub old: usize,
    /// Whether content that was there before was replaced or deleted.
    pub has_replaced: bool,
}

/// The table of a projection.
pub struct ProjectionTable<R> {
    store: Store,
    pseudonyms: PseudonymKey,
    consumer: &'static str,
    /// Whether the file may still hold content that was replaced or deleted.
    has_remains: AtomicBool,
    row: PhantomData<fn(R)>,
}

#[derive(FromQueryResult)]
struct MarkRow {
    subject: String,
    version: i64,
    source_partition: Option<i32>,
    source_offset: Option<i64>,
    recorded_ms: i64,
    deleted: i32,
}

impl MarkRow {
    fn mark(&self) -> Result<Mark, StoreError> {
        let place = match (self.source_partition, self.source_offset) {
            (Some(partition), Some(offset)) => Some(Place {
                partition,
                offset,
                recorded: UtcMillis::new(self.recorded_ms)?,
            }),
            _ => None,
        };
        Ok(Mark {
            version: Some(self.version).filter(|version| *version != NO_VERSION),
            place,
            is_deleted: self.deleted != 0,
        })
    }
}

/// A subject after a batch.
struct Next<'a, R> {
    mark: Mark,
    row: Option<&'a R>,
}

impl<R: Columns> ProjectionTable<R> {
    /// The table in `store`; `consumer` stands in receipts.
    #[must_use]
    pub const fn new(store: Store, pseudonyms: PseudonymKey, consumer: &'static str) -> Self {
        Self {
            store,
            pseudonyms,
            consumer,
            has_remains: AtomicBool::new(false),
            row: PhantomData,
        }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Applies changes in the order in which they were read: all of them or none. What they replace
    /// stays in SQLite's file until [`Self::forget`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn apply(
        &self,
        changes: &[Change<R>],
        now: UtcMillis,
    ) -> Result<Applied, StoreError> {
        let mut subjects = Vec::with_capacity(changes.len());
        for change in changes {
            subjects.push(self.pseudonyms.of_customer(&change.customer)?);
        }
        let mut attempt = 1;
        let applied = loop {
            let work = async |tx: &Tx| self.apply_once(tx, changes, &subjects, now).await;
            match self.store.transact(work).await {
                // Another batch has inserted one of these customers: now it is there to be read.
                Err(StoreError::Duplicate) if attempt < MOST_ATTEMPTS => attempt += 1,
                outcome => break outcome?,
            }
        };
        if applied.has_replaced {
            self.has_remains.store(true, Ordering::Release);
        }
        Ok(applied)
    }

    /// Takes what was replaced or deleted out of SQLite's file. Where nothing was, it costs nothing.
    pub async fn forget(&self) {
        if self.has_remains.swap(false, Ordering::AcqRel) && !forget_pages(&self.store).await {
            self.has_remains.store(true, Ordering::Release);
        }
    }

    async fn apply_once(
        &self,
        tx: &Tx,
        changes: &[Change<R>],
        subjects: &[ContactId],
        now: UtcMillis,
    ) -> Result<Applied, StoreError> {
        let before = self.lock(tx, subjects).await?;
        let was_kept = |subject: &str| before.get(subject).is_some_and(|mark| !mark.is_deleted);
        let mut after: BTreeMap<&str, Next<'_, R>> = BTreeMap::new();
        let mut erased: BTreeSet<&str> = BTreeSet::new();
        let mut applied = Applied::default();
        for (change, subject) in changes.iter().zip(subjects) {
            let subject = subject.as_str();
            let known = after.get(subject).map(|next| &next.mark);
            let known = known.or_else(|| before.get(subject));
            match change.stamp.applied(known, change.row.is_none()) {
                None => applied.old += 1,
                Some(mark) => {
                    let row = change.row.as_ref();
                    // Also who comes back in this very batch: what was known of them is gone.
                    if row.is_none() && was_kept(subject) {
                        erased.insert(subject);
                    }
                    after.insert(subject, Next { mark, row });
                }
            }
        }
        let (known, new): (Vec<_>, Vec<_>) = after
            .iter()
            .partition(|(subject, _)| before.contains_key(**subject));
        self.write(tx, "REPLACE", &known, now).await?;
        self.write(tx, "INSERT", &new, now).await?;
        applied.has_replaced = known.iter().any(|(subject, _)| was_kept(subject));
        let erased: Vec<Erased<'_>> = erased
            .into_iter()
            .map(|subject| Erased {
                subject,
                columns: R::COLUMNS,
                reason: Reason::Source,
            })
            .collect();
        forget_rows_about::<R>(tx, &erased).await?;
        receipts::write(tx, self.consumer, &erased, now).await?;
        applied.deleted = erased.len();
        applied.kept = after.values().filter(|next| next.row.is_some()).count();
        Ok(applied)
    }

    /// What is known of these subjects, locked in the order of their pseudonyms.
    async fn lock(
        &self,
        tx: &Tx,
        subjects: &[ContactId],
    ) -> Result<BTreeMap<String, Mark>, StoreError> {
        let mut ids: Vec<&str> = subjects.iter().map(ContactId::as_str).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut known = BTreeMap::new();
        for ids in ids.chunks(ROWS_PER_STATEMENT) {
            let sql = format!(
                "SELECT subject, version, source_partition, source_offset, recorded_ms, deleted \
                 FROM {} WHERE subject IN {} ORDER BY subject{}",
                R::TABLE,
                placeholders(1, ids.len()),
                tx.for_update()
            );
            let keys = ids.iter().map(|id| Value::from(*id)).collect();
            for row in tx.all::<MarkRow>(&sql, keys).await? {
                known.insert(row.subject.clone(), row.mark()?);
            }
        }
        Ok(known)
    }

    /// A row that is known is replaced under its lock; a new one must not be there yet.
    async fn write(
        &self,
        tx: &Tx,
        verb: &str,
        rows: &[(&&str, &Next<'_, R>)],
        now: UtcMillis,
    ) -> Result<(), StoreError> {
        let columns = R::COLUMNS.join(", ");
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let sql = format!(
                "{verb} INTO {} ({OWN_COLUMNS}, {columns}) VALUES {}",
                R::TABLE,
                placeholders(rows.len(), OWN_COLUMN_COUNT + R::COLUMNS.len())
            );
            let mut all = Vec::with_capacity(rows.len() * (OWN_COLUMN_COUNT + R::COLUMNS.len()));
            for (subject, next) in rows {
                let place = next.mark.place;
                all.extend(values![
                    **subject,
                    next.mark.version.unwrap_or(NO_VERSION),
                    place.map(|place| place.partition),
                    place.map(|place| place.offset),
                    place.map_or(now, |place| place.recorded).get(),
                    now.get(),
                    i32::from(next.row.is_none()),
                ]);
                match next.row {
                    Some(row) => all.extend(row.values(&self.pseudonyms)),
                    None => all.extend(R::COLUMNS.iter().map(|_| Value::from(None::<String>))),
                }
            }
            tx.execute(&sql, all).await?;
        }
        Ok(())
    }
}

/// What other tables hold about those whose rows are erased goes with them.
pub(crate) async fn forget_rows_about<R: Columns>(
    tx: &Tx,
    erased: &[Erased<'_>],
) -> Result<(), StoreError> {
    for subjects in erased.chunks(ROWS_PER_STATEMENT) {
        for table in R::ABOUT {
            let places = placeholders(1, subjects.len());
            let sql = format!("DELETE FROM {table} WHERE subject IN {places}");
            let ids = subjects.iter().map(|one| Value::from(one.subject));
            tx.execute(&sql, ids.collect()).await?;
        }
    }
    Ok(())
}

/// What was replaced or deleted leaves SQLite's file: `secure_delete` zeroes a row where it lies, but
/// a page that was put in order before may hold a copy of it, so the file is written anew, and its
/// write-ahead log is emptied. That is for the small base of a laptop; MySQL purges its own undo log.
/// False where another process held it back: then it is to be tried again.
pub async fn forget_pages(store: &Store) -> bool {
    if store.backend() != Backend::Sqlite {
        return true;
    }
    match store.write_anew().await {
        Ok(done) => done,
        Err(error) => {
            tracing::debug!(error = %error, "what was deleted stays in the file for now");
            false
        }
    }
}
