//! What `cargo local` prints when it is up: what listens where, and what to do next.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrets::DatabaseName;

use crate::bundle::Bundle;
use crate::instance::Instance;

/// The table, with a final line break.
pub fn started(instance: &Instance) -> String {
    let project = &instance.project;
    let base = format!("http://127.0.0.1:{}", instance.note.http_port);
    let mut text = format!("\nFeira is up at {base}\n");
    sections(&project.bundle, &mut text);
    let databases = project.bundle.databases();
    text.push('\n');
    for database in databases {
        let label = match database {
            DatabaseName::Shop => "Database 1",
            DatabaseName::Telesales => "Database 2",
        };
        let name = project.database_name(database);
        text.push_str(&format!("{label:10} {name}\n"));
    }
    if let Some(kafka) = &project.kafka {
        let brokers = kafka.brokers();
        text.push_str(&format!("{:10} {brokers}\n", "Kafka"));
    }
    let state = project.state.path().display();
    text.push_str(&format!("State      {state} (logs in logs/)\n"));
    let scope = project.bundle.routes.iter().flat_map(|route| &route.scopes);
    let scope = scope.filter(|scope| *scope != sam_template::PUBLIC).min();
    if let Some(scope) = scope {
        text.push_str(&format!(
            "Token      cargo local -- token --scope {scope}\n"
        ));
    }
    text.push_str("Stop       Ctrl-C; a new start goes on where this one stopped\n");
    text
}

fn sections(bundle: &Bundle, text: &mut String) {
    let rows = bundle.routes.iter().map(|route| {
        let scopes = match &route.authorizer {
            None => "public".to_owned(),
            Some(_) => route.scopes.join(" | "),
        };
        [route.key.clone(), route.function.clone(), scopes]
    });
    section(
        text,
        ["ROUTE", "FUNCTION", "SCOPE (ANY OF)"],
        rows.collect(),
    );
    let rows = bundle.queue_sources.iter().map(|source| {
        let redrive = bundle
            .queues
            .get(&source.queue)
            .and_then(|q| q.definition.redrive.as_ref());
        let dead = redrive.map(|r| format!("{} after {}", r.dead_letter_queue, r.maximum_receives));
        [
            source.queue.clone(),
            source.function.clone(),
            dead.unwrap_or_default(),
        ]
    });
    section(text, ["QUEUE", "FUNCTION", "DEAD LETTERS"], rows.collect());
    let now = Timestamp::now();
    let rows = bundle.schedules.iter().map(|schedule| {
        let next = schedule.written.next_after(now).ok().flatten();
        let next = next.map(|next| next.to_zoned(TimeZone::system()));
        let next = next.map(|next| next.strftime("%Y-%m-%d %H:%M:%S %Z").to_string());
        let name = schedule
            .job
            .clone()
            .unwrap_or_else(|| schedule.name.clone());
        let when = format!(
            "{}, next {}",
            schedule.written.expression,
            next.unwrap_or_default()
        );
        [name, schedule.function.clone(), when]
    });
    section(text, ["SCHEDULE", "FUNCTION", "WHEN"], rows.collect());
    let rows = bundle.topic_sources.iter().map(|source| {
        [
            source.topic.clone(),
            source.function.clone(),
            "cargo local -- produce …".to_owned(),
        ]
    });
    section(text, ["TOPIC", "FUNCTION", "FEED IT BY"], rows.collect());
    let rows = bundle.folder_sources.iter().map(|source| {
        let place = format!(
            "arquivos/{}/{}*{}",
            source.bucket, source.prefix, source.suffix
        );
        [
            place,
            source.function.clone(),
            "a new file starts it".to_owned(),
        ]
    });
    section(text, ["FOLDER", "FUNCTION", ""], rows.collect());
}

fn section(text: &mut String, head: [&str; 3], rows: Vec<[String; 3]>) {
    if rows.is_empty() {
        return;
    }
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain(head.get(column).map(|cell| cell.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let mut line = |cells: [&str; 3]| {
        let [a, b, c] = cells;
        let row = format!("{a:first$}  {b:second$}  {c}");
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line(["", "", ""]);
    line(head);
    for [a, b, c] in &rows {
        line([a, b, c]);
    }
}
