//! Referrals for an operator: found by campaign, promoter or order, and one's whole story.

use domain::{
    identity::{CampaignId, CustomerId, OrderId, ReferralId},
    mgm::referral::ReferralStatus,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use crate::{
    Store, StoreError, Tx, Value,
    page::{LARGEST_PAGE, Page},
    values,
};

/// Most audit rows of a story: a referral and its two vouchers change a few times each.
const MOST_AUDIT_ROWS: u32 = 500;

/// Which referrals are looked for; all that are given must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Of this campaign.
    pub campaign: Option<CampaignId>,
    /// Of this promoter.
    pub promoter: Option<CustomerId>,
    /// Of this order.
    pub order: Option<OrderId>,
}

/// A referral as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "each field is a column of referrals")]
pub struct ReferralRow {
    pub id: String,
    pub campaign_id: String,
    pub promoter_id: String,
    pub friend_id: String,
    pub order_id: String,
    pub link_code: String,
    pub status: String,
    pub cohort: String,
    pub purchase_centavos: i64,
    pub clicked_ms: Option<i64>,
    pub purchased_ms: i64,
    pub completed_ms: Option<i64>,
    pub reward_due_ms: Option<i64>,
    pub rewarded_ms: Option<i64>,
    pub voided_ms: Option<i64>,
    pub void_reason: Option<String>,
    pub version: i64,
}

/// A completed leg of the order's trip.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "each field is a column of trip_legs")]
pub struct LegRow {
    pub leg: i32,
    pub legs: i32,
    pub completed_ms: i64,
}

/// A coupon or voucher of the referral. Its code is its owner's, not the operator's.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "each field is a column of vouchers")]
pub struct VoucherRow {
    pub id: String,
    pub kind: String,
    pub status: String,
    pub owner_id: Option<String>,
    pub order_id: Option<String>,
    pub discount_centavos: Option<i64>,
    pub issued_ms: i64,
    pub expires_ms: i64,
    pub used_ms: Option<i64>,
    pub cancelled_ms: Option<i64>,
    pub used_after_void: i32,
}

/// A link of the audit chains.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "each field is a column of audit_log")]
pub struct AuditRow {
    pub entity: String,
    pub entity_id: String,
    pub version: i64,
    pub changed_ms: i64,
    pub event: String,
    pub details: String,
    pub hash: String,
}

/// One referral's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The referral.
    pub referral: ReferralRow,
    /// Legs of its trip that are completed.
    pub legs: Vec<LegRow>,
    /// Its coupon and its voucher.
    pub vouchers: Vec<VoucherRow>,
    /// Every change of it and of them, in the order of time.
    pub audit: Vec<AuditRow>,
}

const COLUMNS: &str = "id, campaign_id, promoter_id, friend_id, order_id, link_code, status, \
    cohort, purchase_centavos, clicked_ms, purchased_ms, completed_ms, reward_due_ms, \
    rewarded_ms, voided_ms, void_reason, version";

/// Referrals that fit, newest first, after the one with the id `after`.
///
/// # Errors
/// When the database fails.
pub async fn referrals(
    store: &Store,
    filter: &Filter,
    after: Option<&ReferralId>,
    size: u32,
) -> Result<Page<ReferralRow>, StoreError> {
    let size = size.clamp(1, LARGEST_PAGE);
    let mut conditions = vec!["1 = 1"];
    let mut all: Vec<Value> = Vec::new();
    if let Some(campaign) = &filter.campaign {
        conditions.push("campaign_id = ?");
        all.push(campaign.as_str().into());
    }
    if let Some(promoter) = &filter.promoter {
        // The index begins with the campaign.
        conditions.push(
            "campaign_id IN (SELECT campaign_id FROM promoters WHERE customer_id = ?) \
             AND promoter_id = ?",
        );
        all.extend(values![promoter.as_str(), promoter.as_str()]);
    }
    if let Some(order) = &filter.order {
        conditions.push("order_id = ?");
        all.push(order.as_str().into());
    }
    if let Some(after) = after {
        conditions.push("id < ?");
        all.push(after.as_str().into());
    }
    all.push((size + 1).into());
    let sql = format!(
        "SELECT {COLUMNS} FROM referrals WHERE {} ORDER BY id DESC LIMIT ?",
        conditions.join(" AND ")
    );
    let rows: Vec<ReferralRow> = store
        .transact(async |tx: &Tx| tx.all(&sql, all.clone()).await)
        .await?;
    Ok(Page::cut(rows, size))
}

/// The story of one referral.
///
/// # Errors
/// When the database fails.
pub async fn trace(store: &Store, id: &ReferralId) -> Result<Option<Trace>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM referrals WHERE id = ?");
    store
        .transact(async |tx: &Tx| {
            let found: Option<ReferralRow> = tx.one(&sql, values![id.as_str()]).await?;
            let Some(referral) = found else {
                return Ok(None);
            };
            let order = referral.order_id.as_str();
            let legs_sql = "SELECT leg, legs, completed_ms FROM trip_legs WHERE order_id = ? \
                            AND customer_id = ? ORDER BY leg LIMIT 100";
            let friend = referral.friend_id.as_str();
            let legs = tx.all(legs_sql, values![order, friend]).await?;
            let vouchers = vouchers_of(tx, id).await?;
            let audit = audit_of(tx, id).await?;
            Ok(Some(Trace {
                referral,
                legs,
                vouchers,
                audit,
            }))
        })
        .await
}

async fn vouchers_of(tx: &Tx, id: &ReferralId) -> Result<Vec<VoucherRow>, StoreError> {
    tx.all(
        "SELECT id, kind, status, owner_id, order_id, discount_centavos, issued_ms, expires_ms, \
         used_ms, cancelled_ms, used_after_void FROM vouchers WHERE referral_id = ? \
         ORDER BY issued_ms, id",
        values![id.as_str()],
    )
    .await
}

async fn audit_of(tx: &Tx, id: &ReferralId) -> Result<Vec<AuditRow>, StoreError> {
    tx.all(
        "SELECT entity, entity_id, version, changed_ms, event, details, hash FROM audit_log \
         WHERE (entity = 'indicacao' AND entity_id = ?) OR (entity = 'voucher' AND entity_id IN \
         (SELECT id FROM vouchers WHERE referral_id = ?)) \
         ORDER BY changed_ms, entity, entity_id, version LIMIT ?",
        values![id.as_str(), id.as_str(), MOST_AUDIT_ROWS],
    )
    .await
}

impl ReferralRow {
    /// Why the promoter has no voucher for this referral at `now`; none when there is one.
    ///
    /// # Errors
    /// When the row holds what we never store.
    pub fn why_no_voucher(&self, now: UtcMillis) -> Result<Option<&'static str>, StoreError> {
        let time = |millis: Option<i64>| millis.map(UtcMillis::new).transpose();
        let (completed, due) = (time(self.completed_ms)?, time(self.reward_due_ms)?);
        let status = ReferralStatus::parse(&self.status)?;
        Ok(status.why_no_voucher(completed, due, now))
    }
}
