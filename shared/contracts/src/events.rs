//! `eventos_clientes`: what a customer did in the shop.
//!
//! `{id_usuario, tipo_evento, id_produto, timestamp}` and optional `id_evento, id_sessao, quantidade,
//! preco, ref`; ids may be whole numbers. `preco` is that of one, as a decimal text or a number with at most two places. A
//! `timestamp` without an offset is America/Sao_Paulo.

use domain::{
    Invalid,
    events::{CustomerEvent, EventKind},
    identity::{ProductId, UserId},
    money::Centavos,
    time::UtcMillis,
};
use serde_json::Value;

use crate::{
    collect::id,
    fields::{BadMessage, Fields},
};

/// Longest `id_evento`, which is part of an identity.
pub const LONGEST_EVENT_ID: usize = 120;
/// Longest `id_sessao`.
const LONGEST_SESSION: usize = 64;
/// Longest `ref` that is kept.
const LONGEST_REFERENCE: usize = 200;
/// No cart holds more of one product.
const MOST_UNITS: i64 = 1_000_000;

/// Reads an event.
///
/// # Errors
/// The first field that is missing or wrong.
pub fn read(fields: &Fields) -> Result<CustomerEvent, BadMessage> {
    let kind = fields.parse("tipo_evento", EventKind::parse)?;
    let product = match fields.value("id_produto") {
        None if kind.needs_product() => return Err(BadMessage::missing("id_produto")),
        None => None,
        Some(_) => Some(id(fields, "id_produto", |text| ProductId::parse(text))?),
    };
    Ok(CustomerEvent {
        user: id(fields, "id_usuario", |text| UserId::parse(text))?,
        kind,
        product,
        occurred: fields.parse("timestamp", UtcMillis::parse)?,
        event_id: fields.parse_optional("id_evento", |text| visible(text, LONGEST_EVENT_ID))?,
        session: match fields.value("id_sessao") {
            None => None,
            Some(_) => Some(id(fields, "id_sessao", |text| {
                visible(text, LONGEST_SESSION)
            })?),
        },
        quantity: quantity(fields)?,
        price: price(fields)?,
        reference: fields.parse_optional("ref", |text| visible(text, LONGEST_REFERENCE))?,
    })
}

/// An event from what [`CustomerEvent::content`] wrote of it, under another id; none where the text
/// is no such content.
#[must_use]
pub fn of_content(content: &str, event_id: &str) -> Option<Value> {
    // Its texts are visible ASCII, so a space only stands between two parts.
    let parts: Vec<Option<Value>> = content
        .split(' ')
        .map(|part| match part {
            "-" => Some(None),
            part => serde_json::from_str(part).ok().map(Some),
        })
        .collect::<Option<_>>()?;
    let [
        user,
        kind,
        product,
        occurred,
        session,
        quantity,
        price,
        reference,
    ] = <[Option<Value>; 8]>::try_from(parts).ok()?;
    let occurred = UtcMillis::new(occurred?.as_i64()?).ok()?;
    let price = match price {
        None => None,
        Some(price) => Some(Centavos::new(price.as_i64()?).ok()?.to_string().into()),
    };
    let fields = [
        ("id_usuario", user),
        ("tipo_evento", kind),
        ("id_produto", product),
        ("timestamp", Some(occurred.to_string().into())),
        ("id_evento", Some(event_id.into())),
        ("id_sessao", session),
        ("quantidade", quantity),
        ("preco", price),
        ("ref", reference),
    ];
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Some(Value::Object(given.collect()))
}

fn visible(text: &str, longest: usize) -> Result<String, Invalid> {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_visible && (1..=longest).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(
            "must be visible ASCII characters, and not too many",
        ))
    }
}

fn quantity(fields: &Fields) -> Result<Option<i32>, BadMessage> {
    let Some(units) = fields.optional_integer("quantidade")? else {
        return Ok(None);
    };
    let in_range = (0..=MOST_UNITS).contains(&units);
    match i32::try_from(units) {
        Ok(units) if in_range => Ok(Some(units)),
        _ => Err(BadMessage::invalid(
            "quantidade",
            "must be a whole number from 0 to 1000000",
        )),
    }
}

fn price(fields: &Fields) -> Result<Option<Centavos>, BadMessage> {
    let text = match fields.value("preco") {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        // The shortest text of a number is what was meant by it.
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(BadMessage::invalid("preco", "must be a decimal amount")),
    };
    let price = Centavos::parse(&text);
    price
        .map(Some)
        .map_err(|invalid| BadMessage::invalid("preco", invalid.rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"id_usuario":"u1","tipo_evento":"carrinho","id_produto":"p1",
        "timestamp":"2026-11-20T12:00:00","id_evento":"e1","id_sessao":"s1","quantidade":2,
        "preco":39.9,"ref":"x.y.z"}"#;

    fn read_text(json: &str) -> Result<CustomerEvent, BadMessage> {
        read(&Fields::read(json.as_bytes()).unwrap())
    }

    #[test]
    fn what_was_kept_of_an_event_is_the_event_again() {
        let bare =
            r#"{"id_usuario":"u-\"\\","tipo_evento":"busca","timestamp":"2026-11-20T12:00:00Z"}"#;
        for json in [GOOD, bare] {
            let event = read_text(json).unwrap();
            let again = of_content(&event.content(), "outro").unwrap();
            let mut again = read_text(&again.to_string()).unwrap();
            assert_eq!(again.event_id.as_deref(), Some("outro"));
            again.event_id = event.event_id.clone();
            assert_eq!(again, event);
        }
        assert_eq!(of_content("\"u\" \"clique\"", "x"), None);
    }

    #[test]
    fn a_full_event_is_read_and_a_time_without_offset_is_sao_paulos() {
        let event = read_text(GOOD).unwrap();
        assert_eq!(event.kind, EventKind::Cart);
        assert_eq!(event.occurred.to_string(), "2026-11-20T15:00:00.000Z");
        assert_eq!(event.price, Centavos::new(3_990).ok());
        assert_eq!(event.quantity, Some(2));
        let text = GOOD.replace("39.9,", r#""39.90","#);
        assert_eq!(read_text(&text), Ok(event));
    }

    #[test]
    fn only_other_kinds_need_no_product() {
        let without = GOOD.replace(r#""id_produto":"p1","#, "");
        assert_eq!(
            read_text(&without).unwrap_err(),
            BadMessage::missing("id_produto")
        );
        let search = without.replace("carrinho", "busca");
        assert_eq!(read_text(&search).unwrap().product, None);
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (from, to, field) in [
            (r#""u1""#, "7.5", "id_usuario"),
            (r#""u1""#, r#""a b""#, "id_usuario"),
            (r#""id_usuario":"u1","#, "", "id_usuario"),
            ("carrinho", "dois termos", "tipo_evento"),
            (r#""p1""#, r#""""#, "id_produto"),
            ("2026-11-20T12:00:00", "ontem", "timestamp"),
            (r#""timestamp":"2026-11-20T12:00:00","#, "", "timestamp"),
            (r#""e1""#, r#""é1""#, "id_evento"),
            (r#""s1""#, "[]", "id_sessao"),
            (r#""quantidade":2"#, r#""quantidade":-1"#, "quantidade"),
            (r#""quantidade":2"#, r#""quantidade":1.5"#, "quantidade"),
            (r#""quantidade":2"#, r#""quantidade":1000001"#, "quantidade"),
            ("39.9", "39.999", "preco"),
            ("39.9", "-1", "preco"),
            ("39.9", "1e-3", "preco"),
            ("39.9", "true", "preco"),
            (r#""x.y.z""#, "[]", "ref"),
        ] {
            let refusal = read_text(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert_eq!(refusal.field, Some(field), "{to}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_fall_over(kind in ".{0,20}", price in ".{0,30}", when in ".{0,30}") {
            let json = serde_json::json!({
                "id_usuario": "u1", "tipo_evento": kind, "id_produto": "p1", "preco": price,
                "timestamp": when,
            });
            let _ = read_text(&json.to_string());
        }
    }
}
