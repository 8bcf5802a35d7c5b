//! The one link of a promoter in a campaign.

use domain::identity::{CampaignId, CustomerId};
use domain::mgm::promoter::{NotEligible, Promoter};
use domain::time::UtcMillis;
use sea_orm::FromQueryResult;

use crate::mgm::{campaigns, promoters};
use crate::page::{LARGEST_PAGE, Page};
use crate::{Store, StoreError, Tx, values};

/// How often a link is asked for again when another request has made it meanwhile.
const MOST_ATTEMPTS: u32 = 3;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum CreateLinkError {
    /// There is no such campaign.
    #[error("there is no such campaign")]
    UnknownCampaign,
    /// The campaign is paused, has ended, or its dates are over.
    #[error("the campaign takes no new promoters")]
    CampaignClosed,
    /// The customer can't be a promoter.
    #[error(transparent)]
    NotEligible(#[from] NotEligible),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A link with what came of it.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct MyLink {
    /// The campaign.
    pub campaign_id: String,
    /// What it is called.
    pub campaign_name: String,
    /// How it stands.
    pub campaign_status: String,
    /// The code.
    pub link_code: String,
    /// Since when the customer is a promoter, in epoch milliseconds.
    pub since_ms: i64,
    /// Clicks of people.
    pub clicks: i64,
    /// Referrals that are not void.
    pub referrals: i64,
    /// Vouchers of the promoter that are not cancelled.
    pub vouchers: i64,
}

/// The customer's link in the campaign; an eligible customer becomes a promoter with it. Asking
/// twice gives the same link, also after the customer is no longer eligible.
///
/// # Errors
/// See [`CreateLinkError`].
pub async fn create_link(
    store: &Store,
    campaign: &CampaignId,
    customer: &CustomerId,
    now: UtcMillis,
) -> Result<Promoter, CreateLinkError> {
    for _ in 1..MOST_ATTEMPTS {
        match create_once(store, campaign, customer, now).await {
            Err(CreateLinkError::Store(StoreError::Duplicate)) => {}
            outcome => return outcome,
        }
    }
    create_once(store, campaign, customer, now).await
}

async fn create_once(
    store: &Store,
    campaign: &CampaignId,
    customer: &CustomerId,
    now: UtcMillis,
) -> Result<Promoter, CreateLinkError> {
    store
        .transact(async |tx: &Tx| {
            if let Some(promoter) = promoters::find(tx, campaign, customer).await? {
                return Ok(promoter);
            }
            let found = campaigns::load(tx, campaign).await?;
            let found = found.ok_or(CreateLinkError::UnknownCampaign)?;
            if !found.gives_links_at(now) {
                return Err(CreateLinkError::CampaignClosed);
            }
            promoters::standing(tx, customer, now)
                .await?
                .check(found.terms())?;
            let customers = [customer.clone()];
            let made = promoters::insert(tx, campaign, &customers, now).await?;
            made.into_iter()
                .next()
                .ok_or(CreateLinkError::UnknownCampaign)
        })
        .await
}

/// A customer's links by campaign; `after` is the last campaign of the page before.
///
/// # Errors
/// When the database fails.
pub async fn my_links(
    store: &Store,
    customer: &CustomerId,
    after: Option<&str>,
    size: u32,
) -> Result<Page<MyLink>, StoreError> {
    let size = size.clamp(1, LARGEST_PAGE);
    let sql = "SELECT m.campaign_id, k.name AS campaign_name, k.status AS campaign_status, \
         m.link_code, m.since_ms, \
         (SELECT COUNT(*) FROM clicks x WHERE x.campaign_id = m.campaign_id \
          AND x.kind = 'pessoa' AND x.link_code = m.link_code) AS clicks, \
         (SELECT COUNT(*) FROM referrals r WHERE r.campaign_id = m.campaign_id \
          AND r.promoter_id = m.customer_id AND r.status <> 'anulada') AS referrals, \
         (SELECT COUNT(*) FROM vouchers v WHERE v.owner_id = m.customer_id \
          AND v.campaign_id = m.campaign_id AND v.kind = 'voucher_promotor' \
          AND v.status <> 'cancelado') AS vouchers \
         FROM promoters m JOIN campaigns k ON k.id = m.campaign_id \
         WHERE m.customer_id = ? AND m.campaign_id > ? ORDER BY m.campaign_id LIMIT ?";
    let rows: Vec<MyLink> = store
        .transact(async |tx: &Tx| {
            tx.all(
                sql,
                values![customer.as_str(), after.unwrap_or_default(), size + 1],
            )
            .await
        })
        .await?;
    Ok(Page::cut(rows, size))
}
