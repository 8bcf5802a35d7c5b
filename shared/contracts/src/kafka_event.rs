//! Lambda's Kafka event, read record by record, so that one that can't be read fails alone.
//!
//! Source: Lambda developer guide, "Using Lambda with Amazon MSK" and "… with self-managed Apache
//! Kafka": key and value are base64 and absent for null, header values are signed bytes.

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::fields::BadMessage;

/// Longest topic name that makes an identity which fits its column.
pub const LONGEST_TOPIC: usize = 120;
/// Kafka's own number for a record without a timestamp.
const NO_TIMESTAMP: i64 = -1;
const NO_TIMESTAMP_TYPE: &str = "NO_TIMESTAMP_TYPE";

/// The records of one partition, each as it stands in the event.
#[derive(Debug)]
pub struct Partition<'a> {
    /// As the event names it, such as `pedidos-0`: an answer names it so.
    pub name: Cow<'a, str>,
    /// Oldest first.
    pub records: Vec<&'a RawValue>,
}

/// A record, read; key and value stay base64, which was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The partition.
    pub partition: i32,
    /// The place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; -1 where there is none.
    pub timestamp_ms: i64,
    /// `CREATE_TIME` or `LOG_APPEND_TIME`.
    pub timestamp_type: Cow<'a, str>,
    /// The key in base64; none for null.
    pub key: Option<Cow<'a, str>>,
    /// The value in base64; none makes the record a tombstone.
    pub value: Option<Cow<'a, str>>,
    /// Names and values in order; a name may come again, a value be null.
    pub headers: Vec<(Cow<'a, str>, Option<Vec<u8>>)>,
}

/// Splits an event into its records. None is read yet.
///
/// # Errors
/// When it is none of Kafka.
pub fn partitions(event: &str) -> Result<Vec<Partition<'_>>, BadMessage> {
    let event: Event<'_> = serde_json::from_str(event).map_err(|_| {
        BadMessage::invalid("records", "must be lists of records by topic and partition")
    })?;
    Ok(event.records.0)
}

impl<'a> Record<'a> {
    /// Reads one record.
    ///
    /// # Errors
    /// Names the field that is missing or wrong, and no value.
    pub fn read(json: &'a str) -> Result<Self, BadMessage> {
        let written: Written<'a> = serde_json::from_str(json)
            .map_err(|_| BadMessage::invalid("record", "must be a record of Kafka's event"))?;
        let (Some(topic), Some(partition), Some(offset)) =
            (written.topic, written.partition, written.offset)
        else {
            return Err(BadMessage::invalid(
                "offset",
                "must come with topic and partition",
            ));
        };
        if topic.0.is_empty() || topic.0.len() > LONGEST_TOPIC {
            return Err(BadMessage::invalid("topic", "must be 1 to 120 characters"));
        }
        Ok(Self {
            topic: topic.0,
            partition,
            offset,
            timestamp_ms: written.timestamp.unwrap_or(NO_TIMESTAMP),
            timestamp_type: match written.timestamp_type {
                Some(text) => text.0,
                None => Cow::Borrowed(NO_TIMESTAMP_TYPE),
            },
            key: checked("key", written.key)?,
            value: checked("value", written.value)?,
            headers: written.headers.unwrap_or_default().0,
        })
    }
}

/// The offset of a record that may not be readable otherwise.
#[must_use]
pub fn offset_of(json: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Place {
        offset: serde_json::Value,
    }
    let place: Place = serde_json::from_str(json).ok()?;
    place.offset.as_i64()
}

fn checked<'a>(
    field: &'static str,
    text: Option<Text<'a>>,
) -> Result<Option<Cow<'a, str>>, BadMessage> {
    let Some(Text(text)) = text else {
        return Ok(None);
    };
    // In pieces on the stack: only whether it can be decoded is asked.
    let mut room = [0_u8; 3 * 1024];
    let bytes = text.as_bytes();
    let last = bytes.len().saturating_sub(1) / 4096;
    for (place, piece) in bytes.chunks(4096).enumerate() {
        let decoded = STANDARD.decode_slice(piece, &mut room);
        let is_padded = place < last && piece.ends_with(b"=");
        if decoded.is_err() || is_padded {
            return Err(BadMessage::invalid(field, "must be base64"));
        }
    }
    Ok(Some(text))
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    records: Partitions<'a>,
}

struct Partitions<'a>(Vec<Partition<'a>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(borrow, default)]
    topic: Option<Text<'a>>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp: Option<i64>,
    #[serde(borrow, default)]
    timestamp_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    key: Option<Text<'a>>,
    #[serde(borrow, default)]
    value: Option<Text<'a>>,
    #[serde(borrow, default)]
    headers: Option<Headers<'a>>,
}

/// A text that is copied only where the JSON escapes something.
struct Text<'a>(Cow<'a, str>);

#[derive(Default)]
struct Headers<'a>(Vec<(Cow<'a, str>, Option<Vec<u8>>)>);

struct Bytes(Vec<u8>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Cow<'de, str>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Reader).map(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Partitions<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<Partition<'de>>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("lists of records")
            }

            // A name that came twice would lose its first list in a map.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some((Text(name), records)) = map.next_entry::<Text<'de>, _>()? {
                    all.push(Partition { name, records });
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Reader).map(Partitions)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(Cow<'de, str>, Option<Vec<u8>>)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("headers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(Header(pairs)) = list.next_element::<Header<'de>>()? {
                    all.extend(pairs);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Reader).map(Headers)
    }
}

/// One entry of the list: an object with one name, by the guide; more are taken too.
struct Header<'a>(Vec<(Cow<'a, str>, Option<Vec<u8>>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(Cow<'de, str>, Option<Vec<u8>>)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a header")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::with_capacity(1);
                while let Some((Text(name), bytes)) =
                    map.next_entry::<Text<'de>, Option<Bytes>>()?
                {
                    all.push((name, bytes.map(|bytes| bytes.0)));
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Reader).map(Header)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<u8>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("signed bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(number) = list.next_element::<i16>()? {
                    let byte = i8::try_from(number)
                        .map(i8::cast_unsigned)
                        .or_else(|_| u8::try_from(number));
                    all.push(byte.map_err(|_| de::Error::custom("a byte was expected"))?);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Reader).map(Bytes)
    }
}
