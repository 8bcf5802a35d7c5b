// What holds for any bytes whatever; fuzz targets and property tests call the same functions.

use contracts::{
    envelope::{self, Carried, Envelope, Message},
    kafka_event::{self, Record},
};

/// An event is split or refused; each of its records is read or refused alone, and what was read
/// comes back from its envelope.
pub fn kafka_event(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(partitions) = kafka_event::partitions(text) else {
        return;
    };
    for json in partitions.iter().flat_map(|one| &one.records) {
        record(json.get());
    }
}

/// A record is read or refused; what was read comes back from its envelope.
pub fn record(json: &str) {
    let _offset = kafka_event::offset_of(json);
    let Ok(record) = Record::read(json) else {
        return;
    };
    let text = envelope::write(&record, None);
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert!(text.len() <= envelope::most_bytes(&record));
    let read = Envelope::read(&text).expect("what was written can be read");
    assert_eq!(read.coordinates.topic, record.topic);
    assert_eq!(read.coordinates.partition, record.partition);
    assert_eq!(read.coordinates.offset, record.offset);
    assert_eq!(read.coordinates.timestamp_ms, record.timestamp_ms);
    assert_eq!(read.timestamp_type, record.timestamp_type);
    assert_eq!(read.key.is_some(), record.key.is_some());
    assert_eq!(read.value == Carried::Tombstone, record.value.is_none());
    let headers = read
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    let written = record
        .headers
        .iter()
        .map(|(name, value)| (name.as_ref(), value));
    assert!(headers.eq(written));
}

/// Any body is opened or refused, and what is an envelope can be claimed or not.
pub fn envelope(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = Envelope::read(text);
    let claim = envelope::claim_of(text);
    if let (Ok(envelope), Some(claim)) = (&read, &claim) {
        assert_eq!(envelope.value, Carried::Elsewhere(claim.clone()));
    }
    if let Ok(message) = Message::open(text) {
        assert!(!message.identity("q").is_empty());
    }
}
