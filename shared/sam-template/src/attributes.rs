//! What `Ref` and `GetAtt` give for resources outside AWS: plausible names, ARNs and URLs.

use serde_json::Value;

use crate::expression::{Facts, Resolver, plain_text};
use crate::template::Resources;

/// Region of everything outside AWS.
pub(crate) const REGION: &str = "us-east-1";
/// Account of everything outside AWS.
pub(crate) const ACCOUNT: &str = "000000000000";

/// The value of `attribute` (`Ref` for what Ref gives), or `None` where nobody knows it.
pub(crate) fn local_attribute(
    resources: &Resources,
    facts: &Facts,
    logical_id: &str,
    attribute: &str,
) -> Option<Value> {
    let resource = resources.get(logical_id)?;
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
    let text = match resource.kind.as_str() {
        "AWS::SQS::Queue" => {
            let name = queue_name(resources, facts, logical_id);
            match attribute {
                "Ref" | "QueueUrl" => {
                    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}")
                }
                "Arn" => arn("sqs", &name),
                "QueueName" => name,
                _ => return None,
            }
        }
        "AWS::S3::Bucket" => {
            let name = bucket_name(resources, facts, logical_id);
            match attribute {
                "Ref" => name,
                "Arn" => format!("arn:aws:s3:::{name}"),
                _ => return None,
            }
        }
        "AWS::Serverless::Function" | "AWS::Lambda::Function" => {
            let name = written_name(resources, facts, logical_id, "FunctionName")
                .unwrap_or_else(|| logical_id.to_owned());
            match attribute {
                "Ref" => name,
                "Arn" => arn("lambda", &format!("function:{name}")),
                _ => return None,
            }
        }
        "AWS::IAM::Role" => match attribute {
            "Ref" => logical_id.to_owned(),
            "Arn" => format!("arn:aws:iam::{ACCOUNT}:role/{logical_id}"),
            _ => return None,
        },
        "AWS::SecretsManager::Secret" => match attribute {
            "Ref" | "Id" => arn("secretsmanager", &format!("secret:{logical_id}")),
            _ => return None,
        },
        "AWS::Serverless::HttpApi" => match attribute {
            "Ref" => logical_id.to_owned(),
            "ApiEndpoint" => format!("https://{logical_id}.execute-api.{REGION}.amazonaws.com"),
            _ => return None,
        },
        kind => match attribute {
            "Ref" => logical_id.to_owned(),
            "Arn" => {
                let service = kind
                    .split("::")
                    .nth(1)
                    .unwrap_or("cloudformation")
                    .to_lowercase();
                arn(&service, logical_id)
            }
            _ => return None,
        },
    };
    Some(Value::String(text))
}

/// The queue's written name, else its logical id with the ending that FIFO queues must have.
pub(crate) fn queue_name(resources: &Resources, facts: &Facts, logical_id: &str) -> String {
    written_name(resources, facts, logical_id, "QueueName").unwrap_or_else(|| {
        let fifo = resources
            .get(logical_id)
            .and_then(|resource| resource.properties.get("FifoQueue"))
            .is_some_and(|flag| flag.as_bool() == Some(true) || flag.as_str() == Some("true"));
        if fifo {
            format!("{logical_id}.fifo")
        } else {
            logical_id.to_owned()
        }
    })
}

/// The bucket's written name, else its logical id as bucket names are written: `files-bucket`.
pub(crate) fn bucket_name(resources: &Resources, facts: &Facts, logical_id: &str) -> String {
    written_name(resources, facts, logical_id, "BucketName").unwrap_or_else(|| {
        let mut name = String::with_capacity(logical_id.len() + 4);
        for letter in logical_id.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    })
}

fn written_name(
    resources: &Resources,
    facts: &Facts,
    logical_id: &str,
    property: &str,
) -> Option<String> {
    let written = resources.get(logical_id)?.properties.get(property)?;
    let no_attributes = |_: &str, _: &str| None;
    let value = Resolver::new(facts, &no_attributes)
        .resolve(written)
        .ok()??;
    plain_text(&value).ok()
}
