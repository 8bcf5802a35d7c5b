//! The parts that the contract runs on: the embedded queue always, ministack where there is one.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use queues::{
    EmbeddedQueues, QueueDefinition, Queues, ReceivedMessage, Redrive, SqsLimits, SqsQueues,
    embedded_queue_url,
};
use tempfile::TempDir;

/// Visibility of every queue here; short, because real time passes on SQS.
pub const VISIBILITY_SECONDS: u32 = 2;

/// One implementation with its four queues: standard and FIFO, each with its dead letters.
pub struct Part {
    pub name: &'static str,
    pub queues: Queues,
    pub standard: String,
    pub standard_dead: String,
    pub fifo: String,
    pub fifo_dead: String,
    pub now_ms: i64,
    _folder: Option<TempDir>,
}

impl Part {
    /// Lets time pass: in the argument on the embedded queue, on the clock on SQS.
    pub async fn pass(&mut self, seconds: u32) {
        self.now_ms += i64::from(seconds) * 1_000;
        if matches!(self.queues, Queues::Sqs(_)) {
            tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
        }
    }

    pub async fn receive(&self, queue_url: &str, max: u32) -> Vec<ReceivedMessage> {
        self.queues
            .receive(queue_url, max, self.now_ms)
            .await
            .unwrap()
    }

    pub async fn bodies(&self, queue_url: &str, max: u32) -> Vec<String> {
        self.receive(queue_url, max)
            .await
            .into_iter()
            .map(|message| message.body)
            .collect()
    }
}

/// Every part of this run, each with fresh queues.
pub async fn parts() -> Vec<Part> {
    let mut parts = vec![embedded().await];
    match testkit::ministack().await {
        Some(ministack) => parts.push(on_ministack(&ministack).await),
        None => println!("ministack took no part: FEIRA_MINISTACK_URL is not set"),
    }
    parts
}

/// The queue's definitions; every one of them is received at most twice.
pub fn definitions() -> Vec<QueueDefinition> {
    let queue = |name: &str, dead: Option<&str>| QueueDefinition {
        visibility_seconds: VISIBILITY_SECONDS,
        redrive: dead.map(|dead| Redrive {
            dead_letter_queue: dead.to_owned(),
            maximum_receives: 2,
        }),
        ..QueueDefinition::new(name)
    };
    vec![
        queue("Compras", Some("ComprasMorta")),
        queue("ComprasMorta", None),
        queue("Viagens.fifo", Some("ViagensMorta.fifo")),
        queue("ViagensMorta.fifo", None),
    ]
}

pub async fn embedded() -> Part {
    let folder = tempfile::tempdir().unwrap();
    let embedded = EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
        .await
        .unwrap();
    embedded.define(&definitions()).await.unwrap();
    Part {
        name: "embedded",
        queues: Queues::Embedded(embedded),
        standard: embedded_queue_url("Compras"),
        standard_dead: embedded_queue_url("ComprasMorta"),
        fifo: embedded_queue_url("Viagens.fifo"),
        fifo_dead: embedded_queue_url("ViagensMorta.fifo"),
        now_ms: 1_795_200_000_000,
        _folder: Some(folder),
    }
}

/// An SDK configuration that reaches this endpoint and nothing else.
pub async fn sdk(endpoint_url: &str, access_key_id: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key_id, "test", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("sa-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint_url)
        .load()
        .await
}

async fn on_ministack(ministack: &testkit::Ministack) -> Part {
    let sdk = sdk(ministack.endpoint_url(), ministack.account_id()).await;
    let client = aws_sdk_sqs::Client::new(&sdk);
    let standard_dead = create(&client, "ComprasMorta", None).await;
    let standard = create(&client, "Compras", Some(&standard_dead)).await;
    let fifo_dead = create(&client, "ViagensMorta.fifo", None).await;
    let fifo = create(&client, "Viagens.fifo", Some(&fifo_dead)).await;
    Part {
        name: "ministack",
        queues: Queues::Sqs(SqsQueues::new(&sdk, SqsLimits::default())),
        standard,
        standard_dead,
        fifo,
        fifo_dead,
        now_ms: 0,
        _folder: None,
    }
}

async fn create(client: &aws_sdk_sqs::Client, name: &str, dead_url: Option<&str>) -> String {
    let mut request = client.create_queue().queue_name(name).attributes(
        QueueAttributeName::VisibilityTimeout,
        VISIBILITY_SECONDS.to_string(),
    );
    if name.ends_with(".fifo") {
        request = request.attributes(QueueAttributeName::FifoQueue, "true");
    }
    if let Some(dead_url) = dead_url {
        let arn = QueueAttributeName::QueueArn;
        let output = client
            .get_queue_attributes()
            .queue_url(dead_url)
            .attribute_names(arn.clone());
        let output = output.send().await.unwrap();
        let arn = &output.attributes().unwrap()[&arn];
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":2}}"#);
        request = request.attributes(QueueAttributeName::RedrivePolicy, policy);
    }
    request
        .send()
        .await
        .unwrap()
        .queue_url()
        .unwrap()
        .to_owned()
}
