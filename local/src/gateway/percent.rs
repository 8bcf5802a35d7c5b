//! Percent-decoding as API Gateway does it before it hands values over.

/// Decodes `%XX`; a broken escape stays as it stands, bad UTF-8 becomes the replacement sign.
pub fn decode_path(text: &str) -> String {
    decode(text, false)
}

/// Like [`decode_path`], and `+` is a blank.
pub fn decode_query(text: &str) -> String {
    decode(text, true)
}

fn decode(text: &str, is_plus_blank: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' if is_plus_blank => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let pair = (
                    ahead.next().and_then(hex_digit),
                    ahead.next().and_then(hex_digit),
                );
                if let (Some(high), Some(low)) = pair {
                    bytes.push(high << 4 | low);
                    rest = ahead;
                } else {
                    bytes.push(byte);
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(decode_path("a%20b+c"), "a b+c");
        assert_eq!(decode_query("a%20b+c"), "a b c");
        assert_eq!(decode_path("100%"), "100%");
        assert_eq!(decode_path("%zz%C3%A3"), "%zzã");
    }
}
