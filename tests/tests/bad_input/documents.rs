//! A MongoDB that can't be reached, or whose URI is wrong: the log of the deployed binary says so and
//! shows neither user, password nor address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

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
    fn answer(&self, event: &str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, answers) = channel();
        let event = event.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, event) = (sender.clone(), event.clone());
                thread::spawn(move || serve(stream, &sender, &event));
            }
        });
        let mut child = self.command(&address).spawn().expect("starts");
        let answer = answers.recv_timeout(LIMIT);
        child.kill().expect("ends");
        let output = child.wait_with_output().expect("ended");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (answer.unwrap_or_else(|_| panic!("no answer: {said}")), said)
    }
}

/// Gives the event once, then waits for ever.
fn serve(stream: TcpStream, answers: &Sender<String>, event: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    let mut is_given = false;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if request.contains("/invocation/next") && !is_given {
            is_given = true;
            let head = format!(
                "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: um\r\n\
                 lambda-runtime-deadline-ms: 4102444800000\r\n\
                 lambda-runtime-invoked-function-arn: arn\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                event.len()
            );
            writer.write_all(head.as_bytes()).ok()?;
            writer.write_all(event.as_bytes()).ok()?;
        } else if !request.contains("/invocation/next") {
            answers.send(String::from_utf8(body).ok()?).ok()?;
            let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
            writer.write_all(accepted.as_bytes()).ok()?;
        }
    }
}

#[test]
fn a_mongodb_that_is_away_is_logged_without_its_uri() {
    let uri = testkit::unreachable_mongodb(SECRET, SECRET);
    let event = testkit::event_text("ingest-customer-events", "accepted-bare");
    let (answer, said) = Function::new("ingest-customer-events", &uri).answer(&event);
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
