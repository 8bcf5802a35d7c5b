//! The files of a demonstration: customers, orders and deliveries, one JSON object a line.

use std::collections::HashMap;
use std::path::Path;

use domain::time::UtcMillis;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, OrFailure};

/// Every tenth customer is a promoter; the nine after each buy through its link.
const PROMOTER_STEP: usize = 10;

/// A made-up sample for those who bring no data.
const SAMPLE: [(&str, &str); 3] = [
    ("clientes.ndjson", include_str!("sample/clientes.ndjson")),
    ("pedidos.ndjson", include_str!("sample/pedidos.ndjson")),
    ("entregas.ndjson", include_str!("sample/entregas.ndjson")),
];

/// The sample's name, which is its folder's.
const SAMPLE_NAME: &str = "sample";
/// A campaign's name has at most 100 characters, and the folder's is only a part of it.
const LONGEST_NAME: usize = 60;

type Object = Map<String, Value>;

/// What is replayed.
#[derive(Debug)]
pub struct Data {
    /// The folder's name, which tells one data set from another.
    pub name: String,
    /// Customers in file order.
    pub customers: Vec<Customer>,
    /// Purchases of those who are no promoters, in the order of their approval.
    pub purchases: Vec<Purchase>,
    /// Completed deliveries.
    pub completions: Vec<Completion>,
}

/// A customer as the file has it, and its part in the demonstration.
#[derive(Debug)]
pub struct Customer {
    /// `id_cliente`.
    pub id: String,
    /// The whole record.
    pub record: Object,
    /// Consents to being a promoter.
    pub is_promoter: bool,
}

/// An order that becomes a purchase.
#[derive(Debug)]
pub struct Purchase {
    /// `id_pedido`.
    pub order_id: String,
    /// `id_cliente` of the friend.
    pub friend_id: String,
    /// `id_cliente` of the promoter whose link is used.
    pub promoter_id: String,
    /// `itens` as the file has them.
    pub items: Value,
    /// `aprovado_em` as the file has it.
    pub approved_at: String,
    /// It is cancelled right after.
    pub is_cancelled: bool,
}

/// A completed delivery.
#[derive(Debug)]
pub struct Completion {
    /// `id_cliente`.
    pub customer_id: String,
    /// `id_pedido`.
    pub order_id: String,
    /// The whole record.
    pub record: Object,
}

impl Data {
    /// Reads a folder, or the sample.
    ///
    /// # Errors
    /// Names the file and line that can't be read.
    pub fn read(folder: Option<&Path>) -> Result<Self, Failure> {
        let lines = |name: &str| match folder {
            Some(folder) => objects(name, &text(folder, name)?),
            None => {
                let sample = SAMPLE.iter().find(|(sample, _)| *sample == name);
                objects(name, sample.map_or("", |(_, text)| text))
            }
        };
        let customers = customers(lines("clientes.ndjson")?)?;
        let purchases = purchases(&customers, lines("pedidos.ndjson")?)?;
        let completions = lines("entregas.ndjson")?
            .into_iter()
            .enumerate()
            .map(|(line, record)| {
                Ok(Completion {
                    customer_id: text_field(&record, "id_cliente", "entregas.ndjson", line)?,
                    order_id: text_field(&record, "id_pedido", "entregas.ndjson", line)?,
                    record,
                })
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            name: name(folder)?,
            customers,
            purchases,
            completions,
        })
    }
}

impl Customer {
    /// The record of the topic `clientes`: promoters consent to that and to being called, the others
    /// to nothing.
    pub fn topic_record(&self) -> Value {
        let mut record = self.record.clone();
        record.entry("versao").or_insert_with(|| 1.into());
        record.insert(
            "consentimentos".to_owned(),
            json!({"mgm": self.is_promoter, "televendas": self.is_promoter}),
        );
        Value::Object(record)
    }
}

impl Purchase {
    /// The message of `pedidos`, bought through the link that `reference` names.
    pub fn message(&self, status: &str, reference: &str) -> Value {
        json!({
            "id_evento": format!("demo-{}-{status}", self.order_id),
            "id_pedido": self.order_id,
            "id_cliente": self.friend_id,
            "status": status,
            "ref": reference,
            "itens": self.items,
            "aprovado_em": self.approved_at,
        })
    }
}

impl Completion {
    /// The message of `viagens`.
    pub fn message(&self) -> Value {
        let mut record = self.record.clone();
        record.insert(
            "id_evento".to_owned(),
            format!("demo-{}-entrega", self.order_id).into(),
        );
        Value::Object(record)
    }
}

fn name(folder: Option<&Path>) -> Result<String, Failure> {
    let Some(folder) = folder else {
        return Ok(SAMPLE_NAME.to_owned());
    };
    let whole = folder
        .canonicalize()
        .or_mend(|| folder.display().to_string())?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let letters = name.chars().filter(|letter| !letter.is_control());
    Ok(letters.take(LONGEST_NAME).collect())
}

fn text(folder: &Path, name: &str) -> Result<String, Failure> {
    let path = folder.join(name);
    std::fs::read_to_string(&path).or_mend(|| {
        format!(
            "{} cannot be read: --data wants a folder with clientes.ndjson, pedidos.ndjson and \
             entregas.ndjson",
            path.display()
        )
    })
}

fn objects(name: &str, text: &str) -> Result<Vec<Object>, Failure> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(line, text)| {
            serde_json::from_str(text)
                .map_err(|_| Failure::mend(format!("{name}, line {}: no JSON object", line + 1)))
        })
        .collect()
}

fn text_field(record: &Object, field: &str, file: &str, line: usize) -> Result<String, Failure> {
    let text = record.get(field).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| {
        Failure::mend(format!(
            "{file}, line {}: the text {field} is missing",
            line + 1
        ))
    })
}

fn customers(records: Vec<Object>) -> Result<Vec<Customer>, Failure> {
    let with_places = records.into_iter().enumerate();
    with_places
        .map(|(place, record)| {
            Ok(Customer {
                id: text_field(&record, "id_cliente", "clientes.ndjson", place)?,
                record,
                is_promoter: place % PROMOTER_STEP == 0,
            })
        })
        .collect()
}

fn purchases(customers: &[Customer], orders: Vec<Object>) -> Result<Vec<Purchase>, Failure> {
    let places: HashMap<&str, usize> = customers
        .iter()
        .enumerate()
        .map(|(place, customer)| (customer.id.as_str(), place))
        .collect();
    let mut purchases = Vec::new();
    for (line, mut order) in orders.into_iter().enumerate() {
        let friend_id = text_field(&order, "id_cliente", "pedidos.ndjson", line)?;
        let order_id = text_field(&order, "id_pedido", "pedidos.ndjson", line)?;
        let Some(place) = places.get(friend_id.as_str()) else {
            continue;
        };
        let promoter = customers.get(place - place % PROMOTER_STEP);
        let approved_at = order
            .get("aprovado_em")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let items = order.remove("itens").unwrap_or_default();
        let has_items = items.as_array().is_some_and(|items| !items.is_empty());
        let (Some(promoter), Some(approved_at)) = (promoter, approved_at) else {
            continue;
        };
        if place % PROMOTER_STEP == 0 || !has_items {
            continue;
        }
        let approved = UtcMillis::parse(&approved_at).map_err(|invalid| {
            Failure::mend(format!(
                "pedidos.ndjson, line {}: aprovado_em {invalid}",
                line + 1
            ))
        })?;
        let status = order
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is_cancelled = matches!(
            status,
            "canceled" | "unavailable" | "cancelado" | "indisponivel"
        );
        let promoter_id = promoter.id.clone();
        let purchase = Purchase {
            order_id,
            friend_id,
            promoter_id,
            items,
            approved_at,
            is_cancelled,
        };
        purchases.push((approved, line, purchase));
    }
    purchases.sort_by_key(|(approved, line, _)| (*approved, *line));
    Ok(purchases
        .into_iter()
        .map(|(_, _, purchase)| purchase)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_promoters_purchases_cancellations_and_deliveries() {
        let data = Data::read(None).unwrap();
        assert!(
            data.customers
                .iter()
                .filter(|customer| customer.is_promoter)
                .count()
                >= 3
        );
        assert!(data.purchases.iter().any(|purchase| purchase.is_cancelled));
        assert!(data.purchases.len() >= 10 && data.completions.len() >= 5);
        assert!(
            data.purchases
                .is_sorted_by_key(|purchase| UtcMillis::parse(&purchase.approved_at).unwrap())
        );
    }

    #[test]
    fn a_data_set_is_called_like_its_folder() {
        let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/sample"));
        for folder in [None, Some(sample), Some(&sample.join("../sample"))] {
            assert_eq!(Data::read(folder).unwrap().name, "sample");
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in SAMPLE {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::write(
            folder.path().join("pedidos.ndjson"),
            "{\"id_pedido\": \"p\"}\n",
        )
        .unwrap();
        let failure = Data::read(Some(folder.path())).unwrap_err().to_string();
        assert!(failure.contains("pedidos.ndjson, line 1") && failure.contains("id_cliente"));
    }
}
