//! One load from its beginning to its end.

use std::path::Path;

use contracts::sales::LoadReport;
use domain::lake::Table;
use files::{FileAddress, FileError, Files, Overwrite};
use lake::{Lake, LakeError, discard};
use sql_store::{
    StoreError,
    lake::{newest_files, register},
    sales_loads::{EndError, FileVersion, Load, LoadStatus, Report, begin, find, refuse},
};

use crate::{
    Parts,
    commit::{EndLoadError, end},
    intake::{self, Intake, IntakeError},
    place::{PlaceError, Placed, Site, place},
    report::{self, Reason},
};

/// How often a load looks again when the lake changed below it.
const MOST_LOOKS: u32 = 8;

/// Why a load did not end; the next event for the file goes on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file store failed.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The temporary folder failed.
    #[error("the temporary folder failed ({0})")]
    Folder(std::io::ErrorKind),
    /// Other loads were faster each time.
    #[error("the lake changed below this load {MOST_LOOKS} times")]
    Contended,
    /// Files or database were so slow that the time did not suffice for a file that it suffices for.
    #[error("the time of this attempt did not suffice")]
    OutOfTime,
}

impl LoadError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "store_failed",
            Self::Files(_) => "files_failed",
            Self::Lake(_) => "lake_failed",
            Self::Folder(_) => "temporary_folder_failed",
            Self::Contended => "lake_contended",
            Self::OutOfTime => "out_of_time",
        }
    }
}

impl From<std::io::Error> for LoadError {
    fn from(error: std::io::Error) -> Self {
        Self::Folder(error.kind())
    }
}

/// Loads the file that is at this key now, and answers its load; `None` where there is none. A
/// version that was loaded or refused before stays as it is.
///
/// # Errors
/// When a part fails, or time or tries did not suffice: the same event may come again.
pub async fn load(parts: &Parts, bucket: &str, key: &str) -> Result<Option<Load>, LoadError> {
    if is_no_file_of_sales(key) {
        return Ok(None);
    }
    let address = FileAddress::new(bucket, key)?;
    let Some(version) = version_of(&parts.files, &address).await? else {
        return Ok(None);
    };
    let load = begin(&parts.store, &version, (parts.clock)()).await?;
    if load.status == LoadStatus::Loading {
        let folder = tempfile::tempdir()?;
        take(parts, &address, &load, folder.path()).await?;
    }
    let ended = find(&parts.store, &load.id).await?;
    if let Some(ended) = &ended {
        put_report(parts, ended).await?;
        if ended.status == LoadStatus::Loaded {
            list_live_files(parts, bucket).await?;
        }
    }
    Ok(ended)
}

/// For engines that read no catalogue. Who was cut off before this is made good by the file's next
/// event, the next load, or the job lago_limpar.
async fn list_live_files(parts: &Parts, bucket: &str) -> Result<(), LoadError> {
    let lake = Lake::new(parts.files.clone(), bucket);
    let newest = async || Ok(newest_files(&parts.store, Table::Sales).await?);
    lake.publish_manifest::<LoadError>(Table::Sales, newest)
        .await
}

/// Folders that a console makes, and what Spark and Hadoop put beside their files (`_SUCCESS`,
/// `.part-0.crc`).
fn is_no_file_of_sales(key: &str) -> bool {
    key.ends_with('/') || key.split('/').any(|part| part.starts_with(['_', '.']))
}

/// What is at this key now.
async fn version_of(
    files: &Files,
    address: &FileAddress,
) -> Result<Option<FileVersion>, FileError> {
    match files.head(address).await {
        Ok(info) => Ok(Some(FileVersion {
            bucket: address.bucket().to_owned(),
            key: address.key().to_owned(),
            modified_ms: info.modified_ms,
            etag: info.etag,
            size_bytes: info.size_bytes,
        })),
        Err(FileError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn take(
    parts: &Parts,
    address: &FileAddress,
    load: &Load,
    folder: &Path,
) -> Result<(), LoadError> {
    let read = intake::read(parts, address, load.file.size_bytes, folder).await;
    // What was read may be a part of the one and a part of the other.
    if version_of(&parts.files, address).await?.as_ref() != Some(&load.file) {
        return end_refused(parts, load, &Reason::Replaced, None).await;
    }
    let intake = match read {
        Ok(intake) => intake,
        Err(IntakeError::File(bad)) => {
            return end_refused(parts, load, &Reason::File(bad), None).await;
        }
        Err(IntakeError::OutOfTime) => return Err(LoadError::OutOfTime),
        Err(IntakeError::TooMuch) => {
            return end_refused(parts, load, &Reason::TooMuch, None).await;
        }
        Err(IntakeError::Files(error)) => return Err(error.into()),
        Err(IntakeError::Store(error)) => return Err(error.into()),
        Err(IntakeError::Folder(kind)) => return Err(LoadError::Folder(kind)),
    };
    let counts = &intake.counts;
    let bad_lines = parts.settings.bad_lines;
    if bad_lines.are_exceeded(counts.refused_lines(), counts.lines) {
        return end_refused(parts, load, &Reason::BadLines, Some(&intake)).await;
    }
    put_into_lake(parts, load, &intake, folder).await
}

async fn end_refused(
    parts: &Parts,
    load: &Load,
    reason: &Reason,
    intake: Option<&Intake>,
) -> Result<(), LoadError> {
    let quarantine_key = match intake {
        Some(intake) => put_quarantine(parts, load, intake).await?,
        None => None,
    };
    let now = (parts.clock)();
    let told = report::refused(load, reason, intake, quarantine_key.as_deref(), now);
    let json = json_of(&told);
    let report = Report {
        counts: intake
            .map(|intake| report::counts_of(intake, intake.sums))
            .unwrap_or_default(),
        quarantine_key: quarantine_key.as_deref(),
        json: &json,
    };
    match refuse(&parts.store, load.number, report, now).await {
        Ok(()) | Err(EndError::AlreadyEnded) => Ok(()),
        Err(EndError::Store(error)) => Err(error.into()),
    }
}

async fn put_into_lake(
    parts: &Parts,
    load: &Load,
    intake: &Intake,
    folder: &Path,
) -> Result<(), LoadError> {
    let bounds = &parts.settings.bounds;
    let lake = Lake::new(parts.files.clone(), &load.file.bucket).with_file_rows(bounds.file_rows);
    let site = Site {
        parts,
        lake: &lake,
        folder,
    };
    let quarantine_key = put_quarantine(parts, load, intake).await?;
    for _ in 0..MOST_LOOKS {
        let placed = match place(&site, load, &intake.sorted).await {
            Ok(placed) => placed,
            Err(PlaceError::SnapshotGone) => continue,
            Err(PlaceError::NotRegistered) => {
                let path = lake.data_path()?;
                register(&parts.store, &path, (parts.clock)()).await?;
                continue;
            }
            Err(PlaceError::TooMuchWork) => {
                return end_refused(parts, load, &Reason::TooMuchWork, Some(intake)).await;
            }
            Err(PlaceError::OutOfTime) => return Err(LoadError::OutOfTime),
            Err(PlaceError::Store(error)) => return Err(error.into()),
            Err(PlaceError::Lake(error)) => {
                // A file that ended while it was read may have been removed.
                tracing::warn!(%error, "the lake could not be read or written");
                return Err(LoadError::Lake(error));
            }
        };
        match try_to_end(parts, load, intake, &placed, quarantine_key.as_deref()).await {
            Ok(()) => return Ok(()),
            Err(EndLoadError::Conflict | EndLoadError::NotRegistered) => {
                discard(&lake, &placed.added).await;
            }
            Err(EndLoadError::AlreadyEnded) => {
                discard(&lake, &placed.added).await;
                return Ok(());
            }
            // Nobody knows whether it was committed: what was written stays until it is swept.
            Err(EndLoadError::Store(error)) => return Err(error.into()),
        }
        if find(&parts.store, &load.id)
            .await?
            .is_none_or(|load| load.status != LoadStatus::Loading)
        {
            return Ok(());
        }
    }
    Err(LoadError::Contended)
}

async fn try_to_end(
    parts: &Parts,
    load: &Load,
    intake: &Intake,
    placed: &Placed,
    quarantine_key: Option<&str>,
) -> Result<(), EndLoadError> {
    let now = (parts.clock)();
    let sums = report::sums_of(intake, placed, parts.settings.repeated_lines);
    let told = report::loaded(load, intake, placed, sums, quarantine_key, now);
    let json = json_of(&told);
    let report = Report {
        counts: report::counts_of(intake, sums),
        quarantine_key,
        json: &json,
    };
    end(&parts.store, load, placed, report, now).await
}

/// Puts the bad lines beside the report, and answers their key.
async fn put_quarantine(
    parts: &Parts,
    load: &Load,
    intake: &Intake,
) -> Result<Option<String>, FileError> {
    let Some(lines) = &intake.quarantine else {
        return Ok(None);
    };
    let key = format!("relatorios/{}/quarentena.csv", load.id);
    let address = FileAddress::new(&load.file.bucket, &key)?;
    parts
        .files
        .put_file(&address, lines.path(), "text/csv; charset=utf-8")
        .await?;
    Ok(Some(key))
}

/// Puts the report of a load that ended into the bucket, where nobody did.
async fn put_report(parts: &Parts, load: &Load) -> Result<(), FileError> {
    let (Some(report), true) = (&load.report, load.status != LoadStatus::Loading) else {
        return Ok(());
    };
    let key = format!("relatorios/{}/relatorio.json", load.id);
    let address = FileAddress::new(&load.file.bucket, &key)?;
    let content = report.clone().into_bytes();
    let put = parts
        .files
        .put(&address, content, "application/json", Overwrite::Refuse)
        .await;
    match put {
        Ok(()) | Err(FileError::AlreadyExists) => Ok(()),
        Err(error) => Err(error),
    }
}

fn json_of(report: &LoadReport) -> String {
    serde_json::to_string(report).unwrap_or_default()
}
