//! Promoters: customers with a link of their own in a campaign.

use super::campaign::Terms;
use crate::code::ReferralCode;
use crate::identity::{CampaignId, CustomerId};
use crate::time::UtcMillis;

/// What is known of a customer who may become a promoter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The customer is known to us and not deleted.
    pub registered: bool,
    /// The customer agreed to take part in referrals.
    pub consenting: bool,
    /// Orders that were delivered, or whose trip is over, and that were not voided.
    pub completed_orders: u32,
}

/// Why a customer can't be a promoter of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEligible {
    /// We do not know the customer.
    #[error("the customer is not registered")]
    NotRegistered,
    /// The customer has not agreed to take part in referrals.
    #[error("the customer has not agreed to take part in referrals")]
    NoConsent,
    /// The campaign asks for more completed orders.
    #[error("the customer has too few completed orders")]
    TooFewOrders,
}

/// A promoter of a campaign and the one link that is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoter {
    /// The campaign.
    pub campaign: CampaignId,
    /// The customer.
    pub customer: CustomerId,
    /// The code of the link.
    pub code: ReferralCode,
    /// Since when.
    pub since: UtcMillis,
}

impl Standing {
    /// Whether the customer may be a promoter under these terms.
    ///
    /// # Errors
    /// The first reason against it.
    pub const fn check(self, terms: &Terms) -> Result<(), NotEligible> {
        if !self.registered {
            return Err(NotEligible::NotRegistered);
        }
        if !self.consenting {
            return Err(NotEligible::NoConsent);
        }
        if self.completed_orders < terms.minimum_completed_orders() {
            return Err(NotEligible::TooFewOrders);
        }
        Ok(())
    }
}

impl Promoter {
    /// The São Paulo month in which the promoter joined: 2026-11.
    #[must_use]
    pub fn cohort(&self) -> String {
        self.since.day().month()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mgm::campaign::{Discount, Loopback, Proposal, ShopUrl};
    use crate::money::Centavos;

    #[test]
    fn a_promoter_is_registered_consents_and_has_bought_enough() {
        let amount = Centavos::new(1_000).unwrap();
        let terms = Proposal {
            name: Some("Verão".to_owned()),
            starts: UtcMillis::new(0).ok(),
            ends: UtcMillis::new(1).ok(),
            discount: Some(Discount::Amount(amount)),
            reward: Some(amount),
            budget: Centavos::new(2_000).ok(),
            voucher_valid_days: Some(1),
            minimum_completed_orders: Some(2),
            shop_url: ShopUrl::parse("https://loja.example.com", Loopback::Refused).ok(),
            ..Proposal::default()
        };
        let terms = terms.check().unwrap();
        let good = Standing {
            registered: true,
            consenting: true,
            completed_orders: 2,
        };
        assert_eq!(good.check(&terms), Ok(()));
        let few = Standing {
            completed_orders: 1,
            ..good
        };
        assert_eq!(few.check(&terms), Err(NotEligible::TooFewOrders));
        let silent = Standing {
            consenting: false,
            ..good
        };
        assert_eq!(silent.check(&terms), Err(NotEligible::NoConsent));
        let unknown = Standing {
            registered: false,
            ..good
        };
        assert_eq!(unknown.check(&terms), Err(NotEligible::NotRegistered));
    }
}
