//! `pedidos`: what the shop tells of an order, each time its status changes.
//!
//! `{id_pedido, id_cliente, status, ref?, itens, total, aprovado_em, termina_em?}`; `total` is a
//! decimal text, and the sum of the items where it is absent. News without `aprovado_em`, and those
//! of a cancellation, need no more than the first three. An item is
//! `{id_produto?, quantidade, preco, categoria?}`.

use domain::{
    identity::{CustomerId, OrderId},
    mgm::{
        attribution::{Attribution, BadRef, SigningKey},
        referral::{Claim, Order},
    },
    money::Centavos,
    orders::{OrderItem, OrderStatus},
    time::UtcMillis,
};
use serde_json::Value;

use crate::fields::{BadMessage, Fields};

/// Longest list of items that is looked at.
const MOST_ITEMS: usize = 1_000;
/// Longest `id_produto` of a line, in bytes.
const LONGEST_PRODUCT: usize = 64;
/// Longest `categoria` of a line, in characters.
const LONGEST_CATEGORY: usize = 100;
/// Longest `ref` that is kept; what is longer was never ours.
const LONGEST_REF: usize = 200;

/// News of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// `id_pedido`.
    pub order: OrderId,
    /// `id_cliente`.
    pub customer: CustomerId,
    /// `status`, understood.
    pub status: OrderStatus,
    /// `ref`, as the shop sent it; its signature is not checked here.
    pub reference: Option<String>,
    /// `total`, or the sum of `itens`; absent in news that tell neither.
    pub total: Option<Centavos>,
    /// `aprovado_em`: when it was paid.
    pub approved: Option<UtcMillis>,
    /// `termina_em`: when the trip ends.
    pub ends: Option<UtcMillis>,
    /// `itens`, where each names its product by an id that we can keep.
    pub items: Vec<OrderItem>,
}

impl Purchase {
    /// From a message's fields.
    ///
    /// # Errors
    /// The first field that is missing or wrong.
    pub fn read(fields: &Fields) -> Result<Self, BadMessage> {
        let status = fields.parse("status", OrderStatus::from_shop)?;
        let items = fields.value("itens").map(sum_of_items).transpose()?;
        let total = fields.parse_optional("total", Centavos::parse)?.or(items);
        let approved = fields.parse_optional("aprovado_em", UtcMillis::parse)?;
        if total.is_none() && approved.is_some() && !status.is_void() {
            return Err(BadMessage::missing("total"));
        }
        let reference = fields.optional_text("ref")?;
        if reference.is_some_and(|text| text.len() > LONGEST_REF) {
            return Err(BadMessage::invalid("ref", "must be at most 200 characters"));
        }
        Ok(Self {
            order: fields.parse("id_pedido", |text| OrderId::parse(text))?,
            customer: fields.parse("id_cliente", |text| CustomerId::parse(text))?,
            status,
            reference: reference.filter(|text| !text.is_empty()).map(str::to_owned),
            total,
            approved,
            ends: fields.parse_optional("termina_em", UtcMillis::parse)?,
            items: fields.value("itens").and_then(lines).unwrap_or_default(),
        })
    }

    /// The order that these news tell of; the signature of `ref` is checked with `key`. A `ref`
    /// that names no link at all is none.
    #[must_use]
    pub fn order(self, key: &SigningKey) -> Order {
        let claim = self
            .reference
            .and_then(|text| match Attribution::verify(&text, key) {
                Ok(attribution) => Some(Claim::Signed(attribution)),
                Err(BadRef::Forged(code)) => Some(Claim::Forged(code)),
                Err(BadRef::Unreadable) => None,
            });
        Order {
            id: self.order,
            customer: self.customer,
            status: self.status,
            claim,
            total: self.total,
            approved: self.approved,
            ends: self.ends,
            items: self.items,
        }
    }
}

fn sum_of_items(items: &Value) -> Result<Centavos, BadMessage> {
    let Value::Array(items) = items else {
        return Err(BadMessage::invalid("itens", "must be a list"));
    };
    if items.len() > MOST_ITEMS {
        return Err(BadMessage::invalid("itens", "must hold at most 1000 items"));
    }
    items.iter().try_fold(Centavos::ZERO, |sum, item| {
        let item = Fields::of(item, "itens")?;
        let price = Centavos::parse(text_in(&item, "preco", "itens.preco")?)
            .map_err(|invalid| BadMessage::invalid("itens.preco", invalid.rule))?;
        let quantity = match item.value("quantidade") {
            None => return Err(BadMessage::missing("itens.quantidade")),
            Some(value) => value.as_u64().and_then(|count| u32::try_from(count).ok()),
        };
        let quantity = quantity.ok_or(BadMessage::invalid(
            "itens.quantidade",
            "must be a whole number from 0 on",
        ))?;
        let line = price.checked_mul(quantity);
        line.and_then(|line| sum.checked_add(line))
            .ok_or(BadMessage::invalid(
                "itens",
                "must cost at most 9999999999.99",
            ))
    })
}

/// The lines of a list whose amounts were read before; `None` where a line names no product that
/// we can keep: an order's lines are told whole or not at all.
fn lines(items: &Value) -> Option<Vec<OrderItem>> {
    let mut lines = Vec::new();
    for item in items.as_array()? {
        let product = item.get("id_produto")?.as_str()?;
        let is_id = product.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_id || !(1..=LONGEST_PRODUCT).contains(&product.len()) {
            return None;
        }
        let quantity = u32::try_from(item.get("quantidade")?.as_u64()?).ok()?;
        if quantity == 0 {
            continue;
        }
        let category = item.get("categoria").and_then(Value::as_str).map(str::trim);
        lines.push(OrderItem {
            product: product.to_owned(),
            quantity,
            unit_price: Centavos::parse(item.get("preco")?.as_str()?).ok()?,
            category: category
                .filter(|text| (1..=LONGEST_CATEGORY).contains(&text.chars().count()))
                .map(str::to_owned),
        });
    }
    Some(lines)
}

fn text_in<'a>(item: &'a Fields, name: &str, path: &'static str) -> Result<&'a str, BadMessage> {
    match item.value(name) {
        None => Err(BadMessage::missing(path)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(BadMessage::invalid(path, "must be a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Purchase, BadMessage> {
        Purchase::read(&Fields::read(json.as_bytes()).unwrap())
    }

    const GOOD: &str = r#"{"id_pedido":"p1","id_cliente":"c1","status":"aprovado","ref":"x.y.z",
        "itens":[{"id_produto":"a","quantidade":2,"preco":"39.90"}],
        "aprovado_em":"2026-11-20T12:00:00-03:00","termina_em":"2026-12-01T00:00:00Z"}"#;

    #[test]
    fn a_purchase_without_total_costs_what_its_items_cost() {
        let purchase = read(GOOD).unwrap();
        assert_eq!(purchase.total, Centavos::new(7_980).ok());
        assert_eq!(purchase.status, OrderStatus::Paid);
        assert_eq!(
            purchase.approved.unwrap().to_string(),
            "2026-11-20T15:00:00.000Z"
        );
    }

    #[test]
    fn lines_are_told_whole_or_not_at_all() {
        let purchase = read(GOOD).unwrap();
        assert_eq!(purchase.items.len(), 1);
        let line = &purchase.items[0];
        assert_eq!((line.product.as_str(), line.quantity), ("a", 2));
        assert_eq!((line.unit_price.get(), &line.category), (3_990, &None));
        let with_category = GOOD.replace(
            r#""quantidade":2"#,
            r#""quantidade":2,"categoria":" livros ""#,
        );
        let category = &read(&with_category).unwrap().items[0].category;
        assert_eq!(category.as_deref(), Some("livros"));
        for (from, to) in [
            (r#""id_produto":"a","#, ""),
            (r#""id_produto":"a""#, r#""id_produto":"a b""#),
            (r#""id_produto":"a""#, r#""id_produto":7"#),
            (r#""quantidade":2"#, r#""quantidade":0"#),
        ] {
            let purchase = read(&GOOD.replacen(from, to, 1)).unwrap();
            assert_eq!(purchase.items, [], "{to}");
        }
    }

    #[test]
    fn a_given_total_counts_since_it_knows_freight_and_discounts() {
        let with_total = GOOD.replace(r#""aprovado_em""#, r#""total":"70.00","aprovado_em""#);
        assert_eq!(read(&with_total).unwrap().total, Centavos::new(7_000).ok());
    }

    #[test]
    fn news_of_a_status_need_no_more_than_the_order() {
        let shipped = read(r#"{"id_pedido":"p1","id_cliente":"c1","status":"shipped"}"#).unwrap();
        assert_eq!((shipped.status, shipped.total), (OrderStatus::Paid, None));
        let cancellation = read(
            r#"{"id_pedido":"p1","id_cliente":"c1","status":"canceled",
                "aprovado_em":"2026-11-20T12:00:00Z"}"#,
        );
        let cancellation = cancellation.unwrap();
        assert_eq!(
            (cancellation.status, cancellation.total),
            (OrderStatus::Cancelled, None)
        );
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (from, to, field) in [
            (r#""id_pedido":"p1""#, r#""id_pedido":7"#, "id_pedido"),
            (r#""id_pedido":"p1","#, "", "id_pedido"),
            (
                r#""id_cliente":"c1""#,
                r#""id_cliente":"a b""#,
                "id_cliente",
            ),
            (r#""status":"aprovado""#, r#""status":"talvez""#, "status"),
            (r#""status":"aprovado","#, "", "status"),
            (
                r#""quantidade":2"#,
                r#""quantidade":-2"#,
                "itens.quantidade",
            ),
            (r#""quantidade":2,"#, "", "itens.quantidade"),
            (
                r#""quantidade":2"#,
                r#""quantidade":1.5"#,
                "itens.quantidade",
            ),
            (r#""preco":"39.90""#, r#""preco":39.9"#, "itens.preco"),
            (r#""preco":"39.90""#, r#""preco":"-1""#, "itens.preco"),
            (r#""preco":"39.90""#, r#""preco":"9999999999.99""#, "itens"),
            (r#""itens":["#, r#""itens":{},"x":["#, "itens"),
            (r#""itens":["#, r#""itens":[1,"#, "itens"),
            (r#""itens":["#, r#""x":["#, "total"),
            ("2026-11-20T12:00:00-03:00", "ontem", "aprovado_em"),
            ("2026-12-01T00:00:00Z", "2026-13-01", "termina_em"),
            (r#""ref":"x.y.z""#, r#""ref":["x"]"#, "ref"),
        ] {
            let refusal = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert_eq!(refusal.field, Some(field), "{to}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_fall_over(status in ".{0,20}", total in ".{0,30}", when in ".{0,30}") {
            let json = serde_json::json!({
                "id_pedido": "p1", "id_cliente": "c1", "status": status, "total": total,
                "aprovado_em": when,
            });
            let _ = read(&json.to_string());
        }
    }
}
