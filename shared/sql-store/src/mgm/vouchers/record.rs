//! A voucher's row, and the one way to change it: with its audit row and its event.

use contracts::mgm::events::{EventType, MgmEvent};
use domain::{
    code::{ReferralCode, VoucherCode},
    identity::{CampaignId, CustomerId, OrderId, ReferralId, VoucherId},
    mgm::{
        audit::{self, Change, Details, Entity, Event, Head},
        campaign::Discount,
        voucher::{Kind, OrderHold, Reservation, State, Status, Use},
    },
    money::{BasisPoints, Centavos},
    orders::OrderStatus,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use crate::{
    StoreError, Tx, Value,
    mgm::{audit::append, events::outgoing},
    values,
};

/// A coupon or voucher as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVoucher {
    /// Its id.
    pub id: VoucherId,
    /// What its owner types.
    pub code: VoucherCode,
    /// Whose it is.
    pub kind: Kind,
    /// The campaign that pays.
    pub campaign: CampaignId,
    /// The referral that it belongs to; none for a coupon given on arrival and not bought with.
    pub referral: Option<ReferralId>,
    /// The link on which a coupon was given on arrival.
    pub link: Option<ReferralCode>,
    /// Who may spend it; none until a coupon given on arrival is first reserved.
    pub owner: Option<CustomerId>,
    /// Where it is in its life.
    pub state: State,
    /// What it takes off.
    pub worth: Discount,
    /// Whether others may share its order.
    pub stackable: bool,
    /// What it still holds of its campaign's budget.
    pub held: Centavos,
    /// When it was issued.
    pub issued: UtcMillis,
    /// The first moment at which it can't be reserved any more.
    pub expires: UtcMillis,
    /// The end of its audit chain.
    pub head: Head,
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    code: String,
    kind: String,
    campaign_id: String,
    referral_id: Option<String>,
    link_code: Option<String>,
    owner_id: Option<String>,
    status: String,
    amount_centavos: Option<i64>,
    basis_points: Option<i32>,
    cap_centavos: Option<i64>,
    stackable: i32,
    budget_reserved_centavos: i64,
    issued_ms: i64,
    expires_ms: i64,
    order_id: Option<String>,
    reserved_until_ms: Option<i64>,
    discount_centavos: Option<i64>,
    used_ms: Option<i64>,
    used_after_void: i32,
    version: i64,
    audit_hash: String,
}

const COLUMNS: &str = "id, code, kind, campaign_id, referral_id, link_code, owner_id, status, \
    amount_centavos, basis_points, cap_centavos, stackable, budget_reserved_centavos, issued_ms, \
    expires_ms, order_id, reserved_until_ms, discount_centavos, used_ms, used_after_void, version, \
    audit_hash";

impl TryFrom<Row> for StoredVoucher {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let worth = match (row.amount_centavos, row.basis_points, row.cap_centavos) {
            (Some(amount), None, _) => Discount::Amount(Centavos::new(amount)?),
            (None, Some(points), Some(cap)) => Discount::Percent {
                points: BasisPoints::new(i64::from(points))?,
                cap: Centavos::new(cap)?,
            },
            _ => {
                return Err(StoreError::Broken(
                    "vouchers has neither an amount nor a share",
                ));
            }
        };
        Ok(Self {
            state: row.state()?,
            id: VoucherId::parse(row.id)?,
            code: VoucherCode::parse(&row.code)?,
            kind: Kind::parse(&row.kind)?,
            campaign: CampaignId::parse(row.campaign_id)?,
            referral: row.referral_id.map(ReferralId::parse).transpose()?,
            link: row
                .link_code
                .as_deref()
                .map(ReferralCode::parse)
                .transpose()?,
            owner: row.owner_id.map(CustomerId::parse).transpose()?,
            worth,
            stackable: row.stackable != 0,
            held: Centavos::new(row.budget_reserved_centavos)?,
            issued: UtcMillis::new(row.issued_ms)?,
            expires: UtcMillis::new(row.expires_ms)?,
            head: Head {
                version: row.version,
                hash: row.audit_hash,
            },
        })
    }
}

impl Row {
    fn state(&self) -> Result<State, StoreError> {
        const BROKEN: StoreError = StoreError::Broken("vouchers lacks what its status needs");
        let order = || {
            self.order_id
                .clone()
                .ok_or(BROKEN)
                .and_then(|id| Ok(OrderId::parse(id)?))
        };
        let discount =
            || Ok::<_, StoreError>(Centavos::new(self.discount_centavos.ok_or(BROKEN)?)?);
        Ok(match Status::parse(&self.status)? {
            Status::Issued => State::Issued,
            Status::Reserved => State::Reserved(Reservation {
                order: order()?,
                discount: discount()?,
                until: UtcMillis::new(self.reserved_until_ms.ok_or(BROKEN)?)?,
            }),
            Status::Used => State::Used(Use {
                order: order()?,
                discount: discount()?,
                used: UtcMillis::new(self.used_ms.ok_or(BROKEN)?)?,
                after_void: self.used_after_void != 0,
            }),
            Status::Cancelled => State::Cancelled,
            Status::Expired => State::Expired,
        })
    }
}

impl StoredVoucher {
    /// The vouchers for which `condition` holds, without locks, in the order of their ids.
    pub(super) async fn read(
        tx: &Tx,
        condition: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM vouchers WHERE {condition}");
        let rows: Vec<Row> = tx.all(&sql, values).await?;
        rows.into_iter().map(Self::try_from).collect()
    }

    /// The vouchers for which `condition` holds, with their rows locked.
    pub(super) async fn lock(
        tx: &Tx,
        condition: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Self>, StoreError> {
        Self::read(tx, &format!("{condition}{}", tx.for_update()), values).await
    }

    /// The event that tells others, for a voucher that somebody owns.
    pub(super) fn announcement(&self, tipo: EventType, now: UtcMillis) -> Option<MgmEvent> {
        let owner = self.owner.as_ref()?;
        Some(MgmEvent {
            id_evento: None,
            tipo,
            versao: self.head.version,
            ocorrido_em: now.to_string(),
            id_campanha: self.campaign.as_str().to_owned(),
            id_indicacao: self.referral.as_ref().map(|id| id.as_str().to_owned()),
            id_voucher: Some(self.id.as_str().to_owned()),
            id_cliente: owner.as_str().to_owned(),
        })
    }

    /// Writes the row as it now is; one that ended leaves its visitor free for another coupon, with its audit row and, where `tipo` says so, its event. The
    /// row must be locked.
    pub(super) async fn save(
        &mut self,
        tx: &Tx,
        event: Event,
        details: Details,
        tipo: Option<EventType>,
        now: UtcMillis,
    ) -> Result<(), StoreError> {
        let before = self.head.version;
        let change = Change {
            entity: Entity::Voucher,
            id: self.id.as_str(),
            changed: now,
            event,
            details,
        };
        let entry = audit::chain(&self.head, &change);
        self.head = entry.head();
        let held = match self.state {
            State::Issued | State::Reserved(_) => self.held,
            State::Used(_) | State::Cancelled | State::Expired => Centavos::ZERO,
        };
        self.held = held;
        let written = tx
            .execute(
                "UPDATE vouchers SET referral_id = ?, owner_id = ?, status = ?, \
                 budget_reserved_centavos = ?, order_id = ?, reserved_until_ms = ?, \
                 discount_centavos = ?, used_ms = ?, cancelled_ms = ?, used_after_void = ?, \
                 visitor = CASE WHEN ? = 1 THEN NULL ELSE visitor END, version = ?, audit_hash = ? WHERE id = ? AND version = ?",
                self.columns(now, before),
            )
            .await?;
        if written != 1 {
            return Err(StoreError::Broken("vouchers.version changed under a lock"));
        }
        append(tx, &[entry]).await?;
        match tipo.and_then(|tipo| self.announcement(tipo, now)) {
            Some(event) => tx.publish(&[outgoing(&event)?], now).await,
            None => Ok(()),
        }
    }

    fn columns(&self, now: UtcMillis, before: i64) -> Vec<Value> {
        let (mut order, mut until, mut discount, mut used, mut after_void) =
            (None, None, None, None, false);
        match &self.state {
            State::Reserved(reservation) => {
                order = Some(reservation.order.as_str());
                discount = Some(reservation.discount.get());
                until = Some(reservation.until.get());
            }
            State::Used(done) => {
                order = Some(done.order.as_str());
                discount = Some(done.discount.get());
                used = Some(done.used.get());
                after_void = done.after_void;
            }
            State::Issued | State::Cancelled | State::Expired => {}
        }
        let cancelled = (self.state == State::Cancelled).then(|| now.get());
        values![
            self.referral.as_ref().map(ReferralId::as_str),
            self.owner.as_ref().map(CustomerId::as_str),
            self.state.status().as_str(),
            self.held.get(),
            order,
            until,
            discount,
            used,
            cancelled,
            i32::from(after_void),
            i32::from(matches!(self.state, State::Cancelled | State::Expired)),
            self.head.version,
            self.head.hash.as_str(),
            self.id.as_str(),
            before,
        ]
    }
}

#[derive(FromQueryResult)]
struct OrderRow {
    customer_id: String,
    status: String,
}

/// What the `purchases` row of an order says, with the row locked so that it stays true.
///
/// # Errors
/// When the database fails.
pub async fn order_hold(tx: &Tx, order: &OrderId) -> Result<OrderHold, StoreError> {
    hold(order_row(tx, order, tx.for_update()).await?)
}

/// Like [`order_hold`], but nothing when the order is another customer's.
pub(super) async fn order_hold_of(
    tx: &Tx,
    order: &OrderId,
    customer: &CustomerId,
) -> Result<Option<OrderHold>, StoreError> {
    let row = order_row(tx, order, tx.for_update()).await?;
    match row {
        Some(row) if row.customer_id != customer.as_str() => Ok(None),
        row => hold(row).map(Some),
    }
}

/// What the `purchases` row of an order says, without a lock.
pub(super) async fn order_hold_seen(tx: &Tx, order: &OrderId) -> Result<OrderHold, StoreError> {
    hold(order_row(tx, order, "").await?)
}

async fn order_row(tx: &Tx, order: &OrderId, lock: &str) -> Result<Option<OrderRow>, StoreError> {
    let sql = format!("SELECT customer_id, status FROM purchases WHERE order_id = ?{lock}");
    tx.one(&sql, values![order.as_str()]).await
}

fn hold(row: Option<OrderRow>) -> Result<OrderHold, StoreError> {
    Ok(match row {
        None => OrderHold::Unknown,
        Some(row) if OrderStatus::parse(&row.status)?.is_void() => OrderHold::Void,
        Some(_) => OrderHold::Alive,
    })
}
