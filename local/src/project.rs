//! What every command needs first: the template, the state folder and the settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use documents::Documents;
use domain::time::UtcMillis;
use jiff::Timestamp;
use secrets::{DatabaseName, DatabaseUrl, Stage};
use sql_store::migrate::{SHOP, TELESALES, migrate_by};
use sql_store::{Store, StoreError};

use crate::bundle::Bundle;
use crate::failure::{Failure, OrFailure};
use crate::from_template::Surroundings;
use crate::settings::Settings;
use crate::state::StateDir;
use crate::token::Claims;
use crate::topics::cluster::Connection;
use crate::{compile, from_template, settings};

/// What the command line says about the project.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The template; without it the nearest template.yaml of this folder and those above.
    pub template: Option<PathBuf>,
    /// The state folder; without it `.feira` beside the template.
    pub state_dir: Option<PathBuf>,
    /// Where the function binaries lie; without it beside this program.
    pub binaries: Option<PathBuf>,
    /// Template parameters in place of their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Take the binaries as they are.
    pub no_build: bool,
}

/// The project on this machine.
#[derive(Debug)]
pub struct Project {
    /// The template's file.
    pub template: PathBuf,
    /// The template's folder.
    pub root: PathBuf,
    /// What it says.
    pub bundle: Arc<Bundle>,
    /// The state folder.
    pub state: StateDir,
    /// The settings.
    pub settings: Settings,
    /// The Kafka whose topics are read; without one there is the embedded log.
    pub kafka: Option<Connection>,
    binaries: PathBuf,
    no_build: bool,
}

impl Project {
    /// Reads everything and changes nothing but the state folder.
    ///
    /// # Errors
    /// A sentence that says what to mend.
    pub async fn load(options: &Options) -> Result<Self, Failure> {
        let template = match &options.template {
            Some(path) => path.clone(),
            None => nearest_template()?,
        };
        if !template.is_file() {
            let path = template.display();
            return Err(Failure::mend(format!(
                "{path} is no file: give the template's path"
            )));
        }
        let root = template
            .canonicalize()
            .or_mend(|| "the template's folder".to_owned())?;
        let root = root.parent().map(Path::to_owned).unwrap_or_default();
        let state_dir = options
            .state_dir
            .clone()
            .unwrap_or_else(|| root.join(".feira"));
        let state = StateDir::open(&state_dir)?;
        let overrides = DatabaseName::ALL.into_iter().filter_map(|name| {
            let key = name.local_key().name;
            let url = std::env::var(key).ok().filter(|url| !url.is_empty())?;
            Some((key, url))
        });
        let settings = settings::load(&state, &root.join(".env"), overrides.collect()).await?;
        let binaries = match &options.binaries {
            Some(folder) => folder
                .canonicalize()
                .or_mend(|| format!("the folder of the binaries, {}", folder.display()))?,
            None => compile::own_folder()?,
        };
        let terminal = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let of_file = |name: &str| {
            settings
                .kafka
                .get(name)
                .map(|text| text.expose().to_owned())
        };
        let setting = |name: &str| terminal(name).or_else(|| of_file(name));
        let kafka = Connection::of(setting, state.path())?;
        let jwks = settings.token_key.jwks().to_string();
        let surroundings = Surroundings {
            jwks: &jwks,
            kafka: kafka.as_ref(),
        };
        let parameters = &options.parameters;
        let written = from_template::read_template(&template, &surroundings, parameters)?;
        let bundle = Arc::new(from_template::bundle(&written, &surroundings, &binaries)?);
        let no_build = options.no_build;
        Ok(Self {
            template,
            root,
            bundle,
            state,
            settings,
            kafka,
            binaries,
            no_build,
        })
    }

    /// Another Kafka, spoken to as the settings say.
    ///
    /// # Errors
    /// Names the setting that is missing or wrong.
    pub fn kafka_at(&self, brokers: &str) -> Result<Connection, Failure> {
        let setting = |name: &str| match name {
            "KAFKA_BROKERS" => Some(brokers.to_owned()),
            other => kafka_setting(&self.settings, other),
        };
        let connection = Connection::of(setting, self.state.path())?;
        connection.ok_or_else(|| Failure::mend("the brokers are missing: write host:port"))
    }

    /// Builds the binaries, unless told not to, and makes sure that each function has one.
    ///
    /// # Errors
    /// A sentence that says what to mend.
    pub fn build(&self) -> Result<(), Failure> {
        if !self.no_build {
            compile::build(&self.root, &self.binaries)?;
        }
        for function in self.bundle.functions.values() {
            if !function.binary.is_file() {
                return Err(Failure::mend(format!(
                    "{} has no binary at {}: its CodeUri must be the folder of a crate with a \
                     [[bin]] of the folder's name, built by `cargo build --workspace --bins`",
                    function.id,
                    function.binary.display()
                )));
            }
        }
        Ok(())
    }

    /// Opens a database.
    ///
    /// # Errors
    /// A sentence that says what to mend.
    pub async fn store(&self, database: DatabaseName) -> Result<Store, Failure> {
        let name = self.database_name(database);
        let url = self.settings.databases.get(&database);
        let url = url.ok_or_else(|| Failure::mend(format!("{name} has no URL")))?;
        Store::open(url.connection_url().expose())
            .await
            .or_mend(|| match url {
                DatabaseUrl::Sqlite(_) => format!(
                    "{name} cannot be opened ({}; is there such a folder? an absolute path has \
                     four slashes)",
                    database.local_key().name
                ),
                DatabaseUrl::MySql(_) => format!("{name} cannot be opened"),
            })
    }

    /// Brings a database up to date and answers the migrations that did something.
    ///
    /// # Errors
    /// A sentence that says what to mend.
    pub async fn migrate(&self, database: DatabaseName) -> Result<Vec<&'static str>, Failure> {
        let store = self.store(database).await?;
        let now = UtcMillis::new(Timestamp::now().as_millisecond());
        let now = now.or_mend(|| "this machine's clock is wrong".to_owned())?;
        let applied = match database {
            DatabaseName::Shop => migrate_by(&store, &SHOP, now).await,
            DatabaseName::Telesales => migrate_by(&store, &TELESALES, now).await,
        };
        let (name, key) = (self.database_name(database), database.local_key().name);
        let mending = applied.as_ref().err().and_then(mending);
        applied.or_mend(|| {
            let asked = format!("is it up, and is {key} right?");
            let mending = mending.unwrap_or(&asked);
            format!("{name} cannot be migrated ({mending})")
        })
    }

    /// Makes the indexes of documents, where they are in MongoDB.
    ///
    /// # Errors
    /// A sentence that says what to mend.
    pub async fn migrate_documents(&self) -> Result<(), Failure> {
        let Some(uri) = &self.settings.mongodb else {
            return Ok(());
        };
        let store = self.store(DatabaseName::Shop).await?;
        let what = || "the documents of MONGODB_URI".to_owned();
        let documents = Documents::in_mongodb(store, uri.expose(), Stage::Dev);
        let documents = documents.await.or_mend(what)?;
        documents.migrate().await.or_mend(what)
    }

    /// What a database is called at the terminal; a MySQL URL's password is never shown.
    pub fn database_name(&self, database: DatabaseName) -> String {
        match self.settings.databases.get(&database) {
            Some(DatabaseUrl::Sqlite(path)) => format!("SQLite {}", path.display()),
            Some(DatabaseUrl::MySql(address)) => {
                format!(
                    "MySQL {}:{}/{}",
                    address.host(),
                    address.port(),
                    address.database()
                )
            }
            None => "none".to_owned(),
        }
    }

    /// Signs a token that this project's authorizer accepts.
    ///
    /// # Errors
    /// When the template's authorizer does not say which issuer and audience it wants.
    pub fn token(&self, subject: &str, scope: &str, valid_s: i64) -> Result<String, Failure> {
        let authorizer = self.bundle.authorizers.values().next();
        let function = authorizer.and_then(|a| self.bundle.functions.get(&a.function));
        let value = |name: &str| {
            let value = function.and_then(|function| function.environment.get(name));
            value.map(String::as_str).ok_or_else(|| {
                Failure::mend(format!(
                    "the template's authorizer has no variable {name}: add it to its Environment"
                ))
            })
        };
        self.settings.token_key.token(&Claims {
            issuer: value("TOKEN_ISSUER")?,
            audience: value("TOKEN_AUDIENCE")?,
            subject,
            scope,
            issued_at_s: Timestamp::now().as_second(),
            valid_s,
        })
    }
}

/// A setting of Kafka: the terminal's, else the file's.
fn kafka_setting(settings: &Settings, name: &str) -> Option<String> {
    let terminal = std::env::var(name).ok().filter(|value| !value.is_empty());
    terminal.or_else(|| Some(settings.kafka.get(name)?.expose().to_owned()))
}

/// What a code of MySQL asks for.
fn mending(error: &StoreError) -> Option<&'static str> {
    let StoreError::Refused { code } = error else {
        return None;
    };
    match code.as_str() {
        "1044" => Some("the user has no rights on it"),
        "1045" => Some("user or password refused"),
        "1049" => Some("there is no such database: CREATE DATABASE name"),
        _ => None,
    }
}

fn nearest_template() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().or_mend(|| "the current folder".to_owned())?;
    let found = here
        .ancestors()
        .map(|folder| folder.join("template.yaml"))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::mend("there is no template.yaml here or above: go to the project's folder")
    })
}
