//! The state folder: one instance at a time, and where the running one can be reached.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, OrFailure};

/// How the running instance is reached; kept in `instance.json`, readable by its owner only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceNote {
    /// The instance's process.
    pub pid: u32,
    /// Where HTTP is served.
    pub http_port: u16,
    /// Where the Invoke API and the Runtime API are served.
    pub internal_port: u16,
    /// The access key that the Invoke API asks for.
    pub run_key: String,
    /// The Kafka whose topics it reads; none reads the embedded log.
    #[serde(default)]
    pub kafka_brokers: Option<String>,
}

/// The state folder.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

/// Held while an instance runs; the system frees it when the process ends in any way.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
    note: PathBuf,
}

impl StateDir {
    /// Makes the folder, for its owner only, where it is missing.
    ///
    /// # Errors
    /// A sentence that says what stands in the way.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let what = || {
            let path = path.display();
            format!("the state folder {path} cannot be used (choose another with --state-dir)")
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .or_mend(what)?;
        let path = path.canonicalize().or_mend(what)?;
        Ok(Self { path })
    }

    /// The absolute folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the folder for this instance; `None` when another instance holds it.
    ///
    /// # Errors
    /// A sentence that says what stands in the way.
    pub fn lock(&self) -> Result<Option<InstanceLock>, Failure> {
        let path = self.path.join("lock");
        let what = || format!("the lock file {} cannot be used", path.display());
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let file = file.or_mend(what)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(InstanceLock {
                _file: file,
                note: self.note_path(),
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).or_mend(what),
        }
    }

    /// Takes the folder or says who holds it.
    ///
    /// # Errors
    /// A sentence that says who holds it, or what stands in the way.
    pub fn lock_or_refuse(&self) -> Result<InstanceLock, Failure> {
        // Another command may be looking for a running instance at this very moment.
        for _attempt in 0..5 {
            if let Some(lock) = self.lock()? {
                return Ok(lock);
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        let holder = self.note().map_or_else(
            || "another command".to_owned(),
            |note| {
                format!(
                    "cargo local (process {}, port {})",
                    note.pid, note.http_port
                )
            },
        );
        Err(Failure::mend(format!(
            "{holder} is using the state folder {} already: stop it first, or choose another \
             folder with --state-dir",
            self.path.display()
        )))
    }

    /// Says where this instance is reached.
    ///
    /// # Errors
    /// A sentence that says what stands in the way.
    pub fn announce(&self, note: &InstanceNote) -> Result<(), Failure> {
        let text = serde_json::to_string(note).or_mend(|| "the instance note".to_owned())?;
        write_private(&self.note_path(), &text)
            .or_mend(|| format!("{} cannot be written", self.note_path().display()))
    }

    /// Where the running instance is reached, if it said so.
    pub fn note(&self) -> Option<InstanceNote> {
        let text = std::fs::read_to_string(self.note_path()).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn note_path(&self) -> PathBuf {
        self.path.join("instance.json")
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_file(&self.note);
    }
}

/// Writes a file that only its owner may read, all of it or nothing.
///
/// # Errors
/// The system's own.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("part");
    let _left_over = std::fs::remove_file(&partial);
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_refused_with_the_first_one_s_port() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(&folder.path().join("s")).expect("opens");
        let first = state.lock_or_refuse().expect("locks");
        let note = InstanceNote {
            pid: 7,
            http_port: 8080,
            internal_port: 9,
            run_key: "k".to_owned(),
            kafka_brokers: None,
        };
        state.announce(&note).expect("writes");
        let refused = state.lock_or_refuse().expect_err("is refused");
        assert_eq!(refused.exit_code, 2);
        assert!(
            refused.sentence.contains("process 7, port 8080"),
            "{refused}"
        );
        drop(first);
        assert_eq!(state.note(), None);
        assert!(state.lock_or_refuse().is_ok());
    }
}
