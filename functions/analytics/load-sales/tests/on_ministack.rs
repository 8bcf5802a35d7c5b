//! Loads whose files and lake are in S3, as the AWS clients speak it, beside the same ones in a
//! folder; only where ministack is.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{fmt::Write as _, io::Write as _, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use contracts::sales::LoadReport;
use domain::{
    lake::Table,
    sales::{Grouping, Question},
    time::UtcMillis,
};
use files::{FileAddress, Files, FolderFiles, Overwrite, S3Files};
use lake::{Lake, SalesReader};
use load_sales::{Parts, Settings, load};
use sql_store::{Store, lake::newest_files};
use tempfile::TempDir;

/// Enough for several pages of Parquet.
const LINES: usize = 12_000;

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

/// Lines of orders, two for each; every order from `without` on has no sale.
fn sales(first: usize, cents: usize, without: usize) -> String {
    let mut text = "id_pedido;id_produto;quantidade;preco;data;regiao;categoria\n".to_owned();
    for line in 0..LINES {
        let order = first + line / 2;
        writeln!(
            text,
            "p{order};\"produto {}\";{};{},{cents:02};{:02}/10/2026 1{}:00;{};casa",
            line % 900,
            if order < without { 2 } else { 0 },
            line % 50,
            1 + line % 30,
            line % 10,
            ["SP", "RJ", ""][line % 3],
        )
        .unwrap();
    }
    text
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

struct Place {
    bucket: String,
    parts: Parts,
    _folder: TempDir,
}

impl Place {
    async fn new(bucket: String, files: Option<Files>) -> Self {
        let folder = TempDir::new().unwrap();
        let database = folder.path().join("banco1.sqlite");
        let url = format!("sqlite://{}", database.display());
        let store = Store::open(&url).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let files = files.unwrap_or_else(|| {
            let folder = FolderFiles::open(&folder.path().join("arquivos"));
            Files::Folder(folder.unwrap())
        });
        let parts = Parts {
            store,
            files,
            settings: Settings::default(),
            clock: now,
            deadline: now().plus_millis(900_000),
        };
        Self {
            bucket,
            parts,
            _folder: folder,
        }
    }

    fn at(&self, key: &str) -> FileAddress {
        FileAddress::new(&self.bucket, key).unwrap()
    }

    /// Puts a file, loads it, and answers its report without what differs from place to place.
    async fn load(&self, key: &str, content: Vec<u8>) -> LoadReport {
        let files = &self.parts.files;
        let address = self.at(key);
        let put = files.put(&address, content, "text/csv", Overwrite::Replace);
        put.await.unwrap();
        let load = load(&self.parts, &self.bucket, key).await.unwrap().unwrap();
        let report: LoadReport = serde_json::from_str(load.report.as_ref().unwrap()).unwrap();
        let beside = self.at(&format!("relatorios/{}/relatorio.json", load.id));
        let beside = files.get(&beside, 100_000).await.unwrap();
        assert_eq!(beside, load.report.unwrap().into_bytes());
        if let Some(quarantine) = &report.quarentena.arquivo {
            let bad = files.get(&self.at(quarantine), 100_000).await.unwrap();
            assert!(String::from_utf8(bad).unwrap().contains("preco_invalido"));
        }
        let mut report = report;
        report.id = String::new();
        report.quarentena.arquivo = None;
        report
    }

    /// Quantity, revenue and orders of each group.
    async fn answers(&self) -> Vec<(Option<String>, i64, i64, i64)> {
        let live = newest_files(&self.parts.store, Table::Sales).await.unwrap();
        let (_, live) = live.unwrap();
        let lake = Lake::new(self.parts.files.clone(), &self.bucket);
        let reader = Arc::new(SalesReader::new(lake));
        let mut all = Vec::new();
        for (grouping, region) in [
            (Grouping::Product, None),
            (Grouping::Month, None),
            (Grouping::Day, Some("SP".to_owned())),
        ] {
            let question = Question {
                grouping,
                from: None,
                to: None,
                region,
                category: None,
                product: None,
            };
            let groups = reader.answer(&live, &question).await.unwrap();
            let mut groups: Vec<_> = groups
                .into_iter()
                .map(|group| {
                    let sums = group.sums;
                    (group.key, sums.quantity, sums.revenue_centavos, sums.orders)
                })
                .collect();
            groups.sort();
            all.extend(groups);
        }
        all
    }
}

async fn on_ministack(ministack: &testkit::Ministack) -> Place {
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
    let bucket = format!("vendas-{}", ministack.account_id());
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    Place::new(bucket, Some(Files::S3(S3Files::new(&sdk, true)))).await
}

#[tokio::test]
async fn a_lake_in_s3_becomes_what_one_in_a_folder_becomes() {
    let Some(ministack) = testkit::ministack().await else {
        println!("ministack took no part: FEIRA_MINISTACK_URL is not set");
        return;
    };
    let bucket = "vendas-pasta".to_owned();
    let places = [
        Place::new(bucket, None).await,
        on_ministack(&ministack).await,
    ];
    let every_order = usize::MAX;
    let first = format!("{}p0;a;1;x;01/10/2026;;\n", sales(0, 10, every_order));
    let steps = [
        ("vendas/a.csv.gz", packed(&first)),
        // The same object again.
        ("vendas/a.csv.gz", packed(&first)),
        ("vendas/b.csv", sales(4_500, 20, 9_000).into_bytes()),
        // A newer version of the first.
        ("vendas/a.csv.gz", packed(&sales(500, 30, every_order))),
    ];
    for (key, content) in steps {
        // S3 tells when a file was changed in whole seconds.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let mut reports = Vec::new();
        for place in &places {
            reports.push(place.load(key, content.clone()).await);
        }
        assert_eq!(reports[0], reports[1], "{key}");
        assert_eq!(reports[0].situacao, "carregada");
        assert_eq!(
            places[0].answers().await,
            places[1].answers().await,
            "{key}"
        );
    }
    let answers = places[1].answers().await;
    let month = answers
        .iter()
        .find(|group| group.0.as_deref() == Some("2026-10"));
    // Orders 500..6500 of the newest version, and of the other file 6500..9000.
    assert_eq!(month.unwrap().3, 8_500);
}
