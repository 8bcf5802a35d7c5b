//! Answers GET /metricas/tempo-real: what happens in the shop now.

use std::collections::HashMap;
use std::sync::Mutex;

use contracts::live::{
    ConversionBody, EventsBody, LiveMetricsBody, MinuteBody, SoldBody, UsersBody, ViewedBody,
    hundredths, reais,
};
use domain::{
    events::{Minute, Window},
    live::Users,
    time::UtcMillis,
};
use lambda_kit::{
    Problem,
    http::{Handler, Request, Response},
};
use sha2::{Digest, Sha256};
use sql_store::{
    Store,
    events::live::{LiveFigures, Sold, fold, read},
};

/// An answer is given again for so long, by this instance and by caches.
const FRESH_MS: i64 = 2_000;
/// Products of the ranking.
const RANKED: usize = 5;

/// The handler of /metricas/tempo-real.
pub struct LiveMetrics {
    store: Store,
    answers: Mutex<HashMap<Window, Answer>>,
}

#[derive(Clone)]
struct Answer {
    made: UtcMillis,
    body: String,
    etag: String,
}

impl LiveMetrics {
    /// Figures are read from `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            answers: Mutex::default(),
        }
    }

    async fn answer(&self, window: Window, now: UtcMillis) -> Result<Answer, Problem> {
        if let Some(known) = self.known(window, now) {
            return Ok(known);
        }
        let store_problem = |error| cold_start::store_problem(&error);
        let figures = read(&self.store, window, now)
            .await
            .map_err(store_problem)?;
        // Cheap where there is nothing to do; a failure costs the next reader time and no figure.
        if let Err(error) = fold(&self.store, now).await {
            tracing::warn!(%error, "parts of live figures were not put together");
        }
        let body = body(window, &figures, now);
        let answer = Answer {
            made: now,
            etag: etag(&body)?,
            body: text(&body)?,
        };
        if let Ok(mut answers) = self.answers.lock() {
            answers.insert(window, answer.clone());
        }
        Ok(answer)
    }

    fn known(&self, window: Window, now: UtcMillis) -> Option<Answer> {
        let answers = self.answers.lock().ok()?;
        let answer = answers.get(&window)?;
        let age_ms = now.get() - answer.made.get();
        (0..FRESH_MS).contains(&age_ms).then(|| answer.clone())
    }
}

impl Handler for LiveMetrics {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&["janela"])?;
        let window = request.query_parameter("janela").unwrap_or("5m");
        let window =
            Window::parse(window).map_err(|invalid| Problem::field("janela", invalid.rule))?;
        let answer = self.answer(window, request.now).await?;
        let response = if request.knows(&answer.etag) {
            Response::empty(304)
        } else {
            Response::text(200, "application/json", answer.body)
        };
        Ok(response
            .with_header(
                "cache-control",
                format!("private, max-age={}", FRESH_MS / 1_000),
            )
            .with_header("etag", answer.etag))
    }
}

fn text(body: &LiveMetricsBody) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(|_| Problem::internal())
}

/// Of the figures, whenever they were looked at: time that merely passed is no news.
fn etag(body: &LiveMetricsBody) -> Result<String, Problem> {
    let figures = LiveMetricsBody {
        calculado_em: String::new(),
        atraso_s: None,
        ..body.clone()
    };
    let digest = Sha256::digest(text(&figures)?.as_bytes());
    let hex: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("\"{hex}\""))
}

fn body(window: Window, figures: &LiveFigures, now: UtcMillis) -> LiveMetricsBody {
    let whole = &figures.whole;
    let minutes = u64::from(window.minutes());
    let sold = figures
        .minutes
        .iter()
        .fold(Sold::default(), |sum, minute| Sold {
            orders: sum.orders + minute.sold.orders,
            revenue_centavos: sum.revenue_centavos + minute.sold.revenue_centavos,
        });
    let per_minute = |count: u64| hundredths(count, minutes).unwrap_or_default();
    LiveMetricsBody {
        janela: format!("{minutes}m"),
        desde: time_of(window.first(now)),
        calculado_em: now.to_string(),
        usuarios_ativos: whole.active.estimate().into(),
        eventos: EventsBody {
            total: whole.counts.events,
            cliques: whole.counts.clicks,
            carrinhos: whole.counts.carts,
            compras: whole.counts.purchases,
            por_minuto: per_minute(whole.counts.events),
        },
        vendas: SoldBody {
            pedidos: sold.orders,
            pedidos_por_minuto: per_minute(sold.orders.unsigned_abs()),
            receita: reais(sold.revenue_centavos),
            receita_por_minuto: reais(sold.revenue_centavos / i64::from(window.minutes())),
        },
        conversao: conversion(&whole.clicked, &whole.carted, &whole.bought),
        mais_vistos: whole
            .views
            .top(RANKED)
            .into_iter()
            .map(|ranked| ViewedBody {
                id_produto: ranked.product,
                visualizacoes: ranked.least,
                no_maximo: ranked.most,
            })
            .collect(),
        minutos: figures
            .minutes
            .iter()
            .map(|minute| MinuteBody {
                inicio: time_of(minute.minute),
                eventos: minute.counts.events,
                cliques: minute.counts.clicks,
                carrinhos: minute.counts.carts,
                compras: minute.counts.purchases,
                pedidos: minute.sold.orders,
                receita: reais(minute.sold.revenue_centavos),
            })
            .collect(),
        evento_mais_novo: figures.newest.map(|newest| newest.to_string()),
        atraso_s: figures
            .newest
            .map(|newest| (now.get() - newest.get()).max(0) / 1_000),
        atrasados: figures.late,
    }
}

fn conversion(clicked: &Users, carted: &Users, bought: &Users) -> ConversionBody {
    let [clicked, carted, bought] =
        [clicked, carted, bought].map(|users| UsersBody::from(users.estimate()));
    let percent = |part: UsersBody, whole: UsersBody| hundredths(part.total * 100, whole.total);
    ConversionBody {
        clicaram: clicked,
        puseram_no_carrinho: carted,
        compraram: bought,
        clique_carrinho: percent(carted, clicked),
        carrinho_compra: percent(bought, carted),
        clique_compra: percent(bought, clicked),
    }
}

fn time_of(minute: Minute) -> String {
    UtcMillis::new(minute.start_ms()).map_or_else(|_| String::new(), |time| time.to_string())
}
