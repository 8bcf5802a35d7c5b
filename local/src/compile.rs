//! Builds the function binaries with cargo, in the profile and target folder of this very binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, OrFailure};

/// Where this binary lies, its functions lie too.
///
/// # Errors
/// When the system does not tell.
pub fn own_folder() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().or_work(|| "this program's own path".to_owned())?;
    own.parent()
        .map(Path::to_owned)
        .ok_or_else(|| Failure::work("this program lies in no folder"))
}

/// Runs `cargo build --workspace --bins` with its own progress on the terminal. One form only:
/// another selection of packages would unify features differently and compile everything anew.
///
/// # Errors
/// When cargo is not there or the build fails; cargo has said why.
pub fn build(root: &Path, binaries: &Path) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--workspace", "--bins"])
        .current_dir(root);
    match binaries.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => {
            command.args(["--profile", profile]);
        }
    }
    if let Some(target) = binaries.parent() {
        command.arg("--target-dir").arg(target);
    }
    // `cargo run` sets these for this program; the inner cargo must not see them as changes.
    for (name, _value) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let status = command.status().or_mend(|| {
        "cargo could not be started (install Rust, or build first and use --no-build)".to_owned()
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::mend(
            "the bundle does not build: mend what cargo says above",
        ))
    }
}
