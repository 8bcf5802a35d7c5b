//! What the end of a test run says: counts over cargo's outputs, and which real parts took part.
use std::collections::BTreeMap;

/// The tests of a run, summed over every `test result:` line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// Adds a line of cargo's output, where it is a result line:
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    pub(crate) fn read_line(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        for (count, what) in result
            .split([';', '.'])
            .filter_map(|part| part.trim().split_once(' '))
        {
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                _ => {}
            }
        }
    }
}

/// In how many tests each part took part, from the lines that testkit wrote.
pub(crate) fn parts_that_took_part(lines: &str) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for part in lines
        .lines()
        .filter_map(|line| line.strip_prefix("real part took part: "))
    {
        *counts.entry(part).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_summed_and_others_are_not() {
        let mut counts = Counts::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.90s",
            "test seven_passed ... ok",
        ] {
            counts.read_line(line);
        }
        assert_eq!(
            counts,
            Counts {
                passed: 13,
                failed: 2
            }
        );
    }

    #[test]
    fn only_parts_that_took_part_are_counted() {
        let lines = "real part took part: MariaDB\nreal part missing: ministack\nreal part took part: MariaDB\n";
        assert_eq!(
            parts_that_took_part(lines),
            BTreeMap::from([("MariaDB", 2)])
        );
    }
}
