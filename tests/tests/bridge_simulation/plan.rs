//! What lies in the topic, drawn from a seed.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use testkit::Random;

pub const TOPIC: &str = "pedidos";
/// Bodies up to this size go into a message, larger values into the bucket.
pub const MESSAGE_BYTES: usize = 2_000;

/// What is special about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Tombstone,
    /// Its value has to go into the bucket.
    Large,
    /// It can't be read.
    Poison,
    /// The queue refuses it whenever it comes.
    Unwanted,
}

pub struct PlannedRecord {
    pub kind: Kind,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// As the event holds it.
    pub json: Value,
}

pub struct Plan {
    pub is_fifo: bool,
    /// The records of each partition.
    pub partitions: Vec<Vec<PlannedRecord>>,
}

/// The unwanted ones are known by their timestamp, which stands in the message.
pub const UNWANTED_TIMESTAMP: i64 = 666;

impl Plan {
    pub fn draw(random: &mut Random) -> Self {
        let is_fifo = random.percent(60);
        let partitions = 1 + random.below(2);
        Self {
            is_fifo,
            partitions: (0..partitions)
                .map(|number| records(number, random))
                .collect(),
        }
    }
}

fn records(partition: usize, random: &mut Random) -> Vec<PlannedRecord> {
    let count = 2 + random.below(5);
    (0..count)
        .map(|offset| record(partition, offset, random))
        .collect()
}

fn record(partition: usize, offset: usize, random: &mut Random) -> PlannedRecord {
    let kind = match random.below(100) {
        0..=72 => Kind::Plain,
        73..=80 => Kind::Tombstone,
        81..=87 => Kind::Large,
        88..=94 => Kind::Poison,
        _ => Kind::Unwanted,
    };
    // Records of one key lie in one partition.
    let key = match random.below(4) {
        3 => None,
        key => Some(vec![0, 255, u8::try_from(partition * 3 + key).unwrap()]),
    };
    let value = match kind {
        Kind::Tombstone => None,
        Kind::Large => Some(vec![u8::try_from(offset).unwrap(); 1_600]),
        _ => Some(vec![
            u8::try_from(partition).unwrap(),
            u8::try_from(offset).unwrap(),
            0,
            200,
        ]),
    };
    let timestamp = if kind == Kind::Unwanted {
        UNWANTED_TIMESTAMP
    } else {
        1_000
    };
    let mut json = json!({
        "topic": TOPIC, "partition": partition, "offset": offset, "timestamp": timestamp,
        "timestampType": "CREATE_TIME", "headers": [{"h": [-1, 0, 127]}],
    });
    if let Some(key) = &key {
        json["key"] = json!(STANDARD.encode(key));
    }
    if let Some(value) = &value {
        json["value"] = json!(STANDARD.encode(value));
    }
    if kind == Kind::Poison {
        json["value"] = json!("?");
    }
    PlannedRecord {
        kind,
        key,
        value,
        json,
    }
}
