//! A company's own sales in PostgreSQL.

use domain::time::Day;
use sql_store::sales_source::{
    COLUMNS, REFUSED, SourceLine, UNREACHABLE, UNREADABLE, checked, whole_orders,
};
use warehouse::{Tls, WarehouseError, source::SourceQuery};

/// The query of [`sql_store::sales_source::SalesQuery`], on PostgreSQL.
pub struct PostgresQuery {
    query: Box<SourceQuery>,
}

impl PostgresQuery {
    /// A query on the database of `url`.
    ///
    /// # Errors
    /// When it is no such query, or the URL can't be read; it is not quoted.
    pub fn open(url: &str, tls: Tls, query: &str) -> Result<Self, &'static str> {
        let query = SourceQuery::open(url, tls, checked(query)?);
        let query = query.map_err(
            |_| "SALES_SOURCE_URL must be postgresql://user:password@host:5432/database",
        )?;
        Ok(Self {
            query: Box::new(query),
        })
    }

    /// See [`sql_store::sales_source::SalesQuery::page`].
    ///
    /// # Errors
    /// A stable code, when the database can't be read.
    pub async fn page(
        &self,
        date: Day,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<SourceLine>, bool), &'static str> {
        let date = date.to_string();
        let rows = self.query.rows([&date, after], limit.into(), &COLUMNS);
        let rows = rows.await.map_err(|error| {
            tracing::error!(%error, "the company's sales cannot be read");
            match error {
                WarehouseError::Unreachable => UNREACHABLE,
                _ => REFUSED,
            }
        })?;
        let line = |row: Vec<Option<String>>| {
            SourceLine::of(|name| {
                let place = COLUMNS.iter().position(|column| *column == name)?;
                row.get(place).cloned().flatten()
            })
        };
        let lines: Option<Vec<SourceLine>> = rows.into_iter().map(line).collect();
        whole_orders(lines.ok_or(UNREADABLE)?, after, limit)
    }
}
