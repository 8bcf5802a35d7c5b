//! Wiring of measure-cover.

use std::process::ExitCode;

use cold_start::{SqlParts, stock_limits};
use measure_cover::MeasureCover;
use sales_answers::{ChosenSource, NEEDS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("measure-cover", async || {
        let parts = SqlParts::open(&NEEDS).await?;
        let usual = stock_limits(&parts.process)?;
        let source = ChosenSource::open(&parts)?;
        let announcer = parts.announcer();
        let clock = lambda_kit::clock::now;
        Ok((
            announcer,
            MeasureCover::new(parts.store, source, usual, clock),
        ))
    })
    .await
}
