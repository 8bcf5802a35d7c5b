//! A function for the tests of `cargo local`: it writes down what it is handed and then does what
//! the event asks for. PROBE_ROLE says which kind of trigger it stands behind.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a probe that cannot write down what it saw must fail its test"
)]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use aws_config::BehaviorVersion;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var("PROBE_INIT").as_deref() == Ok("fail") {
        return Err("this function never starts".into());
    }
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let event = event.payload;
    let seen = json!({ "pid": std::process::id(), "event": event });
    write_down("seen", &seen);
    match std::env::var("PROBE_ROLE").as_deref() {
        Ok("http") => http(&event).await,
        Ok("authorizer") => Ok(authorizer(&event)),
        Ok("queue") => Ok(queue(&event).await),
        Ok("topic") => topic(&event),
        _ => plain(&event).await,
    }
}

/// One line into `<state>/<kind>/<function>.ndjson`.
fn write_down(kind: &str, line: &Value) {
    let folder = std::env::var("FEIRA_STATE_DIR").expect("cargo local sets it");
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").expect("cargo local sets it");
    let folder = std::path::Path::new(&folder).join(kind);
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(format!("{function}.ndjson"));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .expect("a file");
    file.write_all(format!("{line}\n").as_bytes())
        .expect("writes");
}

async fn http(event: &Value) -> Result<Value, Error> {
    let wish = event
        .pointer("/queryStringParameters/do")
        .and_then(Value::as_str);
    match wish {
        Some("error") => Err("as asked".into()),
        Some("exit") => std::process::exit(3),
        Some("sleep") => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Value::Null)
        }
        Some("inferred") => Ok(json!({ "hello": "feira" })),
        Some("cookies") => Ok(json!({
            "statusCode": 302, "headers": { "location": "https://example.com/" },
            "cookies": ["a=1; Path=/", "b=2"], "body": "aGk=", "isBase64Encoded": true,
        })),
        Some("environment") => {
            let all: std::collections::BTreeMap<String, String> = std::env::vars().collect();
            Ok(json!({ "statusCode": 200, "body": json!(all).to_string() }))
        }
        Some("nudge") => {
            let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
            let invoker = invocations::Invoker::new(&config, invocations::DEFAULT_TIMEOUT);
            invoker
                .invoke_async("PlainFunction", br#"{"from":"http"}"#.to_vec())
                .await?;
            Ok(json!({ "statusCode": 202 }))
        }
        _ => Ok(json!({ "statusCode": 200, "body": event.to_string() })),
    }
}

fn authorizer(event: &Value) -> Value {
    let token = event
        .pointer("/identitySource/0")
        .and_then(Value::as_str)
        .unwrap_or_default();
    json!({ "isAuthorized": token == "Bearer good", "context": { "sub": "c1", "n": 7 } })
}

/// Each body is `{"n":…, "do":…}`: fail, fail_first (the first delivery only), malformed, exit
/// (the first delivery only), sleep.
async fn queue(event: &Value) -> Value {
    let mut failures = Vec::new();
    let mut failed_groups = std::collections::BTreeSet::new();
    for record in event["Records"].as_array().into_iter().flatten() {
        let body: Value =
            serde_json::from_str(record["body"].as_str().unwrap_or_default()).unwrap_or_default();
        let group = record
            .pointer("/attributes/MessageGroupId")
            .and_then(Value::as_str);
        let receives = record.pointer("/attributes/ApproximateReceiveCount");
        let is_first = receives.and_then(Value::as_str) == Some("1");
        let fails = match body["do"].as_str() {
            Some("fail") => true,
            Some("fail_first") => is_first,
            Some("malformed") => return json!({ "batchItemFailures": [{ "itemIdentifier": "?" }] }),
            Some("exit") if is_first => std::process::exit(9),
            Some("sleep") => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                false
            }
            _ => false,
        };
        // Order within a group: after the first failure every later one of the group fails too.
        let is_behind = group.is_some_and(|group| failed_groups.contains(group));
        if fails || is_behind {
            failed_groups.extend(group.map(str::to_owned));
            failures.push(json!({ "itemIdentifier": record["messageId"] }));
        } else {
            write_down("done", &body);
        }
    }
    json!({ "batchItemFailures": failures })
}

/// A record whose value (base64) decodes to text with `poison` fails for ever.
fn topic(event: &Value) -> Result<Value, Error> {
    for (place, records) in event["records"].as_object().into_iter().flatten() {
        for record in records.as_array().into_iter().flatten() {
            // "poison" as JSON text in base64.
            if record["value"] == "InBvaXNvbiI=" {
                let identifier = json!({ "partition": place, "offset": record["offset"] });
                return Ok(json!({ "batchItemFailures": [{ "itemIdentifier": identifier }] }));
            }
            write_down("done", record);
        }
    }
    Ok(json!({ "batchItemFailures": [] }))
}

async fn plain(event: &Value) -> Result<Value, Error> {
    if event["do"] == "error" || event.to_string().contains("broken.csv") {
        return Err("as asked".into());
    }
    tracing_line("plain function was here");
    write_down("done", event);
    Ok(json!({ "ok": true, "event": event }))
}

fn tracing_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = writeln!(out, "{}", json!({ "level": "info", "message": text }));
}
