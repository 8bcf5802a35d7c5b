//! What a warehouse's API answers when it is asked for levels of stock, page by page.
//!
//! A list of objects of `atualizacoes_estoque`, or `{"itens": [...], "proximo": "<cursor>"}`; the next
//! page is asked with the parameter `cursor`. A header `Link: <address>; rel="next"` (RFC 8288)
//! serves as well.

use serde_json::Value;

use crate::fields::BadMessage;

/// Most objects of one page.
pub const MOST_ITEMS: usize = 10_000;
/// Longest cursor, in bytes.
const LONGEST_CURSOR: usize = 2_000;

/// One page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StockPage {
    /// Its objects, not judged yet.
    pub items: Vec<Value>,
    /// What asks for the next page; none after the last.
    pub cursor: Option<String>,
}

/// Reads a page.
///
/// # Errors
/// When it is none.
pub fn read(body: &[u8]) -> Result<StockPage, BadMessage> {
    const RULE: BadMessage = BadMessage::invalid(
        "itens",
        "must be a list of at most 10000, with proximo as a text or number",
    );
    let (items, cursor) = match serde_json::from_slice(body) {
        Ok(Value::Array(items)) => (items, None),
        Ok(Value::Object(mut fields)) => {
            let Some(Value::Array(items)) = fields.remove("itens") else {
                return Err(RULE);
            };
            let cursor = match fields.remove("proximo") {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(_) => return Err(RULE),
            };
            (items, cursor)
        }
        _ => return Err(BadMessage::NOT_JSON),
    };
    let fits = cursor
        .as_ref()
        .is_none_or(|text| text.len() <= LONGEST_CURSOR);
    if items.len() > MOST_ITEMS || !fits {
        return Err(RULE);
    }
    Ok(StockPage { items, cursor })
}

/// The address of the next page in a `Link` header.
#[must_use]
pub fn next_link(header: &str) -> Option<&str> {
    let is_next = |part: &str| matches!(part.trim(), "rel=next" | "rel=\"next\"");
    let mut rest = header;
    loop {
        let (address, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, others) = after.split_at(after.find('<').unwrap_or(after.len()));
        if parameters.split([';', ',']).any(is_next) {
            return Some(address);
        }
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_a_list_or_an_object_with_what_comes_next() {
        let page = |value: &Value| read(value.to_string().as_bytes());
        let one = json!({"id_produto": "p"});
        let cursor = |next: Value| {
            page(&json!({"itens": [one], "proximo": next}))
                .unwrap()
                .cursor
        };
        assert_eq!(
            page(&json!([one])).unwrap().items,
            std::slice::from_ref(&one)
        );
        assert_eq!(cursor(json!("abc")).as_deref(), Some("abc"));
        assert_eq!(cursor(json!(2)).as_deref(), Some("2"));
        assert_eq!((cursor(json!("")), cursor(Value::Null)), (None, None));
        for refused in [
            json!({}),
            json!({"itens": 1}),
            json!({"itens": [], "proximo": []}),
            json!({"itens": [], "proximo": "x".repeat(2_001)}),
            json!(vec![0; MOST_ITEMS + 1]),
            json!("x"),
        ] {
            assert!(page(&refused).is_err());
        }
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let header = "<https://a/1>; rel=\"prev\", <https://a/3?x=1;2>; title=x; rel=\"next\"";
        assert_eq!(next_link(header), Some("https://a/3?x=1;2"));
        assert_eq!(next_link("<https://a/1>; rel=\"last\""), None);
        assert_eq!(next_link("nada"), None);
    }
}
