//! Wiring of publish-outbox.

use std::process::ExitCode;

use cold_start::SqlParts;
use publish_outbox::{EventRoutes, PublishOutbox};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::direct::run("publish-outbox", async || {
        let parts = SqlParts::open(&[]).await?;
        let routes = EventRoutes::parse(parts.variable("EVENT_ROUTES")?)?;
        let queues = parts.queues().await?;
        Ok((
            (),
            PublishOutbox::new(parts.store, queues, routes, lambda_kit::clock::now),
        ))
    })
    .await
}
