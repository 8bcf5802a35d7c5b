//! `reenviar` of invocations that failed for good: they begin again with their own event.
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
use invocations::Invoker;
use lambda_kit::{Invocation, SealKey, direct::Handler};
use queues::{EmbeddedQueues, OutgoingMessage, QueueDefinition, Queues, embedded_queue_url};
use run_command::{DeadLetterRoutes, JobFunctions, RunCommand, ShopSettings};
use serde_json::{Value, json};
use sql_store::Store;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

/// Takes every invocation and hands out its request.
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
            sender.send(text).unwrap();
            let taken = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            socket.write_all(taken).await.unwrap();
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

async fn command(folder: &TempDir, invoker: Option<Invoker>) -> RunCommand {
    let file = folder.path().join("filas.sqlite");
    let embedded = EmbeddedQueues::open(&file).await.unwrap();
    let definition = QueueDefinition {
        name: "CargasFalhadas".to_owned(),
        fifo: false,
        deduplicates_content: false,
        visibility_seconds: 1,
        retention_seconds: 86_400,
        delay_seconds: 0,
        redrive: None,
    };
    embedded.define(&[definition]).await.unwrap();
    let url = embedded_queue_url("CargasFalhadas");
    let routes = json!({"CargasFalhadas": [url, "invocar:LoadSalesFunction"]}).to_string();
    let database = folder.path().join("banco1.sqlite");
    let url = format!("sqlite://{}", database.display());
    let store = Store::open(&url).await.unwrap();
    RunCommand {
        documents: Documents::in_sql(store.clone()),
        store,
        settings: ShopSettings::default(),
        telesales: None,
        queues: Queues::Embedded(embedded),
        seal_key: SealKey::new(&[7; 32]).unwrap(),
        dead_letter_routes: DeadLetterRoutes::parse([routes.as_str()]).unwrap(),
        invoker,
        batches: None,
        job_functions: JobFunctions::parse(["{}"]).unwrap(),
        clock: now,
    }
}

async fn bury(command: &RunCommand, letter: &Value) {
    let url = embedded_queue_url("CargasFalhadas");
    let message = OutgoingMessage::new(letter.to_string());
    let sent = command.queues.send(&url, &[message], now().get()).await;
    assert!(sent[0].is_ok());
}

#[tokio::test]
async fn a_failed_invocation_begins_again_with_its_own_event() {
    let folder = TempDir::new().unwrap();
    let (invoker, mut requests) = lambda().await;
    let command = command(&folder, Some(invoker)).await;
    let event = json!({"Records": [{"s3": {"object": {"key": "vendas/a.csv"}}}]});
    let context = json!({"condition": "RetriesExhausted"});
    bury(
        &command,
        &json!({"requestContext": context, "requestPayload": event}),
    )
    .await;
    bury(&command, &json!({"nada": 1})).await;
    let replay = json!({"comando": "reenviar", "fila": "CargasFalhadas"});
    let answer = command
        .handle(replay, &Invocation::at(now()))
        .await
        .unwrap();
    assert_eq!(answer["reenviadas"], 1);
    assert_eq!(answer["recusadas"], 1);
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /2015-03-31/functions/LoadSalesFunction/invocations"));
    assert!(request.ends_with(&event.to_string()), "{request}");
}

#[tokio::test]
async fn without_a_lambda_to_ask_the_letter_stays() {
    let folder = TempDir::new().unwrap();
    let command = command(&folder, None).await;
    bury(&command, &json!({"requestPayload": {}})).await;
    let replay = json!({"comando": "reenviar", "fila": "CargasFalhadas"});
    let answer = command
        .handle(replay, &Invocation::at(now()))
        .await
        .unwrap();
    assert_eq!(
        (&answer["reenviadas"], &answer["recusadas"]),
        (&json!(0), &json!(1))
    );
}
