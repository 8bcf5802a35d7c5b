//! `AWS::Serverless::Function` and the role it names.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::TemplateError;
use crate::expression::{Expression, Resolver};
use crate::model::{Function, Statement};
use crate::reader::Reader;
use crate::template::Resources;

/// SAM's and Lambda's own defaults.
const DEFAULT_TIMEOUT_SECONDS: u32 = 3;
const DEFAULT_MEMORY_MIB: u32 = 128;
const DEFAULT_ASYNC_RETRIES: u32 = 2;

pub(crate) fn read(
    logical_id: &str,
    reader: &Reader<'_>,
    metadata: &Reader<'_>,
) -> Result<Function, TemplateError> {
    let mut statements = Vec::new();
    let mut managed_policies = Vec::new();
    for policy in reader.items("Policies")? {
        match policy.get("Statement") {
            Some(written) => statements.extend(read_statements(logical_id, written)?),
            None => managed_policies.push(Expression(policy)),
        }
    }
    let (on_failure, async_retries) = match reader.child("EventInvokeConfig")? {
        None => (None, None),
        Some(config) => (
            destination(&config)?,
            config.whole_number("MaximumRetryAttempts")?,
        ),
    };
    Ok(Function {
        logical_id: logical_id.to_owned(),
        code_uri: reader.required_text("CodeUri", "write the folder of the function's crate")?,
        handler: reader.text("Handler")?.unwrap_or_default(),
        runtime: reader.text("Runtime")?.unwrap_or_default(),
        architecture: reader
            .texts("Architectures")?
            .into_iter()
            .next()
            .unwrap_or_default(),
        timeout_seconds: reader
            .whole_number("Timeout")?
            .unwrap_or(DEFAULT_TIMEOUT_SECONDS),
        memory_mib: reader
            .whole_number("MemorySize")?
            .unwrap_or(DEFAULT_MEMORY_MIB),
        reserved_concurrency: reader.whole_number("ReservedConcurrentExecutions")?,
        environment: environment(reader)?,
        statements,
        managed_policies,
        role: reader.logical_id("Role")?,
        log_group: match reader.child("LoggingConfig")? {
            None => None,
            Some(logging) => logging.logical_id("LogGroup")?,
        },
        on_failure,
        async_retries: async_retries.unwrap_or(DEFAULT_ASYNC_RETRIES),
        job: metadata.text("Job")?,
        build_method: metadata.text("BuildMethod")?,
        scopes: scopes(metadata)?,
        condition: None,
        present: true,
    })
}

/// Adds what the named role allows, by its own policies and by those attached to it; a role that is no resource of the template adds nothing.
pub(crate) fn add_role(
    function: &mut Function,
    resources: &Resources,
    resolver: &Resolver<'_>,
) -> Result<(), TemplateError> {
    let Some(role_id) = &function.role else {
        return Ok(());
    };
    let Some(role) = resources.get(role_id) else {
        return Ok(());
    };
    let reader = Reader::new(role_id.as_str(), role.properties.clone(), resolver);
    for policy in reader.items("Policies")? {
        if let Some(written) = policy.pointer("/PolicyDocument/Statement") {
            function
                .statements
                .extend(read_statements(role_id, written)?);
        }
    }
    function
        .managed_policies
        .extend(reader.expressions("ManagedPolicyArns")?);
    Ok(())
}

/// `DestinationConfig.OnFailure.Destination` of an asynchronous invocation or a mapping.
pub(crate) fn destination(config: &Reader<'_>) -> Result<Option<String>, TemplateError> {
    let Some(destinations) = config.child("DestinationConfig")? else {
        return Ok(None);
    };
    let Some(on_failure) = destinations.child("OnFailure")? else {
        return Ok(None);
    };
    let mend = "write Destination: !GetAtt Name.Arn";
    on_failure
        .required_logical_id("Destination", mend)
        .map(Some)
}

fn environment(reader: &Reader<'_>) -> Result<BTreeMap<String, Expression>, TemplateError> {
    let Some(environment) = reader.child("Environment")? else {
        return Ok(BTreeMap::new());
    };
    let Some(variables) = environment.child("Variables")? else {
        return Ok(BTreeMap::new());
    };
    let pairs = variables.keys().filter_map(|name| {
        let value = variables.raw(name)?;
        Some((name.clone(), Expression(value.clone())))
    });
    Ok(pairs.collect())
}

fn scopes(metadata: &Reader<'_>) -> Result<BTreeMap<String, Vec<String>>, TemplateError> {
    let Some(scopes) = metadata.child("Scopes")? else {
        return Ok(BTreeMap::new());
    };
    let mut by_event = BTreeMap::new();
    for event in scopes.keys() {
        by_event.insert(event.clone(), scopes.texts(event)?);
    }
    Ok(by_event)
}

fn read_statements(place: &str, written: &Value) -> Result<Vec<Statement>, TemplateError> {
    let list = match written {
        Value::Array(items) => items.clone(),
        single => vec![single.clone()],
    };
    let mut statements = Vec::with_capacity(list.len());
    for statement in &list {
        // A statement under Fn::If is read as if it were there: checks look at every action.
        for statement in branches(statement) {
            let effect = statement
                .get("Effect")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if effect.is_empty() {
                return Err(TemplateError::broken(
                    place,
                    "a statement of its policies has no Effect: write Allow or Deny",
                ));
            }
            let actions = one_or_many(statement.get("Action"));
            statements.push(Statement {
                effect: effect.to_owned(),
                actions: actions
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                resources: one_or_many(statement.get("Resource"))
                    .into_iter()
                    .map(Expression)
                    .collect(),
            });
        }
    }
    Ok(statements)
}

fn branches(statement: &Value) -> Vec<&Value> {
    match statement.get("Fn::If").and_then(Value::as_array) {
        Some(parts) => parts
            .iter()
            .skip(1)
            .filter(|part| part.get("Effect").is_some())
            .collect(),
        None => vec![statement],
    }
}

fn one_or_many(value: Option<&Value>) -> Vec<Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(single) => vec![single.clone()],
    }
}
