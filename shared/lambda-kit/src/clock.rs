//! The clock, read in one place: everything below gets the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::time::UtcMillis;

/// The current time.
#[must_use]
pub fn now() -> UtcMillis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or_default();
    UtcMillis::new(millis).unwrap_or(EPOCH)
}

const EPOCH: UtcMillis = match UtcMillis::new(0) {
    Ok(epoch) => epoch,
    Err(_) => unreachable!(),
};
