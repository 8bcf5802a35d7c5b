//! Campaigns: opening, changing and listing them, and what an operator asks about their refusals.

use domain::code::ReferralCode;
use domain::identity::{CampaignId, CustomerId, OrderId};
use domain::mgm::campaign::{
    AmendError, Amendment, Campaign, CampaignStatus, Commitments, CouponMoment, Discount, Loopback,
    Proposal, ShopUrl, Terms, Violation,
};
use domain::money::{BasisPoints, Centavos};
use domain::time::UtcMillis;
use sea_orm::FromQueryResult;

use crate::idempotency::{KeyState, RequestKey, StoredAnswer};
use crate::page::{LARGEST_PAGE, Page};
use crate::{Store, StoreError, Tx, Value, values};

const COLUMNS: &str = "id, name, status, starts_ms, ends_ms, discount_centavos, \
    discount_basis_points, discount_cap_centavos, reward_centavos, minimum_purchase_centavos, \
    promoter_monthly_limit, promoter_total_limit, hourly_velocity_limit, budget_centavos, \
    reserved_centavos, spent_centavos, voucher_valid_days, attribution_window_days, pending_days, \
    coupon_on_arrival, stackable, accepts_existing_buyers, minimum_completed_orders, shop_url, \
    version, created_ms, updated_ms";

/// Why a campaign was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenCampaignError {
    /// Parts are missing or wrong.
    #[error("parts of the campaign are wrong")]
    Wrong(Vec<Violation>),
    /// The idempotency key came with another request before.
    #[error("the idempotency key belongs to another request")]
    KeyOfOtherRequest,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a campaign was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeCampaignError {
    /// There is none with this id.
    #[error("there is no such campaign")]
    Unknown,
    /// The rules speak against it.
    #[error(transparent)]
    Refused(#[from] AmendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A purchase through a link that made no referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The order.
    pub order: OrderId,
    /// Whose link it was.
    pub promoter: CustomerId,
    /// Who bought.
    pub friend: CustomerId,
    /// Why, by its stored name.
    pub reason: String,
    /// When it was refused.
    pub refused: UtcMillis,
}

#[derive(FromQueryResult)]
struct CampaignRow {
    id: String,
    name: String,
    status: String,
    starts_ms: i64,
    ends_ms: i64,
    discount_centavos: Option<i64>,
    discount_basis_points: Option<i32>,
    discount_cap_centavos: Option<i64>,
    reward_centavos: i64,
    minimum_purchase_centavos: i64,
    promoter_monthly_limit: Option<i64>,
    promoter_total_limit: Option<i64>,
    hourly_velocity_limit: Option<i64>,
    budget_centavos: i64,
    reserved_centavos: i64,
    spent_centavos: i64,
    voucher_valid_days: i32,
    attribution_window_days: Option<i32>,
    pending_days: i32,
    coupon_on_arrival: i32,
    stackable: i32,
    accepts_existing_buyers: i32,
    minimum_completed_orders: i32,
    shop_url: String,
    version: i64,
    created_ms: i64,
    updated_ms: i64,
}

fn count(number: impl TryInto<u32>) -> Result<u32, StoreError> {
    number
        .try_into()
        .map_err(|_| StoreError::Broken("a count of campaigns"))
}

fn limit(number: Option<i64>) -> Result<Option<u32>, StoreError> {
    number.map(count).transpose()
}

impl CampaignRow {
    fn discount(&self) -> Result<Discount, StoreError> {
        match (
            self.discount_centavos,
            self.discount_basis_points,
            self.discount_cap_centavos,
        ) {
            (Some(amount), None, None) => Ok(Discount::Amount(Centavos::new(amount)?)),
            (None, Some(points), Some(cap)) => Ok(Discount::Percent {
                points: BasisPoints::new(i64::from(points))?,
                cap: Centavos::new(cap)?,
            }),
            _ => Err(StoreError::Broken("the discount of campaigns")),
        }
    }

    fn campaign(self) -> Result<Campaign, StoreError> {
        let proposal = Proposal {
            discount: Some(self.discount()?),
            name: Some(self.name),
            starts: Some(UtcMillis::new(self.starts_ms)?),
            ends: Some(UtcMillis::new(self.ends_ms)?),
            reward: Some(Centavos::new(self.reward_centavos)?),
            minimum_purchase: Some(Centavos::new(self.minimum_purchase_centavos)?),
            promoter_monthly_limit: Some(limit(self.promoter_monthly_limit)?),
            promoter_total_limit: Some(limit(self.promoter_total_limit)?),
            hourly_velocity_limit: Some(limit(self.hourly_velocity_limit)?),
            budget: Some(Centavos::new(self.budget_centavos)?),
            voucher_valid_days: Some(count(self.voucher_valid_days)?),
            attribution_window_days: Some(self.attribution_window_days.map(count).transpose()?),
            pending_days: Some(count(self.pending_days)?),
            coupon_moment: Some(match self.coupon_on_arrival {
                0 => CouponMoment::Purchase,
                _ => CouponMoment::Arrival,
            }),
            stackable: Some(self.stackable != 0),
            accepts_existing_buyers: Some(self.accepts_existing_buyers != 0),
            minimum_completed_orders: Some(count(self.minimum_completed_orders)?),
            shop_url: Some(ShopUrl::parse(&self.shop_url, Loopback::Allowed)?),
        };
        let terms = proposal
            .check()
            .map_err(|_| StoreError::Broken("the terms of campaigns"))?;
        let commitments = Commitments {
            reserved: Centavos::new(self.reserved_centavos)?,
            spent: Centavos::new(self.spent_centavos)?,
        };
        Ok(Campaign::restore(
            CampaignId::parse(self.id)?,
            terms,
            CampaignStatus::parse(&self.status)?,
            commitments,
            self.version,
            (
                UtcMillis::new(self.created_ms)?,
                UtcMillis::new(self.updated_ms)?,
            ),
        ))
    }
}

/// The campaign, without a lock on its row.
///
/// # Errors
/// When the database fails.
pub async fn load(tx: &Tx, id: &CampaignId) -> Result<Option<Campaign>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM campaigns WHERE id = ?");
    let row: Option<CampaignRow> = tx.one(&sql, values![id.as_str()]).await?;
    row.map(CampaignRow::campaign).transpose()
}

/// The campaign that a link belongs to, without a lock on its row.
///
/// # Errors
/// When the database fails.
pub async fn load_by_link(tx: &Tx, code: &ReferralCode) -> Result<Option<Campaign>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM campaigns \
         WHERE id = (SELECT campaign_id FROM promoters WHERE link_code = ?)"
    );
    let row: Option<CampaignRow> = tx.one(&sql, values![code.as_str()]).await?;
    row.map(CampaignRow::campaign).transpose()
}

/// Opens a campaign once for an idempotency key: the second request gets the first's answer.
/// `encode` makes the answer of the campaign.
///
/// # Errors
/// See [`OpenCampaignError`].
pub async fn open_campaign(
    store: &Store,
    key: &RequestKey,
    asked: &Amendment,
    now: UtcMillis,
    encode: impl Fn(&Campaign) -> Result<StoredAnswer, StoreError>,
) -> Result<StoredAnswer, OpenCampaignError> {
    store
        .transact(async |tx: &Tx| {
            match tx.claim_key(key, now).await? {
                KeyState::New => {}
                KeyState::Replay(answer) => return Ok(answer),
                KeyState::OtherRequest => return Err(OpenCampaignError::KeyOfOtherRequest),
            }
            let id = CampaignId::parse(tx.new_id(now)?).map_err(StoreError::from)?;
            let campaign =
                Campaign::open(id, asked.clone(), now).map_err(OpenCampaignError::Wrong)?;
            insert(tx, &campaign).await?;
            let answer = encode(&campaign)?;
            tx.store_answer(key, &answer).await?;
            Ok(answer)
        })
        .await
}

async fn insert(tx: &Tx, campaign: &Campaign) -> Result<(), StoreError> {
    let mut all = values![
        campaign.id().as_str(),
        0_i64,
        0_i64,
        campaign.version(),
        campaign.created().get(),
        campaign.updated().get(),
        campaign.status().as_str(),
    ];
    all.extend(term_values(campaign.terms()));
    let sql = format!(
        "INSERT INTO campaigns (id, reserved_centavos, spent_centavos, version, created_ms, \
         updated_ms, status, {}) VALUES {}",
        TERM_COLUMNS.join(", "),
        crate::placeholders(1, all.len())
    );
    tx.execute(&sql, all).await.map(|_| ())
}

const TERM_COLUMNS: [&str; 20] = [
    "name",
    "starts_ms",
    "ends_ms",
    "discount_centavos",
    "discount_basis_points",
    "discount_cap_centavos",
    "reward_centavos",
    "minimum_purchase_centavos",
    "promoter_monthly_limit",
    "promoter_total_limit",
    "hourly_velocity_limit",
    "budget_centavos",
    "voucher_valid_days",
    "attribution_window_days",
    "pending_days",
    "coupon_on_arrival",
    "stackable",
    "accepts_existing_buyers",
    "minimum_completed_orders",
    "shop_url",
];

/// The values of [`TERM_COLUMNS`], in their order.
fn term_values(terms: &Terms) -> Vec<Value> {
    let (amount, points, cap) = match terms.discount() {
        Discount::Amount(amount) => (Some(amount.get()), None, None),
        Discount::Percent { points, cap } => (None, Some(points.get()), Some(cap.get())),
    };
    values![
        terms.name(),
        terms.starts().get(),
        terms.ends().get(),
        amount,
        points.map(i32::from),
        cap,
        terms.reward().get(),
        terms.minimum_purchase().get(),
        terms.promoter_monthly_limit().map(i64::from),
        terms.promoter_total_limit().map(i64::from),
        terms.hourly_velocity_limit().map(i64::from),
        terms.budget().get(),
        terms.voucher_valid_days(),
        terms.attribution_window_days(),
        terms.pending_days(),
        i32::from(terms.coupon_moment() == CouponMoment::Arrival),
        i32::from(terms.stackable()),
        i32::from(terms.accepts_existing_buyers()),
        terms.minimum_completed_orders(),
        terms.shop_url().as_str(),
    ]
}

/// Whether a referral or coupon of the campaign exists: then somebody was promised its terms.
async fn has_promised(tx: &Tx, id: &CampaignId) -> Result<bool, StoreError> {
    for table in ["referrals", "vouchers"] {
        let sql = format!("SELECT 1 FROM {table} WHERE campaign_id = ? LIMIT 1");
        if tx.exists(&sql, values![id.as_str()]).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Changes a campaign. The same change twice changes nothing the second time.
///
/// # Errors
/// See [`ChangeCampaignError`].
pub async fn change_campaign(
    store: &Store,
    id: &CampaignId,
    asked: &Amendment,
    now: UtcMillis,
) -> Result<Campaign, ChangeCampaignError> {
    store
        .transact(async |tx: &Tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM campaigns WHERE id = ?{}",
                tx.for_update()
            );
            let row: Option<CampaignRow> = tx.one(&sql, values![id.as_str()]).await?;
            let before = row.ok_or(ChangeCampaignError::Unknown)?.campaign()?;
            let promised = has_promised(tx, id).await?;
            let after = before.amended(asked.clone(), promised, now)?;
            if after != before {
                update(tx, &after).await?;
            }
            Ok(after)
        })
        .await
}

/// The budget's condition stands in the statement too: whoever reserves meets it there.
async fn update(tx: &Tx, campaign: &Campaign) -> Result<(), ChangeCampaignError> {
    let assignments = TERM_COLUMNS
        .map(|column| format!("{column} = ?"))
        .join(", ");
    let sql = format!(
        "UPDATE campaigns SET {assignments}, status = ?, version = ?, updated_ms = ? \
         WHERE id = ? AND version = ? AND reserved_centavos + spent_centavos <= ?"
    );
    let mut all = term_values(campaign.terms());
    all.extend(values![
        campaign.status().as_str(),
        campaign.version(),
        campaign.updated().get(),
        campaign.id().as_str(),
        campaign.version() - 1,
        campaign.terms().budget().get(),
    ]);
    match tx.execute(&sql, all).await? {
        0 => Err(AmendError::BudgetBelowCommitments.into()),
        _ => Ok(()),
    }
}

/// The campaign with this id.
///
/// # Errors
/// When the database fails.
pub async fn find(store: &Store, id: &CampaignId) -> Result<Option<Campaign>, StoreError> {
    store.transact(async |tx: &Tx| load(tx, id).await).await
}

/// Campaigns, newest first, of one status or of all; `before` is the last id of the page before.
///
/// # Errors
/// When the database fails.
pub async fn list(
    store: &Store,
    status: Option<CampaignStatus>,
    before: Option<&CampaignId>,
    size: u32,
) -> Result<Page<Campaign>, StoreError> {
    let size = size.clamp(1, LARGEST_PAGE);
    let mut conditions = vec!["1 = 1"];
    let mut all = values![];
    if let Some(status) = status {
        conditions.push("status = ?");
        all.extend(values![status.as_str()]);
    }
    if let Some(before) = before {
        conditions.push("id < ?");
        all.extend(values![before.as_str()]);
    }
    all.extend(values![size + 1]);
    let sql = format!(
        "SELECT {COLUMNS} FROM campaigns WHERE {} ORDER BY id DESC LIMIT ?",
        conditions.join(" AND ")
    );
    let rows: Vec<CampaignRow> = store
        .transact(async |tx: &Tx| tx.all(&sql, all.clone()).await)
        .await?;
    let campaigns: Result<Vec<_>, _> = rows.into_iter().map(CampaignRow::campaign).collect();
    Ok(Page::cut(campaigns?, size))
}

#[derive(FromQueryResult)]
struct RefusalRow {
    order_id: String,
    promoter_id: String,
    friend_id: String,
    reason: String,
    refused_ms: i64,
}

impl RefusalRow {
    fn refusal(self) -> Result<Refusal, StoreError> {
        Ok(Refusal {
            order: OrderId::parse(self.order_id)?,
            promoter: CustomerId::parse(self.promoter_id)?,
            friend: CustomerId::parse(self.friend_id)?,
            reason: self.reason,
            refused: UtcMillis::new(self.refused_ms)?,
        })
    }
}

/// Refused purchases of a campaign by reason and order, of one reason or of all; `after` is the
/// reason and order of the last row of the page before.
///
/// # Errors
/// When the database fails.
pub async fn refusals(
    store: &Store,
    campaign: &CampaignId,
    reason: Option<&str>,
    after: Option<(&str, &str)>,
    size: u32,
) -> Result<Page<Refusal>, StoreError> {
    let size = size.clamp(1, LARGEST_PAGE);
    let mut conditions = vec!["campaign_id = ?"];
    let mut all = values![campaign.as_str()];
    if let Some(reason) = reason {
        conditions.push("reason = ?");
        all.extend(values![reason]);
    }
    if let Some((last_reason, last_order)) = after {
        conditions.push("(reason > ? OR (reason = ? AND order_id > ?))");
        all.extend(values![last_reason, last_reason, last_order]);
    }
    all.extend(values![size + 1]);
    let sql = format!(
        "SELECT order_id, promoter_id, friend_id, reason, refused_ms FROM refusals \
         WHERE {} ORDER BY reason, order_id LIMIT ?",
        conditions.join(" AND ")
    );
    let rows: Vec<RefusalRow> = store
        .transact(async |tx: &Tx| tx.all(&sql, all.clone()).await)
        .await?;
    let refusals: Result<Vec<_>, _> = rows.into_iter().map(RefusalRow::refusal).collect();
    Ok(Page::cut(refusals?, size))
}
