//! What only a folder can get wrong: links, half-written files, two writers.
#![cfg(test)]
#![cfg(unix)]

use files::{FileAddress, FileError, FolderFiles, Overwrite};

fn at(key: &str) -> FileAddress {
    FileAddress::new("lago-feira", key).unwrap()
}

#[tokio::test]
async fn a_link_does_not_lead_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("arquivos");
    let files = FolderFiles::open(&base).unwrap();
    let outside = folder.path().join("fora");
    std::fs::create_dir_all(base.join("lago-feira")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("segredo.csv"), "x").unwrap();
    std::os::unix::fs::symlink(&outside, base.join("lago-feira/link")).unwrap();
    let through = at("link/segredo.csv");
    let refused = |error| matches!(error, FileError::InvalidAddress { .. });
    assert!(refused(files.get(&through, 10).await.unwrap_err()));
    assert!(refused(files.delete(&through).await.unwrap_err()));
    let put = files
        .put(
            &at("link/novo.csv"),
            b"x".to_vec(),
            "text/csv",
            Overwrite::Replace,
        )
        .await;
    assert!(refused(put.unwrap_err()));
    assert!(!outside.join("novo.csv").exists());
    assert!(outside.join("segredo.csv").exists());
}

#[tokio::test]
async fn a_key_that_is_a_folder_of_another_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let files = FolderFiles::open(folder.path()).unwrap();
    files
        .put(&at("a/b"), b"x".to_vec(), "text/csv", Overwrite::Replace)
        .await
        .unwrap();
    let put = files
        .put(&at("a"), b"x".to_vec(), "text/csv", Overwrite::Replace)
        .await;
    assert_eq!(put, Err(FileError::CrossesAnotherKey));
    let put = files
        .put(&at("a/b/c"), b"x".to_vec(), "text/csv", Overwrite::Replace)
        .await;
    assert_eq!(put, Err(FileError::CrossesAnotherKey));
    assert_eq!(files.get(&at("a"), 10).await, Err(FileError::NotFound));
}

#[tokio::test]
async fn readers_see_whole_files_while_writers_replace_them() {
    let folder = tempfile::tempdir().unwrap();
    let files = FolderFiles::open(folder.path()).unwrap();
    let content = |letter: u8| vec![letter; 50_000];
    files
        .put(&at("a"), content(b'a'), "text/plain", Overwrite::Replace)
        .await
        .unwrap();
    let writer = {
        let files = files.clone();
        tokio::spawn(async move {
            for letter in b'b'..=b'k' {
                let content = vec![letter; 50_000];
                files
                    .put(&at("a"), content, "text/plain", Overwrite::Replace)
                    .await
                    .unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let read = files.get(&at("a"), 100_000).await.unwrap();
        assert_eq!(read.len(), 50_000);
        assert!(read.iter().all(|byte| *byte == read[0]));
    }
    writer.await.unwrap();
    let leftovers = std::fs::read_dir(folder.path().join(".novos"))
        .unwrap()
        .count();
    assert_eq!(leftovers, 0);
}

#[tokio::test]
async fn of_two_writers_that_must_not_replace_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let files = FolderFiles::open(folder.path()).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let files = files.clone();
            tokio::spawn(async move {
                files
                    .put(&at("a"), b"x".to_vec(), "text/plain", Overwrite::Refuse)
                    .await
            })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(()) => won += 1,
            Err(error) => assert_eq!(error, FileError::AlreadyExists),
        }
    }
    assert_eq!(won, 1);
}
