//! The HTTP door for shops and warehouses: what they tell goes on to Kafka, or to the queues.

mod ids;

use contracts::collect::{Collected, CollectedBody, EVENTS_TOPIC, Judged, STOCK_TOPIC, items};
use event_door::Door;
use lambda_kit::{
    Problem,
    http::{Handler, Request, Response},
    metrics,
};
use serde_json::{Value, json};

/// The scope of services: purchases and levels of stock.
const SERVICE: &str = "eventos:servico";

/// The handler of POST /eventos and POST /estoque.
pub struct CollectEvents {
    door: Door,
}

impl CollectEvents {
    /// What is taken goes through `door`.
    #[must_use]
    pub const fn new(door: Door) -> Self {
        Self { door }
    }

    async fn events(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        let caller = request.principal()?;
        let may_buy = caller.may(SERVICE);
        let batch = ids::Batch::of(&caller.subject, request.idempotency_key()?)?;
        self.collect(request, EVENTS_TOPIC, |index, item| {
            let mut event = Collected::event(item, may_buy, request.now)?;
            if !may_buy {
                event.rename(|own| ids::of_guest(&caller.subject, own));
            }
            event.identify(|event| batch.id(index, event));
            Ok(event)
        })
        .await
    }

    async fn stock(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&[])?;
        self.collect(request, STOCK_TOPIC, |_, item| {
            Collected::stock(item, request.now)
        })
        .await
    }

    /// Takes each object alone and answers when what was taken is safe.
    async fn collect(
        &self,
        request: &Request,
        topic: &'static str,
        read: impl Fn(usize, &Value) -> Result<Collected, contracts::fields::BadMessage>,
    ) -> Result<Response, Problem> {
        let Judged {
            places,
            taken,
            refusals,
        } = Judged::of(&items(&request.body)?, read);
        let mut body = CollectedBody {
            recusados: refusals.len(),
            recusas: refusals,
            ..CollectedBody::default()
        };
        let sent = self.door.send(topic, &taken, request.now).await;
        let unsent: Vec<usize> = places
            .iter()
            .zip(&sent)
            .filter(|(_, sent)| sent.is_err())
            .map(|(place, _)| *place)
            .collect();
        body.aceitos = places.len() - unsent.len();
        count(topic, &body, unsent.len());
        if unsent.is_empty() {
            return Ok(Response::json(202, &body));
        }
        if let Some(Err(reason)) = sent.iter().find(|sent| sent.is_err()) {
            tracing::error!(place = topic, count = unsent.len(), %reason, "not everything was sent");
        }
        Ok(unavailable(&body, &places, &unsent))
    }
}

/// 503 that names what is safe already, so that a caller sends the rest again.
fn unavailable(body: &CollectedBody, places: &[usize], unsent: &[usize]) -> Response {
    let accepted: Vec<&usize> = places
        .iter()
        .filter(|place| !unsent.contains(place))
        .collect();
    let problem = Problem::unavailable().with_detail("Send what is in pendentes again.");
    let mut response = Response::from(problem.clone());
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(&problem) {
        fields.insert("aceitos".to_owned(), json!(accepted));
        fields.insert("pendentes".to_owned(), json!(unsent));
        fields.insert("recusas".to_owned(), json!(body.recusas));
        response.body = Value::Object(fields).to_string();
    }
    response
}

fn count(topic: &str, body: &CollectedBody, unsent: usize) {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    if topic == EVENTS_TOPIC {
        metrics::count("EventsAccepted", number(body.aceitos));
        metrics::count("EventsRefused", number(body.recusados));
    } else {
        metrics::count("StockLevelsAccepted", number(body.aceitos));
        metrics::count("StockLevelsRefused", number(body.recusados));
    }
    metrics::count("NotSent", number(unsent));
}

impl Handler for CollectEvents {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.route.as_str() {
            "POST /eventos" => self.events(request).await,
            "POST /estoque" => self.stock(request).await,
            _ => Err(Problem::not_found("There is no such route")),
        }
    }
}
