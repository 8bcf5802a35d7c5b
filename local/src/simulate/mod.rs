//! `simulate`: a shop that writes what happens in it to the topics, or a file that is played again.

mod model;
mod pace;
mod replay;

use std::path::PathBuf;
use std::sync::Arc;

use domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::failure::{Failure, OrFailure};
use crate::instance::now_ms;
use crate::progress::Progress;
use crate::project::Project;
use crate::terminal::{answer, note};
use crate::topics::cluster::ClusterTopics;
use crate::topics::{NewRecord, Topics};

use model::{Happening, Kind, Shop};
use pace::{MOST_AT_ONCE, Pace};

/// What customers do.
const EVENTS_TOPIC: &str = "eventos_clientes";
/// The warehouse's levels.
const STOCK_TOPIC: &str = "atualizacoes_estoque";

/// What the command line says about the simulation.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SimulateArgs {
    /// How many events of customers; levels of stock come besides.
    #[arg(long, value_name = "N", required_unless_present = "replay")]
    pub events: Option<usize>,
    /// Events a second.
    #[arg(long, value_name = "R", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// The same seed makes the same customers do the same.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Writes to this Kafka (host:port) [default: KAFKA_BROKERS, else the embedded log].
    #[arg(long, value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Plays this file instead, a JSON object a line: events by their timestamp, levels of stock by
    /// their ultima_atualizacao.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["events", "rate", "seed"])]
    pub replay: Option<PathBuf>,
    /// So many times faster than in the file's own time.
    #[arg(long, value_name = "X", default_value_t = 1, requires = "replay", value_parser = clap::value_parser!(u32).range(1..))]
    pub speed: u32,
    /// The file's first event happens now and the others as they are played, as new events: an old
    /// file fills the live figures.
    #[arg(long, requires = "replay")]
    pub shift_to_now: bool,
}

/// What was written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Written {
    clicks: usize,
    carts: usize,
    purchases: usize,
    others: usize,
    levels: usize,
}

impl Written {
    fn count(&mut self, kind: &str) {
        match kind {
            "clique" => self.clicks += 1,
            "carrinho" => self.carts += 1,
            "compra" => self.purchases += 1,
            _ => self.others += 1,
        }
    }
}

/// Simulates or plays, into the running instance's topics or those of the next one.
///
/// # Errors
/// A sentence that says what to mend.
pub async fn run(project: Arc<Project>, options: &SimulateArgs) -> Result<(), Failure> {
    let place = Place::of(project, options.kafka.as_deref()).await?;
    let written = match (&options.replay, options.events) {
        (Some(file), _) => {
            let shift = options.shift_to_now;
            replay::play(&place.topics, file, options.speed, shift).await?
        }
        (None, events) => simulate(&place.topics, events.unwrap_or_default(), options).await?,
    };
    answer(&format!(
        "{} clicks, {} carts, {} purchases and {} others written to {EVENTS_TOPIC}, {} levels to \
         {STOCK_TOPIC}",
        written.clicks, written.carts, written.purchases, written.others, written.levels
    ));
    note(place.next);
    Ok(())
}

/// Where it is written, and who sees it there.
struct Place {
    topics: Topics,
    next: &'static str,
}

impl Place {
    async fn of(project: Arc<Project>, brokers: Option<&str>) -> Result<Self, Failure> {
        if let Some(brokers) = brokers {
            let connection = project.kafka_at(brokers)?;
            let topics = ClusterTopics::new(&connection).or_mend(|| "--kafka".to_owned())?;
            return Ok(Self {
                topics: Topics::Cluster(topics),
                next: "An instance with KAFKA_BROKERS of that Kafka shows them.",
            });
        }
        let (client, is_read) = crate::commands::without_functions(project).await?;
        Ok(Self {
            topics: client.topics().clone(),
            next: match is_read {
                true => "GET /metricas/tempo-real shows them seconds later.",
                false => "They wait for the next start.",
            },
        })
    }
}

async fn simulate(
    topics: &Topics,
    events: usize,
    options: &SimulateArgs,
) -> Result<Written, Failure> {
    let mut shop = Shop::new(options.seed);
    // Events of two runs are different ones, whatever the seed.
    let run = now_ms();
    let mut written = Written::default();
    let step = Progress::begin("events", events);
    let mut levels: Vec<(usize, i64)> = shop.levels().collect();
    let mut pace = Pace::of_rate(options.rate);
    let mut sent = 0;
    while sent < events {
        let due = pace.due().await.min(events);
        let many = due.saturating_sub(sent).min(MOST_AT_ONCE);
        let now = now_ms();
        let mut records = Vec::with_capacity(many);
        for number in sent..sent + many {
            let happening = shop.next();
            written.count(happening.kind.wire_name());
            levels.extend(happening.levels.iter().copied());
            records.push(event_record(&happening, run, number, now)?);
        }
        write(topics, EVENTS_TOPIC, &records).await?;
        let told: Result<Vec<_>, _> = levels
            .drain(..)
            .map(|level| level_record(level, now))
            .collect();
        let told = told?;
        written.levels += told.len();
        write(topics, STOCK_TOPIC, &told).await?;
        sent += many;
        pace.sent(sent);
        step.advance(many);
    }
    step.end();
    Ok(written)
}

/// Writes records that there are.
async fn write(topics: &Topics, topic: &str, records: &[NewRecord]) -> Result<(), Failure> {
    if records.is_empty() {
        return Ok(());
    }
    let written = topics.produce(topic, records, now_ms()).await;
    written.map(drop).or_work(|| format!("topic {topic}"))
}

fn event_record(
    happening: &Happening,
    run: i64,
    number: usize,
    now: i64,
) -> Result<NewRecord, Failure> {
    let user = format!("sim-cliente-{}", happening.user);
    let mut event = json!({
        "id_evento": format!("sim-{run}-{number}"),
        "id_usuario": user,
        "id_sessao": format!("sim-{run}-{}", happening.session),
        "tipo_evento": happening.kind.wire_name(),
        "id_produto": product_id(happening.product),
        "timestamp": time(now)?,
    });
    if let (Value::Object(fields), true) = (&mut event, happening.kind != Kind::Click) {
        let centavos = happening.price_centavos;
        let price = format!("{}.{:02}", centavos / 100, centavos % 100);
        fields.insert("preco".to_owned(), price.into());
        fields.insert("quantidade".to_owned(), happening.units.into());
    }
    Ok(keyed(&user, &event))
}

fn level_record((product, level): (usize, i64), now: i64) -> Result<NewRecord, Failure> {
    let product = product_id(product);
    let update = json!({
        "id_produto": product, "nivel_estoque": level, "ultima_atualizacao": time(now)?,
    });
    Ok(keyed(&product, &update))
}

fn product_id(product: usize) -> String {
    format!("sim-produto-{product}")
}

fn keyed(key: &str, value: &Value) -> NewRecord {
    NewRecord {
        key: Some(key.as_bytes().to_vec()),
        value: Some(value.to_string().into_bytes()),
        headers: Vec::new(),
    }
}

fn time(millis: i64) -> Result<String, Failure> {
    let time = UtcMillis::new(millis).or_mend(|| "this machine's clock".to_owned())?;
    Ok(time.to_string())
}
