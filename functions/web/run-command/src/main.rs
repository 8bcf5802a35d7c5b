//! Wiring of run-command.

use std::process::ExitCode;
use std::time::Duration;

use cold_start::{Need, SqlParts, keys};
use lambda_kit::SealKey;
use run_command::{DeadLetterRoutes, JobFunctions, RunCommand};

/// Longest time that Lambda may take to queue a job's event.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::direct::run("run-command", async || {
        let parts = SqlParts::open(&[Need::Required(keys::DEAD_LETTER_KEY)]).await?;
        let key = parts.secrets.key_bytes(keys::DEAD_LETTER_KEY)?;
        let command = RunCommand {
            queues: parts.queues().await?,
            seal_key: SealKey::new(key.expose()).ok_or("DEAD_LETTER_KEY must be 32 bytes")?,
            dead_letter_routes: DeadLetterRoutes::parse(parts.variable("DEAD_LETTER_ROUTES")?)?,
            invoker: parts.invoker(INVOKE_TIMEOUT),
            job_functions: JobFunctions::parse(parts.variable("JOB_FUNCTIONS")?)?,
            clock: lambda_kit::clock::now,
            store: parts.store,
        };
        Ok(((), command))
    })
    .await
}
