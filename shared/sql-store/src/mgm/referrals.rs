//! Referrals in SQL: accepted within their limits, refused with a reason, voided with their order.

use contracts::mgm::events::{EventType, MgmEvent};
use domain::{
    code::ReferralCode,
    identity::{CampaignId, CustomerId, OrderId, ReferralId},
    mgm::{
        audit::{self, Change, Details, Entity, Entry, Event, Head},
        campaign::Campaign,
        referral::{Acceptance, Claim, Order, ReferralStatus, Refusal, VoidReason, judge_purchase},
        voucher::Kind,
    },
    money::Centavos,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use super::{
    audit::append,
    campaigns,
    events::outgoing,
    limits,
    vouchers::{self, NewVoucher, budget},
};
use crate::{StoreError, Tx, values};

/// Why a purchase became no referral.
pub(super) enum NotAccepted {
    /// The rules speak against it; nothing was written.
    Refused(Refusal),
    /// Another transaction was faster: this one must be rolled back.
    Lost(Refusal),
    Store(StoreError),
}

impl From<StoreError> for NotAccepted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<domain::Invalid> for NotAccepted {
    fn from(invalid: domain::Invalid) -> Self {
        Self::Store(invalid.into())
    }
}

impl From<Refusal> for NotAccepted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A promoter with the row locked: purchases through one link are judged one after the other.
#[derive(FromQueryResult)]
pub(super) struct Promoter {
    pub campaign_id: String,
    pub customer_id: String,
    pub link_code: String,
    pub cohort: String,
    pub accepted: i64,
}

/// A referral as far as its life goes on, with the row locked.
pub(super) struct Locked {
    pub id: ReferralId,
    pub campaign: CampaignId,
    pub promoter: CustomerId,
    pub order: OrderId,
    pub status: ReferralStatus,
    pub purchase_month: String,
    pub held: Centavos,
    pub head: Head,
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    campaign_id: String,
    promoter_id: String,
    order_id: String,
    status: String,
    purchase_month: String,
    reward_reserved_centavos: i64,
    version: i64,
    audit_hash: String,
}

const COLUMNS: &str = "id, campaign_id, promoter_id, order_id, status, purchase_month, \
    reward_reserved_centavos, version, audit_hash";

impl TryFrom<Row> for Locked {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: ReferralId::parse(row.id)?,
            campaign: CampaignId::parse(row.campaign_id)?,
            promoter: CustomerId::parse(row.promoter_id)?,
            order: OrderId::parse(row.order_id)?,
            status: ReferralStatus::parse(&row.status)?,
            purchase_month: row.purchase_month,
            held: Centavos::new(row.reward_reserved_centavos)?,
            head: Head {
                version: row.version,
                hash: row.audit_hash,
            },
        })
    }
}

impl Locked {
    pub(super) fn is_alive(&self) -> bool {
        self.status != ReferralStatus::Void
    }
}

/// The referrals of these orders that `condition` allows, with their rows locked.
pub(super) async fn lock_of_orders(
    tx: &Tx,
    orders: &[&str],
    condition: &str,
) -> Result<Vec<Locked>, StoreError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM referrals WHERE order_id IN {} AND {condition} ORDER BY order_id{}",
        crate::placeholders(1, orders.len()),
        tx.for_update()
    );
    let keys = orders
        .iter()
        .map(|order| crate::Value::from(*order))
        .collect();
    let rows: Vec<Row> = tx.all(&sql, keys).await?;
    rows.into_iter().map(Locked::try_from).collect()
}

pub(super) async fn lock_of_order(tx: &Tx, order: &OrderId) -> Result<Option<Locked>, StoreError> {
    Ok(lock_of_orders(tx, &[order.as_str()], "1 = 1").await?.pop())
}

#[derive(FromQueryResult)]
struct Judged {
    times: i64,
}

/// Whether the order became a referral or a refusal before. The caller holds its `purchases` row.
pub(super) async fn was_judged(tx: &Tx, order: &OrderId) -> Result<bool, StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM referrals WHERE order_id = ?) \
               + (SELECT COUNT(*) FROM refusals WHERE order_id = ?) AS times";
    let judged: Option<Judged> = tx.one(sql, values![order.as_str(), order.as_str()]).await?;
    Ok(judged.is_some_and(|judged| judged.times > 0))
}

pub(super) async fn lock_promoter(tx: &Tx, claim: &Claim) -> Result<Option<Promoter>, StoreError> {
    let code = match claim {
        Claim::Signed(click) => &click.code,
        Claim::Forged(code) => code,
    };
    let sql = format!(
        "SELECT campaign_id, customer_id, link_code, cohort, accepted FROM promoters \
         WHERE link_code = ?{}",
        tx.for_update()
    );
    tx.one(&sql, values![code.as_str()]).await
}

/// Judges a purchase and, when it may, makes it a referral with the friend's coupon. The campaign's
/// budget is taken last, since all referrals of a campaign meet there.
pub(super) async fn accept(
    tx: &Tx,
    order: &Order,
    purchased: UtcMillis,
    promoter: &Promoter,
    now: UtcMillis,
) -> Result<ReferralId, NotAccepted> {
    let campaign = campaigns::load(tx, &CampaignId::parse(promoter.campaign_id.as_str())?).await?;
    let campaign = campaign.ok_or(StoreError::Broken("promoters name an unknown campaign"))?;
    let code = ReferralCode::parse(&promoter.link_code)?;
    let month = purchased.day().month();
    let facts = limits::gather(tx, order, purchased, promoter).await?;
    let acceptance = judge_purchase(&campaign, &facts)?;
    if let Some(refusal) = limits::take(tx, promoter, campaign.terms(), &month).await? {
        return Err(NotAccepted::Lost(refusal));
    }
    let referral = insert(tx, order, purchased, promoter, acceptance, now).await?;
    match acceptance.for_discount {
        Some(held) => issue_coupon(tx, &campaign, &referral, order, held, now).await?,
        None => {
            vouchers::bind_arrival_coupon(tx, &code, &order.customer, &referral, now).await?;
        }
    }
    if !budget::hold_as_read(tx, &campaign, acceptance.total()?).await? {
        return Err(NotAccepted::Lost(Refusal::BudgetSpent));
    }
    // Whoever binds a coupon of the campaign holds its row too: the later of two sees the other.
    if acceptance.for_discount.is_some() && limits::has_arrival_coupon(tx, order, promoter).await? {
        return Err(tx.redo().into());
    }
    Ok(referral)
}

async fn insert(
    tx: &Tx,
    order: &Order,
    purchased: UtcMillis,
    promoter: &Promoter,
    acceptance: Acceptance,
    now: UtcMillis,
) -> Result<ReferralId, NotAccepted> {
    let id = ReferralId::parse(tx.new_id(now)?)?;
    let total = order.total.unwrap_or_default();
    let details = Details::new()
        .with("id_campanha", &promoter.campaign_id)
        .with("id_promotor", &promoter.customer_id)
        .with("id_amigo", &order.customer)
        .with("id_pedido", &order.id)
        .with("codigo", &promoter.link_code)
        .with("valor", total)
        .with(
            "reserva_desconto",
            acceptance.for_discount.unwrap_or_default(),
        )
        .with("reserva_premio", acceptance.for_reward);
    let event = Event::ReferralAccepted;
    let change = Change {
        entity: Entity::Referral,
        id: id.as_str(),
        changed: now,
        event,
        details,
    };
    let entry = audit::chain(&Head::none(), &change);
    let clicked = match &order.claim {
        Some(Claim::Signed(click)) => Some(click.clicked.get()),
        Some(Claim::Forged(_)) | None => None,
    };
    let is_first = tx
        .insert_new(
            "INSERT INTO referrals (id, campaign_id, promoter_id, friend_id, slot, order_id, \
             link_code, status, cohort, purchase_month, purchase_centavos, clicked_ms, \
             purchased_ms, reward_reserved_centavos, version, audit_hash) \
             VALUES (?, ?, ?, ?, 'active', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values![
                id.as_str(),
                promoter.campaign_id.as_str(),
                promoter.customer_id.as_str(),
                order.customer.as_str(),
                order.id.as_str(),
                promoter.link_code.as_str(),
                ReferralStatus::Accepted.as_str(),
                promoter.cohort.as_str(),
                purchased.day().month(),
                total.get(),
                clicked,
                purchased.get(),
                acceptance.for_reward.get(),
                entry.version,
                entry.hash.as_str(),
            ],
        )
        .await?;
    if !is_first {
        return Err(NotAccepted::Lost(Refusal::AlreadyReferred));
    }
    let tipo = EventType::ReferralAccepted;
    announce(
        tx,
        entry,
        tipo,
        &promoter.campaign_id,
        &promoter.customer_id,
    )
    .await?;
    Ok(id)
}

/// Keeps a referral's change and tells of it.
async fn announce(
    tx: &Tx,
    entry: Entry,
    tipo: EventType,
    campaign: &str,
    promoter: &str,
) -> Result<(), StoreError> {
    let event = MgmEvent {
        id_evento: None,
        tipo,
        versao: entry.version,
        ocorrido_em: entry.changed.to_string(),
        id_campanha: campaign.to_owned(),
        id_indicacao: Some(entry.id.clone()),
        id_voucher: None,
        id_cliente: promoter.to_owned(),
    };
    let now = entry.changed;
    append(tx, &[entry]).await?;
    tx.publish(&[outgoing(&event)?], now).await
}

async fn issue_coupon(
    tx: &Tx,
    campaign: &Campaign,
    referral: &ReferralId,
    order: &Order,
    held: Centavos,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let terms = campaign.terms();
    let coupon = NewVoucher {
        kind: Kind::FriendCoupon,
        campaign: campaign.id().clone(),
        referral: Some(referral.clone()),
        arrival: None,
        owner: Some(order.customer.clone()),
        worth: terms.discount(),
        stackable: terms.stackable(),
        held,
        expires: now.plus_days(terms.voucher_valid_days()),
    };
    vouchers::issue(tx, &[coupon], now).await.map(|_| ())
}

/// Keeps why a purchase became no referral, for the operator.
pub(super) async fn refuse(
    tx: &Tx,
    order: &Order,
    promoter: &Promoter,
    refusal: Refusal,
    now: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refusals (order_id, campaign_id, promoter_id, friend_id, link_code, cohort, \
         reason, refused_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            order.id.as_str(),
            promoter.campaign_id.as_str(),
            promoter.customer_id.as_str(),
            order.customer.as_str(),
            promoter.link_code.as_str(),
            promoter.cohort.as_str(),
            refusal.as_str(),
            now.get(),
        ],
    )
    .await
    .map(|_| ())
}

/// Voids a living referral: what was issued and not used is cancelled, what was used is marked,
/// limits and budget get back what is held. Afterwards the friend may be referred again.
pub(super) async fn void(
    tx: &Tx,
    referral: Locked,
    reason: VoidReason,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let status = referral
        .status
        .void()
        .map_err(|_| StoreError::Broken("a void referral"))?;
    let details = Details::new()
        .with("motivo", reason.as_str())
        .with("id_pedido", &referral.order)
        .with("devolvido", referral.held);
    let (event, id) = (Event::ReferralVoided, referral.id.as_str());
    let change = Change {
        entity: Entity::Referral,
        id,
        changed: now,
        event,
        details,
    };
    let entry = audit::chain(&referral.head, &change);
    let written = tx
        .execute(
            "UPDATE referrals SET status = ?, slot = id, voided_ms = ?, void_reason = ?, \
             reward_reserved_centavos = 0, version = ?, audit_hash = ? WHERE id = ? AND version = ?",
            values![
                status.as_str(),
                now.get(),
                reason.as_str(),
                entry.version,
                entry.hash.as_str(),
                id,
                referral.head.version,
            ],
        )
        .await?;
    if written != 1 {
        return Err(StoreError::Broken("referrals.version changed under a lock"));
    }
    let (campaign, promoter) = (referral.campaign.as_str(), referral.promoter.as_str());
    announce(tx, entry, EventType::ReferralVoided, campaign, promoter).await?;
    limits::give_back(tx, &referral).await?;
    let voided = vouchers::cancel_of_referral(tx, &referral.id, now).await?;
    let amount = referral.held.checked_add(voided.given_back);
    let amount = amount.ok_or(StoreError::Broken("a referral holds too much"))?;
    budget::give_back(tx, &referral.campaign, amount).await
}
