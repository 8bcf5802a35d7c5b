//! The port to the company's system, against a server of this test's own.
#![cfg(test)]

use std::sync::{Arc, Mutex};

use create_promoter_vouchers::{BadSettings, CompanySystem};
use domain::{
    identity::{CustomerId, OrderId},
    time::UtcMillis,
};
use sql_store::mgm::sweep::{CompletedTrips, EndedTrip, NotTold};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers requests one after the other with these statuses and bodies, then repeats the last.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/viagens?canal=feira",
            listener.local_addr().unwrap()
        );
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(socket.read_u8().await.unwrap());
                }
                seen.lock()
                    .unwrap()
                    .push(String::from_utf8(request).unwrap());
                let (status, body) = answers.get(number).or(answers.last()).unwrap();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\
                     location: http://127.0.0.1:1/\r\n\r\n"
                );
                // A client that has seen enough closes early.
                let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { url, requests }
    }

    fn system(&self) -> CompanySystem {
        CompanySystem::new(&self.url, "senha").unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn trips(count: usize) -> Vec<EndedTrip> {
    let ends = UtcMillis::parse("2026-11-20T12:00:00Z").unwrap();
    let customer = CustomerId::parse("c").unwrap();
    (0..count)
        .map(|number| EndedTrip {
            order: OrderId::parse(format!("p&{number}")).unwrap(),
            customer: customer.clone(),
            ends,
        })
        .collect()
}

fn over(id: &str) -> String {
    format!(r#"[{{"id_pedido":"{id}","concluido_em":"2026-11-20T09:00:00-03:00"}}]"#)
}

async fn told(answers: Vec<(u16, String)>) -> (Result<usize, &'static str>, usize) {
    let server = Server::start(answers).await;
    let answer = server.system().completed(&trips(1)).await;
    let answer = answer
        .map(|trips| trips.len())
        .map_err(|NotTold { code }| code);
    (answer, server.requests().len())
}

#[tokio::test]
async fn it_is_asked_for_fifty_orders_at_a_time_with_its_token() {
    let server = Server::start(vec![(200, over("p&0")), (200, "[]".to_owned())]).await;
    let completed = server.system().completed(&trips(51)).await.unwrap();
    assert_eq!(completed.len(), 1);
    assert_eq!(
        completed[0].1,
        UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].starts_with("GET /viagens?canal=feira&id_pedido=p%260&id_pedido=p%261&"));
    assert!(requests[1].starts_with("GET /viagens?canal=feira&id_pedido=p%2650 HTTP/1.1"));
    assert!(requests[0].contains("authorization: Bearer senha\r\n"));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_told_at_once() {
    let good = (200, over("p&0"));
    let busy = (429, String::new());
    let down = (503, String::new());
    assert_eq!(told(vec![busy, down.clone(), good]).await, (Ok(1), 3));
    assert_eq!(told(vec![down]).await, (Err("completed_trips_failed"), 3));
    for (status, body, code) in [
        (401, String::new(), "completed_trips_refuses_the_token"),
        (404, String::new(), "completed_trips_failed"),
        (302, String::new(), "completed_trips_failed"),
        (200, "<html>".to_owned(), "completed_trips_unreadable"),
        (200, " ".repeat(300_000), "completed_trips_answers_too_much"),
    ] {
        assert_eq!(told(vec![(status, body)]).await, (Err(code), 1), "{status}");
    }
}

#[tokio::test]
async fn a_system_that_is_not_there_is_no_answer() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let system = CompanySystem::new(&format!("http://{nobody}/"), "senha").unwrap();
    let answer = system.completed(&trips(1)).await;
    assert_eq!(
        answer,
        Err(NotTold {
            code: "completed_trips_unreachable"
        })
    );
}

#[test]
fn the_token_is_not_sent_in_the_clear() {
    for url in [
        "http://sistema.example/viagens",
        "ftp://127.0.0.1/",
        "sistema",
        "",
    ] {
        assert_eq!(
            CompanySystem::new(url, "senha").err(),
            Some(BadSettings::Url),
            "{url}"
        );
    }
    assert!(CompanySystem::new("https://sistema.example/viagens", "senha").is_ok());
}
