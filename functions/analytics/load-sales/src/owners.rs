//! Which load has the last word on an order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use domain::sales::FileRank;
use lake::OrderSet;

/// A load among others: by its file's rank, then by its number, for two versions of a key within
/// one millisecond.
pub(crate) type Rank = (FileRank, i64);

/// How a load stands to what the lake has.
pub(crate) struct Owners {
    /// This load.
    pub(crate) own: Rank,
    /// The loads that the lake has lines of.
    pub(crate) others: BTreeMap<i64, Rank>,
    /// Loads of older versions of the same key.
    pub(crate) older_versions: BTreeSet<i64>,
    /// Whether a newer version of the same key was loaded.
    pub(crate) is_superseded: bool,
}

/// What becomes of a row that the lake has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays, and its order is not this load's.
    Stays,
    /// It goes: this load has the last word on its order.
    Goes,
    /// It goes, and its order has no sale: the version that brought it is replaced by one that
    /// does not speak of the order.
    GoesWithoutSale,
    /// It stays, and this load does not speak of its order.
    Unconcerned,
}

impl Owners {
    /// Judges a row of the load `number`, whose order this load speaks of or not. A load that the
    /// ledger does not know is none of ours: what it brought stays.
    pub(crate) fn judge(&self, number: i64, is_spoken_of: bool) -> Verdict {
        let is_older_version = self.older_versions.contains(&number);
        match (is_spoken_of, is_older_version) {
            (false, false) => Verdict::Unconcerned,
            (false, true) => Verdict::GoesWithoutSale,
            (true, _) => match self.others.get(&number) {
                Some(rank) if *rank < self.own => Verdict::Goes,
                _ => Verdict::Stays,
            },
        }
    }
}

/// Marks of the orders of a file, a bit for each.
#[derive(Default)]
pub(crate) struct Marks {
    words: Vec<AtomicU64>,
}

impl Marks {
    /// No mark on any order of the set.
    pub(crate) fn on(orders: &OrderSet) -> Self {
        let words = orders.len().div_ceil(64);
        Self {
            words: std::iter::repeat_with(AtomicU64::default)
                .take(words)
                .collect(),
        }
    }

    /// Marks the order at this place.
    pub(crate) fn mark(&self, place: usize) {
        if let Some(word) = self.words.get(place / 64) {
            word.fetch_or(1 << (place % 64), Ordering::Relaxed);
        }
    }

    /// Whether the order at this place is marked.
    pub(crate) fn is_marked(&self, place: usize) -> bool {
        self.words
            .get(place / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (place % 64)) != 0)
    }

    /// How many are marked.
    pub(crate) fn count(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.load(Ordering::Relaxed).count_ones()))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(modified_ms: i64, key: &str, number: i64) -> Rank {
        let key = key.to_owned();
        (FileRank { modified_ms, key }, number)
    }

    #[test]
    fn the_newer_file_has_the_last_word_then_the_greater_key_then_the_later_load() {
        let others = [
            rank(10, "b", 1),
            rank(20, "a", 2),
            rank(20, "c", 3),
            rank(20, "b", 4),
        ];
        let owners = Owners {
            own: rank(20, "b", 5),
            others: others.into_iter().map(|rank| (rank.1, rank)).collect(),
            older_versions: BTreeSet::from([1, 4]),
            is_superseded: false,
        };
        let verdicts = [1, 2, 3, 4, 9].map(|number| owners.judge(number, true));
        use Verdict::{Goes, GoesWithoutSale, Stays, Unconcerned};
        assert_eq!(verdicts, [Goes, Goes, Stays, Goes, Stays]);
        let verdicts = [1, 2, 4].map(|number| owners.judge(number, false));
        assert_eq!(verdicts, [GoesWithoutSale, Unconcerned, GoesWithoutSale]);
    }
}
