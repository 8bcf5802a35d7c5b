//! The few AWS calls that a test makes itself, over plain HTTP.
//!
//! ministack verifies no signature; of the `Authorization` header it reads the access key, which
//! names the account, and the credential scope, which names region and service.
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::services::{Ministack, REGION};

const CALL_TIMEOUT: Duration = Duration::from_secs(60);

impl Ministack {
    /// Creates a secret whose value is `value` as JSON text.
    ///
    /// # Panics
    /// Where ministack refuses.
    pub async fn create_secret(&self, name: &str, value: &Value) {
        let body = json!({"Name": name, "SecretString": value.to_string()});
        self.json_call(
            "secretsmanager",
            "secretsmanager.CreateSecret",
            "1.1",
            &body,
        )
        .await;
    }

    /// The URL of a queue by its name.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn queue_url(&self, name: &str) -> String {
        let body = json!({"QueueName": name});
        let answer = self
            .json_call("sqs", "AmazonSQS.GetQueueUrl", "1.0", &body)
            .await;
        text(&answer, "QueueUrl")
    }

    /// Sends a message; `group` is the message group where the queue is FIFO, and the body's
    /// identity is left to the queue or the consumer.
    ///
    /// # Panics
    /// Where ministack refuses.
    pub async fn send_message(&self, queue_url: &str, body: &Value, group: Option<&str>) {
        let mut call = json!({"QueueUrl": queue_url, "MessageBody": body.to_string()});
        if let (Some(group), Value::Object(call)) = (group, &mut call) {
            call.insert("MessageGroupId".to_owned(), json!(group));
            call.insert(
                "MessageDeduplicationId".to_owned(),
                json!(crate::services::unique()),
            );
        }
        self.json_call("sqs", "AmazonSQS.SendMessage", "1.0", &call)
            .await;
    }

    /// How many messages a queue holds, in flight and delayed ones included.
    ///
    /// # Panics
    /// Where ministack refuses.
    pub async fn message_count(&self, queue_url: &str) -> u64 {
        const COUNTS: [&str; 3] = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ];
        let body = json!({"QueueUrl": queue_url, "AttributeNames": COUNTS});
        let answer = self
            .json_call("sqs", "AmazonSQS.GetQueueAttributes", "1.0", &body)
            .await;
        let count = |name: &&str| text(&answer["Attributes"], name).parse::<u64>();
        COUNTS
            .iter()
            .map(|name| count(name).expect("SQS counts in whole numbers"))
            .sum()
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    /// The function's own error document (`errorType`, `errorMessage`).
    ///
    /// # Panics
    /// Where ministack refuses.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<Value, Value> {
        let url = format!(
            "{}/2015-03-31/functions/{function}/invocations",
            self.endpoint_url()
        );
        let request = client().post(url).body(payload.to_string());
        let answer = self.send("lambda", request).await;
        let failed = answer.headers().contains_key("x-amz-function-error");
        let body = answer.text().await.expect("Lambda answers to the end");
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        if failed { Err(body) } else { Ok(body) }
    }

    /// Creates a bucket.
    pub(crate) async fn create_bucket(&self, bucket: &str) {
        let url = format!("{}/{bucket}", self.endpoint_url());
        let region = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        self.send("s3", client().put(url).body(region)).await;
    }

    /// Puts an object.
    pub(crate) async fn put_object(&self, bucket: &str, key: &str, content: Vec<u8>) {
        let url = format!("{}/{bucket}/{key}", self.endpoint_url());
        self.send("s3", client().put(url).body(content)).await;
    }

    /// An action of CloudFormation, whose answers are XML.
    pub(crate) async fn cloudformation(&self, action: &str, form: &[(String, String)]) -> String {
        let mut pairs = vec![
            ("Action".to_owned(), action.to_owned()),
            ("Version".to_owned(), "2010-05-15".to_owned()),
        ];
        pairs.extend_from_slice(form);
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(pairs);
        let request = client()
            .post(self.endpoint_url())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.finish());
        let answer = self.send("cloudformation", request).await;
        answer
            .text()
            .await
            .expect("CloudFormation answers to the end")
    }

    async fn json_call(&self, service: &str, target: &str, version: &str, body: &Value) -> Value {
        let request = client()
            .post(self.endpoint_url())
            .header("content-type", format!("application/x-amz-json-{version}"))
            .header("x-amz-target", target)
            .body(body.to_string());
        let answer = self.send(service, request).await;
        answer.json().await.expect("a JSON service answers in JSON")
    }

    async fn send(&self, service: &str, request: RequestBuilder) -> Response {
        let account = self.account_id();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={account}/20260101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let request = request
            .header("authorization", authorization)
            .timeout(CALL_TIMEOUT);
        let answer = request.send().await.expect("ministack answers");
        let status = answer.status();
        if !status.is_success() {
            panic!(
                "{service} refused: {status}: {}",
                answer.text().await.unwrap_or_default()
            );
        }
        answer
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::new()
}

fn text(answer: &Value, field: &str) -> String {
    let Some(text) = answer[field].as_str() else {
        panic!("no {field} in {answer}")
    };
    text.to_owned()
}
