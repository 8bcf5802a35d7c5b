//! Who may call a route, and what a function's role allows.

use std::collections::BTreeMap;

use super::{Findings, Rule};
use crate::model::{Function, PUBLIC, Route, Statement};
use crate::template::Template;

/// What Lambda needs to poll a queue in a function's name.
const POLLING: [&str; 3] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
];

/// What Lambda needs to write a function's log.
const LOGGING: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];

/// IAM knows no ARN for these, or none that is there before: they stand with `*`, and alone.
const WITHOUT_ARN: [&str; 7] = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "kafka:GetBootstrapBrokers",
];

pub(super) fn check(template: &Template, findings: &mut Findings) {
    for route in &template.routes {
        scopes(route, findings);
        cors(template, route, findings);
    }
    unused_scopes(template, findings);
    guards(template, findings);
    for function in &template.functions {
        for statement in &function.statements {
            wildcards(template, function, statement, findings);
        }
        permissions(template, function, findings);
        own_trigger(template, function, findings);
    }
    roles(template, findings);
}

fn scopes(route: &Route, findings: &mut Findings) {
    let place = format!("{}.{}", route.function, route.event);
    if route.scopes.is_empty() {
        findings.add(
            Rule::Scopes,
            &place,
            format!(
                "{} has no scopes: write Metadata.Scopes.{}: [customer], or [public] with \
                 Auth: {{ Authorizer: NONE }}",
                route.key(),
                route.event
            ),
        );
    } else if route.scopes.iter().any(|scope| scope == PUBLIC) && !route.is_public() {
        findings.add(Rule::Scopes, &place, "public stands alone or not at all");
    } else if route.is_public() && !route.authorizer_refused {
        findings.add(
            Rule::Scopes,
            &place,
            "it is public, so a call without a token must reach it: write Auth: { Authorizer: NONE }",
        );
    } else if !route.is_public() && route.authorizer_refused {
        findings.add(
            Rule::Scopes,
            &place,
            "it needs a scope: take Authorizer: NONE away",
        );
    }
}

/// A browser asks first whether the method is allowed; an API without these rules is for servers.
fn cors(template: &Template, route: &Route, findings: &mut Findings) {
    let api = template
        .apis
        .iter()
        .find(|api| Some(&api.logical_id) == route.api.as_ref());
    let Some((api, cors)) = api.and_then(|api| Some((api, api.cors.as_ref()?))) else {
        return;
    };
    let is_allowed = cors
        .allow_methods
        .iter()
        .any(|method| method == "*" || method.eq_ignore_ascii_case(&route.method));
    if !is_allowed {
        findings.add(
            Rule::Cors,
            format!("{}.{}", route.function, route.event),
            format!(
                "no page may call {}: add {} to AllowMethods of {}'s CorsConfiguration",
                route.key(),
                route.method,
                api.logical_id
            ),
        );
    }
}

fn unused_scopes(template: &Template, findings: &mut Findings) {
    for function in &template.functions {
        for event in function.scopes.keys() {
            let used = template
                .routes
                .iter()
                .any(|route| route.function == function.logical_id && &route.event == event);
            if !used {
                findings.add(
                    Rule::Scopes,
                    &function.logical_id,
                    format!("Metadata.Scopes.{event} has no HttpApi event of that name"),
                );
            }
        }
    }
    let mut keys: BTreeMap<String, &Route> = BTreeMap::new();
    for route in &template.routes {
        if let Some(first) = keys.insert(route.key(), route) {
            let what = format!("{} also stands in {}", route.key(), first.function);
            findings.add(
                Rule::Scopes,
                format!("{}.{}", route.function, route.event),
                what,
            );
        }
    }
}

/// Each API has an authorizer whose kept answers hold for one route only.
fn guards(template: &Template, findings: &mut Findings) {
    for route in &template.routes {
        let guarded = route.api.as_ref().is_some_and(|id| {
            let api = template.apis.iter().find(|api| &api.logical_id == id);
            api.is_some_and(|api| api.authorizer.is_some())
        });
        if !guarded && !route.is_public() {
            findings.add(
                Rule::Scopes,
                format!("{}.{}", route.function, route.event),
                "its API has no authorizer: write ApiId: !Ref HttpApi",
            );
        }
    }
    for api in &template.apis {
        let Some(authorizer) = &api.authorizer else {
            continue;
        };
        if authorizer.cache_seconds > 0 && !authorizer.context.iter().any(|one| one == "routeKey") {
            findings.add(
                Rule::Scopes,
                &api.logical_id,
                "a kept answer would hold for every route: write Context: [routeKey]",
            );
        }
        if authorizer.payload_version != "2.0" || !authorizer.simple_responses {
            findings.add(
                Rule::Scopes,
                &api.logical_id,
                "write AuthorizerPayloadFormatVersion: \"2.0\" and EnableSimpleResponses: true",
            );
        }
    }
}

fn wildcards(
    template: &Template,
    function: &Function,
    statement: &Statement,
    findings: &mut Findings,
) {
    if statement.effect != "Allow" {
        return;
    }
    for action in statement
        .actions
        .iter()
        .filter(|action| action.contains('*'))
    {
        findings.add(
            Rule::Wildcard,
            &function.logical_id,
            format!("{action} allows more than the function does: name each action"),
        );
    }
    if statement.resources.is_empty() {
        findings.add(
            Rule::Wildcard,
            &function.logical_id,
            "a statement names no Resource",
        );
    }
    let without_arn = |action: &String| WITHOUT_ARN.contains(&action.as_str());
    let takes_any = statement.actions.iter().all(without_arn);
    for resource in statement
        .resources
        .iter()
        .filter_map(|one| template.local_text(one))
        .filter(|resource| !(takes_any && resource == "*"))
    {
        // The keys of a bucket's objects cannot be enumerated; everything else can.
        let named = match resource
            .strip_prefix("arn:aws:s3:::")
            .and_then(|s3| s3.split_once('/'))
        {
            Some((bucket, key)) => !bucket.contains('*') && key != "*",
            None => !resource.contains('*'),
        };
        if !named {
            findings.add(
                Rule::Wildcard,
                &function.logical_id,
                format!("the Resource {resource} is more than one: name it, or a prefix of keys"),
            );
        }
    }
}

/// What triggers, variables and the log of a function ask of its role.
fn permissions(template: &Template, function: &Function, findings: &mut Findings) {
    let mut needs: Vec<(&str, String)> = Vec::new();
    for mapping in &template.queue_mappings {
        if mapping.function == function.logical_id {
            needs.extend(POLLING.map(|action| (action, mapping.queue.clone())));
        }
    }
    if let Some(group) = &function.log_group {
        needs.extend(LOGGING.map(|action| (action, group.clone())));
    }
    needs.extend(
        function
            .on_failure
            .clone()
            .map(|queue| ("sqs:SendMessage", queue)),
    );
    for (variable, action) in [
        ("DEAD_LETTER_QUEUE_URL", "sqs:SendMessage"),
        ("EVENT_ROUTES", "sqs:SendMessage"),
        ("TOPIC_QUEUES", "sqs:SendMessage"),
        ("CLAIMS_BUCKET", "s3:PutObject"),
        ("PUBLISH_OUTBOX_FUNCTION", "lambda:InvokeFunction"),
        ("APP_SECRET_ID", "secretsmanager:GetSecretValue"),
        ("TELESALES_SECRET_ID", "secretsmanager:GetSecretValue"),
        ("DOCUMENTS_SECRET_ID", "secretsmanager:GetSecretValue"),
    ] {
        let named = function
            .environment
            .get(variable)
            .map(|value| value.references());
        needs.extend(named.unwrap_or_default().into_iter().map(|id| (action, id)));
    }
    needs.sort();
    needs.dedup();
    for (action, resource) in needs {
        if !allows(function, action, &resource) {
            findings.add(
                Rule::Permission,
                &function.logical_id,
                format!("its role does not allow {action} on {resource}, which it needs"),
            );
        }
    }
}

fn allows(function: &Function, action: &str, resource: &str) -> bool {
    function.statements.iter().any(|statement| {
        statement.effect == "Allow"
            && statement.actions.iter().any(|one| one == action)
            && statement
                .resources
                .iter()
                .any(|one| one.references().iter().any(|id| id == resource))
    })
}

/// A function that may write where new files start it would run for ever.
fn own_trigger(template: &Template, function: &Function, findings: &mut Findings) {
    for trigger in &template.file_triggers {
        let bucket = template
            .buckets
            .iter()
            .find(|bucket| bucket.logical_id == trigger.bucket);
        let (true, Some(bucket)) = (trigger.function == function.logical_id, bucket) else {
            continue;
        };
        let starts = trigger.prefix.clone().unwrap_or_default();
        let writes = function.statements.iter().filter(|statement| {
            statement.effect == "Allow"
                && statement
                    .actions
                    .iter()
                    .any(|action| action.starts_with("s3:Put"))
        });
        for resource in writes.flat_map(|statement| &statement.resources) {
            let Some(text) = template.local_text(resource) else {
                continue;
            };
            let Some(keys) = text.strip_prefix(&format!("arn:aws:s3:::{}/", bucket.name)) else {
                continue;
            };
            let written = keys.trim_end_matches('*');
            if written.starts_with(&starts) || starts.starts_with(written) {
                findings.add(
                    Rule::OwnTrigger,
                    format!("{}.{}", function.logical_id, trigger.event),
                    format!(
                        "it may write {keys} and is started by {starts:?} of the same bucket: \
                         write under another prefix"
                    ),
                );
            }
        }
    }
}

fn roles(template: &Template, findings: &mut Findings) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for function in &template.functions {
        match function.role.as_deref() {
            None => findings.add(
                Rule::Permission,
                &function.logical_id,
                "it names no role of its own: write Role: !GetAtt NameRole.Arn",
            ),
            Some(role) => {
                if let Some(first) = owners.insert(role, &function.logical_id) {
                    findings.add(
                        Rule::Permission,
                        &function.logical_id,
                        format!("{role} is the role of {first} already: each has its own"),
                    );
                }
            }
        }
    }
}
