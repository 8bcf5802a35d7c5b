//! The envelope brings back every record byte for byte, and nothing at all makes the readers fall.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

#[path = "../../../fuzz/checks.rs"]
mod checks;

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::{
    envelope::{self, Carried, Claim, Coordinates, Envelope, claim_of},
    kafka_event::{Record, partitions},
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    let headers = vec((".{0,20}", option::of(vec(any::<u8>(), 0..40))), 0..5);
    let place = (
        "[a-zA-Z0-9._-]{1,120}",
        any::<i32>(),
        any::<i64>(),
        any::<i64>(),
    );
    let types = prop_oneof![Just("CREATE_TIME"), Just("LOG_APPEND_TIME")];
    (
        place,
        types,
        option::of(bytes()),
        option::of(bytes()),
        headers,
    )
        .prop_map(
            |((topic, partition, offset, timestamp_ms), timestamp_type, key, value, headers)| {
                Envelope {
                    coordinates: Coordinates {
                        topic,
                        partition,
                        offset,
                        timestamp_ms,
                    },
                    timestamp_type: timestamp_type.to_owned(),
                    key,
                    value: value.map_or(Carried::Tombstone, Carried::Here),
                    headers,
                }
            },
        )
}

/// The record as Lambda's event holds it.
fn event_record(envelope: &Envelope) -> Value {
    let signed =
        |bytes: &Vec<u8>| -> Vec<i8> { bytes.iter().map(|byte| byte.cast_signed()).collect() };
    let headers = envelope.headers.iter().map(|(name, value)| {
        let value = value.as_ref().map(signed);
        json!({ name.as_str(): value })
    });
    let mut record = json!({
        "topic": envelope.coordinates.topic, "partition": envelope.coordinates.partition,
        "offset": envelope.coordinates.offset, "timestamp": envelope.coordinates.timestamp_ms,
        "timestampType": envelope.timestamp_type, "headers": headers.collect::<Vec<Value>>(),
    });
    if let Some(key) = &envelope.key {
        record["key"] = json!(STANDARD.encode(key));
    }
    if let Carried::Here(value) = &envelope.value {
        record["value"] = json!(STANDARD.encode(value));
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_record_comes_back_byte_for_byte(original in envelopes()) {
        let json = event_record(&original).to_string();
        let record = Record::read(&json).unwrap();
        let text = envelope::write(&record, None);
        // SQS takes printable ASCII in every body, and its JSON brings it back.
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        prop_assert!(text.len() <= envelope::most_bytes(&record));
        let through_sqs = serde_json::to_string(&text).unwrap();
        let text: String = serde_json::from_str(&through_sqs).unwrap();
        prop_assert_eq!(Envelope::read(&text).unwrap(), original);
    }

    #[test]
    fn a_claim_comes_back_in_the_place_of_the_value(
        original in envelopes(), bucket in "[a-z-]{3,20}", key in ".{1,80}", bytes in any::<u32>()
    ) {
        let json = event_record(&original).to_string();
        let claim = Claim { bucket, key, bytes: u64::from(bytes), sha256: "0f".repeat(32) };
        let text = envelope::write(&Record::read(&json).unwrap(), Some(&claim));
        prop_assert_eq!(claim_of(&text), Some(claim.clone()));
        let expected = Envelope { value: Carried::Elsewhere(claim), ..original };
        prop_assert_eq!(Envelope::read(&text).unwrap(), expected);
    }

    #[test]
    fn an_event_gives_every_record_of_every_partition(records in vec(envelopes(), 0..8)) {
        let lists: Vec<String> = records
            .iter()
            .enumerate()
            .map(|(place, one)| format!(r#""t-{}":[{}]"#, place % 3, event_record(one)))
            .collect();
        // A partition's name may come twice: neither list is lost.
        let event = format!(r#"{{"eventSource":"aws:kafka","records":{{{}}}}}"#, lists.join(","));
        let read = partitions(&event).unwrap();
        prop_assert_eq!(read.iter().map(|one| one.records.len()).sum::<usize>(), records.len());
        checks::kafka_event(event.as_bytes());
    }

    #[test]
    fn nothing_makes_the_readers_fall(text in ".{0,300}", bytes in bytes()) {
        checks::kafka_event(text.as_bytes());
        checks::kafka_event(&bytes);
        checks::envelope(text.as_bytes());
        checks::envelope(&bytes);
    }

    #[test]
    fn a_broken_record_is_refused_or_comes_back(
        original in envelopes(), place in any::<prop::sample::Index>(), wrong in ".{0,3}"
    ) {
        let mut json = event_record(&original).to_string();
        let places: Vec<usize> = json.char_indices().map(|(place, _)| place).collect();
        json.insert_str(*place.get(&places), &wrong);
        checks::record(&json);
        let mut body = envelope::write(&Record::read(&event_record(&original).to_string()).unwrap(), None);
        let places: Vec<usize> = body.char_indices().map(|(place, _)| place).collect();
        body.insert_str(*place.get(&places), &wrong);
        checks::envelope(body.as_bytes());
    }

    #[test]
    fn any_field_of_any_kind_is_read_or_refused(
        original in envelopes(), field in 0..8_usize, kind in 0..7_usize
    ) {
        let fields = ["topic", "partition", "offset", "timestamp", "timestampType", "key", "value",
            "headers"];
        let kinds = [json!(null), json!(-1.5), json!("a=b"), json!([[]]), json!({"a": {}}),
            json!(true), json!([{"a": [300]}])];
        let mut record = event_record(&original);
        record[fields[field]] = kinds[kind].clone();
        checks::record(&record.to_string());
    }
}
