//! What lies in a queue: the envelope of kafka-to-sqs around a record, or a contract's bare JSON.
//!
//! `{"v":1,"topico","particao","offset","timestamp_ms","tipo_timestamp","chave"?:b64,"valor"?:b64,
//! "cabecalhos":[{"nome","valor"?:b64}]}`; without `valor` the record is a tombstone, and a value too
//! large for a message stands as `"valor_em":{"balde","chave","bytes","sha256"}` instead.

mod writer;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::fields::{BadMessage, Fields};
use crate::kafka_event::LONGEST_TOPIC;

pub use writer::{most_bytes, write};

/// The envelope's version that this code writes and reads.
const VERSION: i64 = 1;
const LONGEST_EVENT_ID: usize = 120;
const SHA256_HEX: usize = 64;

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

impl Coordinates {
    /// The record's identity for exactly-once.
    #[must_use]
    pub fn identity(&self) -> String {
        let (topic, timestamp_ms) = (&self.topic, self.timestamp_ms);
        format!(
            "k/{topic}/{}/{}/{timestamp_ms}",
            self.partition, self.offset
        )
    }
}

/// Where a value lies that is too large for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The bucket.
    pub bucket: String,
    /// The key in the bucket.
    pub key: String,
    /// Size of the value in bytes.
    pub bytes: u64,
    /// SHA-256 of the value in lower-case hex.
    pub sha256: String,
}

/// What became of a record's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// There was none: the record deletes.
    Tombstone,
    /// Its bytes.
    Here(Vec<u8>),
    /// It lies in a bucket.
    Elsewhere(Claim),
}

/// A record as the bridge wrapped it, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its place.
    pub coordinates: Coordinates,
    /// What its timestamp means: `CREATE_TIME` or `LOG_APPEND_TIME`.
    pub timestamp_type: String,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Carried,
    /// Names and values in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Envelope {
    /// Reads an envelope's text.
    ///
    /// # Errors
    /// Names the field that is missing or wrong, and no value.
    pub fn read(body: &str) -> Result<Self, BadMessage> {
        Self::of(&Fields::read(body.as_bytes())?)
    }

    fn of(outer: &Fields) -> Result<Self, BadMessage> {
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
        let claim = outer.value("valor_em").map(claim).transpose()?;
        let value = decode("valor", outer.optional_text("valor")?)?;
        Ok(Self {
            coordinates: Coordinates {
                topic: topic.to_owned(),
                partition,
                offset: number("offset")?,
                timestamp_ms: number("timestamp_ms")?,
            },
            timestamp_type: outer
                .optional_text("tipo_timestamp")?
                .unwrap_or_default()
                .to_owned(),
            key: decode("chave", outer.optional_text("chave")?)?,
            value: match (value, claim) {
                (None, None) => Carried::Tombstone,
                (Some(value), None) => Carried::Here(value),
                (None, Some(claim)) => Carried::Elsewhere(claim),
                (Some(_), Some(_)) => {
                    return Err(BadMessage::invalid(
                        "valor_em",
                        "must not stand beside valor",
                    ));
                }
            },
            headers: headers(outer.value("cabecalhos"))?,
        })
    }
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
        Self::open_with(body, None)
    }

    /// The same with the value that was fetched for its [`claim_of`].
    ///
    /// # Errors
    /// See [`Self::open`]; besides when the value is claimed and was not fetched.
    pub fn open_with(body: &str, fetched: Option<Vec<u8>>) -> Result<Self, BadMessage> {
        let outer = Fields::read(body.as_bytes())?;
        let (coordinates, fields) = if is_envelope(&outer) {
            open_envelope(&outer, fetched)?
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
            (Some(place), _) => place.identity(),
            (None, Some(event_id)) => format!("e/{event_id}"),
            (None, None) => format!("q/{queue_message_id}"),
        }
    }
}

/// Where a message's value has to be fetched first; none for a message that holds its own, or that
/// can't be read.
#[must_use]
pub fn claim_of(body: &str) -> Option<Claim> {
    if !body.contains("\"valor_em\"") {
        return None;
    }
    let outer = Fields::read(body.as_bytes()).ok()?;
    match is_envelope(&outer)
        .then(|| Envelope::of(&outer))?
        .ok()?
        .value
    {
        Carried::Elsewhere(claim) => Some(claim),
        Carried::Tombstone | Carried::Here(_) => None,
    }
}

fn is_envelope(outer: &Fields) -> bool {
    outer.value("topico").is_some() && outer.value("v").is_some()
}

fn open_envelope(
    outer: &Fields,
    fetched: Option<Vec<u8>>,
) -> Result<(Option<Coordinates>, Fields), BadMessage> {
    let envelope = Envelope::of(outer)?;
    let missing = BadMessage {
        code: "sem_valor",
        field: Some("valor"),
        rule: "must be given: this topic has no tombstones",
    };
    let value = match envelope.value {
        Carried::Here(value) => value,
        Carried::Tombstone => return Err(missing),
        Carried::Elsewhere(_) => fetched.ok_or(missing)?,
    };
    match serde_json::from_slice(&value) {
        Ok(Value::Object(_)) => Ok((Some(envelope.coordinates), Fields::read(&value)?)),
        _ => Err(BadMessage::NOT_JSON),
    }
}

fn claim(value: &Value) -> Result<Claim, BadMessage> {
    const RULE: BadMessage =
        BadMessage::invalid("valor_em", "must hold balde, chave, bytes and sha256");
    let text = |name| value.get(name).and_then(Value::as_str).ok_or(RULE);
    let sha256 = text("sha256")?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if sha256.len() != SHA256_HEX || !sha256.bytes().all(is_hex) {
        return Err(RULE);
    }
    Ok(Claim {
        bucket: text("balde")?.to_owned(),
        key: text("chave")?.to_owned(),
        bytes: value.get("bytes").and_then(Value::as_u64).ok_or(RULE)?,
        sha256: sha256.to_owned(),
    })
}

/// Names and values; a value may be null.
type Headers = Vec<(String, Option<Vec<u8>>)>;

fn headers(value: Option<&Value>) -> Result<Headers, BadMessage> {
    const RULE: BadMessage =
        BadMessage::invalid("cabecalhos", "must be a list of names and base64 values");
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let list = value.as_array().ok_or(RULE)?.iter().map(|header| {
        let name = header.get("nome").and_then(Value::as_str).ok_or(RULE)?;
        let value = match header.get("valor") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(STANDARD.decode(text).map_err(|_| RULE)?),
            Some(_) => return Err(RULE),
        };
        Ok((name.to_owned(), value))
    });
    list.collect()
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
