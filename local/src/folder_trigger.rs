//! Watches `arquivos/<bucket>/` and tells functions of new files, as S3 notifications do.
//!
//! The folder is scanned: a file counts when its size and time have stayed the same for one scan.
//! What was handed over is kept, so that a start after a stop neither misses nor repeats.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::bundle::FolderSource;
use crate::events::s3::{NewObject, event};
use crate::invoker::Invoker;
use crate::journal::FileVersion;
use crate::processes::new_request_id;
use crate::terminal::note;

/// How often a folder is looked through.
const SCAN_EVERY: Duration = Duration::from_millis(300);

type Versions = HashMap<String, FileVersion>;

/// Watches one bucket for all of its functions until the instance stops.
pub async fn run(
    bucket: String,
    sources: Vec<FolderSource>,
    folder: PathBuf,
    invoker: Arc<Invoker>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut handed_over = match invoker.journal().files(&bucket).await {
        Ok(versions) => versions,
        Err(error) => return note(&format!("bucket {bucket}: {error}")),
    };
    let mut before = Versions::new();
    loop {
        let scanned = folder.clone();
        let now = match tokio::task::spawn_blocking(move || scan(&scanned)).await {
            Ok(Ok(now)) => now,
            Ok(Err(error)) => {
                note(&format!("{} cannot be read: {error}", folder.display()));
                before.clone()
            }
            Err(_stopped) => return,
        };
        for (key, version) in new_and_stable(&before, &now, &handed_over) {
            let path = folder.join(&key);
            match hand_over(&bucket, &key, version, &path, &sources, &invoker).await {
                Ok(()) => {
                    handed_over.insert(key, version);
                }
                Err(error) => note(&format!("{}: {error}", path.display())),
            }
        }
        let gone: Vec<String> = handed_over
            .keys()
            .filter(|key| !now.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            handed_over.remove(&key);
            if let Err(error) = invoker.journal().file_gone(&bucket, &key).await {
                note(&format!("bucket {bucket}: {error}"));
            }
        }
        before = now;
        tokio::select! {
            () = tokio::time::sleep(SCAN_EVERY) => {}
            _changed = stopping.changed() => return,
        }
    }
}

/// Files that look as they did a scan ago and were not handed over like this; oldest first.
fn new_and_stable(
    before: &Versions,
    now: &Versions,
    handed_over: &Versions,
) -> Vec<(String, FileVersion)> {
    let mut found: Vec<(String, FileVersion)> = now
        .iter()
        .filter(|(key, version)| before.get(*key) == Some(version))
        .filter(|(key, version)| handed_over.get(*key) != Some(version))
        .map(|(key, version)| (key.clone(), *version))
        .collect();
    found.sort_by(|(key, version), (other_key, other)| {
        (version.modified_ms, key).cmp(&(other.modified_ms, other_key))
    });
    found
}

/// Every file below the folder by key; names that begin with a dot are no objects.
fn scan(folder: &Path) -> std::io::Result<Versions> {
    let mut versions = Versions::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                open.push((entry.path(), format!("{prefix}{name}/")));
            } else if metadata.is_file() {
                let modified = metadata
                    .modified()
                    .ok()
                    .and_then(|m| m.duration_since(UNIX_EPOCH).ok());
                let modified_ms = modified.map_or(0, |age| age.as_millis());
                let version = FileVersion {
                    size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
                    modified_ms: i64::try_from(modified_ms).unwrap_or(i64::MAX),
                };
                versions.insert(format!("{prefix}{name}"), version);
            }
        }
    }
    Ok(versions)
}

async fn hand_over(
    bucket: &str,
    key: &str,
    version: FileVersion,
    path: &Path,
    sources: &[FolderSource],
    invoker: &Arc<Invoker>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let interested: Vec<&FolderSource> = sources
        .iter()
        .filter(|source| key.starts_with(&source.prefix) && key.ends_with(&source.suffix))
        .collect();
    let now = Timestamp::now();
    let mut started = Vec::with_capacity(interested.len());
    if !interested.is_empty() {
        let object = NewObject {
            bucket,
            key,
            size: version.size,
            etag: &etag(path).await?,
            seen: now,
            sequencer: version.modified_ms,
        };
        for source in interested {
            let payload = event(&object, &new_request_id()).to_string().into_bytes();
            started.push(Invoker::new_work(&source.function, payload, None));
        }
    }
    let journal = invoker.journal();
    journal
        .handed_over(bucket, key, version, &started, now.as_millisecond())
        .await?;
    for work in started {
        invoker.begin(work);
    }
    Ok(())
}

/// A hash of the content in the length of S3's own.
async fn etag(path: &Path) -> std::io::Result<String> {
    let path = path.to_owned();
    let hash = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0_u8; 64 * 1024];
        loop {
            let read = std::io::Read::read(&mut file, &mut buffer)?;
            match buffer.get(..read) {
                Some(chunk) if read > 0 => hasher.update(chunk),
                _ => break,
            }
        }
        Ok::<_, std::io::Error>(hasher.finalize())
    });
    let hash = hash.await.map_err(std::io::Error::other)??;
    Ok(hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(files: &[(&str, i64, i64)]) -> Versions {
        files
            .iter()
            .map(|(key, size, modified_ms)| {
                (
                    (*key).to_owned(),
                    FileVersion {
                        size: *size,
                        modified_ms: *modified_ms,
                    },
                )
            })
            .collect()
    }

    #[test]
    fn only_files_at_rest_that_were_not_handed_over_count() {
        let before = versions(&[("growing", 1, 1), ("old", 1, 1), ("b", 1, 2), ("a", 1, 2)]);
        let now = versions(&[
            ("growing", 2, 1),
            ("old", 1, 1),
            ("b", 1, 2),
            ("a", 1, 2),
            ("new", 1, 9),
        ]);
        let handed = versions(&[("old", 1, 1), ("b", 9, 9)]);
        let keys: Vec<String> = new_and_stable(&before, &now, &handed)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, ["a", "b"]);
    }

    #[test]
    fn a_scan_finds_files_in_folders_and_skips_hidden_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("vendas/2026")).expect("folders");
        std::fs::write(folder.path().join("vendas/2026/a.csv"), "12").expect("a file");
        std::fs::write(folder.path().join("vendas/.a.csv.part"), "1").expect("a file");
        let found = scan(folder.path()).expect("a scan");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["vendas/2026/a.csv"]);
        assert_eq!(found["vendas/2026/a.csv"].size, 2);
    }
}
