//! The tables of the warehouse, one file each: `schema/*.sql` is what Redshift is told, and what an
//! analyst reads.

use domain::lake::Table;

/// The statement that makes a table, its distribution and sort keys at table level.
#[must_use]
pub const fn create_statement(table: Table) -> Option<&'static str> {
    match table {
        Table::Sales => Some(include_str!("../schema/vendas.sql")),
        Table::CustomerEvents => Some(include_str!("../schema/eventos_clientes.sql")),
        Table::Stock => Some(include_str!("../schema/estoque.sql")),
        Table::MostViewed => Some(include_str!("../schema/produtos_mais_vistos.sql")),
        // What it says is done to `vendas`, and needs no table.
        Table::OrdersWithoutSale => None,
    }
}

/// Which files of the lake are in which table.
pub const FILES: &str = include_str!("../schema/feira_arquivos.sql");

/// Which version of the lake a table holds.
pub const VERSIONS: &str = include_str!("../schema/feira_versoes.sql");

/// The columns of a table, quoted, in the lake's order: `"id_pedido", "id_produto", …`.
pub(crate) fn columns(table: Table) -> String {
    let quoted: Vec<String> = table
        .columns()
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// COPY of Parquet fills columns by their place.
    #[test]
    fn a_table_has_the_lakes_columns_in_the_lakes_order() {
        for table in Table::ALL {
            let Some(statement) = create_statement(table) else {
                continue;
            };
            let inside = statement.split_once('(').unwrap().1;
            let inside = inside.split_once("\n)").unwrap().0;
            let names: Vec<String> = inside
                .lines()
                .filter_map(|line| line.split_whitespace().next())
                .map(|name| name.trim_matches('"').to_owned())
                .collect();
            let expected: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
            assert_eq!(names, expected, "{}", table.name());
            assert!(statement.contains(&format!("EXISTS {} (", table.name())));
        }
    }
}
