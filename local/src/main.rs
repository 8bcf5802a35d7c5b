//! `cargo local`: the bundle on one machine.

// An optimised build computes the layout of all commands' futures at once.
#![recursion_limit = "256"]

use std::process::ExitCode;

use clap::Parser as _;
use feira_local::cli::Cli;
use feira_local::{commands, terminal};

#[tokio::main]
async fn main() -> ExitCode {
    // The alias ends in `--`, so that `cargo local --port 1` works; `cargo local -- token` brings
    // a second one.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|argument| argument == "--") {
        arguments.remove(1);
    }
    let cli = Cli::parse_from(arguments);
    match commands::run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::note(&format!("feira: {failure}"));
            ExitCode::from(failure.exit_code)
        }
    }
}
