//! A file that is played in its own time, or faster.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use domain::time::UtcMillis;
use serde_json::{Map, Value};

use super::{EVENTS_TOPIC, MOST_AT_ONCE, STOCK_TOPIC, Written, time, write};
use crate::failure::{Failure, OrFailure};
use crate::instance::now_ms;
use crate::progress::Progress;
use crate::topics::{NewRecord, Topics};

/// Within a long silence it is told so often that it goes on.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// Nobody takes a longer `id_evento` (`contracts::events`).
const LONGEST_EVENT_ID: usize = 120;

/// A line of the file.
struct Line {
    record: Map<String, Value>,
    text: String,
    at: UtcMillis,
}

impl Line {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let record: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| "no JSON object")?;
        let field = time_field(&record);
        let at = record.get(field).and_then(Value::as_str);
        let at = at.and_then(|at| UtcMillis::parse(at).ok());
        let at = at.ok_or(match field {
            "timestamp" => "no timestamp such as 2026-11-20T15:04:05-03:00",
            _ => "no ultima_atualizacao such as 2026-11-20T15:04:05-03:00",
        })?;
        Ok(Self {
            record,
            text: text.to_owned(),
            at,
        })
    }

    fn is_level(&self) -> bool {
        self.record.contains_key("nivel_estoque")
    }

    fn kind(&self) -> &str {
        let kind = self.record.get("tipo_evento").and_then(Value::as_str);
        kind.unwrap_or_default()
    }

    /// Moves it to another time, as an event of its own: the same id may not say something else.
    fn shift(&mut self, at_ms: i64, run: i64) -> Result<(), Failure> {
        let field = time_field(&self.record);
        self.record.insert(field.to_owned(), time(at_ms)?.into());
        let id = self.record.get("id_evento").and_then(Value::as_str);
        let id = id.map(|id| format!("{id}-{run}"));
        if let Some(id) = id.filter(|id| id.len() <= LONGEST_EVENT_ID) {
            self.record.insert("id_evento".to_owned(), id.into());
        }
        self.text = Value::Object(self.record.clone()).to_string();
        Ok(())
    }

    fn into_record(self) -> NewRecord {
        let key = match self.is_level() {
            true => "id_produto",
            false => "id_usuario",
        };
        let key = self.record.get(key).map(|key| match key {
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        });
        NewRecord {
            key,
            value: Some(self.text.into_bytes()),
            headers: Vec::new(),
        }
    }
}

fn time_field(record: &Map<String, Value>) -> &'static str {
    match record.contains_key("nivel_estoque") {
        true => "ultima_atualizacao",
        false => "timestamp",
    }
}

/// When a line is due, and which time it gets.
struct Timetable {
    first: UtcMillis,
    speed: u32,
}

impl Timetable {
    /// Milliseconds after the beginning; a line that is older than the first one is due at once.
    fn due_ms(&self, at: UtcMillis) -> i64 {
        (at.get() - self.first.get()).max(0) / i64::from(self.speed)
    }
}

/// What is gathered until it is written.
#[derive(Default)]
struct Gathered {
    events: Vec<NewRecord>,
    levels: Vec<NewRecord>,
}

impl Gathered {
    fn len(&self) -> usize {
        self.events.len() + self.levels.len()
    }

    async fn write(&mut self, topics: &Topics, step: &Progress) -> Result<(), Failure> {
        write(topics, EVENTS_TOPIC, &self.events).await?;
        write(topics, STOCK_TOPIC, &self.levels).await?;
        step.advance(self.len());
        self.events.clear();
        self.levels.clear();
        Ok(())
    }
}

/// Plays the file, once it is known that each of its lines can be.
pub(super) async fn play(
    topics: &Topics,
    file: &Path,
    speed: u32,
    shift_to_now: bool,
) -> Result<Written, Failure> {
    let (mut length, mut first) = (0, None);
    for line in lines(file)? {
        first = first.or(Some(line?.at));
        length += 1;
    }
    let Some(first) = first else {
        return Err(Failure::mend(format!("{} has no line", file.display())));
    };
    let timetable = Timetable { first, speed };
    let (run, begun) = (now_ms(), Instant::now());
    let step = Progress::begin("lines", length);
    let mut written = Written::default();
    let mut gathered = Gathered::default();
    for line in lines(file)? {
        let mut line = line?;
        let due_ms = timetable.due_ms(line.at);
        let due = begun + Duration::from_millis(due_ms.unsigned_abs());
        if gathered.len() >= MOST_AT_ONCE || due > Instant::now() {
            gathered.write(topics, &step).await?;
            wait_until(due, &step).await;
        }
        if shift_to_now {
            line.shift(run + due_ms, run)?;
        }
        if line.is_level() {
            written.levels += 1;
            gathered.levels.push(line.into_record());
        } else {
            written.count(line.kind());
            gathered.events.push(line.into_record());
        }
    }
    gathered.write(topics, &step).await?;
    step.end();
    Ok(written)
}

async fn wait_until(due: Instant, step: &Progress) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
        step.advance(0);
    }
}

/// The lines that are not blank.
fn lines(file: &Path) -> Result<impl Iterator<Item = Result<Line, Failure>>, Failure> {
    let name = file.display().to_string();
    let opened = File::open(file).or_mend(|| name.clone())?;
    let lines = (1_usize..).zip(BufReader::new(opened).lines());
    let lines = lines.filter(|(_, line)| !line.as_ref().is_ok_and(|line| line.trim().is_empty()));
    Ok(lines.map(move |(number, line)| {
        let place = || format!("{name}, line {number}");
        Line::parse(&line.or_mend(place)?).or_mend(place)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_by_the_speed_and_an_older_one_at_once() {
        let timetable = Timetable {
            first: UtcMillis::new(10_000).unwrap(),
            speed: 4,
        };
        let due = |at| timetable.due_ms(UtcMillis::new(at).unwrap());
        assert_eq!((due(10_000), due(18_000), due(9_000)), (0, 2_000, 0));
    }

    #[test]
    fn a_shifted_line_is_an_event_of_its_own_at_its_new_time() {
        let text = r#"{"id_evento":"e1","id_usuario":7,"timestamp":"2020-01-01T00:00:00"}"#;
        let mut line = Line::parse(text).unwrap();
        line.shift(1_795_186_800_000, 5).unwrap();
        assert_eq!(line.record["timestamp"], "2026-11-20T15:00:00.000Z");
        assert_eq!(line.record["id_evento"], "e1-5");
        let record = line.into_record();
        assert_eq!(record.key.unwrap(), b"7");
        let value: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
        assert_eq!(value["id_evento"], "e1-5");
    }

    #[test]
    fn a_level_has_its_own_time_and_key_and_wrong_lines_are_named() {
        let level =
            r#"{"id_produto":"p","nivel_estoque":3,"ultima_atualizacao":"2020-01-01T00:00:00Z"}"#;
        let line = Line::parse(level).unwrap();
        assert!(line.is_level());
        assert_eq!(line.into_record().key.unwrap(), b"p");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.ndjson");
        std::fs::write(&file, format!("{level}\n\n{{\"timestamp\":\"ontem\"}}\n")).unwrap();
        let wrong = lines(&file).unwrap().nth(1).unwrap().err().unwrap();
        assert!(
            wrong.to_string().contains("line 3: no timestamp"),
            "{wrong}"
        );
    }
}
