//! The parts of functions over SQL, and of those that consume messages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use contracts::envelope::Claim;
use files::{FileAddress, FileError, Files, FolderFiles, S3Files};
use invocations::Invoker;
use lambda_kit::{
    Aftercare, DeadLetters, FetchFailed, SealKey, StartError, dead_letter::SendFailed,
};
use queues::{EmbeddedQueues, OutgoingMessage, Queues, SqsLimits, SqsQueues, embedded_queue_name};
use secrets::{
    DatabaseName, DatabaseUrl, Key, Need, ProcessEnvironment, Secrets, Source, Stage, keys,
    variables,
};
use sql_store::{Options, Store, StoreError};

use crate::{Announcer, VariableMissing, variable};

/// Roots of Amazon RDS, which public certificate stores lack; the proxies have public ones.
pub const RDS_ROOTS: &[u8] = include_bytes!("../certificates/rds.pem");

const QUEUES_FILE: &str = "filas.sqlite";
const FILES_FOLDER: &str = "arquivos";

/// What a function over SQL has.
pub struct SqlParts {
    /// The process environment at the cold start.
    pub process: ProcessEnvironment,
    /// The settings that the function declared.
    pub secrets: Secrets,
    /// The function's database.
    pub store: Store,
    database: DatabaseName,
    sdk: Option<SdkConfig>,
}

/// What a function over queues and no database has.
pub struct QueueParts {
    /// The process environment at the cold start.
    pub process: ProcessEnvironment,
    /// The settings that the function declared.
    pub secrets: Secrets,
    /// The queues.
    pub queues: Queues,
    sdk: Option<SdkConfig>,
}

/// What a function that consumes messages has besides.
pub struct Consumer {
    announcer: Announcer,
    queues: Queues,
    dead_letters_url: String,
    seal_key: SealKey,
    files: FilesSource,
}

impl SqlParts {
    /// Reads the settings and opens database 1; `needs` lists what the function reads besides.
    ///
    /// # Errors
    /// Tells every setting that is missing or wrong, and no value.
    pub async fn open(needs: &[Need]) -> Result<Self, StartError> {
        Self::open_on(DatabaseName::Shop, needs).await
    }

    /// The same over one of the databases; of the other one nothing is read or opened.
    ///
    /// # Errors
    /// Tells every setting that is missing or wrong, and no value.
    pub async fn open_on(database: DatabaseName, needs: &[Need]) -> Result<Self, StartError> {
        let own = [Need::Database(database)];
        let needs: Vec<Need> = own.iter().chain(needs).copied().collect();
        let settings = settings(&needs).await?;
        let (process, secrets, sdk) = (settings.process, settings.secrets, settings.sdk);
        let stage = secrets.stage();
        let store = open_store(stage, secrets.database(database)?).await?;
        Ok(Self {
            process,
            secrets,
            store,
            database,
            sdk,
        })
    }

    /// Another database that the function declared.
    ///
    /// # Errors
    /// When it was not declared, or can't be opened.
    pub async fn store_of(&self, database: DatabaseName) -> Result<Store, StartError> {
        let url = self.secrets.database(database)?;
        Ok(open_store(self.secrets.stage(), url).await?)
    }

    /// A database of the company whose URL is an optional key that the function declared; none
    /// where it is not set.
    ///
    /// # Errors
    /// When its URL is none; it is not quoted.
    pub async fn foreign_store(&self, key: Key) -> Result<Option<Store>, StartError> {
        let Some(url) = self.secrets.optional_text(key) else {
            return Ok(None);
        };
        let stage = self.secrets.stage();
        let url =
            DatabaseUrl::parse(url.expose()).map_err(|reason| format!("{} {reason}", key.name))?;
        if stage == Stage::Prod && matches!(url, DatabaseUrl::Sqlite(_)) {
            return Err(format!("{} must be a MySQL database in prod", key.name).into());
        }
        Ok(Some(open_store(stage, &url).await?))
    }

    /// The files: S3 in prod, a folder of the state folder in dev.
    ///
    /// # Errors
    /// When the folder can't be opened.
    pub fn files(&self) -> Result<Files, StartError> {
        FilesSource::of(&self.process, self.secrets.stage(), self.sdk.as_ref())?.open()
    }

    /// Who announces the events that this function commits.
    #[must_use]
    pub fn announcer(&self) -> Announcer {
        Announcer::new(self.store.clone(), &self.process, self.sdk.as_ref())
    }

    /// AWS credentials, for a client that signs by itself; none where there is no AWS.
    #[must_use]
    pub fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.sdk.as_ref().and_then(SdkConfig::credentials_provider)
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
        open_queues(
            &self.process,
            self.secrets.stage(),
            self.sdk.as_ref(),
            SqsLimits::default(),
        )
        .await
    }

    /// What a consumer of messages needs: declare [`keys::DEAD_LETTER_KEY`] as well, over database
    /// 2 [`keys::TELESALES_DEAD_LETTER_KEY`].
    ///
    /// # Errors
    /// When DEAD_LETTER_QUEUE_URL or the key is missing.
    pub async fn consumer(&self) -> Result<Consumer, StartError> {
        let url = self.variable("DEAD_LETTER_QUEUE_URL")?.to_owned();
        let key = self.secrets.key_bytes(match self.database {
            DatabaseName::Shop => keys::DEAD_LETTER_KEY,
            DatabaseName::Telesales => keys::TELESALES_DEAD_LETTER_KEY,
        })?;
        Ok(Consumer {
            announcer: self.announcer(),
            queues: self.queues().await?,
            dead_letters_url: url,
            seal_key: SealKey::new(key.expose())
                .ok_or("the key of dead letters must be 32 bytes")?,
            files: FilesSource::of(&self.process, self.secrets.stage(), self.sdk.as_ref())?,
        })
    }
}

impl QueueParts {
    /// Reads what `needs` lists and opens the queues.
    ///
    /// # Errors
    /// Tells every setting that is missing or wrong, and no value.
    pub async fn open(needs: &[Need]) -> Result<Self, StartError> {
        Self::open_with(needs, SqsLimits::default()).await
    }

    /// The same with other limits of what goes to SQS at once.
    ///
    /// # Errors
    /// Tells every setting that is missing or wrong, and no value.
    pub async fn open_with(needs: &[Need], limits: SqsLimits) -> Result<Self, StartError> {
        let settings = settings(needs).await?;
        let (process, secrets, sdk) = (settings.process, settings.secrets, settings.sdk);
        let queues = open_queues(&process, secrets.stage(), sdk.as_ref(), limits).await?;
        Ok(Self {
            process,
            secrets,
            queues,
            sdk,
        })
    }

    /// The files: S3 in prod, a folder of the state folder in dev.
    ///
    /// # Errors
    /// When the folder can't be opened.
    pub fn files(&self) -> Result<Files, StartError> {
        FilesSource::of(&self.process, self.secrets.stage(), self.sdk.as_ref())?.open()
    }

    /// AWS credentials, for a client that signs by itself; none where there is no AWS.
    #[must_use]
    pub fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.sdk.as_ref().and_then(SdkConfig::credentials_provider)
    }

    /// The key that seals dead letters, which was declared.
    ///
    /// # Errors
    /// When it has fewer than 32 bytes.
    pub fn seal_key(&self, key: Key) -> Result<SealKey, StartError> {
        let bytes = self.secrets.key_bytes(key)?;
        let too_short = format!("{} must be 32 bytes", key.name);
        Ok(SealKey::new(bytes.expose()).ok_or(too_short)?)
    }

    /// A variable that the template must give.
    ///
    /// # Errors
    /// When it is unset.
    pub fn variable(&self, name: &'static str) -> Result<&str, VariableMissing> {
        variable(&self.process, name)
    }
}

struct Settings {
    process: ProcessEnvironment,
    secrets: Secrets,
    sdk: Option<SdkConfig>,
}

async fn settings(needs: &[Need]) -> Result<Settings, StartError> {
    let process = ProcessEnvironment::current();
    let stage = Stage::of(&process)?;
    let sdk = match stage {
        Stage::Prod => Some(load_sdk().await),
        Stage::Dev if process.get("AWS_ENDPOINT_URL_LAMBDA").is_some() => Some(load_sdk().await),
        Stage::Dev => None,
    };
    let source = match (stage, &sdk) {
        (Stage::Prod, Some(sdk)) => Source::SecretsManager(sdk),
        _ => Source::Dotenv,
    };
    let secrets = Secrets::load(&process, source, needs).await?;
    Ok(Settings {
        process,
        secrets,
        sdk,
    })
}

/// The credentials of this process, where it runs in AWS: of its role, or of the environment.
pub async fn aws_credentials() -> Option<SharedCredentialsProvider> {
    load_sdk().await.credentials_provider()
}

/// What a function that writes to Kafka needs of the secret: nothing where KAFKA_SECURITY asks for
/// no user.
#[must_use]
pub fn kafka_needs() -> &'static [Need] {
    const NEEDS: [Need; 2] = [
        Need::Required(keys::KAFKA_USER),
        Need::Required(keys::KAFKA_PASSWORD),
    ];
    let process = ProcessEnvironment::current();
    let has_brokers = process.get("KAFKA_BROKERS").is_some();
    let says = |name, begins: &str| {
        process
            .get(name)
            .is_some_and(|word| word.starts_with(begins))
    };
    // Amazon MSK's access control by IAM knows no user.
    let has_user = says("KAFKA_SECURITY", "sasl") && !says("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM");
    if has_brokers && has_user { &NEEDS } else { &[] }
}

/// What a function that keeps documents needs: MONGODB_URI where the stack has its secret; in dev it
/// may stand in `.env`.
#[must_use]
pub fn documents_need() -> Option<Need> {
    let process = ProcessEnvironment::current();
    let has_secret = process
        .get(keys::MONGODB_URI.secret.id_variable())
        .is_some();
    match Stage::of(&process) {
        Ok(Stage::Dev) => Some(Need::Optional(keys::MONGODB_URI)),
        Ok(Stage::Prod) if has_secret => Some(Need::Required(keys::MONGODB_URI)),
        Ok(Stage::Prod) | Err(_) => None,
    }
}

/// A setting of Kafka's client: of the secret, or of the template.
#[must_use]
pub fn kafka_setting(
    process: &ProcessEnvironment,
    secrets: &Secrets,
    name: &str,
) -> Option<String> {
    let of_secret = [keys::KAFKA_USER, keys::KAFKA_PASSWORD]
        .into_iter()
        .find(|key| key.name == name)
        .and_then(|key| secrets.optional_text(key))
        .map(|text| text.expose().to_owned());
    of_secret.or_else(|| process.get(name).map(str::to_owned))
}

async fn open_store(stage: Stage, url: &DatabaseUrl) -> Result<Store, StoreError> {
    let options = Options {
        certificate_authorities: must_prove_itself(stage, url).then_some(RDS_ROOTS),
        ..Options::default()
    };
    Store::open_with(url.connection_url().expose(), options).await
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
    limits: SqsLimits,
) -> Result<Queues, StartError> {
    match (stage, sdk) {
        (Stage::Prod, Some(sdk)) => Ok(Queues::Sqs(SqsQueues::new(sdk, limits))),
        (Stage::Prod, None) => Err("STAGE=prod needs the settings of AWS".into()),
        (Stage::Dev, _) => {
            let folder = variable(process, variables::FEIRA_STATE_DIR)?;
            let file = Path::new(folder).join(QUEUES_FILE);
            Ok(Queues::Embedded(EmbeddedQueues::open(&file).await?))
        }
    }
}

/// Where files lie, opened when one is asked for: few consumers ever do.
#[derive(Clone)]
enum FilesSource {
    S3(Box<SdkConfig>),
    Folder(PathBuf),
}

impl FilesSource {
    fn of(
        process: &ProcessEnvironment,
        stage: Stage,
        sdk: Option<&SdkConfig>,
    ) -> Result<Self, StartError> {
        match (stage, sdk) {
            (Stage::Prod, Some(sdk)) => Ok(Self::S3(Box::new(sdk.clone()))),
            (Stage::Prod, None) => Err("STAGE=prod needs the settings of AWS".into()),
            (Stage::Dev, _) => {
                let folder = variable(process, variables::FEIRA_STATE_DIR)?;
                Ok(Self::Folder(Path::new(folder).join(FILES_FOLDER)))
            }
        }
    }

    fn open(&self) -> Result<Files, StartError> {
        Ok(match self {
            Self::S3(sdk) => Files::S3(S3Files::new(sdk, false)),
            Self::Folder(folder) => Files::Folder(FolderFiles::open(folder)?),
        })
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

    async fn fetch_claim(&self, claim: &Claim) -> Result<Vec<u8>, FetchFailed> {
        let address = FileAddress::new(&claim.bucket, &claim.key).map_err(|_| FetchFailed::Gone)?;
        let files = self.files.open().map_err(|_| FetchFailed::Later)?;
        files.get(&address, claim.bytes).await.map_err(|error| {
            tracing::warn!(%error, "a claimed value was not fetched");
            match error {
                FileError::NotFound | FileError::TooLarge { .. } => FetchFailed::Gone,
                _ => FetchFailed::Later,
            }
        })
    }
}
