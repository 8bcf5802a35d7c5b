//! `demo`: real orders through the running bundle, by its entry points and queues: the topic
//! `clientes`, the scheduled job, HTTP, and the queues of `pedidos` and `viagens`.

mod data;
mod replay;
mod report;
mod ways_in;

use std::path::PathBuf;
use std::sync::Arc;

use crate::failure::Failure;
use crate::instance::{Extent, Instance};
use crate::processes::Terminal;
use crate::project::Project;
use crate::terminal;

pub use data::Data;

/// What the command line says about the demonstration.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Folder with clientes.ndjson, pedidos.ndjson and entregas.ndjson; without it a small made-up
    /// sample.
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
pub async fn run(project: Arc<Project>, options: &Options) -> Result<(), Failure> {
    let data = Data::read(options.data.as_deref())?;
    let own = match project.running() {
        Some(_) => None,
        None => {
            let extent = Extent::Everything { port: 0 };
            Some(Instance::start(Arc::clone(&project), extent, Terminal::Quiet).await?)
        }
    };
    let outcome = replay::replay(&project, &data).await;
    if let Some(instance) = own {
        instance.stop().await;
    }
    let outcome = outcome?;
    report::print_funnel(&outcome);
    if options.json {
        terminal::answer(&report::json_line(&outcome)?);
    }
    Ok(())
}
