//! The two servers that a cold start meets: the Runtime API, whose `/next` is the finish line, and
//! Secrets Manager, which answers with the app secret.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Instant,
};

/// A server on 127.0.0.1 that lives as long as the process.
pub struct Stub {
    /// `127.0.0.1:<port>`.
    pub address: String,
    /// When each `/next` arrived.
    pub arrivals: Receiver<Instant>,
}

/// Starts the server; `secret` is what GetSecretValue answers.
///
/// # Errors
/// When no port is free.
pub fn start(secret: String) -> std::io::Result<Stub> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let (sender, arrivals) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (sender, secret) = (sender.clone(), secret.clone());
            thread::spawn(move || serve(stream, &sender, &secret));
        }
    });
    Ok(Stub { address, arrivals })
}

/// `/next` is never answered: the function waits, as a warm one does, until it is ended.
fn serve(stream: TcpStream, arrivals: &Sender<Instant>, secret: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if request.contains("/invocation/next") {
            arrivals.send(Instant::now()).ok()?;
            continue;
        }
        let answer = serde_json::json!({
            "ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:app", "Name": "app",
            "SecretString": secret, "VersionId": "00000000-0000-0000-0000-000000000000",
        })
        .to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        writer.write_all(head.as_bytes()).ok()?;
        writer.write_all(answer.as_bytes()).ok()?;
    }
}
