//! What the facts make of the shop, written apart from the domain: purchases are judged in the
//! order in which their customer's queue told them, and everything else by its last word.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Fact, Order};

/// How far a coupon got, by the answers that its owner was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coupon {
    Reserved,
    Released,
    Used,
}

#[derive(Debug, Default)]
pub struct Model {
    told: BTreeMap<usize, Told>,
    /// Accepted and living, by friend and campaign.
    living: BTreeMap<(String, bool), usize>,
    /// By order.
    pub coupons: BTreeMap<String, Coupon>,
    /// Link (promoter, campaign) and visitor.
    pub clicks: BTreeSet<(usize, bool, usize)>,
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
    /// Status of the promoter's voucher, cancelled ones apart.
    pub voucher: Option<&'static str>,
    /// The statuses that its coupon may have, cancelled ones apart; `None`: no such coupon.
    pub coupon: Option<&'static [&'static str]>,
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

    pub fn expects(&self, place: usize, order: &Order) -> Expected {
        let Some(told) = self.told.get(&place) else {
            return Expected {
                referral: None,
                voucher: None,
                coupon: None,
            };
        };
        let lives = told.accepted && !told.void;
        let complete = told.legs.len() == usize::from(order.legs) || order.ended == Some(true);
        let coupon: Option<&'static [&'static str]> = match self.coupons.get(&order.id) {
            Some(Coupon::Used) => Some(&["usado"]),
            _ if !lives => None,
            // A reservation ends by itself when its time is over.
            Some(Coupon::Reserved) => Some(&["reservado", "emitido"]),
            Some(Coupon::Released) | None => Some(&["emitido"]),
        };
        Expected {
            referral: lives.then_some(if complete { "premiada" } else { "aceita" }),
            voucher: (lives && complete).then_some("emitido"),
            coupon,
        }
    }
}
