//! A bucket, a database, and loads that may be killed.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use bundle_tests::faults::{
    cutter::{Cut, Cutter},
    world::quick_folder,
};
use compact_lake::{CompactLake, Compacted};
use contracts::sales::LoadReport;
use documents::Documents;
use domain::time::UtcMillis;
use files::{FileAddress, Files, FolderFiles};
use lake::Lake;
use lambda_kit::{
    Invocation, InvocationFailed,
    schedule::{Handler as _, ScheduledRun},
};
use load_sales::{BadLines, LoadError, Parts, Settings, load};
use sql_store::{
    Options, Store,
    sales_loads::{Load, LoadStatus},
};
use tempfile::TempDir;
use testkit::Random;

use crate::{
    files::{Content, content},
    lake::{check_answers, contents, plain_questions, questions},
    model::{Loaded, expected},
};

pub const BUCKET: &str = "sales-bucket";
const DATABASE: &str = "banco1.sqlite";
/// Rounds of a seed on MariaDB, whose database takes long to make.
const MARIADB_ROUNDS: usize = 4;
/// Files of sales that all seeds put together.
pub static MERGED_FILES: AtomicU64 = AtomicU64::new(0);
/// 2026-06-01: when the files were changed.
const CHANGED_MS: i64 = 1_780_282_800_000;

pub fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

/// A migrated database to copy.
pub struct Template(TempDir);

impl Template {
    pub async fn make() -> Self {
        let folder = quick_folder();
        let file = folder.path().join(DATABASE);
        let store = Store::open_file(&file, Options::default()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        drop(store);
        // The last connection takes its log with it.
        let log = folder.path().join(format!("{DATABASE}-wal"));
        for _ in 0..200 {
            if !log.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self(folder)
    }
}

/// A bucket and a database.
pub struct World {
    url: String,
    pub folder: FolderFiles,
    settings: Settings,
    puts: AtomicU64,
    _folder: TempDir,
}

impl World {
    /// A copy of the template, with what makes loads spill and files many at random.
    fn random(template: &Template, random: &mut Random) -> Self {
        let mut world = Self::copy(template);
        world.make_small(random);
        world
    }

    fn make_small(&mut self, random: &mut Random) {
        let bounds = &mut self.settings.bounds;
        if random.percent(20) {
            bounds.sort_budget_bytes = 50 + random.below(1_000);
        }
        if random.percent(20) {
            bounds.file_rows = 2 + random.below(8);
        }
    }

    fn lake(&self) -> Lake {
        Lake::new(Files::Folder(self.folder.clone()), BUCKET)
    }

    pub fn copy(template: &Template) -> Self {
        let folder = quick_folder();
        let file = folder.path().join(DATABASE);
        fs::copy(template.0.path().join(DATABASE), &file).unwrap();
        let url = format!("sqlite://{}", file.display());
        Self::over(url, folder)
    }

    pub fn over(url: String, folder: TempDir) -> Self {
        Self {
            url,
            folder: FolderFiles::open(&folder.path().join("arquivos")).unwrap(),
            settings: Settings {
                bad_lines: BadLines {
                    share_basis_points: 3_000,
                    lines: 2,
                },
                ..Settings::default()
            },
            puts: AtomicU64::new(0),
            _folder: folder,
        }
    }

    /// A process that loads, and what ends it.
    pub async fn parts(&self, cut: Cut) -> (Parts, Arc<Cutter>) {
        let cutter = Cutter::new(cut);
        let options = Options {
            observer: Some(cutter.clone()),
            ..Options::default()
        };
        let parts = Parts {
            store: Store::open_with(&self.url, options).await.unwrap(),
            files: Files::Folder(self.folder.clone()),
            settings: self.settings.clone(),
            clock: now,
            deadline: now().plus_millis(900_000),
        };
        (parts, cutter)
    }

    /// Puts a file that was changed so many seconds after the first.
    pub fn put(&self, key: &str, content: &Content, seconds: i64) {
        let path = self.folder.path_of(&FileAddress::new(BUCKET, key).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &content.bytes).unwrap();
        let changed_ms = u64::try_from(CHANGED_MS + seconds * 1000).unwrap();
        // Two versions within a millisecond still differ, as their ETags do in S3.
        let nanos = self.puts.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        let changed = UNIX_EPOCH + Duration::from_millis(changed_ms) + Duration::from_nanos(nanos);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(changed).unwrap();
    }

    /// Compares the lake with the model.
    pub async fn check(&self, loaded: &[Loaded], random: Option<&mut Random>) {
        let (parts, _) = self.parts(Cut::Never).await;
        let expected = expected(loaded);
        let found = contents(&parts.store, &self.folder, BUCKET).await;
        assert_eq!(found, expected);
        let Some(random) = random else {
            return;
        };
        let mut asked = questions(random, &expected, 2);
        // Answers have tests of their own, and take most of the time.
        if random.one_in(20) {
            asked.extend(plain_questions());
        }
        check_answers(&parts.store, self.lake(), &expected, &asked).await;
    }
}

/// What the ledger says of a load, held against the file.
pub fn taken(load: &Load, content: &Content) -> Option<Loaded> {
    let report: LoadReport = serde_json::from_str(load.report.as_ref().unwrap()).unwrap();
    let accepted = u64::try_from(content.lines.len()).unwrap();
    assert_eq!(
        report.linhas_lidas,
        accepted + content.bad_lines,
        "{report:?}"
    );
    assert_eq!(report.linhas_aceitas, accepted);
    assert_eq!(report.quarentena.total, content.bad_lines);
    let limit = BadLines {
        share_basis_points: 3_000,
        lines: 2,
    };
    if limit.are_exceeded(content.bad_lines, report.linhas_lidas) {
        assert_eq!(load.status, LoadStatus::Refused);
        return None;
    }
    assert_eq!(load.status, LoadStatus::Loaded);
    assert_eq!(report.linhas_repetidas, content.repeated);
    let units: i64 = content
        .lines
        .iter()
        .map(|line| i64::from(line.quantity))
        .sum();
    assert_eq!(report.quantidade, units);
    Some(Loaded {
        key: load.file.key.clone(),
        modified_ms: load.file.modified_ms,
        number: load.number,
        lines: content.lines.clone(),
    })
}

/// One seed on a copy of the template.
pub async fn simulate(template: &Template, seed: u64) {
    let mut random = Random::new(seed);
    let rounds = 2 + random.below(4);
    let world = World::random(template, &mut random);
    play(&world, random, rounds).await;
}

/// One seed on an empty database.
pub async fn simulate_on(url: &str, seed: u64) {
    let mut random = Random::new(seed);
    let mut world = World::over(url.to_owned(), quick_folder());
    world.make_small(&mut random);
    let (parts, _) = world.parts(Cut::Never).await;
    sql_store::migrate::migrate(&parts.store, now())
        .await
        .unwrap();
    play(&world, random, MARIADB_ROUNDS).await;
}

async fn play(world: &World, mut random: Random, rounds: usize) {
    let mut loaded = Vec::new();
    for _ in 0..rounds {
        let key = |random: &mut Random| format!("vendas/{}.csv", random.below(4));
        let first = (key(&mut random), content(&mut random));
        world.put(&first.0, &first.1, random.below(6));
        let second = (key(&mut random), content(&mut random));
        if random.percent(30) && first.0 != second.0 {
            world.put(&second.0, &second.1, random.below(6));
            loaded.extend(both(world, &first, &second).await);
        } else {
            let cut = random.percent(40).then(|| random.below(60));
            if cut.is_none() && random.percent(30) {
                loaded.extend(beside_compaction(world, &first).await);
            } else {
                loaded.extend(one(world, &first.0, &first.1, cut).await);
            }
        }
        if random.percent(25) {
            let cut = random.percent(40).then(|| random.below(40));
            compact(world, cut).await;
        }
        if random.percent(15) {
            let (parts, _) = world.parts(Cut::Never).await;
            load(&parts, BUCKET, &first.0).await.unwrap();
        }
    }
    let mut known = std::collections::BTreeSet::new();
    loaded.retain(|file: &Loaded| known.insert(file.number));
    world.check(&loaded, Some(&mut random)).await;
}

/// A load that may be killed, and the event that comes again.
async fn one(world: &World, key: &str, content: &Content, cut: Option<usize>) -> Option<Loaded> {
    if let Some(at) = cut {
        let (parts, cutter) = world.parts(Cut::Drop(at)).await;
        let _ = cutter.around(load(&parts, BUCKET, key)).await;
    }
    let (parts, _) = world.parts(Cut::Never).await;
    let load = load(&parts, BUCKET, key).await.unwrap().unwrap();
    taken(&load, content)
}

type Put = (String, Content);

/// Two loads at once; what lost too often comes again.
async fn both(world: &World, first: &Put, second: &Put) -> Vec<Loaded> {
    let (one, _) = world.parts(Cut::Never).await;
    let (other, _) = world.parts(Cut::Never).await;
    let (left, right) = tokio::join!(
        load(&one, BUCKET, &first.0),
        load(&other, BUCKET, &second.0)
    );
    let mut loaded = Vec::new();
    for (outcome, (key, content)) in [(left, first), (right, second)] {
        let ended = match outcome {
            Err(LoadError::Contended | LoadError::Store(_)) => load(&one, BUCKET, key).await,
            other => other,
        };
        loaded.extend(taken(&ended.unwrap().unwrap(), content));
    }
    loaded
}

/// A run of compact-lake to which two files are enough to put together.
async fn compact_once(world: &World, cut: Cut) -> Option<Result<Compacted, InvocationFailed>> {
    let (parts, cutter) = world.parts(cut).await;
    let documents = Documents::in_sql(parts.store.clone());
    let function = CompactLake::new(parts.store, documents, world.lake(), now).with_alike_files(2);
    let run = ScheduledRun {
        date: now().day(),
        again: false,
        accepts_empty: false,
    };
    cutter
        .around(function.handle(run, &Invocation::at(now())))
        .await
}

/// A run that may be killed, and the one an hour later.
async fn compact(world: &World, cut: Option<usize>) {
    if let Some(at) = cut {
        // Where it has fewer statements it is done.
        let _ = compact_once(world, Cut::Drop(at)).await;
    }
    let done = compact_once(world, Cut::Never).await.unwrap().unwrap();
    let merged = u64::try_from(done.arquivos_juntados).unwrap();
    MERGED_FILES.fetch_add(merged, Ordering::Relaxed);
}

/// A load while files are put together; who loses against the other comes again.
async fn beside_compaction(world: &World, (key, content): &Put) -> Option<Loaded> {
    let (parts, _) = world.parts(Cut::Never).await;
    let (outcome, _) = tokio::join!(load(&parts, BUCKET, key), compact_once(world, Cut::Never));
    let ended = match outcome {
        Err(LoadError::Contended | LoadError::Store(_)) => load(&parts, BUCKET, key).await,
        other => other,
    };
    taken(&ended.unwrap().unwrap(), content)
}
