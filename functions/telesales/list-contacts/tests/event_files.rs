//! Every event file of list-contacts, on every database that there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use contracts::changes::Change;
use domain::changes::{Place, Stamp};
use domain::identity::CustomerId;
use domain::personal::{PersonName, Phone, Region};
use domain::pseudonym::PseudonymKey;
use domain::telesales::{Contact, HOURLY_CONTACTS, LEASE_MS, OPEN_CLAIMS};
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use list_contacts::ListContacts;
use serde_json::{Value, json};
use sql_store::migrate::{TELESALES, migrate_by};
use sql_store::projection::ProjectionTable;
use sql_store::{Store, StoreError, Tx, telesales::CONSUMER, values};
use testkit::{HttpCall, TestDatabase, databases, event, event_cases};

const FUNCTION: &str = "list-contacts";

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-20T15:04:05Z").unwrap()
}

struct Scene {
    function: ListContacts,
    store: Store,
    _database: TestDatabase,
}

fn change(customer: &str, region: &str) -> Change<Contact> {
    Change {
        customer: CustomerId::parse(customer).unwrap(),
        stamp: Stamp {
            version: Some(1),
            place: Place {
                partition: 0,
                offset: 0,
                recorded: now(),
            },
        },
        row: Some(Contact {
            name: PersonName::parse(customer).unwrap(),
            phone: Phone::parse("11 96416-6764").unwrap(),
            region: Region::parse(region).unwrap(),
        }),
    }
}

impl Scene {
    /// Three customers of São Paulo, cli-ana among them, and one of Rio, all with one phone.
    async fn everywhere() -> Vec<Self> {
        let mut scenes = Vec::new();
        for database in databases().await {
            let store = Store::open(database.url()).await.unwrap();
            migrate_by(&store, &TELESALES, now()).await.unwrap();
            let customers = [
                ("cli-ana", "SP"),
                ("cli-bia", "SP"),
                ("cli-caio", "SP"),
                ("cli-rio", "RJ"),
            ];
            let changes = customers.map(|(customer, region)| change(customer, region));
            let scene = Self {
                function: ListContacts::new(store.clone()),
                store,
                _database: database,
            };
            scene.apply(&changes).await;
            scenes.push(scene);
        }
        scenes
    }

    async fn apply(&self, changes: &[Change<Contact>]) {
        let key = PseudonymKey::new(&[9; 32]).unwrap();
        let table = ProjectionTable::new(self.store.clone(), key, CONSUMER);
        table.apply(changes, now()).await.unwrap();
    }

    async fn answer_at(&self, event: Value, at: UtcMillis) -> (i64, Value, Value) {
        let answer = http::answer(&self.function, event, &Invocation::at(at)).await;
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let status = answer["statusCode"].as_i64().unwrap();
        (status, body, answer["headers"].clone())
    }

    async fn send(&self, case: &str) -> (i64, Value) {
        let (status, body, _) = self.answer_at(event(FUNCTION, case), now()).await;
        (status, body)
    }

    async fn count(&self, table: &str) -> usize {
        let sql = format!("SELECT * FROM {table}");
        let work = async |tx: &Tx| tx.all::<Value>(&sql, values![]).await;
        let rows = self.store.transact::<_, StoreError, _>(work).await;
        rows.unwrap().len()
    }
}

#[tokio::test]
async fn contacts_of_a_region_are_listed_page_by_page_and_every_look_is_logged() {
    for scene in Scene::everywhere().await {
        let (status, first) = scene.send("accepted-list").await;
        assert_eq!((status, &first["tem_mais"]), (200, &json!(true)));
        let cursor = first["proximo"].as_str().unwrap();
        let mut next = event(FUNCTION, "accepted-list");
        next["queryStringParameters"]["cursor"] = json!(cursor);
        let (_, second, _) = scene.answer_at(next, now()).await;
        assert_eq!(second["tem_mais"], false);
        let pages = [&first, &second].map(|page| page["itens"].as_array().unwrap().clone());
        let all = pages.concat();
        let mut names: Vec<&str> = all.iter().map(|c| c["nome"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["cli-ana", "cli-bia", "cli-caio"]);
        for contact in &all {
            assert_eq!(contact["telefone"], "+5511964166764");
            assert_eq!(contact.as_object().unwrap().len(), 4, "{contact}");
        }
        assert_eq!(scene.count("access_log").await, 3);
    }
}

#[tokio::test]
async fn a_claim_is_one_agents_until_its_lease_is_over() {
    for scene in Scene::everywhere().await {
        let (status, claim) = scene.send("accepted-claim").await;
        assert_eq!(status, 200, "{claim}");
        let until = now().plus_millis(LEASE_MS);
        assert_eq!(claim["reservado_ate"], until.to_string());
        let (status, problem) = scene.send("accepted-claim-of-another-agent").await;
        let claimed = json!("urn:feira:problem:contact-claimed");
        assert_eq!((status, &problem["type"]), (409, &claimed));
        let mut foreign = event(FUNCTION, "accepted-outcome");
        foreign["requestContext"]["authorizer"]["lambda"]["sub"] = json!("agente-8");
        let (status, problem, _) = scene.answer_at(foreign, now()).await;
        assert_eq!((status, &problem["type"]), (409, &claimed));
        for _ in 0..2 {
            let (status, outcome) = scene.send("accepted-outcome").await;
            assert_eq!((status, &outcome["resultado"]), (200, &json!("retornar")));
        }
        let (status, _) = scene.send("accepted-claim-of-another-agent").await;
        assert_eq!(status, 200);
        let (status, problem, _) = scene
            .answer_at(event(FUNCTION, "accepted-outcome"), until)
            .await;
        let lapsed = json!("urn:feira:problem:contact-not-claimed");
        assert_eq!((status, &problem["type"]), (409, &lapsed));
    }
}

#[tokio::test]
async fn a_call_that_ended_for_good_is_not_claimed_again_and_claims_are_few() {
    for scene in Scene::everywhere().await {
        scene.send("accepted-claim").await;
        let mut sale = event(FUNCTION, "accepted-outcome");
        sale["body"] = json!(json!({"resultado": "venda"}).to_string());
        assert_eq!(scene.answer_at(sale, now()).await.0, 200);
        let (status, problem) = scene.send("accepted-claim").await;
        let ended = json!("urn:feira:problem:contact-ended");
        assert_eq!((status, &problem["type"]), (409, &ended));
        let until = now().plus_millis(1);
        for number in 0..OPEN_CLAIMS {
            let sql = "INSERT INTO calls (subject, agent, claimed_until_ms) VALUES (?, ?, ?)";
            let keys = values![format!("outro-{number}"), "agente-8", until.get()];
            let work = async |tx: &Tx| tx.execute(sql, keys.clone()).await;
            scene
                .store
                .transact::<_, StoreError, _>(work)
                .await
                .unwrap();
        }
        let sql = "UPDATE calls SET outcome = 'retornar' WHERE outcome = 'venda'";
        let work = async |tx: &Tx| tx.execute(sql, values![]).await;
        scene
            .store
            .transact::<_, StoreError, _>(work)
            .await
            .unwrap();
        let (status, problem) = scene.send("accepted-claim-of-another-agent").await;
        let many = json!("urn:feira:problem:too-many-claims");
        assert_eq!((status, &problem["type"]), (409, &many));
    }
}

#[tokio::test]
async fn who_asked_not_to_be_called_is_no_contact_any_more() {
    for scene in Scene::everywhere().await {
        scene.send("accepted-claim").await;
        let (status, _) = scene.send("accepted-outcome-do-not-call").await;
        assert_eq!(status, 200);
        let (status, _) = scene.send("accepted-claim").await;
        assert_eq!(status, 404);
        // The phone is marked, whoever else has it.
        let (_, page) = scene.send("accepted-list").await;
        assert_eq!(page["itens"], json!([]));
    }
}

#[tokio::test]
async fn who_withdraws_consent_during_the_call_may_say_never_again_too() {
    for scene in Scene::everywhere().await {
        scene.send("accepted-claim").await;
        let mut withdrawal = change("cli-ana", "SP");
        withdrawal.stamp.version = Some(2);
        withdrawal.row = None;
        scene.apply(&[withdrawal]).await;
        let (status, problem) = scene.send("accepted-outcome").await;
        let field = &problem["errors"][0]["field"];
        assert_eq!((status, field), (404, &json!("id")));
        for _ in 0..2 {
            let (status, told) = scene.send("accepted-outcome-do-not-call").await;
            assert_eq!((status, &told["resultado"]), (200, &json!("nao_ligar")));
        }
        let (_, page) = scene.send("accepted-list").await;
        assert_eq!(page["itens"], json!([]), "nobody else with this phone");
    }
}

#[tokio::test]
async fn an_agent_sees_no_more_than_an_hour_allows() {
    for scene in Scene::everywhere().await {
        let hour = now().get() - now().get().rem_euclid(3_600_000);
        let sql = "INSERT INTO agent_hours (agent, hour_ms, contacts) VALUES ('agente-7', ?, ?)";
        let seen = i64::from(HOURLY_CONTACTS) - 1;
        let work = async |tx: &Tx| tx.execute(sql, values![hour, seen]).await;
        scene
            .store
            .transact::<_, StoreError, _>(work)
            .await
            .unwrap();
        let (status, page) = scene.send("accepted-list").await;
        assert_eq!((status, page["itens"].as_array().unwrap().len()), (200, 1));
        let (status, _, headers) = scene
            .answer_at(event(FUNCTION, "accepted-list"), now())
            .await;
        assert_eq!((status, &headers["retry-after"]), (429, &json!("3355")));
        let later = now().plus_millis(3_600_000);
        let (status, ..) = scene
            .answer_at(event(FUNCTION, "accepted-list"), later)
            .await;
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn every_refused_request_names_its_field_and_changes_nothing() {
    for scene in Scene::everywhere().await {
        for case in event_cases(FUNCTION) {
            let (status, field) = match case.as_str() {
                "refused-region" | "refused-region-missing" => (400, "regiao"),
                "refused-page-size" => (400, "limite"),
                "refused-cursor" => (400, "cursor"),
                "refused-unknown-parameter" => (400, "nome"),
                "refused-agent-in-body" | "refused-unknown-field" | "refused-json" => (400, "body"),
                "refused-outcome-free-text" | "refused-outcome-missing" => (400, "resultado"),
                "refused-contact" => (404, "id"),
                other => {
                    assert!(other.starts_with("accepted-"), "{other}");
                    continue;
                }
            };
            let (answered, problem) = scene.send(&case).await;
            let named = &problem["errors"][0]["field"];
            assert_eq!(
                (answered, named),
                (status, &json!(field)),
                "{case}: {problem}"
            );
            assert!(!problem.to_string().contains("mãe"), "{problem}");
        }
        for table in [
            "access_log",
            "calls",
            "agent_hours",
            "phone_leases",
            "claimed_phones",
        ] {
            assert_eq!(scene.count(table).await, 0, "{table}");
        }
    }
}

#[tokio::test]
async fn without_a_fitting_token_nobody_is_an_agent() {
    let scene = Scene::everywhere().await.remove(0);
    let list = HttpCall::of("GET /televendas/contatos");
    for call in [list.clone(), list.token_of("a b", "televendas")] {
        let (status, ..) = scene.answer_at(call.event(), now()).await;
        assert_eq!(status, 401);
    }
}
