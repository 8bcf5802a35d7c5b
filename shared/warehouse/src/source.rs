//! A company's own PostgreSQL (or Redshift), asked for sales by a query.

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::{Tls, Warehouse, WarehouseError};

/// A row: each of the columns that were asked for as a text; `None` where it is null, missing, or
/// neither text nor a whole number.
pub type SourceRow = Vec<Option<String>>;

/// A query with three `?`: two texts and a whole number.
pub struct SourceQuery {
    database: Warehouse,
    statement: String,
}

impl SourceQuery {
    /// A query on the database of `url`; nothing is connected yet.
    ///
    /// # Errors
    /// When the URL can't be read.
    pub fn open(url: &str, tls: Tls, query: &str) -> Result<Self, WarehouseError> {
        Ok(Self {
            database: Warehouse::open(url, tls)?,
            statement: numbered(query),
        })
    }

    /// The rows for these values. A query that would write is refused by the server.
    ///
    /// # Errors
    /// When the database does not answer or refuses.
    pub async fn rows(
        &self,
        texts: [&str; 2],
        limit: i64,
        columns: &[&str],
    ) -> Result<Vec<SourceRow>, WarehouseError> {
        let [first, second] = texts;
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&first, Type::TEXT),
            (&second, Type::TEXT),
            (&limit, Type::INT8),
        ];
        let mut guard = self.database.client().await?;
        let transaction = guard.get()?.build_transaction().read_only(true);
        let transaction = transaction.start().await?;
        let rows = transaction.query_typed(&self.statement, &values).await?;
        let read = |row: &Row| columns.iter().map(|name| text_of(row, name)).collect();
        Ok(rows.iter().map(read).collect())
    }
}

/// `$1`, `$2`, … in the place of each `?`.
fn numbered(query: &str) -> String {
    let mut statement = String::with_capacity(query.len() + 4);
    for (place, part) in query.split('?').enumerate() {
        if place > 0 {
            statement.push('$');
            statement.push_str(&place.to_string());
        }
        statement.push_str(part);
    }
    statement
}

fn text_of(row: &Row, name: &str) -> Option<String> {
    let column = row.columns().iter().position(|one| one.name() == name)?;
    let text = row.try_get::<_, Option<String>>(column).ok().flatten();
    let wide = || row.try_get::<_, i64>(column).map(|n| n.to_string()).ok();
    let narrow = || row.try_get::<_, i32>(column).map(|n| n.to_string()).ok();
    let small = || row.try_get::<_, i16>(column).map(|n| n.to_string()).ok();
    text.or_else(wide).or_else(narrow).or_else(small)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_places_in_order() {
        let query = "SELECT 1 WHERE a = CAST(? AS date) AND b > ? LIMIT ?";
        assert_eq!(
            numbered(query),
            "SELECT 1 WHERE a = CAST($1 AS date) AND b > $2 LIMIT $3"
        );
    }
}
