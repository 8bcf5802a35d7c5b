//! Where a page ended: on which version of the data, and after how many groups.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::lake::SnapshotId;
use sha2::{Digest, Sha256};

use crate::parameters::Asked;

const CHECK_BYTES: usize = 8;
const PLACE_BYTES: usize = 16;

/// A place in the answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The version of the data.
    pub version: SnapshotId,
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
        let (version, passed) = place.split_first_chunk::<8>()?;
        Some(Self {
            version: SnapshotId(i64::from_be_bytes(*version)),
            passed: u64::from_be_bytes(passed.try_into().ok()?),
        })
    }

    fn place(self) -> [u8; PLACE_BYTES] {
        let both = (u128::from(self.version.0.cast_unsigned()) << 64) | u128::from(self.passed);
        both.to_be_bytes()
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
            passed: 1_000,
        };
        let text = cursor.text(&asked(None));
        assert_eq!(Cursor::parse(&text, &asked(None)), Some(cursor));
        assert_eq!(Cursor::parse(&text, &asked(Some(""))), None);
        assert_eq!(Cursor::parse(&text, &asked(Some("SP"))), None);
        for wrong in ["", "AAAA", "é", &text[1..], &"A".repeat(1_000)] {
            assert_eq!(Cursor::parse(wrong, &asked(None)), None, "{wrong}");
        }
    }
}
