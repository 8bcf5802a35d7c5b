//! Wiring of run-command.

use std::process::ExitCode;
use std::time::Duration;

use cold_start::{DatabaseName, Need, ProcessEnvironment, SqlParts, documents_need, keys};
use consumer::Consumer;
use contracts::{changes::Shape, telesales};
use documents::Documents;
use domain::pseudonym::PseudonymKey;
use lambda_kit::{SealKey, StartError};
use run_command::{
    DeadLetterRoutes, FailedBatches, JobFunctions, REPLAY_TIMEOUT, RunCommand, ShopSettings,
    Telesales,
};
use sql_store::{projection::ProjectionTable, telesales::CONSUMER};

/// Longest time that Lambda may take to queue a job's event.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read where the stack has a database 2.
const OF_TELESALES: [Need; 3] = [
    Need::Database(DatabaseName::Telesales),
    Need::Required(keys::TELESALES_PSEUDONYM_KEY),
    Need::Required(keys::TELESALES_DEAD_LETTER_KEY),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda_kit::direct::run("run-command", async || {
        // Without telesales the template leaves this empty, and nothing of its secret is asked for.
        let has_telesales = ProcessEnvironment::current()
            .get("TELESALES_SECRET_ID")
            .is_some();
        let mut needs = vec![Need::Required(keys::DEAD_LETTER_KEY)];
        needs.extend(documents_need());
        if has_telesales {
            needs.extend(OF_TELESALES);
        }
        let parts = SqlParts::open(&needs).await?;
        let telesales = match has_telesales {
            true => Some(telesales(&parts).await?),
            false => None,
        };
        let key = parts.secrets.key_bytes(keys::DEAD_LETTER_KEY)?;
        let routes = parts.variable("DEAD_LETTER_ROUTES")?;
        let functions = parts.variable("JOB_FUNCTIONS")?;
        let more = |name| parts.process.get(name);
        let command = RunCommand {
            queues: parts.queues().await?,
            seal_key: SealKey::new(key.expose()).ok_or("DEAD_LETTER_KEY must be 32 bytes")?,
            dead_letter_routes: DeadLetterRoutes::parse(
                [routes]
                    .into_iter()
                    .chain(more("TELESALES_DEAD_LETTER_ROUTES")),
            )?,
            invoker: parts.invoker(INVOKE_TIMEOUT),
            job_functions: JobFunctions::parse(
                [functions]
                    .into_iter()
                    .chain(more("TELESALES_JOB_FUNCTIONS"))
                    .chain(more("WAREHOUSE_JOB_FUNCTIONS"))
                    .chain(more("STOCK_JOB_FUNCTIONS")),
            )?,
            batches: Some(FailedBatches::new(
                parts.files()?,
                parts.invoker(REPLAY_TIMEOUT),
                [parts.variable("FAILED_BATCHES")?]
                    .into_iter()
                    .chain(more("TELESALES_FAILED_BATCHES")),
                [parts.variable("BATCH_FUNCTIONS")?]
                    .into_iter()
                    .chain(more("TELESALES_BATCH_FUNCTIONS")),
            )?),
            settings: ShopSettings {
                owns_customers: more("CUSTOMERS_MASTER") == Some("feira"),
                events_queue_url: parts.variable("EVENTOS_QUEUE_URL")?.to_owned(),
            },
            clock: lambda_kit::clock::now,
            telesales,
            documents: Documents::open(parts.store.clone(), &parts.secrets).await?,
            store: parts.store,
        };
        Ok(((), command))
    })
    .await
}

async fn telesales(parts: &SqlParts) -> Result<Telesales, StartError> {
    let store = parts.store_of(DatabaseName::Telesales).await?;
    let key = parts.secrets.key_bytes(keys::TELESALES_PSEUDONYM_KEY)?;
    let pseudonyms = PseudonymKey::new(key.expose())?;
    let mapping = parts.process.get("TELESALES_MAPPING").unwrap_or_default();
    let shape = Shape::parse::<telesales::Telesales>(mapping)?;
    let table = ProjectionTable::new(store, pseudonyms, CONSUMER);
    let consumer = Consumer::new(shape, table, lambda_kit::clock::now);
    let key = parts.secrets.key_bytes(keys::TELESALES_DEAD_LETTER_KEY)?;
    let key = SealKey::new(key.expose()).ok_or("TELESALES_DEAD_LETTER_KEY must be 32 bytes")?;
    Ok(Telesales::new(consumer, key))
}
