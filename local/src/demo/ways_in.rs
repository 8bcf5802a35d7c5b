//! The ways into the bundle that a shop has: HTTP, queues, the topic log, a job's command.

use std::time::Duration;

use queues::{EmbeddedQueues, OutgoingMessage};
use reqwest::{Client, Method, header, redirect};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, OrFailure};
use crate::instance::{now_ms, open_queue_file};
use crate::project::Project;
use crate::topic_log::{NewRecord, TopicLog};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_PAUSE: Duration = Duration::from_millis(100);
/// A queue that does not get shorter for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Messages of one queue: FIFO group, deduplication id, body.
pub type Message = (String, String, Value);

/// The ways in.
pub struct WaysIn<'p> {
    project: &'p Project,
    base: String,
    http: Client,
    queues: EmbeddedQueues,
    topics: TopicLog,
}

impl<'p> WaysIn<'p> {
    /// To the instance that runs in the project's state folder.
    ///
    /// # Errors
    /// When none runs there.
    pub async fn open(project: &'p Project) -> Result<Self, Failure> {
        let note = project
            .running()
            .ok_or_else(|| Failure::work("no instance runs in the state folder".to_owned()))?;
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .build()
            .or_work(|| "the HTTP client".to_owned())?;
        let topics = TopicLog::open(project.state.path()).await;
        Ok(Self {
            project,
            base: format!("http://127.0.0.1:{}", note.http_port),
            http,
            queues: open_queue_file(project).await?,
            topics: topics.or_work(|| "the topic log".to_owned())?,
        })
    }

    /// A token for this subject and scope.
    ///
    /// # Errors
    /// When the project can't sign.
    pub fn token(&self, subject: &str, scope: &str) -> Result<String, Failure> {
        self.project.token(subject, scope, 3600)
    }

    /// Asks the API and answers its JSON.
    ///
    /// # Errors
    /// For any status but 2xx: the problem is told.
    pub async fn api(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<(&str, Value)>,
    ) -> Result<Value, Failure> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(token);
        if let Some((idempotency_key, body)) = body {
            request = request
                .header("Idempotency-Key", idempotency_key)
                .json(&body);
        }
        let answer = request
            .send()
            .await
            .or_work(|| format!("{method} {path}"))?;
        let status = answer.status();
        let text = answer.text().await.or_work(|| format!("{method} {path}"))?;
        if !status.is_success() {
            return Err(Failure::work(format!(
                "{method} {path} answered {status}: {text}"
            )));
        }
        serde_json::from_str(&text).or_work(|| format!("{method} {path}"))
    }

    /// Opens a referral link as a visitor of its own; answers the `ref` of the redirect.
    ///
    /// # Errors
    /// When the link does not redirect with a `ref`.
    pub async fn open_link(&self, code: &str, visitor: &str) -> Result<String, Failure> {
        let url = format!("{}/r/{code}", self.base);
        let browser = format!("Mozilla/5.0 (X11; Linux x86_64) demonstration/{visitor}");
        let request = self.http.get(&url).header(header::USER_AGENT, browser);
        let answer = request
            .send()
            .await
            .or_work(|| "GET /r/{code}".to_owned())?;
        let location = answer
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let query = location
            .and_then(|location| location.split_once('?'))
            .map(|(_, query)| query);
        let reference = query.and_then(|query| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix("ref="))
                .map(str::to_owned)
        });
        reference.ok_or_else(|| {
            Failure::work(format!(
                "GET /r/{{code}} answered {} without a ref",
                answer.status()
            ))
        })
    }

    /// Writes to a topic.
    ///
    /// # Errors
    /// When the log can't be written.
    pub async fn produce(&self, topic: &str, records: Vec<(String, Value)>) -> Result<(), Failure> {
        let records: Vec<NewRecord> = records
            .into_iter()
            .map(|(key, value)| NewRecord {
                key: Some(key.into_bytes()),
                value: Some(value.to_string().into_bytes()),
                headers: Vec::new(),
            })
            .collect();
        let produced = self.topics.produce(topic, &records, now_ms()).await;
        produced.map(|_| ()).or_work(|| format!("topic {topic}"))
    }

    /// Sends to a FIFO queue of the template.
    ///
    /// # Errors
    /// When the queue does not take a message.
    pub async fn send(&self, queue_id: &str, messages: Vec<Message>) -> Result<(), Failure> {
        let url = self.queue_url(queue_id)?;
        let messages: Vec<OutgoingMessage> = messages
            .into_iter()
            .map(|(group, deduplication, body)| {
                let group = queues::group_id(&[group.as_bytes()]);
                OutgoingMessage::fifo(body.to_string(), group, deduplication)
            })
            .collect();
        for answer in self.queues.send(&url, &messages, now_ms()).await {
            answer.or_work(|| format!("queue {queue_id}"))?;
        }
        Ok(())
    }

    /// Waits until every message of a queue was handled, and tells how many are left meanwhile.
    ///
    /// # Errors
    /// When the queue gets no shorter for two minutes.
    pub async fn drain_queue(&self, queue_id: &str, tell: impl Fn(u64)) -> Result<(), Failure> {
        let url = self.queue_url(queue_id)?;
        let left = async || {
            let counts = self.queues.counts(&url, now_ms()).await;
            let counts = counts.or_work(|| format!("queue {queue_id}"))?;
            Ok(counts.visible + counts.in_flight + counts.delayed)
        };
        drain(queue_id, left, tell).await
    }

    /// Waits until every record of a topic was read by the function of the template.
    ///
    /// # Errors
    /// When the lag gets no shorter for two minutes.
    pub async fn drain_topic(&self, topic: &str, tell: impl Fn(u64)) -> Result<(), Failure> {
        let sources = self
            .project
            .bundle
            .topic_sources
            .iter()
            .filter(|source| source.topic == topic);
        let readers: Vec<String> = sources.map(|source| source.reader.clone()).collect();
        let left = async || {
            let mut lag = 0;
            for reader in &readers {
                lag += self
                    .topics
                    .lag(reader, topic)
                    .await
                    .or_work(|| format!("topic {topic}"))?;
            }
            Ok(lag)
        };
        drain(topic, left, tell).await
    }

    /// Messages in all dead-letter queues together.
    ///
    /// # Errors
    /// When the queues can't be read.
    pub async fn dead_letters(&self) -> Result<u64, Failure> {
        let targets = self.project.bundle.queues.values().filter_map(|queue| {
            queue
                .definition
                .redrive
                .as_ref()
                .map(|redrive| redrive.dead_letter_queue.clone())
        });
        let mut dead = 0;
        for name in targets.collect::<std::collections::BTreeSet<_>>() {
            let url = queues::embedded_queue_url(&name);
            let counts = self.queues.counts(&url, now_ms()).await;
            let counts = counts.or_work(|| format!("queue {name}"))?;
            dead += counts.visible + counts.in_flight + counts.delayed;
        }
        Ok(dead)
    }

    fn queue_url(&self, id: &str) -> Result<String, Failure> {
        let queue = self.project.bundle.queues.get(id);
        queue.map(crate::bundle::Queue::url).ok_or_else(|| {
            Failure::mend(format!(
                "the template has no queue {id}, which the demonstration uses"
            ))
        })
    }
}

async fn drain(
    what: &str,
    left: impl AsyncFn() -> Result<u64, Failure>,
    tell: impl Fn(u64),
) -> Result<(), Failure> {
    let mut least = u64::MAX;
    let mut last_progress = Instant::now();
    loop {
        let now_left = left().await?;
        tell(now_left);
        if now_left == 0 {
            return Ok(());
        }
        if now_left < least {
            least = now_left;
            last_progress = Instant::now();
        }
        if last_progress.elapsed() > PATIENCE {
            return Err(Failure::work(format!(
                "{what}: {now_left} messages are stuck; the functions' logs in the state folder say why"
            )));
        }
        sleep(POLL_PAUSE).await;
    }
}
