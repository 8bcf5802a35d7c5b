//! A campaign's budget: held, settled and given back, each by one statement. The campaign's row is
//! locked last.

use domain::{identity::CampaignId, money::Centavos};

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
