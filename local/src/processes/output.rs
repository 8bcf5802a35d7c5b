//! What function processes write: whole into `<state>/logs/<Function>.log`, shortly to the terminal.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::lock;
use crate::terminal::note;

/// Lambda's log tail is so long.
const TAIL_BYTES: usize = 4_096;
/// A line at the terminal is cut after so many characters.
const TERMINAL_CHARS: usize = 300;

/// How much of the functions' output the terminal sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// Nothing.
    Quiet,
    /// Warnings, errors and what is no JSON log line.
    Troubles,
    /// Every line.
    Everything,
}

/// The last bytes that one process wrote.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<VecDeque<u8>>);

impl Tail {
    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = lock(&self.0).iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn push(&self, line: &str) {
        let mut bytes = lock(&self.0);
        bytes.extend(line.bytes());
        bytes.push_back(b'\n');
        let surplus = bytes.len().saturating_sub(TAIL_BYTES);
        bytes.drain(..surplus);
    }
}

/// One function's log file.
pub(super) struct FunctionLog {
    function: String,
    file: Mutex<Option<File>>,
    terminal: Terminal,
}

impl FunctionLog {
    /// Opens (or makes) the file; a log that cannot be written never stops a function.
    pub(super) fn new(state_dir: &Path, function: &str, terminal: Terminal) -> Self {
        let folder = state_dir.join("logs");
        let _exists = std::fs::create_dir_all(&folder);
        let path = folder.join(format!("{function}.log"));
        let file = OpenOptions::new().create(true).append(true).open(path).ok();
        Self {
            function: function.to_owned(),
            file: Mutex::new(file),
            terminal,
        }
    }

    /// Copies a stream of the process to the log until it ends.
    pub(super) fn follow<R>(self: &Arc<Self>, process_id: &str, stream: Option<R>, tail: &Arc<Tail>)
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let Some(stream) = stream else { return };
        let (log, tail, process_id) = (Arc::clone(self), Arc::clone(tail), process_id.to_owned());
        tokio::spawn(async move {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8_lossy(&line);
                log.write(&process_id, text.trim_end(), &tail);
                line.clear();
            }
        });
    }

    fn write(&self, process_id: &str, line: &str, tail: &Tail) {
        if line.is_empty() {
            return;
        }
        tail.push(line);
        if let Some(file) = lock(&self.file).as_mut() {
            let _disk_full = writeln!(file, "{line}");
        }
        if let Some(short) = for_terminal(self.terminal, line) {
            let process = process_id.get(..4).unwrap_or(process_id);
            note(&format!("[{} {process}] {short}", self.function));
        }
    }
}

/// The short form of a log line, or nothing when the terminal should not see it.
fn for_terminal(terminal: Terminal, line: &str) -> Option<String> {
    let parsed: Option<Value> = serde_json::from_str(line).ok();
    let level = parsed
        .as_ref()
        .and_then(|json| json.get("level"))
        .and_then(Value::as_str);
    let is_metric = parsed
        .as_ref()
        .is_some_and(|json| json.get("_aws").is_some());
    let is_trouble = match level {
        Some(level) => matches!(level.to_ascii_uppercase().as_str(), "WARN" | "ERROR"),
        None => !is_metric,
    };
    let is_shown = match terminal {
        Terminal::Quiet => false,
        Terminal::Troubles => is_trouble,
        Terminal::Everything => true,
    };
    is_shown.then(|| {
        let mut short: String = line.chars().take(TERMINAL_CHARS).collect();
        if short.len() < line.len() {
            short.push('…');
        }
        short
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_sees_troubles_and_no_metrics() {
        let show = |line| for_terminal(Terminal::Troubles, line);
        assert!(show(r#"{"level":"ERROR","message":"x"}"#).is_some());
        assert!(show(r#"{"level":"INFO","message":"x"}"#).is_none());
        assert!(show(r#"{"_aws":{}}"#).is_none());
        assert!(show("thread main panicked").is_some());
        assert!(for_terminal(Terminal::Quiet, "thread main panicked").is_none());
    }

    #[test]
    fn the_tail_keeps_the_last_4_kilobytes() {
        let tail = Tail::default();
        for number in 0..2_000 {
            tail.push(&format!("line {number}"));
        }
        assert!(tail.text().len() <= TAIL_BYTES);
        assert!(tail.text().ends_with("line 1999\n"));
    }
}
