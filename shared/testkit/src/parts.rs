//! The record of which real parts took part in a run of the tests.
use std::env;
use std::fs::OpenOptions;
use std::io::Write;

/// Names the file that tests add their lines to; `cargo xtask test` sets it and sums it up.
const PARTS_FILE: &str = "FEIRA_PARTS_FILE";

/// Records that the running test met the real `part`.
pub(crate) fn took_part(part: &str) {
    record(&format!("real part took part: {part}\n"));
}

/// Records that the running test wanted the real `part` and went on without it.
pub(crate) fn missing(part: &str) {
    record(&format!("real part missing: {part}\n"));
}

fn record(line: &str) {
    let Some(path) = env::var_os(PARTS_FILE) else {
        return;
    };
    // One short write in append mode: lines of tests that run side by side never mix.
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!(
            "{PARTS_FILE} names {} which cannot be written: {error}",
            path.display()
        );
    }
}
