//! What lies in a queue: the envelope of kafka-to-sqs around a record, or a contract's bare JSON.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::fields::{BadMessage, Fields};

/// The envelope's version that this code reads.
const VERSION: i64 = 1;
/// Longest topic name that makes an identity which fits its column.
const LONGEST_TOPIC: usize = 120;
const LONGEST_EVENT_ID: usize = 120;

/// A record's place in its topic. The timestamp tells a topic made anew from the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinates {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset within the partition.
    pub offset: i64,
    /// The record's timestamp in milliseconds.
    pub timestamp_ms: i64,
}

/// A queue's message, opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where the record came from, if a bridge brought it.
    pub coordinates: Option<Coordinates>,
    /// The contract's fields.
    pub fields: Fields,
    event_id: Option<String>,
}

impl Message {
    /// Opens a message's body.
    ///
    /// # Errors
    /// When it is no JSON object, or an envelope that can't be opened: the field is named.
    pub fn open(body: &str) -> Result<Self, BadMessage> {
        let outer = Fields::read(body.as_bytes())?;
        let (coordinates, fields) = if outer.value("topico").is_some() && outer.value("v").is_some()
        {
            open_envelope(&outer)?
        } else {
            (None, outer)
        };
        let event_id = fields.parse_optional("id_evento", |text| {
            let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
            if visible && (1..=LONGEST_EVENT_ID).contains(&text.len()) {
                Ok(text.to_owned())
            } else {
                Err(domain::Invalid::new(
                    "must be an id of 1 to 120 visible ASCII characters",
                ))
            }
        })?;
        Ok(Self {
            coordinates,
            fields,
            event_id,
        })
    }

    /// The message's identity for exactly-once: its coordinates, else its `id_evento`, else the
    /// queue's own id for it.
    #[must_use]
    pub fn identity(&self, queue_message_id: &str) -> String {
        match (&self.coordinates, &self.event_id) {
            (Some(place), _) => format!(
                "k/{}/{}/{}/{}",
                place.topic, place.partition, place.offset, place.timestamp_ms
            ),
            (None, Some(event_id)) => format!("e/{event_id}"),
            (None, None) => format!("q/{queue_message_id}"),
        }
    }
}

fn open_envelope(outer: &Fields) -> Result<(Option<Coordinates>, Fields), BadMessage> {
    if outer.optional_integer("v")? != Some(VERSION) {
        return Err(BadMessage {
            code: "versao_desconhecida",
            field: Some("v"),
            rule: "must be a version that this code knows",
        });
    }
    let number = |name| {
        outer
            .optional_integer(name)?
            .ok_or(BadMessage::missing(name))
    };
    let topic = outer.text("topico")?;
    if topic.is_empty() || topic.len() > LONGEST_TOPIC {
        return Err(BadMessage::invalid("topico", "must be 1 to 120 characters"));
    }
    let partition = i32::try_from(number("particao")?)
        .map_err(|_| BadMessage::invalid("particao", "must be a partition's number"))?;
    let coordinates = Coordinates {
        topic: topic.to_owned(),
        partition,
        offset: number("offset")?,
        timestamp_ms: number("timestamp_ms")?,
    };
    let value = decode("valor", outer.optional_text("valor")?)?.ok_or(BadMessage {
        code: "sem_valor",
        field: Some("valor"),
        rule: "must be given: this topic has no tombstones",
    })?;
    match serde_json::from_slice(&value) {
        Ok(Value::Object(_)) => Ok((Some(coordinates), Fields::read(&value)?)),
        _ => Err(BadMessage::NOT_JSON),
    }
}

fn decode(field: &'static str, text: Option<&str>) -> Result<Option<Vec<u8>>, BadMessage> {
    let bytes = text.map(|text| STANDARD.decode(text)).transpose();
    bytes.map_err(|_| BadMessage::invalid(field, "must be base64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn envelope() -> Value {
        json!({
            "v": VERSION, "topico": "viagens", "particao": 3, "offset": 42,
            "timestamp_ms": 1_700_000_000_000_i64, "tipo_timestamp": "CREATE_TIME",
            "valor": STANDARD.encode(r#"{"id_pedido":"p1","id_evento":"x"}"#),
        })
    }

    #[test]
    fn an_enveloped_record_is_known_by_its_coordinates() {
        let message = Message::open(&envelope().to_string()).unwrap();
        assert_eq!(message.identity("sqs-1"), "k/viagens/3/42/1700000000000");
        assert_eq!(message.fields.text("id_pedido").unwrap(), "p1");
    }

    #[test]
    fn a_bare_message_is_known_by_its_event_id_else_by_the_queues() {
        let named = Message::open(r#"{"id_evento":"e-9","id_pedido":"p1"}"#).unwrap();
        assert_eq!(named.identity("sqs-1"), "e/e-9");
        assert_eq!(Message::open("{}").unwrap().identity("sqs-1"), "q/sqs-1");
    }

    #[test]
    fn what_cannot_be_opened_names_the_field_and_no_value() {
        let with = |name: &str, value: Value| {
            let mut envelope = envelope();
            envelope[name] = value;
            envelope.to_string()
        };
        let tombstone = with("valor", Value::Null);
        let broken = with("valor", json!("segredo!"));
        let inner = with("valor", json!(STANDARD.encode("[1]")));
        for (body, code, field) in [
            (with("v", json!(2)), "versao_desconhecida", Some("v")),
            (tombstone, "sem_valor", Some("valor")),
            (broken, "campo_invalido", Some("valor")),
            (inner, "json_invalido", None),
        ] {
            let refusal = Message::open(&body).unwrap_err();
            assert_eq!((refusal.code, refusal.field), (code, field));
        }
        for body in ["", "null", "[]", "{", "\"x\"", "12"] {
            assert_eq!(
                Message::open(body).unwrap_err(),
                BadMessage::NOT_JSON,
                "{body}"
            );
        }
    }
}
