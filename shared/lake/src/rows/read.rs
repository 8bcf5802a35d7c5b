//! Events as they are stored, for those who count them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use domain::lake::{DataFile, Table};
use futures::TryStreamExt;

use crate::error::LakeError;
use crate::place::Lake;
use crate::read::{RemoteFile, open};
use crate::schema;

/// An event of a file of `eventos_clientes`; `None` where it is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEvent<'a> {
    /// `id_usuario`.
    pub user: Option<&'a str>,
    /// `tipo_evento`.
    pub kind: Option<&'a str>,
    /// `id_evento`.
    pub event_id: Option<&'a str>,
    /// `topico`, `particao` and `posicao` of the record that brought it.
    pub source: Option<(&'a str, i32, i64)>,
}

impl Lake {
    /// Gives `visit` each event of a file of `eventos_clientes`.
    ///
    /// # Errors
    /// When the file can't be read or has other columns.
    pub async fn each_stored_event(
        &self,
        file: &DataFile,
        mut visit: impl FnMut(&StoredEvent<'_>),
    ) -> Result<(), LakeError> {
        let table = Table::CustomerEvents;
        let address = self.address(table, &file.name)?;
        let remote = RemoteFile::new(self.files(), address, file.size_bytes);
        let mut rows = open(remote, schema::rows(table)).await?;
        while let Some(batch) = rows.try_next().await? {
            visit_batch(&batch, &mut visit)?;
        }
        Ok(())
    }
}

fn visit_batch(
    batch: &RecordBatch,
    visit: &mut impl FnMut(&StoredEvent<'_>),
) -> Result<(), LakeError> {
    let column = |name| {
        let column = batch.column_by_name(name);
        column.ok_or(LakeError::Unexpected(
            "a file of eventos_clientes lacks a column",
        ))
    };
    let [users, kinds, ids, topics] =
        ["id_usuario", "tipo_evento", "id_evento", "topico"].map(column);
    let (users, kinds) = (users?.as_string::<i32>(), kinds?.as_string::<i32>());
    let (ids, topics) = (ids?.as_string::<i32>(), topics?.as_string::<i32>());
    let partitions = column("particao")?.as_primitive::<Int32Type>();
    let offsets = column("posicao")?.as_primitive::<Int64Type>();
    for row in 0..batch.num_rows() {
        visit(&StoredEvent {
            user: (!users.is_null(row)).then(|| users.value(row)),
            kind: (!kinds.is_null(row)).then(|| kinds.value(row)),
            event_id: (!ids.is_null(row)).then(|| ids.value(row)),
            source: (!topics.is_null(row))
                .then(|| (topics.value(row), partitions.value(row), offsets.value(row))),
        });
    }
    Ok(())
}
