//! A PostgreSQL of the run's own, for Redshift's protocol: an empty folder, a free port, 127.0.0.1.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::mariadb::{await_port, free_port};
use crate::parts::{Part, Server};
use crate::process::{Running, output_of, run_logged};
use crate::tools::apt_install;

/// Debian keeps each version's programs in a folder of its own.
const PROGRAMS: &str = "/usr/lib/postgresql";
const DEBIAN_PACKAGE: &str = "postgresql";
/// PostgreSQL refuses to run as root; Debian's package makes this user.
const USER: &str = "postgres";

const INIT_LIMIT: Duration = Duration::from_secs(90);
const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts PostgreSQL with its data in a folder that its user may enter.
pub(crate) async fn start(_: &Path) -> Outcome<Part> {
    if programs().is_none() {
        apt_install(DEBIAN_PACKAGE).await?;
    }
    let programs = programs().ok_or_else(|| Failure::new("initdb is not there"))?;
    let is_root = output_of("id", &["-u"]).await.as_deref() == Some("0");
    let folder = tempfile::Builder::new().prefix("feira-pg-").tempdir()?;
    if is_root {
        let owner = format!("{USER}:{USER}");
        let mut own = Command::new("chown");
        own.arg(owner).arg(folder.path());
        let log = std::env::temp_dir().join("feira-pg-chown.log");
        run_logged("chown", own, &log, INIT_LIMIT).await?;
    }
    let logs = TempDir::new()?;
    let data = folder.path().join("data");
    let mut init = as_its_user(is_root, &programs.join("initdb"));
    init.args(["--auth=trust", "--username=feira", "--encoding=UTF8"]);
    init.args(["--locale=C", "--no-sync", "-D"]).arg(&data);
    init.current_dir(folder.path());
    run_logged("initdb", init, &logs.path().join("init.log"), INIT_LIMIT).await?;

    let port = free_port()?;
    let log = logs.path().join("server.log");
    let mut command = as_its_user(is_root, &programs.join("postgres"));
    command.arg("-D").arg(&data).current_dir(folder.path());
    command.args(["-c", "listen_addresses=127.0.0.1"]);
    command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
    command.args(["-c", &format!("port={port}")]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let mut running = Running::start("postgres", command)?;
    await_port(&mut running, port, &log, START_LIMIT).await?;
    Ok(Part::Took {
        version: version(&programs).await,
        url: format!("postgresql://feira@127.0.0.1:{port}/postgres"),
        more: Vec::new(),
        _server: Some(Box::new(Server {
            container: None,
            running,
            folder: Some(folder),
        })),
    })
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(PROGRAMS).ok()?;
    let mut folders: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    folders.sort();
    folders.pop()
}

/// The program, as a user that PostgreSQL accepts.
fn as_its_user(is_root: bool, program: &Path) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={USER}"), &format!("--regid={USER}")]);
    command.arg("--init-groups").arg(program);
    command
}

async fn version(programs: &Path) -> String {
    let program = programs.join("postgres");
    let said = output_of(&program.display().to_string(), &["--version"]).await;
    let said = said.unwrap_or_default();
    let number = said.split_whitespace().nth(2).unwrap_or_default();
    number.to_owned()
}
