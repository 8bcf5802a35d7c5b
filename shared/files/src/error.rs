//! What can go wrong with a file; no variant carries content.

/// Why an operation on a file failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The address is none, or its key would leave the bucket's folder.
    #[error("not a file address: {reason}")]
    InvalidAddress {
        /// What to mend.
        reason: &'static str,
    },
    /// There is no such file or bucket.
    #[error("no such file")]
    NotFound,
    /// The file exists and must not be replaced.
    #[error("the file exists already")]
    AlreadyExists,
    /// A part of the key is a file where a folder is needed, or the other way round.
    #[error("the key crosses another file's key: one is a folder of the other")]
    CrossesAnotherKey,
    /// The file is larger than the caller takes.
    #[error("the file is larger than {max_bytes} bytes")]
    TooLarge {
        /// The most that the caller takes, in bytes.
        max_bytes: u64,
    },
    /// The part refused and would refuse again.
    #[error("the file store refused ({code})")]
    Refused {
        /// S3's error code or the kind of the system's error.
        code: String,
    },
    /// The part was not reached or asked to come back later.
    #[error("the file store could not be reached ({code})")]
    Unavailable {
        /// S3's error code or the kind of failure.
        code: String,
    },
}

impl FileError {
    /// Whether the same operation may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
