//! Feeding queues and topics from files.

use std::path::Path;
use std::sync::Arc;

use queues::{OutgoingMessage, group_id};
use serde_json::Value;

use super::{read, without_functions};
use crate::failure::{Failure, OrFailure};
use crate::project::Project;
use crate::terminal::answer;
use crate::topic_log::NewRecord;

/// Sends each line as a message.
pub(super) async fn send(
    project: Arc<Project>,
    queue: &str,
    file: &Path,
    group_by: &str,
) -> Result<(), Failure> {
    let lines = lines(file)?;
    let client = without_functions(project).await?;
    let queue = client.queue(queue)?.clone();
    let mut messages = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        let message = OutgoingMessage::new(line.clone());
        if !queue.definition.fifo {
            messages.push(message);
            continue;
        }
        // Each line is a message of its own, equal ones too: the line's number tells them apart.
        let number = (number + 1).to_string();
        let unique = crate::processes::new_request_id();
        messages.push(OutgoingMessage {
            group_id: Some(group_of(line, group_by)),
            deduplication_id: Some(group_id(&[unique.as_bytes(), number.as_bytes()])),
            ..message
        });
    }
    let sent = client.send(&queue.name, &messages).await?;
    answer(&format!("{sent} messages sent to {}", queue.name));
    Ok(())
}

/// The message group of a line: the field's value, hashed; lines without it share one group.
fn group_of(line: &str, field: &str) -> String {
    let json: Value = serde_json::from_str(line).unwrap_or_default();
    let value = json.get(field).map(text_of).unwrap_or_default();
    group_id(&[value.as_bytes()])
}

/// Writes each line as a record.
pub(super) async fn produce(
    project: Arc<Project>,
    topic: &str,
    key: Option<&str>,
    file: &Path,
) -> Result<(), Failure> {
    let lines = lines(file)?;
    let client = without_functions(project).await?;
    let mut records = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        let key = match key {
            None => None,
            Some(field) => {
                let json: Value = serde_json::from_str(line)
                    .or_mend(|| format!("{}, line {}", file.display(), number + 1))?;
                json.get(field).map(|value| text_of(value).into_bytes())
            }
        };
        let value = Some(line.clone().into_bytes());
        records.push(NewRecord {
            key,
            value,
            headers: Vec::new(),
        });
    }
    let written = client.produce(topic, &records).await?;
    answer(&format!("{written} records written to {topic}"));
    Ok(())
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn lines(file: &Path) -> Result<Vec<String>, Failure> {
    let text = String::from_utf8(read(file)?);
    let text = text.or_mend(|| format!("{} is no UTF-8 text", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.map(str::to_owned).collect())
}
