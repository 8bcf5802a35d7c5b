//! Demonstrations: real data through the running bundle, by its entry points: topics, HTTP, queues and
//! buckets.

mod data;
mod events;
mod replay;
mod report;
mod sales;

use std::path::PathBuf;
use std::sync::Arc;

use crate::client::Client;
use crate::commands::running;
use crate::failure::Failure;
use crate::instance::{Extent, Instance};
use crate::processes::Terminal;
use crate::progress::Progress;
use crate::project::Project;
use crate::terminal;

use data::Data;
pub use events::{DemoEventsArgs, run as run_events};
pub use sales::{DemoSalesArgs, run as run_sales};

/// What the command line says about the demonstration.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DemoArgs {
    /// Folder with clientes.ndjson, pedidos.ndjson and entregas.ndjson, as docs/running-locally.md
    /// describes them; without it a small made-up sample. Each folder name has its own campaign.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print the result as one line of JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Replays the data through the instance that runs in the state folder, or through one that lives
/// as long as the demonstration. Running it again on the same state changes nothing.
///
/// # Errors
/// A sentence that says what to mend, or which step failed.
pub async fn run(project: Arc<Project>, options: &DemoArgs) -> Result<(), Failure> {
    let data = Data::read(options.data.as_deref())?;
    let work = async |client: Client| replay::replay(&client, &data).await;
    let outcome = on_instance(project, work).await?;
    report::print_funnel(&outcome);
    if options.json {
        terminal::answer(&report::json_line(&outcome)?);
    }
    Ok(())
}

/// Works with the instance that runs in the state folder, or with one that lives as long.
async fn on_instance<T>(
    project: Arc<Project>,
    work: impl AsyncFnOnce(Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(note) = running(&project)? {
        return work(Client::new(project, note).await?).await;
    }
    let extent = Extent::Everything { port: 0 };
    let instance = Instance::start(Arc::clone(&project), extent, Terminal::Troubles).await?;
    let outcome = match Client::new(project, instance.note.clone()).await {
        Ok(client) => work(client).await,
        Err(failure) => Err(failure),
    };
    instance.stop().await;
    outcome
}

/// Waits until the bundle has nothing left to do.
async fn wait(client: &Client, step: &Progress) -> Result<(), Failure> {
    client
        .wait_until_idle(|pending| step.left(pending.total()))
        .await?;
    step.end();
    Ok(())
}
