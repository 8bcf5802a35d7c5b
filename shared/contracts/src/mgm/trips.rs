//! `viagens`: a trip, or one leg of it, is over; or an order was delivered.
//!
//! `{id_pedido, id_cliente, concluido_em, trecho?, trechos?}`; without legs it is the only one.

use domain::{
    identity::{CustomerId, OrderId},
    mgm::trip::{CompletedLeg, Leg},
    time::UtcMillis,
};

use crate::fields::{BadMessage, Fields};

/// Reads a completed leg from a message's fields.
///
/// # Errors
/// The first field that is missing or wrong.
pub fn read(fields: &Fields) -> Result<CompletedLeg, BadMessage> {
    let number = fields.optional_integer("trecho")?.unwrap_or(1);
    let of = match fields.optional_integer("trechos")? {
        Some(of) => of,
        None if number == 1 => 1,
        None => return Err(BadMessage::missing("trechos")),
    };
    Ok(CompletedLeg {
        order: fields.parse("id_pedido", |text| OrderId::parse(text))?,
        customer: fields.parse("id_cliente", |text| CustomerId::parse(text))?,
        leg: Leg::new(number, of).map_err(|invalid| BadMessage::invalid("trecho", invalid.rule))?,
        completed: fields.parse("concluido_em", UtcMillis::parse)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<CompletedLeg, BadMessage> {
        read(&Fields::read(json.as_bytes()).unwrap())
    }

    const GOOD: &str = r#"{"id_pedido":"p1","id_cliente":"c1","concluido_em":"2026-11-20","trecho":2,"trechos":2}"#;

    #[test]
    fn a_message_without_legs_is_the_only_leg() {
        let leg = r#"{"id_pedido":"p1","id_cliente":"c1","concluido_em":"2026-11-20T10:00:00"}"#;
        let leg = parse(leg).unwrap();
        assert_eq!(leg.leg, Leg::ONLY);
        assert_eq!(leg.completed.to_string(), "2026-11-20T13:00:00.000Z");
    }

    #[test]
    fn each_wrong_field_is_named() {
        let good = GOOD.replace("2026-11-20", "2026-11-20T10:00:00Z");
        assert_eq!(parse(&good).unwrap().leg, Leg::new(2, 2).unwrap());
        for (from, to, field) in [
            (r#""trecho":2"#, r#""trecho":3"#, "trecho"),
            (r#""trecho":2"#, r#""trecho":0"#, "trecho"),
            (r#""trecho":2"#, r#""trecho":"2""#, "trecho"),
            (
                r#""trecho":2"#,
                r#""trecho":99999999999999999999"#,
                "trecho",
            ),
            (r#","trechos":2"#, "", "trechos"),
            (r#""trechos":2"#, r#""trechos":51"#, "trecho"),
            ("2026-11-20T10:00:00Z", "amanhã", "concluido_em"),
            (r#""id_pedido":"p1""#, r#""id_pedido":null"#, "id_pedido"),
            (r#""id_cliente":"c1""#, r#""id_cliente":"""#, "id_cliente"),
        ] {
            assert_eq!(
                parse(&good.replacen(from, to, 1)).unwrap_err().field,
                Some(field),
                "{to}"
            );
        }
    }
}
