//! What a company's system answers that knows which trips are completed.
//!
//! `GET {COMPLETED_TRIPS_URL}?id_pedido=a&id_pedido=b` with `Authorization: Bearer …` answers 200
//! with `[{"id_pedido": "a", "concluido_em": "2026-11-20T15:04:05-03:00"}]`: one object for each
//! asked order whose whole trip is over. An order that is left out is not over, or not known.

use domain::{identity::OrderId, time::UtcMillis};
use serde_json::Value;

use crate::fields::{BadMessage, Fields};

/// Orders in one request: a URL of 50 ids stays under 4 KB.
pub const MOST_ORDERS: usize = 50;

/// Reads an answer.
///
/// # Errors
/// The first field that is missing or wrong.
pub fn read(answer: &[u8]) -> Result<Vec<(OrderId, UtcMillis)>, BadMessage> {
    let Ok(Value::Array(trips)) = serde_json::from_slice(answer) else {
        return Err(BadMessage {
            rule: "must be a JSON list",
            ..BadMessage::NOT_JSON
        });
    };
    trips
        .iter()
        .map(|trip| {
            let fields = Fields::of(trip, "viagem")?;
            Ok((
                fields.parse("id_pedido", |text| OrderId::parse(text))?,
                fields.parse("concluido_em", UtcMillis::parse)?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_the_trips_that_are_over() {
        let answer = br#"[{"id_pedido":"a","concluido_em":"2026-11-20T15:04:05-03:00","x":1}]"#;
        let trips = read(answer).unwrap();
        assert_eq!(trips[0].0.as_str(), "a");
        assert_eq!(trips[0].1.to_string(), "2026-11-20T18:04:05.000Z");
        assert_eq!(read(b"[]"), Ok(Vec::new()));
    }

    #[test]
    fn any_other_answer_is_refused() {
        for answer in ["", "{}", "null", "[1]", r#"[{"id_pedido":"a"}]"#, "<html>"] {
            assert!(read(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
