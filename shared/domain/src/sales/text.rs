//! Texts of a sales file: ids, regions, categories.

use crate::sales::fault::Fault;

/// The longest `id_pedido` or `id_produto`, in characters.
pub const LONGEST_ID: usize = 64;
/// The longest `regiao` or `categoria`, in characters.
pub const LONGEST_NAME: usize = 100;

/// The trimmed text of a field that must be there.
///
/// # Errors
/// [`Fault::Missing`] and those of [`optional`].
pub fn required(field: &[u8], longest: usize) -> Result<&str, Fault> {
    match optional(field, longest) {
        Ok("") => Err(Fault::Missing),
        other => other,
    }
}

/// The trimmed text of a field that may be empty.
///
/// # Errors
/// [`Fault::TextInvalid`] where it is no UTF-8 or has a control character; [`Fault::TextTooLong`].
pub fn optional(field: &[u8], longest: usize) -> Result<&str, Fault> {
    let text = std::str::from_utf8(field)
        .map_err(|_| Fault::TextInvalid)?
        .trim();
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !is_plain && text.chars().any(char::is_control) {
        return Err(Fault::TextInvalid);
    }
    // No text has more characters than bytes.
    if text.len() > longest && (is_plain || text.chars().count() > longest) {
        return Err(Fault::TextTooLong);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_and_bounded() {
        assert_eq!(required("  São Paulo\t".as_bytes(), 9), Ok("São Paulo"));
        assert_eq!(required(b" ", 9), Err(Fault::Missing));
        assert_eq!(optional(b" ", 9), Ok(""));
        assert_eq!(
            required("çççççççççç".as_bytes(), 9),
            Err(Fault::TextTooLong)
        );
        assert_eq!(required(b"0123456789", 9), Err(Fault::TextTooLong));
        assert_eq!(required(b"a\nb", 9), Err(Fault::TextInvalid));
        assert_eq!(required(b"a\x00b", 9), Err(Fault::TextInvalid));
        assert_eq!(required("a\u{85}b".as_bytes(), 9), Err(Fault::TextInvalid));
        assert_eq!(required(&[0xff, 0xfe], 9), Err(Fault::TextInvalid));
    }
}
