//! The S3 event notification of a new object.
//!
//! Source: S3 user guide, "Event message structure" (version 2.1).

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bundle::{LOCAL_ACCOUNT, LOCAL_REGION};

/// A file that a function should hear about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject<'a> {
    /// The bucket, which is the folder's name.
    pub bucket: &'a str,
    /// The key as it is, not encoded.
    pub key: &'a str,
    /// Bytes.
    pub size: i64,
    /// Lower-case hex.
    pub etag: &'a str,
    /// When it was seen whole.
    pub seen: Timestamp,
    /// Grows with each version of the key.
    pub sequencer: i64,
}

/// The event of one new object.
pub fn event(object: &NewObject<'_>, request_id: &str) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": LOCAL_REGION,
        "eventTime": object.seen.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "eventName": "ObjectCreated:Put",
        "userIdentity": { "principalId": LOCAL_ACCOUNT },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": { "x-amz-request-id": request_id, "x-amz-id-2": request_id },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "feira-local",
            "bucket": {
                "name": object.bucket,
                "ownerIdentity": { "principalId": LOCAL_ACCOUNT },
                "arn": format!("arn:aws:s3:::{}", object.bucket),
            },
            "object": {
                "key": encoded_key(object.key),
                "size": object.size,
                "eTag": object.etag,
                "sequencer": format!("{:016X}", object.sequencer),
            },
        },
    }] })
}

/// S3 encodes keys in notifications like an HTML form: a blank becomes `+`, a slash stays.
pub fn encoded_key(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            other => {
                let _infallible = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_like_a_form() {
        assert_eq!(
            encoded_key("vendas/são paulo+1.csv"),
            "vendas/s%C3%A3o+paulo%2B1.csv"
        );
    }

    #[test]
    fn the_event_has_the_structure_of_version_2_1() {
        let object = NewObject {
            bucket: "vendas",
            key: "a b.csv",
            size: 12,
            etag: "0123",
            seen: Timestamp::UNIX_EPOCH,
            sequencer: 255,
        };
        let event = event(&object, "r");
        let record = &event["Records"][0];
        assert_eq!(record["eventName"], "ObjectCreated:Put");
        assert_eq!(record["eventTime"], "1970-01-01T00:00:00.000Z");
        assert_eq!(record["s3"]["object"]["key"], "a+b.csv");
        assert_eq!(record["s3"]["object"]["size"], 12);
        assert_eq!(record["s3"]["object"]["sequencer"], "00000000000000FF");
        assert_eq!(record["s3"]["bucket"]["name"], "vendas");
    }
}
