//! The job lago_limpar: files that ended a day ago go, and those that a load wrote and never
//! committed; the lists of live files are written anew.
//!
//! It is a job of its own and no part of load-sales: a lake that nobody loads into is cleaned too,
//! and no load waits for it.

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::{
    jobs::LAKE_CLEAN,
    lake::{Table, folder as folder_of},
    time::UtcMillis,
};
use files::{FileAddress, FileError, ListedFile};
use lake::{Lake, LakeError};
use lambda_kit::{
    Invocation, InvocationFailed,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store, StoreError, Tx,
    jobs::{self, Attempt, JobRun, RunError},
    lake as catalogue,
};

/// Time kept for the page at hand and for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 20_000;
/// How long a file stays after it ended, and an unknown one after it was written, in days: queries
/// that began before are over by then, and no load runs so long.
const KEPT_DAYS: u32 = 1;
/// Files of one page.
const PAGE: u32 = 500;
/// Lists of live files are written for what engines without a catalogue read.
const LISTED: [Table; 1] = [Table::Sales];
/// The folder of the totals of `vendas`, which have the names of its files.
const TOTALS: &str = "vendas_totais";

/// The handler of the schedule.
pub struct CleanLake {
    store: Store,
    lake: Lake,
    clock: fn() -> UtcMillis,
}

/// Why a step failed.
enum StepFailed {
    Store(StoreError),
    Lake(LakeError),
}

impl From<StoreError> for StepFailed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LakeError> for StepFailed {
    fn from(error: LakeError) -> Self {
        Self::Lake(error)
    }
}

impl From<FileError> for StepFailed {
    fn from(error: FileError) -> Self {
        Self::Lake(error.into())
    }
}

impl From<StepFailed> for RunError {
    fn from(failed: StepFailed) -> Self {
        match failed {
            StepFailed::Store(error) => error.into(),
            StepFailed::Lake(error) => {
                tracing::error!(%error, "the lake's files can't be cleaned");
                Self::Outside("arquivos_inacessiveis")
            }
        }
    }
}

impl CleanLake {
    /// Cleans `lake`; `clock` tells how much time is left.
    #[must_use]
    pub const fn new(store: Store, lake: Lake, clock: fn() -> UtcMillis) -> Self {
        Self { store, lake, clock }
    }

    async fn clean(&self, run: &mut JobRun, attempt: &impl Attempt) -> Result<UtcMillis, RunError> {
        let began = attempt.now().ok_or(RunError::OutOfTime)?;
        let before = began.minus_days(KEPT_DAYS);
        while catalogue::expire(&self.store, before, began).await? {
            self.progress(run, attempt).await?;
        }
        while self.remove_scheduled(run).await? {
            self.progress(run, attempt).await?;
        }
        self.remove_unknown(run, before, attempt).await?;
        for table in LISTED {
            let newest = async || Ok(catalogue::newest_files(&self.store, table).await?);
            self.lake
                .publish_manifest::<StepFailed>(table, newest)
                .await?;
        }
        attempt.now().ok_or(RunError::OutOfTime)
    }

    async fn progress(&self, run: &JobRun, attempt: &impl Attempt) -> Result<(), RunError> {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        self.store
            .transact(async |tx: &Tx| run.note_progress(tx, now).await)
            .await?;
        Ok(())
    }

    /// True while there is more.
    async fn remove_scheduled(&self, run: &mut JobRun) -> Result<bool, RunError> {
        let ended = catalogue::scheduled(&self.store, PAGE).await?;
        let mut ids = Vec::with_capacity(ended.len());
        for file in &ended {
            let deleted = self.lake.delete(file.table, &file.name).await;
            deleted.map_err(StepFailed::from)?;
            ids.push(file.id);
        }
        catalogue::forget(&self.store, &ids).await?;
        run.count("arquivos_removidos", count(ids.len()));
        Ok(!ids.is_empty())
    }

    async fn remove_unknown(
        &self,
        run: &mut JobRun,
        before: UtcMillis,
        attempt: &impl Attempt,
    ) -> Result<(), RunError> {
        let tables = Table::ALL.map(|table| (table.name(), table));
        for (folder, table) in tables.into_iter().chain([(TOTALS, Table::Sales)]) {
            let prefix = folder_of(folder);
            let mut after: Option<String> = None;
            loop {
                let page = self
                    .lake
                    .files()
                    .list(self.lake.bucket(), &prefix, after.as_deref(), PAGE)
                    .await
                    .map_err(StepFailed::from)?;
                let old: Vec<&ListedFile> = page
                    .files
                    .iter()
                    .filter(|file| file.modified_ms < before.get())
                    .collect();
                let removed = self.remove_unless_known(&prefix, table, &old).await?;
                run.count("orfaos_removidos", count(removed));
                self.progress(run, attempt).await?;
                match page.next_after {
                    Some(key) => after = Some(key),
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn remove_unless_known(
        &self,
        prefix: &str,
        table: Table,
        old: &[&ListedFile],
    ) -> Result<usize, RunError> {
        let names: Vec<&str> = old
            .iter()
            .filter_map(|file| file.key.strip_prefix(prefix))
            .collect();
        let known = catalogue::known_files(&self.store, table, &names).await?;
        let mut removed = 0;
        for name in names {
            if !known.contains(name) {
                let key = format!("{prefix}{name}");
                let address = FileAddress::new(self.lake.bucket(), &key);
                let address = address.map_err(StepFailed::from)?;
                let deleted = self.lake.files().delete(&address).await;
                deleted.map_err(StepFailed::from)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Handler for CleanLake {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let attempt = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let work = async |job: &mut JobRun| self.clean(job, &attempt).await;
        let outcome = jobs::run(
            &self.store,
            &LAKE_CLEAN,
            run.date,
            run.again,
            &attempt,
            work,
        )
        .await;
        report(&LAKE_CLEAN, run, outcome)
    }
}

fn count(files: usize) -> i64 {
    i64::try_from(files).unwrap_or(i64::MAX)
}
