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
    /// The partition.
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
    /// Whether this is newer than what is kept. A version compares with versions; without one, and
    /// for a tombstone, the place in the topic decides. What was said before a deletion revives
    /// nobody, whatever its version: it may come again from dead letters. The same change twice is
    /// not newer.
    #[must_use]
    pub fn supersedes(&self, kept: &Mark) -> bool {
        let is_after = || kept.place.is_none_or(|place| self.place.is_after(place));
        match (self.version, kept.version) {
            (Some(version), Some(highest)) if version <= highest => false,
            (Some(_), _) if !kept.is_deleted => true,
            _ => is_after(),
        }
    }

    /// What is to be kept after this change; nothing when it is old.
    #[must_use]
    pub fn applied(&self, kept: Option<&Mark>, is_deletion: bool) -> Option<Mark> {
        if kept.is_some_and(|kept| !self.supersedes(kept)) {
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
    fn is_after(self, other: Self) -> bool {
        if self.partition == other.partition {
            self.offset > other.offset || self.recorded > other.recorded.plus_millis(TOPIC_AGE_MS)
        } else {
            self.recorded > other.recorded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
