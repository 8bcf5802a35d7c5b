//! The bundle from outside, for commands and the demo: HTTP, tokens, queues, topics, idleness.
//!
//! Works beside an instance in this process and in another one alike: what waits stands in the
//! files of the state folder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use queues::{EmbeddedQueues, OutgoingMessage};

use crate::bundle::{Queue, TopicSource};
use crate::events::kafka::{BOOTSTRAP_SERVERS, Record};
use crate::failure::{Failure, OrFailure};
use crate::http_client::{HttpAnswer, HttpClient};
use crate::instance::{now_ms, open_queue_file};
use crate::journal::Journal;
use crate::project::Project;
use crate::state::InstanceNote;
use crate::topics::cluster::ClusterTopics;
use crate::topics::embedded::EmbeddedTopics;
use crate::topics::{NewRecord, Topics};

/// How often idleness is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// Access to a running bundle.
#[derive(Clone)]
pub struct Client {
    project: Arc<Project>,
    note: InstanceNote,
    http: HttpClient,
    queues: EmbeddedQueues,
    topics: Topics,
    journal: Journal,
}

/// What waits for work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// Messages that functions have not handled yet: waiting, delayed and being handled.
    pub messages: u64,
    /// Records of topics that functions have not handled yet.
    pub records: u64,
    /// Asynchronous invocations not done yet.
    pub invocations: u64,
}

impl Pending {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.messages + self.records + self.invocations
    }
}

/// A function's answer with its log.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The answer, or the error object.
    pub payload: Vec<u8>,
    /// Whether the function failed.
    pub is_failure: bool,
    /// The last lines of its log.
    pub log: String,
}

impl Client {
    /// A client of the instance that `note` describes.
    ///
    /// # Errors
    /// A sentence that says what to mend.
    pub async fn new(project: Arc<Project>, note: InstanceNote) -> Result<Self, Failure> {
        let queues = open_queue_file(&project).await?;
        let state_dir = project.state.path();
        let topics = topics(&project, &note).await?;
        let journal = Journal::open(state_dir)
            .await
            .or_mend(|| "local.sqlite".to_owned())?;
        Ok(Self {
            project,
            note,
            http: HttpClient::default(),
            queues,
            topics,
            journal,
        })
    }

    /// The project.
    pub fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// `http://127.0.0.1:8080`, without a final slash.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.note.http_port)
    }

    /// The topics, to write to them.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The brokers that the events of topics name.
    pub fn brokers(&self) -> &str {
        let kafka = self.project.kafka.as_ref();
        kafka.map_or(BOOTSTRAP_SERVERS, |connection| connection.brokers())
    }

    /// A bearer token that the bundle's authorizer accepts for an hour.
    ///
    /// # Errors
    /// When the template's authorizer does not say what it wants.
    pub fn token(&self, subject: &str, scopes: &[&str]) -> Result<String, Failure> {
        self.project.token(subject, &scopes.join(" "), 3_600)
    }

    /// Sends a request to a path of the HTTP API.
    ///
    /// # Errors
    /// When the gateway is not reached; an error status is an answer.
    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<HttpAnswer, Failure> {
        self.http
            .send(method, &format!("{}{path}", self.base_url()), headers, body)
            .await
    }

    /// The queue with this logical id or name.
    ///
    /// # Errors
    /// A sentence with the names that there are.
    pub fn queue(&self, name: &str) -> Result<&Queue, Failure> {
        let queues = &self.project.bundle.queues;
        let found = queues
            .values()
            .find(|queue| queue.id == name || queue.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = queues.values().map(|queue| queue.id.as_str()).collect();
            Failure::mend(format!(
                "there is no queue {name}; there are {}",
                known.join(", ")
            ))
        })
    }

    /// Sends messages to a queue by logical id or name, in order.
    ///
    /// # Errors
    /// The first message that the queue refused; those before it were sent.
    pub async fn send(&self, queue: &str, messages: &[OutgoingMessage]) -> Result<usize, Failure> {
        let queue = self.queue(queue)?;
        for batch in messages.chunks(500) {
            for sent in self.queues.send(&queue.url(), batch, now_ms()).await {
                sent.or_work(|| format!("a message for {} was not sent", queue.name))?;
            }
        }
        Ok(messages.len())
    }

    /// Writes records to a topic.
    ///
    /// # Errors
    /// When no function reads the topic, or a record was not taken.
    pub async fn produce(&self, topic: &str, records: &[NewRecord]) -> Result<usize, Failure> {
        let sources = &self.project.bundle.topic_sources;
        if !sources.iter().any(|source| source.topic == topic) {
            let mut known: Vec<&str> = sources.iter().map(|source| source.topic.as_str()).collect();
            known.dedup();
            let known = known.join(", ");
            return Err(Failure::mend(format!(
                "no function reads topic {topic}; known: {known}"
            )));
        }
        for batch in records.chunks(1_000) {
            let written = self.topics.produce(topic, batch, now_ms()).await;
            written.or_work(|| format!("topic {topic} could not be written"))?;
        }
        Ok(records.len())
    }

    /// Gives `visit` every record of a topic, each partition in its order, `page` read at once.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn each_record(
        &self,
        topic: &str,
        page: usize,
        mut visit: impl FnMut(Record),
    ) -> Result<(), Failure> {
        let cannot = || format!("topic {topic} could not be read");
        for (partition, first, end) in self.topics.extents(topic).await.or_work(cannot)? {
            let mut next = first;
            while next < end {
                let records = self.topics.read(topic, partition, next, page).await;
                let records = records.or_work(cannot)?;
                let Some(last) = records.last() else { break };
                next = last.offset + 1;
                records.into_iter().for_each(&mut visit);
            }
        }
        Ok(())
    }

    /// What waits for work now.
    ///
    /// # Errors
    /// When a state file cannot be read.
    pub async fn pending(&self) -> Result<Pending, Failure> {
        let mut pending = Pending::default();
        for source in &self.project.bundle.queue_sources {
            let Some(queue) = self.project.bundle.queues.get(&source.queue) else {
                continue;
            };
            let counts = self.queues.counts(&queue.url(), now_ms()).await;
            let counts = counts.or_work(|| format!("queue {}", queue.name))?;
            pending.messages += counts.visible + counts.in_flight + counts.delayed;
        }
        for source in &self.project.bundle.topic_sources {
            pending.records += self.lag(source).await?;
        }
        let invocations = self.journal.pending_count().await;
        pending.invocations = invocations.or_work(|| "local.sqlite".to_owned())?;
        Ok(pending)
    }

    async fn lag(&self, source: &TopicSource) -> Result<u64, Failure> {
        let lag = self.topics.lag(source).await;
        lag.or_work(|| format!("topic {}", source.topic))
    }

    /// Waits until every reader of a topic has handled its records, and answers whether they had
    /// within `patience`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn wait_until_read(&self, topic: &str, patience: Duration) -> Result<bool, Failure> {
        let begun = Instant::now();
        loop {
            let mut lag = 0;
            let sources = &self.project.bundle.topic_sources;
            for source in sources.iter().filter(|source| source.topic == topic) {
                lag += self.lag(source).await?;
            }
            if lag == 0 || begun.elapsed() >= patience {
                return Ok(lag == 0);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Messages in all dead-letter queues.
    ///
    /// # Errors
    /// When a state file cannot be read.
    pub async fn dead_letters(&self) -> Result<u64, Failure> {
        let queues = &self.project.bundle.queues;
        let is_dead_letter_queue = |name: &str| {
            queues.values().any(|queue| {
                let redrive = queue.definition.redrive.as_ref();
                redrive.is_some_and(|redrive| redrive.dead_letter_queue == name)
            }) || self.project.bundle.takes_failures(name)
                || self.project.bundle.takes_sealed_letters(name)
        };
        let mut count = 0;
        for queue in queues
            .values()
            .filter(|queue| is_dead_letter_queue(&queue.name))
        {
            let counts = self.queues.counts(&queue.url(), now_ms()).await;
            let counts = counts.or_work(|| format!("queue {}", queue.name))?;
            count += counts.visible + counts.in_flight + counts.delayed;
        }
        Ok(count)
    }

    /// Waits until nothing waits for work, twice in a row: what one step leaves to the next shows.
    ///
    /// # Errors
    /// When a state file cannot be read.
    pub async fn wait_until_idle(&self, mut progress: impl FnMut(&Pending)) -> Result<(), Failure> {
        let mut idle_looks = 0;
        while idle_looks < 2 {
            let pending = self.pending().await?;
            progress(&pending);
            idle_looks = if pending.total() == 0 {
                idle_looks + 1
            } else {
                0
            };
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Invokes a function through the Invoke API and waits for its answer.
    ///
    /// # Errors
    /// When there is no such function or the instance is not reached.
    pub async fn invoke(&self, function: &str, payload: Vec<u8>) -> Result<Invocation, Failure> {
        let function = self.function(function)?;
        let url = format!(
            "http://127.0.0.1:{}/2015-03-31/functions/{function}/invocations",
            self.note.internal_port
        );
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/local/lambda/aws4_request",
            self.note.run_key
        );
        let headers = [
            ("authorization", authorization.as_str()),
            ("x-amz-log-type", "Tail"),
        ];
        let answer = self
            .http
            .send(Method::POST, &url, &headers, payload)
            .await?;
        if !answer.status.is_success() {
            let message = answer.json();
            let text = message.get("Message").and_then(serde_json::Value::as_str);
            return Err(Failure::work(
                text.unwrap_or("the Invoke API refused").to_owned(),
            ));
        }
        let header = |name: &'static str| answer.headers.get(HeaderName::from_static(name));
        let log = header("x-amz-log-result").and_then(|log| BASE64.decode(log.as_bytes()).ok());
        Ok(Invocation {
            is_failure: header("x-amz-function-error").is_some(),
            log: String::from_utf8_lossy(&log.unwrap_or_default()).into_owned(),
            payload: answer.body.to_vec(),
        })
    }

    /// The function with this logical id, with or without `Function` at its end, or by its
    /// binary's name.
    ///
    /// # Errors
    /// A sentence with the names that there are.
    pub fn function(&self, name: &str) -> Result<&str, Failure> {
        let functions = &self.project.bundle.functions;
        let found = functions.values().find(|function| {
            let binary = function.binary.file_name().and_then(|name| name.to_str());
            function.id == name
                || function.id.strip_suffix("Function") == Some(name)
                || binary == Some(name)
        });
        found.map(|function| function.id.as_str()).ok_or_else(|| {
            let known: Vec<&str> = functions.keys().map(String::as_str).collect();
            Failure::mend(format!(
                "there is no function {name}; there are {}",
                known.join(", ")
            ))
        })
    }
}

/// The topics that the running instance reads, or that the next one will.
async fn topics(project: &Project, note: &InstanceNote) -> Result<Topics, Failure> {
    let ours = project.kafka.as_ref().map(|kafka| kafka.brokers());
    if note.pid != 0 && note.kafka_brokers.as_deref() != ours {
        return Err(Failure::mend(match &note.kafka_brokers {
            Some(brokers) => format!(
                "the running instance reads Kafka at {brokers}: set KAFKA_BROKERS={brokers} here too"
            ),
            None => "the running instance reads the embedded log: unset KAFKA_BROKERS here, or \
                     start it with that"
                .to_owned(),
        }));
    }
    match &project.kafka {
        Some(connection) => {
            let topics = ClusterTopics::new(connection).or_mend(|| "KAFKA_BROKERS".to_owned())?;
            Ok(Topics::Cluster(topics))
        }
        None => {
            let log = EmbeddedTopics::open(project.state.path()).await;
            Ok(Topics::Embedded(log.or_mend(|| "kafka.sqlite".to_owned())?))
        }
    }
}
