//! The promoter's voucher for a completed trip, many at once.

use std::collections::BTreeMap;

use domain::{
    identity::CampaignId,
    mgm::{
        audit::{self, Change, Details, Entity, Entry, Event},
        campaign::{Discount, Terms},
        referral::AfterTrip,
        voucher::Kind,
    },
    time::UtcMillis,
};

use super::{
    audit::append,
    campaigns,
    referrals::{Locked, lock_of_orders},
    trips::Completion,
    vouchers::{self, NewVoucher},
};
use crate::{StoreError, Tx, Value, placeholders, values};

/// What completed orders brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Vouchers that were issued.
    pub vouchers: usize,
    /// Referrals whose reward waits for its pending period.
    pub pending: usize,
}

const COMPLETED: &str = "(SELECT MAX(l.completed_ms) FROM trip_legs l WHERE l.order_id = referrals.order_id \
    AND l.customer_id = referrals.friend_id)";
/// The new end of the chain, as `append` has just written it. MySQL assigns from left to right, so
/// the version is raised last.
const HEAD: &str = "(SELECT a.hash FROM audit_log a WHERE a.entity = 'indicacao' \
    AND a.entity_id = referrals.id AND a.version = referrals.version + 1)";

/// A referral whose trip is over, with what its campaign promised.
struct Over<'a> {
    referral: Locked,
    terms: &'a Terms,
    completed: UtcMillis,
    due: UtcMillis,
}

/// Rewards the living referrals of completed orders, or lets them wait for their pending period.
/// The caller holds the orders' `purchases` rows. No campaign's row is touched: what the referral
/// held of the budget, the voucher holds.
pub(super) async fn settle(
    tx: &Tx,
    completions: &[Completion],
    now: UtcMillis,
) -> Result<Settled, StoreError> {
    if completions.is_empty() {
        return Ok(Settled::default());
    }
    let completed: BTreeMap<&str, UtcMillis> = completions
        .iter()
        .map(|one| (one.order.as_str(), one.completed))
        .collect();
    let orders: Vec<&str> = completed.keys().copied().collect();
    complete_orders(tx, &orders, now).await?;
    let referrals = lock_of_orders(tx, &orders, "status IN ('aceita', 'concluida')").await?;
    let campaigns = load_campaigns(tx, &referrals).await?;
    let (mut due, mut waiting) = (Vec::new(), Vec::new());
    for referral in referrals {
        let (Some(terms), Some(&completed)) = (
            campaigns.get(&referral.campaign),
            completed.get(referral.order.as_str()),
        ) else {
            return Err(StoreError::Broken("referrals name what is not there"));
        };
        let over = Over {
            due: completed.plus_days(terms.pending_days()),
            completed,
            terms,
            referral,
        };
        match over.referral.status.after_trip(over.due, now) {
            Some(AfterTrip::Reward) => due.push(over),
            Some(AfterTrip::Wait) => waiting.push(over),
            None => {}
        }
    }
    reward(tx, &due, now).await?;
    let_wait(tx, &waiting, now).await?;
    Ok(Settled {
        vouchers: due.len(),
        pending: waiting.len(),
    })
}

/// The company counts a customer's completed orders, with or without a link.
async fn complete_orders(tx: &Tx, orders: &[&str], now: UtcMillis) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE purchases SET status = 'concluido', updated_ms = ?, completed_ms = \
         (SELECT MAX(l.completed_ms) FROM trip_legs l WHERE l.order_id = purchases.order_id \
         AND l.customer_id = purchases.customer_id) \
         WHERE order_id IN {} AND status IN ('pendente', 'pago', 'concluido') \
         AND completed_ms IS NULL",
        placeholders(1, orders.len())
    );
    let mut all = values![now.get()];
    all.extend(orders.iter().map(|order| Value::from(*order)));
    tx.execute(&sql, all).await.map(|_| ())
}

async fn load_campaigns(
    tx: &Tx,
    referrals: &[Locked],
) -> Result<BTreeMap<CampaignId, Terms>, StoreError> {
    let mut campaigns = BTreeMap::new();
    for referral in referrals {
        if !campaigns.contains_key(&referral.campaign)
            && let Some(campaign) = campaigns::load(tx, &referral.campaign).await?
        {
            campaigns.insert(referral.campaign.clone(), campaign.terms().clone());
        }
    }
    Ok(campaigns)
}

async fn reward(tx: &Tx, due: &[Over<'_>], now: UtcMillis) -> Result<(), StoreError> {
    let vouchers: Vec<NewVoucher> = due.iter().map(|over| over.voucher(now)).collect();
    let issued = vouchers::issue(tx, &vouchers, now).await?;
    let mut entries = Vec::with_capacity(due.len());
    for (over, voucher) in due.iter().zip(&issued) {
        if !voucher.is_new {
            return Err(StoreError::Broken(
                "a referral without reward has a voucher",
            ));
        }
        over.referral
            .status
            .reward()
            .map_err(|_| StoreError::Broken("referrals.status"))?;
        let details = over.details().with("id_voucher", &voucher.id);
        entries.push(over.entry(Event::ReferralRewarded, details, now));
    }
    append(tx, &entries).await?;
    let assignments = "status = 'premiada', rewarded_ms = ?, reward_reserved_centavos = 0";
    update(tx, due, assignments, &[now.get().into()]).await
}

async fn let_wait(tx: &Tx, waiting: &[Over<'_>], now: UtcMillis) -> Result<(), StoreError> {
    let mut entries = Vec::with_capacity(waiting.len());
    for over in waiting {
        over.referral
            .status
            .complete()
            .map_err(|_| StoreError::Broken("referrals.status"))?;
        let details = over.details().with("premio_em", over.due);
        entries.push(over.entry(Event::ReferralCompleted, details, now));
    }
    append(tx, &entries).await?;
    update(tx, waiting, "status = 'concluida'", &[]).await
}

/// One statement for all referrals of a pending period: what differs is read from the tables.
async fn update(
    tx: &Tx,
    all: &[Over<'_>],
    assignments: &str,
    assigned: &[Value],
) -> Result<(), StoreError> {
    let mut by_period: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for over in all {
        let pending_ms = over.due.get() - over.completed.get();
        by_period
            .entry(pending_ms)
            .or_default()
            .push(over.referral.id.as_str());
    }
    for (pending_ms, ids) in by_period {
        let sql = format!(
            "UPDATE referrals SET {assignments}, completed_ms = {COMPLETED}, \
             reward_due_ms = {COMPLETED} + ?, audit_hash = {HEAD}, version = version + 1 \
             WHERE id IN {}",
            placeholders(1, ids.len())
        );
        let mut values = assigned.to_vec();
        values.push(pending_ms.into());
        let expected = ids.len();
        values.extend(ids.into_iter().map(Value::from));
        if usize::try_from(tx.execute(&sql, values).await?) != Ok(expected) {
            return Err(StoreError::Broken("referrals lost a locked row"));
        }
    }
    Ok(())
}

impl Over<'_> {
    fn voucher(&self, now: UtcMillis) -> NewVoucher {
        NewVoucher {
            kind: Kind::PromoterVoucher,
            campaign: self.referral.campaign.clone(),
            referral: Some(self.referral.id.clone()),
            arrival: None,
            owner: Some(self.referral.promoter.clone()),
            worth: Discount::Amount(self.terms.reward()),
            stackable: self.terms.stackable(),
            held: self.referral.held,
            expires: now.plus_days(self.terms.voucher_valid_days()),
        }
    }

    fn details(&self) -> Details {
        Details::new()
            .with("id_pedido", &self.referral.order)
            .with("concluido_em", self.completed)
    }

    fn entry(&self, event: Event, details: Details, now: UtcMillis) -> Entry {
        let id = self.referral.id.as_str();
        let change = Change {
            entity: Entity::Referral,
            id,
            changed: now,
            event,
            details,
        };
        audit::chain(&self.referral.head, &change)
    }
}
