//! The cache folder of tools, and the Python environments in it.
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::{output_of, run_logged};
use crate::terminal::cargo;

const INSTALL_LIMIT: Duration = Duration::from_secs(480);
const COMPILE_LIMIT: Duration = Duration::from_secs(1200);

/// A Python environment of its own, because the pins of its packages clash with the others'.
pub(crate) struct PythonTools {
    /// The folder's name in the cache.
    pub(crate) folder: &'static str,
    /// Package (with extras) and exact version.
    pub(crate) packages: &'static [(&'static str, &'static str)],
}

/// The AWS stand-in of the tests.
pub(crate) const MINISTACK: PythonTools = PythonTools {
    folder: "ministack",
    packages: &[("ministack[full]", "1.5.33")],
};

/// What tries the HTTP API against its OpenAPI document.
pub(crate) const SCHEMATHESIS: PythonTools = PythonTools {
    folder: "schemathesis",
    packages: &[("schemathesis", "4.32.5")],
};

/// The producer that a shop's own programs use.
pub(crate) const KAFKA_PYTHON: PythonTools = PythonTools {
    folder: "kafka-python",
    packages: &[("kafka-python", "3.0.12")],
};

/// Engines of other makers, that read the lake, and a parser of Redshift's dialect.
pub(crate) const LAKE_ENGINES: PythonTools = PythonTools {
    folder: "lake",
    packages: &[
        ("duckdb", "1.5.5"),
        ("duckdb-extensions", "1.5.5"),
        ("duckdb-extension-ducklake", "1.5.5"),
        ("duckdb-extension-sqlite-scanner", "1.5.5"),
        ("duckdb-extension-mysql-scanner", "1.5.5"),
        ("pyspark", "4.3.0"),
        ("sqlglot", "30.30.0"),
    ],
};

/// What checks and packages the template.
pub(crate) const AWS: PythonTools = PythonTools {
    folder: "aws",
    packages: &[
        ("aws-sam-cli", "1.170.0"),
        ("cfn-lint", "1.58.0"),
        ("cargo-lambda", "1.9.2"),
        ("ziglang", "0.17.0"),
    ],
};

/// `$XDG_CACHE_HOME/feira-tools`, else `~/.cache/feira-tools`.
pub(crate) fn cache_folder() -> Outcome<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => match env::var_os("HOME").filter(|value| !value.is_empty()) {
            Some(home) => Path::new(&home).join(".cache"),
            None => return Err(Failure::new("neither XDG_CACHE_HOME nor HOME is set")),
        },
    };
    let folder = cache.join("feira-tools");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Holds the cache folder while one of us installs; a second `cargo xtask` waits here.
pub(crate) struct InstallLock {
    _held: File,
}

impl InstallLock {
    pub(crate) fn take() -> Outcome<Self> {
        let held = File::create(cache_folder()?.join(".lock"))?;
        held.lock()?;
        Ok(Self { _held: held })
    }
}

impl PythonTools {
    /// The environment's `bin` folder; installs what is missing or has another version.
    pub(crate) async fn ready(&self) -> Outcome<PathBuf> {
        let folder = cache_folder()?.join(self.folder);
        let bin = folder.join("bin");
        if self.installed(&folder) {
            return Ok(bin);
        }
        let _lock = InstallLock::take()?;
        if self.installed(&folder) {
            return Ok(bin);
        }
        let wanted: Vec<String> = self
            .packages
            .iter()
            .map(|(name, version)| format!("{name}=={version}"))
            .collect();
        println!(
            "installing {} with pip into {}",
            wanted.join(", "),
            folder.display()
        );
        let log = cache_folder()?.join(format!("{}.log", self.folder));
        if !bin.join("python").exists() {
            let mut create = Command::new("python3");
            create.args(["-m", "venv"]).arg(&folder);
            run_logged("python3 -m venv", create, &log, INSTALL_LIMIT).await?;
        }
        let mut install = Command::new(bin.join("python"));
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        install
            .args(["--retries", "2", "--timeout", "20"])
            .args(&wanted);
        run_logged("pip install", install, &log, INSTALL_LIMIT).await?;
        Ok(bin)
    }

    fn installed(&self, folder: &Path) -> bool {
        let Ok(pythons) = fs::read_dir(folder.join("lib")) else {
            return false;
        };
        let packages: Vec<PathBuf> = pythons
            .flatten()
            .map(|entry| entry.path().join("site-packages"))
            .collect();
        self.packages.iter().all(|(name, version)| {
            let name = name.split('[').next().unwrap_or(name).replace('-', "_");
            let record = format!("{name}-{version}.dist-info/RECORD");
            packages.iter().any(|folder| folder.join(&record).exists())
        })
    }
}

/// `cargo-deny` in the cache folder; compiles it once (about a minute on two cores).
pub(crate) async fn cargo_deny() -> Outcome<PathBuf> {
    const VERSION: &str = "0.20.2";
    let folder = cache_folder()?.join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    let _lock = InstallLock::take()?;
    if program.exists() {
        return Ok(program);
    }
    println!("compiling cargo-deny {VERSION} into {}", folder.display());
    let mut command = cargo("install");
    command.args([
        "cargo-deny",
        "--version",
        VERSION,
        "--locked",
        "--profile",
        "dev",
        "--root",
    ]);
    // Its own target folder, and none of the workspace's settings: they would rebuild each other.
    let build = tempfile::Builder::new()
        .prefix("feira-cargo-deny-")
        .tempdir()?;
    command
        .arg(&folder)
        .env("CARGO_TARGET_DIR", build.path())
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    let log = cache_folder()?.join("cargo-deny.log");
    run_logged("cargo install cargo-deny", command, &log, COMPILE_LIMIT).await?;
    Ok(program)
}

/// Installs a Debian package where we may (root, or sudo that asks no password).
pub(crate) async fn apt_install(package: &str) -> Outcome {
    if output_of("apt-get", &["--version"]).await.is_none() {
        return Err(Failure::new(format!(
            "{package} is not there and neither is apt-get"
        )));
    }
    let root = output_of("id", &["-u"]).await.as_deref() == Some("0");
    if !root && output_of("sudo", &["-n", "true"]).await.is_none() {
        return Err(Failure::new(format!(
            "{package} is not there; install it by `sudo apt-get install {package}`"
        )));
    }
    let _lock = InstallLock::take()?;
    println!("installing {package} with apt-get");
    let log = cache_folder()?.join("apt.log");
    for arguments in [
        vec!["update"],
        vec!["install", "-y", "--no-install-recommends", package],
    ] {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.args(["-n", "env"]);
        }
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(&arguments);
        let name = format!("apt-get {}", arguments.join(" "));
        run_logged(&name, command, &log, INSTALL_LIMIT).await?;
    }
    Ok(())
}
