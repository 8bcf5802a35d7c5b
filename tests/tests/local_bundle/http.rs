//! HTTP through `cargo local`: what functions get, what clients see.

use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::{Value, json};

use crate::stage::Stage;

async fn get(stage: &Stage, path: &str) -> (StatusCode, Value) {
    let answer = reqwest::get(stage.url(path)).await.expect("an answer");
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

async fn with_token(stage: &Stage, path: &str, token: &str) -> (StatusCode, Value) {
    let request = Client::new()
        .get(stage.url(path))
        .header("authorization", token);
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn functions_get_payload_2_0_and_their_own_environment_only() {
    let stage = Stage::running();
    let (status, event) = get(&stage, "/open/s%C3%A3o%20paulo?a=1&a=2").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "GET /open/{name}");
    assert_eq!(event["rawPath"], "/open/são paulo");
    assert_eq!(event["rawQueryString"], "a=1&a=2");
    assert_eq!(event["queryStringParameters"], json!({ "a": "1,2" }));
    assert_eq!(event["pathParameters"], json!({ "name": "são paulo" }));
    assert_eq!(event["requestContext"]["http"]["sourceIp"], "127.0.0.1");
    assert!(
        event["requestContext"].get("authorizer").is_none(),
        "a public route has none"
    );

    let (_, environment) = get(&stage, "/open/x?do=environment").await;
    assert_eq!(environment["STAGE"], "dev");
    assert_eq!(environment["ORDERS"], "feira://queues/OrdersQueue");
    assert_eq!(
        environment["ORDERS_ARN"],
        "arn:aws:sqs:us-east-1:000000000000:OrdersQueue"
    );
    assert_eq!(environment["BUCKET"], "files-bucket");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "EchoFunction");
    assert_eq!(environment["AWS_EC2_METADATA_DISABLED"], "true");
    for leak in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "HOME", "PATH", "CARGO"] {
        assert!(environment.get(leak).is_none(), "{leak} leaked");
    }
    let key = environment["AWS_ACCESS_KEY_ID"].as_str().expect("a key");
    assert!(key.starts_with("LOCAL"));
}

#[tokio::test]
async fn answers_and_failures_look_as_they_do_behind_api_gateway() {
    let stage = Stage::running();
    assert_eq!(
        get(&stage, "/open/x?do=inferred").await.1,
        json!({ "hello": "feira" })
    );
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .build()
        .expect("a client");
    let answer = client
        .get(stage.url("/open/x?do=cookies"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()["location"], "https://example.com/");
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.text().await.expect("a body"), "hi");

    let broken = json!({ "message": "Internal Server Error" });
    for wish in ["error", "exit", "sleep"] {
        let (status, body) = get(&stage, &format!("/open/x?do={wish}")).await;
        assert_eq!(
            (status, &body),
            (StatusCode::INTERNAL_SERVER_ERROR, &broken),
            "{wish}"
        );
    }
    // The function whose process ended is back with a new one.
    assert_eq!(get(&stage, "/open/x").await.0, StatusCode::OK);

    let not_found = (StatusCode::NOT_FOUND, json!({ "message": "Not Found" }));
    assert_eq!(get(&stage, "/nowhere").await, not_found);
    let head = client
        .request(Method::HEAD, stage.url("/open/x"))
        .send()
        .await;
    assert_eq!(
        head.expect("an answer").status(),
        StatusCode::NOT_FOUND,
        "HEAD is not routed"
    );
    let large = client
        .post(stage.url("/post"))
        .body(vec![b'x'; 10 * 1024 * 1024 + 1])
        .send()
        .await;
    assert_eq!(
        large.expect("an answer").status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn the_authorizer_decides_once_per_token_and_route() {
    let stage = Stage::running();
    let (status, body) = get(&stage, "/secret").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body, json!({ "message": "Unauthorized" }));
    for _again in 0..3 {
        let (status, body) = with_token(&stage, "/secret", "Bearer bad").await;
        assert_eq!(
            (status, body),
            (StatusCode::FORBIDDEN, json!({ "message": "Forbidden" }))
        );
        let (status, event) = with_token(&stage, "/secret", "Bearer good").await;
        assert_eq!(status, StatusCode::OK);
        let context = &event["requestContext"]["authorizer"]["lambda"];
        assert_eq!(*context, json!({ "sub": "c1", "n": 7 }));
    }
    assert_eq!(
        with_token(&stage, "/other", "Bearer good").await.0,
        StatusCode::OK
    );
    let asked = stage.lines("seen", "GuardFunction");
    assert_eq!(
        asked.len(),
        3,
        "good and bad for one route, good for the other: {asked:?}"
    );
    let event = &asked[0]["event"];
    assert_eq!(event["type"], "REQUEST");
    assert_eq!(
        event["identitySource"],
        json!(["Bearer bad", "GET /secret"])
    );
    assert_eq!(event["routeKey"], "GET /secret");
    let arn = "arn:aws:execute-api:us-east-1:000000000000:feiralocal/$default/GET/secret";
    assert_eq!(event["routeArn"], arn);
}

#[tokio::test]
async fn a_function_invokes_another_one_through_the_aws_sdk() {
    let stage = Stage::running();
    let answer = reqwest::get(stage.url("/open/x?do=nudge"))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let done = stage.until("the nudged function", || {
        stage.lines("done", "PlainFunction").pop()
    });
    assert_eq!(done, json!({ "from": "http" }));
}
