//! What lies in a queue: the envelope of kafka-to-sqs around a record, or a contract's bare JSON.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::{BadMessage, Fields};

/// The envelope's version that this code writes.
pub const VERSION: u32 = 1;
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

/// A Kafka record as it lies in a queue: base64, since a body holds XML-legal characters only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`].
    pub v: u32,
    /// The topic.
    pub topico: String,
    /// The partition.
    pub particao: i32,
    /// The offset.
    pub offset: i64,
    /// The record's timestamp in milliseconds.
    pub timestamp_ms: i64,
    /// `CREATE_TIME` or `LOG_APPEND_TIME`.
    pub tipo_timestamp: String,
    /// The key in base64; absent for a record without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chave: Option<String>,
    /// The value in base64; absent for a tombstone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valor: Option<String>,
    /// The record's headers, in order; a name may repeat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cabecalhos: Vec<Header>,
}

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub nome: String,
    /// Its bytes in base64.
    pub valor: String,
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

impl Envelope {
    /// The bytes of the key.
    ///
    /// # Errors
    /// When it is no base64.
    pub fn key(&self) -> Result<Option<Vec<u8>>, BadMessage> {
        decode("chave", self.chave.as_deref())
    }

    /// The bytes of the value; `None` for a tombstone.
    ///
    /// # Errors
    /// When it is no base64.
    pub fn value(&self) -> Result<Option<Vec<u8>>, BadMessage> {
        decode("valor", self.valor.as_deref())
    }

    /// The record's place in its topic.
    #[must_use]
    pub fn coordinates(&self) -> Coordinates {
        Coordinates {
            topic: self.topico.clone(),
            partition: self.particao,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
        }
    }
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
    if outer.optional_integer("v")? != Some(i64::from(VERSION)) {
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

    fn envelope() -> Envelope {
        Envelope {
            v: VERSION,
            topico: "viagens".to_owned(),
            particao: 3,
            offset: 42,
            timestamp_ms: 1_700_000_000_000,
            tipo_timestamp: "CREATE_TIME".to_owned(),
            chave: None,
            valor: Some(STANDARD.encode(r#"{"id_pedido":"p1","id_evento":"x"}"#)),
            cabecalhos: Vec::new(),
        }
    }

    #[test]
    fn an_enveloped_record_is_known_by_its_coordinates() {
        let body = serde_json::to_string(&envelope()).unwrap();
        let message = Message::open(&body).unwrap();
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
        let mut unknown = envelope();
        unknown.v = 2;
        let mut tombstone = envelope();
        tombstone.valor = None;
        let mut broken = envelope();
        broken.valor = Some("segredo!".to_owned());
        let mut inner = envelope();
        inner.valor = Some(STANDARD.encode("[1]"));
        for (envelope, code, field) in [
            (unknown, "versao_desconhecida", Some("v")),
            (tombstone, "sem_valor", Some("valor")),
            (broken, "campo_invalido", Some("valor")),
            (inner, "json_invalido", None),
        ] {
            let body = serde_json::to_string(&envelope).unwrap();
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
