//! `cargo xtask coverage`: line coverage of the domain crate by its own tests; told, not gated.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::{Running, output_of, run_shown};
use crate::terminal::{cargo, step};
use crate::tools::apt_install;
use crate::workspace_root;

const BUILD_LIMIT: Duration = Duration::from_secs(900);
const RUN_LIMIT: Duration = Duration::from_secs(300);
/// rustc 1.95 writes LLVM 22's profiles; LLVM 19 is the oldest seen reading them.
const LLVM_VERSIONS: [u32; 5] = [23, 22, 21, 20, 19];
const DEBIAN_PACKAGE: &str = "llvm-19";

pub(crate) async fn run() -> Outcome {
    let tools = LlvmTools::find_or_install().await?;
    step("building the domain's tests with coverage");
    let folder = target_folder();
    let binary = build(&folder).await?;

    step("running them");
    let profiles = folder.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    fs::create_dir_all(&profiles)?;
    let mut tests = Command::new(&binary);
    tests
        .arg("--quiet")
        .env("LLVM_PROFILE_FILE", profiles.join("%p.profraw"));
    tests.current_dir(workspace_root().join("shared/domain"));
    run_shown("the domain's tests", tests, RUN_LIMIT).await?;

    let merged = profiles.join("all.profdata");
    let mut merge = Command::new(&tools.profdata);
    merge.args(["merge", "-sparse", "-o"]).arg(&merged);
    for entry in fs::read_dir(&profiles)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "profraw")
        {
            merge.arg(path);
        }
    }
    run_shown("llvm-profdata", merge, RUN_LIMIT).await?;
    report(&tools, &binary, &merged).await
}

/// Prints a line a file and, last, the crate's total.
async fn report(tools: &LlvmTools, binary: &Path, merged: &Path) -> Outcome {
    let sources = workspace_root().join("shared/domain/src");
    let arguments = [
        "report".to_owned(),
        binary.display().to_string(),
        format!("-instr-profile={}", merged.display()),
        "-show-region-summary=false".to_owned(),
        "-show-branch-summary=false".to_owned(),
        sources.display().to_string(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(table) = output_of(&tools.cov, &arguments).await else {
        return Err(Failure::new("llvm-cov made no report"));
    };
    println!("{table}");
    let Some(lines) = lines_covered(&table) else {
        return Err(Failure::new("llvm-cov's report has no total"));
    };
    println!("line coverage of the domain crate: {lines}");
    Ok(())
}

/// The last column of llvm-cov's `TOTAL` row.
fn lines_covered(table: &str) -> Option<&str> {
    let total = table.lines().find(|line| line.starts_with("TOTAL"))?;
    total.split_whitespace().last()
}

/// Builds the crate's unit tests in a target folder of their own, because coverage's compiler
/// flags would rebuild everything in the common one; answers with the test binary.
async fn build(folder: &Path) -> Outcome<PathBuf> {
    let messages = folder.join("messages.json");
    fs::create_dir_all(folder)?;
    let mut command = cargo("test");
    command.args([
        "--package",
        "domain",
        "--lib",
        "--no-run",
        "--message-format=json",
    ]);
    command
        .env("CARGO_TARGET_DIR", folder)
        .env("RUSTFLAGS", "-C instrument-coverage");
    // Build scripts and macros are instrumented too; what they write is of no use.
    command.env("LLVM_PROFILE_FILE", "/dev/null");
    command
        .stdin(Stdio::null())
        .stdout(fs::File::create(&messages)?);
    let status = Running::start("cargo test", command)?
        .wait(BUILD_LIMIT)
        .await?;
    if !status.success() {
        return Err(Failure::new(format!(
            "the domain's tests do not build: {status}"
        )));
    }
    let messages = fs::read_to_string(&messages)?;
    let binary = messages.lines().rev().find_map(executable);
    binary.ok_or_else(|| Failure::new("cargo named no test binary of the domain crate"))
}

/// The path in cargo's JSON message about a test binary.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, after) = message.split_once("\"executable\":\"")?;
    let (path, _) = after.split_once('"')?;
    Some(PathBuf::from(path))
}

fn target_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target
        .unwrap_or_else(|| workspace_root().join("target"))
        .join("coverage")
}

/// The two programs that read a coverage profile.
struct LlvmTools {
    profdata: String,
    cov: String,
}

impl LlvmTools {
    /// Debian's, or those of rustup's llvm-tools; installs Debian's where there are none.
    async fn find_or_install() -> Outcome<Self> {
        if let Some(tools) = Self::find().await {
            return Ok(tools);
        }
        apt_install(DEBIAN_PACKAGE).await?;
        let found = Self::find().await;
        found.ok_or_else(|| Failure::new(format!("{DEBIAN_PACKAGE} brought no llvm-cov")))
    }

    async fn find() -> Option<Self> {
        let mut suffixes: Vec<(String, String)> = LLVM_VERSIONS
            .iter()
            .map(|v| (String::new(), format!("-{v}")))
            .collect();
        if let Some(libdir) = output_of("rustc", &["--print", "target-libdir"]).await {
            suffixes.insert(0, (format!("{libdir}/../bin/"), String::new()));
        }
        for (folder, suffix) in suffixes {
            let tools = Self {
                profdata: format!("{folder}llvm-profdata{suffix}"),
                cov: format!("{folder}llvm-cov{suffix}"),
            };
            let both = output_of(&tools.profdata, &["merge", "--help"])
                .await
                .is_some()
                && output_of(&tools.cov, &["report", "--help"]).await.is_some();
            if both {
                return Some(tools);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_is_the_last_column_of_its_row() {
        let table = "Filename  Lines  Missed Lines  Cover\nmoney.rs 10 1 90.00%\nTOTAL 10 1 90.00%";
        assert_eq!(lines_covered(table), Some("90.00%"));
        assert_eq!(lines_covered("nothing"), None);
    }

    #[test]
    fn executable_is_read_from_cargos_message() {
        let message = r#"{"reason":"compiler-artifact","executable":"/t/debug/deps/domain-1f","fresh":false}"#;
        assert_eq!(
            executable(message),
            Some(PathBuf::from("/t/debug/deps/domain-1f"))
        );
        assert_eq!(executable(r#"{"executable":null}"#), None);
    }
}
