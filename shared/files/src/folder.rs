//! A folder of this machine: `<base>/<bucket>/<key>`.
//!
//! Beside the buckets lie `.novos` (files being written) and `.tipos` (content types); no bucket's
//! name starts with a dot.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::address::FileAddress;
use crate::error::FileError;
use crate::{FileInfo, FilePage, FileReader, ListedFile, Overwrite};

/// What a file is whose content type nobody gave.
const UNKNOWN_CONTENT_TYPE: &str = "application/octet-stream";

/// Files in a folder.
#[derive(Clone, Debug)]
pub struct FolderFiles {
    base: PathBuf,
}

impl FolderFiles {
    /// Opens the folder, creating it where it is missing.
    ///
    /// # Errors
    /// [`FileError::Refused`] when the folder cannot be created.
    pub fn open(base: &Path) -> Result<Self, FileError> {
        fs::create_dir_all(base.join(".novos")).map_err(io_error)?;
        let base = base.canonicalize().map_err(io_error)?;
        Ok(Self { base })
    }

    /// Where the file lies; a reader of the same machine may open it there.
    #[must_use]
    pub fn path_of(&self, address: &FileAddress) -> PathBuf {
        self.base.join(address.bucket()).join(address.key())
    }

    /// See [`crate::Files::put`]: written beside, flushed to the disk, then renamed into place.
    ///
    /// # Errors
    /// [`FileError`] when the file exists and must not be replaced, or cannot be written.
    pub async fn put(
        &self,
        address: &FileAddress,
        content: Vec<u8>,
        content_type: &str,
        overwrite: Overwrite,
    ) -> Result<(), FileError> {
        let (base, path, type_path) = self.places(address);
        let content_type = content_type.to_owned();
        blocking(move || {
            let exists = path.symlink_metadata();
            if exists.as_ref().is_ok_and(fs::Metadata::is_dir) {
                return Err(FileError::CrossesAnotherKey);
            }
            if overwrite == Overwrite::Refuse && exists.is_ok() {
                return Err(FileError::AlreadyExists);
            }
            write_atomically(&base, &path, content.as_slice(), overwrite)?;
            write_atomically(
                &base,
                &type_path,
                content_type.as_bytes(),
                Overwrite::Replace,
            )
        })
        .await
    }

    /// See [`crate::Files::get`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], [`FileError::TooLarge`], or a failure of the file system.
    pub async fn get(&self, address: &FileAddress, max_bytes: u64) -> Result<Vec<u8>, FileError> {
        let (base, path, _) = self.places(address);
        blocking(move || {
            let file = open_file(&base, &path)?;
            let mut content = Vec::new();
            file.take(max_bytes.saturating_add(1))
                .read_to_end(&mut content)
                .map_err(io_error)?;
            if u64::try_from(content.len()).unwrap_or(u64::MAX) > max_bytes {
                return Err(FileError::TooLarge { max_bytes });
            }
            Ok(content)
        })
        .await
    }

    /// See [`crate::Files::get_range`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of the file system.
    pub async fn get_range(
        &self,
        address: &FileAddress,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, FileError> {
        let (base, path, _) = self.places(address);
        blocking(move || {
            let mut file = open_file(&base, &path)?;
            let size = file.metadata().map_err(io_error)?.len();
            let length = length.min(size.saturating_sub(offset));
            let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
            file.seek(SeekFrom::Start(offset)).map_err(io_error)?;
            file.take(length)
                .read_to_end(&mut content)
                .map_err(io_error)?;
            Ok(content)
        })
        .await
    }

    /// See [`crate::Files::put_file`].
    ///
    /// # Errors
    /// [`FileError`] when either file can't be read or written.
    pub async fn put_file(
        &self,
        address: &FileAddress,
        local: &Path,
        content_type: &str,
    ) -> Result<(), FileError> {
        let (base, path, type_path) = self.places(address);
        let content_type = content_type.to_owned();
        let local = local.to_owned();
        blocking(move || {
            if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                return Err(FileError::CrossesAnotherKey);
            }
            let content = fs::File::open(local).map_err(io_error)?;
            write_atomically(&base, &path, content, Overwrite::Replace)?;
            write_atomically(
                &base,
                &type_path,
                content_type.as_bytes(),
                Overwrite::Replace,
            )
        })
        .await
    }

    /// See [`crate::Files::open`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of the file system.
    pub async fn open_reader(&self, address: &FileAddress) -> Result<FileReader, FileError> {
        let (base, path, _) = self.places(address);
        let file = blocking(move || open_file(&base, &path)).await?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    /// See [`crate::Files::head`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of the file system.
    pub async fn head(&self, address: &FileAddress) -> Result<FileInfo, FileError> {
        let (base, path, type_path) = self.places(address);
        blocking(move || {
            let metadata = open_file(&base, &path)?.metadata().map_err(io_error)?;
            let content_type =
                fs::read_to_string(type_path).unwrap_or_else(|_| UNKNOWN_CONTENT_TYPE.to_owned());
            Ok(FileInfo {
                size_bytes: metadata.len(),
                content_type,
                modified_ms: modified_ms(&metadata),
                etag: etag(&metadata),
            })
        })
        .await
    }

    /// See [`crate::Files::delete`].
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be deleted.
    pub async fn delete(&self, address: &FileAddress) -> Result<(), FileError> {
        let (base, path, type_path) = self.places(address);
        blocking(move || {
            match open_file(&base, &path) {
                Ok(_) => {}
                Err(FileError::NotFound) => return Ok(()),
                Err(error) => return Err(error),
            }
            for gone in [path, type_path] {
                match fs::remove_file(&gone) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io_error(error));
                    }
                    _ => {}
                }
                if let Some(folder) = gone.parent() {
                    flush_folder(folder);
                }
            }
            Ok(())
        })
        .await
    }

    /// See [`crate::Files::list`].
    ///
    /// # Errors
    /// A failure of the file system.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        max: u32,
    ) -> Result<FilePage, FileError> {
        let root = self.base.join(bucket);
        let prefix = prefix.to_owned();
        let after = after.map(str::to_owned);
        blocking(move || {
            let mut files = Vec::new();
            walk(&root, "", &prefix, &mut files)?;
            files.retain(|file| {
                file.key.starts_with(&prefix)
                    && after
                        .as_ref()
                        .is_none_or(|after| file.key.as_str() > after.as_str())
            });
            files.sort_by(|left, right| left.key.cmp(&right.key));
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            let more = files.len() > max;
            files.truncate(max);
            let next_after = if more {
                files.last().map(|file| file.key.clone())
            } else {
                None
            };
            Ok(FilePage { files, next_after })
        })
        .await
    }

    /// The base folder, the file's place and the place of its content type.
    fn places(&self, address: &FileAddress) -> (PathBuf, PathBuf, PathBuf) {
        let types = self
            .base
            .join(".tipos")
            .join(address.bucket())
            .join(address.key());
        // The ending keeps the type of `a` apart from the folder of `a/b`.
        let mut type_path = types.into_os_string();
        type_path.push(OsStr::new("\u{1}tipo"));
        (
            self.base.clone(),
            self.path_of(address),
            PathBuf::from(type_path),
        )
    }
}

/// Runs file system work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(FileError::Unavailable {
            code: "Interrupted".to_owned(),
        }),
    }
}

/// Opens a regular file that truly lies below the base, whatever links lead there.
fn open_file(base: &Path, path: &Path) -> Result<fs::File, FileError> {
    let real = path.canonicalize().map_err(io_error)?;
    stay_below(base, &real)?;
    if real.is_dir() {
        return Err(FileError::NotFound);
    }
    fs::File::open(real).map_err(io_error)
}

fn stay_below(base: &Path, real: &Path) -> Result<(), FileError> {
    if real.starts_with(base) {
        Ok(())
    } else {
        Err(FileError::InvalidAddress {
            reason: "a link leads out of the folder",
        })
    }
}

/// Writes beside the buckets and moves into place, each step flushed to the disk.
fn write_atomically(
    base: &Path,
    path: &Path,
    mut content: impl Read,
    overwrite: Overwrite,
) -> Result<(), FileError> {
    let folder = path.parent().ok_or(FileError::NotFound)?;
    fs::create_dir_all(folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => FileError::CrossesAnotherKey,
        _ => io_error(error),
    })?;
    stay_below(base, &folder.canonicalize().map_err(io_error)?)?;
    let mut temporary = tempfile::NamedTempFile::new_in(base.join(".novos")).map_err(io_error)?;
    io::copy(&mut content, &mut temporary).map_err(io_error)?;
    temporary.as_file().sync_all().map_err(io_error)?;
    match overwrite {
        Overwrite::Replace => {
            temporary
                .persist(path)
                .map_err(|error| io_error(error.error))?;
        }
        Overwrite::Refuse => {
            temporary
                .persist_noclobber(path)
                .map_err(|error| io_error(error.error))?;
        }
    }
    flush_folder(folder);
    Ok(())
}

/// Flushes a rename or removal; a file system that cannot flush folders has nothing better.
fn flush_folder(folder: &Path) {
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Collects the files below `folder` whose keys can start with `prefix`.
fn walk(
    folder: &Path,
    key: &str,
    prefix: &str,
    files: &mut Vec<ListedFile>,
) -> Result<(), FileError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(error)),
    };
    for entry in entries {
        let entry = entry.map_err(io_error)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let kind = entry.file_type().map_err(io_error)?;
        let child = if key.is_empty() {
            name
        } else {
            format!("{key}/{name}")
        };
        if kind.is_dir() {
            let below = format!("{child}/");
            if below.starts_with(prefix) || prefix.starts_with(&below) {
                walk(&entry.path(), &child, prefix, files)?;
            }
        } else if kind.is_file() {
            match entry.metadata() {
                Ok(metadata) => files.push(ListedFile {
                    key: child,
                    size_bytes: metadata.len(),
                    modified_ms: modified_ms(&metadata),
                }),
                // Deleted between the listing and the look: no longer there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error(error)),
            }
        }
    }
    Ok(())
}

fn etag(metadata: &fs::Metadata) -> String {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanos = since.map_or(0, |since| since.as_nanos());
    format!("{:x}-{nanos:x}", metadata.len())
}

fn modified_ms(metadata: &fs::Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

fn io_error(error: io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::NotFound,
        io::ErrorKind::AlreadyExists => FileError::AlreadyExists,
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => FileError::CrossesAnotherKey,
        io::ErrorKind::StorageFull | io::ErrorKind::Interrupted => FileError::Unavailable {
            code: error.kind().to_string(),
        },
        kind => FileError::Refused {
            code: kind.to_string(),
        },
    }
}
