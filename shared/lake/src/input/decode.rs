//! What a file is, by its first bytes, and its text where that is compressed.

use std::io::{self, BufReader, Read};

use super::{BadFile, InputError};

/// How many bytes tell a format.
pub const MAGIC_BYTES: usize = 4;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text.
    Csv,
    /// Text in gzip.
    Gzip,
    /// Text in zstd.
    Zstd,
    /// Parquet.
    Parquet,
}

impl Format {
    /// Tells it by the first bytes (RFC 1952, RFC 8878, Parquet's own); what is nothing else is
    /// text.
    #[must_use]
    pub fn of(first_bytes: &[u8]) -> Self {
        match first_bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The second is a frame to skip, which pzstd begins with.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            _ => Self::Csv,
        }
    }

    /// Whether the text is compressed.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd)
    }
}

/// The text of a file; a compressed one may have several members or frames.
pub(super) fn text<'a>(
    format: Format,
    source: impl Read + 'a,
) -> Result<Box<dyn Read + 'a>, io::Error> {
    const BUFFER_BYTES: usize = 256 * 1024;
    Ok(match format {
        Format::Csv | Format::Parquet => Box::new(source),
        Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(
            BufReader::with_capacity(BUFFER_BYTES, source),
        )),
        Format::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(
            BufReader::with_capacity(BUFFER_BYTES, source),
        )?),
    })
}

/// Tells a source that broke off, which must say ConnectionReset, from a broken compression.
pub(super) fn read_failed<E>(format: Format, error: io::Error) -> InputError<E> {
    if format.is_compressed() && error.kind() != io::ErrorKind::ConnectionReset {
        InputError::File(BadFile::Broken)
    } else {
        InputError::Source(error)
    }
}
