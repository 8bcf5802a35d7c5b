//! Every event file of load-sales, and what loads report, on every database that there is.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{fs, io::Write, path::PathBuf};

use contracts::sales::LoadReport;
use domain::{lake::Table, time::UtcMillis};
use files::{FileAddress, Files, FolderFiles};
use lambda_kit::{Invocation, s3};
use load_sales::{BadLines, LoadError, LoadSales, Parts, Settings, load};
use sql_store::{
    Store,
    lake::{files_at, newest_snapshot},
    sales_loads::{Load, LoadStatus},
};
use tempfile::TempDir;
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "load-sales";
const BUCKET: &str = "sales-bucket";
const HEADER: &str = "id_pedido,id_produto,quantidade,preco,data,regiao,categoria\n";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-21T12:00:00Z").unwrap()
}

struct Scene {
    parts: Parts,
    folder: FolderFiles,
    _files: TempDir,
    _database: TestDatabase,
}

impl Scene {
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let files = TempDir::new().unwrap();
            let folder = FolderFiles::open(files.path()).unwrap();
            scenes.push(Self {
                parts: Parts {
                    store,
                    files: Files::Folder(folder.clone()),
                    settings: Settings::default(),
                    clock: now,
                    deadline: now().plus_millis(900_000),
                },
                folder,
                _files: files,
                _database: database,
            });
        }
        scenes
    }

    fn path(&self, key: &str) -> PathBuf {
        let address = FileAddress::new(BUCKET, key).unwrap();
        let path = self.folder.path_of(&address);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    async fn load(&self, key: &str, content: &[u8]) -> (Load, LoadReport) {
        fs::write(self.path(key), content).unwrap();
        let load = load(&self.parts, BUCKET, key).await.unwrap().unwrap();
        let report = serde_json::from_str(load.report.as_ref().unwrap()).unwrap();
        (load, report)
    }

    /// Rows of both tables, and how many files they are in.
    async fn rows(&self) -> (u64, u64, usize) {
        let Some(snapshot) = newest_snapshot(&self.parts.store).await.unwrap() else {
            return (0, 0, 0);
        };
        let [sales, without] = [Table::Sales, Table::OrdersWithoutSale];
        let sales = files_at(&self.parts.store, sales, snapshot.id)
            .await
            .unwrap();
        let without = files_at(&self.parts.store, without, snapshot.id)
            .await
            .unwrap();
        (
            sales.iter().map(|file| file.rows).sum(),
            without.iter().map(|file| file.rows).sum(),
            sales.len() + without.len(),
        )
    }
}

#[tokio::test]
async fn every_event_file_is_taken_or_refused_and_taking_it_again_changes_nothing() {
    for scene in Scene::everywhere().await {
        let key = "vendas/2026/Relatório de novembro.csv";
        let line = "1,a,2,39.90,2026-11-20,SP,casa\n";
        fs::write(scene.path(key), format!("{HEADER}{line}")).unwrap();
        let Parts {
            store,
            files,
            settings,
            clock,
            ..
        } = scene.parts.clone();
        let handler = LoadSales::new(store, files, settings, clock);
        for round in 0..2 {
            for case in event_cases(FUNCTION) {
                let payload = event(FUNCTION, &case);
                let answer = s3::answer(&handler, payload, &Invocation::at(now())).await;
                assert_eq!(answer.is_ok(), case.starts_with("accepted-"), "{case}");
            }
            assert_eq!(scene.rows().await, (1, 0, 1), "round {round}");
        }
    }
}

#[tokio::test]
async fn a_load_reports_what_it_took_and_what_it_put_aside() {
    for scene in Scene::everywhere().await {
        let text = format!(
            "{HEADER}1,a,2,39.90,2026-11-20,SP,casa\n1,a,2,39.90,2026-11-20,SP,casa\n\
             2,b,-1,10,2026-11-19 23:00:00,,\n3,c,0,1,2026-11-20,,\n4,d,1,x,2026-11-20,,\n"
        );
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        let (load, report) = scene
            .load("vendas/a.csv.gz", &packed.finish().unwrap())
            .await;
        assert_eq!(load.status, LoadStatus::Loaded);
        assert_eq!(report.situacao, "carregada");
        assert_eq!((report.linhas_lidas, report.linhas_aceitas), (5, 4));
        assert_eq!((report.linhas_repetidas, report.linhas_no_lago), (1, 3));
        assert_eq!((report.quantidade, report.receita.as_str()), (3, "149.60"));
        assert_eq!((report.pedidos, report.pedidos_substituidos), (3, 0));
        assert_eq!(report.primeiro_dia.as_deref(), Some("2026-11-19"));
        assert_eq!(report.ultimo_dia.as_deref(), Some("2026-11-20"));
        assert_eq!(report.quarentena.por_motivo["preco_invalido"], 1);
        let quarantine =
            fs::read_to_string(scene.path(&report.quarentena.arquivo.unwrap())).unwrap();
        assert!(quarantine.ends_with("\n6,preco_invalido,preco,4,d,1,x,2026-11-20,,\n"));
        let beside = scene.path(&format!("relatorios/{}/relatorio.json", load.id));
        assert_eq!(fs::read_to_string(beside).unwrap(), load.report.unwrap());
        assert_eq!(scene.rows().await, (3, 1, 2));
    }
}

#[tokio::test]
async fn what_can_not_be_loaded_is_refused_whole_with_a_reason_and_advice() {
    for mut scene in Scene::everywhere().await {
        let (load, report) = scene.load("vendas/x.csv", b"id_pedido;preco\n1;2\n").await;
        assert_eq!(load.status, LoadStatus::Refused);
        assert_eq!(report.motivo.as_deref(), Some("colunas_ausentes"));
        assert_eq!(report.colunas, ["id_produto", "quantidade", "data"]);
        assert!(report.conselho.is_some());
        scene.parts.settings.bad_lines = BadLines {
            share_basis_points: 1_000,
            lines: 1,
        };
        let good = "1,a,1,1,2026-11-20,,\n";
        let bad = "2,,1,1,2026-11-20,,\n";
        let text = format!("{HEADER}{}{}", good.repeat(17), bad.repeat(2));
        let (_, report) = scene.load("vendas/y.csv", text.as_bytes()).await;
        assert_eq!(report.motivo.as_deref(), Some("linhas_ruins_demais"));
        assert!(scene.path(&report.quarentena.arquivo.unwrap()).exists());
        assert_eq!(scene.rows().await, (0, 0, 0));
        let text = format!("{HEADER}{}{}", good.repeat(18), bad.repeat(2));
        let (load, _) = scene.load("vendas/y.csv", text.as_bytes()).await;
        assert_eq!(load.status, LoadStatus::Loaded);
        for ignored in ["vendas/_SUCCESS", "vendas/.a.crc", "vendas/2026/"] {
            assert_eq!(
                load_sales::load(&scene.parts, BUCKET, ignored)
                    .await
                    .unwrap(),
                None
            );
        }
    }
}

#[tokio::test]
async fn repeated_lines_are_dropped_where_that_is_set() {
    for mut scene in Scene::everywhere().await {
        scene.parts.settings.repeated_lines = lake::RepeatedLines::Dropped;
        let line = "1,a,2,39.90,2026-11-20,SP,casa\n";
        let other = "1,a,2,39.9,2026-11-20,SP,casa\n";
        let text = format!("{HEADER}{}{other}", line.repeat(40));
        let (load, report) = scene.load("vendas/a.csv", text.as_bytes()).await;
        assert_eq!((report.linhas_repetidas, report.linhas_no_lago), (39, 2));
        assert_eq!((report.quantidade, report.receita.as_str()), (4, "159.60"));
        let sums = load.counts.sums;
        assert_eq!((sums.quantity, sums.revenue_centavos), (4, 15_960));
        assert_eq!(scene.rows().await, (2, 0, 1));
    }
}

#[tokio::test]
async fn regions_and_categories_that_a_file_lacks_come_from_the_shop() {
    for scene in Scene::everywhere().await {
        let statements = [
            "INSERT INTO customers (customer_id, version, deleted, region, registered_ms, \
             updated_ms) VALUES ('c1', 1, 0, 'BA', 0, 0)",
            "INSERT INTO purchases (order_id, customer_id, status, updated_ms) \
             VALUES ('p1500', 'c1', 'pago', 0)",
            "INSERT INTO products (product_id, category, updated_ms) VALUES ('x', 'casa', 0)",
        ];
        for sql in statements {
            let sent = scene
                .parts
                .store
                .transact(async |tx: &sql_store::Tx| tx.execute(sql, Vec::new()).await);
            sent.await.unwrap();
        }
        let mut text = "id_pedido,id_produto,quantidade,preco,data\n".to_owned();
        for order in 0..2_500 {
            text.push_str(&format!("p{order},x,1,1,2026-11-20\n"));
        }
        let (load, _) = scene.load("vendas/a.csv", text.as_bytes()).await;
        assert_eq!(load.counts.kept, 2_500);
        let snapshot = newest_snapshot(&scene.parts.store).await.unwrap().unwrap();
        let files = files_at(&scene.parts.store, Table::Sales, snapshot.id)
            .await
            .unwrap();
        assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 2_500);
    }
}

#[tokio::test]
async fn a_load_that_slow_files_kept_beyond_its_time_goes_on_with_the_next_event() {
    for mut scene in Scene::everywhere().await {
        let mut text = HEADER.to_owned();
        for order in 0..70_000 {
            text.push_str(&format!("p{order},x,1,1,2026-11-20,,\n"));
        }
        fs::write(scene.path("vendas/a.csv"), &text).unwrap();
        scene.parts.deadline = now().plus_millis(119_000);
        let late = load(&scene.parts, BUCKET, "vendas/a.csv").await;
        assert!(matches!(late, Err(LoadError::OutOfTime)), "{late:?}");
        scene.parts.deadline = now().plus_millis(900_000);
        let again = load(&scene.parts, BUCKET, "vendas/a.csv").await.unwrap();
        assert_eq!(again.unwrap().status, LoadStatus::Loaded);
        assert_eq!(scene.rows().await.0, 70_000);
        // Few lines are read at once, but no file of the lake is begun shortly before the end.
        let one = format!("{HEADER}p1,x,2,1,2026-11-20,,\n");
        fs::write(scene.path("vendas/b.csv"), one).unwrap();
        scene.parts.deadline = now().plus_millis(59_000);
        let late = load(&scene.parts, BUCKET, "vendas/b.csv").await;
        assert!(matches!(late, Err(LoadError::OutOfTime)), "{late:?}");
    }
}

#[tokio::test]
async fn what_replaces_more_of_the_lake_than_there_is_time_for_is_refused_with_advice() {
    for mut scene in Scene::everywhere().await {
        let mut text = HEADER.to_owned();
        for order in 0..1_000 {
            text.push_str(&format!("p{order},x,1,1,2026-11-20,,\n"));
        }
        let (load, _) = scene.load("vendas/a.csv", text.as_bytes()).await;
        assert_eq!(load.status, LoadStatus::Loaded);
        // Looking up one file costs 100 ms by the estimate, each row written anew 7 µs.
        scene.parts.settings.bounds.most_work_us = 106_000;
        let new = format!("{HEADER}p1000,x,1,1,2026-11-20,,\n");
        let (load, _) = scene.load("vendas/b.csv", new.as_bytes()).await;
        assert_eq!(load.status, LoadStatus::Loaded, "it takes nothing's place");
        let old = format!("{HEADER}p7,x,5,1,2026-11-20,,\n");
        let (load, report) = scene.load("vendas/c.csv", old.as_bytes()).await;
        assert_eq!(load.status, LoadStatus::Refused);
        assert_eq!(report.motivo.as_deref(), Some("reescrita_grande"));
        assert!(report.conselho.unwrap().contains("período"));
        assert_eq!(report.linhas_lidas, 1);
        assert_eq!(scene.rows().await, (1_001, 0, 2));
    }
}
