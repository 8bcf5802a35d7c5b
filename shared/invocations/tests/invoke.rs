//! The invoker against a server of our own that answers, refuses, is silent or is not there.
#![cfg(test)]

use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
use invocations::{InvokeError, Invoker, MAX_PAYLOAD_BYTES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn sdk_for(port: u16) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .load()
        .await
}

/// Answers every request with `answer` and hands out the first request's text.
async fn server(answer: &'static str) -> (u16, tokio::sync::oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut text = Vec::new();
            let mut buffer = [0_u8; 4096];
            while !String::from_utf8_lossy(&text).contains("{\"motivo\":\"commit\"}") {
                let read = socket.read(&mut buffer).await.unwrap();
                if read == 0 {
                    break;
                }
                text.extend_from_slice(&buffer[..read]);
            }
            if let Some(sender) = sender.take() {
                let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
            }
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (port, receiver)
}

fn payload() -> Vec<u8> {
    b"{\"motivo\":\"commit\"}".to_vec()
}

#[tokio::test]
async fn an_event_reaches_the_invoke_api_of_the_function() {
    let (port, request) =
        server("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let invoker = Invoker::new(&sdk_for(port).await, Duration::from_secs(5));
    invoker
        .invoke_async("PublishOutboxFunction", payload())
        .await
        .unwrap();
    let request = request.await.unwrap().to_lowercase();
    assert!(request.starts_with("post /2015-03-31/functions/publishoutboxfunction/invocations"));
    assert!(
        request.contains("x-amz-invocation-type: event"),
        "{request}"
    );
}

#[tokio::test]
async fn a_refusal_carries_the_code_of_lambda() {
    let (port, _request) = server(concat!(
        "HTTP/1.1 404 Not Found\r\nx-amzn-errortype: ResourceNotFoundException\r\n",
        "content-length: 2\r\nconnection: close\r\n\r\n{}",
    ))
    .await;
    let invoker = Invoker::new(&sdk_for(port).await, Duration::from_secs(5));
    let error = invoker.invoke_async("Nobody", payload()).await.unwrap_err();
    assert_eq!(
        error,
        InvokeError::Refused {
            code: "ResourceNotFoundException".into()
        }
    );
}

#[tokio::test]
async fn a_silent_lambda_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let invoker = Invoker::new(&sdk_for(port).await, Duration::from_millis(300));
    let started = Instant::now();
    let error = invoker
        .invoke_async("PublishOutboxFunction", payload())
        .await
        .unwrap_err();
    assert_eq!(error, InvokeError::TimedOut { timeout_ms: 300 });
    assert!(started.elapsed() < Duration::from_secs(3));
    invoker.nudge("PublishOutboxFunction", payload()).await;
}

#[tokio::test]
async fn an_absent_lambda_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let invoker = Invoker::new(&sdk_for(port).await, Duration::from_secs(5));
    let error = invoker
        .invoke_async("PublishOutboxFunction", payload())
        .await
        .unwrap_err();
    assert_eq!(error, InvokeError::Unreachable);
}

#[tokio::test]
async fn a_payload_over_the_limit_is_not_sent() {
    let invoker = Invoker::new(&sdk_for(9).await, Duration::from_secs(1));
    let payload = vec![b' '; MAX_PAYLOAD_BYTES + 1];
    let error = invoker
        .invoke_async("PublishOutboxFunction", payload)
        .await
        .unwrap_err();
    assert_eq!(
        error,
        InvokeError::TooLarge {
            bytes: MAX_PAYLOAD_BYTES + 1
        }
    );
}
