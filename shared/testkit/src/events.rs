//! The trigger payloads in `events/`: what `cargo lambda invoke` and the tests both send.
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn folder(function: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(function)
}

/// The text of `events/<function>/<case>.json`.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn event_text(function: &str, case: &str) -> String {
    let path = folder(function).join(format!("{case}.json"));
    match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => panic!("{} cannot be read: {error}", path.display()),
    }
}

/// `events/<function>/<case>.json`.
///
/// # Panics
/// Where there is none, or it is no JSON.
#[must_use]
pub fn event(function: &str, case: &str) -> Value {
    serde_json::from_str(&event_text(function, case)).expect("event files are JSON")
}

/// The names of a function's event files, sorted, without `.json`.
///
/// # Panics
/// Where the function has none.
#[must_use]
pub fn event_cases(function: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(function)).expect("a function has a folder of event files");
    let mut cases: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "{function} has event files");
    cases
}
