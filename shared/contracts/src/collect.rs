//! What shops and warehouses hand in over HTTP: one object or a list of them, each judged alone.
//!
//! `eventos_clientes`: `{id_usuario, tipo_evento, id_produto, timestamp}` and optional `id_evento,
//! id_sessao, quantidade, preco, ref`. `atualizacoes_estoque`: `{id_produto, nivel_estoque,
//! ultima_atualizacao}` and optional `estoque_minimo`. What goes on holds these fields only, whatever else came: nothing that
//! names a person passes. Ids may be whole numbers, `preco` a number.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    Invalid,
    identity::{CustomerId, ProductId},
    money::Centavos,
    stock::{self, Level},
    time::UtcMillis,
};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    envelope,
    fields::{BadMessage, Fields},
    kafka_event::Record,
};

/// Most objects of one request.
pub const MOST_ITEMS: usize = 500;
/// The topic of what customers do.
pub const EVENTS_TOPIC: &str = "eventos_clientes";
/// The topic of stock levels.
pub const STOCK_TOPIC: &str = "atualizacoes_estoque";
/// The event that only services may tell.
pub const PURCHASE: &str = "compra";
/// The partition in the envelope of what came by no Kafka.
pub const NO_PARTITION: i32 = -1;
const LONGEST_TYPE: usize = 40;
const LONGEST_REF: usize = 200;
const LARGEST_QUANTITY: i64 = 1_000_000;

/// What was taken, ready to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Collected {
    /// Whose order counts: the user or the product.
    pub key: String,
    /// When it happened.
    pub at: UtcMillis,
    fields: Map<String, Value>,
}

/// An object that was not taken. It holds no value of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its place in the request, from 0 on.
    pub indice: usize,
    /// A stable code.
    pub codigo: &'static str,
    /// The field to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campo: Option<&'static str>,
    /// The rule that it broke.
    pub regra: &'static str,
}

/// What was taken of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CollectedBody {
    /// How many went on.
    pub aceitos: usize,
    /// How many were refused.
    pub recusados: usize,
    /// Each refused one.
    pub recusas: Vec<Refusal>,
}

/// A list of objects, each judged alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// The place of each that was taken, from 0 on.
    pub places: Vec<usize>,
    /// What was taken.
    pub taken: Vec<Collected>,
    /// What was not.
    pub refusals: Vec<Refusal>,
}

impl Judged {
    /// Reads each object.
    #[must_use]
    pub fn of(
        items: &[Value],
        read: impl Fn(usize, &Value) -> Result<Collected, BadMessage>,
    ) -> Self {
        let mut judged = Self::default();
        for (index, item) in items.iter().enumerate() {
            match read(index, item) {
                Ok(one) => {
                    judged.places.push(index);
                    judged.taken.push(one);
                }
                Err(bad) => judged.refusals.push(Refusal::new(index, &bad)),
            }
        }
        judged
    }
}

impl Refusal {
    /// Of the object at this place.
    #[must_use]
    pub const fn new(index: usize, bad: &BadMessage) -> Self {
        Self {
            indice: index,
            codigo: bad.code,
            campo: bad.field,
            regra: bad.rule,
        }
    }
}

/// The objects of a request's body.
///
/// # Errors
/// When it is neither an object nor a list of 1 to 500.
pub fn items(body: &[u8]) -> Result<Vec<Value>, BadMessage> {
    const RULE: &str = "must be a JSON object or a list of 1 to 500 of them";
    let list = match serde_json::from_slice(body) {
        Ok(Value::Array(list)) => list,
        Ok(object @ Value::Object(_)) => vec![object],
        _ => Vec::new(),
    };
    if (1..=MOST_ITEMS).contains(&list.len()) {
        Ok(list)
    } else {
        Err(BadMessage {
            rule: RULE,
            ..BadMessage::NOT_JSON
        })
    }
}

impl Collected {
    /// What a customer did. Purchases need `may_buy`, since anyone may tell the rest.
    ///
    /// # Errors
    /// The first field that is missing or wrong.
    pub fn event(item: &Value, may_buy: bool, now: UtcMillis) -> Result<Self, BadMessage> {
        let fields = Fields::of(item, "evento")?;
        let user = id(&fields, "id_usuario", |text| {
            CustomerId::parse(text).map(|id| id.to_string())
        })?;
        let kind = fields.parse("tipo_evento", event_type)?;
        if kind == PURCHASE && !may_buy {
            return Err(BadMessage {
                code: "escopo_ausente",
                field: Some("tipo_evento"),
                rule: "must not be compra without the scope eventos:servico",
            });
        }
        let product = id(&fields, "id_produto", product_id)?;
        let at = fields.parse("timestamp", UtcMillis::parse)?;
        not_of_the_future("timestamp", at, now)?;
        let mut kept = Map::new();
        kept.insert("id_usuario".into(), user.as_str().into());
        kept.insert("tipo_evento".into(), kind.into());
        kept.insert("id_produto".into(), product.into());
        kept.insert("timestamp".into(), at.to_string().into());
        let event_id =
            |text: &str| short_text(text, 120, "must be 1 to 120 visible ASCII characters");
        if let Some(text) = fields.parse_optional("id_evento", event_id)? {
            kept.insert("id_evento".into(), text.into());
        }
        if fields.value("id_sessao").is_some() {
            let session = id(&fields, "id_sessao", |text| {
                CustomerId::parse(text).map(|id| id.to_string())
            })?;
            kept.insert("id_sessao".into(), session.into());
        }
        if let Some(quantity) = fields.optional_integer("quantidade")? {
            if !(1..=LARGEST_QUANTITY).contains(&quantity) {
                let rule = "must be a whole number from 1 to 1000000";
                return Err(BadMessage::invalid("quantidade", rule));
            }
            kept.insert("quantidade".into(), quantity.into());
        }
        if let Some(price) = fields.value("preco") {
            let text = match price {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => String::new(),
            };
            let price = Centavos::parse(&text)
                .map_err(|invalid| BadMessage::invalid("preco", invalid.rule))?;
            kept.insert("preco".into(), price.to_string().into());
        }
        let reference = |text: &str| {
            short_text(
                text,
                LONGEST_REF,
                "must be 1 to 200 visible ASCII characters",
            )
        };
        if let Some(text) = fields.parse_optional("ref", reference)? {
            kept.insert("ref".into(), text.into());
        }
        Ok(Self {
            key: user,
            at,
            fields: kept,
        })
    }

    /// A product's level of stock.
    ///
    /// # Errors
    /// The first field that is missing or wrong.
    pub fn stock(item: &Value, now: UtcMillis) -> Result<Self, BadMessage> {
        let level = read_level(&Fields::of(item, "estoque")?)?;
        not_of_the_future("ultima_atualizacao", level.told, now)?;
        Ok(Self::of_level(&level))
    }

    /// A level that was asked for.
    #[must_use]
    pub fn of_level(level: &Level) -> Self {
        let mut kept = Map::new();
        kept.insert("id_produto".into(), level.product.as_str().into());
        kept.insert("nivel_estoque".into(), level.units.into());
        kept.insert("ultima_atualizacao".into(), level.told.to_string().into());
        if let Some(minimum) = level.minimum {
            kept.insert("estoque_minimo".into(), minimum.into());
        }
        Self {
            key: level.product.to_string(),
            at: level.told,
            fields: kept,
        }
    }

    /// Gives an event another id in the place of the one that it came with.
    pub fn rename(&mut self, id: impl FnOnce(&str) -> String) {
        if let Some(Value::String(own)) = self.fields.get_mut("id_evento") {
            *own = id(own);
        }
    }

    /// Gives an event an id, where it has none.
    pub fn identify(&mut self, id: impl FnOnce(&Self) -> String) {
        if !self.fields.contains_key("id_evento") {
            let id = id(self);
            self.fields.insert("id_evento".into(), id.into());
        }
    }

    /// The record's value: the contract's JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // serde_json's map of texts and numbers is always text.
        serde_json::to_string(&self.fields).unwrap_or_default()
    }

    /// The bridge's envelope around it, for a company without Kafka. Its coordinates are derived
    /// from what it says, so that the same thing sent twice has one identity.
    #[must_use]
    pub fn enveloped(&self, topic: &str) -> String {
        let value = self.json();
        let digest = Sha256::digest(value.as_bytes());
        let offset = digest.iter().take(8).fold(0_i64, |number, byte| {
            (number << 8 | i64::from(*byte)) & i64::MAX
        });
        let record = Record {
            topic: topic.into(),
            partition: NO_PARTITION,
            offset,
            timestamp_ms: self.at.get(),
            timestamp_type: "CREATE_TIME".into(),
            key: Some(STANDARD.encode(&self.key).into()),
            value: Some(STANDARD.encode(&value).into()),
            headers: Vec::new(),
        };
        envelope::write(&record, None)
    }
}

/// A level from a message of `atualizacoes_estoque`.
///
/// # Errors
/// The first field that is missing or wrong.
pub fn read_level(fields: &Fields) -> Result<Level, BadMessage> {
    let product = id(fields, "id_produto", product_id)?;
    let units = fields
        .optional_integer("nivel_estoque")?
        .ok_or(BadMessage::missing("nivel_estoque"))?;
    let told = fields.parse("ultima_atualizacao", UtcMillis::parse)?;
    let invalid = |invalid: Invalid| BadMessage::invalid("nivel_estoque", invalid.rule);
    let product = ProductId::parse(product)
        .map_err(|invalid| BadMessage::invalid("id_produto", invalid.rule))?;
    let level = Level::new(product, units, told).map_err(invalid)?;
    match fields.optional_integer("estoque_minimo")? {
        None => Ok(level),
        Some(minimum) => level
            .with_minimum(minimum)
            .map_err(|invalid| BadMessage::invalid("estoque_minimo", invalid.rule)),
    }
}

fn not_of_the_future(field: &'static str, at: UtcMillis, now: UtcMillis) -> Result<(), BadMessage> {
    stock::check_told(at, now).map_err(|invalid| BadMessage::invalid(field, invalid.rule))
}

/// An id, which may be a whole number.
pub(crate) fn id<T>(
    fields: &Fields,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<T, BadMessage> {
    match fields.value(name) {
        Some(Value::Number(number)) if number.is_i64() => {
            parse(&number.to_string()).map_err(|invalid| BadMessage::invalid(name, invalid.rule))
        }
        _ => fields.parse(name, parse),
    }
}

fn product_id(text: &str) -> Result<String, Invalid> {
    ProductId::parse(text).map(|id| id.to_string())
}

fn event_type(text: &str) -> Result<String, Invalid> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain && (1..=LONGEST_TYPE).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new("must be 1 to 40 of the letters a to z and _"))
    }
}

fn short_text(text: &str, longest: usize, rule: &'static str) -> Result<String, Invalid> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=longest).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(rule))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::envelope::Message;

    fn now() -> UtcMillis {
        UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
    }

    fn click() -> Value {
        json!({"id_usuario": "u1", "tipo_evento": "clique", "id_produto": 7,
            "timestamp": "2026-11-20T08:59:00"})
    }

    #[test]
    fn only_known_fields_go_on_in_one_form() {
        let mut event = click();
        event["preco"] = json!(39.9);
        event["nome"] = json!("Maria");
        let mut taken = Collected::event(&event, false, now()).unwrap();
        taken.identify(|_| "e1".to_owned());
        taken.identify(|_| "e2".to_owned());
        let expected = json!({"id_usuario": "u1", "tipo_evento": "clique", "id_produto": "7",
            "timestamp": "2026-11-20T11:59:00.000Z", "preco": "39.90", "id_evento": "e1"});
        assert_eq!(
            serde_json::from_str::<Value>(&taken.json()).unwrap(),
            expected
        );
        assert_eq!(taken.key, "u1");
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (field, value) in [
            ("id_usuario", json!("")),
            ("id_usuario", json!("ç")),
            ("tipo_evento", json!("Compra")),
            ("tipo_evento", json!("compra")),
            ("id_produto", Value::Null),
            ("id_produto", json!(1.5)),
            ("timestamp", json!("ontem")),
            ("timestamp", json!(1_795_176_000_000_i64)),
            ("timestamp", json!("2026-11-21T12:00:01Z")),
            ("id_evento", json!("")),
            ("id_sessao", json!(["x"])),
            ("quantidade", json!(0)),
            ("preco", json!("39,90")),
            ("preco", json!(1.999)),
            ("ref", json!("a b")),
        ] {
            let mut event = click();
            event[field] = value.clone();
            let refused = Collected::event(&event, false, now()).unwrap_err();
            assert_eq!(refused.field, Some(field), "{value}");
        }
        let mut purchase = click();
        purchase["tipo_evento"] = json!(PURCHASE);
        assert!(Collected::event(&purchase, true, now()).is_ok());
    }

    #[test]
    fn levels_of_stock_are_whole_numbers_of_this_time() {
        let level = |units: Value, told: &str| {
            let item =
                json!({"id_produto": "p", "nivel_estoque": units, "ultima_atualizacao": told});
            Collected::stock(&item, now()).map_err(|bad| bad.field)
        };
        assert_eq!(level(json!(-3), "2026-11-20T12:00:00Z").unwrap().key, "p");
        for (units, told, field) in [
            (json!("3"), "2026-11-20T12:00:00Z", "nivel_estoque"),
            (Value::Null, "2026-11-20T12:00:00Z", "nivel_estoque"),
            (
                json!(10_000_000_000_i64),
                "2026-11-20T12:00:00Z",
                "nivel_estoque",
            ),
            (json!(3), "2027-11-20T12:00:00Z", "ultima_atualizacao"),
        ] {
            assert_eq!(level(units, told), Err(Some(field)));
        }
    }

    #[test]
    fn the_envelope_is_the_bridges_and_the_same_each_time() {
        let mut event = Collected::event(&click(), false, now()).unwrap();
        event.identify(|_| "e1".to_owned());
        let envelope = event.enveloped(EVENTS_TOPIC);
        assert_eq!(envelope, event.clone().enveloped(EVENTS_TOPIC));
        let message = Message::open(&envelope).unwrap();
        assert_eq!(message.fields.text("id_evento"), Ok("e1"));
        assert_eq!(message.coordinates.unwrap().topic, EVENTS_TOPIC);
    }

    #[test]
    fn a_body_is_one_object_or_a_list_of_some() {
        let many = |count: usize| Value::Array(vec![json!({}); count]).to_string();
        assert_eq!(items(b"{}").unwrap().len(), 1);
        assert_eq!(items(many(500).as_bytes()).unwrap().len(), 500);
        for body in ["", "[]", "1", "{", &many(501)] {
            assert!(items(body.as_bytes()).is_err());
        }
    }
}
