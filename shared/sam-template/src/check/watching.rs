//! What a failure is seen by: a log group and an alarm of each function's own.

use std::collections::BTreeMap;

use super::{Findings, Rule};
use crate::template::Template;

pub(super) fn check(template: &Template, findings: &mut Findings) {
    logs(template, findings);
    alarms(template, findings);
}

/// The right to write them is checked with the role's others.
fn logs(template: &Template, findings: &mut Findings) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for function in &template.functions {
        let named = function.log_group.as_deref();
        let Some(group) = named.filter(|group| template.log_groups.iter().any(|one| one == group))
        else {
            findings.add(
                Rule::Logs,
                &function.logical_id,
                "its log never ends: write LoggingConfig: { LogFormat: JSON, LogGroup: !Ref \
                 NameLogs }, an AWS::Logs::LogGroup with RetentionInDays",
            );
            continue;
        };
        if let Some(first) = owners.insert(group, &function.logical_id) {
            findings.add(
                Rule::Logs,
                &function.logical_id,
                format!("{group} is the log group of {first} already: each has its own"),
            );
        }
    }
}

fn alarms(template: &Template, findings: &mut Findings) {
    for function in &template.functions {
        let is_watched = template.alarms.iter().any(|alarm| {
            alarm.namespace == "AWS/Lambda"
                && alarm.metric == "Errors"
                && alarm.watched.contains(&function.logical_id)
        });
        if !is_watched {
            findings.add(
                Rule::Alarms,
                &function.logical_id,
                "nobody hears that it fails: write an AWS::CloudWatch::Alarm on its Errors, with \
                 Dimensions: [{ Name: FunctionName, Value: !Ref NameFunction }]",
            );
        }
    }
}
