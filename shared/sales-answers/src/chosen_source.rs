//! Which source answers: the template's choice.

use cold_start::{Need, SqlParts, keys};
use domain::lake::{Snapshot, SnapshotId};
use domain::sales::{Group, Question};
use lambda_kit::StartError;
use warehouse::{Tls, Warehouse};

use crate::{
    lake_source::LakeSource,
    source::{SalesSource, SourceError},
    warehouse_source::WarehouseSource,
};

/// What [`ChosenSource::open`] reads.
pub const NEEDS: [Need; 1] = [Need::Optional(keys::REDSHIFT_URL)];

/// The lake or the warehouse.
pub enum ChosenSource {
    /// `WAREHOUSE=lake`, or nothing.
    Lake(LakeSource),
    /// `WAREHOUSE=redshift`.
    Warehouse(Box<WarehouseSource>),
}

impl ChosenSource {
    /// By the variable `WAREHOUSE`; the parts were opened with [`NEEDS`].
    ///
    /// # Errors
    /// When the choice is none, or what it needs is missing.
    pub fn open(parts: &SqlParts) -> Result<Self, StartError> {
        match parts.process.get("WAREHOUSE") {
            None | Some("lake") => {
                let (files, bucket) = (parts.files()?, parts.variable("SALES_BUCKET")?);
                let source = LakeSource::new(parts.store.clone(), files, bucket);
                Ok(Self::Lake(source))
            }
            Some("redshift") => {
                let url = parts.secrets.optional_text(keys::REDSHIFT_URL);
                let url = url.ok_or("WAREHOUSE=redshift needs REDSHIFT_URL in the app secret")?;
                let warehouse = Warehouse::open(url.expose(), Tls::Required)
                    .map_err(|error| format!("REDSHIFT_URL {error}"))?;
                Ok(Self::Warehouse(Box::new(WarehouseSource::new(warehouse))))
            }
            Some(_) => Err("WAREHOUSE must be lake or redshift: mend it in template.yaml".into()),
        }
    }
}

impl SalesSource for ChosenSource {
    async fn newest(&self) -> Result<Option<Snapshot>, SourceError> {
        match self {
            Self::Lake(lake) => lake.newest().await,
            Self::Warehouse(warehouse) => warehouse.newest().await,
        }
    }

    async fn answer(
        &self,
        version: SnapshotId,
        question: &Question,
    ) -> Result<Vec<Group>, SourceError> {
        match self {
            Self::Lake(lake) => lake.answer(version, question).await,
            Self::Warehouse(warehouse) => warehouse.answer(version, question).await,
        }
    }
}
