//! What a bridge meets: the Runtime API, which hands it the same batch again and again, Secrets
//! Manager, and an SQS that takes every message after a while.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// How long SQS takes for a request.
pub const SQS_LATENCY: Duration = Duration::from_millis(20);
/// What Lambda gives an invocation.
const TIMEOUT_MS: u128 = 60_000;

/// What one server has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests to SQS.
    pub requests: AtomicU64,
    /// Messages in them.
    pub messages: AtomicU64,
}

/// A server on 127.0.0.1 that lives as long as the process.
pub struct Stub {
    /// `127.0.0.1:<port>`.
    pub address: String,
    /// What came to SQS.
    pub seen: Arc<Seen>,
    /// How long each invocation took, with its answer.
    pub answers: Receiver<(Duration, String)>,
}

struct Server {
    event: Vec<u8>,
    secret: String,
    seen: Arc<Seen>,
    begun: Mutex<Instant>,
}

/// Starts the server.
///
/// # Errors
/// When no port is free.
pub fn start(event: Vec<u8>, secret: String) -> std::io::Result<Stub> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let (sender, answers) = channel();
    let seen = Arc::new(Seen::default());
    let server = Arc::new(Server {
        event,
        secret,
        seen: Arc::clone(&seen),
        begun: Mutex::new(Instant::now()),
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (server, sender) = (Arc::clone(&server), sender.clone());
            thread::spawn(move || serve(&stream, &server, &sender));
        }
    });
    Ok(Stub {
        address,
        seen,
        answers,
    })
}

struct Request {
    path: String,
    target: String,
    body: Vec<u8>,
}

fn serve(
    stream: &TcpStream,
    server: &Server,
    answers: &Sender<(Duration, String)>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    while let Some(request) = read(&mut reader, &mut writer)? {
        if request.path.ends_with("/invocation/next") {
            if let Ok(mut begun) = server.begun.lock() {
                *begun = Instant::now();
            }
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let deadline = now.unwrap_or_default().as_millis() + TIMEOUT_MS;
            let headers = format!(
                "lambda-runtime-aws-request-id: bench\r\nlambda-runtime-deadline-ms: {deadline}\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:1:function:bench\r\n"
            );
            answer(&mut writer, "200 OK", &headers, &server.event)?;
        } else if request.path.contains("/invocation/") {
            let took = server.begun.lock().map(|begun| begun.elapsed());
            let text = String::from_utf8_lossy(&request.body).into_owned();
            if answers.send((took.unwrap_or_default(), text)).is_err() {
                return Ok(());
            }
            answer(&mut writer, "202 Accepted", "", b"{}")?;
        } else if request.target.contains("GetSecretValue") {
            answer(&mut writer, "200 OK", "", server.secret.as_bytes())?;
        } else {
            thread::sleep(SQS_LATENCY);
            let taken = taken(&request, &server.seen);
            answer(&mut writer, "200 OK", "", taken.as_bytes())?;
        }
    }
    Ok(())
}

/// What SQS answers: every entry is taken.
fn taken(request: &Request, seen: &Seen) -> String {
    seen.requests.fetch_add(1, Ordering::Relaxed);
    let one = r#""MessageId":"6ab2ff1d-57c1-4a67-9a2d-d3a3f6a1b111","MD5OfMessageBody":"d41d8cd98f00b204e9800998ecf8427e""#;
    if !request.target.ends_with("Batch") {
        seen.messages.fetch_add(1, Ordering::Relaxed);
        return format!("{{{one}}}");
    }
    let body = String::from_utf8_lossy(&request.body);
    let ids = body
        .split("\"Id\":")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1));
    let entries: Vec<String> = ids.map(|id| format!(r#"{{"Id":"{id}",{one}}}"#)).collect();
    seen.messages
        .fetch_add(entries.len() as u64, Ordering::Relaxed);
    format!(r#"{{"Successful":[{}],"Failed":[]}}"#, entries.join(","))
}

fn read(
    reader: &mut BufReader<TcpStream>,
    writer: &mut TcpStream,
) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut is_chunked, mut target) = (0, false, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim();
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "transfer-encoding" => is_chunked = true,
            "x-amz-target" => value.trim().clone_into(&mut target),
            "expect" => writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    while is_chunked {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let begin = body.len();
        body.resize(begin + size, 0);
        reader.read_exact(body.get_mut(begin..).unwrap_or_default())?;
        reader.read_line(&mut String::new())?;
        is_chunked = size > 0;
    }
    Ok(Some(Request { path, target, body }))
}

fn answer(writer: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    writer.write_all(&[head.as_bytes(), body].concat())
}
