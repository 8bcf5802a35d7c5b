//! Where a page ended: on which version of the data, and after how many groups.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::lake::SnapshotId;
use domain::time::UtcMillis;
use sha2::{Digest, Sha256};

use crate::parameters::Asked;

const CHECK_BYTES: usize = 8;
const PLACE_BYTES: usize = 24;

/// Stands for the time of what was never loaded.
const NEVER_MS: i64 = i64::MIN;

/// A place in the answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The version of the data.
    pub version: SnapshotId,
    /// When it was loaded, where anything was.
    pub loaded: Option<UtcMillis>,
    /// Groups before it.
    pub passed: u64,
}

impl Cursor {
    /// As a text that holds for this question only.
    pub fn text(self, asked: &Asked) -> String {
        let place = self.place();
        let mut bytes = place.to_vec();
        bytes.extend_from_slice(&check(&place, asked));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// From a text that was made for this question.
    pub fn parse(text: &str, asked: &Asked) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (place, found) = bytes.split_first_chunk::<PLACE_BYTES>()?;
        if found != check(place, asked) {
            return None;
        }
        let (version, rest) = place.split_first_chunk::<8>()?;
        let (loaded, passed) = rest.split_first_chunk::<8>()?;
        let loaded = match i64::from_be_bytes(*loaded) {
            NEVER_MS => None,
            loaded => Some(UtcMillis::new(loaded).ok()?),
        };
        Some(Self {
            version: SnapshotId(i64::from_be_bytes(*version)),
            loaded,
            passed: u64::from_be_bytes(passed.try_into().ok()?),
        })
    }

    fn place(self) -> [u8; PLACE_BYTES] {
        let loaded = self.loaded.map_or(NEVER_MS, UtcMillis::get);
        let parts = [
            self.version.0.to_be_bytes(),
            loaded.to_be_bytes(),
            self.passed.to_be_bytes(),
        ];
        let mut place = [0; PLACE_BYTES];
        for (to, from) in place.iter_mut().zip(parts.as_flattened()) {
            *to = *from;
        }
        place
    }
}

/// Tells a text that was cut, mistyped or taken to another question.
fn check(place: &[u8], asked: &Asked) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new()
        .chain_update(place)
        .chain_update(asked.canonical())
        .finalize();
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(digest) {
        *to = from;
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ranking;
    use domain::sales::{Grouping, Question};

    fn asked(region: Option<&str>) -> Asked {
        Asked {
            question: Question {
                grouping: Grouping::Product,
                from: None,
                to: None,
                region: region.map(str::to_owned),
                category: None,
                product: None,
            },
            ranking: Ranking::Quantity,
        }
    }

    #[test]
    fn a_cursor_holds_for_its_question_only() {
        let cursor = Cursor {
            version: SnapshotId(42),
            loaded: UtcMillis::parse("2026-11-20T12:00:00.250Z").ok(),
            passed: 1_000,
        };
        let text = cursor.text(&asked(None));
        assert_eq!(Cursor::parse(&text, &asked(None)), Some(cursor));
        let never = Cursor {
            loaded: None,
            ..cursor
        };
        let told = never.text(&asked(None));
        assert_eq!(Cursor::parse(&told, &asked(None)), Some(never));
        assert_eq!(Cursor::parse(&text, &asked(Some(""))), None);
        assert_eq!(Cursor::parse(&text, &asked(Some("SP"))), None);
        for wrong in ["", "AAAA", "é", &text[1..], &"A".repeat(1_000)] {
            assert_eq!(Cursor::parse(wrong, &asked(None)), None, "{wrong}");
        }
    }
}
