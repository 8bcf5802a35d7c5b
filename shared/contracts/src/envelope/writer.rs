//! Writing the envelope: ASCII only, so that every queue takes every record.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Claim, VERSION};
use crate::kafka_event::Record;

/// What an envelope holds besides a record's own texts, at most.
const FRAME_BYTES: usize = 220;
const HEADER_BYTES: usize = 24;

/// Writes a record; its value lies elsewhere where there is a claim on it.
#[must_use]
pub fn write(record: &Record<'_>, claim: Option<&Claim>) -> String {
    let mut text = String::with_capacity(most_bytes(record));
    text.push_str("{\"v\":");
    push_number(&mut text, VERSION);
    text.push_str(",\"topico\":");
    push_text(&mut text, &record.topic);
    text.push_str(",\"particao\":");
    push_number(&mut text, i64::from(record.partition));
    text.push_str(",\"offset\":");
    push_number(&mut text, record.offset);
    text.push_str(",\"timestamp_ms\":");
    push_number(&mut text, record.timestamp_ms);
    text.push_str(",\"tipo_timestamp\":");
    push_text(&mut text, &record.timestamp_type);
    if let Some(key) = &record.key {
        push_base64(&mut text, ",\"chave\":\"", key);
    }
    match (claim, &record.value) {
        (Some(claim), _) => push_claim(&mut text, claim),
        (None, Some(value)) => push_base64(&mut text, ",\"valor\":\"", value),
        (None, None) => {}
    }
    text.push_str(",\"cabecalhos\":[");
    for (place, (name, value)) in record.headers.iter().enumerate() {
        text.push_str(if place == 0 {
            "{\"nome\":"
        } else {
            ",{\"nome\":"
        });
        push_text(&mut text, name);
        if let Some(value) = value {
            text.push_str(",\"valor\":\"");
            STANDARD.encode_string(value, &mut text);
            text.push('"');
        }
        text.push('}');
    }
    text.push_str("]}");
    text
}

/// No envelope of this record with its value is longer, in bytes.
#[must_use]
pub fn most_bytes(record: &Record<'_>) -> usize {
    let escaped = |text: &str| text.len().saturating_mul(6);
    let base64 = |text: &Option<_>| {
        text.as_ref()
            .map_or(0, |text: &std::borrow::Cow<'_, str>| text.len())
    };
    let headers: usize = record
        .headers
        .iter()
        .map(|(name, value)| {
            let value = value
                .as_ref()
                .map_or(0, |value| value.len().div_ceil(3) * 4);
            HEADER_BYTES + escaped(name) + value
        })
        .sum();
    FRAME_BYTES
        + escaped(&record.topic)
        + escaped(&record.timestamp_type)
        + base64(&record.key)
        + base64(&record.value)
        + headers
}

fn push_claim(text: &mut String, claim: &Claim) {
    text.push_str(",\"valor_em\":{\"balde\":");
    push_text(text, &claim.bucket);
    text.push_str(",\"chave\":");
    push_text(text, &claim.key);
    text.push_str(",\"bytes\":");
    push_number(text, i64::try_from(claim.bytes).unwrap_or(i64::MAX));
    text.push_str(",\"sha256\":");
    push_text(text, &claim.sha256);
    text.push('}');
}

fn push_base64(text: &mut String, before: &str, base64: &str) {
    text.push_str(before);
    text.push_str(base64);
    text.push('"');
}

fn push_number(text: &mut String, number: i64) {
    use std::fmt::Write as _;
    // Writing into a String cannot fail.
    let _ = write!(text, "{number}");
}

/// A JSON text of printable ASCII: queues refuse control characters and some of Unicode's.
fn push_text(text: &mut String, written: &str) {
    use std::fmt::Write as _;
    text.push('"');
    for character in written.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            ' '..='~' => text.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}
