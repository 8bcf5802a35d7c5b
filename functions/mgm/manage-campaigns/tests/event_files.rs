//! Every event file of manage-campaigns, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use domain::mgm::campaign::Loopback;
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use manage_campaigns::ManageCampaigns;
use serde_json::{Value, json};
use sql_store::{Store, Tx, values};
use testkit::{TestDatabase, databases, event_cases, event_text};

const FUNCTION: &str = "manage-campaigns";
/// The campaign that the event files name.
const NAMED: &str = "01K9Z7D4Q0CAMPANHA00000001";

struct Scene {
    handler: ManageCampaigns,
    store: Store,
    campaign: String,
    _database: TestDatabase,
}

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T12:00:00Z").unwrap()
}

impl Scene {
    /// A campaign from its event file, with a referral's reservation and a refusal.
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            sql_store::migrate::migrate(&store, now()).await.unwrap();
            let handler = ManageCampaigns::new(store.clone(), Loopback::Refused);
            let mut scene = Self {
                handler,
                store,
                campaign: NAMED.to_owned(),
                _database: database,
            };
            let (status, body) = scene.send("accepted-create").await;
            assert_eq!(status, 201, "{body}");
            scene.campaign = body["id_campanha"].as_str().unwrap().to_owned();
            scene.promise().await;
            scenes.push(scene);
        }
        scenes
    }

    async fn promise(&self) {
        let (store, id) = (&self.store, self.campaign.as_str());
        let statements = [
            "UPDATE campaigns SET reserved_centavos = 8001 WHERE id = ?",
            "INSERT INTO vouchers (id, code, kind, campaign_id, status, stackable, \
             budget_reserved_centavos, issued_ms, expires_ms, used_after_void, version, audit_hash) \
             VALUES ('V1', 'CODE', 'cupom_amigo', ?, 'emitido', 0, 5000, 0, 1, 0, 1, '')",
            "INSERT INTO refusals (campaign_id, order_id, promoter_id, friend_id, link_code, \
             cohort, reason, refused_ms) VALUES (?, 'o1', 'p1', 'p1', 'L', '2026-11', \
             'link_proprio', 0)",
        ];
        for sql in statements {
            store
                .transact(async |tx: &Tx| tx.execute(sql, values![id]).await)
                .await
                .unwrap();
        }
    }

    async fn send(&self, case: &str) -> (u64, Value) {
        self.send_text(&event_text(FUNCTION, case)).await
    }

    async fn send_text(&self, event: &str) -> (u64, Value) {
        let event = serde_json::from_str(&event.replace(NAMED, &self.campaign)).unwrap();
        let answer = http::answer(&self.handler, event, &Invocation::at(now())).await;
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    }
}

#[tokio::test]
async fn good_requests_are_answered_and_repeating_one_changes_nothing() {
    for scene in Scene::everywhere().await {
        let (status, shown) = scene.send("accepted-show").await;
        assert_eq!(
            (status, &shown["orcamento_reservado"]),
            (200, &json!("80.01"))
        );
        let (status, again) = scene.send("accepted-create").await;
        assert_eq!(
            (status, &again["id_campanha"]),
            (201, &json!(scene.campaign))
        );
        let (status, arrival) = scene.send("accepted-create-coupon-on-arrival").await;
        assert_eq!((status, &arrival["cupom_em"]), (201, &json!("chegada")));
        assert_eq!(
            arrival["desconto"],
            json!({"tipo": "valor", "valor": "25.00"})
        );
        let (status, list) = scene.send("accepted-list").await;
        assert_eq!((status, list["itens"].as_array().unwrap().len()), (200, 2));
        assert_eq!(list["tem_mais"], json!(false));
        let (status, changed) = scene.send("accepted-change-name-end-and-budget").await;
        assert_eq!((status, &changed["versao"]), (200, &json!(2)));
        assert_eq!(changed["orcamento"], json!("150000.00"));
        assert_eq!(changed["fim"], json!("2027-06-01T03:00:00.000Z"));
        assert_eq!(changed.get("limite_por_hora"), None);
        let (_, again) = scene.send("accepted-change-name-end-and-budget").await;
        assert_eq!(again, changed);
        let (_, paused) = scene.send("accepted-change-pause").await;
        assert_eq!(paused["status"], json!("pausada"));
        let (_, resumed) = scene.send("accepted-change-resume").await;
        assert_eq!(
            (&resumed["status"], &resumed["versao"]),
            (&json!("ativa"), &json!(4))
        );
        let (status, refusals) = scene.send("accepted-refusals").await;
        assert_eq!(status, 200);
        let expected = json!([{"id_pedido": "o1", "id_promotor": "p1", "id_amigo": "p1",
            "motivo": "link_proprio", "recusada_em": "1970-01-01T00:00:00.000Z"}]);
        assert_eq!(refusals["itens"], expected);
    }
}

/// Each bad request with its status and the fields that the answer names.
const REFUSED: [(&str, u64, &[&str]); 25] = [
    (
        "refused-change-budget-below-commitments",
        409,
        &["orcamento"],
    ),
    ("refused-change-end-before-start", 400, &["fim"]),
    ("refused-change-null-name", 400, &["nome"]),
    (
        "refused-change-reward-that-was-promised",
        409,
        &["desconto", "recompensa"],
    ),
    ("refused-change-unknown-campaign", 404, &["id"]),
    ("refused-create-budget-too-small", 400, &["orcamento"]),
    (
        "refused-create-empty",
        400,
        &[
            "desconto",
            "endereco_loja",
            "fim",
            "inicio",
            "nome",
            "orcamento",
            "recompensa",
            "validade_voucher_dias",
        ],
    ),
    (
        "refused-create-every-field-wrong",
        400,
        &[
            "aceita_comprador_existente",
            "carencia_dias",
            "compra_minima",
            "cumulativo",
            "cupom_em",
            "desconto.percentual",
            "desconto.teto",
            "endereco_loja",
            "fim",
            "inicio",
            "janela_atribuicao_dias",
            "limite_mensal_promotor",
            "limite_por_hora",
            "limite_total_promotor",
            "minimo_pedidos_concluidos",
            "nome",
            "orcamento",
            "recompensa",
            "status",
            "validade_voucher_dias",
        ],
    ),
    ("refused-create-name-too-long", 400, &["nome"]),
    ("refused-create-not-json", 400, &["body"]),
    ("refused-create-unknown-field", 400, &["body"]),
    (
        "refused-create-without-idempotency-key",
        400,
        &["Idempotency-Key"],
    ),
    ("refused-create-without-principal", 401, &[]),
    ("refused-funnel-unknown-campaign", 404, &["id"]),
    ("refused-list-made-up-cursor", 400, &["cursor"]),
    ("refused-list-page-too-large", 400, &["limite"]),
    ("refused-list-unknown-parameter", 400, &["pagina"]),
    ("refused-list-wrong-parameters", 400, &["status"]),
    ("refused-referrals-made-up-cursor", 400, &["cursor"]),
    ("refused-referrals-wrong-parameters", 400, &["id_promotor"]),
    ("refused-refusals-made-up-cursor", 400, &["cursor"]),
    ("refused-refusals-reason-too-long", 400, &["motivo"]),
    ("refused-refusals-unknown-campaign", 404, &["id"]),
    ("refused-show-unknown-campaign", 404, &["id"]),
    ("refused-trace-unknown-referral", 404, &["id"]),
];

#[tokio::test]
async fn bad_requests_name_what_is_wrong_and_write_nothing() {
    let listed: Vec<&str> = REFUSED.iter().map(|(case, ..)| *case).collect();
    let files = event_cases(FUNCTION);
    let refused: Vec<&String> = files
        .iter()
        .filter(|case| case.starts_with("refused-"))
        .collect();
    assert_eq!(refused, listed, "each file of a bad request is listed here");
    for scene in Scene::everywhere().await {
        let (_, before) = scene.send("accepted-list").await;
        for (case, expected, fields) in REFUSED {
            let (status, problem) = scene.send(case).await;
            assert_eq!(status, expected, "{case}: {problem}");
            let errors = problem["errors"].as_array().cloned().unwrap_or_default();
            let mut named: Vec<&str> = errors
                .iter()
                .filter_map(|error| error["field"].as_str())
                .collect();
            named.sort_unstable();
            assert_eq!(named, fields, "{case}");
            assert!(
                problem["type"]
                    .as_str()
                    .unwrap()
                    .starts_with("urn:feira:problem:")
            );
        }
        let (_, after) = scene.send("accepted-list").await;
        assert_eq!(before, after);
    }
}

#[tokio::test]
async fn an_idempotency_key_with_another_body_is_refused() {
    for scene in Scene::everywhere().await {
        let other = event_text(FUNCTION, "accepted-create").replace("Verão 2026", "Inverno 2026");
        let (status, problem) = scene.send_text(&other).await;
        let kind = json!("urn:feira:problem:idempotency-key-reused");
        assert_eq!((status, &problem["type"]), (422, &kind));
    }
}

#[tokio::test]
async fn an_ended_campaign_stays_ended() {
    for scene in Scene::everywhere().await {
        let end = event_text(FUNCTION, "accepted-change-pause").replace("pausada", "encerrada");
        assert_eq!(scene.send_text(&end).await.0, 200);
        let (status, problem) = scene.send("accepted-change-resume").await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (409, &json!("status"))
        );
    }
}
