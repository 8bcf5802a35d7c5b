//! Feeding queues and topics from files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use queues::{OutgoingMessage, group_id};
use serde_json::Value;

use super::{read, without_functions};
use crate::failure::{Failure, OrFailure};
use crate::project::Project;
use crate::terminal::{answer, note};
use crate::topics::NewRecord;

/// How long `produce` waits for the readers of a running instance.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// Sends each line as a message.
pub(super) async fn send(
    project: Arc<Project>,
    queue: &str,
    file: &Path,
    group_by: &str,
) -> Result<(), Failure> {
    let lines = lines(file)?;
    let (client, is_read) = without_functions(project).await?;
    let queue = client.queue(queue)?.clone();
    let mut messages = Vec::with_capacity(lines.len());
    for (number, line) in &lines {
        let message = OutgoingMessage::new(line.clone());
        if !queue.definition.fifo {
            messages.push(message);
            continue;
        }
        // Each line is a message of its own, equal ones too: the line's number tells them apart.
        let number = number.to_string();
        let unique = crate::processes::new_request_id();
        messages.push(OutgoingMessage {
            group_id: Some(group_of(line, group_by)),
            deduplication_id: Some(group_id(&[unique.as_bytes(), number.as_bytes()])),
            ..message
        });
    }
    let is_json = |line: &str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    match lines.iter().filter(|(_, line)| !is_json(line)).count() {
        0 => {}
        1 => note("1 line is no JSON; it is sent as it is"),
        odd => note(&format!(
            "{odd} lines are no JSON; they are sent as they are"
        )),
    }
    let sent = client.send(&queue.name, &messages).await?;
    answer(&fed(sent, "message", "sent", &queue.name, is_read));
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
    let (client, is_read) = without_functions(project).await?;
    let mut records = Vec::with_capacity(lines.len());
    for (number, line) in &lines {
        let key = key.map(|field| {
            key_of(line, field)
                .map_err(|wrong| Failure::mend(format!("{}, line {number}: {wrong}", name(file))))
        });
        let key = key.transpose()?;
        let value = Some(line.clone().into_bytes());
        records.push(NewRecord {
            key,
            value,
            headers: Vec::new(),
        });
    }
    let written = client.produce(topic, &records).await?;
    answer(&fed(written, "record", "written", topic, is_read));
    if is_read && !client.wait_until_read(topic, READ_PATIENCE).await? {
        note(&format!(
            "{topic} is not read to its end after {} s and is read on; {} says what its readers met",
            READ_PATIENCE.as_secs(),
            client.project().state.path().join("logs").display()
        ));
    }
    Ok(())
}

/// The record's key, or what is wrong with the line.
fn key_of(line: &str, field: &str) -> Result<Vec<u8>, String> {
    let json: Value = serde_json::from_str(line).map_err(|error| {
        // The text is one line of many, so its own line number would mislead.
        let error = error
            .to_string()
            .replace(" at line 1 column ", " at column ");
        format!("no JSON ({error})")
    })?;
    let value = json.get(field).filter(|value| !value.is_null());
    value
        .map(|value| text_of(value).into_bytes())
        .ok_or_else(|| format!("it has no {field}, which --key names"))
}

/// What was done, and who reads it when nothing runs.
fn fed(count: usize, what: &str, done: &str, place: &str, is_read: bool) -> String {
    let (ending, they_wait) = match count {
        1 => ("", "it waits"),
        _ => ("s", "they wait"),
    };
    let mut text = format!("{count} {what}{ending} {done} to {place}");
    if !is_read && count > 0 {
        text = format!("{text}; {they_wait} for the next start");
    }
    text
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The lines that are not blank, each with its number in the file.
fn lines(file: &Path) -> Result<Vec<(usize, String)>, Failure> {
    let text = String::from_utf8(read(file)?);
    let text = text.or_mend(|| format!("{} is no UTF-8 text", name(file)))?;
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    Ok(lines
        .map(|(number, line)| (number, line.to_owned()))
        .collect())
}

fn name(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_fields_value_and_a_line_without_it_is_refused() {
        assert_eq!(key_of(r#"{"id":"a"}"#, "id"), Ok(b"a".to_vec()));
        assert_eq!(key_of(r#"{"id":7}"#, "id"), Ok(b"7".to_vec()));
        for line in ["{}", r#"{"id":null}"#, "[1]"] {
            let wrong = key_of(line, "id").unwrap_err();
            assert_eq!(wrong, "it has no id, which --key names", "{line}");
        }
        let wrong = key_of("oi", "id").unwrap_err();
        assert_eq!(wrong, "no JSON (expected value at column 1)");
    }

    #[test]
    fn one_thing_is_told_as_one() {
        let told = |count, is_read| fed(count, "record", "written", "clientes", is_read);
        assert_eq!(told(1, true), "1 record written to clientes");
        assert_eq!(
            told(1, false),
            "1 record written to clientes; it waits for the next start"
        );
        assert_eq!(
            told(2, false),
            "2 records written to clientes; they wait for the next start"
        );
        assert_eq!(told(0, false), "0 records written to clientes");
    }
}
