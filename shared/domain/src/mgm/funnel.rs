//! What a campaign brought, in figures. docs/glossary.md defines each of them.

use std::collections::BTreeMap;

/// The figures of a campaign, or of the promoters who joined it in one month.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Promoters, each with one link.
    pub links: i64,
    /// Counted clicks of people.
    pub clicks: i64,
    /// Orders paid through a link, whether or not they became referrals.
    pub purchases: i64,
    /// Referrals that are not void.
    pub referrals: i64,
    /// Friends' coupons that are not cancelled.
    pub coupons: i64,
    /// Referrals that are not void and whose order is completed.
    pub completions: i64,
    /// Promoters' vouchers that are not cancelled.
    pub vouchers: i64,
    /// Coupons that paid for an order.
    pub used_coupons: i64,
    /// Vouchers that paid for an order.
    pub used_vouchers: i64,
    /// Referrals that were voided.
    pub voided: i64,
    /// Purchases through a link that became no referral, by reason.
    pub refused: BTreeMap<String, i64>,
    /// What the friends of referrals that are not void paid, in centavos.
    pub revenue_centavos: i64,
    /// What used coupons and vouchers took off, in centavos.
    pub cost_centavos: i64,
}

impl Figures {
    /// Adds the figures of others.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.links, other.links),
            (&mut self.clicks, other.clicks),
            (&mut self.purchases, other.purchases),
            (&mut self.referrals, other.referrals),
            (&mut self.coupons, other.coupons),
            (&mut self.completions, other.completions),
            (&mut self.vouchers, other.vouchers),
            (&mut self.used_coupons, other.used_coupons),
            (&mut self.used_vouchers, other.used_vouchers),
            (&mut self.voided, other.voided),
            (&mut self.revenue_centavos, other.revenue_centavos),
            (&mut self.cost_centavos, other.cost_centavos),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (reason, count) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += count;
        }
    }

    /// What a new customer cost, in centavos, rounded up; none without a new customer.
    #[must_use]
    pub fn cost_per_new_customer_centavos(&self) -> Option<i64> {
        (self.referrals > 0)
            .then(|| self.cost_centavos.saturating_add(self.referrals - 1) / self.referrals)
    }

    /// The K-factor in ten-thousandths: new customers per promoter, which is clicks per promoter
    /// times the share of clicks that became a new customer. None without a promoter.
    #[must_use]
    pub fn k_factor_ten_thousandths(&self) -> Option<i64> {
        (self.links > 0).then(|| self.referrals.saturating_mul(10_000) / self.links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_need_something_to_divide_by() {
        let mut figures = Figures::default();
        assert_eq!(figures.cost_per_new_customer_centavos(), None);
        assert_eq!(figures.k_factor_ten_thousandths(), None);
        figures.add(&Figures {
            links: 3,
            referrals: 2,
            cost_centavos: 101,
            ..Figures::default()
        });
        assert_eq!(figures.cost_per_new_customer_centavos(), Some(51));
        assert_eq!(figures.k_factor_ten_thousandths(), Some(6_666));
    }

    #[test]
    fn sums_keep_their_reasons_apart() {
        let of = |reason: &str, count| Figures {
            purchases: count,
            refused: BTreeMap::from([(reason.to_owned(), count)]),
            ..Figures::default()
        };
        let mut sum = of("link_proprio", 1);
        sum.add(&of("velocidade", 2));
        sum.add(&of("link_proprio", 3));
        assert_eq!(sum.purchases, 6);
        assert_eq!(
            sum.refused,
            BTreeMap::from([("link_proprio".into(), 4), ("velocidade".into(), 2)])
        );
    }
}
