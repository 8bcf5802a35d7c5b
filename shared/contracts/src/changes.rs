//! Changes of customers, read by an allow-list: only the fields that a consumer names leave the
//! record's bytes, everything else is skipped while it is read.
//!
//! Architecture invariant: what is refused here names a field and never holds a value of it.

mod reader;
mod shape;

use domain::{
    Invalid,
    changes::{CLOCK_SKEW_MS, Place, Stamp, lies_ahead},
    identity::CustomerId,
    time::UtcMillis,
};

pub use reader::Taken;
pub use shape::{BadShape, Shape};

use crate::fields::BadMessage;

/// Bytes of a record that are looked at; Kafka's own default limit is about as large.
pub const LARGEST_RECORD: usize = 1_048_576;

/// What kind of value a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text; a number stands for its digits.
    Text,
    /// Whether this purpose was agreed to, in an object of booleans or a list of texts.
    Consent(&'static str),
}

/// A field that a consumer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What for, for the record of processing (LGPD, art. 37).
    pub purpose: &'static str,
}

impl Field {
    /// A text, taken for this purpose.
    #[must_use]
    pub const fn text(name: &'static str, purpose: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
            purpose,
        }
    }

    /// Whether `consent` was agreed to, taken for this purpose.
    #[must_use]
    pub const fn consent(name: &'static str, consent: &'static str, purpose: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Consent(consent),
            purpose,
        }
    }
}

/// What a consumer takes of a customer, and what it keeps.
pub trait Projection {
    /// Names the consumer in dead letters, receipts and metrics.
    const NAME: &'static str;
    /// The fields it takes.
    const FIELDS: &'static [Field];
    /// What it keeps.
    type Row;

    /// What is kept of these fields; nothing where nothing may be kept, which deletes.
    ///
    /// # Errors
    /// Names the field; the record goes to dead letters.
    fn row(taken: &Taken<'_>) -> Result<Option<Self::Row>, BadMessage>;
}

/// A change that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<R> {
    /// Whom it is about.
    pub customer: CustomerId,
    /// How new it is.
    pub stamp: Stamp,
    /// What is to be kept; nothing deletes.
    pub row: Option<R>,
}

/// A record of the topic.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The key's bytes: the customer's id as it stands, as a JSON text, or in a JSON object.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// The partition.
    pub partition: i32,
    /// The offset within the partition.
    pub offset: i64,
    /// The record's time in milliseconds; below zero where it has none.
    pub timestamp_ms: i64,
}

/// Reads a record of `clientes` in this shape, for this consumer.
///
/// # Errors
/// The first thing that is wrong: `json_invalido`, `utf8_invalido`, `grande_demais`,
/// `campo_ausente`, `campo_repetido`, `campo_invalido`, `forma_desconhecida`, `versao_no_futuro`.
pub fn read<P: Projection>(
    shape: &Shape,
    record: &Record<'_>,
    now: UtcMillis,
) -> Result<Change<P::Row>, BadMessage> {
    let recorded = UtcMillis::new(record.timestamp_ms.max(0))
        .map_err(|invalid| BadMessage::invalid("timestamp", invalid.rule))?;
    let place = Place {
        partition: record.partition,
        offset: record.offset,
        recorded,
    };
    let Some(value) = record.value else {
        return Ok(deletion(customer_of_key(shape, record.key)?, place));
    };
    if value.len() > LARGEST_RECORD {
        return Err(BadMessage {
            code: "grande_demais",
            field: None,
            rule: "must be a record of at most 1 MiB",
        });
    }
    let taken = reader::take(shape, value)?;
    if taken.deletes()? {
        let customer = match taken.deleted_id()? {
            Some(id) => id,
            None => customer_of_key(shape, record.key)?,
        };
        return Ok(deletion(customer, place));
    }
    let customer = taken.parse(shape::ID, |text| CustomerId::parse(text))?;
    let is_key = record.key == Some(customer.as_str().as_bytes());
    // A tombstone under this key would delete another's row, and never this one.
    if !is_key && customer_of_key(shape, record.key).is_ok_and(|other| other != customer) {
        return Err(BadMessage::invalid(
            "chave",
            "must be the record's customer",
        ));
    }
    let version = taken.version()?;
    let in_the_future = |field| BadMessage {
        code: "versao_no_futuro",
        field: Some(field),
        rule: "must not lie in the future",
    };
    let skew = taken.updated()?.map(|updated| updated.get() - now.get());
    if skew.is_some_and(|skew| skew > CLOCK_SKEW_MS) {
        return Err(in_the_future(shape::UPDATED));
    }
    if version.is_some_and(|version| lies_ahead(version, now)) {
        return Err(in_the_future(shape::VERSION));
    }
    Ok(Change {
        customer,
        stamp: Stamp { version, place },
        row: P::row(&taken)?,
    })
}

/// A deletion has no version: its place tells what it came after.
const fn deletion<R>(customer: CustomerId, place: Place) -> Change<R> {
    Change {
        customer,
        stamp: Stamp {
            version: None,
            place,
        },
        row: None,
    }
}

fn customer_of_key(shape: &Shape, key: Option<&[u8]>) -> Result<CustomerId, BadMessage> {
    let wrong = |invalid: Invalid| BadMessage::invalid("chave", invalid.rule);
    let key = key.ok_or(BadMessage::missing("chave"))?;
    if key.first() == Some(&b'{') {
        let id = reader::take_key(shape, key)?;
        return CustomerId::parse(id.ok_or(BadMessage::missing("chave"))?).map_err(wrong);
    }
    let quoted: Option<String> = serde_json::from_slice(key).ok();
    let plain = quoted.or_else(|| std::str::from_utf8(key).ok().map(str::to_owned));
    CustomerId::parse(plain.unwrap_or_default()).map_err(wrong)
}

#[cfg(test)]
mod tests;
