//! What a scheduled function tells the operator of its run.

use std::collections::BTreeMap;

use domain::jobs::NotStarted;
use serde::Serialize;

/// `{"job":"…","data":"2026-11-20","situacao":"feito","contagens":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobReport {
    /// The job.
    pub job: &'static str,
    /// Its logical date.
    pub data: String,
    /// `feito`, or why there was nothing to do: `ja_feito`, `em_execucao`, `pausado`.
    pub situacao: &'static str,
    /// What was counted.
    pub contagens: BTreeMap<String, i64>,
}

/// The word for a run that did not start and is no failure; a run that waits for another job is
/// one, so that the schedule tries again.
#[must_use]
pub const fn not_started(reason: NotStarted) -> Option<&'static str> {
    match reason {
        NotStarted::AlreadyDone => Some("ja_feito"),
        NotStarted::Running => Some("em_execucao"),
        NotStarted::Paused => Some("pausado"),
        NotStarted::Waiting(_) => None,
    }
}
