//! The whole template: parameters and conditions decided, resources read into types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::attributes::{ACCOUNT, REGION, local_attribute};
use crate::document;
use crate::error::TemplateError;
use crate::expression::{
    Expression, Facts, Resolver, decide_conditions, plain_text, single_intrinsic,
};
use crate::functions;
use crate::model::{
    Alarm, Bucket, FileTrigger, Function, HttpApi, Parameter, Queue, QueueMapping, Route, Schedule,
    TopicMapping,
};
use crate::reader::Reader;
use crate::resources;
use crate::triggers;

/// A resource as it is written, `Globals` merged in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) condition: Option<String>,
    pub(crate) properties: Map<String, Value>,
    pub(crate) metadata: Map<String, Value>,
}

/// Every resource by logical id.
pub(crate) type Resources = BTreeMap<String, Resource>;

/// template.yaml under one set of parameters.
#[derive(Debug, Clone)]
pub struct Template {
    /// The folder that `CodeUri` counts from.
    pub folder: PathBuf,
    /// The parameters it declares.
    pub parameters: Vec<Parameter>,
    /// Lambda functions, those whose condition does not hold among them (`present` is false).
    pub functions: Vec<Function>,
    /// HTTP APIs.
    pub apis: Vec<HttpApi>,
    /// HTTP routes.
    pub routes: Vec<Route>,
    /// Schedules.
    pub schedules: Vec<Schedule>,
    /// Queues that feed functions.
    pub queue_mappings: Vec<QueueMapping>,
    /// Buckets that start functions.
    pub file_triggers: Vec<FileTrigger>,
    /// Kafka topics that feed functions, those whose condition does not hold among them.
    pub topic_mappings: Vec<TopicMapping>,
    /// SQS queues.
    pub queues: Vec<Queue>,
    /// S3 buckets.
    pub buckets: Vec<Bucket>,
    /// CloudWatch alarms.
    pub alarms: Vec<Alarm>,
    /// Log groups by logical id.
    pub log_groups: Vec<String>,
    resources: Resources,
    facts: Facts,
}

impl Template {
    /// Reads a template with the defaults of its parameters.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        Self::read_with(path, &BTreeMap::new())
    }

    /// Reads a template with `parameters` in place of their defaults. A parameter without
    /// default and without a value here is an empty text.
    pub fn read_with(
        path: &Path,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path).map_err(|error| TemplateError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Self::parse(&text, folder, parameters)
    }

    /// Reads a template from its text; `folder` is where `CodeUri` counts from.
    pub fn parse(
        text: &str,
        folder: PathBuf,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let document = document::parse(text)?;
        let section = |name: &str| section(&document, name);
        let parameters = read_parameters(section("Parameters")?)?;
        let mut facts = Facts {
            parameters: parameter_values(&parameters, overrides)?,
            mappings: section("Mappings")?,
            ..Facts::default()
        };
        decide_conditions(&section("Conditions")?, &mut facts).map_err(|source| {
            TemplateError::Unresolved {
                place: "Conditions".to_owned(),
                source,
            }
        })?;
        let resources = read_resources(section("Resources")?, &section("Globals")?)?;
        let mut template = Self {
            folder,
            parameters,
            functions: Vec::new(),
            apis: Vec::new(),
            routes: Vec::new(),
            schedules: Vec::new(),
            queue_mappings: Vec::new(),
            file_triggers: Vec::new(),
            topic_mappings: Vec::new(),
            queues: Vec::new(),
            buckets: Vec::new(),
            alarms: Vec::new(),
            log_groups: Vec::new(),
            resources: resources.clone(),
            facts: facts.clone(),
        };
        let attributes =
            |id: &str, attribute: &str| local_attribute(&resources, &facts, id, attribute);
        let resolver = Resolver::new(&facts, &attributes);
        for (logical_id, resource) in &resources {
            template.add(logical_id, resource, &resolver)?;
        }
        Ok(template)
    }

    fn add(
        &mut self,
        logical_id: &str,
        resource: &Resource,
        resolver: &Resolver<'_>,
    ) -> Result<(), TemplateError> {
        let present = match &resource.condition {
            None => true,
            Some(name) => resolver
                .condition(name)
                .map_err(|source| TemplateError::Unresolved {
                    place: logical_id.to_owned(),
                    source,
                })?,
        };
        let reader = Reader::new(logical_id, resource.properties.clone(), resolver);
        match resource.kind.as_str() {
            "AWS::Serverless::Function" => {
                let metadata = Reader::new(
                    format!("{logical_id}.Metadata"),
                    resource.metadata.clone(),
                    resolver,
                );
                let mut function = functions::read(logical_id, &reader, &metadata)?;
                function.condition.clone_from(&resource.condition);
                function.present = present;
                functions::add_role(&mut function, &self.resources, resolver)?;
                triggers::read(self, &function, &reader)?;
                self.functions.push(function);
            }
            "AWS::Serverless::HttpApi" => self.apis.push(resources::http_api(logical_id, &reader)?),
            "AWS::SQS::Queue" => {
                let mut queue = resources::queue(logical_id, &reader)?;
                queue.name =
                    crate::attributes::queue_name(&self.resources, &self.facts, logical_id);
                queue.present = present;
                self.queues.push(queue);
            }
            "AWS::S3::Bucket" => self.buckets.push(Bucket {
                logical_id: logical_id.to_owned(),
                name: crate::attributes::bucket_name(&self.resources, &self.facts, logical_id),
                present,
            }),
            "AWS::CloudWatch::Alarm" => self.alarms.push(resources::alarm(logical_id, &reader)?),
            "AWS::Logs::LogGroup" => self.log_groups.push(logical_id.to_owned()),
            "AWS::Lambda::EventSourceMapping" => {
                if let Some(mut mapping) = triggers::topic_mapping_resource(logical_id, &reader)? {
                    mapping.condition.clone_from(&resource.condition);
                    mapping.present = present;
                    self.topic_mappings.push(mapping);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The function with this logical id.
    pub fn function(&self, logical_id: &str) -> Option<&Function> {
        self.functions
            .iter()
            .find(|function| function.logical_id == logical_id)
    }

    /// The queue with this logical id.
    pub fn queue(&self, logical_id: &str) -> Option<&Queue> {
        self.queues
            .iter()
            .find(|queue| queue.logical_id == logical_id)
    }

    /// Whether a condition of the template holds; `None` when there is none of this name.
    pub fn condition(&self, name: &str) -> Option<bool> {
        self.facts.conditions.get(name).copied()
    }

    /// Parameters, conditions and mappings, to build a [`Resolver`] with attributes of one's own.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What `GetAtt` (or, for the attribute `Ref`, what Ref) gives outside AWS: names are logical
    /// ids, the account is 000000000000, the region us-east-1.
    pub fn local_attribute(&self, logical_id: &str, attribute: &str) -> Option<Value> {
        local_attribute(&self.resources, &self.facts, logical_id, attribute)
    }

    /// A value as text outside AWS; `None` where it is none, or has no value.
    pub(crate) fn local_text(&self, expression: &Expression) -> Option<String> {
        let attributes = |id: &str, attribute: &str| self.local_attribute(id, attribute);
        expression
            .text(&Resolver::new(&self.facts, &attributes))
            .ok()?
    }

    /// Resources as written, before SAM adds its own.
    pub(crate) fn resource_count(&self) -> usize {
        self.resources.len()
    }

    /// The environment of a function outside AWS, by [`Template::local_attribute`].
    pub fn environment(
        &self,
        function: &Function,
    ) -> Result<BTreeMap<String, String>, TemplateError> {
        let attributes = |id: &str, attribute: &str| self.local_attribute(id, attribute);
        self.environment_with(function, &Resolver::new(&self.facts, &attributes))
    }

    /// The environment of a function; variables that are `AWS::NoValue` are left out.
    pub fn environment_with(
        &self,
        function: &Function,
        resolver: &Resolver<'_>,
    ) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut environment = BTreeMap::new();
        for (name, expression) in &function.environment {
            let value = expression
                .text(resolver)
                .map_err(|source| TemplateError::Unresolved {
                    place: format!("{}.Environment.Variables.{name}", function.logical_id),
                    source,
                })?;
            environment.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(environment)
    }
}

fn section(document: &Value, name: &str) -> Result<Map<String, Value>, TemplateError> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(_) => Err(TemplateError::broken(
            name,
            "this section is a map of names",
        )),
    }
}

fn read_parameters(section: Map<String, Value>) -> Result<Vec<Parameter>, TemplateError> {
    let mut parameters = Vec::with_capacity(section.len());
    for (name, written) in section {
        let place = format!("Parameters.{name}");
        let Value::Object(map) = written else {
            return Err(TemplateError::broken(
                place,
                "a parameter is a map with a Type",
            ));
        };
        let facts = Facts::default();
        let no_attributes = |_: &str, _: &str| None;
        let resolver = Resolver::new(&facts, &no_attributes);
        let reader = Reader::new(place, map, &resolver);
        parameters.push(Parameter {
            kind: reader.required_text("Type", "write Type: String, Number or a list type")?,
            default: reader.value("Default")?,
            minimum: reader.value("MinValue")?,
            allowed_values: reader.texts("AllowedValues")?,
            name,
        });
    }
    Ok(parameters)
}

fn parameter_values(
    parameters: &[Parameter],
    overrides: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    let mut values = BTreeMap::from([
        ("AWS::Region".to_owned(), Value::from(REGION)),
        ("AWS::AccountId".to_owned(), Value::from(ACCOUNT)),
        ("AWS::Partition".to_owned(), Value::from("aws")),
        ("AWS::StackName".to_owned(), Value::from("feira")),
        ("AWS::StackId".to_owned(), Value::from("feira")),
        ("AWS::URLSuffix".to_owned(), Value::from("amazonaws.com")),
    ]);
    for name in overrides.keys() {
        if !parameters.iter().any(|parameter| &parameter.name == name) {
            return Err(TemplateError::broken(
                "Parameters",
                format!("there is no parameter {name}: leave it out or declare it"),
            ));
        }
    }
    for parameter in parameters {
        let place = format!("Parameters.{}", parameter.name);
        let text = match (overrides.get(&parameter.name), &parameter.default) {
            (Some(text), _) => text.clone(),
            (None, Some(default)) => {
                plain_text(default).map_err(|source| TemplateError::Unresolved {
                    place: place.clone(),
                    source,
                })?
            }
            (None, None) => String::new(),
        };
        if !parameter.allowed_values.is_empty() && !parameter.allowed_values.contains(&text) {
            let allowed = parameter.allowed_values.join(", ");
            return Err(TemplateError::broken(
                place,
                format!("{text:?} is none of {allowed}"),
            ));
        }
        let is_list = parameter.kind == "CommaDelimitedList" || parameter.kind.starts_with("List<");
        let value = if is_list {
            Value::Array(text.split(',').map(|item| item.trim().into()).collect())
        } else {
            Value::String(text)
        };
        values.insert(parameter.name.clone(), value);
    }
    Ok(values)
}

fn read_resources(
    section: Map<String, Value>,
    globals: &Map<String, Value>,
) -> Result<Resources, TemplateError> {
    let mut resources = Resources::new();
    for (logical_id, written) in section {
        let Value::Object(map) = written else {
            return Err(TemplateError::broken(
                logical_id,
                "a resource is a map with a Type",
            ));
        };
        let Some(kind) = map.get("Type").and_then(Value::as_str).map(str::to_owned) else {
            return Err(TemplateError::broken(
                logical_id,
                "Type is missing: write its AWS type",
            ));
        };
        let submap = |key: &str| map.get(key).and_then(Value::as_object).cloned();
        let mut properties = submap("Properties").unwrap_or_default();
        let global = kind
            .strip_prefix("AWS::Serverless::")
            .and_then(|name| globals.get(name));
        if let Some(Value::Object(global)) = global {
            properties = merge(global, &properties);
        }
        let condition = map
            .get("Condition")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let metadata = submap("Metadata").unwrap_or_default();
        resources.insert(
            logical_id,
            Resource {
                kind,
                condition,
                properties,
                metadata,
            },
        );
    }
    Ok(resources)
}

/// SAM's rule for `Globals`: maps are merged, lists are joined, everything else is replaced.
fn merge(global: &Map<String, Value>, own: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = global.clone();
    for (key, value) in own {
        let joined = match (merged.get(key), value) {
            (Some(Value::Object(below)), Value::Object(above))
                if single_intrinsic(below).is_none() && single_intrinsic(above).is_none() =>
            {
                Value::Object(merge(below, above))
            }
            (Some(Value::Array(below)), Value::Array(above)) => {
                Value::Array(below.iter().chain(above).cloned().collect())
            }
            _ => value.clone(),
        };
        merged.insert(key.clone(), joined);
    }
    merged
}
