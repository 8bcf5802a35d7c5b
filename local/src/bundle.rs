//! The bundle as this machine runs it: what the template says, with every value resolved.
//!
//! Everything here comes from template.yaml (see `from_template`); nothing is registered in code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use queues::{QueueDefinition, embedded_queue_url};
use secrets::{DatabaseName, SecretName};

/// The account number that stands in every local ARN.
pub const LOCAL_ACCOUNT: &str = "000000000000";
/// The region that functions see.
pub const LOCAL_REGION: &str = "us-east-1";

/// Everything that runs.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// Functions by logical id.
    pub functions: BTreeMap<String, Function>,
    /// HTTP routes.
    pub routes: Vec<Route>,
    /// HTTP authorizers by name.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// Cross-origin rules of the HTTP API.
    pub cors: Option<sam_template::Cors>,
    /// Queues by logical id.
    pub queues: BTreeMap<String, Queue>,
    /// Which function reads which queue.
    pub queue_sources: Vec<QueueSource>,
    /// Schedules.
    pub schedules: Vec<Schedule>,
    /// Folders whose new files start a function.
    pub folder_sources: Vec<FolderSource>,
    /// Buckets that the template makes.
    pub buckets: Vec<String>,
    /// Which function reads which topic.
    pub topic_sources: Vec<TopicSource>,
}

impl Bundle {
    /// Whether failed invocations, schedules or batches end in this queue.
    pub fn takes_failures(&self, queue: &str) -> bool {
        let is_it = |destination: Option<&Destination>| matches!(destination, Some(Destination::Queue(name)) if name == queue);
        self.functions
            .values()
            .any(|f| is_it(f.on_async_failure.destination.as_ref()))
            || self
                .topic_sources
                .iter()
                .any(|source| is_it(source.on_failure.as_ref()))
            || self
                .schedules
                .iter()
                .any(|s| s.dead_letters.as_deref() == Some(queue))
    }

    /// The databases that its functions open; database 1 is always there, for `migrate`.
    pub fn databases(&self) -> Vec<DatabaseName> {
        let mut environments = self.functions.values().map(|f| &f.environment);
        let opens = |environment: &BTreeMap<String, String>| {
            let id = environment.get(SecretName::Telesales.id_variable());
            id.is_some_and(|id| !id.is_empty())
        };
        match environments.any(opens) {
            true => DatabaseName::ALL.to_vec(),
            false => vec![DatabaseName::Shop],
        }
    }

    /// Whether functions seal what they can't read into this queue.
    pub fn takes_sealed_letters(&self, queue: &str) -> bool {
        let url = embedded_queue_url(queue);
        let target = |f: &Function| f.environment.get("DEAD_LETTER_QUEUE_URL") == Some(&url);
        self.functions.values().any(target)
    }
}

/// One Lambda function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Logical id in the template; also its name here.
    pub id: String,
    /// The binary that runs it.
    pub binary: PathBuf,
    /// Milliseconds until an invocation is ended.
    pub timeout_ms: u64,
    /// Memory setting in MiB, handed on as it stands.
    pub memory_mib: u32,
    /// At most so many processes at once.
    pub max_processes: usize,
    /// The environment that the template gives it.
    pub environment: BTreeMap<String, String>,
    /// What happens to asynchronous invocations that fail.
    pub on_async_failure: AsyncFailure,
}

impl Function {
    /// The ARN that the function sees as its own.
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:lambda:{LOCAL_REGION}:{LOCAL_ACCOUNT}:function:{}",
            self.id
        )
    }
}

/// Retries of asynchronous invocations, and where the lost ones go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsyncFailure {
    /// Attempts after the first; Lambda's default is 2.
    pub max_retries: u32,
    /// Where a record of the failed invocation goes.
    pub destination: Option<Destination>,
}

impl Default for AsyncFailure {
    fn default() -> Self {
        Self {
            max_retries: 2,
            destination: None,
        }
    }
}

/// Where failed invocations and batches go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A queue by name.
    Queue(String),
    /// A bucket by name.
    Bucket(String),
    /// A resource that is neither, by logical id.
    Unknown(String),
}

/// One route of the HTTP API.
#[derive(Debug, Clone)]
pub struct Route {
    /// `"GET /r/{code}"` or `"$default"`.
    pub key: String,
    /// Upper case, or `None` for ANY.
    pub method: Option<String>,
    /// `/r/{code}`, with braces; `$default` has none.
    pub path: Option<String>,
    /// Logical id of the function.
    pub function: String,
    /// The authorizer's name; a public route has none.
    pub authorizer: Option<String>,
    /// The scopes of which one suffices, or `public`.
    pub scopes: Vec<String>,
}

/// A Lambda authorizer of the HTTP API.
#[derive(Debug, Clone)]
pub struct Authorizer {
    /// Logical id of the function.
    pub function: String,
    /// `$request.header.Authorization`, `$context.routeKey`, …
    pub identity_sources: Vec<String>,
    /// How long an answer holds, in milliseconds; 0 means not at all.
    pub cache_ms: u64,
    /// Whether it answers `{"isAuthorized": …}` rather than an IAM policy.
    pub simple_responses: bool,
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Logical id in the template.
    pub id: String,
    /// Its name: FIFO ones end in `.fifo`.
    pub name: String,
    /// How the embedded queue keeps it.
    pub definition: QueueDefinition,
}

impl Queue {
    /// The ARN that events carry.
    pub fn arn(&self) -> String {
        format!("arn:aws:sqs:{LOCAL_REGION}:{LOCAL_ACCOUNT}:{}", self.name)
    }

    /// The address by which functions know it.
    pub fn url(&self) -> String {
        embedded_queue_url(&self.name)
    }
}

/// A queue's event source mapping.
#[derive(Debug, Clone)]
pub struct QueueSource {
    /// Logical id of the function.
    pub function: String,
    /// The queue's logical id.
    pub queue: String,
    /// Messages handed over at once, at most.
    pub batch_size: usize,
    /// Milliseconds waited for a full batch.
    pub window_ms: u64,
    /// Whether answers name the failed messages.
    pub partial_answers: bool,
    /// The mapping's own limit of concurrent invocations.
    pub max_concurrency: Option<usize>,
}

/// One schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// `FunctionLogicalId.EventName`: the key of its state.
    pub id: String,
    /// The schedule's name in ARNs.
    pub name: String,
    /// The job that its function runs, where it runs one.
    pub job: Option<String>,
    /// Logical id of the function.
    pub function: String,
    /// When it fires and with which input.
    pub written: sam_template::Schedule,
    /// The schedule's own dead-letter queue, by name.
    pub dead_letters: Option<String>,
}

/// An S3 notification: new files of a folder start a function.
#[derive(Debug, Clone)]
pub struct FolderSource {
    /// Logical id of the function.
    pub function: String,
    /// The bucket, which is also the folder's name.
    pub bucket: String,
    /// Key filter: begins with.
    pub prefix: String,
    /// Key filter: ends with.
    pub suffix: String,
}

/// A topic's event source mapping.
#[derive(Debug, Clone)]
pub struct TopicSource {
    /// The mapping, by its name in the template: failed batches lie under it.
    pub mapping: String,
    /// The key of its offsets and the end of its group's name: function and topic.
    pub reader: String,
    /// Logical id of the function.
    pub function: String,
    /// The topic.
    pub topic: String,
    /// Records handed over at once, at most.
    pub batch_size: usize,
    /// Milliseconds waited for a full batch.
    pub window_ms: u64,
    /// Starts at the first record, not at the newest.
    pub from_start: bool,
    /// Whether answers name the failed records.
    pub partial_answers: bool,
    /// Attempts after the first; `None` is without end.
    pub max_retries: Option<u32>,
    /// A failed batch is halved, so that a bad record is found.
    pub splits_batches: bool,
    /// Where batches go that failed too often.
    pub on_failure: Option<Destination>,
    /// The cluster's ARN: present makes the event `aws:kafka`, absent `SelfManagedKafka`.
    pub cluster_arn: Option<String>,
}
