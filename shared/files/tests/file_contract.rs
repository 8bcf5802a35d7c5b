//! What every file store promises, asserted alike on a folder and on ministack's S3.
#![cfg(test)]

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use files::{FileAddress, FileError, Files, FolderFiles, Overwrite, S3Files};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

struct Part {
    name: &'static str,
    bucket: String,
    files: Files,
    _folder: Option<TempDir>,
}

impl Part {
    fn at(&self, key: &str) -> FileAddress {
        FileAddress::new(&self.bucket, key).unwrap()
    }

    async fn put(&self, key: &str, content: &str) {
        let address = self.at(key);
        let content = content.as_bytes().to_vec();
        self.files
            .put(&address, content, "text/csv", Overwrite::Replace)
            .await
            .unwrap();
    }
}

async fn parts() -> Vec<Part> {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::Folder(FolderFiles::open(&folder.path().join("arquivos")).unwrap());
    let mut parts = vec![Part {
        name: "folder",
        bucket: "lago-feira".to_owned(),
        files,
        _folder: Some(folder),
    }];
    match testkit::ministack().await {
        Some(ministack) => parts.push(on_ministack(&ministack).await),
        None => println!("ministack took no part: FEIRA_MINISTACK_URL is not set"),
    }
    parts
}

async fn on_ministack(ministack: &testkit::Ministack) -> Part {
    let credentials = Credentials::new(ministack.account_id(), "test", None, None, "test");
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(ministack.endpoint_url())
        .load()
        .await;
    let config = aws_sdk_s3::config::Builder::from(&sdk)
        .force_path_style(true)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    // The names of buckets are one world for all accounts, and each test has an account.
    let bucket = format!("lago-feira-{}", ministack.account_id());
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    Part {
        name: "ministack",
        bucket,
        files: Files::S3(S3Files::new(&sdk, true)),
        _folder: None,
    }
}

#[tokio::test]
async fn what_is_put_is_read_whole_and_as_a_stream() {
    for part in parts().await {
        part.put("vendas/dia=2026-11-20/a b+ç.csv", "id_pedido,quantidade\n")
            .await;
        let address = part.at("vendas/dia=2026-11-20/a b+ç.csv");
        let content = part.files.get(&address, 100).await.unwrap();
        assert_eq!(content, b"id_pedido,quantidade\n", "{}", part.name);
        let mut reader = part.files.open(&address).await.unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "id_pedido,quantidade\n");
        let info = part.files.head(&address).await.unwrap();
        assert_eq!(info.size_bytes, 21, "{}", part.name);
        assert_eq!(info.content_type, "text/csv", "{}", part.name);
        assert!(info.modified_ms > 1_700_000_000_000, "{}", part.name);
    }
}

#[tokio::test]
async fn a_file_larger_than_the_reader_takes_is_refused() {
    for part in parts().await {
        part.put("a.csv", "0123456789").await;
        assert_eq!(
            part.files.get(&part.at("a.csv"), 10).await.unwrap().len(),
            10
        );
        let error = part.files.get(&part.at("a.csv"), 9).await.unwrap_err();
        assert_eq!(error, FileError::TooLarge { max_bytes: 9 }, "{}", part.name);
    }
}

#[tokio::test]
async fn a_file_is_replaced_or_protected_as_asked() {
    for part in parts().await {
        part.put("a.csv", "old").await;
        part.put("a.csv", "new").await;
        assert_eq!(
            part.files.get(&part.at("a.csv"), 10).await.unwrap(),
            b"new",
            "{}",
            part.name
        );
        let put = part
            .files
            .put(
                &part.at("a.csv"),
                b"x".to_vec(),
                "text/csv",
                Overwrite::Refuse,
            )
            .await;
        assert_eq!(put, Err(FileError::AlreadyExists), "{}", part.name);
        assert_eq!(
            part.files.get(&part.at("a.csv"), 10).await.unwrap(),
            b"new",
            "{}",
            part.name
        );
        let put = part
            .files
            .put(
                &part.at("b.csv"),
                b"x".to_vec(),
                "text/csv",
                Overwrite::Refuse,
            )
            .await;
        assert_eq!(put, Ok(()), "{}", part.name);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_deleting_it_is_no_error() {
    for part in parts().await {
        let absent = part.at("absent/a.csv");
        assert_eq!(
            part.files.get(&absent, 10).await.unwrap_err(),
            FileError::NotFound
        );
        assert_eq!(
            part.files.head(&absent).await.unwrap_err(),
            FileError::NotFound
        );
        assert_eq!(
            part.files.open(&absent).await.err(),
            Some(FileError::NotFound)
        );
        assert_eq!(part.files.delete(&absent).await, Ok(()), "{}", part.name);
        part.put("a.csv", "x").await;
        part.files.delete(&part.at("a.csv")).await.unwrap();
        assert_eq!(
            part.files.head(&part.at("a.csv")).await.unwrap_err(),
            FileError::NotFound
        );
        let elsewhere = FileAddress::new("outro-lago", "a.csv").unwrap();
        assert_eq!(
            part.files.get(&elsewhere, 10).await.unwrap_err(),
            FileError::NotFound
        );
    }
}

#[tokio::test]
async fn lists_come_by_prefix_in_order_and_in_pages() {
    for part in parts().await {
        for key in [
            "v/a/2.csv",
            "v/a/10.csv",
            "v/a.csv",
            "v/b/1.csv",
            "w/1.csv",
            "v/a/1.csv",
        ] {
            part.put(key, "x").await;
        }
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let page = part
                .files
                .list(&part.bucket, "v/a", after.as_deref(), 2)
                .await
                .unwrap();
            assert!(page.files.len() <= 2);
            keys.extend(page.files.into_iter().map(|file| file.key));
            after = page.next_after;
            if after.is_none() {
                break;
            }
        }
        let expected = ["v/a.csv", "v/a/1.csv", "v/a/10.csv", "v/a/2.csv"];
        assert_eq!(keys, expected, "{}", part.name);
        let page = part
            .files
            .list(&part.bucket, "", None, 1_000)
            .await
            .unwrap();
        assert_eq!(page.files.len(), 6, "{}", part.name);
        assert_eq!(page.files[0].size_bytes, 1);
        let none = part.files.list(&part.bucket, "x", None, 10).await.unwrap();
        assert_eq!(
            (none.files.len(), none.next_after),
            (0, None),
            "{}",
            part.name
        );
        assert!(part.files.list("../x", "", None, 10).await.is_err());
    }
}

#[tokio::test]
async fn a_range_is_read_as_far_as_the_file_goes() {
    for part in parts().await {
        part.put("a.csv", "0123456789").await;
        let address = part.at("a.csv");
        for (offset, length, expected) in [
            (0, 10, "0123456789"),
            (3, 4, "3456"),
            (8, 100, "89"),
            (10, 5, ""),
            (99, 1, ""),
            (2, 0, ""),
        ] {
            let read = part.files.get_range(&address, offset, length).await;
            assert_eq!(read.unwrap(), expected.as_bytes(), "{} {offset}", part.name);
        }
        let absent = part.files.get_range(&part.at("b.csv"), 0, 1).await;
        assert_eq!(absent, Err(FileError::NotFound), "{}", part.name);
    }
}

#[tokio::test]
async fn a_local_file_is_put_whole_even_when_it_goes_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("local");
    for part in parts().await {
        let address = part.at("lago/a.parquet");
        for size in [0, 1_000, 70 * 1024 * 1024] {
            let content: Vec<u8> = (0..size).map(|at: u32| (at % 251) as u8).collect();
            std::fs::write(&local, &content).unwrap();
            let put = part.files.put_file(&address, &local, "application/x").await;
            assert_eq!(put, Ok(()), "{}", part.name);
            let read = part.files.get(&address, 100 * 1024 * 1024).await.unwrap();
            assert!(read == content, "{} {size}", part.name);
            let info = part.files.head(&address).await.unwrap();
            assert_eq!(info.content_type, "application/x", "{}", part.name);
        }
        let absent = folder.path().join("absent");
        let put = part.files.put_file(&address, &absent, "text/plain").await;
        assert!(put.is_err(), "{}", part.name);
    }
}
