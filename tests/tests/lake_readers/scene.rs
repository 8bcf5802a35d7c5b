//! A lake with files of its own, and a Python that reads it.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use compact_lake::CompactLake;
use documents::Documents;
use domain::{
    lake::{SnapshotId, Table, WrittenFile},
    money::Centavos,
    sales::SaleLine,
    time::UtcMillis,
};
use files::{FileAddress, Files, FolderFiles, Overwrite};
use lake::{Lake, OrderFate, RepeatedLines, SortedOrders, SortedSales};
use lambda_kit::{
    Invocation, http,
    schedule::{Handler as _, ScheduledRun},
};
use load_sales::{Parts, Settings};
use sales_answers::LakeSource;
use sales_summary::SalesSummary;
use serde_json::{Value, json};
use sql_store::{
    Store, StoreError, Tx,
    lake::{self as catalogue, Change, CommitError},
    migrate::migrate,
    sales_loads::LoadStatus,
    values,
};
use tempfile::TempDir;
use testkit::{HttpCall, TestDatabase, databases};

const BUCKET: &str = "feira-vendas";
/// `agrupar_por`, and the field of a group's key.
const GROUPINGS: [(&str, &str); 5] = [
    ("produto", "id_produto"),
    ("regiao", "regiao"),
    ("categoria", "categoria"),
    ("dia", "dia"),
    ("mes", "mes"),
];

/// 2026-11-21T12:00:00Z.
pub const NOON: UtcMillis = match UtcMillis::new(1_795_262_400_000) {
    Ok(noon) => noon,
    Err(_) => unreachable!(),
};

/// A line of a sale in SP.
#[derive(Clone, Copy)]
pub struct Line {
    pub order: &'static str,
    pub quantity: i32,
    pub centavos: i64,
    pub day: &'static str,
}

pub struct Scene {
    store: Store,
    database: TestDatabase,
    lake: Lake,
    python: PathBuf,
    folder: TempDir,
}

pub async fn scenes(python: &Path) -> Vec<Scene> {
    let mut all = Vec::new();
    for database in databases().await {
        let store = Store::open(database.url()).await.unwrap();
        migrate(&store, NOON).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let lake = Lake::new(files, BUCKET);
        let path = lake.data_path().unwrap();
        catalogue::register(&store, &path, NOON).await.unwrap();
        all.push(Scene {
            store,
            database,
            lake,
            python: python.to_owned(),
            folder,
        });
    }
    all
}

impl Scene {
    pub fn label(&self) -> &'static str {
        self.database.label()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn newest(&self) -> SnapshotId {
        let newest = catalogue::newest_snapshot(&self.store).await.unwrap();
        newest.unwrap().id
    }

    /// Writes the lines into files and commits them, ending those files.
    pub async fn load(&self, number: i64, lines: &[Line], ended: &[i64]) -> SnapshotId {
        let files = self.write(number, lines).await;
        let base = self.newest().await;
        self.commit(base, &files, ended).await.unwrap()
    }

    /// Whether a commit of nothing, based on that snapshot, meets a conflict.
    pub async fn is_refused_on(&self, base: SnapshotId) -> bool {
        self.commit(base, &[], &[]).await == Err(CommitError::Conflict)
    }

    async fn commit(
        &self,
        base: SnapshotId,
        added: &[WrittenFile],
        ended: &[i64],
    ) -> Result<SnapshotId, CommitError> {
        let change = Change {
            added,
            ended,
            note: "a test",
        };
        let work = async |tx: &Tx| catalogue::commit(tx, base, &[Table::Sales], change, NOON).await;
        self.store.transact(work).await
    }

    async fn write(&self, number: i64, lines: &[Line]) -> Vec<WrittenFile> {
        let folder = self.folder.path();
        let mut sales = SortedSales::new(folder);
        for (fingerprint, line) in (0..).zip(lines) {
            let sold = format!("{}T15:00:00-03:00", line.day);
            let line = SaleLine {
                order: line.order,
                product: "produto-1",
                quantity: line.quantity,
                unit_price: Centavos::new(line.centavos).unwrap(),
                sold: UtcMillis::parse(&sold).unwrap(),
                region: "SP",
                category: "",
            };
            sales.push(&line, fingerprint).unwrap();
        }
        let sorted = sales.finish().unwrap();
        let nobody = SortedOrders::new(folder);
        let fate = |_: &str| OrderFate::Ours;
        let kept = RepeatedLines::Kept;
        let written = lake::write(&self.lake, &sorted, number, folder, &fate, nobody, kept);
        written.await.unwrap().files
    }

    /// Puts a file of sales into the bucket and loads it.
    pub async fn load_file(&self, key: &str, content: String) {
        let files = self.lake.files();
        let address = FileAddress::new(BUCKET, key).unwrap();
        let content = content.into_bytes();
        let put = files.put(&address, content, "text/csv", Overwrite::Replace);
        put.await.unwrap();
        let parts = Parts {
            store: self.store.clone(),
            files: files.clone(),
            settings: Settings::default(),
            clock: || NOON,
            deadline: NOON.plus_millis(900_000),
        };
        let load = load_sales::load(&parts, BUCKET, key).await.unwrap();
        assert_eq!(load.unwrap().status, LoadStatus::Loaded);
    }

    /// Puts the files of sales together.
    pub async fn compact(&self) {
        let function = CompactLake::new(
            self.store.clone(),
            Documents::in_sql(self.store.clone()),
            self.lake.clone(),
            || NOON,
        );
        let run = ScheduledRun {
            date: NOON.day(),
            again: false,
            accepts_empty: false,
        };
        let function = function.with_alike_files(2);
        let done = function.handle(run, &Invocation::at(NOON)).await.unwrap();
        assert!(done.arquivos_juntados > 0);
    }

    /// GET /vendas/resumo by every grouping, each group as a list of texts, sorted by its key.
    pub async fn totals_over_http(&self) -> Value {
        let source = LakeSource::new(self.store.clone(), self.lake.files().clone(), BUCKET);
        let function = SalesSummary::new(source);
        let mut totals = serde_json::Map::new();
        for (grouping, field) in GROUPINGS {
            let call = HttpCall::of("GET /vendas/resumo")
                .query("agrupar_por", grouping)
                .token_of("analista", "vendas:read");
            let answer = http::answer(&function, call.event(), &Invocation::at(NOON)).await;
            assert_eq!(answer["statusCode"], 200, "{answer}");
            let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            let text = |value: &Value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let mut groups: Vec<Vec<String>> = body
                .as_array()
                .unwrap()
                .iter()
                .map(|group| {
                    let fields = [field, "total_vendido", "receita", "pedidos"];
                    fields.map(|field| text(&group[field])).to_vec()
                })
                .collect();
            groups.sort();
            totals.insert(grouping.to_owned(), json!(groups));
        }
        Value::Object(totals)
    }

    pub fn manifest(&self) -> String {
        let address = self.lake.manifest_address(Table::Sales).unwrap();
        self.lake.files().place(&address)
    }

    /// As docs/lake.md says to attach it.
    pub fn catalogue(&self) -> String {
        let url = plain(self.database.url());
        match url.strip_prefix("sqlite://") {
            Some(path) => format!("ducklake:sqlite:{path}"),
            None => mysql(url, None),
        }
    }

    /// A user of MariaDB with the rights that docs/lake.md gives a reader.
    pub async fn catalogue_of_a_reader(&self) -> Option<String> {
        const DOCUMENT: &str = include_str!("../../../docs/lake.md");
        let (_, name) = plain(self.database.url())
            .strip_prefix("mysql://")?
            .rsplit_once('/')?;
        let user = format!("l{}", &name[name.len() - 20..]);
        let grants = DOCUMENT
            .lines()
            .filter(|line| line.starts_with("CREATE USER ") || line.starts_with("GRANT "))
            .map(|line| line.replace("feira.", &format!("{name}.")))
            .map(|line| line.replace("'leitor'", &format!("'{user}'")));
        for statement in grants {
            let statement = statement.trim_end_matches(';').to_owned();
            let work = async |tx: &Tx| tx.execute(&statement, values![]).await;
            let done: Result<u64, StoreError> = self.store.transact(work).await;
            done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        Some(mysql(plain(self.database.url()), Some(&user)))
    }

    /// What a function of read.py says of the lake.
    pub async fn read(&self, work: &str, arguments: &[&str]) -> Value {
        self.read_as(&self.catalogue(), work, arguments).await
    }

    pub async fn read_as(&self, place: &str, work: &str, arguments: &[&str]) -> Value {
        answer(self.start_as(place, work, arguments)).await
    }

    pub fn start_as(&self, place: &str, work: &str, arguments: &[&str]) -> tokio::process::Child {
        tokio::process::Command::new(&self.python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/lake_readers/read.py"
            ))
            .args([work, place])
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

pub async fn answer(child: tokio::process::Child) -> Value {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().await.unwrap();
    assert!(
        status.success(),
        "{status}: {}",
        String::from_utf8_lossy(&stderr)
    );
    serde_json::from_slice(&stdout).unwrap()
}

/// A URL without what it says to our own client.
fn plain(url: &str) -> &str {
    url.split_once('?').map_or(url, |(plain, _)| plain)
}

/// `mysql://user:password@host:port/name` in DuckDB's words.
fn mysql(url: &str, user: Option<&str>) -> String {
    let rest = url.strip_prefix("mysql://").unwrap();
    let (account, rest) = rest.split_once('@').unwrap();
    let (address, path) = rest.split_once('/').unwrap();
    let database = path.split('?').next().unwrap_or(path);
    let (host, port) = address.split_once(':').unwrap_or((address, "3306"));
    let (own, password) = account.split_once(':').unwrap_or((account, ""));
    let (user, password) = match user {
        Some(user) => (user, "uma-senha-longa"),
        None => (own, password),
    };
    let password = if password.is_empty() {
        String::new()
    } else {
        format!("password={password} ")
    };
    format!("ducklake:mysql:host={host} port={port} user={user} {password}database={database}")
}
