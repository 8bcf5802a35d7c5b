//! A stand-in for the company's system that knows which trips are completed: it says yes to all.

use std::sync::Arc;

use create_promoter_vouchers::CompanySystem;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{cutter::Cutter, shop::now};

/// The system while somebody asks it; gone when it is dropped.
pub struct Company {
    url: String,
    serving: JoinHandle<()>,
}

impl Company {
    /// A system that answers on this machine. Each question is a point of `cutter`: the asking
    /// process may die while it waits for the answer.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn open(cutter: Arc<Cutter>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/viagens", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                answer(connection, &cutter).await;
            }
        });
        Self { url, serving }
    }

    /// A client of it.
    ///
    /// # Panics
    /// Never: the address is one of this machine.
    #[must_use]
    pub fn client(&self) -> CompanySystem {
        CompanySystem::new(&self.url, "token").unwrap()
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads one question and answers it. A broken connection is the asker's end.
async fn answer(mut connection: TcpStream, cutter: &Cutter) {
    let mut question = Vec::new();
    let mut part = [0; 4096];
    while !question.windows(4).any(|end| end == b"\r\n\r\n") {
        match connection.read(&mut part).await {
            Ok(read) if read > 0 => question.extend(part.iter().take(read)),
            _ => return,
        }
    }
    if cutter.is_asked() {
        return;
    }
    let question = String::from_utf8_lossy(&question).into_owned();
    let target = question.split(' ').nth(1).unwrap_or_default();
    let asked = target
        .split(['?', '&'])
        .filter_map(|pair| pair.strip_prefix("id_pedido="));
    let trips: Vec<Value> = asked
        .map(|order| json!({"id_pedido": order, "concluido_em": now().to_string()}))
        .collect();
    let body = Value::from(trips).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    // The asker may be dead by now.
    drop(connection.write_all((head + &body).as_bytes()).await);
}
