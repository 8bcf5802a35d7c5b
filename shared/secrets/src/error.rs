//! What is wrong with the settings, in sentences that say what to mend and quote no value.

use crate::database_url::DatabaseUrlError;
use crate::key::SecretName;
use crate::secret::MIN_KEY_BYTES;

/// Everything that is wrong with the settings of a function, told at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<Problem>,
}

impl SettingsError {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Each problem.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for SettingsError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sentences: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        formatter.write_str(&sentences.join(" "))
    }
}

impl std::error::Error for SettingsError {}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// STAGE is unset or unknown.
    #[error("STAGE must be dev (settings from .env) or prod (settings from Secrets Manager).")]
    StageUnknown,
    /// ENVIRONMENT is unset or unknown in prod.
    #[error(
        "ENVIRONMENT must be development (reads DATABASE_URL_DEV) or production (reads \
         DATABASE_URL_LIVE) when STAGE is prod."
    )]
    EnvironmentUnknown,
    /// STAGE and the source of the settings contradict one another.
    #[error("With STAGE=prod the settings come from Secrets Manager, with STAGE=dev from .env.")]
    WrongSource,
    /// The embedded parts have no folder.
    #[error(
        "FEIRA_STATE_DIR must name the folder of the embedded parts, or {key} the database, when \
         STAGE is dev."
    )]
    StateDirUnset {
        /// The key of the database's URL.
        key: &'static str,
    },
    /// The variable with a secret's id is unset.
    #[error("{} must hold the id or ARN of the {} secret.", .0.id_variable(), .0.as_str())]
    SecretIdUnset(SecretName),
    /// Secrets Manager did not give the secret.
    #[error(
        "The {} secret cannot be read ({code}): check {} and the function's permission \
         secretsmanager:GetSecretValue.",
        .secret.as_str(), .secret.id_variable()
    )]
    SecretUnreadable {
        /// Which secret.
        secret: SecretName,
        /// Secrets Manager's error code, or the kind of failure.
        code: String,
    },
    /// The secret is no JSON object.
    #[error(
        "The {} secret must be a JSON object of texts; it is not (line {line}, column {column}).",
        .secret.as_str()
    )]
    SecretNotJson {
        /// Which secret.
        secret: SecretName,
        /// Where reading stopped.
        line: usize,
        /// Where reading stopped.
        column: usize,
    },
    /// A key's value in the secret is no text.
    #[error("{key} in the {} secret must be a JSON text.", .secret.as_str())]
    ValueNotText {
        /// Which key.
        key: &'static str,
        /// Which secret.
        secret: SecretName,
    },
    /// Keys that are not in a secret.
    #[error("The {} secret lacks {}: add to its JSON object.", .secret.as_str(), .keys.join(", "))]
    MissingInSecret {
        /// Which secret.
        secret: SecretName,
        /// Every key that is missing or empty.
        keys: Vec<&'static str>,
    },
    /// Keys that are neither in `.env` nor in the environment.
    #[error("Missing in .env (its path stands in FEIRA_DOTENV): {}.", .keys.join(", "))]
    MissingInDotenv {
        /// Every key that is missing or empty.
        keys: Vec<&'static str>,
    },
    /// The `.env` file cannot be read.
    #[error("The .env file that FEIRA_DOTENV names cannot be read ({kind}).")]
    DotenvUnreadable {
        /// The kind of the system's error.
        kind: String,
    },
    /// A line of the `.env` file is no setting.
    #[error("Line {line} of the .env file is no NAME=value: mend its quotes or its name.")]
    DotenvBroken {
        /// The line, from 1.
        line: usize,
    },
    /// A key is no base64 or too short.
    #[error(
        "{key} must be at least {MIN_KEY_BYTES} random bytes in base64 (openssl rand -base64 32)."
    )]
    KeyTooWeak {
        /// Which key.
        key: &'static str,
    },
    /// A database URL cannot be read.
    #[error("{key} {reason}.")]
    DatabaseUrl {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        reason: DatabaseUrlError,
    },
    /// A function asked for a key that it did not declare, or declared as something else.
    #[error("{key} was asked for but not declared among the needs of this function.")]
    NotDeclared {
        /// Which key.
        key: &'static str,
    },
}
