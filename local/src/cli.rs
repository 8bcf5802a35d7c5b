//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::demo::{DemoArgs, DemoEventsArgs, DemoSalesArgs};
use crate::simulate::SimulateArgs;

/// Feira on one machine: builds the functions and runs them as template.yaml wires them, with
/// embedded queues, database, files and Kafka. No AWS account, no Docker.
#[derive(Debug, Parser)]
#[command(
    name = "cargo local --",
    bin_name = "cargo local --",
    version,
    after_help = "Examples:
  cargo local                                    build and start everything on port 8080
  cargo local -- token --scope mgm:admin         print a token for curl
  cargo local -- token --scope televendas --sub agente-7
  cargo local -- send PedidosQueue pedidos.ndjson
  cargo local -- run mgm_set_promoters --date 2026-11-19
  cargo local -- demo                            a whole referral campaign, from link to voucher
  cargo local -- demo-vendas                     a file of sales into the lake, and its totals
  cargo local -- demo-eventos                    clicks, carts and purchases, each told twice
  cargo local -- simulate --events 5000 --rate 100
                                                 a shop for GET /metricas/tempo-real

State lies in .feira: stop and start as you like, nothing is lost; delete the folder to begin anew.
Settings come from .env beside the template: DATABASE_URL_LOCAL=mysql://… runs on MySQL or MariaDB,
TELESALES_DATABASE_URL_LOCAL=mysql://… the same for database 2, which telesales reads.
With MONGODB_URI=mongodb://… profiles, clicks and the most viewed products are documents there.
With KAFKA_BROKERS=host:port in the environment, topics are those of that Kafka.
Exit codes: 0 done, 1 the work failed, 2 something must be mended first."
)]
pub struct Cli {
    /// What to do; without a command everything starts.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where the state is kept [default: .feira beside the template].
    #[arg(long, global = true, value_name = "FOLDER", env = "FEIRA_STATE")]
    pub state_dir: Option<PathBuf>,
    /// The template [default: the nearest template.yaml of this folder and those above].
    #[arg(long, global = true, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Sets a parameter of the template, such as CompletedTripsUrl=http://127.0.0.1:9000.
    #[arg(long = "parameter", global = true, value_name = "NAME=VALUE", value_parser = pair)]
    pub parameters: Vec<(String, String)>,
    /// Takes the function binaries as they are instead of building them first.
    #[arg(long, global = true)]
    pub no_build: bool,
    /// Where the function binaries lie [default: beside this program].
    #[arg(long, global = true, value_name = "FOLDER")]
    pub binaries: Option<PathBuf>,
    /// The port of the HTTP API; 0 takes a free one.
    #[arg(long, global = true, default_value_t = 8080, value_name = "PORT")]
    pub port: u16,
    /// Shows every log line of the functions, not warnings and errors only.
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

/// The commands. Those that need functions use the running instance, or start them themselves.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Builds and starts everything (what happens without a command too).
    Start,
    /// Invokes one function with an event file and prints its answer; its log goes to the error
    /// output.
    #[command(after_help = "Example:
  cargo local -- invoke set-promoters events/set-promoters/accepted-schedule.json")]
    Invoke {
        /// Logical id in the template or name of the crate: IssueTripVoucherFunction,
        /// issue-trip-voucher.
        function: String,
        /// The event as JSON; `-` reads standard input.
        event: PathBuf,
    },
    /// Prints an access token that the local authorizer accepts.
    #[command(after_help = "Example:
  curl -H \"authorization: Bearer $(cargo local -- token --scope customer --sub 01J…)\" \\
       http://127.0.0.1:8080/vouchers/me")]
    Token(TokenArgs),
    /// Brings databases 1 and 2 up to date.
    Migrate,
    /// Runs a job now, as its schedule would; or the daily graph of sales, step by step.
    #[command(after_help = "Examples:
  cargo local -- run mgm_set_promoters --date 2026-11-19
  cargo local -- run pipeline_ecommerce --date 2026-11-19")]
    Run {
        /// The job's name, such as mgm_set_promoters, or pipeline_ecommerce.
        job: String,
        /// The logical date, today at the latest [default: today in São Paulo; of the graph the day
        /// before].
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<String>,
        /// Does it once more when it was done for that date.
        #[arg(long)]
        again: bool,
        /// Believes a source that has no orders any more for the date (vendas_exportar).
        #[arg(long)]
        accept_empty: bool,
    },
    /// Runs a job for each date of a range, oldest first.
    #[command(after_help = "Example:
  cargo local -- backfill mgm_create_promoter_voucher --from 2026-11-01 --to 2026-11-19 --dry-run")]
    Backfill {
        /// The job's name.
        job: String,
        /// The first date.
        #[arg(long, value_name = "YYYY-MM-DD")]
        from: String,
        /// The last date.
        #[arg(long, value_name = "YYYY-MM-DD")]
        to: String,
        /// Says what would run and runs nothing.
        #[arg(long)]
        dry_run: bool,
        /// Does dates once more that were done.
        #[arg(long)]
        again: bool,
    },
    /// Replays orders through the whole bundle, from link to voucher, and shows the funnel.
    #[command(after_help = "Example: cargo local -- demo --data local/src/demo/sample --json")]
    Demo(DemoArgs),
    /// Loads a file of sales twice and asks for every total.
    #[command(after_help = "Example: cargo local -- demo-vendas --data vendas-de-maio --json")]
    DemoVendas(DemoSalesArgs),
    /// Replays customers' events through topic, bridge, queue and ingestion, each record delivered
    /// twice, and counts what came of it.
    #[command(after_help = "Example: cargo local -- demo-eventos --data eventos-de-maio --json")]
    DemoEventos(DemoEventsArgs),
    /// Writes to the topics what happens in a made-up shop, or plays a file of events.
    #[command(after_help = "Examples:
  cargo local -- simulate --events 5000 --rate 100 --seed 7
  cargo local -- simulate --events 5000 --kafka 127.0.0.1:9092
  cargo local -- simulate --replay eventos_clientes.ndjson --speed 3600 --shift-to-now")]
    Simulate(SimulateArgs),
    /// Sends each line of a file as a message to a queue.
    #[command(after_help = "Example: cargo local -- send PedidosQueue pedidos.ndjson")]
    Send {
        /// Logical id or name of the queue.
        queue: String,
        /// One message per line; `-` reads standard input.
        file: PathBuf,
        /// For FIFO queues: the JSON field whose value makes the message group.
        #[arg(long, default_value = "id_cliente", value_name = "FIELD")]
        group_by: String,
    },
    /// Writes each line of a file as a record to a topic, of the embedded log or of KAFKA_BROKERS,
    /// and waits until a running instance has read them.
    #[command(
        after_help = "Example: cargo local -- produce clientes --key id_cliente clientes.ndjson"
    )]
    Produce {
        /// The topic.
        topic: String,
        /// The JSON field whose value is the record's key.
        #[arg(long, value_name = "FIELD")]
        key: Option<String>,
        /// One JSON record per line; `-` reads standard input.
        file: PathBuf,
    },
}

/// What a token says.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// A scope, as the table of routes shows it; give it again for several.
    #[arg(long, required = true, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// Whose token it is: a customer's id.
    #[arg(long, default_value = "cargo-local", value_name = "ID")]
    pub sub: String,
    /// Seconds until it ends.
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=86_400))]
    pub ttl: i64,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use std::path::Path;

    #[test]
    fn every_file_that_a_help_text_names_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut all = Cli::command();
        let mut texts = vec![all.render_long_help().to_string()];
        for command in all.get_subcommands_mut() {
            texts.push(command.render_long_help().to_string());
        }
        let words = texts.iter().flat_map(|text| text.split_whitespace());
        let mut named = 0;
        for path in words.filter(|word| word.starts_with("events/") || word.contains("local/src")) {
            assert!(root.join(path).exists(), "there is no {path}");
            named += 1;
        }
        assert!(named > 1, "no help text names an event file or a data set");
    }
}
