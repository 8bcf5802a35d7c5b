//! Coupons and vouchers over HTTP.

use domain::{
    Invalid,
    identity::{CustomerId, OrderId},
    mgm::campaign::Discount,
    money::Centavos,
};
use serde::Serialize;

use super::campaigns::DiscountBody;
use crate::fields::{BadMessage, Fields};

/// The body of `POST /vouchers/{code}/reservations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationRequest {
    /// `id_pedido`.
    pub order: OrderId,
    /// `total`: what the order costs before this discount.
    pub total: Centavos,
    /// `id_cliente`: for whom a service asks.
    pub customer: Option<CustomerId>,
}

/// Reads the body of `POST /vouchers/{code}/reservations`.
///
/// # Errors
/// Names the field that is missing or wrong.
pub fn read_reservation(fields: &Fields) -> Result<ReservationRequest, BadMessage> {
    fields.only(&["id_pedido", "total", "id_cliente"])?;
    Ok(ReservationRequest {
        order: fields.parse("id_pedido", |id| OrderId::parse(id))?,
        total: fields.parse("total", positive)?,
        customer: fields.parse_optional("id_cliente", |id| CustomerId::parse(id))?,
    })
}

/// Reads the body of `POST /vouchers/{code}/commit` and `…/release`.
///
/// # Errors
/// Names the field that is missing or wrong.
pub fn read_order(fields: &Fields) -> Result<OrderId, BadMessage> {
    fields.only(&["id_pedido"])?;
    fields.parse("id_pedido", |id| OrderId::parse(id))
}

fn positive(text: &str) -> Result<Centavos, Invalid> {
    match Centavos::parse(text)? {
        Centavos::ZERO => Err(Invalid::new("must be above zero")),
        amount => Ok(amount),
    }
}

impl From<Discount> for DiscountBody {
    fn from(discount: Discount) -> Self {
        match discount {
            Discount::Amount(amount) => Self::Valor {
                valor: amount.to_string(),
            },
            Discount::Percent { points, cap } => Self::Percentual {
                percentual: points.percent(),
                teto: cap.to_string(),
            },
        }
    }
}

/// A coupon or voucher as its owner, or the service that sends it, sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VoucherBody {
    /// Its id, as events tell it.
    pub id_voucher: String,
    /// What its owner types.
    pub codigo: String,
    /// `cupom_amigo` or `voucher_promotor`.
    pub tipo: &'static str,
    /// `emitido`, `reservado`, `usado`, `cancelado` or `expirado`.
    pub status: &'static str,
    /// The campaign that pays.
    pub id_campanha: String,
    /// The referral that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_indicacao: Option<String>,
    /// What it takes off.
    pub desconto: DiscountBody,
    /// Whether others may share its order.
    pub cumulativo: bool,
    /// When it was issued.
    pub emitido_em: String,
    /// The first moment at which it can't be reserved any more.
    pub valido_ate: String,
    /// The order that reserved or used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_pedido: Option<String>,
    /// What it takes, or took, off that order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desconto_aplicado: Option<String>,
    /// How long it is reserved unless the order is there by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservado_ate: Option<String>,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usado_em: Option<String>,
    /// Whether its referral was voided after it had been used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usado_apos_anulacao: Option<bool>,
    /// Whom to send it to; for a service only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destinatario: Option<RecipientBody>,
}

/// Whom to send a voucher to: personal data, so it has no `Debug` that shows it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct RecipientBody {
    /// The owner.
    pub id_cliente: String,
    /// The owner's name.
    pub nome: Option<String>,
    /// The owner's e-mail address.
    pub email: Option<String>,
    /// The owner's phone, E.164.
    pub telefone: Option<String>,
}

impl std::fmt::Debug for RecipientBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RecipientBody({}, …)", self.id_cliente)
    }
}

/// The answer to a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReservationBody {
    /// The voucher.
    pub id_voucher: String,
    /// The order.
    pub id_pedido: String,
    /// What it takes off this order.
    pub desconto: String,
    /// How long it is reserved unless the order is there by then.
    pub reservado_ate: String,
}

/// The answer to a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseBody {
    /// The voucher.
    pub id_voucher: String,
    /// The order.
    pub id_pedido: String,
    /// `usado`.
    pub status: &'static str,
    /// What it took off this order.
    pub desconto: String,
    /// When.
    pub usado_em: String,
}

/// The answer to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseBody {
    /// The voucher.
    pub id_voucher: String,
    /// The order that let it go.
    pub id_pedido: String,
    /// `emitido`.
    pub status: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ReservationRequest, BadMessage> {
        read_reservation(&Fields::read(json.as_bytes()).unwrap())
    }

    #[test]
    fn a_reservation_names_the_field_that_is_wrong() {
        let right = read(r#"{"id_pedido":"A","total":"100.00"}"#).unwrap();
        assert_eq!((right.total.get(), right.customer), (10_000, None));
        for (json, field) in [
            (r#"{"total":"1.00"}"#, "id_pedido"),
            (r#"{"id_pedido":7,"total":"1.00"}"#, "id_pedido"),
            (r#"{"id_pedido":"","total":"1.00"}"#, "id_pedido"),
            (r#"{"id_pedido":"A"}"#, "total"),
            (r#"{"id_pedido":"A","total":1.5}"#, "total"),
            (r#"{"id_pedido":"A","total":"-1.00"}"#, "total"),
            (r#"{"id_pedido":"A","total":"0.00"}"#, "total"),
            (r#"{"id_pedido":"A","total":"99999999999999.00"}"#, "total"),
            (
                r#"{"id_pedido":"A","total":"1.00","id_cliente":" "}"#,
                "id_cliente",
            ),
        ] {
            assert_eq!(read(json).unwrap_err().field, Some(field), "{json}");
        }
    }

    #[test]
    fn a_recipient_is_not_shown_by_debug() {
        let recipient = RecipientBody {
            id_cliente: "C".to_owned(),
            nome: Some("Ana".to_owned()),
            email: None,
            telefone: None,
        };
        assert_eq!(format!("{recipient:?}"), "RecipientBody(C, …)");
    }
}
