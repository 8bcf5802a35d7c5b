//! The funnel of a campaign: one grouped query for each of its tables.

use std::collections::BTreeMap;

use domain::{identity::CampaignId, mgm::funnel::Figures};
use sea_orm::FromQueryResult;

use crate::{Store, StoreError, Tx, values};

#[derive(FromQueryResult)]
struct Counted {
    cohort: String,
    counted: i64,
}

#[derive(FromQueryResult)]
struct Referrals {
    cohort: String,
    all_of_them: i64,
    alive: i64,
    completed: i64,
    revenue: i64,
}

#[derive(FromQueryResult)]
struct Refused {
    cohort: String,
    reason: String,
    counted: i64,
}

#[derive(FromQueryResult)]
struct Vouchers {
    cohort: String,
    kind: String,
    kept: i64,
    used: i64,
    cost: i64,
}

const LINKS: &str = "SELECT cohort, COUNT(*) AS counted FROM promoters WHERE campaign_id = ? \
    GROUP BY cohort";

const CLICKS: &str = "SELECT p.cohort, COUNT(*) AS counted FROM clicks c \
    JOIN promoters p ON p.link_code = c.link_code \
    WHERE c.campaign_id = ? AND c.kind = 'pessoa' GROUP BY p.cohort";

const REFERRALS: &str = "SELECT cohort, COUNT(*) AS all_of_them, \
    CAST(SUM(CASE WHEN status <> 'anulada' THEN 1 ELSE 0 END) AS SIGNED) AS alive, \
    CAST(SUM(CASE WHEN status <> 'anulada' AND completed_ms IS NOT NULL THEN 1 ELSE 0 END) \
    AS SIGNED) AS completed, \
    CAST(SUM(CASE WHEN status <> 'anulada' THEN purchase_centavos ELSE 0 END) AS SIGNED) \
    AS revenue FROM referrals WHERE campaign_id = ? GROUP BY cohort";

/// An order that became a referral after all is no refusal.
const REFUSED: &str = "SELECT cohort, reason, COUNT(*) AS counted FROM refusals f \
    WHERE campaign_id = ? AND NOT EXISTS \
    (SELECT 1 FROM referrals r WHERE r.order_id = f.order_id AND r.campaign_id = f.campaign_id) \
    GROUP BY cohort, reason";

/// A voucher counts for the cohort of its referral's promoter; a coupon given on arrival and not yet
/// bought with, for that of its link's promoter.
const VOUCHERS: &str = "SELECT COALESCE(r.cohort, p.cohort, '') AS cohort, v.kind, \
    CAST(SUM(CASE WHEN v.status <> 'cancelado' THEN 1 ELSE 0 END) AS SIGNED) AS kept, \
    CAST(SUM(CASE WHEN v.status = 'usado' THEN 1 ELSE 0 END) AS SIGNED) AS used, \
    CAST(SUM(CASE WHEN v.status = 'usado' THEN v.discount_centavos ELSE 0 END) AS SIGNED) \
    AS cost FROM vouchers v LEFT JOIN referrals r ON r.id = v.referral_id \
    LEFT JOIN promoters p ON p.link_code = v.link_code \
    WHERE v.campaign_id = ? GROUP BY COALESCE(r.cohort, p.cohort, ''), v.kind";

/// The figures of a campaign by cohort; empty where nobody has joined.
///
/// # Errors
/// When the database fails.
pub async fn by_cohort(
    store: &Store,
    campaign: &CampaignId,
) -> Result<BTreeMap<String, Figures>, StoreError> {
    let id = campaign.as_str();
    store
        .transact(async |tx: &Tx| {
            let mut cohorts: BTreeMap<String, Figures> = BTreeMap::new();
            for row in tx.all::<Counted>(LINKS, values![id]).await? {
                cohorts.entry(row.cohort).or_default().links = row.counted;
            }
            for row in tx.all::<Counted>(CLICKS, values![id]).await? {
                cohorts.entry(row.cohort).or_default().clicks = row.counted;
            }
            for row in tx.all::<Referrals>(REFERRALS, values![id]).await? {
                let figures = cohorts.entry(row.cohort).or_default();
                figures.purchases += row.all_of_them;
                figures.referrals = row.alive;
                figures.voided = row.all_of_them - row.alive;
                figures.completions = row.completed;
                figures.revenue_centavos = row.revenue;
            }
            for row in tx.all::<Refused>(REFUSED, values![id]).await? {
                let figures = cohorts.entry(row.cohort).or_default();
                figures.purchases += row.counted;
                figures.refused.insert(row.reason, row.counted);
            }
            for row in tx.all::<Vouchers>(VOUCHERS, values![id]).await? {
                let figures = cohorts.entry(row.cohort).or_default();
                figures.cost_centavos += row.cost;
                if row.kind == "cupom_amigo" {
                    (figures.coupons, figures.used_coupons) = (row.kept, row.used);
                } else {
                    (figures.vouchers, figures.used_vouchers) = (row.kept, row.used);
                }
            }
            Ok(cohorts)
        })
        .await
}
