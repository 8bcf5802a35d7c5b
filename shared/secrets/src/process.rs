//! The process environment as a value, and the two switches in it.

use std::collections::BTreeMap;

use crate::error::Problem;

/// The environment variables that say where settings come from.
pub mod variables {
    /// `dev` or `prod`.
    pub const STAGE: &str = "STAGE";
    /// `development` or `production`; read in prod only.
    pub const ENVIRONMENT: &str = "ENVIRONMENT";
    /// The path of the `.env` file; read in dev only.
    pub const FEIRA_DOTENV: &str = "FEIRA_DOTENV";
    /// The folder of the embedded parts; read in dev only.
    pub const FEIRA_STATE_DIR: &str = "FEIRA_STATE_DIR";
}

/// A copy of the process environment. `Debug` shows names only.
#[derive(Clone, Default)]
pub struct ProcessEnvironment(BTreeMap<String, String>);

impl ProcessEnvironment {
    /// The environment of this process; variables that are no UTF-8 are left out.
    #[must_use]
    pub fn current() -> Self {
        let pairs = std::env::vars_os();
        Self(
            pairs
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// The variable's value; an empty one counts as unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }
}

impl FromIterator<(String, String)> for ProcessEnvironment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for ProcessEnvironment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }
}

impl std::fmt::Debug for ProcessEnvironment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where the bundle runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On one machine: `.env` and embedded parts.
    Dev,
    /// In AWS: Secrets Manager and AWS's parts, never an embedded one.
    Prod,
}

impl Stage {
    /// Reads STAGE.
    ///
    /// # Errors
    /// [`Problem::StageUnknown`] when it is unset or has another value.
    pub fn of(process: &ProcessEnvironment) -> Result<Self, Problem> {
        match process.get(variables::STAGE) {
            Some("dev") => Ok(Self::Dev),
            Some("prod") => Ok(Self::Prod),
            _ => Err(Problem::StageUnknown),
        }
    }
}

/// Which of the company's environments a prod stack serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Reads DATABASE_URL_DEV.
    Development,
    /// Reads DATABASE_URL_LIVE.
    Production,
}

impl Environment {
    /// Reads ENVIRONMENT.
    ///
    /// # Errors
    /// [`Problem::EnvironmentUnknown`] when it is unset or has another value.
    pub fn of(process: &ProcessEnvironment) -> Result<Self, Problem> {
        match process.get(variables::ENVIRONMENT) {
            Some("development") => Ok(Self::Development),
            Some("production") => Ok(Self::Production),
            _ => Err(Problem::EnvironmentUnknown),
        }
    }
}
