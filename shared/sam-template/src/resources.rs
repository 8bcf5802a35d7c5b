//! Queues and HTTP APIs.

use crate::error::TemplateError;
use crate::model::{Alarm, Authorizer, Cors, HttpApi, Queue, Redrive};
use crate::reader::Reader;

/// SQS's own defaults.
const DEFAULT_VISIBILITY_SECONDS: u32 = 30;
const DEFAULT_RETENTION_SECONDS: u32 = 345_600;

pub(crate) fn queue(logical_id: &str, reader: &Reader<'_>) -> Result<Queue, TemplateError> {
    let redrive = match reader.child("RedrivePolicy")? {
        None => None,
        Some(policy) => Some(Redrive {
            dead_letter: policy
                .required_logical_id("deadLetterTargetArn", "write !GetAtt NameDeadLetters.Arn")?,
            maximum_receives: policy.whole_number("maxReceiveCount")?.ok_or_else(|| {
                policy.broken("maxReceiveCount is missing: write how often a message is tried")
            })?,
        }),
    };
    let seconds = |key: &str, default: u32| {
        reader
            .whole_number(key)
            .map(|written| written.unwrap_or(default))
    };
    Ok(Queue {
        logical_id: logical_id.to_owned(),
        name: logical_id.to_owned(),
        fifo: reader.flag("FifoQueue")?.unwrap_or(false),
        content_based_deduplication: reader.flag("ContentBasedDeduplication")?.unwrap_or(false),
        visibility_timeout_seconds: seconds("VisibilityTimeout", DEFAULT_VISIBILITY_SECONDS)?,
        retention_seconds: seconds("MessageRetentionPeriod", DEFAULT_RETENTION_SECONDS)?,
        delay_seconds: seconds("DelaySeconds", 0)?,
        redrive,
        present: true,
    })
}

pub(crate) fn alarm(logical_id: &str, reader: &Reader<'_>) -> Result<Alarm, TemplateError> {
    let dimensions = reader.expressions("Dimensions")?;
    Ok(Alarm {
        logical_id: logical_id.to_owned(),
        namespace: reader.text("Namespace")?.unwrap_or_default(),
        metric: reader.text("MetricName")?.unwrap_or_default(),
        watched: dimensions.iter().flat_map(|one| one.references()).collect(),
    })
}

pub(crate) fn http_api(logical_id: &str, reader: &Reader<'_>) -> Result<HttpApi, TemplateError> {
    let authorizer = match reader.child("Auth")? {
        None => None,
        Some(auth) => match auth.text("DefaultAuthorizer")? {
            None => None,
            Some(name) => {
                let authorizers = auth.children("Authorizers")?;
                let found = authorizers.iter().find(|(other, _)| *other == name);
                let (_, written) = found.ok_or_else(|| {
                    auth.broken(format!("DefaultAuthorizer names {name}: define it"))
                })?;
                Some(lambda_authorizer(written)?)
            }
        },
    };
    let cors = match reader.child("CorsConfiguration")? {
        None => None,
        Some(cors) => Some(Cors {
            allow_origins: cors.texts("AllowOrigins")?,
            allow_headers: cors.texts("AllowHeaders")?,
            allow_methods: cors.texts("AllowMethods")?,
            expose_headers: cors.texts("ExposeHeaders")?,
            max_age_seconds: cors.whole_number("MaxAge")?,
        }),
    };
    Ok(HttpApi {
        logical_id: logical_id.to_owned(),
        authorizer,
        cors,
    })
}

fn lambda_authorizer(reader: &Reader<'_>) -> Result<Authorizer, TemplateError> {
    let identity = reader.child("Identity")?;
    let list = |key: &str| {
        identity
            .as_ref()
            .map_or(Ok(Vec::new()), |identity| identity.texts(key))
    };
    let cache_seconds = match &identity {
        None => None,
        Some(identity) => identity.whole_number("ReauthorizeEvery")?,
    };
    Ok(Authorizer {
        function: reader
            .required_logical_id("FunctionArn", "write !GetAtt AuthorizeFunction.Arn")?,
        headers: list("Headers")?,
        context: list("Context")?,
        cache_seconds: cache_seconds.unwrap_or(0),
        payload_version: reader
            .text("AuthorizerPayloadFormatVersion")?
            .unwrap_or_default(),
        simple_responses: reader.flag("EnableSimpleResponses")?.unwrap_or(false),
    })
}
