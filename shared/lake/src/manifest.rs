//! Lists of a table's live files, for engines that read no catalogue: Athena and Hive by
//! `SymlinkTextInputFormat`, Spark by reading the list. A list is derived from the catalogue; it is
//! replaced as a whole, so that a reader sees one snapshot.

use domain::lake::{DATA_PREFIX, DataFile, SnapshotId, Table};
use files::{FileAddress, Overwrite};

use crate::{Lake, LakeError};

/// The folder of the lists, below the lake's.
const FOLDER: &str = "manifestos";

/// How often a list is written again because the lake changed meanwhile.
const MOST_ATTEMPTS: u32 = 5;

impl Lake {
    /// The data path as the catalogue has it: `s3://bucket/lago/`, or the folder's absolute path
    /// with a slash at its end.
    ///
    /// # Errors
    /// For a bucket that is none.
    pub fn data_path(&self) -> Result<String, LakeError> {
        let folder = DATA_PREFIX.trim_end_matches('/');
        let address = FileAddress::new(self.bucket(), folder)?;
        Ok(format!("{}/", self.files().place(&address)))
    }

    /// Where a table's list lies.
    ///
    /// # Errors
    /// For a bucket that is none.
    pub fn manifest_address(&self, table: Table) -> Result<FileAddress, LakeError> {
        let key = format!("{DATA_PREFIX}{FOLDER}/{}/manifest", table.name());
        Ok(FileAddress::new(self.bucket(), &key)?)
    }

    /// Writes the list of the table's newest files, and again where the lake has changed by then:
    /// of two writers the one with the older files may be the slower. `newest` asks the catalogue.
    ///
    /// # Errors
    /// When the catalogue or the file can't be reached; the next commit or the daily job writes it.
    pub async fn publish_manifest<E: From<LakeError>>(
        &self,
        table: Table,
        newest: impl AsyncFn() -> Result<Option<(SnapshotId, Vec<DataFile>)>, E>,
    ) -> Result<(), E> {
        let mut written = None;
        for _ in 0..MOST_ATTEMPTS {
            let Some((snapshot, live)) = newest().await? else {
                return Ok(());
            };
            if written == Some(snapshot) {
                return Ok(());
            }
            self.write_manifest(table, &live).await?;
            written = Some(snapshot);
        }
        Ok(())
    }

    async fn write_manifest(&self, table: Table, live: &[DataFile]) -> Result<(), LakeError> {
        let mut list = String::new();
        for file in live {
            let address = self.address(table, &file.name)?;
            list.push_str(&self.files().place(&address));
            list.push('\n');
        }
        let address = self.manifest_address(table)?;
        let put = self.files().put(
            &address,
            list.into_bytes(),
            "text/plain; charset=utf-8",
            Overwrite::Replace,
        );
        Ok(put.await?)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use files::{Files, FolderFiles};

    fn file(name: &str) -> DataFile {
        DataFile {
            id: 1,
            name: name.to_owned(),
            rows: 1,
            size_bytes: 1,
            days: None,
            orders: None,
            loads: None,
        }
    }

    #[tokio::test]
    async fn the_list_is_of_the_newest_snapshot_however_slow_its_writer_is() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let asked = Cell::new(0);
        let lake = Lake::new(files.clone(), "feira-vendas");
        lake.publish_manifest::<LakeError>(Table::Sales, async || {
            asked.set(asked.get() + 1);
            // The lake changes while the first list is written.
            let snapshot = if asked.get() == 1 { 4 } else { 5 };
            let live = vec![file(&format!("s{snapshot}.parquet")), file("b.parquet")];
            Ok(Some((SnapshotId(snapshot), live)))
        })
        .await
        .unwrap();
        let address = lake.manifest_address(Table::Sales).unwrap();
        let list = files.get(&address, 10_000).await.unwrap();
        let base = lake.data_path().unwrap();
        assert_eq!(
            String::from_utf8(list).unwrap(),
            format!("{base}main/vendas/s5.parquet\n{base}main/vendas/b.parquet\n")
        );
        assert_eq!(asked.get(), 3);
    }
}
