//! Wiring of telesales-consumer: project-customer as a process of its own.

use std::{env, error::Error, process::ExitCode};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;
use cold_start::{DatabaseName, Need, SqlParts, aws_credentials, keys};
use contracts::{changes::Projection, telesales::Telesales};
use kafka_consumer::{Keys, Settings, replay_letters};
use lambda_kit::{clock, logging};
use secrets::DatabaseUrl;
use sql_store::{Store, migrate::TELESALES, migrate::migrate_by};

const NAME: &str = "telesales-consumer";

/// Reads the changes of customers from Kafka and keeps in database 2 what telesales may know: name,
/// telephone and region of those who agreed to be called, and nothing else.
///
/// It runs until SIGTERM or Ctrl-C, applies what it has read, commits it and ends with code 0.
/// Processes of one KAFKA_GROUP share the partitions: start as many as there are partitions.
#[derive(Parser)]
#[command(name = NAME, version, after_long_help = AFTER_HELP)]
struct Arguments {
    /// Bring database 2 up to date (tables and indexes), then end
    #[arg(long)]
    migrate: bool,
    /// Open the dead letters and read them again, after what refused them was mended, then end; with
    /// code 1 where some are still refused. Done again, it changes nothing
    #[arg(long, conflicts_with = "migrate")]
    replay_letters: bool,
}

const AFTER_HELP: &str = "\
Try it on one machine:
  export KAFKA_BROKERS=127.0.0.1:9092
  export TELESALES_DATABASE_URL=sqlite:////tmp/banco2.sqlite
  export TELESALES_PSEUDONYM_KEY=$(openssl rand -base64 32)
  export TELESALES_DEAD_LETTER_KEY=$(openssl rand -base64 32)
  telesales-consumer --migrate && telesales-consumer
  curl http://127.0.0.1:8080/health

Environment, required (with STAGE=prod or STAGE=dev the TELESALES_ ones come from Secrets
Manager or .env, as for the functions):
  KAFKA_BROKERS              host:port, separated by commas
  TELESALES_DATABASE_URL     mysql://user:password@host:3306/name, or sqlite:////path
  TELESALES_PSEUDONYM_KEY    32 bytes in base64; another key is another database
  TELESALES_DEAD_LETTER_KEY  32 bytes in base64; seals what can't be read

Environment, with a default:
  KAFKA_TOPIC                clientes
  KAFKA_GROUP                feira-televendas
  KAFKA_DEAD_LETTER_TOPIC    clientes.televendas.cartas-mortas; its retention is the letters' expiry.
                             Where it is missing it is made with 14 days; more than 30 are refused
  KAFKA_SECURITY             plaintext; or tls, sasl_tls, sasl_plaintext
  KAFKA_SASL_MECHANISM       SCRAM-SHA-512; or SCRAM-SHA-256, PLAIN, and for Amazon MSK AWS_MSK_IAM,
                             which needs AWS_REGION and the role of the process
  KAFKA_USER, KAFKA_PASSWORD, KAFKA_CA_FILE
  KAFKA_INSTANCE_ID          none; a name that outlives restarts (a pod's of a StatefulSet)
  KAFKA_SESSION_TIMEOUT_MS   10000; after so long a dead process's partitions go to the others
  TELESALES_MAPPING          the topic's own contract; else a mapping such as
                             {\"envelope\":\"debezium\",\"campos\":{\"telefone\":\"contato.celular\"}}
  BATCH_RECORDS              500
  HEALTH_ADDRESS             127.0.0.1:8080; 0.0.0.0:8080 where an orchestrator asks
  LOG_LEVEL                  info";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(NAME);
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %error, "ended");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (store, keys) = match env::var_os("STAGE") {
        Some(_) => by_stage().await?,
        None => by_environment().await?,
    };
    if arguments.migrate {
        let done = migrate_by(&store, &TELESALES, clock::now()).await?;
        tracing::info!(count = done.len(), "migrated");
        return Ok(());
    }
    let mut settings = Settings::read(Telesales::NAME, |name| env::var(name).ok())?;
    if settings.cluster.is_iam() {
        let credentials = aws_credentials().await;
        settings.cluster = settings.cluster.with_credentials(credentials);
    }
    let mapping = env::var("TELESALES_MAPPING").unwrap_or_default();
    if arguments.replay_letters {
        let done = replay_letters::<Telesales>(settings, &mapping, store, keys).await?;
        let (applied, refused, unopened) = (done.applied, done.refused, done.unopened);
        tracing::info!(applied, refused, unopened, "dead letters replayed");
        return match refused + unopened {
            0 => Ok(()),
            left => Err(format!("{left} records are still refused, or could not be opened").into()),
        };
    }
    kafka_consumer::start::<Telesales>(settings, &mapping, store, keys).await?;
    Ok(())
}

/// As the functions read them: Secrets Manager in prod, a `.env` file in dev.
async fn by_stage() -> Result<(Store, Keys), Box<dyn Error>> {
    let (pseudonyms, letters) = (
        keys::TELESALES_PSEUDONYM_KEY,
        keys::TELESALES_DEAD_LETTER_KEY,
    );
    let needs = [Need::Required(pseudonyms), Need::Required(letters)];
    let parts = SqlParts::open_on(DatabaseName::Telesales, &needs).await?;
    let key = |key| parts.secrets.key_bytes(key);
    let keys = Keys::new(key(pseudonyms)?.expose(), key(letters)?.expose())?;
    Ok((parts.store, keys))
}

/// Where there is no AWS: from variables of the same names.
async fn by_environment() -> Result<(Store, Keys), Box<dyn Error>> {
    let url = DatabaseUrl::parse(&required("TELESALES_DATABASE_URL")?)
        .map_err(|reason| format!("TELESALES_DATABASE_URL {reason}"))?;
    let store = Store::open(url.connection_url().expose()).await?;
    let keys = Keys::new(
        &key("TELESALES_PSEUDONYM_KEY")?,
        &key("TELESALES_DEAD_LETTER_KEY")?,
    )?;
    Ok((store, keys))
}

fn required(name: &str) -> Result<String, String> {
    let value = env::var(name).ok().filter(|value| !value.trim().is_empty());
    value.ok_or(format!(
        "the environment variable {name} is not set; --help tells them all"
    ))
}

fn key(name: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(required(name)?.trim())
        .map_err(|_| format!("{name} must be 32 bytes in base64"))
}
