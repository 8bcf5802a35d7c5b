//! The real parts of a test run: started here, or given by a URL in the environment.
use std::env;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::container::Container;
use crate::failure::{Failure, Outcome};
use crate::process::{Running, output_of};
use crate::tools::{KAFKA_PYTHON, LAKE_ENGINES, SCHEMATHESIS, apt_install};
use crate::{ferretdb, kafka, mariadb, ministack, postgres};

/// A server that ends with the run, and then the folder of its data where that is elsewhere.
pub(crate) struct Server {
    #[expect(
        dead_code,
        reason = "held for its drop, which ends what `running` waits for"
    )]
    pub(crate) container: Option<Container>,
    #[expect(dead_code, reason = "held for its drop, before the folder's")]
    pub(crate) running: Running,
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) folder: Option<TempDir>,
}

/// One real part, there or not.
pub(crate) enum Part {
    /// It answers at `url`.
    Took {
        version: String,
        url: String,
        /// What tests read besides: variables and their values.
        more: Vec<(&'static str, String)>,
        _server: Option<Box<Server>>,
    },
    /// It could not be had; the reason is a sentence.
    Missing { why: String },
}

impl Part {
    /// The variables by which tests find it; none where it is missing.
    pub(crate) fn variables(&self, kind: Kind) -> Vec<(&'static str, &str)> {
        match self {
            Self::Took { url, more, .. } => {
                let more = more.iter().map(|(name, value)| (*name, value.as_str()));
                std::iter::once((kind.variable(), url.as_str()))
                    .chain(more)
                    .collect()
            }
            Self::Missing { .. } => Vec::new(),
        }
    }
}

/// A program and no server: its "address" is where it lies.
async fn schemathesis() -> Outcome<Part> {
    let bin = SCHEMATHESIS.ready().await?;
    let versions = SCHEMATHESIS.packages.iter().map(|(_, version)| *version);
    Ok(Part::Took {
        version: versions.collect(),
        url: bin.join("schemathesis").display().to_string(),
        more: Vec::new(),
        _server: None,
    })
}

/// A library and no server: its "address" is the Python that has it.
async fn kafka_python() -> Outcome<Part> {
    let bin = KAFKA_PYTHON.ready().await?;
    let versions = KAFKA_PYTHON.packages.iter().map(|(_, version)| *version);
    Ok(Part::Took {
        version: versions.collect(),
        url: bin.join("python").display().to_string(),
        more: Vec::new(),
        _server: None,
    })
}

/// Programs and no server: their "address" is the Python that has them. Spark needs Java.
async fn lake_engines() -> Outcome<Part> {
    if output_of("java", &["-version"]).await.is_none() {
        apt_install("default-jre-headless").await?;
    }
    let bin = LAKE_ENGINES.ready().await?;
    let version = |wanted: &str| {
        let packages = LAKE_ENGINES.packages.iter();
        let mut found = packages.filter(|(name, _)| *name == wanted);
        found.next().map_or("", |(_, version)| *version)
    };
    Ok(Part::Took {
        version: format!("{} and {}", version("duckdb"), version("pyspark")),
        url: bin.join("python").display().to_string(),
        more: Vec::new(),
        _server: None,
    })
}

/// A kind of real part: its name in messages, the variable that tests read its URL from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MariaDb,
    Kafka,
    Ministack,
    Schemathesis,
    PostgreSql,
    LakeEngines,
    KafkaPython,
    FerretDb,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::MariaDb,
        Self::Kafka,
        Self::Ministack,
        Self::Schemathesis,
        Self::PostgreSql,
        Self::LakeEngines,
        Self::KafkaPython,
        Self::FerretDb,
    ];

    /// As testkit writes it into the parts file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "MariaDB",
            Self::Kafka => "Kafka",
            Self::Ministack => "ministack",
            Self::Schemathesis => "schemathesis",
            Self::PostgreSql => "PostgreSQL",
            Self::LakeEngines => "DuckDB and Spark",
            Self::KafkaPython => "kafka-python",
            Self::FerretDb => "FerretDB",
        }
    }

    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::MariaDb => "FEIRA_MARIADB_URL",
            Self::Kafka => "FEIRA_KAFKA_BROKERS",
            Self::Ministack => "FEIRA_MINISTACK_URL",
            Self::Schemathesis => "FEIRA_SCHEMATHESIS",
            Self::PostgreSql => "FEIRA_POSTGRES_URL",
            Self::LakeEngines => "FEIRA_LAKE_PYTHON",
            Self::KafkaPython => "FEIRA_KAFKA_PYTHON",
            Self::FerretDb => "FEIRA_MONGODB_URI",
        }
    }

    /// The part of the environment's URL, else one that is started with its files in `folder`.
    pub(crate) async fn obtain(self, folder: &Path) -> Part {
        if let Ok(url) = env::var(self.variable()) {
            let version = format!("given by {}", self.variable());
            return Part::Took {
                version,
                url,
                more: Vec::new(),
                _server: None,
            };
        }
        let own = folder.join(self.name());
        self.start(&own)
            .await
            .unwrap_or_else(|failure| Part::Missing {
                why: failure.to_string(),
            })
    }

    async fn start(self, folder: &Path) -> Outcome<Part> {
        fs::create_dir_all(folder).map_err(|error| {
            Failure::new(format!("no folder for it at {}: {error}", folder.display()))
        })?;
        match self {
            Self::MariaDb => mariadb::start(folder).await,
            Self::Kafka => kafka::start(folder).await,
            Self::Ministack => ministack::start(folder).await,
            Self::Schemathesis => schemathesis().await,
            Self::PostgreSql => postgres::start(folder).await,
            Self::LakeEngines => lake_engines().await,
            Self::KafkaPython => kafka_python().await,
            Self::FerretDb => ferretdb::start(folder).await,
        }
    }
}
