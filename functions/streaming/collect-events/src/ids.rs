//! Ids of events: ULIDs of their time where they came without one.

use contracts::collect::Collected;
use lambda_kit::Problem;
use sha2::{Digest, Sha256};

/// The id of an event to which a guest gave one: his own, so that nobody who guesses the id of another's
/// event, an order's say, keeps that one from counting.
pub(crate) fn of_guest(subject: &str, own: &str) -> String {
    let digest = Sha256::digest(format!("{subject}\n{own}"));
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("visita-{hex}")
}

/// What the ids of one request are derived from.
pub(crate) struct Batch(Vec<u8>);

impl Batch {
    /// With an Idempotency-Key a retry of the same request gets the same ids; without one each
    /// request gets new ones.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub(crate) fn of(subject: &str, key: Option<&str>) -> Result<Self, Problem> {
        match key {
            Some(key) => Ok(Self(format!("k\n{subject}\n{key}").into_bytes())),
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|_| Problem::unavailable())?;
                Ok(Self(seed.to_vec()))
            }
        }
    }

    /// The id of the event at this place of the request.
    pub(crate) fn id(&self, index: usize, event: &Collected) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.0);
        hasher.update(format!("\n{index}\n{}", event.json()));
        let digest = hasher.finalize();
        let mixed = digest
            .iter()
            .take(16)
            .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        ulid::Ulid::from_parts(event.at.get().unsigned_abs(), mixed).to_string()
    }
}
