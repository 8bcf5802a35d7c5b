//! What a developer runs: tests with real parts, checks, coverage.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user on the terminal"
)]

mod check;
mod container;
mod coverage;
mod failure;
mod ferretdb;
mod kafka;
mod mariadb;
mod ministack;
mod parts;
mod postgres;
mod process;
mod summary;
mod terminal;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, Outcome};

/// Feira's developer commands. Everything they start listens on 127.0.0.1 and ends with them;
/// everything they install lies in the cache folder (~/.cache/feira-tools).
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every test, with a real MariaDB, Kafka and AWS stand-in where they can be had
    Test(test::Options),
    /// Starts the real parts of the tests and keeps them until Ctrl-C
    Services,
    /// Checks the sources: rustfmt, clippy, template.yaml, licences and bans of dependencies
    Check(check::Options),
    /// Measures which lines of the domain crate its tests run
    Coverage,
}

/// 128 + SIGINT, as shells report an interrupted program.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Failure::from(error)),
    };
    match runtime.block_on(until_interrupted(run(arguments.command))) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(failure)) => failed(&failure),
        None => ExitCode::from(INTERRUPTED),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    eprintln!("cargo xtask: {failure}");
    ExitCode::FAILURE
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Test(options) => test::run(options).await,
        Command::Services => test::run_services().await,
        Command::Check(options) => check::run(options).await,
        Command::Coverage => coverage::run().await,
    }
}

/// Runs `work` until it ends or Ctrl-C or SIGTERM comes (`None`); dropping it ends what it started.
async fn until_interrupted(work: impl Future<Output = Outcome>) -> Option<Outcome> {
    let (mut interrupt, mut terminate) = match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => return Some(Err(Failure::from(error))),
    };
    tokio::select! {
        outcome = work => Some(outcome),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    }
}

/// The workspace's root, from where every cargo command runs.
fn workspace_root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
