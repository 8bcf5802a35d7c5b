//! The steps of the demonstration.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use axum::http::{Method, header};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use queues::{OutgoingMessage, group_id};
use serde_json::{Value, json};

use super::data::Data;
use super::wait;
use crate::client::Client;
use crate::failure::{Failure, OrFailure};
use crate::progress::Progress;
use crate::topics::NewRecord;

const TOPIC: &str = "clientes";
const PURCHASES_QUEUE: &str = "PedidosQueue";
const TRIPS_QUEUE: &str = "ViagensQueue";
/// Requests under way at once.
const CONCURRENT_REQUESTS: usize = 8;

/// What came of it.
pub struct Outcome {
    /// The campaign's funnel as the API tells it.
    pub funnel: Value,
    /// Messages in dead-letter queues.
    pub dead_letters: u64,
}

/// Replays the data; each step waits until the bundle has taken it in.
pub async fn replay(client: &Client, data: &Data) -> Result<Outcome, Failure> {
    let admin = client.token("demonstracao", &["mgm:admin"])?;

    let records: Vec<NewRecord> = data
        .customers
        .iter()
        .map(|customer| NewRecord {
            key: Some(customer.id.clone().into_bytes()),
            value: Some(customer.topic_record().to_string().into_bytes()),
            headers: Vec::new(),
        })
        .collect();
    let step = Progress::begin("customers", records.len());
    client.produce(TOPIC, &records).await?;
    wait(client, &step).await?;

    let campaign = campaign(client, &admin, &data.name).await?;
    let links = links(client, data, &campaign).await?;
    let references = references(client, data, &campaign, &links).await?;

    let messages = purchase_messages(data, &references);
    let step = Progress::begin("purchases", messages.len());
    client.send(PURCHASES_QUEUE, &messages).await?;
    wait(client, &step).await?;

    let messages: Vec<OutgoingMessage> = data
        .completions
        .iter()
        .map(|completion| {
            let identity = format!("{}-entrega", completion.order_id);
            message(&completion.customer_id, identity, &completion.message())
        })
        .collect();
    let step = Progress::begin("deliveries", messages.len());
    client.send(TRIPS_QUEUE, &messages).await?;
    wait(client, &step).await?;

    let path = format!("/mgm/campaigns/{campaign}/funnel");
    let funnel = ask(client, Method::GET, &path, &admin, None).await?;
    Ok(Outcome {
        funnel,
        dead_letters: client.dead_letters().await?,
    })
}

/// Asks the API and answers its JSON.
async fn ask(
    client: &Client,
    method: Method,
    path: &str,
    token: &str,
    body: Option<(&str, Value)>,
) -> Result<Value, Failure> {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    let mut bytes = Vec::new();
    if let Some((idempotency_key, body)) = &body {
        headers.extend([
            ("idempotency-key", *idempotency_key),
            ("content-type", "application/json"),
        ]);
        bytes = body.to_string().into_bytes();
    }
    let answer = client
        .request_with(method.clone(), path, &headers, bytes)
        .await?;
    if !answer.status.is_success() {
        let told = answer.json();
        return Err(Failure::work(format!(
            "{method} {path} answered {}: {told}",
            answer.status
        )));
    }
    Ok(answer.json())
}

/// A message of a FIFO queue, in the order of its customer.
fn message(customer: &str, deduplication: String, body: &Value) -> OutgoingMessage {
    OutgoingMessage::fifo(
        body.to_string(),
        group_id(&[customer.as_bytes()]),
        deduplication,
    )
}

/// The data set's campaign: found again by its name, or opened. It covers all dates and has no
/// window, limits, velocity check, smallest purchase or pending period.
async fn campaign(client: &Client, admin: &str, data_set: &str) -> Result<String, Failure> {
    let name = format!("Demonstração: {data_set}");
    let idempotency_key = format!("demonstracao-{}", group_id(&[data_set.as_bytes()]));
    let found = ask(
        client,
        Method::GET,
        "/mgm/campaigns?limite=100",
        admin,
        None,
    )
    .await?;
    let items = found
        .get("itens")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mine = items
        .iter()
        .find(|campaign| campaign.get("nome").and_then(Value::as_str) == Some(&name));
    let campaign = match mine {
        Some(campaign) => campaign.clone(),
        None => {
            let body = json!({
                "nome": name,
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
            ask(
                client,
                Method::POST,
                "/mgm/campaigns",
                admin,
                Some((&idempotency_key, body)),
            )
            .await?
        }
    };
    text(&campaign, "id_campanha")
}

/// Each promoter asks for the link; asking again gives the same.
async fn links(
    client: &Client,
    data: &Data,
    campaign: &str,
) -> Result<HashMap<String, String>, Failure> {
    let promoters: Vec<&str> = data
        .customers
        .iter()
        .filter(|customer| customer.is_promoter)
        .map(|customer| customer.id.as_str())
        .collect();
    let step = Progress::begin("links", promoters.len());
    let links = stream::iter(promoters)
        .map(|promoter| {
            let step = &step;
            async move {
                let token = client.token(promoter, &["customer"])?;
                let body = json!({"id_campanha": campaign});
                let key = format!("demo-{campaign}-{promoter}");
                let link = ask(
                    client,
                    Method::POST,
                    "/mgm/links",
                    &token,
                    Some((&key, body)),
                )
                .await?;
                step.one_done();
                Ok::<_, Failure>((promoter.to_owned(), text(&link, "codigo")?))
            }
        })
        .buffer_unordered(CONCURRENT_REQUESTS)
        .try_collect()
        .await?;
    step.end();
    Ok(links)
}

/// Each friend opens the promoter's link once; the `ref` is kept beside the state, so that a
/// second run buys with the same one.
async fn references(
    client: &Client,
    data: &Data,
    campaign: &str,
    links: &HashMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let kept = kept_references(client, campaign);
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
    let step = Progress::begin("clicks", friends.len());
    let opened: Vec<(String, String)> = stream::iter(friends)
        .map(|(friend, code)| {
            let step = &step;
            async move {
                let reference = open_link(client, code, friend).await?;
                step.one_done();
                Ok::<_, Failure>((friend.to_owned(), reference))
            }
        })
        .buffer_unordered(CONCURRENT_REQUESTS)
        .try_collect()
        .await?;
    step.end();
    references.extend(opened);
    let json =
        serde_json::to_vec(&references).or_work(|| "the links that were opened".to_owned())?;
    std::fs::write(&kept, json).or_work(|| kept.display().to_string())?;
    Ok(references)
}

fn kept_references(client: &Client, campaign: &str) -> PathBuf {
    let name = format!("demonstracao-refs-{campaign}.json");
    client.project().state.path().join(name)
}

/// Opens a referral link as a browser of its own; answers the `ref` of the redirect.
async fn open_link(client: &Client, code: &str, visitor: &str) -> Result<String, Failure> {
    let browser = format!("Mozilla/5.0 (X11; Linux x86_64) demonstration/{visitor}");
    let headers = [("user-agent", browser.as_str())];
    let answer = client
        .request_with(Method::GET, &format!("/r/{code}"), &headers, Vec::new())
        .await?;
    let location = answer
        .headers
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let query = location
        .and_then(|location| location.split_once('?'))
        .map(|(_, query)| query);
    let reference = query.and_then(|query| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix("ref="))
            .map(str::to_owned)
    });
    reference.ok_or_else(|| {
        Failure::work(format!(
            "GET /r/{{code}} answered {} without a ref",
            answer.status
        ))
    })
}

fn purchase_messages(data: &Data, references: &BTreeMap<String, String>) -> Vec<OutgoingMessage> {
    let mut messages = Vec::new();
    for purchase in &data.purchases {
        let Some(reference) = references.get(&purchase.friend_id) else {
            continue;
        };
        let mut tell = |status: &str| {
            let identity = format!("{}-{status}", purchase.order_id);
            let body = purchase.message(status, reference);
            messages.push(message(&purchase.friend_id, identity, &body));
        };
        tell("aprovado");
        if purchase.is_cancelled {
            tell("cancelado");
        }
    }
    messages
}

fn text(value: &Value, field: &str) -> Result<String, Failure> {
    let text = value.get(field).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Failure::work(format!("the API's answer has no text {field}")))
}
