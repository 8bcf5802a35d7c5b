//! The products that are looked at most: exact while they are few, then by a mergeable summary.

use std::collections::BTreeMap;

/// Up to so many products are counted each; a minute of a large shop stays exact.
pub const MOST_PRODUCTS: usize = 2_048;

/// How often products were looked at (Misra and Gries 1982; merged as in Agarwal et al., "Mergeable
/// Summaries", 2012): each kept count is too low by `missed` at most, and a product that is not kept
/// was looked at `missed` times at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Views {
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) missed: u64,
}

/// A product and how often it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    /// The product.
    pub product: String,
    /// It was looked at so often at least.
    pub least: u64,
    /// And so often at most.
    pub most: u64,
}

impl Views {
    /// Counts one look at a product.
    pub fn count(&mut self, product: &str) {
        match self.counts.get_mut(product) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(product.to_owned(), 1);
                self.shrink();
            }
        }
    }

    /// Takes other looks in.
    pub fn merge(&mut self, other: &Self) {
        for (product, more) in &other.counts {
            match self.counts.get_mut(product) {
                Some(count) => *count += more,
                None => {
                    self.counts.insert(product.clone(), *more);
                }
            }
        }
        self.missed += other.missed;
        self.shrink();
    }

    /// The `most` products that were looked at most, in order; equals by their names.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<Ranked> {
        let mut ranked: Vec<(&String, u64)> = self
            .counts
            .iter()
            .map(|(product, count)| (product, *count))
            .collect();
        ranked.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        let ranked = ranked.into_iter().take(most);
        ranked
            .map(|(product, count)| Ranked {
                product: product.clone(),
                least: count,
                most: count + self.missed,
            })
            .collect()
    }

    /// How much a count may be too low; 0 while all products are kept.
    #[must_use]
    pub const fn error(&self) -> u64 {
        self.missed
    }

    /// Takes the first count that doesn't fit from all: at least so many looks at as many other
    /// products go with each, which bounds the error by looks ÷ [`MOST_PRODUCTS`].
    fn shrink(&mut self) {
        if self.counts.len() <= MOST_PRODUCTS {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        counts.sort_unstable_by(|left, right| right.cmp(left));
        let cut = counts.get(MOST_PRODUCTS).copied().unwrap_or(0);
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(cut);
            *count > 0
        });
        self.missed += cut;
    }
}
