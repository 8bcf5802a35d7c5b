//! Lines for the person at the terminal.

use std::io::Write as _;

/// Writes a line to standard error, where progress and troubles go; a closed terminal is no
/// failure.
pub fn note(line: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes a line to standard output, where answers go; a closed pipe is no failure.
pub fn answer(line: &str) {
    let _closed = writeln!(std::io::stdout().lock(), "{line}");
}
