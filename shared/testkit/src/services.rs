//! The servers that `cargo xtask test` starts, and what a test gets of them.
use std::env;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};
use ulid::Ulid;

use crate::parts;

const MARIADB_URL: &str = "FEIRA_MARIADB_URL";
const MINISTACK_URL: &str = "FEIRA_MINISTACK_URL";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database of this test's own on a real MariaDB or MySQL; dropped with the value.
#[derive(Debug)]
pub struct MariaDb {
    url: String,
    name: String,
    server_url: String,
}

impl MariaDb {
    /// `mysql://user:password@host:port/feira_…`, an empty database in `utf8mb4_bin`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The one number that `query` selects, such as a `COUNT(*)`.
    ///
    /// # Panics
    /// Where the query fails or answers no whole number.
    pub async fn count(&self, query: &str) -> i64 {
        let server = connect(&self.url)
            .await
            .expect("the test's own database answers");
        let statement = Statement::from_string(DbBackend::MySql, query);
        let row = server
            .query_one_raw(statement)
            .await
            .expect("the query is right");
        let count = row.and_then(|row| row.try_get_by_index(0).ok());
        server.close().await.expect("the connection closes");
        count.expect("the query selects one whole number")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let (server_url, name) = (self.server_url.clone(), self.name.clone());
        // A thread of its own: drop is synchronous and mostly runs inside the test's runtime.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .map_err(|error| DbErr::Custom(error.to_string()))?
                .block_on(async {
                    let server = connect(&server_url).await?;
                    server
                        .execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}"))
                        .await?;
                    server.close().await
                })
        });
        // What is left behind goes with the server's folder; a test does not fail for it.
        drop(dropped.join());
    }
}

/// A fresh, empty database on the server of `FEIRA_MARIADB_URL`, or `None` (and a line in the
/// parts file) where that is unset.
///
/// # Panics
/// Where the variable is set and the server does not answer or refuses the database.
pub async fn mariadb() -> Option<MariaDb> {
    let Ok(server_url) = env::var(MARIADB_URL) else {
        parts::missing("MariaDB");
        return None;
    };
    let name = format!("feira_{}", unique());
    let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    let created = async {
        let server = connect(&server_url).await?;
        server.execute_unprepared(&create).await?;
        server.close().await
    };
    if let Err(error) = created.await {
        panic!("the server of {MARIADB_URL} gave no database: {error}");
    }
    parts::took_part("MariaDB");
    let url = format!("{}/{name}", server_url.trim_end_matches('/'));
    Some(MariaDb {
        url,
        name,
        server_url,
    })
}

/// The program that tries an HTTP API against its OpenAPI document, or `None` (and a line in the
/// parts file) where `FEIRA_SCHEMATHESIS` names none.
///
/// # Panics
/// Where the variable names what is no file.
#[must_use]
pub fn schemathesis() -> Option<PathBuf> {
    const PROGRAM: &str = "FEIRA_SCHEMATHESIS";
    let Some(program) = env::var_os(PROGRAM).map(PathBuf::from) else {
        parts::missing("schemathesis");
        return None;
    };
    assert!(program.is_file(), "{PROGRAM} names no program");
    parts::took_part("schemathesis");
    Some(program)
}

/// A Python that has DuckDB with its DuckLake extensions, and PySpark with a Java beside it; or `None`
/// (and a line in the parts file) where `FEIRA_LAKE_PYTHON` names none.
///
/// # Panics
/// Where the variable names what is no file.
#[must_use]
pub fn lake_engines() -> Option<PathBuf> {
    const PROGRAM: &str = "FEIRA_LAKE_PYTHON";
    let Some(program) = env::var_os(PROGRAM).map(PathBuf::from) else {
        parts::missing("DuckDB and Spark");
        return None;
    };
    assert!(program.is_file(), "{PROGRAM} names no program");
    parts::took_part("DuckDB and Spark");
    Some(program)
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .connect_timeout(CONNECT_TIMEOUT)
        .sqlx_logging(false);
    Database::connect(options).await
}

/// An AWS account of this test's own on ministack: other tests do not see its resources.
#[derive(Debug)]
pub struct Ministack {
    endpoint_url: String,
    account_id: String,
}

impl Ministack {
    /// Where every service answers, as in `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// The account's twelve digits. ministack takes the access key id for the account.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    /// The environment by which an AWS SDK, or a function, reaches this account.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint_url.clone()),
            ("AWS_ACCESS_KEY_ID", self.account_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", "ministack".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

pub(crate) const REGION: &str = "sa-east-1";

/// A fresh account on the ministack of `FEIRA_MINISTACK_URL`, or `None` (and a line in the parts
/// file) where that is unset.
///
/// # Panics
/// Where the variable is set and ministack does not answer.
pub async fn ministack() -> Option<Ministack> {
    let Ok(endpoint_url) = env::var(MINISTACK_URL) else {
        parts::missing("ministack");
        return None;
    };
    let health = format!("{endpoint_url}/_ministack/health");
    let answer = reqwest::Client::new()
        .get(&health)
        .timeout(CONNECT_TIMEOUT)
        .send()
        .await;
    if let Err(error) = answer.and_then(reqwest::Response::error_for_status) {
        panic!("the ministack of {MINISTACK_URL} does not answer: {error}");
    }
    parts::took_part("ministack");
    Some(Ministack {
        endpoint_url,
        account_id: random_account_id(),
    })
}

fn random_account_id() -> String {
    let random = getrandom::u64().expect("the operating system has random bytes");
    // A leading 1 keeps twelve digits.
    format!("1{:011}", random % 100_000_000_000)
}

/// A name no other test of this or another run has: a ULID in lower case.
pub(crate) fn unique() -> String {
    let random = getrandom::u64().expect("the operating system has random bytes");
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    Ulid::from_parts(now_ms, u128::from(random))
        .to_string()
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn mariadb_gives_each_test_an_empty_database_of_its_own() {
        let Some(first) = mariadb().await else { return };
        let second = mariadb().await.unwrap();
        assert_ne!(first.url(), second.url());
        let connection = connect(first.url()).await.unwrap();
        connection
            .execute_unprepared("CREATE TABLE t (a INTEGER)")
            .await
            .unwrap();
        connection.close().await.unwrap();
        let other = connect(second.url()).await.unwrap();
        assert!(other.execute_unprepared("SELECT a FROM t").await.is_err());
        other.close().await.unwrap();
        let url = first.url().to_owned();
        drop(first);
        assert!(connect(&url).await.is_err());
    }

    #[tokio::test]
    async fn ministack_gives_each_test_an_account_of_its_own() {
        let Some(first) = ministack().await else {
            return;
        };
        let second = ministack().await.unwrap();
        assert_ne!(first.account_id(), second.account_id());
        assert_eq!(first.account_id().len(), 12);
        let names: Vec<&str> = first.environment().iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"AWS_ENDPOINT_URL"));
    }
}
