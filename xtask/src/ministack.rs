//! ministack, the AWS stand-in: SQS, S3, Secrets Manager, Lambda, CloudFormation on one port.
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::failure::Outcome;
use crate::mariadb::{await_port, free_port};
use crate::parts::{Part, Server};
use crate::process::Running;
use crate::tools::MINISTACK;

const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts ministack with all of its files in `folder`.
pub(crate) async fn start(folder: &Path) -> Outcome<Part> {
    let bin = MINISTACK.ready().await?;
    let port = free_port()?;
    let log = folder.join("server.log");
    let output = File::create(&log)?;
    let mut command = Command::new(bin.join("ministack"));
    // Its functions inherit this environment, so nothing of the developer's AWS account is in it.
    for name in [
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_SESSION_TOKEN",
        "DOCKER_HOST",
    ] {
        command.env_remove(name);
    }
    command
        .env("BIND_HOST", "127.0.0.1") // 0.0.0.0 is its default
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")) // for its functions
        .env("MINISTACK_REGION", "sa-east-1")
        .env("LAMBDA_EXECUTOR", "local")
        .env("TMPDIR", folder)
        .env("STATE_DIR", folder.join("state"))
        .env("S3_DATA_DIR", folder.join("s3"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let mut running = Running::start("ministack", command)?;
    await_port(&mut running, port, &log, START_LIMIT).await?;
    let version = MINISTACK
        .packages
        .iter()
        .map(|(_, version)| *version)
        .collect();
    Ok(Part::Took {
        version,
        url: format!("http://127.0.0.1:{port}"),
        more: Vec::new(),
        _server: Some(Box::new(Server {
            container: None,
            running,
            folder: None,
        })),
    })
}
