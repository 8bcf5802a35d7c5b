//! Sales summaries, asked of the warehouse.

use domain::{
    lake::{Snapshot, SnapshotId, Table},
    sales::{Group, Grouping, Question, Sums},
    time::UtcMillis,
};
use tokio_postgres::{
    Client, IsolationLevel, Transaction,
    error::SqlState,
    types::{ToSql, Type},
};

use crate::{Warehouse, WarehouseError};

/// The version of a table, and when it was loaded.
pub(crate) const VERSION: &str = "SELECT versao, \
    TO_CHAR(carregado_em, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM feira_versoes WHERE tabela = $1";

/// Which version of the lake the warehouse holds, and when that was loaded; `None` before the first
/// sync.
///
/// # Errors
/// When the warehouse fails.
pub async fn version(warehouse: &Warehouse) -> Result<Option<Snapshot>, WarehouseError> {
    let mut guard = warehouse.client().await?;
    let transaction = one_state(guard.get()?).await?;
    held_version(&transaction).await
}

/// All groups of an answer at a version, in no order; `None` when the warehouse holds another one.
///
/// # Errors
/// When the warehouse fails, or a sum is beyond what an i64 holds.
pub async fn answer(
    warehouse: &Warehouse,
    version: SnapshotId,
    question: &Question,
) -> Result<Option<Vec<Group>>, WarehouseError> {
    let (statement, texts) = statement(question);
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = texts
        .iter()
        .map(|text| (text as &(dyn ToSql + Sync), Type::VARCHAR))
        .collect();
    let mut guard = warehouse.client().await?;
    let transaction = one_state(guard.get()?).await?;
    let held = held_version(&transaction).await?;
    if held.is_none_or(|held| held.id != version) {
        return Ok(None);
    }
    let rows = transaction.query_typed(&statement, &parameters).await?;
    let groups = rows.iter().map(|row| {
        Ok(Group {
            key: row.try_get(0)?,
            sums: Sums {
                quantity: row.try_get(1)?,
                revenue_centavos: row.try_get(2)?,
                orders: row.try_get(3)?,
            },
        })
    });
    groups.collect::<Result<_, WarehouseError>>().map(Some)
}

/// One state for all of its queries, whatever is synced meanwhile.
async fn one_state(client: &mut Client) -> Result<Transaction<'_>, WarehouseError> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead);
    Ok(transaction.start().await?)
}

async fn held_version(transaction: &Transaction<'_>) -> Result<Option<Snapshot>, WarehouseError> {
    let rows = transaction
        .query_typed(VERSION, &[(&Table::Sales.name(), Type::VARCHAR)])
        .await;
    let rows = match rows {
        // Nothing was ever synced.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(None),
        rows => rows?,
    };
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let committed: &str = row.try_get(1)?;
    Ok(Some(Snapshot {
        id: SnapshotId(row.try_get(0)?),
        committed: UtcMillis::parse(committed).map_err(|_| WarehouseError::Answer("time"))?,
    }))
}

/// The statement and the values of its `$1`, `$2`, ….
pub(crate) fn statement(question: &Question) -> (String, Vec<String>) {
    let key = match question.grouping {
        Grouping::Product => "id_produto",
        Grouping::Region => "regiao",
        Grouping::Category => "categoria",
        Grouping::Day => "TO_CHAR(dia, 'YYYY-MM-DD')",
        Grouping::Month => "TO_CHAR(dia, 'YYYY-MM')",
    };
    let conditions = [
        (
            "dia >= CAST($ AS DATE)",
            question.from.map(|day| day.to_string()),
        ),
        (
            "dia <= CAST($ AS DATE)",
            question.to.map(|day| day.to_string()),
        ),
        ("regiao = $", question.region.clone()),
        ("categoria = $", question.category.clone()),
        ("id_produto = $", question.product.clone()),
    ];
    let mut values = Vec::new();
    let mut narrowed = Vec::new();
    for (condition, value) in conditions {
        match value {
            None => {}
            // What nobody knows is null in the table.
            Some(value) if value.is_empty() => narrowed.push(condition.replace("= $", "IS NULL")),
            Some(value) => {
                values.push(value);
                narrowed.push(condition.replace('$', &format!("${}", values.len())));
            }
        }
    }
    let narrowed = if narrowed.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", narrowed.join(" AND "))
    };
    let statement = format!(
        "SELECT {key}, CAST(SUM(CAST(quantidade AS BIGINT)) AS BIGINT), \
         CAST(SUM(quantidade * preco) * 100 AS BIGINT), \
         CAST(COUNT(DISTINCT id_pedido) AS BIGINT) FROM vendas{narrowed} GROUP BY {key}"
    );
    (statement, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Day;

    #[test]
    fn values_are_never_part_of_the_statement() {
        let question = Question {
            grouping: Grouping::Month,
            from: Some(Day::parse("2026-01-01").unwrap()),
            to: Some(Day::parse("2026-12-31").unwrap()),
            region: Some("SP'; DROP TABLE vendas; --".to_owned()),
            category: None,
            product: Some("p1".to_owned()),
        };
        let (statement, values) = statement(&question);
        insta::assert_snapshot!(statement);
        assert_eq!(values.len(), 4);
    }

    #[test]
    fn an_empty_text_asks_for_what_nobody_knows() {
        let question = Question {
            grouping: Grouping::Product,
            from: None,
            to: None,
            region: Some(String::new()),
            category: Some("casa".to_owned()),
            product: None,
        };
        let (statement, values) = statement(&question);
        let narrowed = "WHERE regiao IS NULL AND categoria = $1 GROUP BY";
        assert!(statement.contains(narrowed), "{statement}");
        assert_eq!(values, ["casa"]);
    }
}
