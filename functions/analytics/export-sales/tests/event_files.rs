//! Every event file of export-sales, on every database and a folder; orders and a query.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::{
    identity::{CustomerId, OrderId},
    mgm::referral::Order,
    money::Centavos,
    orders::{OrderItem, OrderStatus},
    time::UtcMillis,
};
use export_sales::{ExportSales, Origin, PostgresQuery};
use files::{FileAddress, Files, FolderFiles};
use lambda_kit::{
    Invocation, InvocationFailed,
    schedule::{Handler, read},
};
use serde_json::{Value, json};
use sql_store::{
    Store, StoreError, Tx, mgm::purchases::record_order, sales_source::SalesQuery, values,
};
use testkit::{TestDatabase, databases, event, event_cases, postgres_schema};
use tokio_postgres::NoTls;
use warehouse::Tls;

const FUNCTION: &str = "export-sales";
const BUCKET: &str = "feira-vendas";

/// 01:30 on 2026-11-20 in São Paulo.
fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T04:30:00Z").unwrap()
}

/// An hour of 2026-11-19.
fn hour(hour: u32) -> UtcMillis {
    UtcMillis::parse(&format!("2026-11-19T{hour:02}:00:00-03:00")).unwrap()
}

struct Scene {
    function: ExportSales,
    store: Store,
    files: Files,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(database: &TestDatabase, query: Option<&str>) -> Self {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = Files::Folder(FolderFiles::open(folder.path()).unwrap());
        let origin = match query {
            None => Origin::Orders,
            Some(query) => Origin::Query(SalesQuery::new(store.clone(), query).unwrap()),
        };
        let bucket = BUCKET.to_owned();
        Self {
            function: ExportSales::new(store.clone(), files.clone(), bucket, origin, now),
            store,
            files,
            _folder: folder,
        }
    }

    /// News of an order; its items are product, quantity and centavos.
    async fn tell(&self, id: &str, status: OrderStatus, items: &[(&str, u32, i64)], at: UtcMillis) {
        let items = items.iter().map(|(product, quantity, centavos)| OrderItem {
            product: (*product).to_owned(),
            quantity: *quantity,
            unit_price: Centavos::new(*centavos).unwrap(),
            category: Some("livros".to_owned()),
        });
        let order = Order {
            id: OrderId::parse(id).unwrap(),
            customer: CustomerId::parse("cliente-1").unwrap(),
            status,
            claim: None,
            total: Some(Centavos::new(1).unwrap()),
            approved: (status == OrderStatus::Paid).then(|| hour(9)),
            ends: None,
            items: items.collect(),
        };
        let message = format!("{id}-{}-{}", status.as_str(), at.get());
        record_order(&self.store, &message, &order, at)
            .await
            .unwrap();
    }

    async fn run(&self, sql: &str) {
        let work = async |tx: &Tx| tx.execute(sql, values![]).await;
        self.store.transact::<_, StoreError, _>(work).await.unwrap();
    }

    async fn send(&self, case: &str) -> Result<Value, InvocationFailed> {
        let run = read(&event(FUNCTION, case))?;
        let report = self.function.handle(run, &Invocation::at(now())).await?;
        Ok(serde_json::to_value(report).unwrap())
    }

    async fn counts(&self, case: &str) -> Value {
        self.send(case).await.unwrap()["contagens"].clone()
    }

    async fn file(&self) -> String {
        let address = FileAddress::new(BUCKET, "vendas/exportadas/2026-11-19.csv").unwrap();
        let content = self.files.get(&address, 100_000).await.unwrap();
        String::from_utf8(content).unwrap()
    }

    async fn written(&self) -> usize {
        let page = self.files.list(BUCKET, "vendas/", None, 9).await.unwrap();
        page.files.len()
    }
}

fn counts(orders: i64, lines: i64, without_items: i64, files: i64) -> Value {
    json!({"pedidos": orders, "linhas": lines, "pedidos_sem_itens": without_items,
        "arquivos_escritos": files})
}

#[tokio::test]
async fn the_days_orders_become_a_file_of_sales_and_void_ones_say_so() {
    for database in databases().await {
        let scene = Scene::new(&database, None).await;
        scene
            .tell(
                "p2",
                OrderStatus::Paid,
                &[("a", 2, 1_050), ("b", 1, 5)],
                hour(10),
            )
            .await;
        scene
            .tell("p1", OrderStatus::Paid, &[("a", 1, 1_000)], hour(11))
            .await;
        scene.tell("p1", OrderStatus::Refunded, &[], hour(12)).await;
        scene
            .tell("p3", OrderStatus::Pending, &[("a", 9, 1_000)], hour(12))
            .await;
        scene.tell("p4", OrderStatus::Paid, &[], hour(12)).await;
        scene
            .tell(
                "p5",
                OrderStatus::Paid,
                &[("a", 7, 1)],
                hour(12).plus_days(1),
            )
            .await;
        let label = database.label();
        let report = scene.send("accepted-schedule").await.unwrap();
        assert_eq!(report["data"], "2026-11-19", "{label}");
        assert_eq!(report["contagens"], counts(2, 3, 1, 1), "{label}");
        let file = "id_pedido,id_produto,quantidade,preco,data,regiao,categoria\n\
            p1,a,0,10.00,2026-11-19T12:00:00.000Z,,\n\
            p2,a,2,10.50,2026-11-19T12:00:00.000Z,,\n\
            p2,b,1,0.05,2026-11-19T12:00:00.000Z,,\n";
        assert_eq!(scene.file().await, file, "{label}");

        // Again, with nothing new: the same file, not written.
        assert_eq!(
            scene.send("accepted-schedule").await.unwrap()["situacao"],
            "ja_feito"
        );
        assert_eq!(
            scene.counts("accepted-date-again").await,
            counts(2, 3, 1, 0),
            "{label}"
        );
        // An order of that day was cancelled since: the same day's file says so now.
        scene.tell("p2", OrderStatus::Cancelled, &[], now()).await;
        assert_eq!(
            scene.counts("accepted-date-again").await,
            counts(2, 3, 1, 1),
            "{label}"
        );
        assert_eq!(scene.file().await.matches(",0,").count(), 3, "{label}");
        // Somebody deleted it: it is written again.
        let address = FileAddress::new(BUCKET, "vendas/exportadas/2026-11-19.csv").unwrap();
        scene.files.delete(&address).await.unwrap();
        assert_eq!(
            scene.counts("accepted-date-again").await,
            counts(2, 3, 1, 1),
            "{label}"
        );
    }
}

#[tokio::test]
async fn lines_are_those_of_the_newest_news_that_told_them() {
    for database in databases().await {
        let scene = Scene::new(&database, None).await;
        scene
            .tell("p1", OrderStatus::Pending, &[("a", 1, 100)], hour(9))
            .await;
        scene
            .tell("p1", OrderStatus::Paid, &[("b", 3, 200)], hour(10))
            .await;
        scene
            .tell("p1", OrderStatus::Completed, &[], hour(11))
            .await;
        scene.send("accepted-schedule").await.unwrap();
        let label = database.label();
        assert!(scene.file().await.contains("\np1,b,3,2.00,"), "{label}");
        assert_eq!(scene.file().await.lines().count(), 2, "{label}");
        let told = sql_store::products::categories(&scene.store, &["a", "b"]).await;
        assert_eq!(told.unwrap().len(), 2, "{label}");
    }
}

#[tokio::test]
async fn a_day_without_orders_writes_nothing() {
    for database in databases().await {
        let scene = Scene::new(&database, None).await;
        assert_eq!(scene.counts("accepted-schedule").await, counts(0, 0, 0, 0));
        assert_eq!(scene.written().await, 0, "{}", database.label());
    }
}

#[tokio::test]
async fn a_companys_own_query_is_read_page_by_page_to_the_same_bytes() {
    const QUERY: &str = "SELECT pedido AS id_pedido, produto AS id_produto, quantidade, preco, \
        dia AS data, uf AS regiao FROM erp WHERE dia = ? AND pedido > ? \
        ORDER BY pedido LIMIT ?";
    for database in databases().await {
        let scene = Scene::new(&database, Some(QUERY)).await;
        scene
            .run(
                "CREATE TABLE erp (pedido VARCHAR(20), produto VARCHAR(20), quantidade INTEGER, \
                  preco VARCHAR(20), dia VARCHAR(10), uf VARCHAR(2))",
            )
            .await;
        scene
            .run("INSERT INTO erp VALUES ('n2','b',1,'10.00','2026-11-19','SP'), \
                  ('n2','a',-1,'10.00','2026-11-19','SP'), ('n1','x, \"y\"',2,'1.5','2026-11-19',NULL), \
                  ('n9','a',1,'1.00','2026-11-18','SP')")
            .await;
        let label = database.label();
        assert_eq!(
            scene.counts("accepted-schedule").await,
            counts(2, 3, 0, 1),
            "{label}"
        );
        let file = "id_pedido,id_produto,quantidade,preco,data,regiao,categoria\n\
            n1,\"x, \"\"y\"\"\",2,1.5,2026-11-19,,\n\
            n2,a,-1,10.00,2026-11-19,SP,\n\
            n2,b,1,10.00,2026-11-19,SP,\n";
        assert_eq!(scene.file().await, file, "{label}");
        // A source that is empty all at once is not believed: nothing is written.
        scene.run("DELETE FROM erp").await;
        let emptied = scene.send("accepted-date-again").await.unwrap_err();
        assert!(emptied.code.starts_with("origem_vazia"), "{label}");
        assert!(emptied.code.contains("aceitar_vazio"), "{label}");
        assert_eq!(scene.file().await, file, "{label}");
        // The company did take the orders back: a file without lines replaces the old one.
        assert_eq!(
            scene.counts("accepted-date-emptied").await,
            counts(0, 0, 0, 1),
            "{label}"
        );
        assert_eq!(scene.file().await.lines().count(), 1, "{label}");
        scene.run("DROP TABLE erp").await;
        let failed = scene.send("accepted-date-again").await.unwrap_err();
        assert_eq!(failed.code, "origem_recusou", "{label}");
    }
}

#[tokio::test]
async fn every_refused_event_says_why_and_writes_nothing() {
    for database in databases().await {
        let scene = Scene::new(&database, None).await;
        scene
            .tell("p1", OrderStatus::Paid, &[("a", 1, 100)], hour(9))
            .await;
        for case in event_cases(FUNCTION) {
            if case.starts_with("refused-") {
                let field = match case.as_str() {
                    "refused-day-not-over" => "dia_nao_terminou",
                    other if other.contains("date") => "data",
                    _ => "horario",
                };
                let error = scene.send(&case).await.unwrap_err();
                assert!(error.code.contains(field), "{case}: {}", error.code);
            }
        }
        assert_eq!(scene.written().await, 0, "{}", database.label());
    }
}

#[tokio::test]
async fn a_companys_postgresql_is_read_too() {
    const QUERY: &str = "SELECT pedido AS id_pedido, produto AS id_produto, quantidade, \
        CAST(preco AS text) AS preco, CAST(dia AS text) AS data FROM erp \
        WHERE dia = CAST(? AS date) AND pedido > ? ORDER BY pedido LIMIT ?";
    let Some(url) = postgres_schema().await else {
        return;
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let rows = "CREATE TABLE erp (pedido text, produto text, quantidade int, preco numeric(9,2), \
        dia date); INSERT INTO erp VALUES ('n1', 'a', 2, 1.5, '2026-11-19'), \
        ('n2', 'b', -1, 10, '2026-11-19'), ('n3', 'a', 1, 1, '2026-11-18')";
    client.batch_execute(rows).await.unwrap();
    for database in databases().await {
        let mut scene = Scene::new(&database, None).await;
        let query = PostgresQuery::open(&url, Tls::Never, QUERY).unwrap();
        let (store, files) = (scene.store.clone(), scene.files.clone());
        let origin = Origin::Postgres(Box::new(query));
        scene.function = ExportSales::new(store, files, BUCKET.to_owned(), origin, now);
        let label = database.label();
        assert_eq!(
            scene.counts("accepted-schedule").await,
            counts(2, 2, 0, 1),
            "{label}"
        );
        let file = "id_pedido,id_produto,quantidade,preco,data,regiao,categoria\n\
            n1,a,2,1.50,2026-11-19,,\nn2,b,-1,10.00,2026-11-19,,\n";
        assert_eq!(scene.file().await, file, "{label}");
    }
    let writes = QUERY.replacen(
        "SELECT pedido",
        "WITH gone AS (DELETE FROM erp) SELECT pedido",
        1,
    );
    for (url, query, code) in [
        (url.as_str(), writes.as_str(), "origem_recusou"),
        (
            "postgresql://a:b@127.0.0.1:1/x",
            QUERY,
            "origem_inacessivel",
        ),
    ] {
        let query = PostgresQuery::open(url, Tls::Never, query).unwrap();
        let failed = query.page(hour(9).day(), "", 10).await.unwrap_err();
        assert_eq!(failed, code);
    }
    assert!(PostgresQuery::open(&url, Tls::Never, "DELETE FROM erp").is_err());
    let roots = Tls::RequiredBy(cold_start::RDS_ROOTS);
    assert!(PostgresQuery::open(&url, roots, QUERY).is_ok());
}
