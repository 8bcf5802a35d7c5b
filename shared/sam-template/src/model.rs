//! What template.yaml says, in types.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expression::Expression;

/// A template parameter. CloudFormation's parameters are text, or lists of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// CloudFormation's type, such as `String`, `Number` or `CommaDelimitedList`.
    pub kind: String,
    /// What it is when nobody says otherwise.
    pub default: Option<Value>,
    /// The smallest number it may be.
    pub minimum: Option<Value>,
    /// What it may be; empty when anything.
    pub allowed_values: Vec<String>,
}

/// One Lambda function: a crate under functions/.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Logical id, such as `IssueTripVoucherFunction`.
    pub logical_id: String,
    /// Folder of its crate from the folder of the template, such as `functions/mgm/redeem-voucher`.
    pub code_uri: String,
    /// Entry point; `bootstrap` for `provided` runtimes.
    pub handler: String,
    /// Such as `provided.al2023`.
    pub runtime: String,
    /// `arm64` or `x86_64`, by the parameters' defaults.
    pub architecture: String,
    /// How long one invocation may take.
    pub timeout_seconds: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// How many run at a time at most; `None` when the account's pool is shared.
    pub reserved_concurrency: Option<u32>,
    /// Environment variables, those of `Globals` among them.
    pub environment: BTreeMap<String, Expression>,
    /// What its role may do, from `Policies` and from the role it names.
    pub statements: Vec<Statement>,
    /// Policies of AWS by name or ARN, unresolved.
    pub managed_policies: Vec<Expression>,
    /// Logical id of the role it names, if it names one.
    pub role: Option<String>,
    /// Logical id of the log group it names, if it names one.
    pub log_group: Option<String>,
    /// Where an asynchronous invocation goes that failed for good: a queue's logical id.
    pub on_failure: Option<String>,
    /// How often a failed asynchronous invocation is tried again; 2 when nothing is written.
    pub async_retries: u32,
    /// `Metadata.Job`: the job that its schedule starts, such as `mgm_set_promoters`.
    pub job: Option<String>,
    /// `Metadata.BuildMethod`.
    pub build_method: Option<String>,
    /// `Metadata.Scopes`: the scopes by name of the HTTP event.
    pub scopes: BTreeMap<String, Vec<String>>,
    /// The condition it stands under.
    pub condition: Option<String>,
    /// Whether it exists under the parameters that the template was read with.
    pub present: bool,
}

impl Function {
    /// The crate's name, which is the last part of its folder: `redeem-voucher`.
    pub fn crate_name(&self) -> &str {
        self.code_uri
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default()
    }
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// `Allow` or `Deny`.
    pub effect: String,
    /// Such as `sqs:SendMessage`.
    pub actions: Vec<String>,
    /// ARNs, unresolved.
    pub resources: Vec<Expression>,
}

/// An HTTP API and who guards it.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpApi {
    /// Logical id.
    pub logical_id: String,
    /// The Lambda authorizer every route has that does not refuse it.
    pub authorizer: Option<Authorizer>,
    /// Cross-origin rules.
    pub cors: Option<Cors>,
}

/// A Lambda authorizer of payload format 2.0.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorizer {
    /// Logical id of the function that answers.
    pub function: String,
    /// Header names that make up the identity source.
    pub headers: Vec<String>,
    /// Context values of the identity source, such as `routeKey`.
    pub context: Vec<String>,
    /// How long an answer holds for the same identity source; 0 for not at all.
    pub cache_seconds: u32,
    /// `2.0` here.
    pub payload_version: String,
    /// Whether the answer is `{"isAuthorized": …}` and no policy.
    pub simple_responses: bool,
}

/// Cross-origin rules of an HTTP API.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cors {
    /// Who may call; `*` for everybody.
    pub allow_origins: Vec<String>,
    /// Request headers that may be sent.
    pub allow_headers: Vec<String>,
    /// Methods that may be used.
    pub allow_methods: Vec<String>,
    /// Response headers that a page may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer.
    pub max_age_seconds: Option<u32>,
}

/// One HTTP route of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Logical id of the function.
    pub function: String,
    /// Name of the event in the function.
    pub event: String,
    /// Logical id of the API it names; `None` for SAM's implicit one.
    pub api: Option<String>,
    /// Upper-case method.
    pub method: String,
    /// Path with `{name}` for variables.
    pub path: String,
    /// Scopes of which any one suffices; `[public]` asks for no token; empty when none are written.
    pub scopes: Vec<String>,
    /// Whether the event says `Auth: {Authorizer: NONE}`.
    pub authorizer_refused: bool,
}

/// The scope that stands for: no token is needed.
pub const PUBLIC: &str = "public";

impl Route {
    /// API Gateway's route key, `GET /vouchers/{code}`.
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether no token is needed.
    pub fn is_public(&self) -> bool {
        matches!(self.scopes.as_slice(), [only] if only == PUBLIC)
    }
}

/// An `EventBridge` schedule of a function (SAM's `ScheduleV2`).
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Logical id of the function.
    pub function: String,
    /// Name of the event in the function.
    pub event: String,
    /// `rate(…)`, `cron(…)` or `at(…)`, as written.
    pub expression: String,
    /// IANA time zone; UTC when none is written.
    pub timezone: String,
    /// What the function gets, with `<aws.scheduler.scheduled-time>` where the time goes.
    pub input: Option<String>,
    /// Queue for invocations that `EventBridge` could not hand over: a logical id.
    pub dead_letter: Option<String>,
    /// Whether it runs (`State` is not DISABLED).
    pub enabled: bool,
}

/// A queue that feeds a function.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueMapping {
    /// Logical id of the function.
    pub function: String,
    /// Name of the event in the function.
    pub event: String,
    /// Logical id of the queue.
    pub queue: String,
    /// Messages in one invocation at most.
    pub batch_size: u32,
    /// How long messages are gathered for one batch.
    pub window_seconds: u32,
    /// Whether the answer names the failed messages.
    pub report_batch_item_failures: bool,
    /// How many of the function run for this queue at most.
    pub maximum_concurrency: Option<u32>,
    /// Whether it runs (`Enabled` is not false).
    pub enabled: bool,
}

/// New files of a bucket that start a function.
#[derive(Debug, Clone, PartialEq)]
pub struct FileTrigger {
    /// Logical id of the function.
    pub function: String,
    /// Name of the event in the function.
    pub event: String,
    /// Logical id of the bucket.
    pub bucket: String,
    /// Such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// What a key must begin with.
    pub prefix: Option<String>,
    /// What a key must end with.
    pub suffix: Option<String>,
}

/// Which Kafka a topic is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaKind {
    /// Amazon MSK: the event says `aws:kafka`.
    Msk,
    /// Any other: the event says `SelfManagedKafka`.
    SelfManaged,
}

/// A Kafka topic that feeds a function, as SAM event or as `AWS::Lambda::EventSourceMapping`.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicMapping {
    /// Logical id of the function.
    pub function: String,
    /// Name of the event in the function, or logical id of the mapping.
    pub event: String,
    /// MSK or self-managed.
    pub kind: KafkaKind,
    /// The one topic.
    pub topic: String,
    /// Records in one invocation at most.
    pub batch_size: u32,
    /// How long records are gathered for one batch.
    pub window_seconds: u32,
    /// `TRIM_HORIZON`, `LATEST` or `AT_TIMESTAMP`.
    pub starting_position: String,
    /// Where records go that failed for good: a logical id.
    pub on_failure: Option<String>,
    /// How often a failed batch is tried again; `None` is without end.
    pub maximum_retries: Option<u32>,
    /// Whether a failed batch is halved.
    pub splits_failed_batches: bool,
    /// Whether the answer names the failed records (provisioned mode).
    pub report_batch_item_failures: bool,
    /// Whether pollers are provisioned.
    pub provisioned: bool,
    /// The condition it stands under.
    pub condition: Option<String>,
    /// Whether it exists under the parameters that the template was read with.
    pub present: bool,
}

/// An SQS queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Logical id.
    pub logical_id: String,
    /// Name outside AWS: the written one, else the logical id, ending in `.fifo` where it must.
    pub name: String,
    /// Whether order by group is kept.
    pub fifo: bool,
    /// Whether equal bodies within five minutes are one message.
    pub content_based_deduplication: bool,
    /// How long a received message stays hidden.
    pub visibility_timeout_seconds: u32,
    /// How long messages are kept.
    pub retention_seconds: u32,
    /// How long a new message stays hidden.
    pub delay_seconds: u32,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
    /// Whether it exists under the parameters that the template was read with.
    pub present: bool,
}

/// When a message becomes a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Logical id of the queue of dead letters.
    pub dead_letter: String,
    /// Receives before it goes there.
    pub maximum_receives: u32,
}

/// A CloudWatch alarm on one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Logical id.
    pub logical_id: String,
    /// Such as `AWS/Lambda`; empty for an alarm on an expression.
    pub namespace: String,
    /// Such as `Errors`; empty for an alarm on an expression.
    pub metric: String,
    /// Logical ids that its dimensions name.
    pub watched: Vec<String>,
}

/// An S3 bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Logical id.
    pub logical_id: String,
    /// Name outside AWS: the written one, else the logical id in small letters with hyphens.
    pub name: String,
    /// Whether it exists under the parameters that the template was read with.
    pub present: bool,
}
