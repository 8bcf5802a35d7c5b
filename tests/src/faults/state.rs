//! The state of a shop in words that two runs share: random ids and codes are replaced by what they
//! stand for.

use std::collections::{BTreeMap, BTreeSet};

use domain::mgm::audit::{self, Head, StoredLink};
use serde_json::Value;

use super::shop::Process;

/// Table, and the columns in which two right runs may differ.
const TABLES: [(&str, &[&str]); 18] = [
    ("campaigns", &[]),
    ("customers", &[]),
    ("promoters", &[]),
    ("promoter_months", &[]),
    ("clicks", &["id"]),
    ("link_visits", &[]),
    ("purchases", &[]),
    ("trip_legs", &[]),
    ("referrals", &["audit_hash"]),
    ("refusals", &[]),
    ("vouchers", &["audit_hash"]),
    ("order_vouchers", &[]),
    ("audit_log", &["previous_hash", "hash"]),
    ("audit_anchors", &["previous_hash", "hash"]),
    ("handled_messages", &[]),
    ("idempotency_keys", &["fingerprint"]),
    (
        "job_runs",
        &["attempt", "started_ms", "leased_until_ms", "finished_ms"],
    ),
    ("job_pauses", &[]),
];

/// Every table of the business, row by row, and every domain event that arrived or waits.
///
/// # Panics
/// When the database or the queue can't be read.
pub async fn dump(process: &Process) -> Vec<String> {
    let names = names(process).await;
    let mut lines = Vec::new();
    for (table, left_out) in TABLES {
        for row in process.rows(&format!("SELECT * FROM {table}")).await {
            let mut row = match row {
                Value::Object(row) => row,
                other => panic!("{table} has a row {other}"),
            };
            for column in left_out {
                assert!(row.remove(*column).is_some(), "{table} has no {column}");
            }
            // Its ledger row counts what the last attempt anchored; the anchors are compared.
            if row.get("job") == Some(&"mgm_anchor_audit".into()) {
                row.remove("counts");
            }
            lines.push(format!("{table} {}", named(&Value::Object(row), &names)));
        }
    }
    lines.extend(events(process, &names).await);
    let replayed = process.replayed().await.into_iter();
    lines.extend(replayed.map(|body| format!("replayed {body}")));
    lines.sort();
    lines
}

/// Each event once, however often it arrived; two ids for one change would make two lines.
async fn events(process: &Process, names: &BTreeMap<String, String>) -> Vec<String> {
    let mut all = BTreeMap::new();
    for row in process.rows("SELECT id, payload FROM outbox").await {
        let body: Value = serde_json::from_str(text(&row, "payload")).unwrap();
        all.insert(text(&row, "id").to_owned(), body);
    }
    for mut body in process.arrived().await {
        let id = body.as_object_mut().unwrap().remove("id_evento").unwrap();
        all.insert(id.as_str().unwrap().to_owned(), body);
    }
    let lines = all.into_values();
    lines
        .map(|mut body| {
            body.as_object_mut().unwrap().remove("id_evento");
            format!("event {}", named(&body, names))
        })
        .collect()
}

/// Texts with their random ids and codes replaced by what these stand for.
///
/// # Panics
/// When the database can't be read.
pub async fn renamed(process: &Process, texts: Vec<String>) -> Vec<String> {
    let names = names(process).await;
    texts.into_iter().map(|text| rename(text, &names)).collect()
}

/// What random ids and codes stand for.
async fn names(process: &Process) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let links = "SELECT link_code, campaign_id, customer_id FROM promoters";
    for row in process.rows(links).await {
        let name = format!(
            "link({},{})",
            text(&row, "campaign_id"),
            text(&row, "customer_id")
        );
        names.insert(text(&row, "link_code").to_owned(), name);
    }
    for row in process.rows("SELECT id, order_id FROM referrals").await {
        let name = format!("referral({})", text(&row, "order_id"));
        names.insert(text(&row, "id").to_owned(), name);
    }
    let vouchers = "SELECT id, code, kind, referral_id, link_code, visitor FROM vouchers";
    for row in process.rows(vouchers).await {
        let of = match row["link_code"].as_str() {
            Some(link) => format!("{},{}", known(link, &names), text(&row, "visitor")),
            None => known(text(&row, "referral_id"), &names),
        };
        let of = format!("{},{of}", text(&row, "kind"));
        names.insert(text(&row, "id").to_owned(), format!("voucher({of})"));
        let code = text(&row, "code");
        names.insert(code.to_owned(), format!("code({of})"));
        // Check characters as they stand in a query.
        let query = code
            .replace('~', "%7E")
            .replace('$', "%24")
            .replace('=', "%3D");
        names.insert(query, format!("code({of})"));
    }
    names
}

fn known(id: &str, names: &BTreeMap<String, String>) -> String {
    names.get(id).cloned().unwrap_or_else(|| id.to_owned())
}

fn named(row: &Value, names: &BTreeMap<String, String>) -> String {
    rename(row.to_string(), names)
}

fn rename(mut line: String, names: &BTreeMap<String, String>) -> String {
    for (id, name) in names {
        if line.contains(id.as_str()) {
            line = line.replace(id.as_str(), name);
        }
    }
    line
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column]
        .as_str()
        .unwrap_or_else(|| panic!("{column} of {row}"))
}

fn number(row: &Value, column: &str) -> i64 {
    row[column]
        .as_i64()
        .unwrap_or_else(|| panic!("{column} of {row}"))
}

/// What holds whatever happened; panics where it does not.
///
/// # Panics
/// Where the budget, the limits, the vouchers or a chain are wrong.
pub async fn assert_sound(process: &Process) {
    assert_budget(process).await;
    for (table, entity) in [("referrals", "indicacao"), ("vouchers", "voucher")] {
        assert_chained(process, table, entity).await;
    }
    assert!(process.audit_is_whole().await, "the audit is broken");
    assert_limits(process).await;
    assert_once(process).await;
}

async fn assert_budget(process: &Process) {
    let mut held: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in process.rows("SELECT * FROM referrals").await {
        let of = held
            .entry(text(&row, "campaign_id").to_owned())
            .or_default();
        of.0 += number(&row, "reward_reserved_centavos");
    }
    for row in process.rows("SELECT * FROM vouchers").await {
        let of = held
            .entry(text(&row, "campaign_id").to_owned())
            .or_default();
        of.0 += number(&row, "budget_reserved_centavos");
        if text(&row, "status") == "usado" {
            of.1 += number(&row, "discount_centavos");
        }
    }
    for row in process.rows("SELECT * FROM campaigns").await {
        let (reserved, spent) = held.get(text(&row, "id")).copied().unwrap_or_default();
        assert_eq!(
            number(&row, "reserved_centavos"),
            reserved,
            "what the rows hold"
        );
        assert_eq!(number(&row, "spent_centavos"), spent, "what was settled");
        assert!(
            reserved + spent <= number(&row, "budget_centavos"),
            "the budget"
        );
    }
}

async fn assert_limits(process: &Process) {
    let mut living: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in process.rows("SELECT * FROM referrals").await {
        assert_eq!(
            text(&row, "slot") == "active",
            text(&row, "status") != "anulada",
            "{row}"
        );
        if text(&row, "slot") == "active" {
            let promoter = (
                text(&row, "campaign_id").to_owned(),
                text(&row, "promoter_id").to_owned(),
            );
            *living.entry(promoter).or_default() += 1;
        }
    }
    for table in ["promoters", "promoter_months"] {
        let mut counted: BTreeMap<(String, String), i64> = BTreeMap::new();
        for row in process.rows(&format!("SELECT * FROM {table}")).await {
            let promoter = (
                text(&row, "campaign_id").to_owned(),
                text(&row, "customer_id").to_owned(),
            );
            *counted.entry(promoter).or_default() += number(&row, "accepted");
        }
        counted.retain(|_, accepted| *accepted != 0);
        assert_eq!(counted, living, "{table}.accepted");
    }
}

/// One voucher a referral and kind, and a promoter's one exactly where the referral was rewarded.
async fn assert_once(process: &Process) {
    let mut seen = BTreeSet::new();
    let mut rewarded = BTreeSet::new();
    for row in process
        .rows("SELECT * FROM vouchers WHERE referral_id IS NOT NULL")
        .await
    {
        let place = (
            text(&row, "referral_id").to_owned(),
            text(&row, "kind").to_owned(),
        );
        if place.1 == "voucher_promotor" {
            rewarded.insert(place.0.clone());
        }
        assert!(seen.insert(place), "two vouchers of one kind: {row}");
    }
    for row in process.rows("SELECT * FROM referrals").await {
        let has = rewarded.contains(text(&row, "id"));
        assert_eq!(has, !row["rewarded_ms"].is_null(), "{row}");
    }
}

async fn assert_chained(process: &Process, table: &str, entity: &str) {
    let sql =
        format!("SELECT * FROM audit_log WHERE entity = '{entity}' ORDER BY entity_id, version");
    let mut heads: BTreeMap<String, (Head, String, i64)> = BTreeMap::new();
    for link in process.rows(&sql).await {
        let id = text(&link, "entity_id");
        let before = heads
            .get(id)
            .map_or_else(Head::none, |(head, ..)| head.clone());
        let stored = StoredLink {
            previous_hash: text(&link, "previous_hash"),
            entity: text(&link, "entity"),
            id,
            version: number(&link, "version"),
            changed_ms: number(&link, "changed_ms"),
            event: text(&link, "event"),
            details: text(&link, "details"),
        };
        let hash = text(&link, "hash");
        let head = audit::follow(&before, &stored, hash)
            .unwrap_or_else(|broken| panic!("{entity} {id}: {broken:?}"));
        heads.insert(id.to_owned(), (head, hash.to_owned(), stored.version));
    }
    for row in process
        .rows(&format!("SELECT id, version, audit_hash FROM {table}"))
        .await
    {
        let (_, hash, version) = &heads[text(&row, "id")];
        assert_eq!(
            (text(&row, "audit_hash"), number(&row, "version")),
            (hash.as_str(), *version)
        );
    }
}
