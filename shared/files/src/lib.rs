//! Files: Amazon S3 and a folder, behind one small surface.
//!
//! A file is addressed by `s3://bucket/key`; in a folder it lies under `<base>/<bucket>/<key>`.
//!
//! Architecture invariant: this crate does not know what a file holds, and its errors carry no
//! content.

mod address;
mod error;
mod folder;
mod multipart;
mod s3;

pub use address::FileAddress;
pub use error::FileError;
pub use folder::FolderFiles;
pub use s3::S3Files;

use std::path::Path;

use tokio::io::AsyncRead;

/// The most files of one page of a list (S3: 1000).
pub const MAX_PAGE_FILES: u32 = 1_000;

/// A file's content as it comes, for files that need not fit into memory.
pub type FileReader = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// Whether a file may replace an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// The new content takes the place of the old.
    Replace,
    /// A file that exists stays, and the answer is [`FileError::AlreadyExists`] (If-None-Match).
    Refuse,
}

/// What is known of a file without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Size in bytes.
    pub size_bytes: u64,
    /// As it was given with the content.
    pub content_type: String,
    /// Last change, epoch milliseconds; S3 knows whole seconds only.
    pub modified_ms: i64,
    /// What tells this content from the one before it: S3's ETag; in a folder its size and time.
    pub etag: String,
}

/// One file of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// The key within the bucket.
    pub key: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last change, epoch milliseconds; S3 knows whole seconds only.
    pub modified_ms: i64,
}

/// One page of a list, in the order of the keys' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePage {
    /// The files of this page.
    pub files: Vec<ListedFile>,
    /// What to pass as `after` for the next page; `None` when this is the last.
    pub next_after: Option<String>,
}

/// The files of this process: all of them in S3 or all of them in a folder.
#[derive(Clone, Debug)]
pub enum Files {
    /// Amazon S3.
    S3(S3Files),
    /// A folder of this machine.
    Folder(FolderFiles),
}

impl Files {
    /// Writes a whole file; readers see the old content or the new, never a part.
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
        match self {
            Self::S3(s3) => s3.put(address, content, content_type, overwrite).await,
            Self::Folder(folder) => folder.put(address, content, content_type, overwrite).await,
        }
    }

    /// Reads a whole file of at most `max_bytes` bytes.
    ///
    /// # Errors
    /// [`FileError::NotFound`], [`FileError::TooLarge`], or a failure of the part itself.
    pub async fn get(&self, address: &FileAddress, max_bytes: u64) -> Result<Vec<u8>, FileError> {
        match self {
            Self::S3(s3) => s3.get(address, max_bytes).await,
            Self::Folder(folder) => folder.get(address, max_bytes).await,
        }
    }

    /// Reads at most `length` bytes from `offset` on: fewer where the file ends before.
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of the part itself.
    pub async fn get_range(
        &self,
        address: &FileAddress,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, FileError> {
        if length == 0 {
            return Ok(Vec::new());
        }
        match self {
            Self::S3(s3) => s3.get_range(address, offset, length).await,
            Self::Folder(folder) => folder.get_range(address, offset, length).await,
        }
    }

    /// Writes a whole file from one of this machine, that need not fit into memory, in the place
    /// of an older one. Readers see the old content or the new, never a part.
    ///
    /// # Errors
    /// [`FileError`] when the local file can't be read or the file can't be written.
    pub async fn put_file(
        &self,
        address: &FileAddress,
        local: &Path,
        content_type: &str,
    ) -> Result<(), FileError> {
        match self {
            Self::S3(s3) => s3.put_file(address, local, content_type).await,
            Self::Folder(folder) => folder.put_file(address, local, content_type).await,
        }
    }

    /// Opens a file to be read from its beginning.
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of the part itself.
    pub async fn open(&self, address: &FileAddress) -> Result<FileReader, FileError> {
        match self {
            Self::S3(s3) => s3.open_reader(address).await,
            Self::Folder(folder) => folder.open_reader(address).await,
        }
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of the part itself.
    pub async fn head(&self, address: &FileAddress) -> Result<FileInfo, FileError> {
        match self {
            Self::S3(s3) => s3.head(address).await,
            Self::Folder(folder) => folder.head(address).await,
        }
    }

    /// Deletes a file; one that is not there is as good as deleted.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be deleted.
    pub async fn delete(&self, address: &FileAddress) -> Result<(), FileError> {
        match self {
            Self::S3(s3) => s3.delete(address).await,
            Self::Folder(folder) => folder.delete(address).await,
        }
    }

    /// Where an engine that brings its own access finds a file: `s3://bucket/key`, or the absolute
    /// path on this machine.
    #[must_use]
    pub fn place(&self, address: &FileAddress) -> String {
        match self {
            Self::S3(_) => address.to_string(),
            Self::Folder(folder) => folder.path_of(address).display().to_string(),
        }
    }

    /// Lists the files whose key starts with `prefix`, after the key `after`, at most `max`
    /// (1 to [`MAX_PAGE_FILES`]).
    ///
    /// # Errors
    /// [`FileError::InvalidAddress`] for a bucket that is none, or a failure of the part itself.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        max: u32,
    ) -> Result<FilePage, FileError> {
        address::check_bucket(bucket)?;
        let max = max.clamp(1, MAX_PAGE_FILES);
        match self {
            Self::S3(s3) => s3.list(bucket, prefix, after, max).await,
            Self::Folder(folder) => folder.list(bucket, prefix, after, max).await,
        }
    }
}
