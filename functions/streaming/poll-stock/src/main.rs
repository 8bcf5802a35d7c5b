//! Wiring of poll-stock.

use std::process::ExitCode;

use cold_start::{Need, SqlParts, kafka_needs, keys};
use contracts::collect::STOCK_TOPIC;
use event_door::Door;
use poll_stock::{PollStock, Settings, StockApi};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::schedule::run("poll-stock", async || {
        let mut needs = vec![Need::Required(keys::STOCK_API_TOKEN)];
        needs.extend(kafka_needs());
        let parts = SqlParts::open(&needs).await?;
        let settings = Settings {
            url: parts.variable("STOCK_API_URL")?.to_owned(),
            token: parts
                .secrets
                .text(keys::STOCK_API_TOKEN)?
                .expose()
                .to_owned(),
            since_parameter: parts.process.get("STOCK_API_SINCE").map(str::to_owned),
        };
        let api = StockApi::new(settings)?;
        let queues = parts.queues().await?;
        let door = Door::open(
            &[STOCK_TOPIC],
            &parts.process,
            &parts.secrets,
            parts.credentials(),
            queues,
        )?;
        let clock = lambda_kit::clock::now;
        Ok(((), PollStock::new(parts.store, api, door, clock)))
    })
    .await
}
