//! The functions' real binaries, as the workspace builds them for tests.
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Set by `cargo xtask test`, which has built the workspace's binaries just before.
const ALREADY_BUILT: &str = "FEIRA_BINARIES_BUILT";

/// The folder that holds every binary of the workspace (`issue-trip-voucher`, `feira-local`, …),
/// in the profile of the running test and up to date. The first call of a test binary builds
/// them, unless `cargo xtask test` has.
///
/// # Panics
/// Where they do not build, or where the caller is not a test that cargo built.
pub fn function_binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // A test binary is target/<profile>/deps/<name>-<hash>.
        let test = env::current_exe().expect("a test knows its own path");
        let folder = test.parent().and_then(Path::parent);
        let folder = folder.expect("cargo builds tests into target/<profile>/deps");
        if env::var_os(ALREADY_BUILT).is_none() {
            build(folder.ends_with("release"));
        }
        folder.to_owned()
    })
}

fn build(release: bool) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bins"]);
    command.args(release.then_some("--release"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    // Set by the outer cargo for this test: what reads it would be compiled anew.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let status = command.status().expect("cargo starts");
    assert!(
        status.success(),
        "the workspace's binaries do not build: {status}"
    );
}
