//! What an operator runs: migrate, run, rerun, pause, backfill, verify, replay, history.
//!
//! Jobs are started in their own functions, so that this one needs none of their rights; the ledger
//! tells what became of them (`historico`).

mod batches;
mod command;
mod graph;
mod replay;
mod shop;
mod telesales;

use std::collections::BTreeMap;

use contracts::fields::BadMessage;
use documents::{Documents, DocumentsError};
use domain::jobs::{Job, Ledger, RunStatus};
use domain::time::{Day, UtcMillis};
use invocations::Invoker;
use lambda_kit::direct::Handler;
use lambda_kit::{Invocation, InvocationFailed, SealKey, metrics};
use queues::Queues;
use serde_json::{Map, Value, json};
use sql_store::jobs::LedgerRow;
use sql_store::mgm::audit::{BrokenLink, Place, Verdict, verify};
use sql_store::{Store, StoreError, jobs};

pub use batches::{FailedBatches, REPLAY_TIMEOUT};
pub use command::{Command, MOST_DAYS, MOST_REPLAYED, MOST_RUNS};
pub use replay::DeadLetterRoutes;
pub use shop::ShopSettings;
pub use telesales::Telesales;

use shop::Shop;

/// Time kept for ending a replay, in milliseconds.
const RESERVE_MS: i64 = 10_000;

/// The functions that the schedules start, by job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFunctions(BTreeMap<String, String>);

impl JobFunctions {
    /// From `JOB_FUNCTIONS` and those of telesales, of the warehouse and of stock: `{"<job>": "<function>"}`
    /// each.
    ///
    /// # Errors
    /// When one is anything else.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut all = BTreeMap::new();
        for text in texts {
            let more: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| {
                "JOB_FUNCTIONS must be a JSON object of function names by job: mend it in \
                 template.yaml"
            })?;
            all.extend(more);
        }
        Ok(Self(all))
    }
}

/// The handler of direct invocations.
pub struct RunCommand {
    /// Database 1.
    pub store: Store,
    /// Profiles and clicks, where they are.
    pub documents: Documents,
    /// Whose the customers are, and where their events go.
    pub settings: ShopSettings,
    /// Database 2, where there is one.
    pub telesales: Option<Telesales>,
    /// Where dead letters lie.
    pub queues: Queues,
    /// Opens sealed ones.
    pub seal_key: SealKey,
    /// From where to where they are replayed.
    pub dead_letter_routes: DeadLetterRoutes,
    /// Batches that failed for good; none where no files are kept.
    pub batches: Option<FailedBatches>,
    /// Starts jobs; none where there is no Lambda to ask.
    pub invoker: Option<Invoker>,
    /// Which function does which job.
    pub job_functions: JobFunctions,
    /// Tells how much time is left.
    pub clock: fn() -> UtcMillis,
}

impl Handler for RunCommand {
    type Answer = Value;

    async fn handle(
        &self,
        payload: Value,
        invocation: &Invocation,
    ) -> Result<Value, InvocationFailed> {
        match Command::read(&payload).map_err(refused)? {
            Command::Migrate => self.migrate(invocation.now).await,
            Command::Run {
                job,
                date,
                again,
                accepts_empty,
            } => {
                let date = date.unwrap_or_else(|| invocation.now.day());
                let mut event = event_of(date, again, invocation.now);
                if accepts_empty {
                    event.insert("aceitar_vazio".to_owned(), true.into());
                }
                self.start(job, event).await?;
                Ok(json!({"job": job.name, "data": date.to_string(), "situacao": "iniciado"}))
            }
            Command::Graph {
                graph,
                date,
                starts,
            } => {
                let date = date.unwrap_or_else(|| invocation.now.day().previous());
                self.graph(graph, date, starts, invocation.now).await
            }
            Command::Pause { job, paused } => self.pause(job, paused, invocation.now).await,
            Command::Backfill {
                job,
                dates,
                dry_run,
            } => self.backfill(job, &dates, dry_run, invocation.now).await,
            Command::Verify => self.verify().await,
            Command::Replay { queue, most } => self.replay(&queue, most, invocation).await,
            Command::ReplayBatches { most } => self.replay_batches(most, invocation).await,
            Command::AnnounceCustomers { after, most } => {
                let clock = || self.time_for_more(invocation);
                self.shop().announce(after.as_ref(), most, clock).await
            }
            Command::DeleteCustomer { customer } => {
                self.shop().delete(&customer, invocation.now).await
            }
            Command::Conflicts { after, most } => self.shop().conflicts(after.as_ref(), most).await,
            Command::SettleConflict { conflict, takes } => {
                let now = invocation.now;
                self.shop().settle(&conflict, takes, now).await
            }
            Command::History {
                job,
                from,
                to,
                most,
            } => {
                let runs = self.history(job, from, to, most).await?;
                let runs: Vec<Value> = runs
                    .iter()
                    .map(|run| run_body(run, invocation.now))
                    .collect();
                Ok(json!({"job": job.name, "execucoes": runs}))
            }
        }
    }
}

impl RunCommand {
    const fn shop(&self) -> Shop<'_> {
        Shop {
            store: &self.store,
            documents: &self.documents,
            queues: &self.queues,
            settings: &self.settings,
        }
    }

    async fn migrate(&self, now: UtcMillis) -> Result<Value, InvocationFailed> {
        let applied = sql_store::migrate::migrate(&self.store, now)
            .await
            .map_err(store_failed)?;
        self.documents.migrate().await.map_err(documents_failed)?;
        let mut answer = json!({"aplicadas": applied});
        if let (Some(telesales), Some(answer)) = (&self.telesales, answer.as_object_mut()) {
            let applied = telesales.migrate(now).await.map_err(store_failed)?;
            answer.insert("aplicadas_televendas".to_owned(), json!(applied));
        }
        Ok(answer)
    }

    async fn verify(&self) -> Result<Value, InvocationFailed> {
        let verdict = verify(&self.store).await.map_err(store_failed)?;
        if let Some(BrokenLink { place, problem }) = &verdict.broken {
            metrics::count("AuditBroken", 1);
            tracing::error!(?place, %problem, "the audit is broken");
        }
        let mut answer = verdict_body(&verdict);
        if let (Some(telesales), Some(answer)) = (&self.telesales, answer.as_object_mut()) {
            let receipts = telesales.verify().await.map_err(store_failed)?;
            answer.insert("recibos".to_owned(), receipts);
        }
        Ok(answer)
    }

    /// The database that holds the job's ledger.
    fn ledger(&self, job: &Job) -> Result<&Store, InvocationFailed> {
        match (job.ledger(), &self.telesales) {
            (Ledger::Shop, _) => Ok(&self.store),
            (Ledger::Telesales, Some(telesales)) => Ok(telesales.store()),
            (Ledger::Telesales, None) => Err(InvocationFailed::new(
                "sem_televendas: this stack has no database 2",
            )),
        }
    }

    /// Lambda queues the event: the ledger's lease keeps two runs for one date apart.
    async fn start(&self, job: &Job, event: Map<String, Value>) -> Result<(), InvocationFailed> {
        let function = self.job_functions.0.get(job.name);
        let (Some(function), Some(invoker)) = (function, &self.invoker) else {
            return Err(InvocationFailed::new(
                "job_sem_funcao: no function does this job here",
            ));
        };
        invoker
            .invoke_async(function, Value::Object(event).to_string().into_bytes())
            .await
            .map_err(|error| InvocationFailed::new(format!("job_nao_iniciado: {error}")))
    }

    async fn pause(
        &self,
        job: &Job,
        paused: bool,
        now: UtcMillis,
    ) -> Result<Value, InvocationFailed> {
        let ledger = self.ledger(job)?;
        let changed = if paused {
            jobs::pause(ledger, job.name, now).await
        } else {
            jobs::resume(ledger, job.name).await
        };
        let changed = changed.map_err(store_failed)?;
        Ok(json!({"job": job.name, "pausado": paused, "mudou": changed}))
    }

    async fn backfill(
        &self,
        job: &Job,
        dates: &[Day],
        dry_run: bool,
        now: UtcMillis,
    ) -> Result<Value, InvocationFailed> {
        let (from, to) = (dates.first().copied(), dates.last().copied());
        let most = u32::try_from(dates.len()).unwrap_or(u32::MAX);
        let runs = self.history(job, from, to, most).await?;
        let mut answers = Vec::with_capacity(dates.len());
        for date in dates {
            let day = date.to_string();
            let run = runs.iter().find(|run| run.logical_date == day);
            let status = run.map(|run| run.status_at(now));
            let starts = status.is_none_or(|status| status.may_start(false));
            let before = status.map_or("nunca", status_word);
            if starts && !dry_run {
                self.start(job, event_of(*date, false, now)).await?;
            }
            answers.push(json!({"data": day, "antes": before, "inicia": starts}));
        }
        Ok(json!({"job": job.name, "simulado": dry_run, "datas": answers}))
    }

    async fn replay(
        &self,
        queue: &str,
        most: u32,
        invocation: &Invocation,
    ) -> Result<Value, InvocationFailed> {
        let route = self.dead_letter_routes.of(queue).ok_or_else(|| {
            let names = self.dead_letter_routes.names();
            InvocationFailed::new(format!("campo_invalido: fila must be one of {names}"))
        })?;
        let clock = || self.time_for_more(invocation);
        let replay = replay::Replay {
            queues: &self.queues,
            documents: &self.documents,
            telesales: self.telesales.as_ref(),
            invoker: self.invoker.as_ref(),
            batches: self.batches.as_ref(),
            started: invocation.now.to_string(),
            key: &self.seal_key,
            route,
        };
        replay
            .run(most, clock)
            .await
            .map(|replayed| replayed.answer())
            .map_err(|error| InvocationFailed::new(format!("fila_falhou: {error}")))
    }

    async fn replay_batches(
        &self,
        most: u32,
        invocation: &Invocation,
    ) -> Result<Value, InvocationFailed> {
        let Some(batches) = &self.batches else {
            return Err(InvocationFailed::new(
                "sem_lotes: no files of failed batches are kept here",
            ));
        };
        let clock = || self.time_for_more(invocation);
        let replayed = batches.replay(most, clock).await;
        replayed.map_err(|error| InvocationFailed::new(format!("arquivos_falharam: {error}")))
    }

    /// The time, while there is enough left for another step.
    fn time_for_more(&self, invocation: &Invocation) -> Option<UtcMillis> {
        let now = (self.clock)();
        (now.plus_millis(RESERVE_MS) < invocation.deadline).then_some(now)
    }

    async fn history(
        &self,
        job: &Job,
        from: Option<Day>,
        to: Option<Day>,
        most: u32,
    ) -> Result<Vec<LedgerRow>, InvocationFailed> {
        let day = |text| Day::parse(text).map_err(|bad| InvocationFailed::new(bad.rule));
        let from = from.map_or_else(|| day("1970-01-01"), Ok)?;
        let to = to.map_or_else(|| day("9998-12-31"), Ok)?;
        jobs::history(self.ledger(job)?, job.name, from, to, most)
            .await
            .map_err(store_failed)
    }
}

/// The event that starts a job for a date.
fn event_of(date: Day, again: bool, now: UtcMillis) -> Map<String, Value> {
    [
        ("horario".to_owned(), now.to_string().into()),
        ("data".to_owned(), date.to_string().into()),
        ("refazer".to_owned(), again.into()),
    ]
    .into_iter()
    .collect()
}

fn refused(bad: BadMessage) -> InvocationFailed {
    let field = bad.field.unwrap_or("payload");
    InvocationFailed::new(format!("{}: {field} {}", bad.code, bad.rule))
}

fn store_failed(error: StoreError) -> InvocationFailed {
    InvocationFailed::new(format!("banco_falhou: {error}"))
}

fn documents_failed(error: DocumentsError) -> InvocationFailed {
    match error {
        DocumentsError::Store(error) => store_failed(error),
        error => InvocationFailed::new(format!("documentos_falharam: {error}")),
    }
}

const fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Done => "feito",
        RunStatus::Running => "em_execucao",
        RunStatus::Failed => "falhou",
    }
}

fn run_body(run: &LedgerRow, now: UtcMillis) -> Value {
    let time = |millis: i64| UtcMillis::new(millis).map(|time| time.to_string()).ok();
    let counts: Value = serde_json::from_str(&run.counts).unwrap_or(Value::Null);
    json!({
        "data": run.logical_date,
        "situacao": status_word(run.status_at(now)),
        "tentativa": run.attempt,
        "iniciado_em": time(run.started_ms),
        "terminado_em": run.finished_ms.and_then(time),
        "contagens": counts,
        "erro": run.error,
    })
}

fn verdict_body(verdict: &Verdict) -> Value {
    let broken = verdict.broken.as_ref().map(|broken| match &broken.place {
        Place::Chain {
            entity,
            id,
            version,
        } => json!({"entidade": entity, "id": id,
            "versao": version, "problema": broken.problem.to_string()}),
        Place::Anchor { day } => {
            json!({"ancora": day, "problema": broken.problem.to_string()})
        }
    });
    json!({
        "integro": broken.is_none(),
        "cadeias": verdict.chains,
        "elos": verdict.links,
        "ancoras": verdict.anchors,
        "primeiro_elo_quebrado": broken,
    })
}
