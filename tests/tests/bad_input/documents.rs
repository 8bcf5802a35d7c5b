//! A MongoDB that can't be reached, or whose URI is wrong: the log of the deployed binary says so and
//! shows neither user, password nor address.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::shop::SECRET;

const LIMIT: Duration = Duration::from_secs(30);

/// A function with these settings in its `.env`, as the Runtime API meets it.
struct Function {
    folder: TempDir,
    name: &'static str,
}

impl Function {
    fn new(name: &'static str, uri: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
        let dotenv = format!("DEAD_LETTER_KEY={key}\nMONGODB_URI={uri}\n");
        std::fs::write(folder.path().join(".env"), dotenv).expect("writes");
        Self { folder, name }
    }

    fn command(&self, runtime_api: &str) -> Command {
        let mut command = Command::new(testkit::function_binaries().join(self.name));
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .env("AWS_LAMBDA_FUNCTION_NAME", self.name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "grupo")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "fluxo")
            .env("AWS_REGION", "sa-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("STAGE", "dev")
            .env("FEIRA_DOTENV", self.folder.path().join(".env"))
            .env("FEIRA_STATE_DIR", self.folder.path())
            .env("SALES_BUCKET", "vendas")
            .env("DEAD_LETTER_QUEUE_URL", "feira://queues/EventosDeadLetters")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What it answers to an event, and what it logs.
    async fn answer(&self, event: &str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, mut answers) = mpsc::channel(1);
        let served = axum::serve(listener, runtime_api(event.to_owned(), sender));
        let serving = tokio::spawn(async move { served.await });
        let mut child = self.command(&address).spawn().expect("starts");
        let answer = timeout(LIMIT, answers.recv()).await;
        child.kill().expect("ends");
        let output = child.wait_with_output().expect("ended");
        serving.abort();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let answer = answer.ok().flatten();
        (answer.unwrap_or_else(|| panic!("no answer: {said}")), said)
    }
}

/// Gives the event once, then waits for ever.
fn runtime_api(event: String, answers: mpsc::Sender<String>) -> Router {
    let waiting = Arc::new(Mutex::new(Some(event)));
    let next = get(async move || {
        let Some(event) = waiting.lock().expect("no panic").take() else {
            return std::future::pending().await;
        };
        let headers = [
            ("lambda-runtime-aws-request-id", "um"),
            ("lambda-runtime-deadline-ms", "4102444800000"),
            ("lambda-runtime-invoked-function-arn", "arn"),
        ];
        (headers, event)
    });
    let take = post(async move |answer: String| {
        answers.send(answer).await.expect("somebody waits");
        StatusCode::ACCEPTED
    });
    let invocation = "/2018-06-01/runtime/invocation";
    Router::new()
        .route(&format!("{invocation}/next"), next)
        .route(&format!("{invocation}/um/{{outcome}}"), take)
}

#[tokio::test]
async fn a_mongodb_that_is_away_is_logged_without_its_uri() {
    let uri = testkit::unreachable_mongodb(SECRET, SECRET);
    let event = testkit::event_text("ingest-customer-events", "accepted-bare");
    let function = Function::new("ingest-customer-events", &uri);
    let (answer, said) = function.answer(&event).await;
    assert!(answer.contains("itemIdentifier"), "{answer}");
    assert!(said.contains("MongoDB is not reachable"), "{said}");
    let address = uri
        .rsplit('@')
        .next()
        .and_then(|rest| rest.split('/').next());
    for value in [SECRET, address.unwrap(), "mongodb://"] {
        assert!(!said.contains(value) && !answer.contains(value), "{said}");
    }
}

#[test]
fn a_uri_that_is_wrong_stops_the_cold_start_of_each_function_that_keeps_documents() {
    for name in ["ingest-customer-events", "compact-lake", "sync-customers"] {
        let function = Function::new(name, &format!("mongodb://u:{SECRET}@h:porta/x"));
        // Nobody listens there: the function ends with its reason in the log.
        let output = function.command("127.0.0.1:1").output().expect("runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!output.status.success(), "{name}");
        assert!(said.contains("cold start failed"), "{name}: {said}");
        assert!(said.contains("MONGODB_URI must be"), "{name}: {said}");
        assert!(!said.contains(SECRET), "{name}: {said}");
    }
}
