//! The job vendas_verificar_qualidade: what the day's loads made of the lake, check by check, with
//! a verdict, a history, and every key that failed.

mod failures;
mod lines;
mod orders;
mod plan;
mod verdict;

pub use plan::{Check, Kind, Plan, Severity};

use std::io;

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::{
    jobs::SALES_CHECK_QUALITY,
    lake::{DataFile, SnapshotId, Table},
    time::{Day, UtcMillis},
};
use files::{FileAddress, FileError};
use lake::{Lake, LakeError};
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store, StoreError, Tx,
    jobs::{self, Attempt, JobError, JobRun, RunError},
    lake::{self as catalogue, FilesError},
    quality::{self, CheckResult},
    sales_export::{ExportState, export_state},
    sales_loads,
};

use failures::Failures;
use lines::{HELD_LINES, Lines};
use orders::Orders;

/// Time kept for the file at hand and for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 20_000;

/// The handler of the schedule.
pub struct CheckDataQuality {
    store: Store,
    lake: Lake,
    plan: Plan,
    clock: fn() -> UtcMillis,
}

/// Why a run failed.
enum Failed {
    Run(RunError),
    Lake(LakeError),
    /// The temporary folder.
    Local(io::Error),
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Run(error.into())
    }
}

impl From<LakeError> for Failed {
    fn from(error: LakeError) -> Self {
        Self::Lake(error)
    }
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::Lake(error.into())
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Local(error)
    }
}

impl From<Failed> for RunError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Run(error) => error,
            Failed::Lake(error) => {
                tracing::error!(%error, "the lake can't be checked");
                Self::Outside("lago_inacessivel")
            }
            Failed::Local(error) => {
                tracing::error!(%error, "the temporary folder can't be written");
                Self::Outside("pasta_temporaria")
            }
        }
    }
}

/// What was gathered of the lake.
struct Gathered<'a> {
    lines: Lines<'a>,
    orders: Failures,
    drift: Failures,
    snapshot: i64,
}

impl CheckDataQuality {
    /// Checks `lake` by `plan`; `clock` tells how much time is left.
    #[must_use]
    pub const fn new(store: Store, lake: Lake, plan: Plan, clock: fn() -> UtcMillis) -> Self {
        Self {
            store,
            lake,
            plan,
            clock,
        }
    }

    async fn check(&self, run: &mut JobRun, attempt: &impl Attempt) -> Result<UtcMillis, Failed> {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        let exported = match export_state(&self.store, run.date).await? {
            ExportState::Nothing => None,
            ExportState::Loaded(load) => Some(load),
            ExportState::Waiting => return Err(RunError::Outside("carga_pendente").into()),
            ExportState::Refused => return Err(RunError::Outside("carga_recusada").into()),
        };
        let mut gathered = self.gather(run, exported, attempt).await?;
        let mut results = Vec::with_capacity(self.plan.checks.len());
        let mut is_blocked = false;
        for (place, check) in self.plan.checks.iter().enumerate() {
            let result = self
                .result(place, check, gathered.as_mut(), run.date, now)
                .await?;
            is_blocked |= check.blocks && result.verdict == verdict::ERROR;
            run.count(&format!("verificacoes_{}", result.verdict), 1);
            results.push(result);
        }
        let counted = |word: &str| {
            results
                .iter()
                .filter(|result| result.verdict == word)
                .count()
        };
        for (metric, word) in [
            ("QualityErrors", verdict::ERROR),
            ("QualityWarnings", verdict::WARNING),
        ] {
            metrics::count(metric, i64::try_from(counted(word)).unwrap_or(i64::MAX));
        }
        let ended = attempt.now().unwrap_or(now);
        self.store
            .transact::<_, JobError, _>(async |tx: &Tx| {
                quality::record(tx, run.date, &results).await?;
                run.note_progress(tx, ended).await
            })
            .await
            .map_err(RunError::from)?;
        if is_blocked {
            return Err(RunError::Outside("qualidade_reprovada").into());
        }
        Ok(ended)
    }

    /// Reads what the checks need; `None` before anything was loaded.
    async fn gather(
        &self,
        run: &JobRun,
        exported: Option<i64>,
        attempt: &impl Attempt,
    ) -> Result<Option<Gathered<'_>>, Failed> {
        let newest = catalogue::latest(&self.store, &[Table::Sales]).await?;
        let Some(snapshot) = newest else {
            return Ok(None);
        };
        let files = self.files_of(Table::Sales, snapshot.id).await?;
        let last = run.date.epoch_days();
        let before = |days: u32| last.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX));
        let window = (before(self.plan.window_days - 1), last);
        let orders = Orders::of(&self.store, run.date).await?;
        let mut orders = match exported {
            // They come by a company's query: its file says what they are.
            Some(load) if orders.is_empty() => self.exported(run.date, load, snapshot.id).await?,
            _ => orders,
        };
        let counted = (before(self.plan.counted_days()), last);
        let is_near = |file: &DataFile| meets(file, counted) || orders.meets(file);
        let near: Vec<DataFile> = files.into_iter().filter(is_near).collect();
        let (sound, drift) = self.drift(near).await?;
        let rows: u64 = sound
            .iter()
            .filter(|file| meets(file, window))
            .map(|file| file.rows)
            .sum();
        let mut lines = Lines::new(&self.plan.checks, window, rows.div_ceil(HELD_LINES));
        for file in &sound {
            let (counts, is_asked) = (meets(file, counted), orders.meets(file));
            self.lake
                .each_stored_line::<Failed>(file, |line| {
                    if is_asked {
                        orders.line(line);
                    }
                    if counts {
                        lines.line(line)?;
                    }
                    Ok(())
                })
                .await?;
            self.progress(run, attempt).await?;
        }
        while lines.next_pass() {
            for file in sound.iter().filter(|file| meets(file, window)) {
                self.lake
                    .each_stored_line::<Failed>(file, |line| Ok(lines.repeated(line)?))
                    .await?;
                self.progress(run, attempt).await?;
            }
        }
        Ok(Some(Gathered {
            lines,
            orders: orders.compare()?,
            drift,
            snapshot: snapshot.id.0,
        }))
    }

    /// The orders of a date's exported file that the load of this number has the last word on.
    async fn exported(&self, date: Day, load: i64, snapshot: SnapshotId) -> Result<Orders, Failed> {
        let mut orders = Orders::exported(&self.lake, date, load, (self.clock)()).await?;
        for file in self.files_of(Table::OrdersWithoutSale, snapshot).await? {
            orders.leave_to_others(&self.lake, &file).await?;
        }
        Ok(orders)
    }

    async fn files_of(
        &self,
        table: Table,
        snapshot: SnapshotId,
    ) -> Result<Vec<DataFile>, RunError> {
        let files = catalogue::files_at(&self.store, table, snapshot).await;
        files.map_err(|error| match error {
            FilesError::SnapshotGone => RunError::Outside("instantaneo_vencido"),
            FilesError::Store(error) => error.into(),
        })
    }

    /// The files whose columns are as the catalogue says; what is wrong with the others.
    async fn drift(&self, files: Vec<DataFile>) -> Result<(Vec<DataFile>, Failures), Failed> {
        let mut drift = Failures::default();
        let mut sound = Vec::new();
        for file in files {
            drift.checked += 1;
            let wrong = self.lake.schema_drift(Table::Sales, &file).await?;
            if wrong.is_empty() {
                sound.push(file);
            } else {
                drift.note(&["arquivo", "diferenca"], &[&file.name, &wrong.join("; ")])?;
            }
        }
        Ok((sound, drift))
    }

    async fn progress(&self, run: &JobRun, attempt: &impl Attempt) -> Result<(), RunError> {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        self.store
            .transact(async |tx: &Tx| run.note_progress(tx, now).await)
            .await?;
        Ok(())
    }

    async fn result(
        &self,
        place: usize,
        check: &Check,
        gathered: Option<&mut Gathered<'_>>,
        date: Day,
        now: UtcMillis,
    ) -> Result<CheckResult, Failed> {
        let mut result = CheckResult::begun(date, &check.name, check.kind.word(), now);
        let Some(gathered) = gathered else {
            "Nada foi carregado ainda.".clone_into(&mut result.detail);
            return Ok(result);
        };
        result.snapshot_id = Some(gathered.snapshot);
        let mut related;
        let failures = match &check.kind {
            Kind::Frescor { .. } => {
                let newest = sales_loads::newest_end(&self.store).await?;
                verdict::freshness(check, newest, now, &mut result);
                return Ok(result);
            }
            Kind::Volume { .. } => {
                verdict::volume(check, &gathered.lines.by_day, date, &mut result);
                return Ok(result);
            }
            Kind::Relacionamento { .. } => {
                related = self.unknown_products(&gathered.lines).await?;
                related.as_mut()
            }
            Kind::Esquema => Some(&mut gathered.drift),
            Kind::Soma => Some(&mut gathered.orders),
            _ => gathered.lines.found.get_mut(place),
        };
        if let Some(failures) = failures {
            verdict::of_failures(check, failures, &mut result);
            result.failures_key = self.put(check, failures, date).await?;
        }
        Ok(result)
    }

    /// `None` where the catalog knows no product.
    async fn unknown_products(&self, lines: &Lines<'_>) -> Result<Option<Failures>, Failed> {
        let mut products: Vec<&str> = lines.products.keys().map(String::as_str).collect();
        products.sort_unstable();
        let Some(known) = quality::known_products(&self.store, &products).await? else {
            return Ok(None);
        };
        let mut failures = Failures::among(products.len());
        for product in products {
            if !known.contains(product) {
                let lines = lines.products.get(product).copied().unwrap_or_default();
                failures.note(&["id_produto", "linhas"], &[product, &lines.to_string()])?;
            }
        }
        Ok(Some(failures))
    }

    /// Puts the file of failing keys into the bucket, and answers its key.
    async fn put(
        &self,
        check: &Check,
        failures: &mut Failures,
        date: Day,
    ) -> Result<Option<String>, Failed> {
        let Some(local) = failures.finish()? else {
            return Ok(None);
        };
        let key = format!("relatorios/qualidade/{date}/{}.csv.gz", check.name);
        let address = FileAddress::new(self.lake.bucket(), &key)?;
        let files = self.lake.files();
        files
            .put_file(&address, local.path(), "application/gzip")
            .await?;
        Ok(Some(key))
    }
}

/// Whether a file may have lines of these days.
fn meets(file: &DataFile, days: (i32, i32)) -> bool {
    file.days
        .is_none_or(|(first, last)| first.epoch_days() <= days.1 && days.0 <= last.epoch_days())
}

impl Handler for CheckDataQuality {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let attempt = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let work = async |job: &mut JobRun| {
            // On the heap: the compiler gives up on a future this deep.
            let checked = Box::pin(self.check(job, &attempt)).await;
            checked.map_err(RunError::from)
        };
        let (store, job) = (&self.store, &SALES_CHECK_QUALITY);
        let outcome = jobs::run(store, job, run.date, run.again, &attempt, work).await;
        report(job, run, outcome)
    }
}
