//! What goes back over the wire.

use contracts::mgm::vouchers::{RecipientBody, ReleaseBody, ReservationBody, UseBody, VoucherBody};
use domain::{
    identity::OrderId,
    mgm::voucher::{Reservation, State, Status, Use},
};
use sql_store::{
    StoreError,
    idempotency::StoredAnswer,
    mgm::vouchers::{Recipient, ShownVoucher, StoredVoucher},
};

/// The same request gives the same answer, whether or not it was the first.
const ANSWERED: u16 = 200;

/// A voucher with the status that its owner should see.
pub(crate) fn voucher(shown: &ShownVoucher, recipient: Option<Recipient>) -> VoucherBody {
    let voucher = &shown.voucher;
    let mut body = VoucherBody {
        id_voucher: voucher.id.to_string(),
        codigo: voucher.code.as_str().to_owned(),
        tipo: voucher.kind.as_str(),
        status: shown.status.as_str(),
        id_campanha: voucher.campaign.to_string(),
        id_indicacao: voucher.referral.as_ref().map(ToString::to_string),
        desconto: voucher.worth.into(),
        cumulativo: voucher.stackable,
        emitido_em: voucher.issued.to_string(),
        valido_ate: voucher.expires.to_string(),
        id_pedido: None,
        desconto_aplicado: None,
        reservado_ate: None,
        usado_em: None,
        usado_apos_anulacao: None,
        destinatario: recipient.map(|recipient| RecipientBody {
            id_cliente: recipient.customer_id,
            nome: recipient.name,
            email: recipient.email,
            telefone: recipient.phone,
        }),
    };
    match &voucher.state {
        State::Reserved(held) if shown.status == Status::Reserved => {
            body.id_pedido = Some(held.order.to_string());
            body.desconto_aplicado = Some(held.discount.to_string());
            body.reservado_ate = Some(held.until.to_string());
        }
        State::Used(done) => {
            body.id_pedido = Some(done.order.to_string());
            body.desconto_aplicado = Some(done.discount.to_string());
            body.usado_em = Some(done.used.to_string());
            body.usado_apos_anulacao = Some(done.after_void);
        }
        State::Issued | State::Reserved(_) | State::Cancelled | State::Expired => {}
    }
    body
}

pub(crate) fn reservation(
    voucher: &StoredVoucher,
    held: &Reservation,
) -> Result<StoredAnswer, StoreError> {
    StoredAnswer::json(
        ANSWERED,
        &ReservationBody {
            id_voucher: voucher.id.to_string(),
            id_pedido: held.order.to_string(),
            desconto: held.discount.to_string(),
            reservado_ate: held.until.to_string(),
        },
    )
}

pub(crate) fn usage(voucher: &StoredVoucher, done: &Use) -> Result<StoredAnswer, StoreError> {
    StoredAnswer::json(
        ANSWERED,
        &UseBody {
            id_voucher: voucher.id.to_string(),
            id_pedido: done.order.to_string(),
            status: Status::Used.as_str(),
            desconto: done.discount.to_string(),
            usado_em: done.used.to_string(),
        },
    )
}

pub(crate) fn released(
    voucher: &StoredVoucher,
    order: &OrderId,
) -> Result<StoredAnswer, StoreError> {
    StoredAnswer::json(
        ANSWERED,
        &ReleaseBody {
            id_voucher: voucher.id.to_string(),
            id_pedido: order.to_string(),
            status: voucher.state.status().as_str(),
        },
    )
}
