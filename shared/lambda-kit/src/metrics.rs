//! Metrics as CloudWatch embedded metric format: one log line an invocation, no client needed.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{collections::BTreeMap, sync::Mutex};

use domain::time::UtcMillis;
use serde_json::{Map, Value, json};

use crate::logging::print_line;

const NAMESPACE: &str = "Feira";

/// A Lambda handles one event at a time, so one collection serves the invocation.
static COUNTS: Mutex<BTreeMap<&'static str, (i64, &'static str)>> = Mutex::new(BTreeMap::new());

/// Adds to a count of this invocation.
pub fn count(name: &'static str, more: i64) {
    add(name, more, "Count");
}

/// Adds a duration in milliseconds.
pub fn millis(name: &'static str, duration_ms: i64) {
    add(name, duration_ms, "Milliseconds");
}

fn add(name: &'static str, more: i64, unit: &'static str) {
    if let Ok(mut counts) = COUNTS.lock() {
        counts.entry(name).or_insert((0, unit)).0 += more;
    }
}

pub(crate) fn flush(function: &str, now: UtcMillis) {
    let counts = COUNTS
        .lock()
        .map(|mut counts| std::mem::take(&mut *counts))
        .unwrap_or_default();
    if let Some(line) = line(function, &counts, now) {
        print_line(&line.to_string());
    }
}

fn line(
    function: &str,
    counts: &BTreeMap<&'static str, (i64, &'static str)>,
    now: UtcMillis,
) -> Option<Value> {
    if counts.is_empty() {
        return None;
    }
    let definitions: Vec<Value> = counts
        .iter()
        .map(|(name, (_, unit))| json!({"Name": name, "Unit": unit}))
        .collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.get(),
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": definitions}
            ]
        }),
    );
    line.insert("function".to_owned(), function.into());
    line.extend(
        counts
            .iter()
            .map(|(name, (value, _))| ((*name).to_owned(), (*value).into())),
    );
    Some(Value::Object(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_follows_the_embedded_metric_format() {
        let counts = BTreeMap::from([("VouchersIssued", (3, "Count"))]);
        let line = line(
            "issue-trip-voucher",
            &counts,
            UtcMillis::new(1_000).unwrap(),
        );
        insta::assert_json_snapshot!(line, @r#"
        {
          "VouchersIssued": 3,
          "_aws": {
            "CloudWatchMetrics": [
              {
                "Dimensions": [
                  [
                    "function"
                  ]
                ],
                "Metrics": [
                  {
                    "Name": "VouchersIssued",
                    "Unit": "Count"
                  }
                ],
                "Namespace": "Feira"
              }
            ],
            "Timestamp": 1000
          },
          "function": "issue-trip-voucher"
        }
        "#);
    }
}
