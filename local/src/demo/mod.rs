//! `demo`: real orders through the running bundle, by its entry points and queues: the topic
//! `clientes`, HTTP, and the queues of `pedidos` and `viagens`.

mod data;
mod replay;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use crate::client::Client;
use crate::commands::running;
use crate::failure::Failure;
use crate::instance::{Extent, Instance};
use crate::processes::Terminal;
use crate::project::Project;
use crate::terminal;

use data::Data;

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
    let outcome = match running(&project)? {
        Some(note) => replay::replay(&Client::new(project, note).await?, &data).await?,
        None => {
            let extent = Extent::Everything { port: 0 };
            let instance =
                Instance::start(Arc::clone(&project), extent, Terminal::Troubles).await?;
            let client = Client::new(project, instance.note.clone()).await?;
            let outcome = replay::replay(&client, &data).await;
            instance.stop().await;
            outcome?
        }
    };
    report::print_funnel(&outcome);
    if options.json {
        terminal::answer(&report::json_line(&outcome)?);
    }
    Ok(())
}
