//! template.yaml as this machine runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use queues::{QueueDefinition, Redrive, embedded_queue_url};
use sam_template::{KafkaKind, Resolver, Template, TemplateError, TopicMapping};
use serde_json::Value;

use crate::bundle::{
    AsyncFailure, Authorizer, Bundle, Destination, FolderSource, Function, Queue, QueueSource,
    Route, Schedule, TopicSource,
};
use crate::failure::{Failure, OrFailure};
use crate::topics::cluster::Connection;

/// Processes of a function that reserves no concurrency.
const DEFAULT_PROCESSES: usize = 4;
/// The one authorizer of the API.
const AUTHORIZER: &str = "default";

/// What this machine has that the template asks for.
pub struct Surroundings<'a> {
    /// The keys of its own tokens.
    pub jwks: &'a str,
    /// The Kafka that is read, unless it is the embedded log.
    pub kafka: Option<&'a Connection>,
}

/// Reads the template with what this machine sets: `Stage=dev`, the keys of its own tokens, that
/// there is a database 2, where Kafka is, and what the command line says.
///
/// # Errors
/// A sentence that names the place in the template and what to mend.
pub fn read_template(
    path: &Path,
    surroundings: &Surroundings<'_>,
    parameters: &BTreeMap<String, String>,
) -> Result<Template, Failure> {
    let broken = || format!("{} must be mended", path.display());
    let declared = Template::read_with(path, parameters).or_mend(broken)?;
    let mut values = BTreeMap::new();
    let mut ours = vec![
        ("Stage", "dev"),
        ("TokenJwks", surroundings.jwks),
        ("TelesalesSecretArn", "local"),
    ];
    if let Some(kafka) = surroundings.kafka {
        ours.push(("Kafka", "self-managed"));
        ours.push(("KafkaBootstrapServers", kafka.brokers()));
    }
    for (name, value) in ours {
        if declared
            .parameters
            .iter()
            .any(|parameter| parameter.name == name)
        {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values.extend(parameters.clone());
    Template::read_with(path, &values).or_mend(broken)
}

/// The bundle of a template, its binaries in `binaries`.
///
/// # Errors
/// A sentence that names the place in the template and what to mend.
pub fn bundle(
    template: &Template,
    surroundings: &Surroundings<'_>,
    binaries: &Path,
) -> Result<Bundle, Failure> {
    let reader = Reader {
        template,
        kafka: surroundings.kafka,
        binaries,
    };
    let mut bundle = Bundle {
        functions: reader.functions()?,
        authorizers: reader.authorizers()?,
        cors: template.apis.iter().find_map(|api| api.cors.clone()),
        queues: reader.queues(),
        schedules: reader.schedules()?,
        buckets: template
            .buckets
            .iter()
            .map(|bucket| bucket.name.clone())
            .collect(),
        ..Bundle::default()
    };
    bundle.routes = reader.routes(!bundle.authorizers.is_empty());
    for route in &bundle.routes {
        if route.authorizer.is_some() && route.scopes.is_empty() {
            return Err(Failure::mend(format!(
                "template.yaml, {}: {} has no scopes, so nobody could call it: name the event in \
                 the function's Metadata.Scopes: [customer], or [public] with \
                 Auth: {{ Authorizer: NONE }}",
                route.function, route.key
            )));
        }
    }
    for mapping in template
        .queue_mappings
        .iter()
        .filter(|mapping| mapping.enabled)
    {
        bundle.queue_sources.push(QueueSource {
            function: mapping.function.clone(),
            queue: reader.queue(&mapping.queue)?.logical_id.clone(),
            batch_size: mapping.batch_size.max(1) as usize,
            window_ms: u64::from(mapping.window_seconds) * 1_000,
            partial_answers: mapping.report_batch_item_failures,
            max_concurrency: mapping.maximum_concurrency.map(|limit| limit as usize),
        });
    }
    for trigger in &template.file_triggers {
        bundle.folder_sources.push(FolderSource {
            function: trigger.function.clone(),
            bucket: reader.bucket_name(&trigger.bucket)?,
            prefix: trigger.prefix.clone().unwrap_or_default(),
            suffix: trigger.suffix.clone().unwrap_or_default(),
        });
    }
    bundle.topic_sources = reader.topic_sources();
    let functions = &bundle.functions;
    bundle
        .queue_sources
        .retain(|source| functions.contains_key(&source.function));
    bundle
        .folder_sources
        .retain(|source| functions.contains_key(&source.function));
    bundle
        .topic_sources
        .retain(|source| functions.contains_key(&source.function));
    bundle
        .schedules
        .retain(|schedule| functions.contains_key(&schedule.function));
    Ok(bundle)
}

struct Reader<'a> {
    template: &'a Template,
    kafka: Option<&'a Connection>,
    binaries: &'a Path,
}

impl Reader<'_> {
    fn functions(&self) -> Result<BTreeMap<String, Function>, Failure> {
        let mut functions = BTreeMap::new();
        for written in self
            .template
            .functions
            .iter()
            .filter(|function| function.present)
        {
            let id = written.logical_id.clone();
            let environment = self
                .environment(written)
                .or_mend(|| "template.yaml".to_owned())?;
            let processes = written
                .reserved_concurrency
                .map_or(DEFAULT_PROCESSES, |n| n as usize);
            functions.insert(
                id.clone(),
                Function {
                    id,
                    binary: self.binaries.join(written.crate_name()),
                    timeout_ms: u64::from(written.timeout_seconds) * 1_000,
                    memory_mib: written.memory_mib,
                    max_processes: processes.max(1),
                    environment,
                    on_async_failure: AsyncFailure {
                        max_retries: written.async_retries,
                        destination: written.on_failure.as_deref().map(|id| self.destination(id)),
                    },
                },
            );
        }
        if functions.is_empty() {
            return Err(Failure::mend(
                "the template has no AWS::Serverless::Function: add one",
            ));
        }
        Ok(functions)
    }

    /// The template's own values, but queues have the addresses of the embedded ones, and who writes
    /// to Kafka gets this machine's settings of it.
    fn environment(
        &self,
        function: &sam_template::Function,
    ) -> Result<BTreeMap<String, String>, TemplateError> {
        let attributes = |id: &str, attribute: &str| {
            let queue = self.template.queue(id);
            match (queue, attribute) {
                (Some(queue), "Ref" | "QueueUrl") => {
                    Some(Value::String(embedded_queue_url(&queue.name)))
                }
                _ => self.template.local_attribute(id, attribute),
            }
        };
        let resolver = Resolver::new(self.template.facts(), &attributes);
        let mut environment = self.template.environment_with(function, &resolver)?;
        let writes_to_kafka = environment.get("KAFKA_BROKERS");
        let writes_to_kafka = writes_to_kafka.is_some_and(|brokers| !brokers.is_empty());
        for (name, value) in self.kafka.iter().flat_map(|kafka| kafka.settings()) {
            if writes_to_kafka {
                environment.insert((*name).to_owned(), value.clone());
            }
        }
        Ok(environment)
    }

    fn authorizers(&self) -> Result<BTreeMap<String, Authorizer>, Failure> {
        let mut authorizers = BTreeMap::new();
        for written in self
            .template
            .apis
            .iter()
            .filter_map(|api| api.authorizer.as_ref())
        {
            if self.template.function(&written.function).is_none() {
                return Err(missing(&written.function, "AWS::Serverless::Function"));
            }
            let headers = written
                .headers
                .iter()
                .map(|name| format!("$request.header.{name}"));
            let context = written
                .context
                .iter()
                .map(|name| format!("$context.{name}"));
            authorizers.insert(
                AUTHORIZER.to_owned(),
                Authorizer {
                    function: written.function.clone(),
                    identity_sources: headers.chain(context).collect(),
                    cache_ms: u64::from(written.cache_seconds) * 1_000,
                    simple_responses: written.simple_responses,
                },
            );
        }
        Ok(authorizers)
    }

    fn routes(&self, has_authorizer: bool) -> Vec<Route> {
        let written = self.template.routes.iter();
        written
            .filter(|route| {
                self.template
                    .function(&route.function)
                    .is_some_and(|f| f.present)
            })
            .map(|route| {
                let is_open = route.is_public() || route.authorizer_refused || !has_authorizer;
                let is_default = route.path == "/$default" || route.path == "$default";
                Route {
                    key: if is_default {
                        "$default".to_owned()
                    } else {
                        route.key()
                    },
                    method: (!matches!(
                        route.method.as_str(),
                        "ANY" | "X-AMAZON-APIGATEWAY-ANY-METHOD"
                    ) && !is_default)
                        .then(|| route.method.clone()),
                    path: (!is_default).then(|| route.path.clone()),
                    function: route.function.clone(),
                    authorizer: (!is_open).then(|| AUTHORIZER.to_owned()),
                    scopes: route.scopes.clone(),
                }
            })
            .collect()
    }

    fn queues(&self) -> BTreeMap<String, Queue> {
        let mut queues = BTreeMap::new();
        for written in self.template.queues.iter().filter(|queue| queue.present) {
            let redrive = written.redrive.as_ref().and_then(|redrive| {
                Some(Redrive {
                    dead_letter_queue: self.template.queue(&redrive.dead_letter)?.name.clone(),
                    maximum_receives: redrive.maximum_receives,
                })
            });
            let definition = QueueDefinition {
                name: written.name.clone(),
                fifo: written.fifo,
                deduplicates_content: written.content_based_deduplication,
                visibility_seconds: written.visibility_timeout_seconds,
                retention_seconds: written.retention_seconds,
                delay_seconds: written.delay_seconds,
                redrive,
            };
            let queue = Queue {
                id: written.logical_id.clone(),
                name: written.name.clone(),
                definition,
            };
            queues.insert(queue.id.clone(), queue);
        }
        queues
    }

    fn schedules(&self) -> Result<Vec<Schedule>, Failure> {
        let mut schedules = Vec::new();
        for written in self
            .template
            .schedules
            .iter()
            .filter(|schedule| schedule.enabled)
        {
            let id = format!("{}.{}", written.function, written.event);
            written
                .next_after(jiff::Timestamp::now())
                .or_mend(|| format!("template.yaml, schedule {id}"))?;
            let dead_letters = written.dead_letter.as_deref();
            let function = self.template.function(&written.function);
            schedules.push(Schedule {
                name: format!("{}{}", written.function, written.event),
                job: function.and_then(|function| function.job.clone()),
                function: written.function.clone(),
                dead_letters: dead_letters
                    .map(|id| self.queue(id).map(|queue| queue.name.clone()))
                    .transpose()?,
                written: written.clone(),
                id,
            });
        }
        Ok(schedules)
    }

    /// One mapping per function and topic, whatever its condition: a log is always there. A self-managed cluster's mapping comes before MSK's.
    fn topic_sources(&self) -> Vec<TopicSource> {
        let mut written: Vec<&TopicMapping> = self.template.topic_mappings.iter().collect();
        written.sort_by_key(|mapping| mapping.kind == KafkaKind::Msk);
        let mut seen = BTreeSet::new();
        written.retain(|mapping| seen.insert((&mapping.function, &mapping.topic)));
        let arn = "arn:aws:kafka:us-east-1:000000000000:cluster/feira-local/local";
        written
            .into_iter()
            .map(|mapping| TopicSource {
                mapping: mapping.event.clone(),
                reader: format!("{}.{}", mapping.function, mapping.topic),
                function: mapping.function.clone(),
                topic: mapping.topic.clone(),
                batch_size: mapping.batch_size.max(1) as usize,
                window_ms: u64::from(mapping.window_seconds) * 1_000,
                from_start: mapping.starting_position != "LATEST",
                partial_answers: mapping.report_batch_item_failures,
                max_retries: mapping.maximum_retries,
                splits_batches: mapping.splits_failed_batches,
                on_failure: mapping.on_failure.as_deref().map(|id| self.destination(id)),
                cluster_arn: (mapping.kind == KafkaKind::Msk).then(|| arn.to_owned()),
            })
            .collect()
    }

    fn destination(&self, logical_id: &str) -> Destination {
        if let Some(queue) = self.template.queue(logical_id) {
            return Destination::Queue(queue.name.clone());
        }
        let mut buckets = self.template.buckets.iter();
        match buckets.find(|bucket| bucket.logical_id == logical_id) {
            Some(bucket) => Destination::Bucket(bucket.name.clone()),
            None => Destination::Unknown(logical_id.to_owned()),
        }
    }

    fn queue(&self, logical_id: &str) -> Result<&sam_template::Queue, Failure> {
        let queue = self.template.queue(logical_id);
        queue.ok_or_else(|| missing(logical_id, "AWS::SQS::Queue"))
    }

    fn bucket_name(&self, logical_id: &str) -> Result<String, Failure> {
        let mut buckets = self.template.buckets.iter();
        let bucket = buckets.find(|bucket| bucket.logical_id == logical_id);
        bucket
            .map(|bucket| bucket.name.clone())
            .ok_or_else(|| missing(logical_id, "AWS::S3::Bucket"))
    }
}

fn missing(logical_id: &str, kind: &str) -> Failure {
    Failure::mend(format!(
        "template.yaml: something names {logical_id}, which is no {kind} of the template: \
         add the resource or mend the name"
    ))
}
