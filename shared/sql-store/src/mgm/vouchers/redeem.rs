//! Reserving a voucher for an order, spending it, and letting it go.

use contracts::mgm::events::EventType;
use domain::{
    code::VoucherCode,
    identity::{CustomerId, OrderId, VoucherId},
    mgm::{
        audit::{Details, Event},
        voucher::{
            OrderHold, Releaser, Request, Reservation, State, Step, Unavailable, Use, may_bind,
        },
    },
    money::Centavos,
    time::UtcMillis,
};

use super::{
    StoredVoucher, budget,
    place::{join_order, leave_order, leave_order_of},
    record::{order_hold, order_hold_of, order_hold_seen},
};
use crate::{
    Store, StoreError, Tx,
    idempotency::{KeyState, RequestKey, StoredAnswer},
    mgm::campaigns,
    values,
};

/// What names a voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoucherKey {
    /// What its owner types.
    Code(VoucherCode),
    /// Its id, as events tell it.
    Id(VoucherId),
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A customer, for what is his own.
    Customer(CustomerId),
    /// The shop, for the customer who holds it.
    Service,
}

/// A voucher is wanted for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// Which.
    pub voucher: VoucherKey,
    /// Who wants to spend it.
    pub customer: CustomerId,
    /// The order.
    pub order: OrderId,
    /// What the order costs before this discount.
    pub total: Centavos,
}

/// A reserved voucher is to be spent, or let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// Which.
    pub voucher: VoucherKey,
    /// Who asks.
    pub actor: Actor,
    /// The order that reserved it.
    pub order: OrderId,
}

/// Why nothing was done. Outside, the reasons of [`Self::Unavailable`] must look alike.
#[derive(Debug, thiserror::Error)]
pub enum RedeemVoucherError {
    /// There is none that this customer may use so for this order.
    #[error("not available: {0}")]
    Unavailable(&'static str),
    /// The idempotency key came with another request before.
    #[error("the idempotency key belongs to another request")]
    KeyOfOtherRequest,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unavailable> for RedeemVoucherError {
    fn from(reason: Unavailable) -> Self {
        Self::Unavailable(match reason {
            Unavailable::Expired => "expired",
            Unavailable::OtherOrder => "not reserved for this order",
            Unavailable::Used => "used",
            Unavailable::Cancelled => "cancelled",
            Unavailable::OrderVoid => "the order is void",
            Unavailable::OrderHolds => "the order holds it",
            Unavailable::ForeignOrder => "the order is another customer's",
            Unavailable::CampaignClosed => "the campaign takes no purchases now",
            Unavailable::ExistingBuyer => "the customer has bought before",
        })
    }
}

impl From<domain::Invalid> for RedeemVoucherError {
    fn from(invalid: domain::Invalid) -> Self {
        Self::Store(invalid.into())
    }
}

/// Reserves a voucher. Asked again for the same order and total, the answer is the same.
///
/// # Errors
/// See [`RedeemVoucherError`].
pub async fn reserve(
    store: &Store,
    asked: &Reserve,
    key: Option<&RequestKey>,
    now: UtcMillis,
    encode: impl Fn(&StoredVoucher, &Reservation) -> Result<StoredAnswer, StoreError>,
) -> Result<StoredAnswer, RedeemVoucherError> {
    once(store, key, now, async |tx: &Tx| {
        let (voucher, reservation) = reserve_in(tx, asked, now).await?;
        Ok(encode(&voucher, &reservation)?)
    })
    .await
}

/// Spends a reserved voucher on its order and settles its budget.
///
/// # Errors
/// See [`RedeemVoucherError`].
pub async fn commit(
    store: &Store,
    asked: &Settle,
    key: Option<&RequestKey>,
    now: UtcMillis,
    encode: impl Fn(&StoredVoucher, &Use) -> Result<StoredAnswer, StoreError>,
) -> Result<StoredAnswer, RedeemVoucherError> {
    once(store, key, now, async |tx: &Tx| {
        let hold = order_hold(tx, &asked.order).await?;
        let mut voucher = locked_for(tx, asked).await?;
        let done = match voucher.state.commit(&asked.order, hold, now)? {
            Step::Same(done) => done,
            Step::New(done) => {
                spend(tx, &mut voucher, done.clone(), now).await?;
                done
            }
        };
        Ok(encode(&voucher, &done)?)
    })
    .await
}

/// Lets a reserved voucher go; its owner may use it for another order.
///
/// # Errors
/// See [`RedeemVoucherError`].
pub async fn release(
    store: &Store,
    asked: &Settle,
    key: Option<&RequestKey>,
    now: UtcMillis,
    encode: impl Fn(&StoredVoucher) -> Result<StoredAnswer, StoreError>,
) -> Result<StoredAnswer, RedeemVoucherError> {
    once(store, key, now, async |tx: &Tx| {
        let hold = order_hold(tx, &asked.order).await?;
        let mut voucher = locked_for(tx, asked).await?;
        let releaser = match asked.actor {
            Actor::Customer(_) => Releaser::Owner,
            Actor::Service => Releaser::Shop,
        };
        if let Step::New(()) = voucher.state.release(&asked.order, hold, releaser)? {
            leave_order(tx, &asked.order).await?;
            voucher.state = State::Issued;
            let details = Details::new().with("id_pedido", &asked.order);
            voucher
                .save(tx, Event::VoucherReleased, details, None, now)
                .await?;
        }
        Ok(encode(&voucher)?)
    })
    .await
}

/// Runs `work` in one transaction with its idempotency key, where one is given.
async fn once(
    store: &Store,
    key: Option<&RequestKey>,
    now: UtcMillis,
    work: impl AsyncFn(&Tx) -> Result<StoredAnswer, RedeemVoucherError>,
) -> Result<StoredAnswer, RedeemVoucherError> {
    store
        .transact(async |tx: &Tx| {
            let Some(key) = key else {
                return work(tx).await;
            };
            match tx.claim_key(key, now).await? {
                KeyState::New => {}
                KeyState::Replay(answer) => return Ok(answer),
                KeyState::OtherRequest => return Err(RedeemVoucherError::KeyOfOtherRequest),
            }
            let answer = work(tx).await?;
            tx.store_answer(key, &answer).await?;
            Ok(answer)
        })
        .await
}

async fn locked(tx: &Tx, key: &VoucherKey) -> Result<StoredVoucher, RedeemVoucherError> {
    let found = match key {
        VoucherKey::Code(code) => {
            StoredVoucher::lock(tx, "code = ?", values![code.as_str()]).await?
        }
        VoucherKey::Id(id) => StoredVoucher::lock(tx, "id = ?", values![id.as_str()]).await?,
    };
    found
        .into_iter()
        .next()
        .ok_or(RedeemVoucherError::Unavailable("unknown"))
}

async fn locked_for(tx: &Tx, asked: &Settle) -> Result<StoredVoucher, RedeemVoucherError> {
    let voucher = locked(tx, &asked.voucher).await?;
    match &asked.actor {
        Actor::Service => Ok(voucher),
        Actor::Customer(customer) if voucher.owner.as_ref() == Some(customer) => Ok(voucher),
        Actor::Customer(_) => Err(RedeemVoucherError::Unavailable("of another owner")),
    }
}

async fn reserve_in(
    tx: &Tx,
    asked: &Reserve,
    now: UtcMillis,
) -> Result<(StoredVoucher, Reservation), RedeemVoucherError> {
    let hold = order_hold_of(tx, &asked.order, &asked.customer)
        .await?
        .ok_or(Unavailable::ForeignOrder)?;
    let mut voucher = locked(tx, &asked.voucher).await?;
    let binds = match &voucher.owner {
        Some(owner) if *owner == asked.customer => false,
        Some(_) => return Err(RedeemVoucherError::Unavailable("of another owner")),
        None => {
            refuse_own_link(tx, &voucher, &asked.customer).await?;
            let bought_before = has_other_order(tx, asked).await?;
            let campaign = campaigns::load(tx, &voucher.campaign).await?;
            let campaign = campaign.ok_or(StoreError::Broken("vouchers.campaign_id"))?;
            may_bind(&campaign, bought_before, now)?;
            true
        }
    };
    let reserving = match &voucher.state {
        State::Reserved(held) if held.order != asked.order => {
            order_hold_seen(tx, &held.order).await?
        }
        _ => hold,
    };
    let request = Request {
        order: &asked.order,
        total: asked.total,
        hold,
        now,
    };
    match voucher
        .state
        .reserve(voucher.worth, voucher.expires, reserving, request)?
    {
        Step::Same(reservation) => Ok((voucher, reservation)),
        Step::New(reservation) => {
            move_in(tx, &voucher, &asked.order, hold, now).await?;
            let more = voucher
                .worth
                .maximum()
                .checked_sub(voucher.held)
                .unwrap_or_default();
            let details = Details::new()
                .with("id_pedido", &asked.order)
                .with("total", asked.total)
                .with("desconto", reservation.discount)
                .with("reservado_ate", reservation.until)
                .with_some("id_cliente", binds.then_some(&asked.customer))
                .with_some(
                    "reservado_do_orcamento",
                    (more > Centavos::ZERO).then_some(more),
                );
            voucher.owner = Some(asked.customer.clone());
            voucher.held = voucher.worth.maximum();
            voucher.state = State::Reserved(reservation.clone());
            voucher
                .save(tx, Event::VoucherReserved, details, None, now)
                .await?;
            if !budget::hold(tx, &voucher.campaign, more).await? {
                return Err(RedeemVoucherError::Unavailable("the budget is spent"));
            }
            if binds {
                refuse_second_coupon(tx, &voucher, &asked.customer).await?;
            }
            Ok((voucher, reservation))
        }
    }
}

/// Gives the voucher a place at the order; it leaves the one where its reservation lapsed.
async fn move_in(
    tx: &Tx,
    voucher: &StoredVoucher,
    order: &OrderId,
    hold: OrderHold,
    now: UtcMillis,
) -> Result<(), RedeemVoucherError> {
    match &voucher.state {
        State::Reserved(held) if held.order == *order => return Ok(()),
        state => leave_order_of(tx, state).await?,
    }
    if hold == OrderHold::Unknown {
        release_lapsed(tx, voucher, order, now).await?;
    }
    if join_order(tx, order, voucher.stackable).await? {
        Ok(())
    } else {
        Err(RedeemVoucherError::Unavailable(
            "the order's other vouchers leave no place",
        ))
    }
}

/// Frees the places of an order that nobody has placed, held by reservations past their time.
async fn release_lapsed(
    tx: &Tx,
    voucher: &StoredVoucher,
    order: &OrderId,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let condition = "order_id = ? AND status = 'reservado' AND reserved_until_ms <= ? AND id <> ? \
                     ORDER BY id";
    let values = values![order.as_str(), now.get(), voucher.id.as_str()];
    for mut lapsed in StoredVoucher::lock(tx, condition, values).await? {
        leave_order(tx, order).await?;
        lapsed.state = State::Issued;
        let details = Details::new()
            .with("id_pedido", order)
            .with("motivo", "prazo_vencido");
        lapsed
            .save(tx, Event::VoucherReleased, details, None, now)
            .await?;
    }
    Ok(())
}

/// A coupon given on arrival is for a friend, not for the promoter himself: the same customer, CPF,
/// e-mail or phone.
async fn refuse_own_link(
    tx: &Tx,
    voucher: &StoredVoucher,
    customer: &CustomerId,
) -> Result<(), RedeemVoucherError> {
    let Some(link) = &voucher.link else {
        return Err(RedeemVoucherError::Unavailable("without an owner"));
    };
    let is_own = tx
        .exists(
            "SELECT 1 FROM promoters p WHERE p.link_code = ? AND (p.customer_id = ? \
             OR EXISTS (SELECT 1 FROM customers a, customers b \
             WHERE a.customer_id = p.customer_id AND b.customer_id = ? \
             AND (a.cpf = b.cpf OR a.email = b.email OR a.phone = b.phone)))",
            values![link.as_str(), customer.as_str(), customer.as_str()],
        )
        .await?;
    if is_own {
        return Err(RedeemVoucherError::Unavailable("the promoter's own link"));
    }
    Ok(())
}

/// Whether the customer has paid for another order.
async fn has_other_order(tx: &Tx, asked: &Reserve) -> Result<bool, StoreError> {
    tx.exists(
        "SELECT 1 AS found FROM purchases WHERE customer_id = ? AND order_id <> ? \
         AND status IN ('pago', 'concluido') LIMIT 1",
        values![asked.customer.as_str(), asked.order.as_str()],
    )
    .await
}

/// The campaign's row was locked when the coupon's budget was held, so no rival binds another coupon
/// to this customer meanwhile.
async fn refuse_second_coupon(
    tx: &Tx,
    voucher: &StoredVoucher,
    customer: &CustomerId,
) -> Result<(), RedeemVoucherError> {
    let has_another = tx
        .exists(
            "SELECT 1 FROM vouchers WHERE owner_id = ? AND campaign_id = ? \
             AND kind = 'cupom_amigo' AND status <> 'cancelado' AND id <> ? LIMIT 1",
            values![
                customer.as_str(),
                voucher.campaign.as_str(),
                voucher.id.as_str()
            ],
        )
        .await?;
    if has_another {
        return Err(RedeemVoucherError::Unavailable(
            "the customer has a coupon already",
        ));
    }
    Ok(())
}

async fn spend(
    tx: &Tx,
    voucher: &mut StoredVoucher,
    done: Use,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let (held, discount) = (voucher.held, done.discount);
    let details = Details::new()
        .with("id_pedido", &done.order)
        .with("desconto", discount);
    voucher.state = State::Used(done);
    let tipo = Some(EventType::used(voucher.kind));
    voucher
        .save(tx, Event::VoucherUsed, details, tipo, now)
        .await?;
    budget::settle(tx, &voucher.campaign, held, discount).await
}
