//! Every event file of check-data-quality, on every database and a lake of its own.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{collections::BTreeMap, io::Read};

use check_data_quality::{CheckDataQuality, Plan};
use domain::{
    identity::{CustomerId, OrderId},
    jobs::SALES_EXPORT,
    lake::{DataFile, SnapshotId, Table},
    mgm::referral::Order,
    money::Centavos,
    orders::{OrderItem, OrderStatus},
    sales::SaleLine,
    time::UtcMillis,
};
use files::{FileAddress, Files, FolderFiles};
use lake::{Lake, OrderFate, RepeatedLines, SortedOrders, SortedSales};
use lambda_kit::{
    Invocation, InvocationFailed,
    schedule::{Handler, read},
};
use serde_json::{Value, json};
use sql_store::{
    Store, StoreError, Tx, jobs,
    lake::{self as catalogue, Change},
    mgm::purchases::record_order,
    quality::{self, CheckResult},
    sales_export::{Export, note_export},
    sales_loads::{self, FileVersion, LoadCounts, Report},
    values,
};
use testkit::{TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "check-data-quality";
const BUCKET: &str = "feira-vendas";
const EXPORT: &str = "vendas/exportadas/2026-11-19.csv";
const HEADER: &str = "id_pedido,id_produto,quantidade,preco,data,regiao,categoria\n";

/// 03:00 on 2026-11-20 in São Paulo: the run is for the day before.
fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T06:00:00Z").unwrap()
}

fn noon(days_before: u32) -> UtcMillis {
    let noon = UtcMillis::parse("2026-11-19T12:00:00-03:00").unwrap();
    noon.minus_days(days_before)
}

/// When loads end: three hours ago.
fn ended() -> UtcMillis {
    now().plus_millis(-3 * 3_600_000)
}

fn version(key: &str, at: UtcMillis) -> FileVersion {
    FileVersion {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        modified_ms: at.get(),
        etag: "e".to_owned(),
        size_bytes: 1,
    }
}

struct Scene {
    function: CheckDataQuality,
    store: Store,
    lake: Lake,
    folder: tempfile::TempDir,
}

/// Order, product, quantity, centavos, region, days before the date.
type Line = (&'static str, &'static str, i32, i64, &'static str, u32);

const SOUND: [Line; 3] = [
    ("p1", "a", 2, 1_050, "SP", 0),
    ("p1", "b", 1, 990, "SP", 0),
    ("p2", "a", 1, 1_050, "RJ", 3),
];

impl Scene {
    async fn new(database: &TestDatabase) -> Self {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let lake = Lake::new(files, BUCKET);
        let run = jobs::start(&store, &SALES_EXPORT, noon(0).day(), false, "t", now()).await;
        run.unwrap().finish(&store, now()).await.unwrap();
        let plan = Plan::own().unwrap();
        Self {
            function: CheckDataQuality::new(store.clone(), lake.clone(), plan, now),
            store,
            lake,
            folder,
        }
    }

    /// Brings lines into the lake, as a load of number `number`.
    async fn load(&self, number: i64, lines: &[Line]) -> Vec<DataFile> {
        let key = format!("vendas/{number}.csv");
        self.load_of(number, &key, lines, &[]).await
    }

    /// The same of the file `key`; `without_sale` are orders that have no sale any more.
    async fn load_of(
        &self,
        number: i64,
        key: &str,
        lines: &[Line],
        without_sale: &[&str],
    ) -> Vec<DataFile> {
        let path = self.lake.data_path().unwrap();
        catalogue::register(&self.store, &path, now())
            .await
            .unwrap();
        let mut sales = SortedSales::new(self.folder.path());
        for (fingerprint, (order, product, quantity, centavos, region, days)) in (0..).zip(lines) {
            let line = SaleLine {
                order,
                product,
                quantity: *quantity,
                unit_price: Centavos::new(*centavos).unwrap(),
                sold: noon(*days),
                region,
                category: "livros",
            };
            sales.push(&line, fingerprint).unwrap();
        }
        let sorted = sales.finish().unwrap();
        let mut nobody = SortedOrders::new(self.folder.path());
        for order in without_sale {
            nobody.push(order, number).unwrap();
        }
        let (lake, folder) = (&self.lake, self.folder.path());
        let fate = |_: &str| OrderFate::Ours;
        let kept = RepeatedLines::Kept;
        let written = lake::write(lake, &sorted, number, folder, &fate, nobody, kept);
        let written = written.await.unwrap();
        let base = catalogue::newest_snapshot(&self.store).await.unwrap();
        let base = base.unwrap().id;
        let change = Change {
            added: &written.files,
            ended: &[],
            note: "a test",
        };
        let commit = async |tx: &Tx| catalogue::commit(tx, base, &[], change, now()).await;
        let snapshot: SnapshotId = self.store.transact(commit).await.unwrap();
        self.load_ended(key, ended(), Some(snapshot)).await;
        catalogue::files_at(&self.store, Table::Sales, snapshot)
            .await
            .unwrap()
    }

    /// The ledger's row of a load of a file that was changed at `at`: it made a snapshot, or was
    /// refused.
    async fn load_ended(&self, key: &str, at: UtcMillis, snapshot: Option<SnapshotId>) {
        let file = version(key, at);
        let load = sales_loads::begin(&self.store, &file, at).await.unwrap();
        let report = Report {
            counts: LoadCounts::default(),
            quarantine_key: None,
            json: "{}",
        };
        let Some(snapshot) = snapshot else {
            let refused = sales_loads::refuse(&self.store, load.number, report, at).await;
            return refused.unwrap();
        };
        let finish =
            async |tx: &Tx| sales_loads::finish(tx, load.number, report, snapshot, at).await;
        self.store.transact(finish).await.unwrap();
    }

    /// An order of the date as `pedidos` told it.
    async fn order(&self, id: &str, status: OrderStatus, items: &[(&str, u32, i64)]) {
        let items = items.iter().map(|(product, quantity, centavos)| OrderItem {
            product: (*product).to_owned(),
            quantity: *quantity,
            unit_price: Centavos::new(*centavos).unwrap(),
            category: Some("livros".to_owned()),
        });
        let order = Order {
            id: OrderId::parse(id).unwrap(),
            customer: CustomerId::parse("c1").unwrap(),
            status,
            claim: None,
            total: Some(Centavos::new(1).unwrap()),
            approved: Some(noon(0)),
            ends: None,
            items: items.collect(),
        };
        record_order(&self.store, id, &order, noon(0))
            .await
            .unwrap();
    }

    /// The date's file was exported, and changed at `at`.
    async fn exported(&self, at: UtcMillis) {
        let export = Export {
            sha256: "0".to_owned(),
            lines_written: 1,
            orders_written: 1,
        };
        let (day, file) = (noon(0).day(), version(EXPORT, at));
        note_export(&self.store, day, &export, &file, at)
            .await
            .unwrap();
    }

    async fn put(&self, key: &str, text: &str) {
        let address = FileAddress::new(BUCKET, key).unwrap();
        let (content, replace) = (text.as_bytes().to_vec(), files::Overwrite::Replace);
        let put = self
            .lake
            .files()
            .put(&address, content, "text/csv", replace);
        put.await.unwrap();
    }

    async fn send(&self, case: &str) -> Result<Value, InvocationFailed> {
        let run = read(&event(FUNCTION, case))?;
        let report = self.function.handle(run, &Invocation::at(now())).await?;
        Ok(serde_json::to_value(report).unwrap())
    }

    async fn results(&self) -> BTreeMap<String, CheckResult> {
        let results = quality::of_day(&self.store, Some(noon(0).day())).await;
        let named = results.unwrap().into_iter();
        named
            .map(|result| (result.check_name.clone(), result))
            .collect()
    }

    /// The lines of a check's file of failing keys.
    async fn failing(&self, result: &CheckResult) -> Vec<String> {
        let key = result.failures_key.as_deref().unwrap();
        let address = FileAddress::new(BUCKET, key).unwrap();
        let content = self.lake.files().get(&address, 1_000_000).await.unwrap();
        let mut text = String::new();
        let mut gzip = flate2::read::GzDecoder::new(content.as_slice());
        gzip.read_to_string(&mut text).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn sound_sales_pass_every_check_that_can_be_made() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        scene.load(1, &SOUND).await;
        scene
            .order("p1", OrderStatus::Paid, &[("a", 2, 1_050), ("b", 1, 990)])
            .await;
        scene
            .order("p0", OrderStatus::Refunded, &[("a", 9, 1_050)])
            .await;
        let report = scene.send("accepted-schedule").await.unwrap();
        let label = database.label();
        assert_eq!(report["data"], "2026-11-19", "{label}");
        let counts = json!({"verificacoes_ok": 15, "verificacoes_sem_dados": 1});
        assert_eq!(
            report["contagens"],
            counts,
            "{label}: {:#?}",
            scene.results().await
        );
        let results = scene.results().await;
        assert_eq!(
            results["vendas_volume"].verdict, "sem_dados",
            "{label}: too few days"
        );
        assert_eq!(results["vendas_contra_pedidos"].checked, 2, "{label}");
        assert_eq!(results["vendas_linha_unica"].checked, 3, "{label}");
        assert!(results.values().all(|result| result.failures_key.is_none()));
    }
}

#[tokio::test]
async fn each_wrong_line_is_told_with_its_key() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        scene.load(1, &SOUND).await;
        // The same order once more by another load, a region that is none, a price of nothing.
        scene
            .load(
                2,
                &[
                    ("p1", "a", 5_000, 0, "XX", 0),
                    ("p3", "z", 1, 100, "", 0),
                    ("p4", "a", 1, 1, "XX", 8),
                ],
            )
            .await;
        scene
            .order("p1", OrderStatus::Paid, &[("a", 2, 1_050), ("b", 1, 990)])
            .await;
        scene.order("p9", OrderStatus::Paid, &[("a", 1, 5)]).await;
        let failed = scene.send("accepted-schedule").await.unwrap_err();
        let label = database.label();
        assert_eq!(
            failed.code, "qualidade_reprovada",
            "{label}: a repeated line blocks"
        );
        let results = scene.results().await;
        let of = |name: &str| {
            let result = &results[name];
            (result.verdict.as_str(), result.failures, result.checked)
        };
        assert_eq!(
            of("vendas_linha_unica"),
            ("erro", 1, 5),
            "{label}: p4 is too old"
        );
        assert_eq!(of("vendas_regiao_conhecida"), ("aviso", 1, 4), "{label}");
        assert_eq!(
            of("vendas_regiao_preenchida"),
            ("ok", 1, 5),
            "{label}: tolerated"
        );
        assert_eq!(of("vendas_preco_na_faixa"), ("aviso", 1, 5), "{label}");
        assert_eq!(of("vendas_quantidade_na_faixa"), ("ok", 0, 5), "{label}");
        assert_eq!(of("vendas_produto_conhecido"), ("aviso", 1, 3), "{label}");
        assert_eq!(of("vendas_contra_pedidos"), ("erro", 2, 2), "{label}");
        let region = scene.failing(&results["vendas_regiao_conhecida"]).await;
        assert_eq!(
            region,
            [
                "id_pedido,id_produto,dia,linha,valor",
                "p1,a,2026-11-19,1,XX"
            ]
        );
        let product = scene.failing(&results["vendas_produto_conhecido"]).await;
        assert_eq!(product, ["id_produto,linhas", "z,1"], "{label}");
        let orders = scene.failing(&results["vendas_contra_pedidos"]).await;
        assert_eq!(
            orders[1..],
            ["p1,3,5003,3090,3090", "p9,1,0,5,0"],
            "{label}"
        );
    }
}

#[tokio::test]
async fn before_anything_was_loaded_nothing_is_judged() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        let report = scene.send("accepted-schedule").await.unwrap();
        let counts = json!({"verificacoes_sem_dados": 16});
        assert_eq!(report["contagens"], counts, "{}", database.label());
    }
}

#[tokio::test]
async fn a_file_with_other_columns_is_told_and_not_read() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        let files = scene.load(1, &SOUND).await;
        let totals = scene.lake.totals_address(&files[0].name).unwrap();
        let own = scene.lake.address(Table::Sales, &files[0].name).unwrap();
        let other = scene.lake.files().get(&totals, 1_000_000).await.unwrap();
        let size = other.len();
        let put = scene
            .lake
            .files()
            .put(&own, other, "x", files::Overwrite::Replace);
        put.await.unwrap();
        let resize = async |tx: &Tx| {
            let sql = "UPDATE ducklake_data_file SET file_size_bytes = ?";
            tx.execute(sql, values![i64::try_from(size).unwrap()]).await
        };
        scene
            .store
            .transact::<_, StoreError, _>(resize)
            .await
            .unwrap();
        let failed = scene.send("accepted-schedule").await.unwrap_err();
        let label = database.label();
        assert_eq!(failed.code, "qualidade_reprovada", "{label}");
        let results = scene.results().await;
        let drift = scene.failing(&results["vendas_esquema"]).await;
        assert!(drift[1].contains("id_produto: falta"), "{label}: {drift:?}");
        assert!(
            drift[1].contains("agrupamento: a mais"),
            "{label}: {drift:?}"
        );
        assert_eq!(
            results["vendas_linha_unica"].verdict, "sem_dados",
            "{label}"
        );
    }
}

#[tokio::test]
async fn an_exported_file_that_was_not_loaded_yet_is_waited_for() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        let label = database.label();
        let before = ended().plus_millis(-1_000);
        // What the date had before it was exported again says nothing.
        scene.load_ended(EXPORT, before, Some(SnapshotId(1))).await;
        scene.exported(ended()).await;
        let failed = scene.send("accepted-schedule").await.unwrap_err();
        assert_eq!(failed.code, "carga_pendente", "{label}");
        scene.load_ended(EXPORT, ended(), Some(SnapshotId(1))).await;
        scene.put(EXPORT, HEADER).await;
        let report = scene.send("accepted-schedule").await.unwrap();
        assert_eq!(report["situacao"], "feito", "{label}");
    }
}

#[tokio::test]
async fn an_exported_file_that_was_refused_holds_the_day_back_until_it_is_mended() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        let label = database.label();
        scene.exported(ended()).await;
        scene.load_ended(EXPORT, ended(), None).await;
        let failed = scene.send("accepted-schedule").await.unwrap_err();
        assert_eq!(failed.code, "carga_recusada", "{label}");
        let mended = ended().plus_millis(1_000);
        scene.load_ended(EXPORT, mended, Some(SnapshotId(1))).await;
        scene.put(EXPORT, HEADER).await;
        let report = scene.send("accepted-schedule").await.unwrap();
        assert_eq!(report["situacao"], "feito", "{label}");
    }
}

#[tokio::test]
async fn what_a_companys_query_exported_is_held_against_the_lake_order_by_order() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        let text = format!(
            "{HEADER}q1,a,2,10.50,2026-11-19,SP,livros\nq1,b,1,9.90,2026-11-19,SP,livros\n\
             q2,a,1,10.50,2026-11-19,SP,livros\nq3,a,0,1,2026-11-19,SP,livros\n\
             q4,a,1,1,2026-11-19,SP,livros\nq5,a,1,1,2026-11-19,SP,livros\n\
             q6,a,1,1,2026-11-18,SP,livros\n"
        );
        scene.put(EXPORT, &text).await;
        scene.exported(ended()).await;
        let own = [
            ("q1", "a", 2, 1_050, "SP", 0),
            ("q1", "b", 1, 990, "SP", 0),
            ("q2", "a", 2, 1_050, "SP", 0),
        ];
        scene.load_of(1, EXPORT, &own, &["q3"]).await;
        // A newer file speaks of q4, and says that q5 has no sale.
        let newer = [("q4", "a", 7, 100, "SP", 0)];
        scene.load_of(2, "vendas/novo.csv", &newer, &["q5"]).await;
        scene.send("accepted-schedule").await.unwrap();
        let result = &scene.results().await["vendas_contra_pedidos"];
        let label = database.label();
        assert_eq!(
            (result.verdict.as_str(), result.failures, result.checked),
            ("erro", 2, 4),
            "{label}"
        );
        let failing = scene.failing(result).await;
        assert_eq!(
            failing[1..],
            ["q2,1,2,1050,2100", "q6,1,0,100,0"],
            "{label}"
        );
    }
}

#[tokio::test]
async fn every_refused_event_names_its_field() {
    for database in databases().await {
        let scene = Scene::new(&database).await;
        for case in event_cases(FUNCTION) {
            if case.starts_with("refused-") {
                let field = if case.contains("date") {
                    "data"
                } else {
                    "horario"
                };
                let error = scene.send(&case).await.unwrap_err();
                assert!(error.code.contains(field), "{case}: {}", error.code);
            }
        }
        assert!(scene.send("accepted-date-again").await.is_ok());
    }
}
