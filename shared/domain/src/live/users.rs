//! How many different users: exact while they are few, then by HyperLogLog.

use std::collections::BTreeSet;

use datasketches::{
    common::NumStdDev,
    hll::{HllSketch, HllType, HllUnion},
};
use sha2::{Digest, Sha256};

use crate::{Invalid, identity::UserId};

/// Up to so many users are counted exactly.
pub const MOST_EXACT_USERS: usize = 4_096;
/// 4,096 registers: 4 KiB, and a relative standard error of 1.6 %.
const LG_REGISTERS: u8 = 12;

/// A set of users that can be counted and merged, and that names nobody.
#[derive(Debug, Clone)]
pub enum Users {
    /// Each user's fingerprint of 64 bits.
    Exact(BTreeSet<u64>),
    /// The registers of a HyperLogLog, serialised by `datasketches`.
    Sketch(Vec<u8>),
}

/// How many users there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The number, or the best guess at it.
    pub users: u64,
    /// With 95 % confidence there are at least so many.
    pub least: u64,
    /// With 95 % confidence there are at most so many.
    pub most: u64,
}

impl Default for Users {
    fn default() -> Self {
        Self::Exact(BTreeSet::new())
    }
}

impl Users {
    /// Adds a user.
    pub fn insert(&mut self, user: &UserId) {
        let digest = Sha256::digest(user.as_str().as_bytes());
        let mut first = [0; 8];
        first
            .iter_mut()
            .zip(digest.iter())
            .for_each(|(byte, from)| *byte = *from);
        self.insert_all([u64::from_be_bytes(first)]);
    }

    /// Adds the users of another set.
    pub fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact(more) => self.insert_all(more.iter().copied()),
            Self::Sketch(registers) => {
                let mut union = self.union();
                if let (Some(union), Ok(sketch)) = (&mut union, HllSketch::deserialize(registers)) {
                    union.update(&sketch);
                }
                self.keep(union);
            }
        }
    }

    fn insert_all(&mut self, users: impl IntoIterator<Item = u64>) {
        if let Self::Exact(known) = self {
            known.extend(users);
            if known.len() > MOST_EXACT_USERS {
                let union = self.union();
                self.keep(union);
            }
            return;
        }
        let mut union = self.union();
        if let Some(union) = &mut union {
            users.into_iter().for_each(|user| union.update_value(user));
        }
        self.keep(union);
    }

    /// These users in the library's form. `None` never comes: the number of registers is allowed,
    /// and the bytes were checked when they came in.
    fn union(&self) -> Option<HllUnion> {
        let mut union = HllUnion::new(LG_REGISTERS).ok()?;
        match self {
            Self::Exact(users) => users.iter().for_each(|user| union.update_value(*user)),
            Self::Sketch(registers) => union.update(&HllSketch::deserialize(registers).ok()?),
        }
        Some(union)
    }

    fn keep(&mut self, union: Option<HllUnion>) {
        if let Some(union) = union {
            *self = Self::Sketch(union.to_sketch(HllType::Hll8).serialize());
        }
    }

    /// How many there are.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        if let Self::Exact(users) = self {
            let users = users.len() as u64;
            return Estimate {
                users,
                least: users,
                most: users,
            };
        }
        let of = |number: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate is never negative, and far below 2^63"
            )]
            let number = number.round() as u64;
            number
        };
        // The estimate that doesn't depend on the order in which the users came.
        self.union().map_or(
            Estimate {
                users: 0,
                least: 0,
                most: 0,
            },
            |union| {
                let users = of(union.composite_estimate());
                Estimate {
                    users,
                    least: of(union.lower_bound(NumStdDev::Two)).min(users),
                    most: of(union.upper_bound(NumStdDev::Two)).max(users),
                }
            },
        )
    }

    /// From registers that were stored.
    ///
    /// # Errors
    /// When they are none.
    pub(super) fn from_registers(registers: &[u8]) -> Result<Self, Invalid> {
        const BROKEN: Invalid = Invalid::new("must be the registers of a HyperLogLog");
        let sketch = HllSketch::deserialize(registers).map_err(|_| BROKEN)?;
        if sketch.lg_config_k() == LG_REGISTERS {
            Ok(Self::Sketch(registers.to_owned()))
        } else {
            Err(BROKEN)
        }
    }
}
