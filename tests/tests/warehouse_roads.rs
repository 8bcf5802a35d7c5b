//! The lake and the warehouse give the same answers: random sales files are loaded, synced to
//! PostgreSQL in Redshift's place, and asked on both roads.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{fmt::Write as _, fs, fs::File, sync::Arc, time::Duration};

use arrow_array::Array as _;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use compact_lake::CompactLake;
use documents::Documents;
use domain::{
    jobs::{SALES_CHECK_QUALITY, SALES_EXPORT},
    lake::{DataFile, Table},
    sales::{Group, Grouping, Question},
    time::{Day, UtcMillis},
};
use files::{FileAddress, Files, FolderFiles};
use lake::{Lake, SalesReader};
use lambda_kit::{
    Invocation,
    schedule::{Handler as _, ScheduledRun},
};
use load_sales::{Parts, Settings};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sql_store::{Store, jobs, lake as catalogue, sales_loads::LoadStatus};
use sync_warehouse::SyncWarehouse;
use tempfile::TempDir;
use testkit::Random;
use warehouse::{
    Tls, Warehouse, WarehouseError, sales,
    sync::{LoadStep, Statements},
};

const BUCKET: &str = "sales-bucket";
const SEEDS: u64 = 6;
const LOADS: u64 = 6;
const REGIONS: [&str; 4] = ["SP", "RJ", "", "Região do \"Sul\", RS"];
const CATEGORIES: [&str; 3] = ["livros", "", "d'água"];

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

fn sales_file(random: &mut Random) -> String {
    let mut text = "id_pedido;id_produto;quantidade;preco;data;regiao;categoria\n".to_owned();
    for _ in 0..=random.below(60) {
        let quantity = random.below(8) - 2;
        let (region, category) = (random.one_of(&REGIONS), random.one_of(&CATEGORIES));
        writeln!(
            text,
            "pedido-{};produto-{};{quantity};{},{:02};2026-{:02}-{:02} 0{}:30:00;\"{}\";{category}",
            random.below(50),
            random.below(7),
            random.below(900),
            random.below(100),
            1 + random.below(4),
            1 + random.below(28),
            random.below(10),
            region.replace('"', "\"\""),
        )
        .unwrap();
    }
    text
}

/// INSERT of what the Parquet files hold, in the place of COPY.
struct InsertParquet(FolderFiles);

impl LoadStep for InsertParquet {
    fn create_statement(&self, statement: &str) -> String {
        testkit::without_redshift_keys(statement)
    }

    async fn load(
        &self,
        database: &Statements<'_>,
        staging: &str,
        table: Table,
        files: &[DataFile],
    ) -> Result<(), WarehouseError> {
        for file in files {
            let key = format!("{}{}", domain::lake::folder(table.name()), file.name);
            let address = FileAddress::new(BUCKET, &key).unwrap();
            let content = File::open(self.0.path_of(&address)).unwrap();
            let rows = ParquetRecordBatchReaderBuilder::try_new(content).unwrap();
            for batch in rows.build().unwrap() {
                let batch = batch.unwrap();
                let options = FormatOptions::default().with_null("");
                let columns: Vec<ArrayFormatter<'_>> = batch
                    .columns()
                    .iter()
                    .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
                    .collect();
                for row in 0..batch.num_rows() {
                    let values: Vec<String> = columns
                        .iter()
                        .zip(batch.columns())
                        .map(|(text, column)| match column.is_null(row) {
                            true => "NULL".to_owned(),
                            false => {
                                let text = text.value(row).to_string();
                                format!("'{}'", text.replace('\'', "''"))
                            }
                        })
                        .collect();
                    let insert = format!("INSERT INTO {staging} VALUES ({})", values.join(", "));
                    database.run(&insert).await?;
                }
            }
        }
        Ok(())
    }
}

fn questions(random: &mut Random) -> Vec<Question> {
    let groupings = [
        Grouping::Product,
        Grouping::Region,
        Grouping::Category,
        Grouping::Day,
        Grouping::Month,
    ];
    let mut questions = Vec::new();
    for grouping in groupings {
        for _ in 0..2 {
            let sometimes =
                |text: Option<String>, random: &mut Random| text.filter(|_| random.below(2) == 0);
            let day = |random: &mut Random| {
                let text = format!(
                    "2026-{:02}-{:02}",
                    1 + random.below(4),
                    1 + random.below(28)
                );
                (random.below(2) == 0).then(|| Day::parse(&text).unwrap())
            };
            let region = random.one_of(&REGIONS).to_string();
            let category = random.one_of(&CATEGORIES).to_string();
            let product = format!("produto-{}", random.below(7));
            questions.push(Question {
                grouping,
                from: day(random),
                to: day(random),
                region: sometimes(Some(region), random),
                category: sometimes(Some(category), random),
                product: sometimes(Some(product), random),
            });
        }
    }
    questions
}

fn sorted(mut groups: Vec<Group>) -> Vec<Group> {
    groups.sort_by(|one, other| one.key.cmp(&other.key));
    groups
}

#[tokio::test]
async fn both_roads_give_the_same_answers() {
    let mut merged = 0;
    for seed in 0..SEEDS {
        let Some(url) = testkit::postgres_schema().await else {
            return;
        };
        let mut random = Random::new(seed);
        let state = TempDir::new().unwrap();
        let store = format!("sqlite://{}", state.path().join("banco1.sqlite").display());
        let store = Store::open(&store).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        for job in [SALES_EXPORT, SALES_CHECK_QUALITY] {
            let run = jobs::start(&store, &job, now().day(), false, "test", now()).await;
            run.unwrap().finish(&store, now()).await.unwrap();
        }
        let folder = FolderFiles::open(&state.path().join("arquivos")).unwrap();
        let parts = Parts {
            store: store.clone(),
            files: Files::Folder(folder.clone()),
            settings: Settings::default(),
            clock: now,
            deadline: now().plus_millis(900_000),
        };
        let held = Warehouse::open(&url, Tls::Never).unwrap();
        let job = SyncWarehouse::new(store.clone(), held, InsertParquet(folder.clone()), now);
        let reader = Lake::new(Files::Folder(folder.clone()), BUCKET);
        let reader = Arc::new(SalesReader::new(reader));
        let warehouse = Warehouse::open(&url, Tls::Never).unwrap();
        let run = ScheduledRun {
            date: now().day(),
            again: true,
            accepts_empty: false,
        };
        for load in 0..LOADS {
            let key = format!("vendas/{}.csv", random.below(4));
            let path = folder.path_of(&FileAddress::new(BUCKET, &key).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, sales_file(&mut random)).unwrap();
            let loaded = load_sales::load(&parts, BUCKET, &key).await.unwrap();
            assert_eq!(loaded.unwrap().status, LoadStatus::Loaded);
            // Two versions of a key need two times.
            tokio::time::sleep(Duration::from_millis(5)).await;
            if random.one_in(2) {
                let lake = Lake::new(Files::Folder(folder.clone()), BUCKET);
                let documents = Documents::in_sql(store.clone());
                let compact =
                    CompactLake::new(store.clone(), documents, lake, now).with_alike_files(2);
                let done = compact.handle(run, &Invocation::at(now())).await.unwrap();
                merged += done.arquivos_juntados;
            }
            if random.one_in(3) {
                continue;
            }
            job.handle(run, &Invocation::at(now())).await.unwrap();
            let version = sales::version(&warehouse).await.unwrap().unwrap().id;
            let files = catalogue::files_at(&store, Table::Sales, version)
                .await
                .unwrap();
            for question in questions(&mut random) {
                let there = sales::answer(&warehouse, version, &question).await.unwrap();
                let here = reader.answer(&files, &question).await.unwrap();
                let (here, there) = (sorted(here), sorted(there.unwrap()));
                assert_eq!(here, there, "seed {seed}, load {load}: {question:?}");
            }
        }
    }
    assert!(merged > 10, "only {merged} files were merged");
}
