//! Values that were too large for a message: fetched from where the bridge put them.

use std::fmt::Write as _;

use contracts::envelope::Claim;
use sha2::{Digest, Sha256};

use crate::DeadLetters;

/// Why a value could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchFailed {
    /// Nothing lies there, or something larger.
    #[error("the claimed value is not there")]
    Gone,
    /// It may be there later.
    #[error("the claimed value could not be fetched")]
    Later,
}

/// Fetches a value and proves that it is the one that was put there.
pub(crate) async fn fetch<P: DeadLetters>(
    parts: &P,
    claim: &Claim,
) -> Result<Vec<u8>, FetchFailed> {
    let value = parts.fetch_claim(claim).await?;
    let is_whole = u64::try_from(value.len()) == Ok(claim.bytes);
    if is_whole && sha256_hex(&value) == claim.sha256 {
        Ok(value)
    } else {
        Err(FetchFailed::Gone)
    }
}

/// SHA-256 in lower-case hex, as a claim holds it.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
