//! Values in memory, bounded in bytes, each of a version of the data.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use domain::lake::SnapshotId;

/// Keeps values until memory is full, or their version is neither the newest nor the one before.
#[derive(Debug)]
pub struct Kept<K, V: ?Sized> {
    most_bytes: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V: ?Sized> {
    values: HashMap<(SnapshotId, K), Value<V>>,
    size_bytes: usize,
    uses: u64,
    newest: SnapshotId,
    before: SnapshotId,
}

#[derive(Debug)]
struct Value<V: ?Sized> {
    value: Arc<V>,
    size_bytes: usize,
    last_use: u64,
}

impl<K: Hash + Eq + Clone, V: ?Sized> Kept<K, V> {
    /// At most so many bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            inner: Mutex::new(Inner {
                values: HashMap::new(),
                size_bytes: 0,
                uses: 0,
                newest: SnapshotId(i64::MIN),
                before: SnapshotId(i64::MIN),
            }),
        }
    }

    /// Tells the newest version: values of versions before the last are dropped.
    pub fn see(&self, newest: SnapshotId) {
        self.with(|inner| {
            if newest == inner.newest {
                return;
            }
            inner.before = inner.newest;
            inner.newest = newest;
            let before = inner.before;
            inner
                .values
                .retain(|(version, _), _| *version == newest || *version == before);
            inner.size_bytes = inner.values.values().map(|kept| kept.size_bytes).sum();
        });
    }

    /// The value, where it is kept.
    pub fn get(&self, version: SnapshotId, key: &K) -> Option<Arc<V>> {
        self.with(|inner| {
            inner.uses += 1;
            let uses = inner.uses;
            let kept = inner.values.get_mut(&(version, key.clone()))?;
            kept.last_use = uses;
            Some(Arc::clone(&kept.value))
        })
    }

    /// Keeps a value of this size, unless it alone is too large.
    pub fn keep(&self, version: SnapshotId, key: K, value: Arc<V>, size_bytes: usize) {
        if size_bytes > self.most_bytes {
            return;
        }
        self.with(|inner| {
            inner.uses += 1;
            let kept = Value {
                value,
                size_bytes,
                last_use: inner.uses,
            };
            inner.size_bytes += size_bytes;
            if let Some(old) = inner.values.insert((version, key), kept) {
                inner.size_bytes -= old.size_bytes;
            }
            while inner.size_bytes > self.most_bytes {
                inner.drop_longest_unused();
            }
        });
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inner<K, V>) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        what(&mut inner)
    }
}

impl<K: Hash + Eq + Clone, V: ?Sized> Inner<K, V> {
    fn drop_longest_unused(&mut self) {
        let unused = self.values.iter().min_by_key(|(_, kept)| kept.last_use);
        let Some(key) = unused.map(|(key, _)| key.clone()) else {
            self.size_bytes = 0;
            return;
        };
        if let Some(dropped) = self.values.remove(&key) {
            self.size_bytes -= dropped.size_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(kept: &Kept<u32, str>, version: i64, key: u32) {
        kept.keep(SnapshotId(version), key, Arc::from("x"), 10);
    }

    fn has(kept: &Kept<u32, str>, version: i64, key: u32) -> bool {
        kept.get(SnapshotId(version), &key).is_some()
    }

    #[test]
    fn what_was_not_used_longest_goes_first() {
        let kept = Kept::new(25);
        keep(&kept, 1, 1);
        keep(&kept, 1, 2);
        assert!(has(&kept, 1, 1));
        keep(&kept, 1, 3);
        assert!(has(&kept, 1, 1) && has(&kept, 1, 3) && !has(&kept, 1, 2));
        kept.keep(SnapshotId(1), 4, Arc::from("x"), 26);
        assert!(!has(&kept, 1, 4) && has(&kept, 1, 1));
        // The same key again does not count twice.
        keep(&kept, 1, 3);
        assert!(has(&kept, 1, 1));
    }

    #[test]
    fn old_versions_go_when_a_new_one_is_seen() {
        let kept = Kept::new(1_000);
        for version in 1..=3 {
            kept.see(SnapshotId(version));
            keep(&kept, version, 1);
        }
        assert!(!has(&kept, 1, 1) && has(&kept, 2, 1) && has(&kept, 3, 1));
        kept.see(SnapshotId(3));
        assert!(has(&kept, 2, 1));
    }
}
