//! Running jobs by hand: the function of the job's schedule gets the schedule's own event.

use std::sync::Arc;
use std::time::Duration;

use domain::jobs::{self, Graph, Ledger, PIPELINE_ECOMMERCE, RunStatus, SALES_EXPORT};
use domain::time::{Day, UtcMillis};
use jiff::Timestamp;
use secrets::DatabaseName;
use serde_json::Value;
use sql_store::sales_export::{ExportState, export_state};

use super::{with_functions, with_instance};
use crate::client::Client;
use crate::events::schedule::whole_seconds;
use crate::failure::{Failure, OrFailure};
use crate::instance::Extent;
use crate::progress::while_it_runs;
use crate::project::Project;
use crate::terminal::{answer, note};

/// A backfill covers at most so many days.
const MAX_DAYS: usize = 3_660;
/// How often it is looked whether the exported file is loaded.
const LOAD_LOOKS: u32 = 1_200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Dates from one to another, both included.
pub(super) struct Range(Vec<Day>);

impl Range {
    /// Reads two dates.
    pub(super) fn parse(from: &str, to: &str) -> Result<Self, Failure> {
        let (from, to) = (day(from)?, day(to)?);
        let mut days = Vec::new();
        let mut next = from;
        while next <= to {
            if days.len() == MAX_DAYS {
                return Err(Failure::mend(format!(
                    "a backfill covers at most {MAX_DAYS} days"
                )));
            }
            days.push(next);
            next = next.next();
        }
        if days.is_empty() {
            return Err(Failure::mend(format!("--from {from} lies after --to {to}")));
        }
        Ok(Self(days))
    }
}

fn day(text: &str) -> Result<Day, Failure> {
    Day::parse(text).or_mend(|| format!("the date {text:?}"))
}

fn now() -> Result<UtcMillis, Failure> {
    UtcMillis::new(Timestamp::now().as_millisecond())
        .map_err(|_| Failure::work("the clock of this machine is wrong"))
}

/// How a job is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// What was done is done once more.
    pub(super) again: bool,
    /// A source that has nothing any more is believed.
    pub(super) accepts_empty: bool,
}

/// Runs a job, or all jobs of a graph, for one date.
pub(super) async fn run(
    project: Arc<Project>,
    job: &str,
    date: Option<&str>,
    how: How,
) -> Result<(), Failure> {
    let date = date.map(day).transpose()?;
    let today = now()?.day();
    if let Some(date) = date.filter(|date| *date > today) {
        return Err(Failure::mend(format!(
            "--date {date} lies after today, which is {today} in São Paulo"
        )));
    }
    if job == PIPELINE_ECOMMERCE.name {
        let date = date.unwrap_or_else(|| today.previous());
        return run_graph(project, &PIPELINE_ECOMMERCE, date, how).await;
    }
    let function = function_of(&project, job)?;
    with_functions(project, async |client: &Client| {
        run_one(client, &function, job, date, how).await
    })
    .await
}

/// Runs the jobs of a graph, each once what comes before it is done; those that no function does in
/// this bundle are left out.
async fn run_graph(
    project: Arc<Project>,
    graph: &Graph,
    date: Day,
    how: How,
) -> Result<(), Failure> {
    let jobs: Vec<(&str, String)> = graph
        .jobs
        .iter()
        .filter_map(|job| Some((job.name, function_of(&project, job.name).ok()?)))
        .collect();
    // The exported file is loaded by who listens to files.
    let extent = Extent::Everything { port: 0 };
    with_instance(Arc::clone(&project), extent, async |client: &Client| {
        for (job, function) in &jobs {
            run_one(client, function, job, Some(date), how).await?;
            if *job == SALES_EXPORT.name {
                await_load(&project, date).await?;
            }
        }
        Ok(())
    })
    .await
}

/// Until the date's exported file is loaded.
async fn await_load(project: &Project, date: Day) -> Result<(), Failure> {
    let store = project.store(DatabaseName::Shop).await?;
    for _ in 0..LOAD_LOOKS {
        let state = export_state(&store, date).await;
        match state.or_mend(|| "the ledger of loads cannot be read".to_owned())? {
            ExportState::Nothing | ExportState::Loaded(_) => return Ok(()),
            ExportState::Refused => {
                return Err(Failure::work(format!(
                    "the file that was exported for {date} was refused; its report says why"
                )));
            }
            ExportState::Waiting => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
    Err(Failure::work(format!(
        "the file that was exported for {date} was not loaded within five minutes"
    )))
}

/// Runs a job for each date.
pub(super) async fn backfill(
    project: Arc<Project>,
    job: &str,
    range: Range,
    dry_run: bool,
    again: bool,
) -> Result<(), Failure> {
    let function = function_of(&project, job)?;
    if dry_run {
        return plan(&project, job, &range, again).await;
    }
    with_functions(project, async |client: &Client| {
        let all = range.0.len();
        let mut failed = 0;
        for (done, date) in range.0.iter().enumerate() {
            note(&format!("{} of {all} dates:", done + 1));
            let how = How {
                again,
                accepts_empty: false,
            };
            if let Err(failure) = run_one(client, &function, job, Some(*date), how).await {
                note(&failure.sentence);
                failed += 1;
            }
        }
        match failed {
            0 => Ok(()),
            _ => Err(Failure::work(format!(
                "{failed} of {all} dates failed; run it again for them"
            ))),
        }
    })
    .await
}

/// What a backfill would do, by the ledger.
async fn plan(project: &Project, job: &str, range: &Range, again: bool) -> Result<(), Failure> {
    let known = jobs::ALL.iter().find(|known| known.name == job);
    let database = match known.map(jobs::Job::ledger) {
        Some(Ledger::Telesales) => DatabaseName::Telesales,
        Some(Ledger::Shop) | None => DatabaseName::Shop,
    };
    let store = project.store(database).await?;
    let (Some(first), Some(last)) = (range.0.first(), range.0.last()) else {
        return Ok(());
    };
    let limit = u32::try_from(range.0.len()).unwrap_or(u32::MAX);
    let history = sql_store::jobs::history(&store, job, *first, *last, limit).await;
    let history = history.or_mend(|| {
        format!(
            "the job ledger of {} cannot be read; `migrate` first",
            project.database_name(database)
        )
    })?;
    let now = now()?;
    for date in &range.0 {
        let row = history
            .iter()
            .find(|row| row.logical_date == date.to_string());
        let fate = match row.map(|row| row.status_at(now)) {
            Some(RunStatus::Done) if !again => "done before, would be left alone",
            Some(RunStatus::Done) => "done before, would run once more",
            Some(RunStatus::Running) => "running",
            Some(RunStatus::Failed) => "failed before, would run",
            None => "would run",
        };
        answer(&format!("{job} {date}: {fate}"));
    }
    Ok(())
}

async fn run_one(
    client: &Client,
    function: &str,
    job: &str,
    date: Option<Day>,
    how: How,
) -> Result<(), Failure> {
    let mut event = serde_json::Map::new();
    let mut set = |name: &str, value: Value| event.insert(name.to_owned(), value);
    set("horario", whole_seconds(Timestamp::now()).into());
    if let Some(date) = date {
        set("data", date.to_string().into());
    }
    if how.again {
        set("refazer", true.into());
    }
    if how.accepts_empty {
        set("aceitar_vazio", true.into());
    }
    let event = Value::Object(event).to_string();
    let what = date.map_or_else(|| job.to_owned(), |date| format!("{job} {date}"));
    let invocation = while_it_runs(&what, client.invoke(function, event.into_bytes())).await?;
    let text = String::from_utf8_lossy(&invocation.payload).into_owned();
    if invocation.is_failure {
        return Err(Failure::work(format!("{job} failed: {text}")));
    }
    let report: Option<Value> = serde_json::from_slice(&invocation.payload).ok();
    if let Some(line) = report.and_then(|report| told(job, &report)) {
        note(&line);
    }
    answer(&text);
    Ok(())
}

/// A job's report for people: what became of it and what it counted.
fn told(job: &str, report: &Value) -> Option<String> {
    let text = |name: &str| report.get(name).and_then(Value::as_str);
    let mut line = format!("{job} {}: {}", text("data")?, text("situacao")?);
    let counts = report.get("contagens").and_then(Value::as_object);
    for (name, count) in counts.into_iter().flatten() {
        line = format!("{line}, {name} {count}");
    }
    Some(line)
}

/// The function whose schedule carries the job.
fn function_of(project: &Project, job: &str) -> Result<String, Failure> {
    let schedules = &project.bundle.schedules;
    let found = schedules
        .iter()
        .find(|schedule| schedule.job.as_deref() == Some(job));
    found
        .map(|schedule| schedule.function.clone())
        .ok_or_else(|| {
            let known: Vec<&str> = schedules.iter().filter_map(|s| s.job.as_deref()).collect();
            Failure::mend(format!(
                "there is no job {job}; there are {}",
                known.join(", ")
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_told_with_its_counts() {
        let report = json!({"job": "mgm_set_promoters", "data": "2026-11-20", "situacao": "feito",
            "contagens": {"clientes": 12, "promotores": 3}});
        let line = told("mgm_set_promoters", &report);
        let expected = "mgm_set_promoters 2026-11-20: feito, clientes 12, promotores 3";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(told("other", &json!({"event": 1})), None);
    }
}
