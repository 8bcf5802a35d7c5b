//! The load step on Redshift: a manifest of exactly the new files, then COPY.

use domain::lake::{DATA_PREFIX, DataFile, Table, folder};
use files::{FileAddress, Files, Overwrite};
use warehouse::{
    WarehouseError,
    redshift::{copy_statement, manifest},
    sync::{LoadStep, Statements},
};

/// COPY of the files in a bucket.
pub struct CopyByManifest {
    /// Where manifests are written.
    pub files: Files,
    /// The lake's bucket.
    pub bucket: String,
    /// ARN of the role that Redshift reads the bucket with.
    pub role: String,
}

impl LoadStep for CopyByManifest {
    fn create_statement(&self, statement: &str) -> String {
        statement.to_owned()
    }

    async fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        table: Table,
        files: &[DataFile],
    ) -> Result<(), WarehouseError> {
        let failed = |_| WarehouseError::Load("manifest_not_written");
        // The same table is never synced twice at a time: the next manifest replaces this one.
        let key = format!("{DATA_PREFIX}manifestos/armazem/{}.json", table.name());
        let address = FileAddress::new(&self.bucket, &key).map_err(failed)?;
        let lake = format!("s3://{}/{}", self.bucket, folder(table.name()));
        let content = manifest(&lake, files).into_bytes();
        self.files
            .put(&address, content, "application/json", Overwrite::Replace)
            .await
            .map_err(failed)?;
        let from = format!("s3://{}/{key}", self.bucket);
        let statement = copy_statement(staging, &from, &self.role)
            .ok_or(WarehouseError::Load("address_or_role_not_plain"))?;
        database.run(&statement).await
    }
}
