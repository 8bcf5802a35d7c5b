//! Changes of what has its master in another system: which of two is the newer.

use crate::time::UtcMillis;

/// A record with a lower offset that is later by this much is of a topic made anew, whose offsets
/// began again. What Kafka repeats keeps its time, and what follows it is repeated too.
const TOPIC_AGE_MS: i64 = 86_400_000;
/// How far a source's clock may be ahead.
pub const CLOCK_SKEW_MS: i64 = 86_400_000;
/// 2001 in milliseconds: a version that is a time is not older.
const FIRST_TIME_MS: i64 = 1_000_000_000_000;

/// Whether no source can have come to this version by `now`: it would outrank every later change
/// for ever. A version is a counter, or a time in seconds, milliseconds, microseconds or
/// nanoseconds; no counter of changes is ahead of the clock's milliseconds.
#[must_use]
pub const fn lies_ahead(version: i64, now: UtcMillis) -> bool {
    let latest = now.get().saturating_add(CLOCK_SKEW_MS);
    let mut per_milli = 1;
    while per_milli <= 1_000_000 {
        let is_time = version >= FIRST_TIME_MS.saturating_mul(per_milli);
        if version <= latest.saturating_mul(per_milli) && (is_time || per_milli == 1) {
            return false;
        }
        per_milli *= 1_000;
    }
    true
}

/// Where in its topic a record lies. Offsets compare within a partition only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition; below 0 for what no record told.
    pub partition: i32,
    /// The offset within the partition.
    pub offset: i64,
    /// The record's timestamp, which decides between partitions.
    pub recorded: UtcMillis,
}

/// How new a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The source's own version (`versao`, else `atualizado_em` in milliseconds), where it has one.
    pub version: Option<i64>,
    /// Where it was read.
    pub place: Place,
}

/// How new what is kept is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The highest version that was seen, where the source has versions.
    pub version: Option<i64>,
    /// Where the newest change was read; nothing for what did not come by the topic.
    pub place: Option<Place>,
    /// Whether that change deleted.
    pub is_deleted: bool,
}

impl Stamp {
    /// Whether this, which may be a deletion, is newer than what is kept. A version compares with
    /// versions; without one, and for a tombstone, the place in the topic decides. What was said before a deletion revives
    /// nobody, whatever its version: it may come again from dead letters. The same change twice is
    /// not newer.
    #[must_use]
    pub fn supersedes(&self, kept: &Mark, is_deletion: bool) -> bool {
        let is_after = || match kept.place {
            None => true,
            Some(place) => self.place.is_after(is_deletion, place, kept.is_deleted),
        };
        match (self.version, kept.version) {
            (Some(version), Some(highest)) if version <= highest => false,
            (Some(_), _) if !kept.is_deleted => true,
            _ => is_after(),
        }
    }

    /// What is to be kept after this change; nothing when it is old.
    #[must_use]
    pub fn applied(&self, kept: Option<&Mark>, is_deletion: bool) -> Option<Mark> {
        if kept.is_some_and(|kept| !self.supersedes(kept, is_deletion)) {
            return None;
        }
        Some(Mark {
            version: self.version.max(kept.and_then(|kept| kept.version)),
            place: Some(self.place),
            is_deleted: is_deletion,
        })
    }
}

impl Place {
    /// Of what the source itself told, and no record of the topic: only its time compares.
    #[must_use]
    pub const fn outside_the_topic(told: UtcMillis) -> Self {
        Self {
            partition: -1,
            offset: 0,
            recorded: told,
        }
    }

    /// Whether this comes later. Of two partitions at one time nobody knows which came first: a
    /// deletion counts as later, else the higher partition, so that the order of reading is none.
    fn is_after(self, deletes: bool, other: Self, other_deletes: bool) -> bool {
        if self.partition == other.partition && self.partition >= 0 {
            self.offset > other.offset || self.recorded > other.recorded.plus_millis(TOPIC_AGE_MS)
        } else {
            (self.recorded, deletes, self.partition)
                > (other.recorded, other_deletes, other.partition)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = match UtcMillis::new(1_700_000_000_000) {
        Ok(now) => now,
        Err(_) => unreachable!(),
    };

    fn place(partition: i32, offset: i64, later_ms: i64) -> Place {
        Place {
            partition,
            offset,
            recorded: NOW.plus_millis(later_ms),
        }
    }

    /// What stands after these changes without versions: the place, and whether it deleted.
    fn after(changes: &[(Place, bool)]) -> (Place, bool) {
        let mut kept = None;
        for (place, deletes) in changes {
            let stamp = Stamp {
                version: None,
                place: *place,
            };
            kept = stamp.applied(kept.as_ref(), *deletes).or(kept);
        }
        let kept = kept.unwrap();
        (kept.place.unwrap(), kept.is_deleted)
    }

    #[test]
    fn of_two_partitions_at_one_time_the_deletion_stands_whatever_the_order() {
        for (one, other, expected) in [
            ((place(0, 9, 0), false), (place(1, 0, 0), true), true),
            ((place(0, 9, 0), true), (place(1, 0, 0), false), true),
            ((place(0, 9, 0), false), (place(1, 0, 1), true), true),
            ((place(0, 9, 0), true), (place(1, 0, 1), false), false),
            ((place(0, 9, 0), false), (place(1, 0, 0), false), false),
            ((place(0, 9, 0), true), (place(1, 0, 0), true), true),
        ] {
            let (forth, back) = (after(&[one, other]), after(&[other, one]));
            assert_eq!(forth, back);
            assert_eq!(forth.1, expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_the_source_told_compares_by_its_time_alone() {
        let told = |later_ms| Place::outside_the_topic(NOW.plus_millis(later_ms));
        let (erased, again) = ((told(10), true), (told(11), false));
        assert_eq!(after(&[erased, again]), again);
        assert_eq!(after(&[again, erased]), again);
        assert_eq!(after(&[erased, (told(10), false)]), erased);
        let (before, later) = ((place(0, 99, 10), false), (place(0, 1, 11), false));
        assert_eq!(after(&[erased, before]), erased);
        assert_eq!(after(&[erased, later]), later);
    }

    #[test]
    fn a_version_is_a_counter_or_a_time_that_was() {
        let now = UtcMillis::new(1_795_132_800_000).unwrap();
        let day = CLOCK_SKEW_MS;
        for (version, expected) in [
            (0, false),
            (7, false),
            (1_795_132_800, false),
            (1_795_132_800_000 + day, false),
            (1_795_132_800_000 + day + 1, true),
            (253_402_300_799_000, true),
            ((1_795_132_800_000 + day) * 1_000, false),
            ((1_795_132_800_000 + day) * 1_000 + 1, true),
            ((1_795_132_800_000 + day) * 1_000_000, false),
            ((1_795_132_800_000 + day) * 1_000_000 + 1, true),
            (i64::MAX, true),
        ] {
            assert_eq!(lies_ahead(version, now), expected, "{version}");
        }
    }
}
