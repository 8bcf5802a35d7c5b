//! A company's own sales, by a query on its database.

use domain::time::Day;
use sea_orm::{DbErr, FromQueryResult, QueryResult};

use crate::{Store, StoreError, Tx, values};

/// The columns of a line; the last two may be missing.
pub const COLUMNS: [&str; 7] = [
    "id_pedido",
    "id_produto",
    "quantidade",
    "preco",
    "data",
    "regiao",
    "categoria",
];

/// A query gave no such rows.
pub const UNREADABLE: &str = "origem_ilegivel";
/// The database does not answer.
pub const UNREACHABLE: &str = "origem_inacessivel";
/// The database refuses the query.
pub const REFUSED: &str = "origem_recusou";
/// An order with more lines than a page has rows can't be told whole.
const TOO_LARGE: &str = "origem_pedido_longo";

/// A line of a sale, in the words of the company. What is wrong in it the load will say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLine {
    /// `id_pedido`.
    pub order: String,
    /// `id_produto`.
    pub product: String,
    /// `quantidade`.
    pub quantity: String,
    /// `preco`.
    pub price: String,
    /// `data`.
    pub sold: String,
    /// `regiao`; empty without it.
    pub region: String,
    /// `categoria`; empty without it.
    pub category: String,
}

impl SourceLine {
    /// From the texts of [`COLUMNS`]; `None` where one is missing that must be there.
    #[must_use]
    pub fn of(text: impl Fn(&str) -> Option<String>) -> Option<Self> {
        Some(Self {
            order: text("id_pedido")?,
            product: text("id_produto")?,
            quantity: text("quantidade")?,
            price: text("preco")?,
            sold: text("data")?,
            region: text("regiao").unwrap_or_default(),
            category: text("categoria").unwrap_or_default(),
        })
    }
}

/// A query with three `?`: the date, the order after which a page begins, and its size in rows. It
/// gives `id_pedido`, `id_produto`, `quantidade`, `preco`, `data` and, where the company has them,
/// `regiao` and `categoria`, as texts or whole numbers, in the order of the orders byte by byte.
pub struct SalesQuery {
    store: Store,
    query: String,
}

impl SalesQuery {
    /// A query on `store`.
    ///
    /// # Errors
    /// When it is no such query.
    pub fn new(store: Store, query: &str) -> Result<Self, &'static str> {
        Ok(Self {
            store,
            query: checked(query)?.to_owned(),
        })
    }

    /// Whole orders of a date after `after`, and whether there are more. Lines of an order are put
    /// in an order of their own, so that the same rows are always the same bytes.
    ///
    /// # Errors
    /// A stable code, when the database can't be read.
    pub async fn page(
        &self,
        date: Day,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<SourceLine>, bool), &'static str> {
        let work = async |tx: &Tx| {
            let values = values![date.to_string(), after, limit];
            tx.all::<Row>(&self.query, values).await
        };
        let rows: Result<Vec<Row>, StoreError> = self.store.transact(work).await;
        let rows = rows.map_err(|error| {
            tracing::error!(%error, "the company's sales cannot be read");
            if error.is_transient() {
                UNREACHABLE
            } else {
                REFUSED
            }
        })?;
        let lines: Option<Vec<SourceLine>> = rows.into_iter().map(|row| row.0).collect();
        whole_orders(lines.ok_or(UNREADABLE)?, after, limit)
    }
}

/// The query, where it is one that only reads and has three `?`.
///
/// # Errors
/// A sentence, when it is no such query.
pub fn checked(query: &str) -> Result<&str, &'static str> {
    let query = query.trim();
    let begins = |word: &str| {
        let head = query.get(..word.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    let reads = begins("select ") || begins("with ");
    if !reads || query.contains(';') || query.matches('?').count() != 3 {
        return Err(
            "SALES_QUERY must be one SELECT with three ?: the date, the order after which a page \
             begins, and its size",
        );
    }
    Ok(query)
}

/// Leaves out the last order of a full page: the page may have cut it.
///
/// # Errors
/// A stable code, for rows out of order and for an order that is longer than a page.
pub fn whole_orders(
    mut lines: Vec<SourceLine>,
    after: &str,
    limit: u32,
) -> Result<(Vec<SourceLine>, bool), &'static str> {
    let in_order = lines.windows(2).all(|pair| match pair {
        [left, right] => left.order <= right.order,
        _ => true,
    });
    if !in_order
        || lines
            .first()
            .is_some_and(|line| line.order.as_str() <= after)
    {
        return Err(UNREADABLE);
    }
    let is_full = u32::try_from(lines.len()).is_ok_and(|rows| rows >= limit);
    if is_full && let Some(last) = lines.last().map(|line| line.order.clone()) {
        lines.retain(|line| line.order != last);
        if lines.is_empty() {
            return Err(TOO_LARGE);
        }
    }
    lines.sort();
    Ok((lines, is_full))
}

/// `None` for a row that lacks a column, or has one that is neither text nor a whole number.
struct Row(Option<SourceLine>);

impl FromQueryResult for Row {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let text = |name: &str| -> Option<String> {
            let signed = || row.try_get::<i64>(prefix, name).map(|n| n.to_string());
            let unsigned = || row.try_get::<u64>(prefix, name).map(|n| n.to_string());
            let text = row.try_get::<String>(prefix, name);
            text.or_else(|_| signed()).or_else(|_| unsigned()).ok()
        };
        Ok(Self(SourceLine::of(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(order: &str, product: &str) -> SourceLine {
        SourceLine {
            order: order.to_owned(),
            product: product.to_owned(),
            quantity: "1".to_owned(),
            price: "1.00".to_owned(),
            sold: "2026-11-20".to_owned(),
            region: String::new(),
            category: String::new(),
        }
    }

    #[test]
    fn an_order_that_a_page_may_have_cut_comes_with_the_next() {
        let lines = vec![line("a", "2"), line("a", "1"), line("b", "1")];
        let (page, more) = whole_orders(lines.clone(), "", 3).unwrap();
        assert_eq!((page, more), (vec![line("a", "1"), line("a", "2")], true));
        let (page, more) = whole_orders(lines, "", 4).unwrap();
        assert_eq!((page.len(), more), (3, false));
        let one = vec![line("a", "1"), line("a", "2")];
        assert_eq!(whole_orders(one, "", 2), Err(TOO_LARGE));
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        let lines = vec![line("b", "1"), line("a", "1")];
        assert_eq!(whole_orders(lines, "", 9), Err(UNREADABLE));
        assert_eq!(whole_orders(vec![line("a", "1")], "a", 9), Err(UNREADABLE));
    }
}
