//! What the facts make of the shop, written apart from the domain: purchases are judged in the
//! order in which their customer's queue told them, and everything else by its last word.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Fact, Order};

const SAME_VISIT_MS: i64 = 30 * 60 * 1000;

/// How far a coupon or voucher got, by the answers that its owner was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Reserved,
    Released,
    Used,
}

#[derive(Debug, Default)]
pub struct Model {
    told: BTreeMap<usize, Told>,
    /// Accepted and living, by friend and campaign.
    living: BTreeMap<(String, bool), usize>,
    /// Coupons (false) and vouchers (true), by the order of their referral.
    pub uses: BTreeMap<(String, bool), Use>,
    /// Everything has expired by now that nobody used.
    pub is_late: bool,
    /// When a visitor was last counted, by link (promoter, campaign) and visitor.
    visits: BTreeMap<(usize, bool, usize), i64>,
    pub clicks: usize,
    pub poison: usize,
}

#[derive(Debug, Default)]
struct Told {
    accepted: bool,
    void: bool,
    legs: BTreeSet<u8>,
}

/// What an order must have become.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    /// Status of its living referral.
    pub referral: Option<&'static str>,
    /// The statuses that its coupon may have, cancelled ones apart; `None`: no such coupon.
    pub coupon: Option<&'static [&'static str]>,
    /// The same of the promoter's voucher.
    pub voucher: Option<&'static [&'static str]>,
}

impl Model {
    /// One message of a customer's queue, the first time that it is told.
    pub fn tell(&mut self, place: usize, order: &Order, fact: Fact) {
        let slot = (order.friend.clone(), order.arrival);
        let is_free = !self.living.contains_key(&slot);
        let told = self.told.entry(place).or_default();
        match fact {
            Fact::Leg(leg) => {
                told.legs.insert(leg);
            }
            Fact::Cancellation | Fact::Refund => {
                told.void = true;
                if self.living.get(&slot) == Some(&place) {
                    self.living.remove(&slot);
                }
            }
            Fact::Purchase => {
                let others = order
                    .promoter
                    .as_ref()
                    .is_some_and(|by| *by != order.friend);
                told.accepted = others && is_free;
                if told.accepted && !told.void {
                    self.living.insert(slot, place);
                }
            }
        }
    }

    /// The same visitor counts once in half an hour.
    pub fn click(&mut self, by: (usize, bool, usize), clock_ms: i64) {
        let before = self.visits.get(&by);
        if before.is_none_or(|before| clock_ms - before >= SAME_VISIT_MS) {
            self.visits.insert(by, clock_ms);
            self.clicks += 1;
        }
    }

    pub fn expects(&self, place: usize, order: &Order) -> Expected {
        let Some(told) = self.told.get(&place) else {
            return Expected {
                referral: None,
                coupon: None,
                voucher: None,
            };
        };
        let lives = told.accepted && !told.void;
        let complete = told.legs.len() == usize::from(order.legs) || order.ended == Some(true);
        Expected {
            referral: lives.then_some(if complete { "premiada" } else { "aceita" }),
            coupon: self.status(order, false, lives),
            voucher: self.status(order, true, lives && complete),
        }
    }

    fn status(
        &self,
        order: &Order,
        is_voucher: bool,
        lives: bool,
    ) -> Option<&'static [&'static str]> {
        match self.uses.get(&(order.id.clone(), is_voucher)) {
            Some(Use::Used) => Some(&["usado"]),
            _ if !lives => None,
            _ if self.is_late => Some(&["expirado"]),
            // A reservation ends by itself when its time is over.
            Some(Use::Reserved) => Some(&["reservado", "emitido"]),
            Some(Use::Released) | None => Some(&["emitido"]),
        }
    }
}
