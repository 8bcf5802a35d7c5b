//! The summary as a first version is written: FastAPI and pandas.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use bench::process_cost;

use crate::Outcome;

/// It is slow: so many requests, after one to warm it.
const REQUESTS: u32 = 5;
const START_LIMIT: Duration = Duration::from_secs(120);

/// What its requests cost.
pub struct Naive {
    rate: f64,
    cpu_ms: f64,
    slowest_ms: f64,
    rss_mib: f64,
}

impl Naive {
    /// Prints it beside ours, which answers `rate` requests a second.
    pub fn tell(&self, rate: f64) {
        println!(
            "\nFastAPI and pandas: {:.3} requests/s, {:.0} CPU ms each, the slowest of {REQUESTS} {:.0} \
             ms, peak RSS {:.0} MiB. Ours are {:.0} × as many.",
            self.rate,
            self.cpu_ms,
            self.slowest_ms,
            self.rss_mib,
            rate / self.rate
        );
    }
}

/// Starts the server and asks it, one request after the other.
pub fn measure(python: &str, scripts: &Path, parquet: &Path) -> Outcome<Naive> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(python);
    command.arg(scripts.join("naive_api.py")).arg(parquet);
    let mut server = command.arg(port.to_string()).spawn()?;
    let asked = ask(port, server.id());
    server.kill()?;
    server.wait()?;
    asked
}

fn ask(port: u16, server: u32) -> Outcome<Naive> {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if begun.elapsed() > START_LIMIT {
            return Err("FastAPI does not start".into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    get(port)?;
    let before = process_cost::of(server)?;
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..REQUESTS {
        let one = Instant::now();
        get(port)?;
        slowest = slowest.max(one.elapsed());
    }
    let took = begun.elapsed();
    let after = process_cost::of(server)?;
    let cpu_micros = after.cpu_micros.saturating_sub(before.cpu_micros);
    Ok(Naive {
        rate: f64::from(REQUESTS) / took.as_secs_f64(),
        cpu_ms: cpu_micros as f64 / 1e3 / f64::from(REQUESTS),
        slowest_ms: slowest.as_secs_f64() * 1e3,
        rss_mib: after.peak_rss_kib as f64 / 1024.0,
    })
}

fn get(port: u16) -> Outcome<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /vendas/resumo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status)?;
    if !status.contains(" 200 ") {
        return Err(format!("FastAPI answered {status}").into());
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok(())
}
