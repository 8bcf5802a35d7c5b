//! What a schedule hands to its function.
//!
//! Source: EventBridge Scheduler user guide, "Context attributes" and "Templated targets".

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bundle::{LOCAL_ACCOUNT, LOCAL_REGION, Schedule};

/// The payload of one firing. `scheduled` is the instant it was due, to the second.
pub fn payload(schedule: &Schedule, scheduled: Timestamp, execution_id: &str) -> Vec<u8> {
    let instant = whole_seconds(scheduled);
    match &schedule.written.input {
        Some(input) => input
            .replace("<aws.scheduler.scheduled-time>", &instant)
            .replace("<aws.scheduler.execution-id>", execution_id)
            .replace("<aws.scheduler.attempt-number>", "1")
            .replace("<aws.scheduler.schedule-arn>", &arn(schedule))
            .into_bytes(),
        None => default_event(schedule, &instant, execution_id)
            .to_string()
            .into_bytes(),
    }
}

fn default_event(schedule: &Schedule, instant: &str, execution_id: &str) -> Value {
    json!({
        "version": "0",
        "id": execution_id,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": LOCAL_ACCOUNT,
        "time": instant,
        "region": LOCAL_REGION,
        "resources": [arn(schedule)],
        "detail": "{}",
    })
}

fn arn(schedule: &Schedule) -> String {
    let name = &schedule.name;
    format!("arn:aws:scheduler:{LOCAL_REGION}:{LOCAL_ACCOUNT}:schedule/default/{name}")
}

/// `2026-11-20T06:00:00Z`: the form in which Scheduler writes times.
pub fn whole_seconds(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(input: Option<&str>) -> Schedule {
        Schedule {
            id: "F.Daily".to_owned(),
            name: "F-Daily".to_owned(),
            job: None,
            function: "F".to_owned(),
            written: sam_template::Schedule {
                function: "F".to_owned(),
                event: "Daily".to_owned(),
                expression: "rate(1 day)".to_owned(),
                timezone: "UTC".to_owned(),
                input: input.map(str::to_owned),
                dead_letter: None,
                enabled: true,
            },
            dead_letters: None,
        }
    }

    #[test]
    fn placeholders_are_replaced() {
        let due: Timestamp = "2026-11-20T06:00:00.123Z".parse().expect("a time");
        let input =
            r#"{"horario":"<aws.scheduler.scheduled-time>","e":"<aws.scheduler.execution-id>"}"#;
        let payload = payload(&schedule(Some(input)), due, "x1");
        assert_eq!(
            String::from_utf8_lossy(&payload),
            r#"{"horario":"2026-11-20T06:00:00Z","e":"x1"}"#
        );
    }

    #[test]
    fn without_an_input_the_event_is_scheduler_s_own() {
        let due: Timestamp = "2026-11-20T06:00:00Z".parse().expect("a time");
        let event: Value =
            serde_json::from_slice(&payload(&schedule(None), due, "x1")).expect("JSON");
        assert_eq!(event["source"], "aws.scheduler");
        assert_eq!(event["time"], "2026-11-20T06:00:00Z");
        assert_eq!(event["detail"], "{}");
    }
}
