//! MariaDB in a container, where there is no package of it and a Docker engine answers.
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::failure::{Failure, Outcome};
use crate::mariadb::free_port;
use crate::parts::{Part, Server};
use crate::process::{Running, last_lines, output_of};

const IMAGE: &str = "mariadb:10.11";
/// Long enough to load the image.
const START_LIMIT: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);

/// A container that is stopped, and so removed, when this is dropped.
pub(crate) struct Container {
    docker: OsString,
    name: String,
}

impl Drop for Container {
    fn drop(&mut self) {
        // Where the engine is gone meanwhile, so is the container.
        drop(
            std::process::Command::new(&self.docker)
                .args(["stop", &self.name])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status(),
        );
    }
}

/// Starts MariaDB by `docker`; where no engine answers, the failure is why there is no package.
pub(crate) async fn start(docker: &OsStr, no_package: Failure, folder: &Path) -> Outcome<Part> {
    if output_of(docker, &["info"]).await.is_none() {
        return Err(Failure::new(format!(
            "{no_package}; no Docker engine answers either"
        )));
    }
    println!("{no_package}; starting {IMAGE} with Docker");
    let port = free_port()?;
    let name = format!("feira-mariadb-{}", std::process::id());
    let log = folder.join("docker.log");
    let file = std::fs::File::create(&log)?;
    let mut command = Command::new(docker);
    command
        .args(["run", "--rm", "--name", &name])
        .args(["-e", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1"])
        .args(["-p", &format!("127.0.0.1:{port}:3306"), IMAGE])
        .args(["--skip-name-resolve", "--max-connections=500"])
        .arg("--max-prepared-stmt-count=1000000")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let mut running = Running::start("docker run", command)?;
    let container = Container {
        docker: docker.to_owned(),
        name,
    };
    let version = await_greeting(&mut running, port, &log).await?;
    Ok(Part::Took {
        version: format!("{version} in Docker"),
        url: format!("mysql://root@127.0.0.1:{port}"),
        more: Vec::new(),
        _server: Some(Box::new(Server {
            container: Some(container),
            running,
            folder: None,
        })),
    })
}

/// Waits until MariaDB speaks: Docker takes connections of its port before there is a server.
async fn await_greeting(running: &mut Running, port: u16, log: &Path) -> Outcome<String> {
    let started = Instant::now();
    loop {
        if let Ok(Some(version)) = timeout(PAUSE * 10, greeting(port)).await {
            return Ok(version);
        }
        let told = match running.ended_by_itself() {
            Some(status) => format!("docker run ended with {status}"),
            None if started.elapsed() > START_LIMIT => {
                format!("no answer in {} s", START_LIMIT.as_secs())
            }
            None => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        return Err(Failure::new(format!("{told}: {}", last_lines(log))));
    }
}

/// The version in the packet by which a server greets.
async fn greeting(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let mut packet = [0; 128];
    let length = stream.read(&mut packet).await.ok()?;
    version_in(packet.get(..length)?)
}

/// Length (3 bytes), number, protocol 10, then the version with a zero at its end.
fn version_in(packet: &[u8]) -> Option<String> {
    let (&[_, _, _, _, protocol], text) = packet.split_first_chunk()?;
    let end = text.iter().position(|byte| *byte == 0)?;
    let version = std::str::from_utf8(text.get(..end)?).ok()?;
    // What MariaDB says to clients that know MySQL's numbers only.
    let version = version.trim_start_matches("5.5.5-");
    (protocol == 10).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    const GREETING: &[u8] = b"\x60\0\0\0\x0a5.5.5-10.11.8-MariaDB-ubu2204\0rest";

    /// A `docker` that writes down what it is asked; `engine` answers `docker info`.
    fn stand_in(folder: &Path, engine: &str) -> PathBuf {
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}/asked\ncase $1 in info) {engine};; run) exec sleep 60;; esac\n",
            folder.display()
        );
        let program = folder.join("docker");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    fn asked(folder: &Path) -> String {
        fs::read_to_string(folder.join("asked")).unwrap_or_default()
    }

    /// Greets, as MariaDB does, at the port that `docker run` was asked for.
    async fn greet(folder: &Path) {
        let port = loop {
            let asked = asked(folder);
            let port = asked.split("127.0.0.1:").nth(1);
            let port = port.and_then(|rest| rest.split_once(":3306"));
            if let Some((port, _)) = port {
                break port.parse::<u16>().unwrap();
            }
            tokio::time::sleep(PAUSE).await;
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        // Docker's own end takes the first connection and says nothing.
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(GREETING).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_package_and_with_an_engine_a_container_serves_until_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let docker = stand_in(folder.path(), "exit 0");
        let started = start(
            docker.as_os_str(),
            Failure::new("no apt-get"),
            folder.path(),
        );
        let (part, ()) = tokio::join!(started, greet(folder.path()));
        let Ok(Part::Took { version, url, .. }) = &part else {
            panic!("it did not start");
        };
        assert_eq!(version, "10.11.8-MariaDB-ubu2204 in Docker");
        assert!(url.starts_with("mysql://root@127.0.0.1:"), "{url}");
        let name = format!("feira-mariadb-{}", std::process::id());
        assert!(asked(folder.path()).contains(&format!("run --rm --name {name} -e")));
        drop(part);
        let ended = asked(folder.path());
        assert_eq!(ended.lines().last(), Some(format!("stop {name}").as_str()));
    }

    #[tokio::test]
    async fn without_a_package_and_without_an_engine_both_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let docker = stand_in(folder.path(), "exit 1");
        let failure = start(
            docker.as_os_str(),
            Failure::new("no apt-get"),
            folder.path(),
        );
        let told = failure.await.err().map(|failure| failure.to_string());
        let expected = "no apt-get; no Docker engine answers either";
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(asked(folder.path()), "info\n");
    }
}
