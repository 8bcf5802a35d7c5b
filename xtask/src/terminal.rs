//! What the commands have in common on the terminal: steps, durations, cargo itself.
use std::env;
use std::time::Duration;

use tokio::process::Command;

use crate::workspace_root;

/// `cargo` of the toolchain that runs us, at the workspace's root. What `cargo run` has set for this
/// program is taken away: a build script that reads it would compile half of the tree anew.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.arg(subcommand).current_dir(workspace_root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Announces a step.
pub(crate) fn step(what: &str) {
    println!("==> {what}");
}

/// A duration as people read it, to a tenth of a second.
pub(crate) fn seconds(duration: Duration) -> String {
    format!(
        "{}.{} s",
        duration.as_secs(),
        duration.subsec_millis() / 100
    )
}
