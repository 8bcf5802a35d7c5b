//! The ledger of scheduled jobs: one row a job and logical date, leased while it runs.

use std::collections::BTreeMap;

use domain::{
    jobs::{Job, NotStarted, RunStatus},
    time::{Day, UtcMillis},
};
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, values};

/// A run's lease, renewed with each batch: longer than a batch takes. A run that is slower than
/// that is fenced by its attempt.
const LEASE_MS: i64 = 3 * 60 * 1000;

/// Characters of a failure's code that the ledger keeps.
const LONGEST_CODE: usize = 200;

/// What a job counted, by name.
pub type Counts = BTreeMap<String, i64>;

/// A job that holds the lease for its date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// The job's name.
    pub job: &'static str,
    /// The day that it works for.
    pub date: Day,
    /// 1 for the first try. It fences: a run that lost its lease can't note progress.
    pub attempt: i32,
    /// Where the last attempt stopped.
    pub resume_after: Option<String>,
    /// What was counted so far.
    pub counts: Counts,
}

/// Why a run did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may not run now.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// The lease is gone: another attempt has taken over.
    #[error("another attempt has taken over")]
    LostLease,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a job's run did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger or the store.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A system outside did not answer; a stable code.
    #[error("a system outside failed: {0}")]
    Outside(&'static str),
    /// The time of this attempt is over; the next one goes on.
    #[error("out of time: the next attempt goes on")]
    OutOfTime,
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self::Job(JobError::Store(error))
    }
}

impl RunError {
    /// A stable code for the ledger.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Job(JobError::NotStarted(_)) => "not_started",
            Self::Job(JobError::LostLease) => "lost_lease",
            Self::Job(JobError::Store(_)) => "store_failed",
            Self::Outside(code) => code,
            Self::OutOfTime => "out_of_time",
        }
    }
}

/// An attempt at a run: who makes it, and whether it has time for one more batch. What is left
/// resumes with the next attempt.
pub trait Attempt {
    /// The invocation's id. Lambda tries a failed invocation again under the same id, so it takes
    /// over at once from its own attempt that died.
    fn holder(&self) -> &str;

    /// The time now; `None` when there is no time for another batch.
    fn now(&self) -> Option<UtcMillis>;
}

/// A row of the history.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct LedgerRow {
    /// The job.
    pub job: String,
    /// Its logical date.
    pub logical_date: String,
    /// `running`, `done` or `failed`.
    pub status: String,
    /// Tries so far.
    pub attempt: i32,
    /// Who holds the lease of a running one.
    pub holder: String,
    /// End of that lease.
    pub leased_until_ms: i64,
    /// Start of the last try.
    pub started_ms: i64,
    /// End of the last try.
    pub finished_ms: Option<i64>,
    /// Where it stands.
    pub resume_after: Option<String>,
    /// Counts as a JSON object.
    pub counts: String,
    /// Why it failed.
    pub error: Option<String>,
}

impl LedgerRow {
    /// How it stands at `now`: a run whose lease is over has died.
    #[must_use]
    pub fn status_at(&self, now: UtcMillis) -> RunStatus {
        match self.status.as_str() {
            "done" => RunStatus::Done,
            "running" if self.leased_until_ms > now.get() => RunStatus::Running,
            _ => RunStatus::Failed,
        }
    }
}

const COLUMNS: &str = "job, logical_date, status, attempt, holder, leased_until_ms, started_ms, \
    finished_ms, resume_after, counts, error";

/// Claims the run of `job` for `date` for `holder`. With `again`, a run that was done is done once
/// more.
///
/// # Errors
/// [`JobError::NotStarted`] when it may not run now.
pub async fn start(
    store: &Store,
    job: &Job,
    date: Day,
    again: bool,
    holder: &str,
    now: UtcMillis,
) -> Result<JobRun, JobError> {
    let until_ms = now.plus_millis(LEASE_MS).get();
    store
        .transact(async |tx: &Tx| {
            refuse_paused_and_waiting(tx, job, date).await?;
            let first = tx
                .insert_new(
                    "INSERT INTO job_runs (job, logical_date, status, attempt, holder, \
                     leased_until_ms, started_ms, counts) VALUES (?, ?, 'running', 1, ?, ?, ?, '{}')",
                    values![job.name, date.to_string(), holder, until_ms, now.get()],
                )
                .await?;
            if first {
                return Ok(JobRun {
                    job: job.name,
                    date,
                    attempt: 1,
                    resume_after: None,
                    counts: Counts::new(),
                });
            }
            let row = locked_row(tx, job.name, date).await?;
            let status = row.status_at(now);
            match status {
                RunStatus::Running if row.holder != holder => {
                    return Err(NotStarted::Running.into());
                }
                RunStatus::Done if !again => return Err(NotStarted::AlreadyDone.into()),
                _ => {}
            }
            let afresh = status == RunStatus::Done;
            let resume_after = row.resume_after.filter(|_| !afresh);
            let counts = if afresh {
                Counts::new()
            } else {
                parse_counts(&row.counts)?
            };
            tx.execute(
                "UPDATE job_runs SET status = 'running', attempt = ?, holder = ?, \
                 leased_until_ms = ?, started_ms = ?, finished_ms = NULL, resume_after = ?, counts = ?, error = NULL \
                 WHERE job = ? AND logical_date = ?",
                values![
                    row.attempt + 1,
                    holder,
                    until_ms,
                    now.get(),
                    resume_after.clone(),
                    counts_text(&counts),
                    job.name,
                    date.to_string()
                ],
            )
            .await?;
            Ok(JobRun {
                job: job.name,
                date,
                attempt: row.attempt + 1,
                resume_after,
                counts,
            })
        })
        .await
}

/// Claims the run, does `work` and notes in the ledger how it ended. `work` answers when it
/// finished.
///
/// # Errors
/// When the run may not start, or `work` failed: the next attempt resumes where it stopped.
pub async fn run(
    store: &Store,
    job: &Job,
    date: Day,
    again: bool,
    attempt: &impl Attempt,
    work: impl AsyncFnOnce(&mut JobRun) -> Result<UtcMillis, RunError>,
) -> Result<Counts, RunError> {
    let started = attempt.now().ok_or(RunError::OutOfTime)?;
    let mut run = start(store, job, date, again, attempt.holder(), started).await?;
    match work(&mut run).await {
        Ok(finished) => {
            run.finish(store, finished).await?;
            Ok(run.counts)
        }
        Err(error) => {
            if !matches!(error, RunError::Job(JobError::LostLease)) {
                let now = attempt.now().unwrap_or(started);
                run.fail(store, error.code(), now).await?;
            }
            Err(error)
        }
    }
}

async fn refuse_paused_and_waiting(tx: &Tx, job: &Job, date: Day) -> Result<(), JobError> {
    let paused = "SELECT 1 FROM job_pauses WHERE job = ?";
    if tx.exists(paused, values![job.name]).await? {
        return Err(NotStarted::Paused.into());
    }
    for &earlier in job.after {
        let done = "SELECT 1 FROM job_runs WHERE job = ? AND logical_date = ? AND status = 'done'";
        if !tx.exists(done, values![earlier, date.to_string()]).await? {
            return Err(NotStarted::Waiting(earlier).into());
        }
    }
    Ok(())
}

async fn locked_row(tx: &Tx, job: &str, date: Day) -> Result<LedgerRow, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job_runs WHERE job = ? AND logical_date = ?{}",
        tx.for_update()
    );
    let row = tx.one(&sql, values![job, date.to_string()]).await?;
    row.ok_or(StoreError::Contended { attempts: 1 })
}

impl JobRun {
    /// Adds to a count.
    pub fn count(&mut self, name: &str, more: i64) {
        *self.counts.entry(name.to_owned()).or_default() += more;
    }

    /// Replaces a count, of what each attempt counts from its beginning.
    pub fn set_count(&mut self, name: &str, number: i64) {
        self.counts.insert(name.to_owned(), number);
    }

    /// Notes how far the run is, in the transaction of a batch's effects, and renews the lease.
    ///
    /// # Errors
    /// [`JobError::LostLease`] when another attempt has taken over: the batch rolls back.
    pub async fn note_progress(&self, tx: &Tx, now: UtcMillis) -> Result<(), JobError> {
        self.update(tx, "running", now, None).await
    }

    /// Ends the run well.
    ///
    /// # Errors
    /// [`JobError::LostLease`] when another attempt has taken over.
    pub async fn finish(&self, store: &Store, now: UtcMillis) -> Result<(), JobError> {
        store
            .transact(async |tx: &Tx| self.update(tx, "done", now, None).await)
            .await
    }

    /// Ends the run badly: the next attempt resumes where this one stopped.
    ///
    /// # Errors
    /// [`JobError::LostLease`] when another attempt has taken over.
    pub async fn fail(&self, store: &Store, code: &str, now: UtcMillis) -> Result<(), JobError> {
        store
            .transact(async |tx: &Tx| self.update(tx, "failed", now, Some(code)).await)
            .await
    }

    async fn update(
        &self,
        tx: &Tx,
        status: &str,
        now: UtcMillis,
        error: Option<&str>,
    ) -> Result<(), JobError> {
        let finished_ms = (status != "running").then(|| now.get());
        let error = error.map(|code| code.chars().take(LONGEST_CODE).collect::<String>());
        let held = tx
            .execute(
                "UPDATE job_runs SET status = ?, leased_until_ms = ?, finished_ms = ?, \
                 resume_after = ?, counts = ?, error = ? \
                 WHERE job = ? AND logical_date = ? AND attempt = ? AND status = 'running'",
                values![
                    status,
                    now.plus_millis(LEASE_MS).get(),
                    finished_ms,
                    self.resume_after.clone(),
                    counts_text(&self.counts),
                    error,
                    self.job,
                    self.date.to_string(),
                    self.attempt
                ],
            )
            .await?;
        if held == 0 {
            Err(JobError::LostLease)
        } else {
            Ok(())
        }
    }
}

/// Stops a job from starting; a run that goes on is not touched. True when it was not paused yet.
///
/// # Errors
/// When the database fails.
pub async fn pause(store: &Store, job: &str, now: UtcMillis) -> Result<bool, StoreError> {
    store
        .transact(async |tx: &Tx| {
            tx.insert_new(
                "INSERT INTO job_pauses (job, paused_ms) VALUES (?, ?)",
                values![job, now.get()],
            )
            .await
        })
        .await
}

/// Lets a job start again. True when it was paused.
///
/// # Errors
/// When the database fails.
pub async fn resume(store: &Store, job: &str) -> Result<bool, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let freed = tx
                .execute("DELETE FROM job_pauses WHERE job = ?", values![job])
                .await?;
            Ok(freed > 0)
        })
        .await
}

/// The newest runs of a job between two dates, newest first.
///
/// # Errors
/// When the database fails.
pub async fn history(
    store: &Store,
    job: &str,
    from: Day,
    to: Day,
    limit: u32,
) -> Result<Vec<LedgerRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job_runs WHERE job = ? AND logical_date >= ? AND logical_date <= ? \
         ORDER BY logical_date DESC LIMIT ?"
    );
    let values = values![job, from.to_string(), to.to_string(), limit];
    store
        .transact(async |tx: &Tx| tx.all(&sql, values.clone()).await)
        .await
}

fn counts_text(counts: &Counts) -> String {
    serde_json::to_string(counts).unwrap_or_else(|_| "{}".to_owned())
}

fn parse_counts(text: &str) -> Result<Counts, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Broken("job_runs.counts"))
}
