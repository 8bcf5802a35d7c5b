//! SQS answers 200 with entries that failed; a server of our own plays that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use queues::{OutgoingMessage, Queues, SendError, SqsLimits, SqsQueues};
use serde_json::{Value, json};

/// How often a body fails before it is taken, and whether the sender is to blame.
type Plan = HashMap<&'static str, (u32, bool)>;

#[derive(Clone, Default)]
struct Stand {
    plan: Arc<Mutex<Plan>>,
    /// The bodies of each request, in the order of arrival.
    requests: Arc<Mutex<Vec<Vec<String>>>>,
    /// How many requests are answered with 500 before the first is read.
    broken: Arc<Mutex<u32>>,
    /// Each StartMessageMoveTask.
    moves: Arc<Mutex<Vec<Value>>>,
}

async fn answer(
    State(stand): State<Stand>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, Json<Value>) {
    {
        let mut broken = stand.broken.lock().unwrap();
        if *broken > 0 {
            *broken -= 1;
            let error = json!({"__type": "com.amazonaws.sqs#InternalError"});
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(error));
        }
    }
    let request: Value = serde_json::from_str(&body).unwrap();
    match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.GetQueueAttributes" => {
            let name = request["QueueUrl"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap();
            let arn = format!("arn:aws:sqs:sa-east-1:1:{name}");
            return (
                StatusCode::OK,
                Json(json!({"Attributes": {"QueueArn": arn}})),
            );
        }
        "AmazonSQS.StartMessageMoveTask" => {
            stand.moves.lock().unwrap().push(request);
            return (StatusCode::OK, Json(json!({"TaskHandle": "task"})));
        }
        _ => {}
    }
    let entries = request["Entries"].as_array().unwrap();
    let bodies = entries
        .iter()
        .map(|e| e["MessageBody"].as_str().unwrap().to_owned())
        .collect();
    stand.requests.lock().unwrap().push(bodies);
    let mut plan = stand.plan.lock().unwrap();
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let id = entry["Id"].as_str().unwrap();
        let body = entry["MessageBody"].as_str().unwrap();
        match plan.get_mut(body) {
            Some((left, sender_fault)) if *left > 0 => {
                *left -= 1;
                failed.push(json!({"Id": id, "SenderFault": *sender_fault, "Code": "Planned"}));
            }
            _ => successful.push(json!({
                "Id": id, "MessageId": format!("id-{body}"), "MD5OfMessageBody": "",
            })),
        }
    }
    (
        StatusCode::OK,
        Json(json!({"Successful": successful, "Failed": failed})),
    )
}

async fn start(plan: Plan, broken: u32) -> (Stand, SqsQueues, String) {
    let stand = Stand::default();
    *stand.plan.lock().unwrap() = plan;
    *stand.broken.lock().unwrap() = broken;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/", post(answer))
        .with_state(stand.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let limits = SqsLimits {
        first_pause_ms: 1,
        longest_pause_ms: 5,
        ..SqsLimits::default()
    };
    let sqs = SqsQueues::new(&crate::support::sdk(&endpoint, "test").await, limits);
    (stand, sqs, endpoint)
}

fn plain(bodies: &[&str]) -> Vec<OutgoingMessage> {
    bodies
        .iter()
        .map(|body| OutgoingMessage::new(*body))
        .collect()
}

#[tokio::test]
async fn only_the_failed_entries_are_sent_again() {
    let (stand, sqs, endpoint) = start(HashMap::from([("b", (2, false))]), 0).await;
    let url = format!("{endpoint}/1/Compras");
    let sent = sqs.send(&url, &plain(&["a", "b", "c"])).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(sent[1].clone().unwrap().message_id, "id-b");
    let requests = stand.requests.lock().unwrap().clone();
    assert_eq!(requests, vec![vec!["a", "b", "c"], vec!["b"], vec!["b"]]);
}

#[tokio::test]
async fn attempts_are_bounded_and_what_the_sender_got_wrong_is_not_repeated() {
    let plan = HashMap::from([("b", (99, false)), ("c", (99, true))]);
    let (stand, sqs, endpoint) = start(plan, 0).await;
    let url = format!("{endpoint}/1/Compras");
    let sent = sqs.send(&url, &plain(&["a", "b", "c"])).await;
    assert!(sent[0].is_ok());
    assert_eq!(
        sent[1],
        Err(SendError::Unavailable {
            code: "Planned".into()
        })
    );
    assert_eq!(
        sent[2],
        Err(SendError::Refused {
            code: "Planned".into()
        })
    );
    assert_eq!(stand.requests.lock().unwrap().len(), 4);
}

/// An SQS that takes requests and answers none; how many are open at once, at most.
async fn silent() -> (String, Arc<Mutex<usize>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let open = Arc::new(Mutex::new(0));
    let count = Arc::clone(&open);
    tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
            *count.lock().unwrap() = streams.len();
        }
    });
    (endpoint, open)
}

#[tokio::test]
async fn what_is_not_answered_within_the_time_is_told_then_and_few_requests_wait_at_once() {
    let (endpoint, open) = silent().await;
    let limits = SqsLimits {
        in_flight: 3,
        ..SqsLimits::default()
    };
    let sdk = crate::support::sdk(&endpoint, "test").await;
    let queues = Queues::Sqs(SqsQueues::new(&sdk, limits));
    let messages = plain(&["x"; 100]);
    let began = std::time::Instant::now();
    let time = Duration::from_millis(300);
    let url = format!("{endpoint}/1/Compras");
    let sent = queues.send_within(&url, messages.as_slice(), 0, time).await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    let unanswered = SendError::Unavailable {
        code: "Unanswered".into(),
    };
    assert_eq!(sent, vec![Err(unanswered); 100]);
    assert_eq!(*open.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_group_keeps_its_order_when_an_entry_fails() {
    let plan = HashMap::from([("a2", (99, false)), ("b1", (1, false))]);
    let (stand, sqs, endpoint) = start(plan, 0).await;
    let url = format!("{endpoint}/1/Viagens.fifo");
    let messages: Vec<OutgoingMessage> = [
        ("a1", "a"),
        ("a2", "a"),
        ("b1", "b"),
        ("a3", "a"),
        ("b2", "b"),
    ]
    .map(|(body, group)| OutgoingMessage::fifo(body, group, body))
    .to_vec();
    let sent = sqs.send(&url, &messages).await;
    assert!(
        sent[0].is_ok() && sent[2].is_ok() && sent[4].is_ok(),
        "{sent:?}"
    );
    assert!(matches!(sent[1], Err(SendError::Unavailable { .. })));
    assert_eq!(sent[3], Err(SendError::HeldBack));
    assert!(sent[3].as_ref().unwrap_err().is_transient());
    for request in stand.requests.lock().unwrap().iter() {
        let groups: Vec<&str> = request.iter().map(|body| &body[..1]).collect();
        let distinct: std::collections::BTreeSet<&&str> = groups.iter().collect();
        assert_eq!(distinct.len(), groups.len(), "{request:?}");
        assert!(!request.contains(&"a3".to_owned()));
    }
}

#[tokio::test]
async fn a_server_error_is_repeated_as_often_as_the_limit_says() {
    let (_stand, sqs, endpoint) = start(HashMap::new(), 3).await;
    let url = format!("{endpoint}/1/Compras");
    let sent = sqs.send(&url, &plain(&["a"])).await;
    assert!(sent[0].is_ok(), "{sent:?}");
    let (_stand, sqs, endpoint) = start(HashMap::new(), 4).await;
    let url = format!("{endpoint}/1/Compras");
    let sent = sqs.send(&url, &plain(&["a"])).await;
    let error = sent[0].clone().unwrap_err();
    assert_eq!(
        error,
        SendError::Unavailable {
            code: "InternalError".into()
        }
    );
    assert!(error.is_transient());
}

#[tokio::test]
async fn requests_are_filled_by_size() {
    let (stand, _, endpoint) = start(HashMap::new(), 0).await;
    let limits = SqsLimits {
        request_bytes: 10,
        ..SqsLimits::default()
    };
    let sqs = SqsQueues::new(&crate::support::sdk(&endpoint, "test").await, limits);
    let sent = sqs
        .send(
            &format!("{endpoint}/1/Compras"),
            &plain(&["aaaaa", "bbbbb", "c"]),
        )
        .await;
    assert!(sent.iter().all(Result::is_ok));
    let mut requests = stand.requests.lock().unwrap().clone();
    requests.sort();
    assert_eq!(requests, vec![vec!["aaaaa", "bbbbb"], vec!["c"]]);
}

#[tokio::test]
async fn dead_letters_are_moved_back_by_sqs_itself() {
    let (stand, sqs, endpoint) = start(HashMap::new(), 0).await;
    sqs.redrive(
        &format!("{endpoint}/1/ComprasMorta"),
        &format!("{endpoint}/1/Compras"),
    )
    .await
    .unwrap();
    let expected = json!({
        "SourceArn": "arn:aws:sqs:sa-east-1:1:ComprasMorta",
        "DestinationArn": "arn:aws:sqs:sa-east-1:1:Compras",
    });
    assert_eq!(*stand.moves.lock().unwrap(), vec![expected]);
}
