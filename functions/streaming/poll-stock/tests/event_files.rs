//! Every event file of poll-stock, against a warehouse's API of this test's own.
#![expect(
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use contracts::{collect::STOCK_TOPIC, envelope::Message};
use domain::time::UtcMillis;
use event_door::Door;
use lambda_kit::{
    Invocation,
    schedule::{Handler, read},
};
use poll_stock::{BadSettings, MOST_PAGES, PollStock, Settings, StockApi};
use queues::{EmbeddedQueues, QueueDefinition, Queues, embedded_queue_url};
use serde_json::{Value, json};
use sql_store::Store;
use testkit::{TestDatabase, databases, event, event_cases};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const FUNCTION: &str = "poll-stock";
const POLL: &str = "accepted-scheduled";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

/// Status, further header lines, body.
type Answer = (u16, String, String);

fn page(items: Value, next: Option<&str>) -> Answer {
    let body = json!({"itens": items, "proximo": next});
    (200, String::new(), body.to_string())
}

fn status(status: u16, header: &str) -> Answer {
    (status, header.to_owned(), String::new())
}

fn level(product: &str, units: i64) -> Value {
    json!({"id_produto": product, "nivel_estoque": units,
        "ultima_atualizacao": "2026-11-20T11:00:00Z", "deposito": "SP"})
}

/// Answers requests one after the other, then repeats the last answer.
struct Warehouse {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Warehouse {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/niveis?loja=1", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(socket.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                seen.lock().unwrap().push(request);
                let (status, header, body) = answers.get(number).or(answers.last()).unwrap();
                let body = body.replace("<n>", &number.to_string());
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\
                     {header}\r\n"
                );
                // A client that has seen enough closes early.
                let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { url, requests }
    }

    /// What was asked, without the host.
    fn asked(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let lines = requests.iter().map(|request| {
            assert!(request.contains("authorization: Bearer senha\r\n"));
            request.split(' ').nth(1).unwrap().to_owned()
        });
        lines.collect()
    }
}

struct Scene {
    store: Store,
    door: Door,
    since: Option<String>,
    queues: EmbeddedQueues,
    warehouse: Warehouse,
    _folder: tempfile::TempDir,
    _database: TestDatabase,
}

impl Scene {
    async fn on(database: TestDatabase, since: Option<&str>, answers: Vec<Answer>) -> Self {
        let store = Store::open(database.url()).await.unwrap();
        sql_store::migrate::migrate(&store, now()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("filas.sqlite");
        let queues = EmbeddedQueues::open(&file).await.unwrap();
        let queue = QueueDefinition::new("Estoque");
        queues.define(&[queue]).await.unwrap();
        let warehouse = Warehouse::start(answers).await;
        let door = Door::Queues {
            queues: Queues::Embedded(queues.clone()),
            urls: [(STOCK_TOPIC, embedded_queue_url("Estoque"))].into(),
        };
        Self {
            store,
            door,
            since: since.map(str::to_owned),
            queues,
            warehouse,
            _folder: folder,
            _database: database,
        }
    }

    async fn poll(&self, case: &str) -> Result<Value, String> {
        let run = read(&event(FUNCTION, case)).map_err(|failed| failed.code)?;
        let invocation = Invocation {
            deadline: now().plus_millis(120_000),
            ..Invocation::at(now())
        };
        let api = StockApi::new(Settings {
            url: self.warehouse.url.clone(),
            token: "senha".to_owned(),
            since_parameter: self.since.clone(),
        });
        let (store, door) = (self.store.clone(), self.door.clone());
        let handler = PollStock::new(store, api.unwrap(), door, now);
        let report = handler.handle(run, &invocation).await;
        let report = report.map_err(|failed| failed.code)?;
        Ok(serde_json::to_value(report).unwrap())
    }

    /// Product and level of all that went on.
    async fn sent(&self) -> Vec<(String, i64)> {
        let url = embedded_queue_url("Estoque");
        let messages = self.queues.peek(&url, 10_000).await.unwrap();
        let levels = messages.iter().map(|message| {
            let message = Message::open(&message.body).unwrap();
            assert_eq!(message.coordinates.unwrap().topic, STOCK_TOPIC);
            let product = message.fields.text("id_produto").unwrap().to_owned();
            let units = message.fields.optional_integer("nivel_estoque");
            (product, units.unwrap().unwrap())
        });
        levels.collect()
    }
}

#[tokio::test]
async fn every_page_goes_on_and_each_level_is_judged_alone() {
    let cases = [POLL, "refused-without-date"];
    assert_eq!(event_cases(FUNCTION), cases);
    for database in databases().await {
        let bad = json!({"id_produto": "p3", "nivel_estoque": "muitos"});
        let last = json!([level("p4", -1)]).to_string();
        let link = "Link: </niveis?pagina=3>; rel=\"next\"\r\n".to_owned();
        let answers = vec![
            page(json!([level("p1", 5), bad]), Some("a&b")),
            (200, link, json!([level("p2", 7)]).to_string()),
            (200, String::new(), last),
        ];
        let scene = Scene::on(database, None, answers).await;
        let report = scene.poll(POLL).await.unwrap();
        let counts = json!({"paginas": 3, "aceitos": 3, "recusados": 1});
        assert_eq!(report["contagens"], counts);
        assert_eq!(
            scene.warehouse.asked(),
            [
                "/niveis?loja=1",
                "/niveis?loja=1&cursor=a%26b",
                "/niveis?pagina=3"
            ]
        );
        let expected = [("p1", 5), ("p2", 7), ("p4", -1)];
        assert_eq!(
            scene.sent().await,
            expected.map(|(id, units)| (id.to_owned(), units))
        );
        let refused = scene.poll(cases[1]).await.unwrap_err();
        assert!(refused.contains("horario"), "{refused}");
    }
}

#[tokio::test]
async fn the_next_poll_asks_for_what_changed_since_the_last_that_brought_everything() {
    for database in databases().await {
        let answers = vec![
            page(json!([]), None),
            page(json!([level("p1", 1)]), Some("2")),
            status(404, ""),
            page(json!([]), None),
        ];
        let scene = Scene::on(database, Some("alterado_desde"), answers).await;
        assert_eq!(scene.poll(POLL).await.unwrap()["situacao"], "feito");
        assert_eq!(scene.poll(POLL).await, Err("stock_api_failed".to_owned()));
        assert_eq!(scene.poll(POLL).await.unwrap()["situacao"], "feito");
        let since = "alterado_desde=2026-11-20T11%3A55%3A00.000Z";
        assert_eq!(
            scene.warehouse.asked(),
            [
                "/niveis?loja=1".to_owned(),
                format!("/niveis?loja=1&{since}"),
                format!("/niveis?loja=1&{since}&cursor=2"),
                format!("/niveis?loja=1&{since}"),
            ]
        );
    }
}

#[tokio::test]
async fn what_passes_is_asked_again_after_the_time_that_the_api_names() {
    let database = databases().await.remove(0);
    let answers = vec![
        status(503, ""),
        status(429, "Retry-After: 1\r\n"),
        page(json!([level("p1", 1)]), None),
    ];
    let scene = Scene::on(database, None, answers).await;
    let started = Instant::now();
    assert_eq!(scene.poll(POLL).await.unwrap()["contagens"]["aceitos"], 1);
    assert!(started.elapsed().as_millis() >= 1_000);
    assert_eq!(scene.warehouse.asked().len(), 3);
}

#[tokio::test]
async fn what_does_not_pass_ends_the_poll_at_once() {
    let links = |to: &str| format!("Link: <{to}>; rel=next\r\n");
    let full = |header: String, body: &str| (200, header, body.to_owned());
    let cases = [
        (status(401, ""), "stock_api_refuses_the_token"),
        (status(302, ""), "stock_api_failed"),
        (status(503, "Retry-After: 3600\r\n"), "stock_api_failed"),
        (full(String::new(), "<html>"), "stock_api_unreadable"),
        (
            full(String::new(), &" ".repeat(5_000_000)),
            "stock_api_answers_too_much",
        ),
        (
            full(links("https://outro.example/"), "[]"),
            "stock_api_links_elsewhere",
        ),
        (
            full(links("/niveis?loja=1"), "[]"),
            "stock_api_repeats_a_page",
        ),
    ];
    let answers = cases.iter().map(|(answer, _)| answer.clone()).collect();
    let scene = Scene::on(databases().await.remove(0), None, answers).await;
    for (nth, (_, code)) in cases.iter().enumerate() {
        assert_eq!(scene.poll(POLL).await, Err((*code).to_owned()));
        assert_eq!(scene.warehouse.asked().len(), nth + 1, "{code}");
    }
}

#[tokio::test]
async fn an_api_that_never_ends_is_left_after_a_thousand_pages() {
    let endless = page(json!([]), Some("<n>"));
    let scene = Scene::on(databases().await.remove(0), None, vec![endless]).await;
    assert_eq!(
        scene.poll(POLL).await,
        Err("stock_api_never_ends".to_owned())
    );
    let pages = usize::try_from(MOST_PAGES).unwrap();
    assert_eq!(scene.warehouse.asked().len(), pages);
}

#[tokio::test]
async fn levels_that_no_queue_took_come_again_with_the_next_poll() {
    let answers = vec![page(json!([level("p1", 1)]), None)];
    let mut scene = Scene::on(databases().await.remove(0), Some("desde"), answers).await;
    let missing = Door::Queues {
        queues: Queues::Embedded(scene.queues.clone()),
        urls: [(STOCK_TOPIC, embedded_queue_url("Falta"))].into(),
    };
    let door = std::mem::replace(&mut scene.door, missing);
    assert_eq!(scene.poll(POLL).await, Err("stock_not_sent".to_owned()));
    scene.door = door;
    scene.poll(POLL).await.unwrap();
    assert_eq!(scene.sent().await.len(), 1);
    let asked = scene.warehouse.asked();
    assert_eq!(asked, ["/niveis?loja=1"; 2], "nothing was noted as brought");
}

#[test]
fn the_token_is_not_sent_in_the_clear() {
    let made = |url: &str| {
        let api = StockApi::new(Settings {
            url: url.to_owned(),
            token: "senha".to_owned(),
            since_parameter: None,
        });
        api.err()
    };
    for url in [
        "http://deposito.example/",
        "http://localhost/",
        "ftp://127.0.0.1/",
        "x",
    ] {
        assert_eq!(made(url), Some(BadSettings::Url), "{url}");
    }
    assert_eq!(made("https://deposito.example/niveis"), None);
}
