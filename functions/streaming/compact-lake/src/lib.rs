//! Hourly: small files of the lake become big ones, views are put together by day, and what events
//! left behind is deleted when it is past its time.
//!
//! Old files end in the transaction that shows the new ones: a reader sees the same rows before and
//! after. They are deleted a day later, when no question reads them any more.

mod sales;

use documents::{Documents, DocumentsError};
use domain::{
    lake::{DataFile, SnapshotId, Table},
    time::{Day, UtcMillis},
};
use lake::{
    Lake, LakeError,
    rows::{COMPACTED_ROWS, MOST_ROWS_AT_ONCE, ViewsRow, compact, write_views},
};
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use serde::Serialize;
use sql_store::{
    Store, StoreError, Tx,
    events::views::{days_with_news, fold, parts_of_day},
    housekeeping::purge_events,
    lake::{self as catalogue, Change, CommitError, FilesError},
};

/// Tables whose files come small, one of each batch.
const COMPACTED: [Table; 2] = [Table::CustomerEvents, Table::Stock];
/// Files that are put together at once.
const MOST_FILES_AT_ONCE: usize = 500;
/// Days whose views one run puts together.
const MOST_DAYS: u32 = 1_000;
/// Rows that are deleted at once.
const PURGED_ROWS: u32 = 5_000;
/// No step begins so shortly before Lambda ends the process, in milliseconds.
const RESERVE_MS: i64 = 45_000;

/// The handler of the schedule.
pub struct CompactLake {
    store: Store,
    documents: Documents,
    lake: Lake,
    clock: fn() -> UtcMillis,
    alike_files: usize,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Small files that ended.
    pub arquivos_juntados: usize,
    /// Files that took their place.
    pub arquivos_escritos: usize,
    /// Days whose views were put together.
    pub dias_de_visualizacoes: usize,
    /// Rows that were past their time.
    pub expurgados: u64,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepFailed {
    /// Another run ended one of the files.
    #[error("another run was faster")]
    Overtaken,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the temporary folder failed ({0})")]
    Folder(std::io::ErrorKind),
}

impl From<CommitError> for StepFailed {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict | CommitError::NotRegistered => Self::Overtaken,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<FilesError> for StepFailed {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::SnapshotGone => Self::Overtaken,
            FilesError::Store(error) => Self::Store(error),
        }
    }
}

impl CompactLake {
    /// Puts the files of `lake` together; `clock` tells how much time is left.
    #[must_use]
    pub const fn new(
        store: Store,
        documents: Documents,
        lake: Lake,
        clock: fn() -> UtcMillis,
    ) -> Self {
        Self {
            store,
            documents,
            lake,
            clock,
            alike_files: sales::ALIKE_FILES,
        }
    }

    /// With another number of files of sales that are put together once they are about as large.
    #[must_use]
    pub const fn with_alike_files(mut self, alike_files: usize) -> Self {
        self.alike_files = alike_files;
        self
    }

    fn time(&self, invocation: &Invocation) -> Option<UtcMillis> {
        let now = (self.clock)();
        (now.plus_millis(RESERVE_MS) < invocation.deadline).then_some(now)
    }

    async fn run(&self, invocation: &Invocation) -> Result<Compacted, StepFailed> {
        let mut done = Compacted::default();
        for day in days_with_news(&self.store, MOST_DAYS).await? {
            let Some(now) = self.time(invocation) else {
                break;
            };
            self.put_views_together(day, now).await?;
            done.dias_de_visualizacoes += 1;
        }
        for table in COMPACTED {
            while let Some(now) = self.time(invocation)
                && let Some((ended, added)) = self.put_files_together(table, now).await?
            {
                done.arquivos_juntados += ended;
                done.arquivos_escritos += added;
            }
        }
        self.put_sales_together(invocation, &mut done).await?;
        while let Some(now) = self.time(invocation) {
            let deleted = purge_events(&self.store, now, PURGED_ROWS).await?
                + self.documents.purge(now, PURGED_ROWS).await?;
            done.expurgados += deleted;
            if deleted == 0 {
                break;
            }
        }
        Ok(done)
    }

    /// How many files ended and came; `None` when nothing is left to do.
    async fn put_files_together(
        &self,
        table: Table,
        now: UtcMillis,
    ) -> Result<Option<(usize, usize)>, StepFailed> {
        let small = small(self.live_files(table).await?);
        if small.len() < 2 {
            return Ok(None);
        }
        let written = compact(&self.lake, table, &small, now).await?;
        let ended: Vec<i64> = small.iter().map(|file| file.id).collect();
        let change = Change {
            added: &written,
            ended: &ended,
            note: "small files put together",
        };
        // What is not committed stays for the sweep: another run may have written the very same.
        self.store
            .transact(async |tx: &Tx| catalogue::rearrange(tx, change, now).await)
            .await?;
        Ok(Some((small.len(), written.len())))
    }

    async fn live_files(&self, table: Table) -> Result<Vec<DataFile>, StepFailed> {
        let Some(snapshot) = catalogue::latest(&self.store, &[table]).await? else {
            return Ok(Vec::new());
        };
        Ok(catalogue::files_at(&self.store, table, snapshot.id).await?)
    }

    /// The day's file of `produtos_mais_vistos` takes the place of the one before.
    async fn put_views_together(&self, day: Day, now: UtcMillis) -> Result<(), StepFailed> {
        let before = self.live_files(Table::MostViewed).await?;
        let ended: Vec<i64> = before
            .iter()
            .filter(|file| file.days == Some((day, day)))
            .map(|file| file.id)
            .collect();
        let parts = parts_of_day(&self.store, day).await?;
        self.documents.note_views(day, &parts.views).await?;
        let rows: Vec<ViewsRow> = parts
            .views
            .iter()
            .map(|(product, views)| ViewsRow {
                product: product.clone(),
                views: *views,
                day: day.epoch_days(),
            })
            .collect();
        let written = write_views(&self.lake, &rows, now).await?;
        let change = Change {
            added: written.as_slice(),
            ended: &ended,
            note: "views of a day",
        };
        self.store
            .transact(async |tx: &Tx| {
                fold(tx, &parts).await?;
                catalogue::commit(tx, SnapshotId(0), &[], change, now).await?;
                Ok(())
            })
            .await
    }
}

/// As many small files as are put together at once, oldest first.
fn small(files: Vec<DataFile>) -> Vec<DataFile> {
    let mut rows = 0;
    files
        .into_iter()
        .filter(|file| file.rows < COMPACTED_ROWS)
        .take(MOST_FILES_AT_ONCE)
        .take_while(|file| {
            rows += file.rows;
            rows <= MOST_ROWS_AT_ONCE
        })
        .collect()
}

impl Handler for CompactLake {
    type Answer = Compacted;

    async fn handle(
        &self,
        _: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<Compacted, InvocationFailed> {
        match self.run(invocation).await {
            Ok(done) => {
                tracing::info!(?done, "small files put together");
                metrics::count(
                    "FilesCompacted",
                    i64::try_from(done.arquivos_juntados).unwrap_or(i64::MAX),
                );
                Ok(done)
            }
            Err(StepFailed::Overtaken) => Ok(Compacted::default()),
            Err(error) => {
                tracing::error!(%error, "small files were not put together");
                Err(InvocationFailed::new(error.to_string()))
            }
        }
    }
}
