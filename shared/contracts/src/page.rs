//! A page of a list: every list is paged by cursor and says when there is more.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

/// Longest cursor that is looked at, in bytes.
const LONGEST_CURSOR: usize = 512;

/// `{"itens":[…],"tem_mais":true,"proximo":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageBody<T> {
    /// The rows.
    pub itens: Vec<T>,
    /// Whether more follow.
    pub tem_mais: bool,
    /// What to send as `cursor` to get them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proximo: Option<String>,
}

impl<T> PageBody<T> {
    /// A page; `place` tells the keys of its last row, at which the next page begins.
    pub fn new(itens: Vec<T>, tem_mais: bool, place: impl Fn(&T) -> Vec<String>) -> Self {
        let last = itens.last().filter(|_| tem_mais);
        let proximo = last.map(|row| encode_cursor(&place(row)));
        Self {
            itens,
            tem_mais,
            proximo,
        }
    }
}

/// An opaque text of the keys at which a page ends.
#[must_use]
pub fn encode_cursor(keys: &[String]) -> String {
    URL_SAFE_NO_PAD.encode(keys.join("\n"))
}

/// The `count` keys of a cursor; nothing when it is none of ours.
#[must_use]
pub fn decode_cursor(cursor: &str, count: usize) -> Option<Vec<String>> {
    if cursor.len() > LONGEST_CURSOR {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let keys: Vec<String> = text.split('\n').map(str::to_owned).collect();
    (keys.len() == count && keys.iter().all(|key| !key.is_empty())).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_the_last_rows_keys() {
        let page = PageBody::new(vec!["a".to_owned()], true, |row| {
            vec![row.clone(), "é".into()]
        });
        let cursor = page.proximo.unwrap();
        assert_eq!(
            decode_cursor(&cursor, 2),
            Some(vec!["a".to_owned(), "é".to_owned()])
        );
        for wrong in ["", "%", "YQ", "é"] {
            assert_eq!(decode_cursor(wrong, 2), None, "{wrong}");
        }
        let last = PageBody::new(vec!["a".to_owned()], false, |row| vec![row.clone()]);
        assert_eq!(last.proximo, None);
    }
}
