//! When what is due.

use std::time::{Duration, Instant};

/// Records that are written at once.
pub const MOST_AT_ONCE: usize = 1_000;
/// What becomes due within this time is written together.
const TICK: Duration = Duration::from_millis(25);
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A steady rate.
pub struct Pace {
    begun: Instant,
    per_second: u32,
    sent: usize,
}

impl Pace {
    /// So many a second, from now on.
    pub fn of_rate(per_second: u32) -> Self {
        Self {
            begun: Instant::now(),
            per_second: per_second.max(1),
            sent: 0,
        }
    }

    /// So many were sent in all.
    pub fn sent(&mut self, sent: usize) {
        self.sent = sent;
    }

    /// How many are due in all; waits until there is another one.
    pub async fn due(&self) -> usize {
        loop {
            let due = due_after(self.begun.elapsed(), self.per_second);
            if due > self.sent {
                return due;
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

/// The first one is due at once.
fn due_after(elapsed: Duration, per_second: u32) -> usize {
    let passed = elapsed.as_nanos() * u128::from(per_second) / NANOS_PER_SECOND;
    usize::try_from(passed)
        .unwrap_or(usize::MAX)
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_to_the_event() {
        let at = |millis, rate| due_after(Duration::from_millis(millis), rate);
        assert_eq!(at(0, 20), 1);
        assert_eq!(at(49, 20), 1);
        assert_eq!(at(50, 20), 2);
        assert_eq!(at(60_000, 100_000), 6_000_001);
    }
}
