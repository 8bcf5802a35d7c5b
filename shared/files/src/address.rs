//! How a file is addressed.

use crate::error::FileError;

/// The longest key in bytes (S3).
const MAX_KEY_BYTES: usize = 1_024;

/// The longest part of a key between slashes in bytes: file systems take 255, and a temporary or type file adds to it.
const MAX_SEGMENT_BYTES: usize = 240;

/// A bucket and a key that are safe in S3 and in a folder.
///
/// Stricter than S3: a key has no empty part, no `.` or `..`, no backslash and no control
/// character, and neither starts nor ends with a slash, so that no key can leave its folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileAddress {
    bucket: String,
    key: String,
}

impl FileAddress {
    /// The address of this key in this bucket.
    ///
    /// # Errors
    /// [`FileError::InvalidAddress`] with what is wrong.
    pub fn new(bucket: &str, key: &str) -> Result<Self, FileError> {
        check_bucket(bucket)?;
        check_key(key)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Parses `s3://bucket/key`.
    ///
    /// # Errors
    /// [`FileError::InvalidAddress`] with what is wrong.
    pub fn parse(uri: &str) -> Result<Self, FileError> {
        let rest = uri
            .strip_prefix("s3://")
            .ok_or(invalid("it must start with s3://"))?;
        let (bucket, key) = rest.split_once('/').ok_or(invalid("it names no key"))?;
        Self::new(bucket, key)
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key within the bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl std::fmt::Display for FileAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

/// A bucket has 3 to 63 lower-case letters, digits, dots and hyphens (S3's naming rules).
pub(crate) fn check_bucket(bucket: &str) -> Result<(), FileError> {
    let characters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let well_formed = (3..=63).contains(&bucket.len())
        && bucket.chars().all(characters)
        && bucket.starts_with(edge)
        && bucket.ends_with(edge)
        && !bucket.contains("..");
    if well_formed {
        Ok(())
    } else {
        Err(invalid(
            "a bucket has 3 to 63 lower-case letters, digits, dots and hyphens",
        ))
    }
}

fn check_key(key: &str) -> Result<(), FileError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(invalid("a key has 1 to 1024 bytes"));
    }
    if key.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(invalid("a key has no backslash and no control character"));
    }
    for segment in key.split('/') {
        if matches!(segment, "" | "." | "..") {
            return Err(invalid(
                "a key has no empty part and no part . or .. between its slashes",
            ));
        }
        if segment.len() > MAX_SEGMENT_BYTES {
            return Err(invalid(
                "a part of a key between its slashes has at most 240 bytes",
            ));
        }
    }
    Ok(())
}

fn invalid(reason: &'static str) -> FileError {
    FileError::InvalidAddress { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_was_read() {
        let address = FileAddress::parse("s3://lago-feira/vendas/dia=2026-11-20/a b.parquet");
        let address = address.unwrap();
        assert_eq!(address.bucket(), "lago-feira");
        assert_eq!(address.key(), "vendas/dia=2026-11-20/a b.parquet");
        assert_eq!(
            address.to_string(),
            "s3://lago-feira/vendas/dia=2026-11-20/a b.parquet"
        );
    }

    #[test]
    fn keys_that_try_to_leave_the_folder_are_refused() {
        for key in [
            "..",
            "../a",
            "a/../b",
            "a/..",
            "/etc/passwd",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            "a\\b",
            "a\0b",
            "",
            "..\\a",
        ] {
            assert!(FileAddress::new("lago-feira", key).is_err(), "{key:?}");
        }
        assert!(FileAddress::new("lago-feira", &"a".repeat(1_025)).is_err());
        assert!(FileAddress::new("lago-feira", &"a".repeat(256)).is_err());
        assert!(FileAddress::new("lago-feira", "..a/b..").is_ok());
    }

    #[test]
    fn buckets_that_are_no_names_are_refused() {
        for bucket in ["..", "a", "Lago", ".lago", "lago.", "la/go", "l..o", ""] {
            assert!(FileAddress::new(bucket, "a").is_err(), "{bucket:?}");
        }
    }
}
