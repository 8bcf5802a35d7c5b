//! The job vendas_exportar: the orders whose news came on a date, as a file of sales that
//! load-sales takes up like any other. Orders that were cancelled or refunded come with quantity 0.
//!
//! The same orders give the same bytes, and a file that would be the same is not written again. An
//! order stands in the file as it stands now: written again later, the file takes nothing back.

mod content;
mod postgres;

use std::io;

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::{jobs::JobReport, sales::export_key};
use domain::{
    jobs::SALES_EXPORT,
    time::{Day, UtcMillis},
};
use files::{FileAddress, FileError, Files};
use lambda_kit::{
    Invocation, InvocationFailed, metrics,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store, StoreError, Tx,
    jobs::{self, Attempt, JobRun, RunError},
    sales_export::{self, Export, orders_of_day},
    sales_loads::FileVersion,
    sales_source::SalesQuery,
};

use content::{Content, Finished};

pub use postgres::PostgresQuery;

/// Time kept for writing the file and for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 20_000;
/// A date that has no lines any more is no news to believe at once: the source may be an empty copy, or
/// have taken a right away. Written, the file would end every sale of that date.
const EMPTY: &str = "origem_vazia: the date had lines before; aceitar_vazio=true takes them away";
/// Orders of one page of ours.
const PAGE_ORDERS: u32 = 500;
/// Rows of one page of a company's query.
const PAGE_ROWS: u32 = 10_000;

/// Where the orders are.
pub enum Origin {
    /// Our own, as the topic `pedidos` told them.
    Orders,
    /// A query on the company's database.
    Query(SalesQuery),
    /// The same on PostgreSQL.
    Postgres(Box<PostgresQuery>),
}

/// The handler of the schedule.
pub struct ExportSales {
    store: Store,
    files: Files,
    bucket: String,
    origin: Origin,
    clock: fn() -> UtcMillis,
}

/// Why a run failed.
enum Failed {
    Run(RunError),
    /// The temporary folder.
    Local,
    Files(FileError),
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

impl From<Failed> for RunError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Run(error) => error,
            Failed::Local => Self::Outside("pasta_temporaria"),
            Failed::Files(error) => {
                tracing::error!(%error, "the file of sales can't be written");
                Self::Outside("arquivos_inacessiveis")
            }
        }
    }
}

impl ExportSales {
    /// Writes into `bucket` what `origin` has; `clock` tells how much time is left.
    #[must_use]
    pub const fn new(
        store: Store,
        files: Files,
        bucket: String,
        origin: Origin,
        clock: fn() -> UtcMillis,
    ) -> Self {
        Self {
            store,
            files,
            bucket,
            origin,
            clock,
        }
    }

    async fn export(
        &self,
        run: &mut JobRun,
        accepts_empty: bool,
        attempt: &impl Attempt,
    ) -> Result<UtcMillis, Failed> {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        if now < run.date.end() {
            // What comes later on that day would never be exported.
            return Err(RunError::Outside("dia_nao_terminou").into());
        }
        let mut content = Content::begin().map_err(local)?;
        let without_lines = match &self.origin {
            Origin::Orders => self.orders(run, &mut content, attempt).await?,
            origin => {
                self.rows(origin, run, &mut content, attempt).await?;
                0
            }
        };
        let finished = content.finish().map_err(local)?;
        run.count("pedidos", finished.export.orders_written);
        run.count("linhas", finished.export.lines_written);
        run.count("pedidos_sem_itens", without_lines);
        metrics::count("OrdersWithoutItems", without_lines);
        let before = sales_export::exported(&self.store, run.date).await?;
        let had_lines = before.as_ref().is_some_and(|file| file.lines_written > 0);
        if had_lines && finished.export.lines_written == 0 && !accepts_empty {
            return Err(RunError::Outside(EMPTY).into());
        }
        let is_written = self.write(run.date, before, &finished, now).await?;
        run.count("arquivos_escritos", i64::from(is_written));
        Ok(attempt.now().unwrap_or(now))
    }

    /// Answers how many orders had no lines.
    async fn orders(
        &self,
        run: &JobRun,
        content: &mut Content,
        attempt: &impl Attempt,
    ) -> Result<i64, Failed> {
        let mut without_lines = 0;
        let mut after = String::new();
        loop {
            let page = orders_of_day(&self.store, run.date, &after, PAGE_ORDERS).await?;
            let Some(last) = page.last() else {
                return Ok(without_lines);
            };
            last.id.clone_into(&mut after);
            for order in &page {
                without_lines += i64::from(order.lines.is_empty());
                content.add_order(order).map_err(local)?;
            }
            self.progress(run, attempt).await?;
        }
    }

    async fn rows(
        &self,
        origin: &Origin,
        run: &JobRun,
        content: &mut Content,
        attempt: &impl Attempt,
    ) -> Result<(), Failed> {
        let mut after = String::new();
        loop {
            let page = match origin {
                Origin::Orders => return Ok(()),
                Origin::Query(query) => query.page(run.date, &after, PAGE_ROWS).await,
                Origin::Postgres(query) => query.page(run.date, &after, PAGE_ROWS).await,
            };
            let (lines, has_more) = page.map_err(RunError::Outside)?;
            for line in &lines {
                content.add_line(line).map_err(local)?;
            }
            match lines.last() {
                Some(last) if has_more => last.order.clone_into(&mut after),
                _ => return Ok(()),
            }
            self.progress(run, attempt).await?;
        }
    }

    async fn progress(&self, run: &JobRun, attempt: &impl Attempt) -> Result<(), RunError> {
        let now = attempt.now().ok_or(RunError::OutOfTime)?;
        self.store
            .transact(async |tx: &Tx| run.note_progress(tx, now).await)
            .await?;
        Ok(())
    }

    /// False where the file is there as it would be written, or there is nothing to write.
    async fn write(
        &self,
        date: Day,
        before: Option<Export>,
        file: &Finished,
        now: UtcMillis,
    ) -> Result<bool, Failed> {
        let address = FileAddress::new(&self.bucket, &export_key(date)).map_err(Failed::Files)?;
        match before {
            None if file.export.lines_written == 0 => return Ok(false),
            Some(export) if export == file.export => match self.files.head(&address).await {
                Ok(_) => return Ok(false),
                Err(FileError::NotFound) => {}
                Err(error) => return Err(Failed::Files(error)),
            },
            _ => {}
        }
        let put = self.files.put_file(&address, file.path(), "text/csv");
        put.await.map_err(Failed::Files)?;
        let info = self.files.head(&address).await.map_err(Failed::Files)?;
        let version = FileVersion {
            bucket: address.bucket().to_owned(),
            key: address.key().to_owned(),
            modified_ms: info.modified_ms,
            etag: info.etag,
            size_bytes: info.size_bytes,
        };
        sales_export::note_export(&self.store, date, &file.export, &version, now).await?;
        Ok(true)
    }
}

fn local(error: io::Error) -> Failed {
    tracing::error!(%error, "the temporary folder can't be written");
    Failed::Local
}

impl Handler for ExportSales {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let attempt = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let work = async |job: &mut JobRun| {
            let exported = self.export(job, run.accepts_empty, &attempt).await;
            exported.map_err(RunError::from)
        };
        let (store, job) = (&self.store, &SALES_EXPORT);
        let outcome = jobs::run(store, job, run.date, run.again, &attempt, work).await;
        report(job, run, outcome)
    }
}
