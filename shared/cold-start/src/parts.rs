//! The parts of functions over SQL, and of those that consume messages.

use std::path::Path;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use invocations::Invoker;
use lambda_kit::{Aftercare, DeadLetters, SealKey, StartError, dead_letter::SendFailed};
use queues::{EmbeddedQueues, OutgoingMessage, Queues, SqsLimits, SqsQueues, embedded_queue_name};
use secrets::{DatabaseUrl, Need, ProcessEnvironment, Secrets, Source, Stage, keys, variables};
use sql_store::{Options, Store};

use crate::{Announcer, VariableMissing, variable};

/// Roots of Amazon RDS, which public certificate stores lack; the proxies have public ones.
const RDS_ROOTS: &[u8] = include_bytes!("../certificates/rds.pem");

const QUEUES_FILE: &str = "filas.sqlite";

/// What a function over SQL has.
pub struct SqlParts {
    /// The process environment at the cold start.
    pub process: ProcessEnvironment,
    /// The settings that the function declared.
    pub secrets: Secrets,
    /// Database 1.
    pub store: Store,
    sdk: Option<SdkConfig>,
}

/// What a function that consumes messages has besides.
pub struct Consumer {
    announcer: Announcer,
    queues: Queues,
    dead_letters_url: String,
    seal_key: SealKey,
}

impl SqlParts {
    /// Reads the settings and opens database 1. `needs` lists what the function reads besides.
    ///
    /// # Errors
    /// Tells every setting that is missing or wrong, and no value.
    pub async fn open(needs: &[Need]) -> Result<Self, StartError> {
        let process = ProcessEnvironment::current();
        let stage = Stage::of(&process)?;
        let sdk = match stage {
            Stage::Prod => Some(load_sdk().await),
            Stage::Dev if process.get("AWS_ENDPOINT_URL_LAMBDA").is_some() => {
                Some(load_sdk().await)
            }
            Stage::Dev => None,
        };
        let source = match (stage, &sdk) {
            (Stage::Prod, Some(sdk)) => Source::SecretsManager(sdk),
            _ => Source::Dotenv,
        };
        let needs: Vec<Need> = [Need::Database].iter().chain(needs).copied().collect();
        let secrets = Secrets::load(&process, source, &needs).await?;
        let url = secrets.database()?;
        let options = Options {
            certificate_authorities: must_prove_itself(stage, url).then_some(RDS_ROOTS),
            ..Options::default()
        };
        let store = Store::open_with(url.connection_url().expose(), options).await?;
        Ok(Self {
            process,
            secrets,
            store,
            sdk,
        })
    }

    /// Who announces the events that this function commits.
    #[must_use]
    pub fn announcer(&self) -> Announcer {
        Announcer::new(self.store.clone(), &self.process, self.sdk.as_ref())
    }

    /// Invokes functions that the template names; none where there is no Lambda to ask.
    #[must_use]
    pub fn invoker(&self, timeout: Duration) -> Option<Invoker> {
        self.sdk.as_ref().map(|sdk| Invoker::new(sdk, timeout))
    }

    /// A variable that the template must give.
    ///
    /// # Errors
    /// When it is unset.
    pub fn variable(&self, name: &'static str) -> Result<&str, VariableMissing> {
        variable(&self.process, name)
    }

    /// The queues: SQS in prod, the state folder's file in dev.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub async fn queues(&self) -> Result<Queues, StartError> {
        open_queues(&self.process, self.secrets.stage(), self.sdk.as_ref()).await
    }

    /// What a consumer of messages needs: declare [`keys::DEAD_LETTER_KEY`] as well.
    ///
    /// # Errors
    /// When DEAD_LETTER_QUEUE_URL or the key is missing.
    pub async fn consumer(&self) -> Result<Consumer, StartError> {
        let url = self.variable("DEAD_LETTER_QUEUE_URL")?.to_owned();
        let key = self.secrets.key_bytes(keys::DEAD_LETTER_KEY)?;
        Ok(Consumer {
            announcer: self.announcer(),
            queues: self.queues().await?,
            dead_letters_url: url,
            seal_key: SealKey::new(key.expose()).ok_or("DEAD_LETTER_KEY must be 32 bytes")?,
        })
    }
}

/// Over a network only TLS with a proven server will do, unless the URL says otherwise.
fn must_prove_itself(stage: Stage, url: &DatabaseUrl) -> bool {
    match url {
        DatabaseUrl::Sqlite(_) => false,
        DatabaseUrl::MySql(address) => stage == Stage::Prod && !address.says_how_to_use_tls(),
    }
}

/// Opens the queues of this stage. On a laptop a queue of SQS is never needed.
///
/// # Errors
/// When STAGE=prod has no AWS settings, or the state folder's file can't be opened.
pub async fn open_queues(
    process: &ProcessEnvironment,
    stage: Stage,
    sdk: Option<&SdkConfig>,
) -> Result<Queues, StartError> {
    match (stage, sdk) {
        (Stage::Prod, Some(sdk)) => Ok(Queues::Sqs(SqsQueues::new(sdk, SqsLimits::default()))),
        (Stage::Prod, None) => Err("STAGE=prod needs the settings of AWS".into()),
        (Stage::Dev, _) => {
            let folder = variable(process, variables::FEIRA_STATE_DIR)?;
            let file = Path::new(folder).join(QUEUES_FILE);
            Ok(Queues::Embedded(EmbeddedQueues::open(&file).await?))
        }
    }
}

async fn load_sdk() -> SdkConfig {
    aws_config::load_defaults(BehaviorVersion::latest()).await
}

impl Aftercare for Consumer {
    async fn after_invocation(&self) {
        self.announcer.after_invocation().await;
    }
}

impl DeadLetters for Consumer {
    fn seal_key(&self) -> &SealKey {
        &self.seal_key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        let message = if embedded_queue_name(&self.dead_letters_url)
            .unwrap_or(&self.dead_letters_url)
            .ends_with(".fifo")
        {
            let identity = queues::group_id(&[body.as_bytes()]);
            OutgoingMessage::fifo(body, identity.clone(), identity)
        } else {
            OutgoingMessage::new(body)
        };
        let now_ms = lambda_kit::clock::now().get();
        let answers = self
            .queues
            .send(&self.dead_letters_url, &[message], now_ms)
            .await;
        match answers.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => {
                tracing::error!(%error, "dead letter was not sent");
                Err(SendFailed)
            }
            None => Err(SendFailed),
        }
    }
}
