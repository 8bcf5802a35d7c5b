//! A MariaDB of the run's own: an empty folder, a free port, 127.0.0.1, full durability. Where apt
//! can't install it, Docker may have it.
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::container;
use crate::failure::{Failure, Outcome};
use crate::parts::{Part, Server};
use crate::process::{Running, last_lines, output_of, run_logged};
use crate::tools::apt_install;

const INSTALL_DB_LIMIT: Duration = Duration::from_secs(90);
const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts MariaDB with its data in memory where there is room, else in `folder`.
pub(crate) async fn start(folder: &Path) -> Outcome<Part> {
    let memory = memory_folder().await;
    let folder = memory.as_ref().map_or(folder, TempDir::path);
    if output_of("mariadbd", &["--version"]).await.is_none()
        && let Err(no_package) = apt_install("mariadb-server").await
    {
        return container::start("docker".as_ref(), no_package, folder).await;
    }
    let version = output_of("mariadbd", &["--version"])
        .await
        .ok_or_else(|| Failure::new("mariadbd does not run"))?;
    let data = folder.join("data");
    let root = output_of("id", &["-u"]).await.as_deref() == Some("0");

    let mut install = Command::new("mariadb-install-db");
    install.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]);
    install
        .args(root.then_some("--user=root"))
        .arg(format!("--datadir={}", data.display()));
    run_logged(
        "mariadb-install-db",
        install,
        &folder.join("install.log"),
        INSTALL_DB_LIMIT,
    )
    .await?;

    let port = free_port()?;
    let log = folder.join("server.log");
    let mut command = Command::new("mariadbd");
    command.args([
        "--no-defaults",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
    ]);
    command.args(root.then_some("--user=root"));
    command.arg(format!("--datadir={}", data.display()));
    // A relative socket: a path above 107 bytes would not fit one.
    command.args(["--socket=s.sock", "--pid-file=pid", "--max-connections=500"]);
    command.arg("--max-prepared-stmt-count=1000000");
    command.arg(format!("--port={port}")).current_dir(folder);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log)?);
    let mut running = Running::start("mariadbd", command)?;
    await_port(&mut running, port, &log, START_LIMIT).await?;
    Ok(Part::Took {
        version: short_version(&version),
        url: format!("mysql://root@127.0.0.1:{port}"),
        more: Vec::new(),
        _server: Some(Box::new(Server {
            container: None,
            running,
            folder: memory,
        })),
    })
}

/// A folder in memory: the settings stay those of full durability, and the thousands of tables
/// that tests make and drop do not wait for a disk.
async fn memory_folder() -> Option<TempDir> {
    const MEMORY: &str = "/dev/shm";
    const ENOUGH_KIB: u64 = 4 * 1024 * 1024;
    let table = output_of("df", &["-kP", MEMORY]).await?;
    let free = table.lines().nth(1)?.split_whitespace().nth(3)?;
    let enough = free.parse::<u64>().ok()? >= ENOUGH_KIB;
    let folder = tempfile::Builder::new()
        .prefix("feira-mariadb-")
        .tempdir_in(MEMORY);
    folder.ok().filter(|_| enough)
}

/// `mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for …` → `10.11.19-MariaDB-0+deb12u1`.
fn short_version(version: &str) -> String {
    let after = version.split("Ver ").nth(1).unwrap_or(version);
    after.split_whitespace().next().unwrap_or(after).to_owned()
}

/// A port that was free a moment ago on 127.0.0.1.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Waits until `port` takes connections; a server that ends meanwhile is a failure at once.
pub(crate) async fn await_port(
    running: &mut Running,
    port: u16,
    log: &Path,
    limit: Duration,
) -> Outcome {
    const PAUSE: Duration = Duration::from_millis(50);
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if let Some(status) = running.ended_by_itself() {
            return Err(Failure::new(format!(
                "it ended with {status}: {}",
                last_lines(log)
            )));
        }
        if started.elapsed() > limit {
            let limit_s = limit.as_secs();
            return Err(Failure::new(format!(
                "no answer in {limit_s} s: {}",
                last_lines(log)
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_the_word_after_ver() {
        let line = "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64";
        assert_eq!(short_version(line), "10.11.19-MariaDB-0+deb12u1");
        assert_eq!(short_version("odd"), "odd");
    }
}
