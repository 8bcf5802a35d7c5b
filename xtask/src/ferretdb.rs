//! FerretDB of the run's own, which speaks MongoDB's protocol: built once by Go from the module
//! proxy, its documents in SQLite files, on 127.0.0.1.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::mariadb::{await_port, free_port};
use crate::parts::{Part, Server};
use crate::process::{Running, output_of, run_logged};
use crate::tools::{InstallLock, apt_install, cache_folder};

/// FerretDB has a package to embed it: its own program wants files that a module lacks.
const PROGRAM: &str = include_str!("../ferretdb/main.go");
const MODULE: &str = include_str!("../ferretdb/go.mod");
const SUMS: &str = include_str!("../ferretdb/go.sum");
const REQUIRED: &str = "github.com/FerretDB/FerretDB v";

const BUILD_LIMIT: Duration = Duration::from_secs(900);
const START_LIMIT: Duration = Duration::from_secs(30);

/// Starts FerretDB with its files in `folder`.
pub(crate) async fn start(folder: &Path) -> Outcome<Part> {
    let program = program().await?;
    let port = free_port()?;
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    let log = folder.join("server.log");
    let mut command = Command::new(program);
    command
        .arg(format!("127.0.0.1:{port}"))
        .arg(format!("file:{}/?_pragma=synchronous(off)", data.display()))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let mut running = Running::start("FerretDB", command)?;
    await_port(&mut running, port, &log, START_LIMIT).await?;
    Ok(Part::Took {
        version: version()?.to_owned(),
        url: format!("mongodb://127.0.0.1:{port}"),
        more: Vec::new(),
        _server: Some(Box::new(Server {
            container: None,
            running,
            folder: None,
        })),
    })
}

/// The program in the cache folder; compiles it once (some minutes on two cores).
async fn program() -> Outcome<PathBuf> {
    let folder = cache_folder()?.join(format!("ferretdb-{}", version()?));
    let program = folder.join("ferretdb");
    if program.exists() {
        return Ok(program);
    }
    if output_of("go", &["version"]).await.is_none() {
        apt_install("golang-go").await?;
    }
    let _lock = InstallLock::take()?;
    if program.exists() {
        return Ok(program);
    }
    println!("building FerretDB with go into {}", folder.display());
    fs::create_dir_all(&folder)?;
    for (name, text) in [("main.go", PROGRAM), ("go.mod", MODULE), ("go.sum", SUMS)] {
        fs::write(folder.join(name), text)?;
    }
    let mut build = Command::new("go");
    // A build that was cut off leaves no program of this name.
    build
        .args(["build", "-o", "partial", "."])
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("CGO_ENABLED", "0")
        .current_dir(&folder);
    let log = cache_folder()?.join("ferretdb.log");
    run_logged("go build", build, &log, BUILD_LIMIT).await?;
    fs::rename(folder.join("partial"), &program)?;
    Ok(program)
}

fn version() -> Outcome<&'static str> {
    let mut lines = MODULE.lines();
    let version = lines.find_map(|line| line.split_once(REQUIRED));
    let version = version.and_then(|(_, version)| version.split_whitespace().next());
    version.ok_or_else(|| Failure::new("xtask/ferretdb/go.mod names no version of FerretDB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_names_the_version() {
        let version = version().unwrap();
        assert!(version.starts_with("1."), "{version}");
        assert!(SUMS.contains(&format!("FerretDB v{version} h1:")));
    }
}
