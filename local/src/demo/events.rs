//! `demo-eventos`: a file of customers' events through topic, bridge, queue and ingestion, each
//! record delivered twice, and what the lake holds of it in the end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::lake::Table;
use files::{Files, FolderFiles};
use lake::Lake;
use secrets::DatabaseName;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sql_store::events::duplicates;
use sql_store::lake::{files_at, latest};

use crate::bundle::TopicSource;
use crate::client::Client;
use crate::events::kafka::{self, BatchAnswer, Record, read_answer};
use crate::failure::{Failure, OrFailure};
use crate::progress::Progress;
use crate::project::Project;
use crate::terminal;
use crate::topics::NewRecord;

/// A made-up sample for those who bring no data.
const SAMPLE: &str = include_str!("sample/eventos_clientes.ndjson");
const FILE: &str = "eventos_clientes.ndjson";
const TOPIC: &str = "eventos_clientes";
/// The function whose bucket holds the lake.
const INGESTION: &str = "ingest-customer-events";
/// A record of the demonstration says by this header which line it is.
const LINE_HEADER: &str = "demonstracao";
/// Records read back from the topic at once.
const PAGE: usize = 2_000;

/// What the command line says about the demonstration.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DemoEventsArgs {
    /// Folder with eventos_clientes.ndjson (id_usuario, tipo_evento, id_produto, timestamp and
    /// optional id_evento, id_sessao, quantidade, preco, ref); without it a small made-up sample.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print the result as one line of JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// The line of `--json`, in this order; all but the last two are of this file's events alone.
#[derive(Debug, Default, Serialize)]
struct Line {
    eventos: u64,
    cliques: u64,
    carrinhos: u64,
    compras: u64,
    usuarios: u64,
    duplicados: i64,
    fila_morta: u64,
}

/// An event of the file.
struct Event {
    text: String,
    /// `id_usuario`: its events keep their order.
    user: Option<String>,
    id: Option<String>,
    mark: String,
}

/// Where a record lies: partition and offset.
type Place = (i32, i64);

/// Replays the file. Whatever an earlier run that was cut off has written to the topic is not
/// written again, and running it again on the same state adds nothing but duplicates.
///
/// # Errors
/// A sentence that says what to mend, or which step failed.
pub async fn run(project: Arc<Project>, options: &DemoEventsArgs) -> Result<(), Failure> {
    let events = read(options.data.as_deref())?;
    let line = super::on_instance(project, async |client: Client| {
        replay(&client, &events).await
    });
    let line = line.await?;
    terminal::note(&format!(
        "{} events: {} clicks, {} carts, {} purchases by {} users; {} came again, {} dead letters",
        line.eventos,
        line.cliques,
        line.carrinhos,
        line.compras,
        line.usuarios,
        line.duplicados,
        line.fila_morta
    ));
    if options.json {
        let line = serde_json::to_string(&line).or_work(|| "the result".to_owned())?;
        terminal::answer(&line);
    }
    Ok(())
}

fn read(folder: Option<&Path>) -> Result<Vec<Event>, Failure> {
    let text = match folder {
        None => SAMPLE.to_owned(),
        Some(folder) => {
            let path = folder.join(FILE);
            std::fs::read_to_string(&path).or_mend(|| path.display().to_string())?
        }
    };
    let lines = (1_usize..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let event: Value = serde_json::from_str(line)
                .map_err(|_| Failure::mend(format!("{FILE}, line {number}: no JSON")))?;
            let field = |name| event.get(name).and_then(Value::as_str).map(str::to_owned);
            Ok(Event {
                user: field("id_usuario"),
                id: field("id_evento"),
                mark: mark(number, line),
                text: line.to_owned(),
            })
        })
        .collect()
}

/// Tells a line of a file from every other, of other files too.
fn mark(number: usize, line: &str) -> String {
    let digest = Sha256::digest(format!("{number} {line}").as_bytes());
    let digest = digest.iter().take(16);
    digest.map(|byte| format!("{byte:02x}")).collect()
}

async fn replay(client: &Client, events: &[Event]) -> Result<Line, Failure> {
    let sources = &client.project().bundle.topic_sources;
    let source = sources.iter().find(|source| source.topic == TOPIC);
    let source = source.ok_or_else(|| Failure::mend(format!("no function reads {TOPIC}")))?;
    let store = client.project().store(DatabaseName::Shop).await?;
    let cannot = || "the events that came again could not be counted".to_owned();
    let before = duplicates(&store).await.or_work(cannot)?;
    let marks: HashSet<&str> = events.iter().map(|event| event.mark.as_str()).collect();

    let there: HashSet<String> = ours(client, &marks)
        .await?
        .iter()
        .filter_map(mark_of)
        .collect();
    let missing: Vec<NewRecord> = events
        .iter()
        .filter(|event| !there.contains(&event.mark))
        .map(record_of)
        .collect();
    let step = Progress::begin("events", missing.len());
    client.produce(TOPIC, &missing).await?;
    super::wait(client, &step).await?;

    let records = ours(client, &marks).await?;
    let step = Progress::begin("once more", records.len());
    deliver_again(client, source, &records, &step).await?;
    super::wait(client, &step).await?;

    let places: HashSet<Place> = records
        .iter()
        .map(|record| (record.partition, record.offset))
        .collect();
    let ids: HashSet<&str> = events.iter().filter_map(|e| e.id.as_deref()).collect();
    let mut line = stored(client, &ids, &places).await?;
    line.duplicados = duplicates(&store).await.or_work(cannot)? - before;
    line.fila_morta = client.dead_letters().await?;
    Ok(line)
}

fn record_of(event: &Event) -> NewRecord {
    NewRecord {
        key: event.user.clone().map(String::into_bytes),
        value: Some(event.text.clone().into_bytes()),
        headers: vec![(LINE_HEADER.to_owned(), event.mark.clone().into_bytes())],
    }
}

fn mark_of(record: &Record) -> Option<String> {
    let mut headers = record.headers.iter();
    let (_, mark) = headers.find(|(name, _)| name == LINE_HEADER)?;
    String::from_utf8(mark.clone()?).ok()
}

/// The records of the topic that are lines of this file.
async fn ours(client: &Client, marks: &HashSet<&str>) -> Result<Vec<Record>, Failure> {
    let mut found = Vec::new();
    client
        .each_record(TOPIC, PAGE, |record| {
            let mark = mark_of(&record);
            if mark.is_some_and(|mark| marks.contains(mark.as_str())) {
                found.push(record);
            }
        })
        .await?;
    Ok(found)
}

/// Hands the very same records to the topic's reader once more, as its mapping does when the answer
/// to a batch is lost.
async fn deliver_again(
    client: &Client,
    source: &TopicSource,
    records: &[Record],
    step: &Progress,
) -> Result<(), Failure> {
    let mut by_partition: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    for record in records {
        let records = by_partition.entry(record.partition).or_default();
        records.push(record.clone());
    }
    let mut to_come = records.len() as u64;
    for batch in by_partition
        .values()
        .flat_map(|records| records.chunks(source.batch_size))
    {
        let event = kafka::event(batch, client.brokers(), source.cluster_arn.as_deref());
        let payload = event.to_string().into_bytes();
        let answer = client.invoke(&source.function, payload).await?;
        let is_handled = read_answer(&answer.payload, batch) == BatchAnswer::Handled;
        if answer.is_failure || !is_handled {
            let function = &source.function;
            return Err(Failure::work(format!(
                "{function} did not take a batch the second time: {}",
                answer.log
            )));
        }
        to_come -= batch.len() as u64;
        step.left(to_come + client.pending().await?.total());
    }
    Ok(())
}

/// What the lake holds of these events: known by their ids, or by the records of those without one.
async fn stored(
    client: &Client,
    ids: &HashSet<&str>,
    places: &HashSet<Place>,
) -> Result<Line, Failure> {
    let project = client.project();
    let cannot = || "the lake could not be read".to_owned();
    let store = project.store(DatabaseName::Shop).await?;
    let lake = lake_of(client)?;
    let mut line = Line::default();
    let mut users = BTreeSet::new();
    let snapshot = latest(&store, &[Table::CustomerEvents]).await;
    let Some(snapshot) = snapshot.or_work(cannot)? else {
        return Ok(line);
    };
    let files = files_at(&store, Table::CustomerEvents, snapshot.id).await;
    for file in files.or_work(cannot)? {
        let count = lake.each_stored_event(&file, |event| {
            let has_our_id = event.event_id.is_some_and(|id| ids.contains(id));
            let has_our_place = event.source.is_some_and(|(topic, partition, offset)| {
                topic == TOPIC && places.contains(&(partition, offset))
            });
            if !has_our_id && !has_our_place {
                return;
            }
            line.eventos += 1;
            match event.kind {
                Some("clique") => line.cliques += 1,
                Some("carrinho") => line.carrinhos += 1,
                Some("compra") => line.compras += 1,
                _ => {}
            }
            users.extend(event.user.map(str::to_owned));
        });
        count.await.or_work(cannot)?;
    }
    line.usuarios = users.len() as u64;
    Ok(line)
}

fn lake_of(client: &Client) -> Result<Lake, Failure> {
    let project = client.project();
    let function = project.bundle.functions.get(client.function(INGESTION)?);
    let bucket = function.and_then(|function| function.environment.get("SALES_BUCKET"));
    let bucket = bucket.ok_or_else(|| Failure::mend(format!("{INGESTION} has no SALES_BUCKET")))?;
    let files = FolderFiles::open(&project.state.path().join("arquivos"));
    let files = files.or_work(|| "arquivos in the state folder".to_owned())?;
    Ok(Lake::new(Files::Folder(files), bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_every_kind_events_without_an_id_and_one_that_came_twice() {
        let events = read(None).unwrap();
        let ids: Vec<&str> = events.iter().filter_map(|e| e.id.as_deref()).collect();
        let distinct: HashSet<&str> = ids.iter().copied().collect();
        assert!(ids.len() < events.len(), "some have no id");
        assert_eq!(distinct.len(), ids.len() - 1, "one came twice");
        let marks: HashSet<&str> = events.iter().map(|e| e.mark.as_str()).collect();
        assert_eq!(marks.len(), events.len(), "each line has a mark of its own");
        for kind in ["clique", "carrinho", "compra"] {
            assert!(events.iter().any(|event| event.text.contains(kind)));
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{}\n\n{\n").unwrap();
        let failure = read(Some(folder.path())).err().unwrap().to_string();
        assert!(failure.contains("line 3"), "{failure}");
    }
}
