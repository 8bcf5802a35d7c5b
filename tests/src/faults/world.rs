//! A shop on SQLite that can be copied between two moments.

use std::{path::Path, sync::Arc};

use queues::EmbeddedQueues;
use tempfile::TempDir;

use super::{
    cutter::{Cut, Cutter},
    shop::{Process, found_shop, open_queues, set_clock},
};

/// A folder in memory where the system has one: the database's promises are kept there too, and
/// nobody waits for a disk.
///
/// # Panics
/// When no folder can be made.
#[must_use]
pub fn quick_folder() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// A database and queues in a folder of their own.
pub struct World {
    /// The database.
    pub url: String,
    queues: EmbeddedQueues,
    folder: TempDir,
}

impl World {
    /// An empty shop with its two campaigns, at the first moment.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn begin() -> Self {
        set_clock(0);
        let world = Self::in_folder(quick_folder()).await;
        found_shop(&world.url).await;
        world
    }

    async fn in_folder(folder: TempDir) -> Self {
        let file = folder.path().join("banco1.sqlite");
        Self {
            url: format!("sqlite://{}", file.display()),
            queues: open_queues(folder.path()).await,
            folder,
        }
    }

    /// The same shop once more; nobody may write meanwhile, and a process must be open.
    ///
    /// # Panics
    /// When it can't be copied.
    pub async fn copy(&self) -> Self {
        let folder = quick_folder();
        for name in files_of(self.folder.path()) {
            std::fs::copy(self.folder.path().join(&name), folder.path().join(&name)).unwrap();
        }
        Self::in_folder(folder).await
    }

    /// A process of this shop, and what ends it.
    pub async fn process(&self, cut: Cut) -> (Process, Arc<Cutter>) {
        let cutter = Cutter::new(cut);
        let process = Process::start(&self.url, &self.queues, &cutter).await;
        (process, cutter)
    }
}

/// The databases with their logs; the index of a log is made anew by whoever opens it.
fn files_of(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with("-shm")).collect()
}
