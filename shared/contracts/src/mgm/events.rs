//! What happened to a referral or voucher, for whoever sends messages or keeps figures.
//!
//! Ids only: what to send to whom is looked up by `GET /vouchers/{code}` with a service scope.

use domain::mgm::voucher::Kind;
use serde::{Deserialize, Serialize};

/// The types of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// A purchase became a referral.
    #[serde(rename = "indicacao.aceita")]
    ReferralAccepted,
    /// A referral was voided with its order.
    #[serde(rename = "indicacao.anulada")]
    ReferralVoided,
    /// A friend got a coupon.
    #[serde(rename = "cupom.emitido")]
    CouponIssued,
    /// A coupon was cancelled before it was used.
    #[serde(rename = "cupom.cancelado")]
    CouponCancelled,
    /// A coupon paid for an order.
    #[serde(rename = "cupom.usado")]
    CouponUsed,
    /// A promoter got a voucher.
    #[serde(rename = "voucher.emitido")]
    VoucherIssued,
    /// A voucher was cancelled before it was used.
    #[serde(rename = "voucher.cancelado")]
    VoucherCancelled,
    /// A voucher paid for an order.
    #[serde(rename = "voucher.usado")]
    VoucherUsed,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::ReferralAccepted,
        Self::ReferralVoided,
        Self::CouponIssued,
        Self::CouponCancelled,
        Self::CouponUsed,
        Self::VoucherIssued,
        Self::VoucherCancelled,
        Self::VoucherUsed,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReferralAccepted => "indicacao.aceita",
            Self::ReferralVoided => "indicacao.anulada",
            Self::CouponIssued => "cupom.emitido",
            Self::CouponCancelled => "cupom.cancelado",
            Self::CouponUsed => "cupom.usado",
            Self::VoucherIssued => "voucher.emitido",
            Self::VoucherCancelled => "voucher.cancelado",
            Self::VoucherUsed => "voucher.usado",
        }
    }

    /// The issue of a coupon or voucher.
    #[must_use]
    pub const fn issued(kind: Kind) -> Self {
        match kind {
            Kind::FriendCoupon => Self::CouponIssued,
            Kind::PromoterVoucher => Self::VoucherIssued,
        }
    }

    /// The end of a coupon or voucher with its referral.
    #[must_use]
    pub const fn cancelled(kind: Kind) -> Self {
        match kind {
            Kind::FriendCoupon => Self::CouponCancelled,
            Kind::PromoterVoucher => Self::VoucherCancelled,
        }
    }

    /// The use of a coupon or voucher.
    #[must_use]
    pub const fn used(kind: Kind) -> Self {
        match kind {
            Kind::FriendCoupon => Self::CouponUsed,
            Kind::PromoterVoucher => Self::VoucherUsed,
        }
    }
}

/// An event of a referral or voucher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MgmEvent {
    /// The event's id, the same however often it is sent; added on sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_evento: Option<String>,
    /// What happened.
    pub tipo: EventType,
    /// The version of the referral or voucher: events of one aggregate are ordered by it.
    pub versao: i64,
    /// When (RFC 3339, UTC, milliseconds).
    pub ocorrido_em: String,
    /// The campaign.
    pub id_campanha: String,
    /// The referral, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_indicacao: Option<String>,
    /// The coupon or voucher, in events about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_voucher: Option<String>,
    /// Whom it concerns: the promoter of a referral, the owner of a coupon or voucher.
    pub id_cliente: String,
}

impl MgmEvent {
    /// What it is about: events with the same key leave in the order of their versions.
    #[must_use]
    pub fn aggregate_key(&self) -> String {
        match (&self.id_voucher, &self.id_indicacao) {
            (Some(id), _) => format!("voucher/{id}"),
            (None, Some(id)) => format!("indicacao/{id}"),
            (None, None) => format!("campanha/{}", self.id_campanha),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_word_on_the_wire_and_ids_only() {
        for event_type in EventType::ALL {
            let json = serde_json::to_string(&event_type).unwrap();
            assert_eq!(json, format!("\"{}\"", event_type.as_str()));
        }
        let event = MgmEvent {
            id_evento: None,
            tipo: EventType::VoucherIssued,
            versao: 1,
            ocorrido_em: "2026-11-20T18:04:05.000Z".to_owned(),
            id_campanha: "C".to_owned(),
            id_indicacao: Some("R".to_owned()),
            id_voucher: Some("V".to_owned()),
            id_cliente: "P".to_owned(),
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            "{\"tipo\":\"voucher.emitido\",\"versao\":1,\
             \"ocorrido_em\":\"2026-11-20T18:04:05.000Z\",\"id_campanha\":\"C\",\
             \"id_indicacao\":\"R\",\"id_voucher\":\"V\",\"id_cliente\":\"P\"}"
        );
        assert_eq!(event.aggregate_key(), "voucher/V");
        assert_eq!(serde_json::from_str::<MgmEvent>(&json).unwrap(), event);
    }
}
