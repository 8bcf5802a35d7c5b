//! Events of the shape that AWS hands the functions.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    code::ReferralCode,
    mgm::attribution::{Attribution, SigningKey},
    time::UtcMillis,
};
use serde_json::{Value, json};

/// A message of a FIFO queue: its queue's id stays the same over all its deliveries.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The queue's id.
    pub id: String,
    /// The FIFO group: the customer.
    pub group: String,
    /// The text.
    pub body: String,
}

impl Message {
    /// A contract's bare JSON.
    #[must_use]
    pub fn bare(id: &str, group: &str, body: &Value) -> Self {
        Self {
            id: id.to_owned(),
            group: group.to_owned(),
            body: body.to_string(),
        }
    }

    /// The same in the envelope of kafka-to-sqs: its coordinates are its identity, so that a bridge
    /// which sends it twice makes two messages of one record.
    #[must_use]
    pub fn bridged(id: &str, topic: &str, offset: usize, group: &str, body: &Value) -> Self {
        let envelope = json!({"v": 1, "topico": topic, "particao": 0, "offset": offset,
            "timestamp_ms": 1, "tipo_timestamp": "CREATE_TIME", "chave": STANDARD.encode(group),
            "valor": STANDARD.encode(body.to_string()), "cabecalhos": []});
        Self::bare(id, group, &envelope)
    }

    /// What nobody can read.
    #[must_use]
    pub fn poison(id: &str, group: &str) -> Self {
        Self {
            id: id.to_owned(),
            group: group.to_owned(),
            body: r#"{"id_pedido":"#.to_owned(),
        }
    }
}

/// Lambda's event for a batch of SQS messages.
#[must_use]
pub fn sqs_event(batch: &[Message]) -> Value {
    let records: Vec<Value> = batch
        .iter()
        .map(|message| {
            json!({"messageId": message.id, "receiptHandle": "r", "body": message.body,
                "attributes": {"MessageGroupId": message.group, "ApproximateReceiveCount": "1"},
                "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:sa-east-1:123456789012:Fila.fifo",
                "awsRegion": "sa-east-1"})
        })
        .collect();
    json!({"Records": records})
}

/// Lambda's event for records of `clientes`: customer and profile, or `None` for a tombstone.
#[must_use]
pub fn kafka_event(first_offset: i64, records: &[(&str, Option<Value>)]) -> Value {
    let records: Vec<Value> = records
        .iter()
        .zip(first_offset..)
        .map(|((customer, value), offset)| {
            json!({"topic": "clientes", "partition": 0, "offset": offset, "timestamp": 1_000 + offset,
                "timestampType": "CREATE_TIME", "key": STANDARD.encode(customer), "headers": [],
                "value": value.as_ref().map(|value| STANDARD.encode(value.to_string()))})
        })
        .collect();
    json!({"eventSource": "aws:kafka", "records": {"clientes-0": records}})
}

/// A customer as the company's system tells it.
#[must_use]
pub fn customer(id: &str, version: i64) -> Value {
    json!({"id_cliente": id, "versao": version, "nome": format!("Cliente {id}"),
        "email": format!("{id}@example.com"), "consentimentos": {"mgm": true}})
}

/// API Gateway's event, payload format 2.0; `subject` is who the authorizer says it is.
#[must_use]
pub fn http_event(route: &str, code: Option<&str>, subject: Option<&str>, body: &Value) -> Value {
    let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
    let path = path.replace("{code}", code.unwrap_or_default());
    let authorizer = subject.map(
        |subject| json!({"lambda": {"sub": subject, "scope": "customer", "client_id": "loja"}}),
    );
    json!({"version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "",
        "headers": {"host": "api.feira.example", "user-agent": "Mozilla/5.0 Firefox/132.0",
            "x-forwarded-proto": "https", "content-type": "application/json"},
        "pathParameters": code.map(|code| json!({"code": code})).unwrap_or(json!({})),
        "requestContext": {"accountId": "1", "apiId": "a", "authorizer": authorizer,
            "domainName": "api.feira.example", "domainPrefix": "api",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7", "userAgent": "Mozilla/5.0 Firefox/132.0"},
            "requestId": "r", "routeKey": route, "stage": "$default",
            "time": "20/Nov/2026:12:00:00 +0000", "timeEpoch": 1_795_176_000_000_i64},
        "body": if body.is_null() { Value::Null } else { body.to_string().into() },
        "isBase64Encoded": false})
}

/// The same request with an `Idempotency-Key`.
#[must_use]
pub fn with_key(mut event: Value, key: &str) -> Value {
    if let Some(headers) = event.get_mut("headers").and_then(Value::as_object_mut) {
        headers.insert("idempotency-key".to_owned(), key.into());
    }
    event
}

/// A signed `ref`.
#[must_use]
pub fn reference(code: &ReferralCode, clicked: UtcMillis, key: &SigningKey) -> String {
    let attribution = Attribution {
        code: code.clone(),
        clicked,
    };
    attribution.sign(key)
}
