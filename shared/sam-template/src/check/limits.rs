//! Connections of the database, and resources of a stack.

use super::{Findings, Rule};
use crate::template::Template;

/// By database: the variable that tells a function that opens it from the others, and the parameter
/// with the number of its connections.
const DATABASES: [(&str, &str); 2] = [
    ("APP_SECRET_ID", "DatabaseConnections"),
    ("TELESALES_SECRET_ID", "TelesalesConnections"),
];
/// Which database of the secret is opened: a function that opens none does not have it.
const CHOOSES_DATABASE: &str = "ENVIRONMENT";
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>.
const MAX_RESOURCES: usize = 500;

pub(super) fn check(template: &Template, findings: &mut Findings) {
    for (variable, parameter) in DATABASES {
        connections(template, variable, parameter, findings);
    }
    pollers(template, findings);
    resources(template, findings);
}

/// Each instance of a function holds one connection, so the reservations are the connections.
fn connections(template: &Template, variable: &str, name: &str, findings: &mut Findings) {
    let mut reserved = 0_u32;
    let openers = template
        .functions
        .iter()
        .filter(|one| one.environment.contains_key(variable))
        .filter(|one| one.environment.contains_key(CHOOSES_DATABASE));
    for function in openers {
        match function.reserved_concurrency {
            Some(concurrency) => reserved = reserved.saturating_add(concurrency),
            None => findings.add(
                Rule::Connections,
                &function.logical_id,
                "it opens the database without a limit: write ReservedConcurrentExecutions",
            ),
        }
    }
    if reserved == 0 {
        return;
    }
    let Some(parameter) = template.parameters.iter().find(|one| one.name == name) else {
        let what = "the parameter is missing: declare it with a Default";
        findings.add(Rule::Connections, name, what);
        return;
    };
    let number = |value: &Option<serde_json::Value>| -> Option<u64> {
        let value = value.as_ref()?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    for (property, value) in [
        ("Default", &parameter.default),
        ("MinValue", &parameter.minimum),
    ] {
        if number(value).is_none_or(|connections| u64::from(reserved) > connections) {
            findings.add(
                Rule::Connections,
                name,
                format!("{property} must be at least {reserved}, the sum of the reservations"),
            );
        }
    }
}

/// More pollers than reservations only throttle each other and use up receives.
fn pollers(template: &Template, findings: &mut Findings) {
    for mapping in &template.queue_mappings {
        let place = format!("{}.{}", mapping.function, mapping.event);
        let reserved = template
            .function(&mapping.function)
            .and_then(|function| function.reserved_concurrency);
        match (mapping.maximum_concurrency, reserved) {
            (None, Some(reserved)) => findings.add(
                Rule::Connections,
                place,
                format!("write ScalingConfig: {{ MaximumConcurrency: {reserved} }}"),
            ),
            (Some(maximum), Some(reserved)) if maximum > reserved => findings.add(
                Rule::Connections,
                place,
                format!("MaximumConcurrency {maximum} is above the {reserved} reserved"),
            ),
            (Some(maximum), _) if !(2..=1_000).contains(&maximum) => {
                findings.add(Rule::Connections, place, "MaximumConcurrency is 2 to 1000");
            }
            _ => {}
        }
    }
}

/// SAM adds a permission for a route, a mapping for a queue, a schedule and its role for a
/// schedule, a stage for an API, and an authorizer's permission.
fn resources(template: &Template, findings: &mut Findings) {
    let count = template.resource_count()
        + template.routes.len()
        + template.queue_mappings.len()
        + 2 * template.schedules.len()
        + template.file_triggers.len()
        + 2 * template.apis.len()
        + template
            .functions
            .iter()
            .filter(|one| one.on_failure.is_some())
            .count();
    if count > MAX_RESOURCES {
        findings.add(
            Rule::ResourceLimit,
            "Resources",
            format!("about {count} after SAM's own; a stack holds {MAX_RESOURCES}: split it"),
        );
    }
}
