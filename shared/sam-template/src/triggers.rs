//! What starts a function: the `Events` of a function, and event source mappings of their own.

use serde_json::Value;

use crate::error::TemplateError;
use crate::functions::destination;
use crate::model::{FileTrigger, Function, KafkaKind, QueueMapping, Route, Schedule, TopicMapping};
use crate::reader::Reader;
use crate::template::Template;

/// Lambda's own defaults.
const DEFAULT_SQS_BATCH: u32 = 10;
const DEFAULT_KAFKA_BATCH: u32 = 100;

pub(crate) fn read(
    template: &mut Template,
    function: &Function,
    reader: &Reader<'_>,
) -> Result<(), TemplateError> {
    for (event, written) in reader.children("Events")? {
        let kind = written.required_text("Type", "write HttpApi, SQS, ScheduleV2, S3 or MSK")?;
        let properties = written
            .child("Properties")?
            .ok_or_else(|| written.broken("Properties are missing: write them"))?;
        match kind.as_str() {
            "HttpApi" => template.routes.push(route(function, event, &properties)?),
            "ScheduleV2" => template
                .schedules
                .push(schedule(function, event, &properties)?),
            "SQS" => template
                .queue_mappings
                .push(queue_mapping(function, event, &properties)?),
            "S3" => template
                .file_triggers
                .push(file_trigger(function, event, &properties)?),
            "MSK" | "SelfManagedKafka" => {
                let kind = if kind == "MSK" {
                    KafkaKind::Msk
                } else {
                    KafkaKind::SelfManaged
                };
                let id = function.logical_id.clone();
                template
                    .topic_mappings
                    .push(topic_mapping(id, event, kind, &properties)?);
            }
            other => {
                return Err(written.broken(format!(
                    "Type {other} is not known here: use HttpApi, SQS, ScheduleV2, S3, MSK or SelfManagedKafka"
                )));
            }
        }
    }
    Ok(())
}

fn route(
    function: &Function,
    event: String,
    properties: &Reader<'_>,
) -> Result<Route, TemplateError> {
    let method = properties.required_text("Method", "write GET, POST, …")?;
    let path = properties.required_text("Path", "write /the/path")?;
    if !path.starts_with('/') {
        return Err(properties.broken(format!("Path {path:?} must begin with a slash")));
    }
    let authorizer = match properties.child("Auth")? {
        None => None,
        Some(auth) => auth.text("Authorizer")?,
    };
    Ok(Route {
        function: function.logical_id.clone(),
        api: properties.logical_id("ApiId")?,
        method: method.to_uppercase(),
        path,
        scopes: function.scopes.get(&event).cloned().unwrap_or_default(),
        authorizer_refused: authorizer.as_deref() == Some("NONE"),
        event,
    })
}

fn schedule(
    function: &Function,
    event: String,
    properties: &Reader<'_>,
) -> Result<Schedule, TemplateError> {
    let dead_letter = match properties.child("DeadLetterConfig")? {
        None => None,
        Some(config) => config.logical_id("Arn")?,
    };
    let state = properties.text("State")?;
    Ok(Schedule {
        function: function.logical_id.clone(),
        event,
        expression: properties
            .required_text("ScheduleExpression", "write rate(…), cron(…) or at(…)")?,
        timezone: properties
            .text("ScheduleExpressionTimezone")?
            .unwrap_or_else(|| "UTC".to_owned()),
        input: properties.text("Input")?,
        dead_letter,
        enabled: state.as_deref() != Some("DISABLED"),
    })
}

fn queue_mapping(
    function: &Function,
    event: String,
    properties: &Reader<'_>,
) -> Result<QueueMapping, TemplateError> {
    let maximum_concurrency = match properties.child("ScalingConfig")? {
        None => None,
        Some(config) => config.whole_number("MaximumConcurrency")?,
    };
    Ok(QueueMapping {
        function: function.logical_id.clone(),
        event,
        queue: properties.required_logical_id("Queue", "write !GetAtt NameQueue.Arn")?,
        batch_size: properties
            .whole_number("BatchSize")?
            .unwrap_or(DEFAULT_SQS_BATCH),
        window_seconds: properties
            .whole_number("MaximumBatchingWindowInSeconds")?
            .unwrap_or(0),
        report_batch_item_failures: reports_failures(properties)?,
        maximum_concurrency,
        enabled: properties.flag("Enabled")?.unwrap_or(true),
    })
}

fn file_trigger(
    function: &Function,
    event: String,
    properties: &Reader<'_>,
) -> Result<FileTrigger, TemplateError> {
    let mut prefix = None;
    let mut suffix = None;
    if let Some(filter) = properties.child("Filter")?
        && let Some(key) = filter.child("S3Key")?
    {
        for rule in key.items("Rules")? {
            let part = |name: &str| rule.get(name).and_then(Value::as_str).map(str::to_owned);
            match part("Name").unwrap_or_default().to_lowercase().as_str() {
                "prefix" => prefix = part("Value"),
                "suffix" => suffix = part("Value"),
                _ => return Err(key.broken("a rule's Name is prefix or suffix")),
            }
        }
    }
    Ok(FileTrigger {
        function: function.logical_id.clone(),
        event,
        bucket: properties.required_logical_id("Bucket", "write !Ref NameBucket")?,
        events: properties.texts("Events")?,
        prefix,
        suffix,
    })
}

fn topic_mapping(
    function: String,
    event: String,
    kind: KafkaKind,
    properties: &Reader<'_>,
) -> Result<TopicMapping, TemplateError> {
    let topics = properties.texts("Topics")?;
    let [topic] = topics.as_slice() else {
        return Err(properties.broken("Topics is a list with the one topic of this mapping"));
    };
    Ok(TopicMapping {
        function,
        event,
        kind,
        topic: topic.clone(),
        batch_size: properties
            .whole_number("BatchSize")?
            .unwrap_or(DEFAULT_KAFKA_BATCH),
        window_seconds: properties
            .whole_number("MaximumBatchingWindowInSeconds")?
            .unwrap_or(0),
        starting_position: properties
            .required_text("StartingPosition", "write TRIM_HORIZON or LATEST")?,
        on_failure: destination(properties)?,
        // -1 stands for without end, and so does nothing.
        maximum_retries: match properties.text("MaximumRetryAttempts")?.as_deref() {
            Some("-1") => None,
            _ => properties.whole_number("MaximumRetryAttempts")?,
        },
        splits_failed_batches: properties
            .flag("BisectBatchOnFunctionError")?
            .unwrap_or(false),
        report_batch_item_failures: reports_failures(properties)?,
        provisioned: properties.child("ProvisionedPollerConfig")?.is_some(),
        condition: None,
        present: true,
    })
}

/// A mapping written as a resource of its own, which can stand under a condition. `None` when it
/// reads no Kafka topic.
pub(crate) fn topic_mapping_resource(
    logical_id: &str,
    reader: &Reader<'_>,
) -> Result<Option<TopicMapping>, TemplateError> {
    if reader.raw("Topics").is_none() {
        return Ok(None);
    }
    let kind = if reader.raw("SelfManagedEventSource").is_some() {
        KafkaKind::SelfManaged
    } else {
        KafkaKind::Msk
    };
    let function = reader.required_logical_id("FunctionName", "write !Ref NameFunction")?;
    topic_mapping(function, logical_id.to_owned(), kind, reader).map(Some)
}

fn reports_failures(properties: &Reader<'_>) -> Result<bool, TemplateError> {
    let types = properties.texts("FunctionResponseTypes")?;
    Ok(types.iter().any(|kind| kind == "ReportBatchItemFailures"))
}
