//! S3 functions: one object after the other. S3 invokes asynchronously, so a failure is Lambda's to
//! retry and, at last, its on-failure destination's to keep.

use std::process::ExitCode;

use aws_lambda_events::event::s3::S3Event;
use domain::time::UtcMillis;
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
        now: UtcMillis,
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
               invocation: &Invocation| { answer(handler, event, invocation.now).await },
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
    now: UtcMillis,
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
        handler.handle(&created, now).await?;
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

    #[test]
    fn keys_arrive_url_encoded() {
        let key = decode_key("vendas/Relat%C3%B3rio+de+maio%2B1.csv");
        assert_eq!(key.as_deref(), Some("vendas/Relatório de maio+1.csv"));
        assert_eq!(decode_key("%C3"), None);
        assert_eq!(decode_key("%zz"), None);
    }
}
