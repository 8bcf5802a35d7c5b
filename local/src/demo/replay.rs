//! The steps of the demonstration.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::data::Data;
use super::ways_in::{Message, WaysIn};
use crate::failure::{Failure, OrFailure};
use crate::project::Project;

const CAMPAIGN_NAME: &str = "Demonstração";
const TOPIC: &str = "clientes";
const PURCHASES_QUEUE: &str = "PedidosQueue";
const TRIPS_QUEUE: &str = "ViagensQueue";
/// Requests under way at once.
const CONCURRENT_REQUESTS: usize = 8;
const SENT_AT_ONCE: usize = 500;

/// What came of it.
pub struct Outcome {
    /// The campaign's funnel as the API tells it.
    pub funnel: Value,
    /// Messages in dead-letter queues.
    pub dead_letters: u64,
}

/// Replays the data; each step waits until the bundle has taken it in.
pub async fn replay(project: &Project, data: &Data) -> Result<Outcome, Failure> {
    let ways_in = WaysIn::open(project).await?;
    let admin = ways_in.token("demonstracao", "mgm:admin")?;

    let bar = progress("customers", data.customers.len());
    for chunk in data.customers.chunks(SENT_AT_ONCE) {
        let records = chunk
            .iter()
            .map(|customer| (customer.id.clone(), customer.topic_record()));
        ways_in.produce(TOPIC, records.collect()).await?;
    }
    ways_in
        .drain_topic(TOPIC, |left| show_left(&bar, left))
        .await?;
    bar.finish();

    let campaign = campaign(&ways_in, &admin).await?;
    let links = links(&ways_in, data, &campaign).await?;
    let references = references(&ways_in, project, data, &links).await?;

    let bar = progress("purchases", data.purchases.len());
    let messages = purchase_messages(data, &references);
    send_all(&ways_in, PURCHASES_QUEUE, messages).await?;
    ways_in
        .drain_queue(PURCHASES_QUEUE, |left| show_left(&bar, left))
        .await?;
    bar.finish();

    let bar = progress("deliveries", data.completions.len());
    let messages = data
        .completions
        .iter()
        .map(|completion| {
            let deduplication = format!("{}-entrega", completion.order_id);
            (
                completion.customer_id.clone(),
                deduplication,
                completion.message(),
            )
        })
        .collect();
    send_all(&ways_in, TRIPS_QUEUE, messages).await?;
    ways_in
        .drain_queue(TRIPS_QUEUE, |left| show_left(&bar, left))
        .await?;
    bar.finish();

    let path = format!("/mgm/campaigns/{campaign}/funnel");
    let funnel = ways_in.api(Method::GET, &path, &admin, None).await?;
    Ok(Outcome {
        funnel,
        dead_letters: ways_in.dead_letters().await?,
    })
}

/// The demonstration's campaign: found again by its name, or opened. It covers all dates and has
/// no window, limits, velocity check, smallest purchase or pending period.
async fn campaign(ways_in: &WaysIn<'_>, admin: &str) -> Result<String, Failure> {
    let found = ways_in
        .api(Method::GET, "/mgm/campaigns?limite=100", admin, None)
        .await?;
    let items = found
        .get("itens")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mine = items
        .iter()
        .find(|campaign| campaign.get("nome") == Some(&CAMPAIGN_NAME.into()));
    let campaign = match mine {
        Some(campaign) => campaign.clone(),
        None => {
            let body = json!({
                "nome": CAMPAIGN_NAME,
                "inicio": "1970-01-01T00:00:00Z",
                "fim": "9998-01-01T00:00:00Z",
                "desconto": {"tipo": "percentual", "percentual": "10.00", "teto": "50.00"},
                "recompensa": "30.00",
                "compra_minima": "0.00",
                "orcamento": "1000000.00",
                "validade_voucher_dias": 365,
                "carencia_dias": 0,
                "cupom_em": "compra",
                "cumulativo": false,
                "aceita_comprador_existente": true,
                "minimo_pedidos_concluidos": 0,
                "endereco_loja": "https://loja.example.com/"
            });
            ways_in
                .api(
                    Method::POST,
                    "/mgm/campaigns",
                    admin,
                    Some(("demonstracao", body)),
                )
                .await?
        }
    };
    text(&campaign, "id_campanha")
}

/// Each promoter asks for the link; asking again gives the same.
async fn links(
    ways_in: &WaysIn<'_>,
    data: &Data,
    campaign: &str,
) -> Result<HashMap<String, String>, Failure> {
    let promoters: Vec<&str> = data
        .customers
        .iter()
        .filter(|customer| customer.is_promoter)
        .map(|customer| customer.id.as_str())
        .collect();
    let bar = progress("links", promoters.len());
    let links = stream::iter(promoters)
        .map(|promoter| {
            let bar = &bar;
            async move {
                let token = ways_in.token(promoter, "customer")?;
                let body = json!({"id_campanha": campaign});
                let key = format!("demo-{campaign}-{promoter}");
                let link = ways_in
                    .api(Method::POST, "/mgm/links", &token, Some((&key, body)))
                    .await?;
                bar.inc(1);
                Ok::<_, Failure>((promoter.to_owned(), text(&link, "codigo")?))
            }
        })
        .buffer_unordered(CONCURRENT_REQUESTS)
        .try_collect()
        .await?;
    bar.finish();
    Ok(links)
}

/// Each friend opens the promoter's link once; the `ref` is kept beside the state, so that a
/// second run buys with the same one.
async fn references(
    ways_in: &WaysIn<'_>,
    project: &Project,
    data: &Data,
    links: &HashMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let kept = kept_references(project);
    let mut references: BTreeMap<String, String> = std::fs::read(&kept)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let friends: BTreeSet<(&str, &str)> = data
        .purchases
        .iter()
        .filter(|purchase| !references.contains_key(&purchase.friend_id))
        .filter_map(|purchase| {
            Some((
                purchase.friend_id.as_str(),
                links.get(&purchase.promoter_id)?.as_str(),
            ))
        })
        .collect();
    let bar = progress("clicks", friends.len());
    let opened: Vec<(String, String)> = stream::iter(friends)
        .map(|(friend, code)| {
            let bar = &bar;
            async move {
                let reference = ways_in.open_link(code, friend).await?;
                bar.inc(1);
                Ok::<_, Failure>((friend.to_owned(), reference))
            }
        })
        .buffer_unordered(CONCURRENT_REQUESTS)
        .try_collect()
        .await?;
    bar.finish();
    references.extend(opened);
    let json =
        serde_json::to_vec(&references).or_work(|| "the links that were opened".to_owned())?;
    std::fs::write(&kept, json).or_work(|| kept.display().to_string())?;
    Ok(references)
}

fn kept_references(project: &Project) -> PathBuf {
    project.state.path().join("demonstracao-refs.json")
}

fn purchase_messages(data: &Data, references: &BTreeMap<String, String>) -> Vec<Message> {
    let mut messages = Vec::new();
    for purchase in &data.purchases {
        let Some(reference) = references.get(&purchase.friend_id) else {
            continue;
        };
        let mut tell = |status: &str| {
            let deduplication = format!("{}-{status}", purchase.order_id);
            let body = purchase.message(status, reference);
            messages.push((purchase.friend_id.clone(), deduplication, body));
        };
        tell("aprovado");
        if purchase.is_cancelled {
            tell("cancelado");
        }
    }
    messages
}

async fn send_all(
    ways_in: &WaysIn<'_>,
    queue: &str,
    mut messages: Vec<Message>,
) -> Result<(), Failure> {
    while !messages.is_empty() {
        let rest = messages.split_off(messages.len().min(SENT_AT_ONCE));
        ways_in.send(queue, messages).await?;
        messages = rest;
    }
    Ok(())
}

fn text(value: &Value, field: &str) -> Result<String, Failure> {
    let text = value.get(field).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Failure::work(format!("the API's answer has no text {field}")))
}

/// On a terminal a moving bar, on standard error; elsewhere nothing.
fn progress(what: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>12} {wide_bar} {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(length as u64).with_message(what);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn show_left(bar: &ProgressBar, left: u64) {
    let length = bar.length().unwrap_or_default();
    bar.set_position(length.saturating_sub(left));
}
