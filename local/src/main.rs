//! `cargo local`: the bundle on one machine.

use std::process::ExitCode;

use clap::Parser as _;
use feira_local::cli::Cli;
use feira_local::{commands, terminal};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::note(&format!("feira: {failure}"));
            ExitCode::from(failure.exit_code)
        }
    }
}
