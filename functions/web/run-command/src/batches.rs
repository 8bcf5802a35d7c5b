//! Batches of records that failed for good: Lambda writes each into a bucket, with its event and the
//! function that failed (Lambda developer guide, "Retain discarded batches for Kafka event
//! sources"). The function gets the event again, and the object goes once no failure is left.

use std::collections::BTreeSet;
use std::time::Duration;

use contracts::kafka_event::Record;
use domain::time::UtcMillis;
use files::{FileAddress, FileError, Files, MAX_PAGE_FILES};
use invocations::Invoker;
use serde_json::{Value, json};

/// Where event source mappings write.
const PREFIX: &str = "aws/lambda/";
/// A batch is at most 6 MB, and its text is escaped once more.
const LARGEST_OBJECT: u64 = 32 * 1_048_576;
/// Longest that a function has for a batch.
pub const REPLAY_TIMEOUT: Duration = Duration::from_secs(90);

/// Where failed batches lie, and who takes them again.
pub struct FailedBatches {
    files: Files,
    buckets: BTreeSet<String>,
    functions: BTreeSet<String>,
    invoker: Option<Invoker>,
}

/// What became of them.
#[derive(Debug, Default)]
struct Replayed {
    done: u32,
    failed: u32,
    refused: u32,
}

enum Fate {
    Done,
    /// The function still fails on a record of it.
    Failed,
    /// The object is none of a topic that is read here.
    Refused,
}

impl FailedBatches {
    /// From `FAILED_BATCHES` and `BATCH_FUNCTIONS`, with those of telesales: JSON lists of buckets
    /// and of functions.
    ///
    /// # Errors
    /// When one is anything else.
    pub fn new<'a>(
        files: Files,
        invoker: Option<Invoker>,
        buckets: impl IntoIterator<Item = &'a str>,
        functions: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            files,
            buckets: names(buckets)?,
            functions: names(functions)?,
            invoker,
        })
    }

    /// Replays at most `most` batches; `clock` says when to stop.
    pub(crate) async fn replay(
        &self,
        most: u32,
        clock: impl Fn() -> Option<UtcMillis>,
    ) -> Result<Value, FileError> {
        let mut replayed = Replayed::default();
        'buckets: for bucket in &self.buckets {
            let mut after: Option<String> = None;
            loop {
                let page = self
                    .files
                    .list(bucket, PREFIX, after.as_deref(), MAX_PAGE_FILES);
                let page = page.await?;
                for file in &page.files {
                    let seen = replayed.done + replayed.failed + replayed.refused;
                    if seen >= most || clock().is_none() {
                        break 'buckets;
                    }
                    let address = FileAddress::new(bucket, &file.key)?;
                    match self.replay_one(&address).await? {
                        Fate::Done => replayed.done += 1,
                        Fate::Failed => replayed.failed += 1,
                        Fate::Refused => replayed.refused += 1,
                    }
                }
                after = page.next_after;
                if after.is_none() {
                    break;
                }
            }
        }
        let Replayed {
            done,
            failed,
            refused,
        } = replayed;
        Ok(json!({"reenviados": done, "com_falhas": failed, "recusados": refused}))
    }

    async fn replay_one(&self, address: &FileAddress) -> Result<Fate, FileError> {
        let object = match self.files.get(address, LARGEST_OBJECT).await {
            Ok(object) => object,
            // Another replay was faster.
            Err(FileError::NotFound) => return Ok(Fate::Done),
            Err(FileError::TooLarge { .. }) => return Ok(Fate::Refused),
            Err(error) => return Err(error),
        };
        let Some((function, event)) = failed_batch(&object) else {
            tracing::warn!("an object of failed batches holds none");
            return Ok(Fate::Refused);
        };
        if !self.functions.contains(&function) {
            tracing::warn!("a failed batch names a function that reads no topic here");
            return Ok(Fate::Refused);
        }
        if !self.takes_all(&function, event).await {
            return Ok(Fate::Failed);
        }
        self.files.delete(address).await?;
        Ok(Fate::Done)
    }

    /// Takes one record to the bridge again; false while it can't be read.
    pub(crate) async fn takes_record(&self, function: &str, record: &[u8]) -> bool {
        let text = std::str::from_utf8(record).ok();
        let Some((text, read)) = text.and_then(|text| Some((text, Record::read(text).ok()?)))
        else {
            tracing::warn!("a dead letter still can't be read");
            return false;
        };
        let name = json!(format!("{}-{}", read.topic, read.partition));
        let event = format!(
            r#"{{"eventSource":"SelfManagedKafka","bootstrapServers":"","records":{{{name}:[{text}]}}}}"#
        );
        self.takes_all(function, event.into_bytes()).await
    }

    /// Whether the function takes every record of the event.
    async fn takes_all(&self, function: &str, event: Vec<u8>) -> bool {
        let Some(invoker) = &self.invoker else {
            tracing::error!("there is no Lambda here that could be asked");
            return false;
        };
        match invoker.invoke(function, event).await {
            Ok(answer) => has_no_failure(&answer),
            Err(error) => {
                tracing::warn!(%error, "a failed batch failed again");
                false
            }
        }
    }
}

fn names<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<String>, &'static str> {
    let mut all = BTreeSet::new();
    for text in texts {
        let more: Vec<String> = serde_json::from_str(text).map_err(|_| {
            "FAILED_BATCHES and BATCH_FUNCTIONS must be JSON lists of names: mend them in \
             template.yaml"
        })?;
        all.extend(more);
    }
    Ok(all)
}

/// The function that an object names, and the event that it gets again.
fn failed_batch(object: &[u8]) -> Option<(String, Vec<u8>)> {
    let object: Value = serde_json::from_slice(object).ok()?;
    let arn = object.get("requestContext")?.get("functionArn")?.as_str()?;
    // arn:aws:lambda:<region>:<account>:function:<name>[:<version>]
    let mut parts = arn.split(':').skip(5);
    let name = parts
        .next()
        .filter(|kind| *kind == "function")
        .and(parts.next())?;
    let event = match object.get("payload")? {
        Value::String(text) => text.clone().into_bytes(),
        event @ Value::Object(_) => event.to_string().into_bytes(),
        _ => return None,
    };
    Some((name.to_owned(), event))
}

fn has_no_failure(answer: &[u8]) -> bool {
    let answer: Value = match serde_json::from_slice(answer) {
        Ok(answer) => answer,
        Err(_) => return answer.iter().all(u8::is_ascii_whitespace),
    };
    match answer.get("batchItemFailures") {
        None | Some(Value::Null) => true,
        Some(failures) => failures.as_array().is_some_and(Vec::is_empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_names_its_function_with_or_without_a_version() {
        for arn in ["function:f", "function:f:$LATEST", "function:f:3"] {
            let arn = format!("arn:aws:lambda:sa-east-1:1:{arn}");
            let object = json!({"requestContext": {"functionArn": arn}, "payload": "{\"a\":1}"});
            let (function, event) = failed_batch(object.to_string().as_bytes()).unwrap();
            assert_eq!(
                (function.as_str(), event.as_slice()),
                ("f", br#"{"a":1}"#.as_slice())
            );
        }
        for object in [
            json!({"requestContext": {"functionArn": "arn:aws:lambda:x:1:layer:f"}, "payload": "{}"}),
            json!({"requestContext": {"functionArn": "arn:aws:lambda:x:1:function:f"}}),
            json!({"payload": "{}"}),
            json!([]),
        ] {
            assert_eq!(failed_batch(object.to_string().as_bytes()), None);
        }
    }

    #[test]
    fn only_an_answer_without_failures_lets_an_object_go() {
        for good in [
            "",
            "null",
            "{}",
            r#"{"batchItemFailures":[]}"#,
            r#"{"batchItemFailures":null}"#,
        ] {
            assert!(has_no_failure(good.as_bytes()), "{good}");
        }
        for bad in [
            r#"{"batchItemFailures":[{}]}"#,
            r#"{"batchItemFailures":7}"#,
            "oops",
        ] {
            assert!(!has_no_failure(bad.as_bytes()), "{bad}");
        }
    }
}
