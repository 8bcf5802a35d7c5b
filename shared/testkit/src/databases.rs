//! An empty database on each backend that there is.
use tempfile::TempDir;

use crate::services::{MariaDb, mariadb};

/// A fresh, empty database of this test's own; gone with the value.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    label: &'static str,
    _folder: Option<TempDir>,
    _server: Option<MariaDb>,
}

impl TestDatabase {
    /// `sqlite://…` or `mysql://…`, for `Store::open`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For the message of a failed assertion.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.label
    }
}

/// SQLite always, and MariaDB where `cargo xtask test` has started one.
///
/// # Panics
/// Where a database can't be made.
pub async fn databases() -> Vec<TestDatabase> {
    // In memory where the system has such a folder: no test needs to wait for a disk.
    let folder = TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .expect("a folder for SQLite's file");
    let url = format!("sqlite://{}", folder.path().join("banco1.sqlite").display());
    let embedded = TestDatabase {
        url,
        label: "SQLite",
        _folder: Some(folder),
        _server: None,
    };
    let real = mariadb().await.map(|server| TestDatabase {
        // A test is many functions in one process: it keeps more statements prepared than each.
        url: format!("{}?statement-cache-capacity=1000", server.url()),
        label: "MariaDB",
        _folder: None,
        _server: Some(server),
    });
    std::iter::once(embedded).chain(real).collect()
}
