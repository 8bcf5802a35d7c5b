//! JSON log lines. What may be logged is an allow-list of field names; everything else is redacted,
//! and so is what other crates say, since they don't know what is personal.

use std::{fmt::Write, io::Write as _};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry};

use crate::{Invocation, clock};

/// Fields whose values may stand in a log: ids, codes, counts and times, never a person.
const ALLOWED: [&str; 27] = [
    "applied",
    "code",
    "count",
    "counts",
    "date",
    "done",
    "error",
    "event_id",
    "event_type",
    "field",
    "file.name",
    "invoked_function",
    "job",
    "load",
    "message_id",
    "order_id",
    "place",
    "problem",
    "reason",
    "referral_id",
    "refused",
    "route",
    "status",
    "suspicion",
    "table",
    "unopened",
    "version",
];
const REDACTED: &str = "(redacted)";

tokio::task_local! {
    static REQUEST: RequestIds;
}

/// Ids that stand in each line of an invocation.
#[derive(Debug, Clone)]
pub(crate) struct RequestIds {
    request_id: String,
    trace_id: Option<String>,
}

impl RequestIds {
    pub(crate) fn of(invocation: &Invocation) -> Self {
        Self {
            request_id: invocation.request_id.clone(),
            trace_id: invocation.trace_id.clone(),
        }
    }
}

pub(crate) async fn with_request<F: Future>(ids: RequestIds, work: F) -> F::Output {
    REQUEST.scope(ids, work).await
}

/// Lines go to standard output, where Lambda takes them; `LOG_LEVEL` (default info) is the least
/// level of our own crates, other crates speak from `warn` on.
pub fn start(function: &'static str) {
    let level = std::env::var("LOG_LEVEL")
        .ok()
        .and_then(|text| text.parse().ok());
    let layer = JsonLines {
        function,
        level: level.unwrap_or(LevelFilter::INFO),
        write: print_line,
    };
    // A second start in one process (tests) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(registry().with(layer));
}

/// One write a line, so that lines of several threads don't mix. A closed pipe loses the line.
pub(crate) fn print_line(line: &str) {
    let _ = std::io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}

struct JsonLines {
    function: &'static str,
    level: LevelFilter,
    write: fn(&str),
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let limit = if is_ours(metadata.target()) {
            self.level
        } else {
            LevelFilter::WARN
        };
        *metadata.level() <= limit && !metadata.is_span()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.max(LevelFilter::WARN))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        (self.write)(&self.line(event));
    }
}

impl JsonLines {
    fn line(&self, event: &Event<'_>) -> String {
        let metadata = event.metadata();
        let mut fields = Fields {
            ours: is_ours(metadata.target()),
            values: Map::new(),
        };
        fields
            .values
            .insert("time".to_owned(), clock::now().to_string().into());
        fields
            .values
            .insert("level".to_owned(), level_name(*metadata.level()).into());
        fields
            .values
            .insert("function".to_owned(), self.function.into());
        if !fields.ours {
            fields
                .values
                .insert("target".to_owned(), metadata.target().into());
        }
        let _ = REQUEST.try_with(|ids| {
            fields
                .values
                .insert("request_id".to_owned(), ids.request_id.clone().into());
            if let Some(trace_id) = &ids.trace_id {
                fields
                    .values
                    .insert("trace_id".to_owned(), trace_id.clone().into());
            }
        });
        event.record(&mut fields);
        Value::Object(fields.values).to_string()
    }
}

/// Our crates carry no version in their names and none of the prefixes of those below.
fn is_ours(target: &str) -> bool {
    const OTHERS: [&str; 16] = [
        "aws_",
        "h2",
        "hyper",
        "lambda_runtime",
        "librdkafka",
        "log",
        "mio",
        "rdkafka",
        "reqwest",
        "rustls",
        "sea_orm",
        "sea_query",
        "sqlx",
        "tokio",
        "tower",
        "want",
    ];
    !OTHERS.iter().any(|prefix| target.starts_with(prefix))
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct Fields {
    ours: bool,
    values: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let allowed = self.ours && (field.name() == "message" || ALLOWED.contains(&field.name()));
        let shown = if allowed { value } else { REDACTED.into() };
        self.values.insert(field.name().to_owned(), shown);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.put(field, text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, collections::BTreeSet, path::Path};

    thread_local! {
        static LINES: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    }

    fn capture(line: &str) {
        LINES.with_borrow_mut(|lines| lines.push(serde_json::from_str(line).unwrap()));
    }

    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let layer = JsonLines {
            function: "test",
            level: LevelFilter::INFO,
            write: capture,
        };
        tracing::subscriber::with_default(registry().with(layer), work);
        LINES.take()
    }

    #[test]
    fn only_allowed_fields_of_our_own_crates_are_shown() {
        let lines = logged(|| {
            tracing::info!(
                order_id = "p1",
                email = "ana@example.com",
                "purchase refused"
            );
            tracing::warn!(target: "sqlx::query", order_id = "p1", "Duplicate entry 'ana'");
            tracing::debug!("below the level");
        });
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "purchase refused");
        assert_eq!(
            (&lines[0]["order_id"], &lines[0]["email"]),
            (&"p1".into(), &REDACTED.into())
        );
        assert_eq!(
            (&lines[1]["order_id"], &lines[1]["message"]),
            (&REDACTED.into(), &REDACTED.into())
        );
    }

    /// The deployed sources below a folder, each without its unit tests.
    fn sources(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(sources(&path));
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let deployed = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
                found.push(deployed.to_owned());
            }
        }
        found
    }

    /// The arguments of a macro call whose opening parenthesis was just read.
    fn arguments(call: &str) -> Vec<String> {
        let mut arguments = vec![String::new()];
        let (mut depth, mut in_text, mut escaped) = (0, false, false);
        for letter in call.chars() {
            let in_code = !in_text;
            match letter {
                '"' if !escaped => in_text = in_code,
                '(' | '[' | '{' if in_code => depth += 1,
                ')' if in_code && depth == 0 => return arguments,
                ')' | ']' | '}' if in_code => depth -= 1,
                ',' if in_code && depth == 0 => {
                    arguments.push(String::new());
                    continue;
                }
                _ => {}
            }
            escaped = letter == '\\' && !escaped;
            arguments.last_mut().unwrap().push(letter);
        }
        panic!("a call without an end: {call}");
    }

    /// The names of the fields that a source logs.
    fn logged_fields(source: &str) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        for level in ["trace", "debug", "info", "warn", "error"] {
            for call in source.split(&format!("tracing::{level}!(")).skip(1) {
                for argument in arguments(call) {
                    let argument = argument.trim();
                    if argument.starts_with('"') {
                        break; // the message; what it is made of may follow
                    }
                    let name = argument.split(['=', ':']).next().unwrap();
                    let name = name.trim().trim_start_matches(['%', '?']);
                    if !matches!(name, "" | "target" | "parent") {
                        fields.insert(name.to_owned());
                    }
                }
            }
        }
        fields
    }

    #[test]
    fn every_form_of_a_field_is_read() {
        let source = r#"tracing::info!(target: "a", order.id = id(1, ")"), %reason, "x {}", y);
            tracing::warn!(?counts, route, "no, not this");"#;
        let expected = ["counts", "order.id", "reason", "route"].map(str::to_owned);
        assert_eq!(logged_fields(source), BTreeSet::from(expected));
    }

    #[test]
    fn what_is_logged_and_what_is_allowed_are_the_same_names() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut logged = BTreeSet::new();
        for folder in ["functions", "services", "shared"] {
            for source in sources(&root.join(folder)) {
                logged.extend(logged_fields(&source));
            }
        }
        let allowed = ALLOWED.map(str::to_owned);
        assert_eq!(logged, BTreeSet::from(allowed));
    }
}
