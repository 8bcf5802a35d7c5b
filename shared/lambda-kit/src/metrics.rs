//! Metrics as CloudWatch embedded metric format: one log line an invocation, no client needed.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{collections::BTreeMap, sync::Mutex};

use domain::time::UtcMillis;
use serde_json::{Map, Value, json};

use crate::logging::print_line;

const NAMESPACE: &str = "Feira";

/// A Lambda handles one event at a time, so one collection serves the invocation.
static COUNTS: Mutex<BTreeMap<&'static str, i64>> = Mutex::new(BTreeMap::new());

/// Adds to a count of this invocation.
pub fn count(name: &'static str, more: i64) {
    if let Ok(mut counts) = COUNTS.lock() {
        *counts.entry(name).or_default() += more;
    }
}

/// Writes what was counted since the last time, as one line.
pub fn flush(function: &str, now: UtcMillis) {
    let counts = COUNTS
        .lock()
        .map(|mut counts| std::mem::take(&mut *counts))
        .unwrap_or_default();
    if let Some(line) = line(function, &counts, now) {
        print_line(&line.to_string());
    }
}

fn line(function: &str, counts: &BTreeMap<&'static str, i64>, now: UtcMillis) -> Option<Value> {
    if counts.is_empty() {
        return None;
    }
    let definitions: Vec<Value> = counts
        .keys()
        .map(|name| json!({"Name": name, "Unit": "Count"}))
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
            .map(|(name, value)| ((*name).to_owned(), (*value).into())),
    );
    Some(Value::Object(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_follows_the_embedded_metric_format() {
        let counts = BTreeMap::from([("VouchersIssued", 3)]);
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
