//! A seeded stream of changes of customers, with all that goes wrong in such a stream, and the
//! plain model of what must be left of it.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::UtcMillis;
use serde_json::{Value, json};
use testkit::Random;

use crate::poison;

pub const PARTITIONS: i32 = 6;
const DAY_MS: i64 = 86_400_000;

/// A record as it is produced.
pub struct Sent {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp_ms: i64,
    /// The reason code under which it must be refused.
    pub refused: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub phone: String,
    pub region: String,
}

/// What is left of a customer: the highest version that was seen, and the row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    pub version: Option<i64>,
    pub row: Option<Row>,
}

#[derive(Default)]
pub struct Stream {
    pub sent: Vec<Sent>,
    pub left: BTreeMap<String, Left>,
    /// CPF, e-mail, address and id of everybody: these belong nowhere.
    pub never: BTreeSet<String>,
    /// Every name and phone that was ever sent.
    pub names_and_phones: BTreeSet<String>,
}

struct Customer {
    id: String,
    partition: i32,
    /// Its records come by several partitions, as after a repartitioning.
    moves: bool,
    /// It has `atualizado_em` instead of `versao`.
    by_time: bool,
    version: i64,
    /// What was sent of it, to come again.
    past: Vec<(i64, Value, Option<Row>)>,
}

/// Makes streams from a seed.
pub struct Maker {
    random: Random,
    customers: Vec<Customer>,
    clock_ms: i64,
    poisons: usize,
    stream: Stream,
}

impl Maker {
    /// `now_ms` is the clock of the consumer: the stream's own times lie before it.
    pub fn new(seed: u64, customers: usize, now_ms: i64) -> Self {
        let mut random = Random::new(seed);
        let customers = (0..customers).map(|number| Customer {
            id: format!("cli-{seed}-{number:05}-{}", word(&mut random, 6)),
            partition: partition(number),
            moves: number % 10 == 9,
            by_time: number % 4 == 1,
            version: 0,
            past: Vec::new(),
        });
        let customers = customers.collect();
        Self {
            random,
            customers,
            clock_ms: now_ms - DAY_MS,
            poisons: 0,
            stream: Stream::default(),
        }
    }

    /// The stream of so many records.
    pub fn stream(mut self, records: usize) -> Stream {
        while self.stream.sent.len() < records {
            let place = self.random.below(self.customers.len());
            self.step(place);
        }
        for customer in &self.customers {
            self.stream.never.insert(customer.id.clone());
        }
        self.stream
    }

    fn step(&mut self, place: usize) {
        let moves = self.customers[place].moves;
        match self.random.below(100) {
            0..50 => self.update(place, true),
            50..58 => self.again(place, 1),
            58..68 => {
                let back = 1 + self.random.below(5);
                self.again(place, back);
            }
            68..78 if !moves => self.tombstone(place),
            78..88 if !moves => self.update(place, false),
            88.. => self.poison(place),
            _ => self.update(place, true),
        }
    }

    fn update(&mut self, place: usize, agrees: bool) {
        let row = self.row();
        let customer = &mut self.customers[place];
        customer.version += 1;
        let version = match customer.by_time {
            true => self.clock_ms + customer.version,
            false => customer.version,
        };
        let tells_region = !self.random.percent(30);
        let region = row.region.clone();
        let mut value = json!({
            "id_cliente": customer.id,
            "nome": row.name,
            "telefone": spelled(&mut self.random, &row.phone),
            "consentimentos": match self.random.percent(50) {
                true => json!({"televendas": agrees, "sms": true}),
                false if agrees => json!(["sms", "televendas"]),
                false => json!(["sms"]),
            },
        });
        if customer.by_time {
            let updated = UtcMillis::new(version).unwrap();
            value["atualizado_em"] = json!(updated.to_string());
        } else {
            value["versao"] = json!(version);
        }
        if tells_region {
            value["regiao"] = json!(region);
        }
        self.with_other_data(&mut value);
        let row = agrees.then_some(row);
        self.customers[place]
            .past
            .push((version, value.clone(), row.clone()));
        self.send_change(place, version, &value, row);
    }

    /// What was sent so many changes ago comes once more.
    fn again(&mut self, place: usize, back: usize) {
        let past = &self.customers[place].past;
        let Some((version, value, row)) = past.iter().rev().nth(back - 1).cloned() else {
            return self.update(place, true);
        };
        self.send_change(place, version, &value, row);
    }

    fn tombstone(&mut self, place: usize) {
        let customer = &self.customers[place];
        let (id, partition) = (customer.id.clone(), customer.partition);
        let left = self.stream.left.entry(id.clone()).or_default();
        left.row = None;
        let key = match self.random.below(3) {
            0 => id,
            1 => json!(id).to_string(),
            _ => json!({ "id_cliente": id }).to_string(),
        };
        self.send(partition, Some(key.into_bytes()), None, None);
    }

    fn poison(&mut self, place: usize) {
        let row = self.row();
        let id = self.customers[place].id.clone();
        let mut value = json!({
            "id_cliente": id, "versao": 1_000_000, "nome": row.name, "telefone": row.phone,
            "regiao": row.region, "consentimentos": {"televendas": true},
        });
        self.with_other_data(&mut value);
        let now_ms = self.clock_ms + DAY_MS;
        let (key, value, refused) = poison::make(self.poisons, &id, value, now_ms);
        self.poisons += 1;
        let partition = self.customers[place].partition;
        self.send(partition, key, value, Some(refused));
    }

    fn send_change(&mut self, place: usize, version: i64, value: &Value, row: Option<Row>) {
        let customer = &self.customers[place];
        let partition = match customer.moves {
            true => partition(self.random.below(100)),
            false => customer.partition,
        };
        let id = customer.id.clone();
        let left = self.stream.left.entry(id.clone()).or_default();
        if left.version.is_none_or(|highest| version > highest) {
            *left = Left {
                version: Some(version),
                row,
            };
        }
        let value = value.to_string().into_bytes();
        self.send(partition, Some(id.into_bytes()), Some(value), None);
    }

    fn send(
        &mut self,
        partition: i32,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        refused: Option<&'static str>,
    ) {
        self.clock_ms += 1 + self.random.below(5);
        self.stream.sent.push(Sent {
            partition,
            key,
            value,
            timestamp_ms: self.clock_ms,
            refused,
        });
    }

    /// A name and a phone that nobody else has.
    fn row(&mut self) -> Row {
        const STATES: [(&str, &str); 4] = [("11", "SP"), ("21", "RJ"), ("71", "BA"), ("92", "AM")];
        let (area, state) = STATES[self.random.below(STATES.len())];
        let row = Row {
            name: format!(
                "Conceição {} {}",
                word(&mut self.random, 8),
                word(&mut self.random, 7)
            ),
            phone: format!("+55{area}9{:08}", self.random.below(100_000_000)),
            region: state.to_owned(),
        };
        let known = &mut self.stream.names_and_phones;
        known.insert(row.name.clone());
        known.insert(row.phone[3..].to_owned());
        row
    }

    /// What telesales must never see.
    fn with_other_data(&mut self, value: &mut Value) {
        let cpf = format!("{:011}", self.random.below(100_000_000_000_u64));
        let email = format!("{}@correio.example", word(&mut self.random, 10));
        let street = format!("Rua {}", word(&mut self.random, 12));
        let never = &mut self.stream.never;
        never.extend([cpf.clone(), email.clone(), street.clone()]);
        let (a, b, c, d) = (&cpf[..3], &cpf[3..6], &cpf[6..9], &cpf[9..]);
        never.insert(format!("{a}.{b}.{c}-{d}"));
        value["cpf"] = json!(cpf);
        value["email"] = json!(email);
        value["endereco"] = json!({"logradouro": street, "numero": 12});
    }
}

impl Stream {
    /// Names and phones of those whom telesales may still call.
    pub fn kept(&self) -> BTreeSet<String> {
        let rows = self.left.values().filter_map(|left| left.row.as_ref());
        rows.flat_map(|row| [row.name.clone(), row.phone[3..].to_owned()])
            .collect()
    }

    /// Values that must not be in database 2.
    pub fn not_in_database(&self) -> BTreeSet<String> {
        let kept = self.kept();
        let gone = self.names_and_phones.iter();
        let gone = gone.filter(|value| !kept.contains(*value));
        self.never.iter().chain(gone).cloned().collect()
    }

    /// Values that must not be anywhere else.
    pub fn personal(&self) -> BTreeSet<String> {
        let all = self.never.iter().chain(&self.names_and_phones);
        all.cloned().collect()
    }
}

fn partition(number: usize) -> i32 {
    i32::try_from(number).unwrap() % PARTITIONS
}

fn word(random: &mut Random, letters: usize) -> String {
    let letter = |_| char::from(b'a' + u8::try_from(random.below(26)).unwrap());
    (0..letters).map(letter).collect()
}

/// A phone in one of the spellings that sources have.
fn spelled(random: &mut Random, phone: &str) -> String {
    match random.below(3) {
        0 => phone.to_owned(),
        1 => format!("({}) {}-{}", &phone[3..5], &phone[5..10], &phone[10..]),
        _ => phone[3..].to_owned(),
    }
}
