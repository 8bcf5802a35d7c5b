//! The lake's new files into the warehouse, exactly once: which files are in stands in the warehouse
//! itself, and changes in the transaction that changes the rows.

use std::collections::BTreeSet;

use domain::lake::{DataFile, Snapshot, Table};
use tokio_postgres::{Transaction, types::Type};

use crate::{Warehouse, WarehouseError, schema};

/// Two at a time would both find the same files missing. It is the first statement of its transaction,
/// so that what is read after it is what the other one left
/// (<https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html>).
const LOCK: &str = "LOCK TABLE feira_arquivos";
const KNOWN_FILES: &str = "SELECT arquivo FROM feira_arquivos WHERE tabela = $1";
const ADD_FILE: &str = "INSERT INTO feira_arquivos (tabela, arquivo, nome) VALUES ($1, $2, $3)";
const END_FILE: &str = "DELETE FROM feira_arquivos WHERE tabela = $1 AND arquivo = $2";
const END_VERSION: &str = "DELETE FROM feira_versoes WHERE tabela = $1";
const ADD_VERSION: &str = "INSERT INTO feira_versoes (tabela, versao, carregado_em) \
    VALUES ($1, $2, CAST($3 AS TIMESTAMP))";

/// How the rows of files come into a staging table: COPY on Redshift.
pub trait LoadStep {
    /// The statement that makes a table, as this database understands it.
    fn create_statement(&self, statement: &str) -> String;

    /// Puts the rows of `files` into the empty table `staging`, which has the columns of `table`.
    fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        table: Table,
        files: &[DataFile],
    ) -> impl Future<Output = Result<(), WarehouseError>>;
}

/// The transaction of a sync, for the load step.
pub struct Statements<'a>(&'a Transaction<'a>);

impl Statements<'_> {
    /// Runs a statement.
    ///
    /// # Errors
    /// When the warehouse refuses it.
    pub async fn run(&self, statement: &str) -> Result<(), WarehouseError> {
        Ok(self.0.batch_execute(statement).await?)
    }
}

/// The files that a table of the lake has at a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFiles {
    /// The table.
    pub table: Table,
    /// Its files.
    pub files: Vec<DataFile>,
}

/// What a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Synced {
    /// Files that came in.
    pub added: usize,
    /// Files that are no longer part of the lake.
    pub ended: usize,
    /// Rows deleted.
    pub deleted_rows: u64,
    /// Rows inserted.
    pub inserted_rows: u64,
}

/// The tables that are synced in one transaction: what `pedidos_sem_venda` says is done to `vendas`.
#[must_use]
pub const fn sources(target: Table) -> &'static [Table] {
    match target {
        Table::Sales => &[Table::Sales, Table::OrdersWithoutSale],
        Table::CustomerEvents => &[Table::CustomerEvents],
        Table::Stock => &[Table::Stock],
        Table::MostViewed => &[Table::MostViewed],
        Table::OrdersWithoutSale => &[],
    }
}

/// Brings `target` to the files of `live`, all of one snapshot, in one transaction, once its tables are
/// there. Doing it twice changes nothing.
///
/// # Errors
/// When the warehouse or the load step fails: nothing has changed then.
pub async fn sync(
    warehouse: &Warehouse,
    step: &impl LoadStep,
    target: Table,
    live: &[LiveFiles],
    snapshot: Snapshot,
) -> Result<Synced, WarehouseError> {
    let Some(create) = schema::create_statement(target) else {
        return Ok(Synced::default());
    };
    let mut guard = warehouse.client().await?;
    let client = guard.get()?;
    // Each commits by itself: a transaction's first CREATE takes its snapshot, and who then waits for
    // the lock would read files as they were before.
    for statement in [create, schema::FILES, schema::VERSIONS] {
        let statement = step.create_statement(statement);
        client.batch_execute(&statement).await?;
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    let mut synced = Synced::default();
    for one in live {
        let known = known_files(&transaction, one.table).await?;
        let missing = without(one, &known);
        let live_ids: BTreeSet<i64> = one.files.iter().map(|file| file.id).collect();
        let ended: Vec<i64> = known.difference(&live_ids).copied().collect();
        if !missing.files.is_empty() {
            let staging = format!("{}_nova", one.table.name());
            let make = staging_statement(&staging, one.table);
            transaction.batch_execute(&make).await?;
            let database = Statements(&transaction);
            step.load(&database, &staging, one.table, &missing.files)
                .await?;
            synced.deleted_rows += delete_replaced(&transaction, &staging, one.table).await?;
            if let Some(insert) = insert_statement(&staging, one.table) {
                synced.inserted_rows += transaction.execute(&insert, &[]).await?;
            }
            let drop = format!("DROP TABLE {staging}");
            transaction.batch_execute(&drop).await?;
        }
        mark(&transaction, &missing, &ended).await?;
        synced.added += missing.files.len();
        synced.ended += ended.len();
    }
    set_version(&transaction, target, snapshot).await?;
    transaction.commit().await?;
    Ok(synced)
}

fn without(live: &LiveFiles, known: &BTreeSet<i64>) -> LiveFiles {
    let files = live.files.iter().filter(|file| !known.contains(&file.id));
    LiveFiles {
        table: live.table,
        files: files.cloned().collect(),
    }
}

async fn known_files(
    transaction: &Transaction<'_>,
    table: Table,
) -> Result<BTreeSet<i64>, WarehouseError> {
    let rows = transaction
        .query_typed(KNOWN_FILES, &[(&table.name(), Type::VARCHAR)])
        .await?;
    let ids = rows.iter().map(|row| row.try_get(0));
    Ok(ids.collect::<Result<_, _>>()?)
}

fn staging_statement(staging: &str, table: Table) -> String {
    if schema::create_statement(table).is_some() {
        format!("CREATE TEMP TABLE {staging} (LIKE {})", table.name())
    } else {
        format!("CREATE TEMP TABLE {staging} (id_pedido VARCHAR(256), carga BIGINT)")
    }
}

/// The columns of the staged rows that say which rows they replace.
const fn keys(table: Table) -> &'static str {
    match table {
        Table::Sales => "id_pedido, carga, dia",
        Table::OrdersWithoutSale => "id_pedido",
        // Compaction brings the same rows in other files.
        Table::CustomerEvents => "id_evento",
        Table::Stock => "id_produto, ultima_atualizacao, nivel_estoque",
        Table::MostViewed => "id_produto, dia",
    }
}

/// Takes away what the staged rows replace. Rows that no new file speaks of stay.
fn delete_statement(table: Table) -> String {
    match table {
        // An order's living lines are all of one load; those of a rewritten file have its days.
        Table::Sales => "DELETE FROM vendas USING vendas_chaves chaves \
             WHERE vendas.id_pedido = chaves.id_pedido \
             AND (vendas.carga <> chaves.carga OR vendas.dia = chaves.dia)"
            .to_owned(),
        Table::OrdersWithoutSale => "DELETE FROM vendas USING pedidos_sem_venda_chaves chaves \
             WHERE vendas.id_pedido = chaves.id_pedido"
            .to_owned(),
        Table::CustomerEvents | Table::Stock | Table::MostViewed => {
            let name = table.name();
            let same: Vec<String> = keys(table)
                .split(", ")
                .map(|column| format!("{name}.{column} = chaves.{column}"))
                .collect();
            let same = same.join(" AND ");
            format!("DELETE FROM {name} USING {name}_chaves chaves WHERE {same}")
        }
    }
}

fn keys_statement(staging: &str, table: Table) -> String {
    let (name, keys) = (table.name(), keys(table));
    format!("CREATE TEMP TABLE {name}_chaves AS SELECT DISTINCT {keys} FROM {staging}")
}

async fn delete_replaced(
    transaction: &Transaction<'_>,
    staging: &str,
    table: Table,
) -> Result<u64, WarehouseError> {
    let make = keys_statement(staging, table);
    transaction.batch_execute(&make).await?;
    let deleted = transaction.execute(&delete_statement(table), &[]).await?;
    let drop = format!("DROP TABLE {}_chaves", table.name());
    transaction.batch_execute(&drop).await?;
    Ok(deleted)
}

/// None where the table is not one of the warehouse's.
fn insert_statement(staging: &str, table: Table) -> Option<String> {
    schema::create_statement(table)?;
    let (name, columns) = (table.name(), schema::columns(table));
    Some(format!(
        "INSERT INTO {name} ({columns}) SELECT {columns} FROM {staging}"
    ))
}

async fn mark(
    transaction: &Transaction<'_>,
    added: &LiveFiles,
    ended: &[i64],
) -> Result<(), WarehouseError> {
    let table = added.table.name();
    for file in &added.files {
        transaction
            .execute_typed(
                ADD_FILE,
                &[
                    (&table, Type::VARCHAR),
                    (&file.id, Type::INT8),
                    (&file.name.as_str(), Type::VARCHAR),
                ],
            )
            .await?;
    }
    for id in ended {
        transaction
            .execute_typed(END_FILE, &[(&table, Type::VARCHAR), (id, Type::INT8)])
            .await?;
    }
    Ok(())
}

async fn set_version(
    transaction: &Transaction<'_>,
    target: Table,
    snapshot: Snapshot,
) -> Result<(), WarehouseError> {
    let name = target.name();
    transaction
        .execute_typed(END_VERSION, &[(&name, Type::VARCHAR)])
        .await?;
    let loaded = snapshot.committed.to_string();
    transaction
        .execute_typed(
            ADD_VERSION,
            &[
                (&name, Type::VARCHAR),
                (&snapshot.id.0, Type::INT8),
                (&loaded.trim_end_matches('Z'), Type::VARCHAR),
            ],
        )
        .await?;
    Ok(())
}

/// What the sync of a table says, for a parser of Redshift's dialect.
#[cfg(test)]
pub(crate) fn statements(table: Table) -> Vec<String> {
    let staging = format!("{}_nova", table.name());
    let mut all = vec![
        staging_statement(&staging, table),
        keys_statement(&staging, table),
        delete_statement(table),
        format!("DROP TABLE {staging}"),
    ];
    all.extend(insert_statement(&staging, table));
    all.extend(
        [
            LOCK,
            KNOWN_FILES,
            ADD_FILE,
            END_FILE,
            END_VERSION,
            ADD_VERSION,
        ]
        .map(str::to_owned),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_goes_and_nothing_else() {
        let statements: Vec<String> = Table::ALL.into_iter().map(delete_statement).collect();
        insta::assert_snapshot!(statements.join("\n"));
    }
}
