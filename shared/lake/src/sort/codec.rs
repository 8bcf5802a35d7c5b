//! How records stand in a run on disk: whole numbers in as few bytes as they need.

/// Appends a number, seven bits a byte.
pub fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Appends a number that may be negative.
pub fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put(bytes, ((value << 1) ^ (value >> 63)) as u64);
}

/// Takes a number off the front; `None` where the bytes end.
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Takes a number that may be negative.
pub fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let value = take(bytes)?;
    Some(((value >> 1) as i64) ^ -((value & 1) as i64))
}

/// Takes so many bytes.
pub fn take_bytes<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, -1, 127, 128, -300, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            put(&mut bytes, value as u64);
            let mut rest = bytes.as_slice();
            assert_eq!(take_signed(&mut rest), Some(value));
            assert_eq!(take(&mut rest), Some(value as u64));
            assert_eq!(take(&mut rest), None);
        }
    }
}
