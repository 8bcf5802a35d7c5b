//! Where ids and codes get their random bytes.

use std::sync::Mutex;

use sha2::{Digest, Sha256};

/// A source of random bytes: the operating system, or a seed in tests.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`. False when the source failed.
    fn fill(&self, bytes: &mut [u8]) -> bool;
}

/// The operating system's random bytes.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }
}

/// The same bytes for the same seed, so that a simulation can be replayed. Never for production.
#[derive(Debug)]
pub struct SeededEntropy {
    state: Mutex<(u64, u64)>,
}

impl SeededEntropy {
    /// Bytes that follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new((seed, 0)),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        let Ok(mut state) = self.state.lock() else {
            return false;
        };
        for chunk in bytes.chunks_mut(32) {
            state.1 += 1;
            let mut hasher = Sha256::new();
            hasher.update(state.0.to_le_bytes());
            hasher.update(state.1.to_le_bytes());
            for (byte, random) in chunk.iter_mut().zip(hasher.finalize()) {
                *byte = random;
            }
        }
        true
    }
}
