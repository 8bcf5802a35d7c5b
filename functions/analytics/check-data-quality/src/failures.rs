//! The failing keys of a check: all of them, in a compressed file of the temporary folder, so that a
//! million of them need no more memory than one.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use flate2::{Compression, write::GzEncoder};
use tempfile::NamedTempFile;

/// What a check looked at and what failed.
#[derive(Default)]
pub struct Failures {
    /// How many were looked at.
    pub checked: i64,
    /// How many failed.
    pub failed: i64,
    file: Option<Open>,
}

struct Open {
    csv: csv::Writer<GzEncoder<BufWriter<File>>>,
    local: NamedTempFile,
}

impl Failures {
    /// Of so many looked at none failed yet.
    #[must_use]
    pub fn among(checked: usize) -> Self {
        Self {
            checked: i64::try_from(checked).unwrap_or(i64::MAX),
            ..Self::default()
        }
    }

    /// Notes a failing key: where it is, and what was found there.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn note(&mut self, header: &[&str], key: &[&str]) -> io::Result<()> {
        self.failed += 1;
        let open = match &mut self.file {
            Some(open) => open,
            none => none.insert(Open::begin(header)?),
        };
        open.csv.write_record(key)?;
        Ok(())
    }

    /// Ends the file; `None` where nothing failed by a key.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn finish(&mut self) -> io::Result<Option<NamedTempFile>> {
        let Some(open) = self.file.take() else {
            return Ok(None);
        };
        let gzip = open
            .csv
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        gzip.finish()?.flush()?;
        Ok(Some(open.local))
    }
}

impl Open {
    fn begin(header: &[&str]) -> io::Result<Self> {
        let local = NamedTempFile::new()?;
        let file = BufWriter::new(local.reopen()?);
        let gzip = GzEncoder::new(file, Compression::fast());
        let mut csv = csv::Writer::from_writer(gzip);
        csv.write_record(header)?;
        Ok(Self { csv, local })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Set in the process of its own that measures memory: other tests would count here too.
    const MEASURES: &str = "FEIRA_TEST_MEASURES";
    /// More than gzip and the buffers take, and far less than a million keys.
    const MOST_GROWTH_KIB: u64 = 2_048;

    /// The most memory that this process ever held.
    fn peak_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.unwrap().parse().unwrap()
    }

    #[test]
    fn a_million_failing_keys_take_no_more_memory_than_a_thousand() {
        let me = "failures::tests::a_million_failing_keys_take_no_more_memory_than_a_thousand";
        if std::env::var_os(MEASURES).is_none() {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args([me, "--exact", "--nocapture"])
                .env(MEASURES, "1")
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&child.stdout);
            assert!(
                child.status.success() && told.contains("1 passed"),
                "{told}"
            );
            return;
        }
        let mut failures = Failures::default();
        let mut note = |numbers: std::ops::Range<u32>| {
            for number in numbers {
                let key = format!("pedido-{number:020}");
                let header = ["id_pedido", "quantidade_esperada", "quantidade"];
                failures.note(&header, &[&key, "1", "2"]).unwrap();
            }
            peak_kib()
        };
        let few = note(0..1_000);
        let many = note(1_000..1_000_000);
        assert!(many - few < MOST_GROWTH_KIB, "{few} KiB, then {many} KiB");
        assert!(failures.finish().unwrap().is_some());
    }

    #[test]
    fn all_of_a_million_failing_keys_are_in_the_file() {
        let mut failures = Failures::default();
        for number in 0..1_000_000 {
            let key = format!("p{number}");
            failures.note(&["id_pedido"], &[&key]).unwrap();
        }
        let file = failures.finish().unwrap().unwrap();
        let mut text = String::new();
        let gzip = flate2::read::GzDecoder::new(file.reopen().unwrap());
        io::BufReader::new(gzip).read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 1_000_001);
        assert!(text.starts_with("id_pedido\np0\np1\n") && text.ends_with("p999999\n"));
        assert_eq!(failures.failed, 1_000_000);
    }
}
