//! Scheduled functions. The schedule passes its own time, so that a retry works for the same
//! logical date; a command may name another date.

use std::process::ExitCode;

use contracts::fields::Fields;
use domain::time::{Day, UtcMillis};
use serde::Serialize;
use serde_json::Value;

use crate::{Aftercare, Invocation, InvocationFailed, StartError, runtime};

/// What a schedule or an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduledRun {
    /// The logical date: the São Paulo day of the scheduled time, or the one that was named.
    pub date: Day,
    /// Do again what was done for the date (`"refazer": true`).
    pub again: bool,
    /// A source that has nothing any more is believed (`"aceitar_vazio": true`).
    pub accepts_empty: bool,
}

/// A function that a schedule starts.
pub trait Handler {
    /// What it answers with, for the operator.
    type Answer: Serialize;

    /// Does the work of one date.
    fn handle(
        &self,
        run: ScheduledRun,
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Self::Answer, InvocationFailed>>;
}

/// Runs the function until Lambda ends it.
pub async fn run<P, H, S>(function: &'static str, start: S) -> ExitCode
where
    P: Aftercare,
    H: Handler,
    S: AsyncFnOnce() -> Result<(P, H), StartError>,
{
    runtime::serve(
        function,
        async || start().await.map(runtime::Started),
        async |runtime::Started((_, handler)): &runtime::Started<P, H>,
               payload,
               invocation: &Invocation| {
            handler.handle(read(&payload)?, invocation).await
        },
    )
    .await
}

/// Reads `{"horario": "<time>"}` or `{"data": "<date>"}`, with an optional `refazer` and
/// `aceitar_vazio`. A schedule whose job works for the day that is over says so: `"vespera": true`.
///
/// # Errors
/// Names the field that is wrong.
pub fn read(payload: &Value) -> Result<ScheduledRun, InvocationFailed> {
    let failed = |bad: contracts::fields::BadMessage| {
        InvocationFailed::new(format!(
            "{}: {} {}",
            bad.code,
            bad.field.unwrap_or("payload"),
            bad.rule
        ))
    };
    let fields = Fields::of(payload, "payload").map_err(failed)?;
    let named = fields.parse_optional("data", Day::parse).map_err(failed)?;
    let date = match named {
        Some(date) => date,
        None => {
            let today = fields
                .parse("horario", UtcMillis::parse)
                .map_err(failed)?
                .day();
            if fields.value("vespera") == Some(&Value::Bool(true)) {
                today.previous()
            } else {
                today
            }
        }
    };
    let says = |name| fields.value(name) == Some(&Value::Bool(true));
    Ok(ScheduledRun {
        date,
        again: says("refazer"),
        accepts_empty: says("aceitar_vazio"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_logical_date_is_the_sao_paulo_day_of_the_scheduled_time() {
        let run = read(&json!({"horario": "2026-11-20T02:00:00Z"})).unwrap();
        assert_eq!(
            (run.date.to_string().as_str(), run.again),
            ("2026-11-19", false)
        );
        let named =
            json!({"horario": "2026-11-20T02:00:00Z", "data": "2026-01-31", "refazer": true});
        let run = read(&named).unwrap();
        assert_eq!(
            (run.date.to_string().as_str(), run.again),
            ("2026-01-31", true)
        );
    }

    #[test]
    fn a_job_for_the_day_that_is_over_says_so_and_a_named_date_is_that_date() {
        let schedule = json!({"horario": "2026-11-20T04:30:00Z", "vespera": true});
        assert_eq!(read(&schedule).unwrap().date.to_string(), "2026-11-19");
        let named = json!({"data": "2026-01-31", "vespera": true});
        assert_eq!(read(&named).unwrap().date.to_string(), "2026-01-31");
    }

    #[test]
    fn a_payload_without_a_date_is_refused_by_name() {
        for (payload, field) in [
            (json!({}), "horario"),
            (json!({"data": "31/01/2026"}), "data"),
            (json!({"horario": 5}), "horario"),
            (json!([]), "payload"),
        ] {
            assert!(
                read(&payload).unwrap_err().code.contains(field),
                "{payload}"
            );
        }
    }
}
