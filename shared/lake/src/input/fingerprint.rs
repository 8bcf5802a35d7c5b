//! A hash of a line as it was written. Lines are told apart by it within one order and day only, so
//! 64 bits are exact for every file that there will be.

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

/// The fingerprint of a line's bytes (the folded multiplication of wyhash).
pub(super) fn fingerprint(line: &[u8]) -> u64 {
    let mut state = FIRST ^ (line.len() as u64);
    let mut chunks = line.chunks_exact(8);
    for chunk in &mut chunks {
        state = fold(state ^ word(chunk), SECOND);
    }
    fold(fold(state ^ word(chunks.remainder()), SECOND), FIRST)
}

fn word(bytes: &[u8]) -> u64 {
    match <[u8; 8]>::try_from(bytes) {
        Ok(bytes) => u64::from_le_bytes(bytes),
        Err(_) => bytes
            .iter()
            .fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    }
}

/// The upper and the lower half of a product, which each depend on every bit.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    let [high, low] = [product >> 64, product & u128::from(u64::MAX)];
    u64::try_from(high ^ low).unwrap_or_default() ^ left.rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn lines_that_differ_in_little_have_other_fingerprints() {
        let mut seen = HashSet::new();
        for order in 0..300 {
            for product in 0..300 {
                let line = format!("{order},{product},1,39.90,2026-11-20");
                assert!(seen.insert(fingerprint(line.as_bytes())), "{line}");
            }
        }
        assert!(seen.insert(fingerprint(b"")));
        assert!(seen.insert(fingerprint(b"\0")));
        assert!(seen.insert(fingerprint(b"\0\0")));
    }
}
