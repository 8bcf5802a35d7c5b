//! Files of sales: as many as there are loads, until those that are about as large become one.

use std::collections::BTreeMap;

use domain::{
    lake::{DataFile, Table},
    time::UtcMillis,
};
use lake::{LARGE_FILE_ROWS, discard, merge};
use lambda_kit::Invocation;
use sql_store::{
    Tx,
    lake::{Change, newest_files, rearrange},
};

use crate::{CompactLake, Compacted, StepFailed};

/// So many files of about one size become one: a row is written anew once for each size, and of
/// each size fewer files than this stay.
pub const ALIKE_FILES: usize = 8;
/// Files that are put together at once.
const MOST_FILES_AT_ONCE: usize = 64;
/// Rows that are put together at once.
const MOST_ROWS_AT_ONCE: u64 = 8 * LARGE_FILE_ROWS;
/// A load reads and rewrites both.
const TABLES: [Table; 2] = [Table::Sales, Table::OrdersWithoutSale];

impl CompactLake {
    pub(crate) async fn put_sales_together(
        &self,
        invocation: &Invocation,
        done: &mut Compacted,
    ) -> Result<(), StepFailed> {
        let mut has_changed = false;
        for table in TABLES {
            while let Some(now) = self.time(invocation) {
                let alike = alike(self.live_files(table).await?, self.alike_files);
                if alike.is_empty() {
                    break;
                }
                done.arquivos_escritos += self.merge(table, &alike, now).await?;
                done.arquivos_juntados += alike.len();
                has_changed |= table == Table::Sales;
            }
        }
        if has_changed {
            // Whoever is cut off before this leaves a list of files that stay for a day.
            let newest = async || Ok(newest_files(&self.store, Table::Sales).await?);
            self.lake
                .publish_manifest::<StepFailed>(Table::Sales, newest)
                .await?;
        }
        Ok(())
    }

    /// How many files came in the place of these.
    async fn merge(
        &self,
        table: Table,
        files: &[DataFile],
        now: UtcMillis,
    ) -> Result<usize, StepFailed> {
        let folder = tempfile::tempdir().map_err(|error| StepFailed::Folder(error.kind()))?;
        let written = merge(&self.lake, table, files, folder.path()).await?;
        let ended: Vec<i64> = files.iter().map(|file| file.id).collect();
        let change = Change {
            added: &written,
            ended: &ended,
            note: "sales put together",
        };
        let committed = self
            .store
            .transact(async |tx: &Tx| {
                // What a load changed elsewhere meanwhile does not matter; one of these files does.
                Ok(rearrange(tx, change, now).await?)
            })
            .await;
        match committed {
            Ok(_) => Ok(written.len()),
            Err(StepFailed::Overtaken) => {
                discard(&self.lake, &written).await;
                Err(StepFailed::Overtaken)
            }
            // Nobody knows whether it was committed: what was written stays until it is swept.
            Err(error) => Err(error),
        }
    }
}

/// Files of about one size, neighbours by their days; none where of no size there are enough.
fn alike(files: Vec<DataFile>, least: usize) -> Vec<DataFile> {
    let mut sizes: BTreeMap<u32, Vec<DataFile>> = BTreeMap::new();
    for file in files {
        if file.rows < LARGE_FILE_ROWS {
            let size = file.rows.max(1).ilog(8);
            sizes.entry(size).or_default().push(file);
        }
    }
    let least = least.max(2);
    let enough = sizes.into_values().find(|files| files.len() >= least);
    let mut enough = enough.unwrap_or_default();
    enough.sort_by_key(|file| (file.days, file.id));
    let mut rows = 0;
    enough
        .into_iter()
        .take(MOST_FILES_AT_ONCE)
        .take_while(|file| {
            rows += file.rows;
            rows <= MOST_ROWS_AT_ONCE
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Day;

    fn file(id: i64, rows: u64, day: i32) -> DataFile {
        let day = Day::from_epoch_days(day).unwrap();
        DataFile {
            id,
            name: format!("{id}.parquet"),
            rows,
            size_bytes: rows * 10,
            days: Some((day, day)),
            orders: None,
            loads: None,
        }
    }

    fn ids(files: Vec<DataFile>, least: usize) -> Vec<i64> {
        alike(files, least).iter().map(|file| file.id).collect()
    }

    #[test]
    fn files_of_about_one_size_go_together_by_their_days_and_large_ones_stay() {
        let files = || {
            vec![
                file(1, 5, 20_003),
                file(2, 90_000, 20_002),
                file(3, 100_000, 20_001),
                file(4, LARGE_FILE_ROWS, 20_000),
                file(5, LARGE_FILE_ROWS, 20_000),
            ]
        };
        assert_eq!(ids(files(), 2), [3, 2]);
        assert!(ids(files(), 3).is_empty());
    }

    #[test]
    fn what_is_put_together_at_once_has_a_limit() {
        let many = (0..100).map(|id| file(id, 10, 20_000)).collect();
        assert_eq!(ids(many, 8).len(), MOST_FILES_AT_ONCE);
        let large = (0..20)
            .map(|id| file(id, LARGE_FILE_ROWS - 1, 20_000))
            .collect();
        assert_eq!(ids(large, 8).len(), 8);
    }
}
