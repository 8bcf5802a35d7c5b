//! `reenviar_lotes`: batches of records that failed for good go to their functions again, and their
//! objects go once no failure is left; a record that the bridge refused goes through it again.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
use documents::Documents;
use domain::time::UtcMillis;
use files::{FileAddress, Files, FolderFiles, Overwrite};
use invocations::Invoker;
use lambda_kit::{Invocation, SealKey, dead_letter::DeadLetter, direct::Handler};
use queues::{EmbeddedQueues, OutgoingMessage, QueueDefinition, Queues, embedded_queue_url};
use run_command::{DeadLetterRoutes, FailedBatches, JobFunctions, RunCommand, ShopSettings};
use serde_json::{Value, json};
use sql_store::Store;
use tempfile::TempDir;
use testkit::event as event_file;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

const FUNCTION: &str = "run-command";
const BUCKET: &str = "feira-arquivos";
const BRIDGE: &str = "KafkaToSqsFunction";
const KEY: [u8; 32] = [7; 32];

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

/// Answers with a failure where the event says `ruim`, and hands out each request.
async fn lambda() -> (Invoker, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (mut text, mut buffer) = (String::new(), [0_u8; 4096]);
            while !text.ends_with('}') {
                let count = socket.read(&mut buffer).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
            let failures = if text.contains("ruim") {
                r#"[{"itemIdentifier":{}}]"#
            } else {
                "[]"
            };
            let body = format!(r#"{{"batchItemFailures":{failures}}}"#);
            sender.send(text).unwrap();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
            let answer = format!("{head} {}\r\n\r\n{body}", body.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let credentials = Credentials::new("test", "test", None, None, "test");
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(format!("http://{address}"))
        .load()
        .await;
    (Invoker::new(&sdk, Duration::from_secs(5)), receiver)
}

struct Scene {
    command: RunCommand,
    files: Files,
    requests: mpsc::UnboundedReceiver<String>,
    _folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let queues = EmbeddedQueues::open(&folder.path().join("filas.sqlite"))
            .await
            .unwrap();
        queues
            .define(&[QueueDefinition::new("Ponte")])
            .await
            .unwrap();
        let files = Files::Folder(FolderFiles::open(&folder.path().join("arquivos")).unwrap());
        let (invoker, requests) = lambda().await;
        let routes = json!({"BridgeDeadLetters":
            [embedded_queue_url("Ponte"), format!("ponte:{BRIDGE}")]});
        let (buckets, functions) = (json!([BUCKET]), json!([BRIDGE, "SyncCustomersFunction"]));
        let batches = FailedBatches::new(
            files.clone(),
            Some(invoker),
            [buckets.to_string().as_str()],
            [functions.to_string().as_str(), "[]"],
        );
        let database = folder.path().join("banco1.sqlite");
        let url = format!("sqlite://{}", database.display());
        let store = Store::open(&url).await.unwrap();
        let command = RunCommand {
            documents: Documents::in_sql(store.clone()),
            store,
            settings: ShopSettings::default(),
            telesales: None,
            queues: Queues::Embedded(queues),
            seal_key: SealKey::new(&KEY).unwrap(),
            dead_letter_routes: DeadLetterRoutes::parse([routes.to_string().as_str()]).unwrap(),
            invoker: None,
            batches: Some(batches.unwrap()),
            job_functions: JobFunctions::parse(["{}"]).unwrap(),
            clock: now,
        };
        Self {
            command,
            files,
            requests,
            _folder: folder,
        }
    }

    /// An object as Lambda writes it.
    async fn put(&self, name: &str, function: &str, event: &Value) -> FileAddress {
        let arn = format!("arn:aws:lambda:sa-east-1:000000000000:function:{function}");
        let object = json!({"version": "1.0", "payload": event.to_string(),
            "requestContext": {"functionArn": arn, "condition": "RetryAttemptsExhausted"}});
        let key = format!("aws/lambda/PedidosFromMsk/2026/11/21/{name}.json");
        let address = FileAddress::new(BUCKET, &key).unwrap();
        let (text, kind) = (object.to_string().into_bytes(), "application/json");
        self.files
            .put(&address, text, kind, Overwrite::Replace)
            .await
            .unwrap();
        address
    }

    async fn send(&self, command: &Value) -> Value {
        let invocation = Invocation::at(now());
        self.command
            .handle(command.clone(), &invocation)
            .await
            .unwrap()
    }

    async fn bury(&self, record: &str, at: UtcMillis) {
        let why = contracts::fields::BadMessage::invalid("value", "must be base64");
        let (key, content) = (SealKey::new(&KEY).unwrap(), record.as_bytes());
        let letter = DeadLetter::seal(&key, "kafka-to-sqs", record, None, &why, content, at);
        let body = serde_json::to_string(&letter.unwrap()).unwrap();
        let url = embedded_queue_url("Ponte");
        let messages = [OutgoingMessage::new(body)];
        let sent = self.command.queues.send(&url, &messages, now().get()).await;
        assert!(sent[0].is_ok());
    }
}

#[tokio::test]
async fn a_batch_goes_to_its_function_and_its_object_goes_when_no_failure_is_left() {
    let mut scene = Scene::new().await;
    let event = json!({"eventSource": "aws:kafka", "records": {"pedidos-0": []}});
    let good = scene.put("a", BRIDGE, &event).await;
    let bad = scene
        .put("b", "SyncCustomersFunction:$LATEST", &json!({"ruim": {}}))
        .await;
    let foreign = scene.put("c", "OutraFunction", &event).await;
    let answer = scene
        .send(&event_file(FUNCTION, "accepted-replay-batches"))
        .await;
    assert_eq!(
        answer,
        json!({"reenviados": 1, "com_falhas": 1, "recusados": 1})
    );
    assert!(scene.files.head(&good).await.is_err());
    assert!(scene.files.head(&bad).await.is_ok());
    assert!(scene.files.head(&foreign).await.is_ok());
    let request = scene.requests.recv().await.unwrap();
    assert!(request.starts_with(&format!("POST /2015-03-31/functions/{BRIDGE}/invocations")));
    assert!(request.ends_with(&event.to_string()), "{request}");
    let request = scene.requests.recv().await.unwrap();
    assert!(
        request.contains("/functions/SyncCustomersFunction/"),
        "{request}"
    );
    assert!(scene.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_record_that_can_be_read_by_now_goes_through_the_bridge_and_others_stay() {
    let mut scene = Scene::new().await;
    let before = now().plus_millis(-60_000);
    let good = r#"{"topic":"pedidos","partition":3,"offset":8,"value":"e30="}"#;
    scene.bury(good, before).await;
    scene
        .bury(r#"{"topic":"pedidos","offset":9}"#, before)
        .await;
    // What the bridge refuses while this replay runs would go round for ever.
    scene.bury(good, now()).await;
    let answer = scene
        .send(&json!({"comando": "reenviar", "fila": "BridgeDeadLetters"}))
        .await;
    assert_eq!(
        answer,
        json!({"reenviadas": 1, "nao_abertas": 1, "recusadas": 1})
    );
    let request = scene.requests.recv().await.unwrap();
    assert!(
        request.contains(&format!(r#""pedidos-3":[{good}]"#)),
        "{request}"
    );
    assert!(scene.requests.try_recv().is_err());
}
