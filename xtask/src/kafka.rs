//! Apache Kafka of the run's own: its jars from Maven Central, one KRaft node on 127.0.0.1.
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

/// <https://central.sonatype.com/artifact/org.apache.kafka/kafka_2.13>; it needs Java 17.
const VERSION: &str = "4.2.0";
/// Names the folder of the jars: a test that stops its broker starts one of its own.
const JARS_VARIABLE: &str = "FEIRA_KAFKA_JARS";
/// The same settings as of a test's own broker.
const SERVER_PROPERTIES: &str = include_str!("../../shared/testkit/src/kafka/server.properties");
/// Any id will do for a cluster of one run.
const CLUSTER_ID: &str = "RmVpcmFUZXN0Q2x1c3Rlcg";

const DOWNLOAD_LIMIT: Duration = Duration::from_secs(480);
const FORMAT_LIMIT: Duration = Duration::from_secs(60);
const START_LIMIT: Duration = Duration::from_secs(90);

/// slf4j-simple writes the broker's log to standard error; without it there is none.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>feira</groupId>
  <artifactId>kafka-of-the-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"#;

/// Starts Kafka with its log in `folder`.
pub(crate) async fn start(folder: &Path) -> Outcome<Part> {
    let jars = jars().await?;
    let (port, controller_port) = (free_port()?, free_port()?);
    let settings = folder.join("server.properties");
    fs::write(&settings, server_properties(folder, port, controller_port))?;

    let mut format = java(&jars);
    format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
    format.arg(&settings);
    let log = folder.join("format.log");
    run_logged("Kafka's StorageTool", format, &log, FORMAT_LIMIT).await?;

    let log = folder.join("server.log");
    let mut command = java(&jars);
    command
        .arg("kafka.Kafka")
        .arg(&settings)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let mut running = Running::start("Kafka", command)?;
    await_port(&mut running, port, &log, START_LIMIT).await?;
    Ok(Part::Took {
        version: VERSION.to_owned(),
        url: format!("127.0.0.1:{port}"),
        more: vec![(JARS_VARIABLE, jars.display().to_string())],
        _server: Some(Box::new(Server {
            container: None,
            running,
            folder: None,
        })),
    })
}

/// The folder of Kafka's jars and all that they need; downloads them once.
async fn jars() -> Outcome<PathBuf> {
    let folder = cache_folder()?.join(format!("kafka-{VERSION}"));
    let jars = folder.join("jars");
    if output_of("java", &["-version"]).await.is_none() {
        apt_install("default-jre-headless").await?;
    }
    if jars.exists() {
        return Ok(jars);
    }
    if output_of("mvn", &["--version"]).await.is_none() {
        apt_install("maven").await?;
    }
    let _lock = InstallLock::take()?;
    if jars.exists() {
        return Ok(jars);
    }
    println!(
        "downloading Apache Kafka {VERSION} with mvn into {}",
        folder.display()
    );
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("pom.xml"), POM.replace("{VERSION}", VERSION))?;
    // A download that was cut off leaves no folder of this name.
    let partial = folder.join("partial");
    let mut download = Command::new("mvn");
    download
        .args(["--batch-mode", "--quiet", "dependency:copy-dependencies"])
        .args(["-DincludeScope=runtime", "-DoutputDirectory=partial"])
        .current_dir(&folder);
    let log = cache_folder()?.join("kafka.log");
    run_logged("mvn", download, &log, DOWNLOAD_LIMIT).await?;
    let broker = partial.join(format!("kafka_2.13-{VERSION}.jar"));
    if !broker.exists() {
        return Err(Failure::new("mvn ended well and brought no Kafka"));
    }
    fs::rename(&partial, &jars)?;
    Ok(jars)
}

/// A small Java: a test's broker holds a few megabytes.
fn java(jars: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    command.arg("-cp").arg(jars.join("*"));
    command
}

fn server_properties(folder: &Path, port: u16, controller_port: u16) -> String {
    SERVER_PROPERTIES
        .replace("{folder}", &folder.display().to_string())
        .replace("{port}", &port.to_string())
        .replace("{controller_port}", &controller_port.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_listens_on_this_machine_only() {
        let settings = server_properties(Path::new("/x"), 1, 2);
        let listeners = settings.lines().filter(|line| line.contains("://"));
        let hosts: Vec<&str> = listeners.flat_map(|line| line.split(',')).collect();
        assert_eq!(hosts.len(), 3);
        assert!(hosts.iter().all(|host| host.contains("://127.0.0.1:")));
        assert!(settings.contains("log.dirs=/x/data\n"));
        assert!(!settings.contains('{'));
    }
}
