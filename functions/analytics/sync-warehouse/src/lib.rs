//! The job vendas_sincronizar_armazem: the lake's new files into Redshift, table by table.

mod copy;

pub use copy::CopyByManifest;

use cold_start::scheduled_job::{UntilDeadline, report};
use contracts::jobs::JobReport;
use domain::{
    jobs::VENDAS_SINCRONIZAR_ARMAZEM,
    lake::{Snapshot, Table},
    time::UtcMillis,
};
use lambda_kit::{
    Invocation, InvocationFailed,
    schedule::{Handler, ScheduledRun},
};
use sql_store::{
    Store, Tx,
    jobs::{self, Attempt, JobError, JobRun, RunError},
    lake::{self, FilesError},
};
use warehouse::{
    Warehouse, WarehouseError,
    sync::{LiveFiles, LoadStep, Synced, sources, sync},
};

/// Time kept for the table at hand and for ending an attempt, in milliseconds.
const RESERVE_MS: i64 = 30_000;
/// In this order, one transaction each.
const TARGETS: [Table; 4] = [
    Table::Sales,
    Table::CustomerEvents,
    Table::Stock,
    Table::MostViewed,
];

/// The handler of the schedule.
pub struct SyncWarehouse<S> {
    store: Store,
    warehouse: Warehouse,
    step: S,
    clock: fn() -> UtcMillis,
}

impl<S: LoadStep> SyncWarehouse<S> {
    /// Reads the catalogue in `store`; `step` brings files into the warehouse, `clock` tells how much
    /// time is left.
    #[must_use]
    pub const fn new(
        store: Store,
        warehouse: Warehouse,
        step: S,
        clock: fn() -> UtcMillis,
    ) -> Self {
        Self {
            store,
            warehouse,
            step,
            clock,
        }
    }

    async fn sync_all(
        &self,
        run: &mut JobRun,
        attempt: &impl Attempt,
    ) -> Result<UtcMillis, RunError> {
        let mut now = attempt.now().ok_or(RunError::OutOfTime)?;
        for target in TARGETS {
            // What an attempt has synced, the next one finds synced.
            // On the heap: the compiler gives up on a future this deep.
            let synced = Box::pin(self.sync_table(target)).await?;
            now = attempt.now().ok_or(RunError::OutOfTime)?;
            for (name, count) in [
                ("arquivos_novos", synced.added as u64),
                ("arquivos_encerrados", synced.ended as u64),
                ("linhas_apagadas", synced.deleted_rows),
                ("linhas_inseridas", synced.inserted_rows),
            ] {
                *run.counts.entry(name.to_owned()).or_default() +=
                    i64::try_from(count).unwrap_or(i64::MAX);
            }
            self.store
                .transact(async |tx: &Tx| run.note_progress(tx, now).await)
                .await?;
        }
        Ok(now)
    }

    async fn sync_table(&self, target: Table) -> Result<Synced, RunError> {
        let tables = sources(target);
        let Some(snapshot) = lake::latest(&self.store, tables).await? else {
            return Ok(Synced::default());
        };
        let mut live = Vec::with_capacity(tables.len());
        for &table in tables {
            let files = lake::files_at(&self.store, table, snapshot.id)
                .await
                .map_err(|error| match error {
                    FilesError::SnapshotGone => RunError::Outside("instantaneo_vencido"),
                    FilesError::Store(error) => RunError::Job(JobError::Store(error)),
                })?;
            live.push(LiveFiles { table, files });
        }
        self.bring(target, &live, snapshot).await
    }

    async fn bring(
        &self,
        target: Table,
        live: &[LiveFiles],
        snapshot: Snapshot,
    ) -> Result<Synced, RunError> {
        let (warehouse, step) = (&self.warehouse, &self.step);
        sync(warehouse, step, target, live, snapshot)
            .await
            .map_err(|error| {
                tracing::error!(%error, table = target.name(), "the warehouse was not synced");
                RunError::Outside(match error {
                    WarehouseError::Unreachable => "armazem_sem_resposta",
                    WarehouseError::Load(_) => "carga_falhou",
                    _ => "armazem_recusou",
                })
            })
    }
}

impl<S: LoadStep> Handler for SyncWarehouse<S> {
    type Answer = JobReport;

    async fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> Result<JobReport, InvocationFailed> {
        let attempt = UntilDeadline::of(invocation, self.clock, RESERVE_MS);
        let job = &VENDAS_SINCRONIZAR_ARMAZEM;
        let work = async |job_run: &mut JobRun| self.sync_all(job_run, &attempt).await;
        let outcome = jobs::run(&self.store, job, run.date, run.again, &attempt, work).await;
        report(job, run, outcome)
    }
}
