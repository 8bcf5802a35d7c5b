//! Every field of telesales' routes, over a database 2 with a contact.

use domain::identity::CustomerId;
use domain::pseudonym::PseudonymKey;
use domain::time::UtcMillis;
use lambda_kit::{Invocation, http};
use list_contacts::ListContacts;
use serde_json::{Value, json};
use sql_store::migrate::{TELESALES, migrate_by};
use sql_store::{Store, StoreError, Tx, values};

use crate::fields::{Case, broken_bodies, in_body, paging};
use crate::shop::{Answer, BEGIN_MS, Call, SECRET, dump};

const LIST: &str = "GET /televendas/contatos";
const CLAIM: &str = "POST /televendas/contatos/{id}/claims";
const OUTCOME: &str = "POST /televendas/contatos/{id}/outcomes";

/// Of the customer `ana`.
fn contact() -> String {
    let key = PseudonymKey::new(&[7; 32]).unwrap();
    let ana = CustomerId::parse("ana").unwrap();
    key.of_customer(&ana).unwrap().to_string()
}

pub fn cases() -> Vec<Case> {
    let list = Call::agent(LIST).query("regiao", "SP");
    let mut cases = paging(&list);
    cases.push(Case::new(Call::agent(LIST), "regiao", "missing"));
    for region in ["", "XX", "São Paulo", "SP,RJ", "SP ", "11", SECRET] {
        let call = Call::agent(LIST).query("regiao", region);
        cases.push(Case::new(call, "regiao", region));
    }
    for name in ["nome", "telefone", "agente", "Regiao"] {
        cases.push(Case::new(list.clone().query(name, SECRET), name, "unknown"));
    }
    for id in ["x", "' OR 1=1 --", "../../x", &"9".repeat(500), "é", SECRET] {
        let claim = Call::agent(CLAIM).path("id", id);
        cases.push(Case::new(claim, "id", id).status(404));
        let outcome = Call::agent(OUTCOME).path("id", id);
        let outcome = outcome.json(&json!({"resultado": "venda"}));
        cases.push(Case::new(outcome, "id", id).status(404));
    }
    let claim = Call::agent(CLAIM).path("id", &contact());
    let bodies = broken_bodies(&claim);
    // Nothing has to be said, so nothing may be.
    cases.extend(bodies.into_iter().skip(1));
    let for_another = claim.json(&json!({"agente": SECRET}));
    cases.push(Case::new(for_another, "body", "names another agent"));
    let outcome = Call::agent(OUTCOME).path("id", &contact());
    let good = json!({"resultado": "venda"});
    let words: Vec<(&str, Option<Value>)> = vec![
        ("missing", None),
        ("null", Some(Value::Null)),
        ("number", Some(json!(7))),
        ("list", Some(json!(["venda"]))),
        ("object", Some(json!({"venda": true}))),
        ("empty", Some(json!(""))),
        ("other case", Some(json!("Venda"))),
        ("with a blank", Some(json!(" venda"))),
        ("free text", Some(json!(format!("ligar para {SECRET}")))),
        ("huge", Some(json!("venda".repeat(10_000)))),
    ];
    cases.extend(in_body(&outcome, &good, "resultado", &words));
    cases.extend(broken_bodies(&outcome));
    let noted = json!({"resultado": "venda", "observacao": SECRET});
    cases.push(Case::new(outcome.json(&noted), "body", "free text beside"));
    cases
}

#[tokio::test]
async fn every_wrong_field_of_telesales_gets_a_problem_and_nothing_is_written() {
    for database in testkit::databases().await {
        let now = UtcMillis::new(BEGIN_MS).unwrap();
        let store = Store::open(database.url()).await.expect("opens");
        migrate_by(&store, &TELESALES, now).await.unwrap();
        let sql = "INSERT INTO contacts (subject, version, recorded_ms, changed_ms, deleted, name, \
                   phone, region, phone_mark) VALUES (?, 1, 0, ?, 0, 'Ana', '+5511964166764', 'SP', \
                   'm')";
        let all = values![contact(), now.get()];
        let work = async |tx: &Tx| tx.execute(sql, all.clone()).await.map(|_| ());
        store.transact::<_, StoreError, _>(work).await.unwrap();
        let function = ListContacts::new(store.clone());
        let before = dump(&store).await;
        let mut wrong = Vec::new();
        for case in cases() {
            let event = case.call.event.clone();
            let answer = http::answer(&function, event, &Invocation::at(now)).await;
            let answer = Answer::of(&answer);
            let mut complaints = answer.complaints(case.status);
            if !answer.named().contains(&case.field) {
                complaints.push("the field is not named");
            }
            if !complaints.is_empty() {
                let (what, status, body) = (&case.what, answer.status, &answer.body);
                wrong.push(format!(
                    "{what:.200}: {complaints:?} in {status} {body:.300}"
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{}: {}",
            database.label(),
            wrong.join("\n")
        );
        assert_eq!(dump(&store).await, before);
    }
}
