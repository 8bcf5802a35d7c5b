//! Amazon S3.

use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use tokio::io::AsyncReadExt;

use crate::address::FileAddress;
use crate::error::FileError;
use crate::{FileInfo, FilePage, FileReader, ListedFile, Overwrite, multipart};

/// How long S3 may take to accept or begin an answer; the content then streams without limit.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Files in Amazon S3.
#[derive(Clone, Debug)]
pub struct S3Files {
    client: Client,
}

impl S3Files {
    /// Builds the client; it connects with its first request.
    ///
    /// `path_style` writes the bucket into the path, which stand-ins of S3 need. Without
    /// AWS_REGION the SDK asks the instance metadata service and waits for it: set it.
    #[must_use]
    pub fn new(sdk: &SdkConfig, path_style: bool) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(path_style)
            .timeout_config(timeouts)
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }

    /// See [`crate::Files::put`].
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
        let condition = (overwrite == Overwrite::Refuse).then(|| "*".to_owned());
        self.client
            .put_object()
            .bucket(address.bucket())
            .key(address.key())
            .content_type(content_type)
            .set_if_none_match(condition)
            .body(ByteStream::from(content))
            .send()
            .await
            .map_err(|error| sorted(&error))?;
        Ok(())
    }

    /// See [`crate::Files::get`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], [`FileError::TooLarge`], or a failure of S3.
    pub async fn get(&self, address: &FileAddress, max_bytes: u64) -> Result<Vec<u8>, FileError> {
        let output = self.output(address).await?;
        let announced = output
            .content_length()
            .and_then(|length| u64::try_from(length).ok());
        if announced.is_some_and(|length| length > max_bytes) {
            return Err(FileError::TooLarge { max_bytes });
        }
        let mut content = Vec::new();
        let mut reader = output
            .body
            .into_async_read()
            .take(max_bytes.saturating_add(1));
        reader
            .read_to_end(&mut content)
            .await
            .map_err(|error| FileError::Unavailable {
                code: error.kind().to_string(),
            })?;
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > max_bytes {
            return Err(FileError::TooLarge { max_bytes });
        }
        Ok(content)
    }

    /// See [`crate::Files::open`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of S3.
    pub async fn open_reader(&self, address: &FileAddress) -> Result<FileReader, FileError> {
        Ok(Box::new(self.output(address).await?.body.into_async_read()))
    }

    /// See [`crate::Files::get_range`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of S3.
    pub async fn get_range(
        &self,
        address: &FileAddress,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, FileError> {
        let last = offset.saturating_add(length.max(1)) - 1;
        let answer = self
            .client
            .get_object()
            .bucket(address.bucket())
            .key(address.key())
            .range(format!("bytes={offset}-{last}"))
            .send()
            .await;
        let output = match answer.map_err(|error| sorted(&error)) {
            // The file ends before the offset.
            Err(FileError::Refused { code }) if code == "InvalidRange" => return Ok(Vec::new()),
            other => other?,
        };
        let content = output.body.collect().await;
        let content = content.map_err(|_| FileError::Unavailable {
            code: "Response".to_owned(),
        })?;
        Ok(content.into_bytes().into())
    }

    /// See [`crate::Files::put_file`].
    ///
    /// # Errors
    /// [`FileError`] when the local file can't be read or S3 fails.
    pub async fn put_file(
        &self,
        address: &FileAddress,
        local: &Path,
        content_type: &str,
    ) -> Result<(), FileError> {
        multipart::put_file(&self.client, address, local, content_type).await
    }

    async fn output(&self, address: &FileAddress) -> Result<GetObjectOutput, FileError> {
        let request = self
            .client
            .get_object()
            .bucket(address.bucket())
            .key(address.key());
        request.send().await.map_err(|error| sorted(&error))
    }

    /// See [`crate::Files::head`].
    ///
    /// # Errors
    /// [`FileError::NotFound`], or a failure of S3.
    pub async fn head(&self, address: &FileAddress) -> Result<FileInfo, FileError> {
        let request = self
            .client
            .head_object()
            .bucket(address.bucket())
            .key(address.key());
        let output = request.send().await.map_err(|error| sorted(&error))?;
        Ok(FileInfo {
            size_bytes: bytes(output.content_length()),
            content_type: output.content_type().unwrap_or_default().to_owned(),
            modified_ms: milliseconds(output.last_modified()),
            etag: output
                .e_tag()
                .unwrap_or_default()
                .trim_matches('"')
                .to_owned(),
        })
    }

    /// See [`crate::Files::delete`].
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be deleted.
    pub async fn delete(&self, address: &FileAddress) -> Result<(), FileError> {
        let request = self
            .client
            .delete_object()
            .bucket(address.bucket())
            .key(address.key());
        match request.send().await.map_err(|error| sorted(&error)) {
            Ok(_) | Err(FileError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// See [`crate::Files::list`].
    ///
    /// # Errors
    /// A failure of S3.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        max: u32,
    ) -> Result<FilePage, FileError> {
        let output = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .max_keys(i32::try_from(max).unwrap_or(1))
            .send()
            .await
            .map_err(|error| sorted(&error))?;
        let files: Vec<ListedFile> = output
            .contents()
            .iter()
            .map(|object| ListedFile {
                key: object.key().unwrap_or_default().to_owned(),
                size_bytes: bytes(object.size()),
                modified_ms: milliseconds(object.last_modified()),
            })
            .collect();
        let more = output.is_truncated().unwrap_or(false);
        let next_after = if more {
            files.last().map(|file| file.key.clone())
        } else {
            None
        };
        Ok(FilePage { files, next_after })
    }
}

fn bytes(length: Option<i64>) -> u64 {
    length
        .and_then(|length| u64::try_from(length).ok())
        .unwrap_or(0)
}

fn milliseconds(time: Option<&DateTime>) -> i64 {
    time.and_then(|time| time.to_millis().ok()).unwrap_or(0)
}

/// Sorts a failed request by S3's answer.
pub(crate) fn sorted<E: ProvideErrorMetadata>(error: &SdkError<E>) -> FileError {
    let SdkError::ServiceError(context) = error else {
        let code = match error {
            SdkError::TimeoutError(_) => "Timeout",
            SdkError::DispatchFailure(_) => "Connection",
            SdkError::ConstructionFailure(_) => {
                return FileError::Refused {
                    code: "IncompleteRequest".to_owned(),
                };
            }
            _ => "Response",
        };
        return FileError::Unavailable {
            code: code.to_owned(),
        };
    };
    let status = context.raw().status().as_u16();
    let code = error
        .code()
        .map_or_else(|| format!("Http{status}"), str::to_owned);
    match status {
        404 => FileError::NotFound,
        412 => FileError::AlreadyExists,
        // 409 is another write of the same key at this moment, 429 and 503 ask to slow down.
        409 | 429 | 500.. => FileError::Unavailable { code },
        _ => FileError::Refused { code },
    }
}
