//! Where the lake's files lie.

use std::path::Path;

use domain::lake::{Table, folder};
use files::{FileAddress, Files};

use crate::error::LakeError;
use crate::schema::FILE_ROWS;

/// Beside the tables' folders, for the totals of `vendas`.
const TOTALS_FOLDER: &str = "vendas_totais";
const CONTENT_TYPE: &str = "application/vnd.apache.parquet";

/// The lake in its bucket: `lago/main/<table>/<name>`.
#[derive(Debug, Clone)]
pub struct Lake {
    files: Files,
    bucket: String,
    file_rows: u64,
}

impl Lake {
    /// The lake of this bucket.
    #[must_use]
    pub fn new(files: Files, bucket: &str) -> Self {
        Self {
            files,
            bucket: bucket.to_owned(),
            file_rows: FILE_ROWS,
        }
    }

    /// With files of about so many rows, for tests.
    #[must_use]
    pub const fn with_file_rows(mut self, rows: u64) -> Self {
        self.file_rows = rows;
        self
    }

    /// About how many rows a file of `vendas` gets.
    pub(crate) const fn file_rows(&self) -> u64 {
        self.file_rows
    }

    /// The file store.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Where a table's file lies.
    ///
    /// # Errors
    /// When the name is none.
    pub fn address(&self, table: Table, name: &str) -> Result<FileAddress, LakeError> {
        self.at(table.name(), name)
    }

    /// Where the totals of a file of `vendas` lie.
    ///
    /// # Errors
    /// When the name is none.
    pub fn totals_address(&self, name: &str) -> Result<FileAddress, LakeError> {
        self.at(TOTALS_FOLDER, name)
    }

    fn at(&self, table: &str, name: &str) -> Result<FileAddress, LakeError> {
        let key = format!("{}{name}", folder(table));
        Ok(FileAddress::new(&self.bucket, &key)?)
    }

    pub(crate) async fn put(
        &self,
        table: Table,
        name: &str,
        local: &Path,
    ) -> Result<(), LakeError> {
        let address = self.address(table, name)?;
        Ok(self.files.put_file(&address, local, CONTENT_TYPE).await?)
    }

    pub(crate) async fn put_totals(&self, name: &str, local: &Path) -> Result<(), LakeError> {
        let address = self.totals_address(name)?;
        Ok(self.files.put_file(&address, local, CONTENT_TYPE).await?)
    }

    /// Deletes a file and what lies beside it.
    ///
    /// # Errors
    /// When the file store fails.
    pub async fn delete(&self, table: Table, name: &str) -> Result<(), LakeError> {
        self.files.delete(&self.address(table, name)?).await?;
        if table == Table::Sales {
            self.files.delete(&self.totals_address(name)?).await?;
        }
        Ok(())
    }
}
