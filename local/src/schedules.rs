//! Fires the template's schedules.
//!
//! The last firing is kept: what was due while nothing ran fires once at the next start, for the
//! latest instant that was missed, and never twice.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::bundle::Schedule;
use crate::events::schedule::payload;
use crate::invoker::Invoker;
use crate::processes::new_request_id;
use crate::terminal::note;

/// A sleeping laptop is noticed this soon after it wakes up.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// A schedule that was forgotten for long is caught up in so many steps at most.
const CATCH_UP_STEPS: usize = 1_000_000;

/// Fires one schedule until the instance stops.
pub async fn run(schedule: Schedule, invoker: Arc<Invoker>, mut stopping: watch::Receiver<bool>) {
    let mut last = match first_mark(&schedule, &invoker).await {
        Ok(last) => last,
        Err(error) => return note(&format!("schedule {}: {error}", schedule.name)),
    };
    loop {
        let Ok(Some(next)) = schedule.written.next_after(last) else {
            return;
        };
        let now = Timestamp::now();
        if next > now {
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or(LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep(wait.min(LONGEST_SLEEP)) => continue,
                _changed = stopping.changed() => return,
            }
        }
        let due = latest_due(&schedule, next, now);
        match fire(&schedule, &invoker, due).await {
            Ok(()) => last = due,
            Err(error) => {
                note(&format!("schedule {}: {error}", schedule.name));
                tokio::time::sleep(LONGEST_SLEEP).await;
            }
        }
    }
}

/// The last firing; a schedule that was never seen counts from now.
async fn first_mark(schedule: &Schedule, invoker: &Invoker) -> Result<Timestamp, sea_orm::DbErr> {
    let journal = invoker.journal();
    if let Some(fired_ms) = journal.last_fired_ms(&schedule.id).await? {
        return Ok(Timestamp::from_millisecond(fired_ms).unwrap_or_else(|_| Timestamp::now()));
    }
    let now = Timestamp::now();
    journal
        .fired(&schedule.id, now.as_millisecond(), None)
        .await?;
    Ok(now)
}

/// The latest instant up to `now`, from `first` on.
fn latest_due(schedule: &Schedule, first: Timestamp, now: Timestamp) -> Timestamp {
    let mut due = first;
    for _step in 0..CATCH_UP_STEPS {
        match schedule.written.next_after(due) {
            Ok(Some(next)) if next <= now => due = next,
            _ => break,
        }
    }
    due
}

async fn fire(
    schedule: &Schedule,
    invoker: &Arc<Invoker>,
    due: Timestamp,
) -> Result<(), sea_orm::DbErr> {
    let event = payload(schedule, due, &new_request_id());
    let work = Invoker::new_work(&schedule.function, event, schedule.dead_letters.clone());
    let now_ms = Timestamp::now().as_millisecond();
    let started = Some((&work, now_ms));
    invoker
        .journal()
        .fired(&schedule.id, due.as_millisecond(), started)
        .await?;
    invoker.begin(work);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(expression: &str) -> Schedule {
        Schedule {
            id: "F.Each".to_owned(),
            name: "F-Each".to_owned(),
            job: None,
            function: "F".to_owned(),
            written: sam_template::Schedule {
                function: "F".to_owned(),
                event: "Each".to_owned(),
                expression: expression.to_owned(),
                timezone: "America/Sao_Paulo".to_owned(),
                input: None,
                dead_letter: None,
                enabled: true,
            },
            dead_letters: None,
        }
    }

    #[test]
    fn many_missed_firings_become_the_latest_one() {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let sweep = schedule("rate(1 minute)");
        let now = time("2026-11-20T10:00:30Z");
        let first = time("2026-11-20T08:00:00Z");
        assert_eq!(latest_due(&sweep, first, now), time("2026-11-20T10:00:00Z"));
        let daily = schedule("cron(0 3 * * ? *)");
        let first = time("2026-11-18T06:00:00Z");
        assert_eq!(latest_due(&daily, first, now), time("2026-11-20T06:00:00Z"));
    }
}
