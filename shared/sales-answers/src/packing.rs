//! A body of the size that Lambda takes: as text, or gzip where the caller reads it.

use std::io::{self, BufWriter, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::sales_summary::{Format, write_body};
use domain::sales::{Group, Grouping};
use flate2::{Compression, write::GzEncoder};
use lambda_kit::http::Request;

/// Lambda's largest answer is 6 MB, in which the body is a JSON text: with every quote and line end
/// escaped, and room for the headers
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const LARGEST_BODY_BYTES: usize = 6_000_000;
/// Base64 makes four bytes of three.
const LARGEST_PACKED_BYTES: usize = LARGEST_BODY_BYTES / 4 * 3;
/// Rows are handed to the compression in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// How a body goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    /// As text.
    Plain,
    /// As gzip, in base64 on its way through Lambda.
    Gzip,
}

/// The answer is larger than Lambda takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Packing {
    /// Gzip where the caller reads it and the format may be large.
    pub fn of(format: Format, request: &Request) -> Self {
        let accepted = request.header("accept-encoding").unwrap_or_default();
        if Self::is_asked_for(format) && names_gzip(accepted) {
            Self::Gzip
        } else {
            Self::Plain
        }
    }

    /// Whether it depends on what the caller reads. A page of JSON is small.
    pub const fn is_asked_for(format: Format) -> bool {
        matches!(format, Format::Csv | Format::Ndjson)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
        }
    }

    /// The groups as the body that Lambda is handed. What is written is never larger than that.
    pub fn write(
        self,
        format: Format,
        grouping: Grouping,
        groups: &[Group],
    ) -> Result<String, TooLarge> {
        match self {
            Self::Plain => {
                let mut body = Bounded::new(LARGEST_BODY_BYTES, true);
                write_body(&mut body, format, grouping, groups).map_err(|_| TooLarge)?;
                String::from_utf8(body.bytes).map_err(|_| TooLarge)
            }
            Self::Gzip => {
                let packed = Self::pack(format, grouping, groups).map_err(|_| TooLarge)?;
                Ok(STANDARD.encode(packed))
            }
        }
    }

    fn pack(format: Format, grouping: Grouping, groups: &[Group]) -> io::Result<Vec<u8>> {
        let body = Bounded::new(LARGEST_PACKED_BYTES, false);
        let gzip = GzEncoder::new(body, Compression::default());
        let mut rows = BufWriter::with_capacity(PIECE_BYTES, gzip);
        write_body(&mut rows, format, grouping, groups)?;
        let gzip = rows.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(gzip.finish()?.bytes)
    }
}

/// `gzip, deflate;q=0.5`, but not `gzip;q=0` (RFC 9110 §12.5.3).
fn names_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        let is_zero = weight.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        name.trim().eq_ignore_ascii_case("gzip") && !is_zero
    })
}

/// Takes bytes until they are too many.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
    /// Whether quotes and line ends count twice, as JSON escapes them.
    is_escaped: bool,
}

impl Bounded {
    const fn new(most: usize, is_escaped: bool) -> Self {
        Self {
            bytes: Vec::new(),
            left: most,
            is_escaped,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let escaped = |byte: &&u8| matches!(byte, b'"' | b'\\' | b'\n');
        let mut cost = bytes.len();
        if self.is_escaped {
            cost += bytes.iter().filter(escaped).count();
        }
        self.left = self
            .left
            .checked_sub(cost)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lambda_would_refuse_is_told_before() {
        let mut plain = Bounded::new(LARGEST_BODY_BYTES, true);
        assert!(plain.write_all(&vec![b'x'; LARGEST_BODY_BYTES]).is_ok());
        assert!(plain.write_all(b"x").is_err());
        let mut quotes = Bounded::new(LARGEST_BODY_BYTES, true);
        assert!(quotes.write_all(&vec![b'"'; 3_000_001]).is_err());
        let mut packed = Bounded::new(LARGEST_PACKED_BYTES, false);
        assert!(packed.write_all(&vec![b'"'; 4_500_000]).is_ok());
        assert_eq!(STANDARD.encode(packed.bytes).len(), LARGEST_BODY_BYTES);
    }

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        for accepted in ["gzip", "br, GZIP;q=0.5", "deflate , gzip", "gzip;q=1.0"] {
            assert!(names_gzip(accepted), "{accepted}");
        }
        for accepted in ["", "br", "gzip;q=0", "gzip; q=0.000", "gzipped"] {
            assert!(!names_gzip(accepted), "{accepted}");
        }
    }
}
