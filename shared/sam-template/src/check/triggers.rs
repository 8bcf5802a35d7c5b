//! Schedules, queues and topics.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Rule};
use crate::expression::Expression;
use crate::model::{Function, Queue, QueueMapping, TopicMapping};
use crate::schedule::SCHEDULED_TIME;
use crate::template::Template;

/// Lambda's limits of a batch from SQS: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>.
const MAX_BATCH: u32 = 10_000;
const MAX_BATCH_WITHOUT_WINDOW: u32 = 10;
const MAX_WINDOW_SECONDS: u32 = 300;
/// AWS asks for six times the function's timeout, so that throttled batches can be tried again.
const VISIBILITY_FACTOR: u32 = 6;
/// The topic that carries personal data.
const PERSONAL_TOPIC: &str = "clientes";

pub(super) fn check(template: &Template, findings: &mut Findings) {
    schedules(template, findings);
    for mapping in &template.queue_mappings {
        batch(template, mapping, findings);
    }
    queues(template, findings);
    asynchronous(template, findings);
    for mapping in &template.topic_mappings {
        topic(template, mapping, findings);
    }
    for function in &template.functions {
        bridge(template, function, findings);
    }
}

fn schedules(template: &Template, findings: &mut Findings) {
    for schedule in &template.schedules {
        let place = format!("{}.{}", schedule.function, schedule.event);
        if let Err(error) = schedule.parsed() {
            findings.add(Rule::ScheduleSyntax, &place, error.to_string());
        }
        if let Err(error) = schedule.zone() {
            findings.add(Rule::ScheduleSyntax, &place, error.to_string());
        }
        let input: Option<serde_json::Value> = schedule
            .input
            .as_deref()
            .and_then(|input| serde_json::from_str(input).ok());
        let time = input
            .as_ref()
            .and_then(|input| input.get("horario")?.as_str());
        if time != Some(SCHEDULED_TIME) {
            findings.add(
                Rule::ScheduledTime,
                &place,
                format!("write Input: '{{\"horario\":\"{SCHEDULED_TIME}\"}}'"),
            );
        }
        if schedule.dead_letter.is_none() {
            findings.add(
                Rule::DeadLetters,
                &place,
                "write DeadLetterConfig: { Arn: !GetAtt ScheduleDeadLetters.Arn }",
            );
        }
    }
}

fn batch(template: &Template, mapping: &QueueMapping, findings: &mut Findings) {
    let place = format!("{}.{}", mapping.function, mapping.event);
    if !mapping.report_batch_item_failures {
        findings.add(
            Rule::PartialBatch,
            &place,
            "write FunctionResponseTypes: [ReportBatchItemFailures]",
        );
    }
    let Some(queue) = template.queue(&mapping.queue) else {
        let what = format!("{} is no queue of the template", mapping.queue);
        findings.add(Rule::DeadLetters, &place, what);
        return;
    };
    let (size, window) = (mapping.batch_size, mapping.window_seconds);
    if queue.fifo && (size > MAX_BATCH_WITHOUT_WINDOW || window > 0) {
        findings.add(
            Rule::BatchSize,
            &place,
            format!(
                "{} is FIFO: BatchSize at most 10 (it is {size}) and no batching window",
                queue.logical_id
            ),
        );
    } else if size > MAX_BATCH_WITHOUT_WINDOW && window == 0 {
        findings.add(
            Rule::BatchSize,
            &place,
            format!("BatchSize {size} is above 10: write MaximumBatchingWindowInSeconds"),
        );
    }
    if size == 0 || size > MAX_BATCH || window > MAX_WINDOW_SECONDS {
        findings.add(
            Rule::BatchSize,
            &place,
            format!("BatchSize is 1 to {MAX_BATCH}, its window at most {MAX_WINDOW_SECONDS} s"),
        );
    }
    if let Some(function) = template.function(&mapping.function) {
        let needed = function.timeout_seconds.saturating_mul(VISIBILITY_FACTOR) + window;
        if queue.visibility_timeout_seconds < needed {
            findings.add(
                Rule::Visibility,
                &queue.logical_id,
                format!(
                    "VisibilityTimeout {} s is below six times the {} s of {} and its window: write {needed}",
                    queue.visibility_timeout_seconds,
                    function.timeout_seconds,
                    function.logical_id
                ),
            );
        }
    }
}

/// Every queue that is not one of dead letters itself has dead letters of its own kind.
fn queues(template: &Template, findings: &mut Findings) {
    let ends = dead_letter_queues(template);
    for queue in &template.queues {
        match &queue.redrive {
            None if ends.contains(&queue.logical_id) => {}
            None => findings.add(
                Rule::DeadLetters,
                &queue.logical_id,
                "write RedrivePolicy: { deadLetterTargetArn: !GetAtt …, maxReceiveCount: 5 }",
            ),
            Some(redrive) => match template.queue(&redrive.dead_letter) {
                None => findings.add(
                    Rule::DeadLetters,
                    &queue.logical_id,
                    format!("{} is no queue of the template", redrive.dead_letter),
                ),
                Some(end) => redrive_fits(queue, end, findings),
            },
        }
    }
}

fn redrive_fits(queue: &Queue, end: &Queue, findings: &mut Findings) {
    if end.fifo != queue.fifo {
        findings.add(
            Rule::DeadLetters,
            &queue.logical_id,
            format!("FifoQueue of {} must be {}", end.logical_id, queue.fifo),
        );
    }
    // A message keeps its age when it moves, so a shorter retention would lose it at once.
    if end.retention_seconds < queue.retention_seconds {
        findings.add(
            Rule::DeadLetters,
            &end.logical_id,
            format!("it keeps messages shorter than {} does", queue.logical_id),
        );
    }
}

fn dead_letter_queues(template: &Template) -> BTreeSet<String> {
    let of_queues = template
        .queues
        .iter()
        .filter_map(|queue| queue.redrive.as_ref());
    let of_schedules = template
        .schedules
        .iter()
        .filter_map(|one| one.dead_letter.as_deref());
    let of_functions = template
        .functions
        .iter()
        .filter_map(|one| one.on_failure.as_deref());
    of_queues
        .map(|redrive| redrive.dead_letter.clone())
        .chain(of_schedules.chain(of_functions).map(str::to_owned))
        .chain(template.functions.iter().flat_map(sealed_dead_letters))
        .collect()
}

/// Functions that are invoked asynchronously: by schedule, by file, by another function.
fn asynchronous(template: &Template, findings: &mut Findings) {
    let by_schedule = template.schedules.iter().map(|one| one.function.as_str());
    let by_file = template
        .file_triggers
        .iter()
        .map(|one| one.function.as_str());
    let mut invoked: BTreeSet<String> = by_schedule.chain(by_file).map(str::to_owned).collect();
    for function in &template.functions {
        let invocations = function.statements.iter().filter(|statement| {
            statement
                .actions
                .iter()
                .any(|action| action == "lambda:InvokeFunction")
        });
        invoked.extend(
            invocations
                .flat_map(|statement| &statement.resources)
                .flat_map(|one| one.references()),
        );
    }
    // A batch that failed for good is replayed by a synchronous invocation.
    for mapping in &template.topic_mappings {
        invoked.remove(&mapping.function);
    }
    for function in &template.functions {
        if !invoked.contains(&function.logical_id) {
            continue;
        }
        match &function.on_failure {
            None => findings.add(
                Rule::DeadLetters,
                &function.logical_id,
                "it is invoked asynchronously: write EventInvokeConfig with an OnFailure destination",
            ),
            Some(queue) if template.queue(queue).is_some_and(|queue| queue.fifo) => findings.add(
                Rule::DeadLetters,
                &function.logical_id,
                format!("OnFailure takes no FIFO queue, and {queue} is one"),
            ),
            Some(_) => {}
        }
    }
}

fn topic(template: &Template, mapping: &TopicMapping, findings: &mut Findings) {
    let place = format!("{}.{}", mapping.function, mapping.event);
    if !mapping.report_batch_item_failures || !mapping.provisioned {
        findings.add(
            Rule::PartialBatch,
            &place,
            "write FunctionResponseTypes: [ReportBatchItemFailures] and ProvisionedPollerConfig",
        );
    }
    match mapping.on_failure.as_deref() {
        Some(bucket) if template.buckets.iter().any(|one| one.logical_id == bucket) => {}
        _ => findings.add(
            Rule::DeadLetters,
            &place,
            "write DestinationConfig with a bucket: queues get the record's metadata only",
        ),
    }
    if mapping.topic != PERSONAL_TOPIC {
        return;
    }
    let Some(function) = template.function(&mapping.function) else {
        return;
    };
    // What cannot be read goes to its own dead letters, sealed; nothing else may leave by a queue.
    let sealed = sealed_dead_letters(function);
    let sends = function.statements.iter().filter(|statement| {
        statement
            .actions
            .iter()
            .any(|action| action == "sqs:SendMessage")
    });
    for queue in sends
        .flat_map(|one| &one.resources)
        .flat_map(Expression::references)
    {
        if !sealed.contains(&queue) {
            findings.add(
                Rule::PersonalTopic,
                &function.logical_id,
                format!("it reads clientes, whose personal data never lies in {queue}: take sqs:SendMessage away"),
            );
        }
    }
}

/// The table of a bridge: no personal data goes into a queue, and no topic is read without one.
fn bridge(template: &Template, function: &Function, findings: &mut Findings) {
    let Some(table) = function.environment.get("TOPIC_QUEUES") else {
        return;
    };
    let table = template
        .local_text(table)
        .and_then(|text| serde_json::from_str::<BTreeMap<String, String>>(&text).ok());
    let Some(table) = table else {
        findings.add(
            Rule::TopicQueues,
            &function.logical_id,
            "TOPIC_QUEUES is no JSON object of queues by topic",
        );
        return;
    };
    if table.contains_key(PERSONAL_TOPIC) {
        findings.add(
            Rule::PersonalTopic,
            &function.logical_id,
            "TOPIC_QUEUES names clientes, whose personal data never lies in a queue: take it out",
        );
    }
    for mapping in &template.topic_mappings {
        if mapping.function == function.logical_id && !table.contains_key(&mapping.topic) {
            findings.add(
                Rule::TopicQueues,
                format!("{}.{}", mapping.function, mapping.event),
                format!(
                    "TOPIC_QUEUES has no queue for {}: every batch would fail",
                    mapping.topic
                ),
            );
        }
    }
}

/// The queue that lambda-kit seals unreadable messages into.
fn sealed_dead_letters(function: &Function) -> Vec<String> {
    let variable = function.environment.get("DEAD_LETTER_QUEUE_URL");
    variable.map(Expression::references).unwrap_or_default()
}
