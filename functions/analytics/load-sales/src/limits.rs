//! How large and how bad a file may be, and how much of the lake it may make anew.

use lake::{FILE_ROWS, SORT_BUDGET_BYTES, input::Format};

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
/// What is left when no file of the lake begins to be searched or made anew any more, in milliseconds.
pub(crate) const FILE_RESERVE_MS: i64 = 60_000;
/// What a line costs until it lies in the lake, in microseconds: a quarter of the speed of
/// bench/README.md, as with [`MOST_TEXT_BYTES`]. The same holds for the costs below.
const LINE_US: u64 = 5;
/// What it costs to look up a file of the lake.
const SEARCHED_FILE_US: u64 = 100_000;
/// What it costs to look up each order of it, where the file names too many for Bloom filters.
const SEARCHED_ROW_US: u64 = 2;
/// What a row costs that is written anew.
const REWRITTEN_ROW_US: u64 = 7;
/// What all of it may cost: Lambda's time without [`RESERVE_MS`].
const MOST_WORK_US: u64 = 780_000_000;

/// How a load goes about its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Memory for lines that are sorted.
    pub sort_budget_bytes: usize,
    /// About how many rows a file of the lake gets.
    pub file_rows: u64,
    /// What a load may cost by the estimate, in microseconds.
    pub most_work_us: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            sort_budget_bytes: SORT_BUDGET_BYTES,
            file_rows: FILE_ROWS,
            most_work_us: MOST_WORK_US,
        }
    }
}

/// What a load has to do; what it costs does not depend on how fast the day's machine is, so that a
/// file that was refused would be refused again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Work {
    /// Lines of the file.
    pub(crate) lines: u64,
    /// Files of the lake that may have orders of it.
    pub(crate) files: u64,
    /// Rows of theirs whose orders are looked up one by one.
    pub(crate) searched_rows: u64,
    /// Rows of those that lose some.
    pub(crate) rewritten_rows: u64,
}

impl Work {
    /// What it costs, in microseconds.
    pub(crate) const fn cost_us(self) -> u64 {
        let read = self.lines.saturating_mul(LINE_US);
        let opened = self.files.saturating_mul(SEARCHED_FILE_US);
        let searched = self.searched_rows.saturating_mul(SEARCHED_ROW_US);
        let rewritten = self.rewritten_rows.saturating_mul(REWRITTEN_ROW_US);
        read.saturating_add(opened)
            .saturating_add(searched)
            .saturating_add(rewritten)
    }
}

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
    fn the_largest_file_that_is_taken_ends_in_time_where_it_replaces_as_many_lines() {
        let work = Work {
            lines: MOST_PARQUET_ROWS,
            ..Work::default()
        };
        assert!(work.cost_us() < MOST_WORK_US);
        let replacing = Work {
            files: 40,
            searched_rows: 40_000_000,
            rewritten_rows: 40_000_000,
            ..work
        };
        assert!(replacing.cost_us() < MOST_WORK_US);
        let rewritten_rows = 100_000_000;
        let beyond = Work {
            rewritten_rows,
            ..replacing
        };
        assert!(beyond.cost_us() > MOST_WORK_US);
    }

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
