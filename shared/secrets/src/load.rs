//! Reading what a function declared, and telling everything that is wrong at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aws_config::SdkConfig;
use serde_json::Value;

use crate::database_url::{DatabaseUrl, DatabaseUrlError};
use crate::error::{Problem, SettingsError};
use crate::key::{DatabaseName, Key, Need, SecretName, Shape};
use crate::process::{Environment, ProcessEnvironment, Stage, variables};
use crate::secret::{KeyBytes, Secret};
use crate::{dotenv, secrets_manager};

/// Where settings come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The `.env` file that FEIRA_DOTENV names, and the process environment before it (STAGE=dev).
    Dotenv,
    /// AWS Secrets Manager (STAGE=prod).
    SecretsManager(&'a SdkConfig),
}

/// What a function declared and got.
#[derive(Clone, Debug)]
pub struct Secrets {
    stage: Stage,
    environment: Option<Environment>,
    databases: BTreeMap<DatabaseName, DatabaseUrl>,
    texts: BTreeMap<&'static str, Secret>,
    key_bytes: BTreeMap<&'static str, KeyBytes>,
}

/// A declared key with whether the function can do without it.
#[derive(Clone, Copy)]
struct Wanted {
    key: Key,
    required: bool,
}

impl Secrets {
    /// Reads what is declared and nothing else.
    ///
    /// # Errors
    /// [`SettingsError`] with every problem found; it names keys and quotes no value.
    pub async fn load(
        process: &ProcessEnvironment,
        source: Source<'_>,
        needs: &[Need],
    ) -> Result<Self, SettingsError> {
        let stage = Stage::of(process)?;
        let mut problems = Vec::new();
        let has_database = needs.iter().any(|need| matches!(need, Need::Database(_)));
        let environment = match (stage, source) {
            (Stage::Dev, Source::Dotenv) => None,
            // It chooses the database, and who opens none is not given it.
            (Stage::Prod, Source::SecretsManager(_)) if !has_database => None,
            (Stage::Prod, Source::SecretsManager(_)) => Environment::of(process)
                .map_err(|problem| problems.push(problem))
                .ok(),
            _ => return Err(Problem::WrongSource.into()),
        };
        let wanted = wanted(stage, environment, needs);
        let found = match source {
            Source::Dotenv => from_dotenv(process, &wanted, &mut problems),
            Source::SecretsManager(sdk) => from_manager(process, sdk, &wanted, &mut problems).await,
        };
        let mut secrets = Self {
            stage,
            environment,
            databases: BTreeMap::new(),
            texts: BTreeMap::new(),
            key_bytes: BTreeMap::new(),
        };
        for Wanted { key, .. } in &wanted {
            if let Some(value) = found.get(key.name) {
                secrets
                    .take(*key, value)
                    .unwrap_or_else(|problem| problems.push(problem));
            }
        }
        if stage == Stage::Dev {
            let embedded = DatabaseName::ALL.into_iter().filter(|name| {
                needs.contains(&Need::Database(*name)) && !found.contains_key(name.local_key().name)
            });
            for name in embedded {
                match process.get(variables::FEIRA_STATE_DIR) {
                    Some(folder) => {
                        let path = Path::new(folder).join(name.embedded_file());
                        secrets.databases.insert(name, DatabaseUrl::Sqlite(path));
                    }
                    None => problems.push(Problem::StateDirUnset {
                        key: name.local_key().name,
                    }),
                }
            }
        }
        if problems.is_empty() {
            Ok(secrets)
        } else {
            Err(SettingsError::new(problems))
        }
    }

    fn take(&mut self, key: Key, value: &str) -> Result<(), Problem> {
        match key.shape {
            Shape::Text => {
                self.texts.insert(key.name, Secret::new(value));
            }
            Shape::KeyBytes => {
                let bytes = KeyBytes::from_base64(value);
                let bytes = bytes.ok_or(Problem::KeyTooWeak { key: key.name })?;
                self.key_bytes.insert(key.name, bytes);
            }
            Shape::DatabaseUrl => {
                let wrong = |reason| Problem::DatabaseUrl {
                    key: key.name,
                    reason,
                };
                let url = DatabaseUrl::parse(value).map_err(wrong)?;
                if self.stage == Stage::Prod && matches!(url, DatabaseUrl::Sqlite(_)) {
                    return Err(wrong(DatabaseUrlError::SqliteInProd));
                }
                if let Some(name) = DatabaseName::of_key(key) {
                    self.databases.insert(name, url);
                }
            }
        }
        Ok(())
    }

    /// Where the bundle runs.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The company's environment; `None` in dev, and where no database was declared.
    #[must_use]
    pub fn environment(&self) -> Option<Environment> {
        self.environment
    }

    /// The URL of a database.
    ///
    /// # Errors
    /// [`Problem::NotDeclared`] when it is not among the function's needs.
    pub fn database(&self, name: DatabaseName) -> Result<&DatabaseUrl, Problem> {
        self.databases.get(&name).ok_or(Problem::NotDeclared {
            key: name.local_key().name,
        })
    }

    /// A required text.
    ///
    /// # Errors
    /// [`Problem::NotDeclared`] when the key is not among the function's needs.
    pub fn text(&self, key: Key) -> Result<&Secret, Problem> {
        self.texts
            .get(key.name)
            .ok_or(Problem::NotDeclared { key: key.name })
    }

    /// An optional text, where it is there.
    #[must_use]
    pub fn optional_text(&self, key: Key) -> Option<&Secret> {
        self.texts.get(key.name)
    }

    /// The bytes of a required key.
    ///
    /// # Errors
    /// [`Problem::NotDeclared`] when the key is not among the function's needs.
    pub fn key_bytes(&self, key: Key) -> Result<&KeyBytes, Problem> {
        self.key_bytes
            .get(key.name)
            .ok_or(Problem::NotDeclared { key: key.name })
    }
}

/// The declared keys, those of databases being chosen by STAGE and ENVIRONMENT.
fn wanted(stage: Stage, environment: Option<Environment>, needs: &[Need]) -> Vec<Wanted> {
    let database = |name: DatabaseName| match (stage, environment) {
        (Stage::Dev, _) => Some(Wanted {
            key: name.local_key(),
            required: false,
        }),
        (Stage::Prod, Some(Environment::Development)) => Some(Wanted {
            key: name.development_key(),
            required: true,
        }),
        (Stage::Prod, Some(Environment::Production)) => Some(Wanted {
            key: name.production_key(),
            required: true,
        }),
        // Told as a problem of ENVIRONMENT itself.
        (Stage::Prod, None) => None,
    };
    let of_need = |need: &Need| match need {
        Need::Database(name) => database(*name),
        Need::Required(key) => Some(Wanted {
            key: *key,
            required: true,
        }),
        Need::Optional(key) => Some(Wanted {
            key: *key,
            required: false,
        }),
    };
    needs.iter().filter_map(of_need).collect()
}

fn from_dotenv(
    process: &ProcessEnvironment,
    wanted: &[Wanted],
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, String> {
    let file = match process.get(variables::FEIRA_DOTENV) {
        None => BTreeMap::new(),
        Some(path) => read_dotenv(path, process).unwrap_or_else(|problem| {
            problems.push(problem);
            BTreeMap::new()
        }),
    };
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for Wanted { key, required } in wanted {
        let in_file = file.get(key.name).map(String::as_str);
        match process
            .get(key.name)
            .or(in_file)
            .filter(|value| !value.trim().is_empty())
        {
            Some(value) => {
                found.insert(key.name, value.to_owned());
            }
            None if *required => missing.push(key.name),
            None => {}
        }
    }
    if !missing.is_empty() {
        problems.push(Problem::MissingInDotenv { keys: missing });
    }
    found
}

fn read_dotenv(
    path: &str,
    process: &ProcessEnvironment,
) -> Result<BTreeMap<String, String>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| Problem::DotenvUnreadable {
        kind: error.kind().to_string(),
    })?;
    dotenv::parse(&text, process)
}

async fn from_manager(
    process: &ProcessEnvironment,
    sdk: &SdkConfig,
    wanted: &[Wanted],
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, String> {
    let secrets: BTreeSet<SecretName> = wanted.iter().map(|wanted| wanted.key.secret).collect();
    let mut found = BTreeMap::new();
    if secrets.is_empty() {
        return found;
    }
    let client = secrets_manager::client(sdk);
    for secret in secrets {
        let object = match secrets_manager::read(&client, process, secret).await {
            Ok(object) => object,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let mut missing = Vec::new();
        for Wanted { key, required } in wanted.iter().filter(|w| w.key.secret == secret) {
            match object.get(key.name) {
                Some(Value::String(value)) if !value.trim().is_empty() => {
                    found.insert(key.name, value.clone());
                }
                None | Some(Value::Null | Value::String(_)) if *required => missing.push(key.name),
                None | Some(Value::Null | Value::String(_)) => {}
                Some(_) => problems.push(Problem::ValueNotText {
                    key: key.name,
                    secret,
                }),
            }
        }
        if !missing.is_empty() {
            problems.push(Problem::MissingInSecret {
                secret,
                keys: missing,
            });
        }
    }
    found
}
