//! Jobs that belong together, for a date: how each stands, and which comes next.

use domain::jobs::{Graph, Job, RunStatus, SALES_EXPORT};
use domain::time::{Day, UtcMillis};
use lambda_kit::InvocationFailed;
use serde_json::{Value, json};
use sql_store::sales_export::{ExportState, export_state};

use crate::{RunCommand, event_of, run_body, store_failed};

/// Whether what comes after a step may start.
enum Then {
    GoOn,
    Stop,
}

impl RunCommand {
    /// Tells the steps of a graph for a date; with `starts` the first job that was not done is
    /// started, once what comes before it is done. The ledger tells what becomes of it.
    pub(crate) async fn graph(
        &self,
        graph: &Graph,
        date: Day,
        starts: bool,
        now: UtcMillis,
    ) -> Result<Value, InvocationFailed> {
        let mut steps = Vec::new();
        let mut started = None;
        let mut is_open = starts;
        for job in graph.jobs {
            if !self.job_functions.0.contains_key(job.name) {
                steps.push(json!({"etapa": job.name, "situacao": "sem_funcao"}));
                continue;
            }
            let (step, status) = self.job_step(job, date, now).await?;
            if is_open && status != Some(RunStatus::Done) {
                is_open = false;
                if status != Some(RunStatus::Running) {
                    self.start(job, event_of(date, false, now)).await?;
                    started = Some(job.name);
                }
            }
            steps.push(step);
            if *job == SALES_EXPORT {
                let (step, then) = self.load_step(date).await?;
                is_open &= matches!(then, Then::GoOn);
                steps.push(step);
            }
        }
        Ok(json!({
            "grafo": graph.name,
            "data": date.to_string(),
            "etapas": steps,
            "iniciada": started,
        }))
    }

    async fn job_step(
        &self,
        job: &Job,
        date: Day,
        now: UtcMillis,
    ) -> Result<(Value, Option<RunStatus>), InvocationFailed> {
        let runs = self.history(job, Some(date), Some(date), 1).await?;
        let Some(run) = runs.first() else {
            return Ok((json!({"etapa": job.name, "situacao": "nunca"}), None));
        };
        let mut step = run_body(run, now);
        if let Some(step) = step.as_object_mut() {
            step.remove("data");
            step.insert("etapa".to_owned(), job.name.into());
        }
        Ok((step, Some(run.status_at(now))))
    }

    async fn load_step(&self, date: Day) -> Result<(Value, Then), InvocationFailed> {
        let state = export_state(&self.store, date)
            .await
            .map_err(store_failed)?;
        let (word, then) = match state {
            ExportState::Nothing => ("nada_exportado", Then::GoOn),
            ExportState::Loaded(_) => ("carregada", Then::GoOn),
            ExportState::Waiting => ("pendente", Then::Stop),
            ExportState::Refused => ("recusada", Then::Stop),
        };
        Ok((json!({"etapa": "carga", "situacao": word}), then))
    }
}
