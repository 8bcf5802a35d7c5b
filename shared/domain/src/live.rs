//! Live figures: parts of them are counted apart and merged, in any order and grouping
//! (docs/adr/0090).

mod codec;
mod users;
mod views;

pub use codec::decode;
pub use users::{Estimate, MOST_EXACT_USERS, Users};
pub use views::{MOST_PRODUCTS, Ranked, Views};

use crate::{
    events::{CustomerEvent, EventKind},
    time::UtcMillis,
};

/// How many events of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub events: u64,
    /// `clique`.
    pub clicks: u64,
    /// `carrinho`.
    pub carts: u64,
    /// `compra`, as the shop's pages tell it.
    pub purchases: u64,
}

/// Figures of some events.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How many.
    pub counts: Counts,
    /// Who did anything.
    pub active: Users,
    /// Who looked at a product.
    pub clicked: Users,
    /// Who put one into the cart.
    pub carted: Users,
    /// Who bought, as the shop's pages tell it.
    pub bought: Users,
    /// Which products were looked at.
    pub views: Views,
    /// When the newest happened.
    pub newest: Option<UtcMillis>,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.clicks += other.clicks;
        self.carts += other.carts;
        self.purchases += other.purchases;
    }
}

impl Figures {
    /// Counts an event.
    pub fn count(&mut self, event: &CustomerEvent) {
        self.counts.events += 1;
        self.active.insert(&event.user);
        match event.kind {
            EventKind::Click => {
                self.counts.clicks += 1;
                self.clicked.insert(&event.user);
                if let Some(product) = &event.product {
                    self.views.count(product.as_str());
                }
            }
            EventKind::Cart => {
                self.counts.carts += 1;
                self.carted.insert(&event.user);
            }
            EventKind::Purchase => {
                self.counts.purchases += 1;
                self.bought.insert(&event.user);
            }
            EventKind::Other(_) => {}
        }
        self.newest = self.newest.max(Some(event.occurred));
    }

    /// Takes other events' figures in.
    pub fn merge(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.active.merge(&other.active);
        self.clicked.merge(&other.clicked);
        self.carted.merge(&other.carted);
        self.bought.merge(&other.bought);
        self.views.merge(&other.views);
        self.newest = self.newest.max(other.newest);
    }

    /// As bytes, for [`decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

#[cfg(test)]
mod tests;
