//! A campaign's budget: held, settled and given back, each by one statement. The campaign's row is
//! locked last.

use domain::{identity::CampaignId, mgm::campaign::Campaign, money::Centavos};
use sea_orm::FromQueryResult;

use crate::{StoreError, Tx, values};

/// Holds `amount`. False when the budget has not so much left.
///
/// # Errors
/// When the database fails.
pub async fn hold(tx: &Tx, campaign: &CampaignId, amount: Centavos) -> Result<bool, StoreError> {
    if amount == Centavos::ZERO {
        return Ok(true);
    }
    let sql = "UPDATE campaigns SET reserved_centavos = reserved_centavos + ? \
               WHERE id = ? AND reserved_centavos + spent_centavos + ? <= budget_centavos";
    let values = values![amount.get(), campaign.as_str(), amount.get()];
    Ok(tx.execute(sql, values).await? == 1)
}

#[derive(FromQueryResult)]
struct Version {
    version: i64,
}

/// Holds `amount` of a campaign that was read without a lock. False when the budget has not so much
/// left; where an operator has changed the campaign since, the use case is redone with what it
/// promises now.
///
/// # Errors
/// When the database fails, or a redo is asked for.
pub async fn hold_as_read(
    tx: &Tx,
    campaign: &Campaign,
    amount: Centavos,
) -> Result<bool, StoreError> {
    let sql = "UPDATE campaigns SET reserved_centavos = reserved_centavos + ? WHERE id = ? \
               AND version = ? AND reserved_centavos + spent_centavos + ? <= budget_centavos";
    let (id, version) = (campaign.id().as_str(), campaign.version());
    let held = tx
        .execute(sql, values![amount.get(), id, version, amount.get()])
        .await?;
    if held == 1 {
        return Ok(true);
    }
    let sql = "SELECT version FROM campaigns WHERE id = ?";
    let now: Option<Version> = tx.one(sql, values![id]).await?;
    if now.is_some_and(|now| now.version != version) {
        return Err(tx.redo());
    }
    Ok(false)
}

/// Turns what was `held` into what was really `spent`.
///
/// # Errors
/// When the database fails, or less was held than is settled.
pub async fn settle(
    tx: &Tx,
    campaign: &CampaignId,
    held: Centavos,
    spent: Centavos,
) -> Result<(), StoreError> {
    if held == Centavos::ZERO && spent == Centavos::ZERO {
        return Ok(());
    }
    let sql = "UPDATE campaigns SET reserved_centavos = reserved_centavos - ?, \
               spent_centavos = spent_centavos + ? WHERE id = ? AND reserved_centavos >= ?";
    let values = values![held.get(), spent.get(), campaign.as_str(), held.get()];
    match tx.execute(sql, values).await? {
        1 => Ok(()),
        _ => Err(StoreError::Broken(
            "campaigns.reserved_centavos is below what is held",
        )),
    }
}

/// Gives back what was `held`.
///
/// # Errors
/// When the database fails, or less was held than is given back.
pub async fn give_back(tx: &Tx, campaign: &CampaignId, held: Centavos) -> Result<(), StoreError> {
    settle(tx, campaign, held, Centavos::ZERO).await
}
