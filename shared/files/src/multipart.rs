//! Files of this machine into S3, large ones in parts.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::address::FileAddress;
use crate::error::FileError;
use crate::s3::sorted;

/// What is larger goes in parts.
const LARGEST_SINGLE_PUT_BYTES: u64 = 64 * 1024 * 1024;
/// Size of a part: S3 takes 5 MiB to 5 GiB and at most 10,000 parts.
const PART_BYTES: u64 = 32 * 1024 * 1024;
const MOST_PARTS: u64 = 10_000;

/// Writes the file; of an upload that fails nothing is left.
pub async fn put_file(
    client: &Client,
    address: &FileAddress,
    local: &Path,
    content_type: &str,
) -> Result<(), FileError> {
    let metadata = tokio::fs::metadata(local).await;
    let size = metadata.map_err(|error| unreadable(error.kind()))?.len();
    if size > LARGEST_SINGLE_PUT_BYTES {
        return put_in_parts(client, address, local, content_type, size).await;
    }
    let body = ByteStream::from_path(local).await;
    let request = client
        .put_object()
        .bucket(address.bucket())
        .key(address.key())
        .content_type(content_type)
        .body(body.map_err(|_| unreadable(std::io::ErrorKind::Other))?);
    request.send().await.map_err(|error| sorted(&error))?;
    Ok(())
}

async fn put_in_parts(
    client: &Client,
    address: &FileAddress,
    local: &Path,
    content_type: &str,
    size: u64,
) -> Result<(), FileError> {
    let begun = client
        .create_multipart_upload()
        .bucket(address.bucket())
        .key(address.key())
        .content_type(content_type)
        .send()
        .await
        .map_err(|error| sorted(&error))?;
    let upload = begun.upload_id().ok_or_else(|| FileError::Unavailable {
        code: "NoUploadId".to_owned(),
    })?;
    let outcome = send_parts(client, address, local, upload, size).await;
    if outcome.is_err() {
        // A lifecycle rule of the bucket removes what this misses.
        let _ = client
            .abort_multipart_upload()
            .bucket(address.bucket())
            .key(address.key())
            .upload_id(upload)
            .send()
            .await;
    }
    outcome
}

async fn send_parts(
    client: &Client,
    address: &FileAddress,
    local: &Path,
    upload: &str,
    size: u64,
) -> Result<(), FileError> {
    let part_bytes = PART_BYTES.max(size.div_ceil(MOST_PARTS));
    let mut parts = Vec::new();
    let mut offset = 0;
    while offset < size {
        let length = part_bytes.min(size - offset);
        let body = ByteStream::read_from()
            .path(local)
            .offset(offset)
            .length(Length::Exact(length))
            .build()
            .await
            .map_err(|_| unreadable(std::io::ErrorKind::Other))?;
        let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
        let sent = client
            .upload_part()
            .bucket(address.bucket())
            .key(address.key())
            .upload_id(upload)
            .part_number(number)
            .body(body)
            .send()
            .await
            .map_err(|error| sorted(&error))?;
        let part = CompletedPart::builder().part_number(number);
        parts.push(part.set_e_tag(sent.e_tag).build());
        offset += length;
    }
    let whole = CompletedMultipartUpload::builder().set_parts(Some(parts));
    client
        .complete_multipart_upload()
        .bucket(address.bucket())
        .key(address.key())
        .upload_id(upload)
        .multipart_upload(whole.build())
        .send()
        .await
        .map_err(|error| sorted(&error))?;
    Ok(())
}

fn unreadable(kind: std::io::ErrorKind) -> FileError {
    FileError::Refused {
        code: format!("local file: {kind}"),
    }
}
