//! S3 functions: one object after the other. S3 invokes asynchronously, so a failure is Lambda's to
//! retry and, at last, its on-failure destination's to keep.

use std::process::ExitCode;

use aws_lambda_events::event::s3::S3Event;
use serde_json::Value;

use crate::{Aftercare, Invocation, InvocationFailed, StartError, runtime};

/// An object that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCreated {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded: notifications carry it URL-encoded, with `+` for a blank.
    pub key: String,
    /// Its size.
    pub size_bytes: i64,
    /// S3's hash of the content.
    pub etag: String,
    /// The object's version, in a versioned bucket.
    pub version: Option<String>,
}

/// A function that takes files.
pub trait Handler {
    /// Takes one object; taking it twice changes nothing.
    fn handle(
        &self,
        object: &ObjectCreated,
        invocation: &Invocation,
    ) -> impl Future<Output = Result<(), InvocationFailed>>;
}

/// Runs the function until Lambda ends it.
pub async fn run<P, H, S>(function: &'static str, start: S) -> ExitCode
where
    P: Aftercare,
    H: Handler,
    S: AsyncFnOnce() -> Result<(P, H), StartError>,
{
    runtime::serve(
        function,
        async || start().await.map(runtime::Started),
        async |runtime::Started((_, handler)): &runtime::Started<P, H>,
               event,
               invocation: &Invocation| { answer(handler, event, invocation).await },
    )
    .await
}

/// Handles one notification.
///
/// # Errors
/// The first object that fails, or `not_an_s3_event`.
pub async fn answer<H: Handler>(
    handler: &H,
    event: Value,
    invocation: &Invocation,
) -> Result<(), InvocationFailed> {
    let event: S3Event =
        serde_json::from_value(event).map_err(|_| InvocationFailed::new("not_an_s3_event"))?;
    for record in event.records {
        let object = record.s3.object;
        let key = object.key.as_deref().and_then(decode_key);
        let (Some(bucket), Some(key)) = (record.s3.bucket.name, key) else {
            return Err(InvocationFailed::new("object_without_bucket_or_key"));
        };
        let created = ObjectCreated {
            bucket,
            key,
            size_bytes: object.size.unwrap_or_default(),
            etag: object.e_tag.unwrap_or_default(),
            version: object.version_id,
        };
        handler.handle(&created, invocation).await?;
    }
    Ok(())
}

/// Percent-decoding with `+` as a blank; `None` when it is broken or no UTF-8.
fn decode_key(encoded: &str) -> Option<String> {
    let mut bytes = encoded.bytes();
    let mut decoded = Vec::with_capacity(encoded.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::RefCell;

    /// Takes down what it is given and fails at one key.
    #[derive(Default)]
    struct Files {
        fails_at: Option<&'static str>,
        taken: RefCell<Vec<ObjectCreated>>,
    }

    impl Handler for Files {
        async fn handle(
            &self,
            object: &ObjectCreated,
            _: &Invocation,
        ) -> Result<(), InvocationFailed> {
            self.taken.borrow_mut().push(object.clone());
            if self.fails_at == Some(object.key.as_str()) {
                return Err(InvocationFailed::new("not_a_sales_file"));
            }
            Ok(())
        }
    }

    /// A record as S3 sends it (event version 2.1); keys come URL-encoded.
    fn record(key: &str, more: &Value) -> Value {
        let mut object = json!({
            "key": key,
            "size": 1024,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            "sequencer": "0A1B2C3D4E5F678901"
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            object[name] = value.clone();
        }
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "sa-east-1",
            "eventTime": "2026-11-20T15:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AWS:AIDAINPONIXQXHT3IKHL2"},
            "requestParameters": {"sourceIPAddress": "10.1.2.3"},
            "responseElements": {
                "x-amz-request-id": "D82B88E5F771F645",
                "x-amz-id-2": "vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo="
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "NewSalesFile",
                "bucket": {
                    "name": "feira-files",
                    "ownerIdentity": {"principalId": "A3I5XTEXAMAI3E"},
                    "arn": "arn:aws:s3:::feira-files"
                },
                "object": object
            }
        })
    }

    async fn answered(files: &Files, event: Value) -> Result<(), String> {
        let invocation = Invocation::at(domain::time::UtcMillis::new(0).unwrap());
        let answer = answer(files, event, &invocation).await;
        answer.map_err(|failed| failed.code)
    }

    #[tokio::test]
    async fn each_object_of_a_notification_is_taken_with_its_key_decoded() {
        let files = Files::default();
        let version = json!({"versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko"});
        let event = json!({"Records": [
            record("vendas/Relat%C3%B3rio+de+maio%2B1.csv", &version),
            record("vendas/2026-06.csv", &json!({"size": 0})),
        ]});
        assert_eq!(answered(&files, event).await, Ok(()));
        let object = |key: &str, size_bytes, version: Option<&str>| ObjectCreated {
            bucket: "feira-files".to_owned(),
            key: key.to_owned(),
            size_bytes,
            etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            version: version.map(str::to_owned),
        };
        let expected = [
            object(
                "vendas/Relatório de maio+1.csv",
                1024,
                version["versionId"].as_str(),
            ),
            object("vendas/2026-06.csv", 0, None),
        ];
        assert_eq!(files.taken.into_inner(), expected);
    }

    #[tokio::test]
    async fn an_object_that_fails_fails_the_invocation_and_so_all_are_taken_again() {
        let files = Files {
            fails_at: Some("b.csv"),
            ..Files::default()
        };
        let records = ["a.csv", "b.csv", "c.csv"].map(|key| record(key, &Value::Null));
        let failed = answered(&files, json!({ "Records": records })).await;
        assert_eq!(failed, Err("not_a_sales_file".to_owned()));
        let taken = files.taken.into_inner();
        let keys: Vec<&str> = taken.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(keys, ["a.csv", "b.csv"]);
    }

    #[tokio::test]
    async fn what_is_no_notification_of_an_object_is_refused() {
        let files = Files::default();
        let mut nameless = record("a.csv", &Value::Null);
        nameless["s3"]["bucket"]["name"] = Value::Null;
        for (event, code) in [
            (
                json!({"horario": "2026-11-20T15:00:00Z"}),
                "not_an_s3_event",
            ),
            (json!([1]), "not_an_s3_event"),
            (
                json!({"Records": [record("%zz", &Value::Null)]}),
                "object_without_bucket_or_key",
            ),
            (
                json!({ "Records": [nameless] }),
                "object_without_bucket_or_key",
            ),
        ] {
            assert_eq!(answered(&files, event).await, Err(code.to_owned()));
        }
        assert_eq!(files.taken.into_inner(), []);
    }

    #[test]
    fn keys_arrive_url_encoded() {
        let key = decode_key("vendas/Relat%C3%B3rio+de+maio%2B1.csv");
        assert_eq!(key.as_deref(), Some("vendas/Relatório de maio+1.csv"));
        assert_eq!(decode_key("%C3"), None);
        assert_eq!(decode_key("%zz"), None);
    }
}
