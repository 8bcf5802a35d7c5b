//! How large and how bad a file may be.

use lake::input::Format;

/// The most text of a file, unpacked.
///
/// bench/README.md has 38 MiB for a second of CPU: read, checked, sorted and written. A Lambda with
/// one CPU (1769 MB) is counted with a quarter of that, as it waits for S3 too: 4 GiB then take 410
/// seconds of the 780 that are left for reading, and the rest is for the files that lose lines.
pub const MOST_TEXT_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// A text of sales becomes so many times its compressed size (bench/README.md: 3.2 by gzip -6, 4.0 by
/// zstd -19); what unpacks to more than [`MOST_TEXT_BYTES`] is refused while it is read.
const COMPRESSION_RATIO: u64 = 4;
/// The most rows of a Parquet file: as many as [`MOST_TEXT_BYTES`] hold at 50 bytes a line.
pub const MOST_PARQUET_ROWS: u64 = 80_000_000;
/// The most bytes of a Parquet file, which is copied to the temporary folder first.
const MOST_PARQUET_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// What is left when no line begins to be read any more, in milliseconds.
pub(crate) const RESERVE_MS: i64 = 120_000;

/// More bad lines than both of these refuse the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLines {
    /// Share of all lines in basis points.
    pub share_basis_points: u64,
    /// Number of lines.
    pub lines: u64,
}

impl Default for BadLines {
    fn default() -> Self {
        Self {
            share_basis_points: 500,
            lines: 100,
        }
    }
}

impl BadLines {
    /// Whether so many bad lines of so many in all are too many.
    #[must_use]
    pub fn are_exceeded(self, bad: u64, all: u64) -> bool {
        let share = u128::from(bad) * 10_000;
        bad > self.lines && share > u128::from(self.share_basis_points) * u128::from(all)
    }
}

/// The most bytes of a file of this format that end within Lambda's time.
pub(crate) const fn most_bytes(format: Format) -> u64 {
    match format {
        Format::Csv => MOST_TEXT_BYTES,
        Format::Gzip | Format::Zstd => MOST_TEXT_BYTES / COMPRESSION_RATIO,
        Format::Parquet => MOST_PARQUET_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_the_share_and_the_number_have_to_be_exceeded() {
        let limit = BadLines::default();
        assert!(!limit.are_exceeded(100, 100));
        assert!(limit.are_exceeded(101, 2_000));
        assert!(!limit.are_exceeded(101, 2_020));
        assert!(!limit.are_exceeded(0, 0));
        let none = BadLines {
            share_basis_points: 0,
            lines: 0,
        };
        assert!(none.are_exceeded(1, u64::MAX));
        assert!(!none.are_exceeded(0, 10));
    }
}
