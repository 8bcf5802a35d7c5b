//! The demonstration through the real program: right figures, the same ones the second time, and no
//! personal value of the run anywhere but in database 1 and the topic that brought it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use queues::{EmbeddedQueues, embedded_queue_url};
use sam_template::Template;
use serde_json::{Value, json};
use sql_store::{Store, StoreError, Tx, values};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/src/demo/sample");
const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
/// Real orders beside the project; their licence keeps them out of it.
const REAL_ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/olist");

fn feira(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(testkit::function_binaries().join("feira-local"));
    let here = state.parent().expect("a folder");
    let own = here.join("template.yaml");
    let template = if own.exists() {
        own.as_path()
    } else {
        Path::new(TEMPLATE)
    };
    command
        .args(["--no-build", "--verbose", "--template"])
        .arg(template)
        .arg("--state-dir")
        .arg(state)
        .args(arguments)
        .env_remove("DATABASE_URL_LOCAL")
        .stdin(Stdio::null())
        .current_dir(here);
    command
}

/// Runs the command and gives standard output and both outputs together.
fn printed(mut command: Command) -> (String, String) {
    let output = command.output().expect("runs");
    let (out, err) = (
        String::from_utf8(output.stdout),
        String::from_utf8(output.stderr),
    );
    let (out, err) = (out.expect("UTF-8"), err.expect("UTF-8"));
    assert!(output.status.success(), "{err}");
    let both = format!("{out}{err}");
    (out, both)
}

fn demonstration(state: &Path, data: &Path) -> Value {
    let data = data.to_str().expect("UTF-8");
    let (out, _) = printed(feira(state, &["demo", "--json", "--data", data]));
    serde_json::from_str(out.trim()).expect("one line of JSON")
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).expect("a file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The right figures, worked out from the files alone.
fn right_figures(folder: &Path) -> Value {
    let customers = lines(folder, "clientes.ndjson");
    let places: BTreeMap<&str, usize> = customers
        .iter()
        .enumerate()
        .map(|(place, c)| (c["id_cliente"].as_str().unwrap(), place))
        .collect();
    let mut orders = lines(folder, "pedidos.ndjson");
    orders.retain(|order| {
        order["aprovado_em"].is_string()
            && order["itens"]
                .as_array()
                .is_some_and(|items| !items.is_empty())
            && !places[order["id_cliente"].as_str().unwrap()].is_multiple_of(10)
    });
    orders.sort_by_key(|order| order["aprovado_em"].as_str().unwrap().to_owned());
    let delivered: BTreeSet<String> = lines(folder, "entregas.ndjson")
        .iter()
        .map(|delivery| delivery["id_pedido"].as_str().unwrap().to_owned())
        .collect();
    let mut referred = BTreeSet::new();
    let (mut voided, mut vouchers) = (0, 0);
    for order in &orders {
        let friend = order["id_cliente"].as_str().unwrap();
        if referred.contains(friend) {
            continue;
        }
        if matches!(order["status"].as_str(), Some("canceled" | "unavailable")) {
            voided += 1;
            continue;
        }
        referred.insert(friend);
        vouchers += usize::from(delivered.contains(order["id_pedido"].as_str().unwrap()));
    }
    json!({
        "promotores": customers.len().div_ceil(10),
        "indicacoes": referred.len(),
        "cupons": referred.len(),
        "anuladas": voided,
        "vouchers": vouchers,
        "fila_morta": 0,
    })
}

#[test]
fn the_sample_gives_the_right_figures_and_the_same_ones_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("estado");
    let right = right_figures(Path::new(SAMPLE));
    let (_, shown) = printed(feira(&state, &["demo", "--data", SAMPLE]));
    for step in ["customers", "links", "clicks", "purchases", "deliveries"] {
        let begins = format!("{step}: ");
        let lines = shown.lines().filter(|line| line.starts_with(&begins));
        assert!(lines.count() >= 2, "no beginning and end of {step}");
    }
    assert_eq!(demonstration(&state, Path::new(SAMPLE)), right);
    assert_eq!(demonstration(&state, Path::new(SAMPLE)), right);
    let other = another_data_set(folder.path());
    assert_eq!(demonstration(&state, &other), right_figures(&other));
    assert_eq!(demonstration(&state, Path::new(SAMPLE)), right);
    let customers = lines(Path::new(SAMPLE), "clientes.ndjson");
    let may_hold = ["banco1.sqlite", "banco2.sqlite", "kafka.sqlite"];
    search_files(&personal_values(&customers), &state, &may_hold);
    search_database_2(&customers, &state);
}

/// The sample's first twenty customers under names and orders of their own.
fn another_data_set(folder: &Path) -> PathBuf {
    let other = folder.join("outros");
    std::fs::create_dir(&other).expect("a folder");
    let sample = Path::new(SAMPLE);
    let customers = lines(sample, "clientes.ndjson");
    let first: Vec<&Value> = customers
        .iter()
        .take(20)
        .map(|c| &c["id_cliente"])
        .collect();
    for name in ["clientes.ndjson", "pedidos.ndjson", "entregas.ndjson"] {
        let mut text = String::new();
        for mut line in lines(sample, name) {
            if !first.contains(&&line["id_cliente"]) {
                continue;
            }
            for field in ["id_cliente", "id_pedido"] {
                if let Some(id) = line[field].as_str() {
                    line[field] = json!(format!("outro-{id}"));
                }
            }
            text.push_str(&format!("{line}\n"));
        }
        std::fs::write(other.join(name), text).expect("a file");
    }
    other
}

#[test]
fn real_orders_give_the_right_figures_even_when_it_is_killed_on_the_way() {
    let orders = Path::new(REAL_ORDERS);
    if !orders.is_dir() {
        eprintln!("no real orders beside the project: the sample's test stands alone");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("estado");
    let mut killed = feira(&state, &["demo", "--data", REAL_ORDERS]);
    let mut killed = killed
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    std::thread::sleep(Duration::from_secs(25));
    killed.kill().expect("ends");
    killed.wait().expect("ended");
    let right = json!({
        "promotores": 621, "indicacoes": 4690, "cupons": 4690, "anuladas": 321, "vouchers": 3406,
        "fila_morta": 0,
    });
    assert_eq!(right_figures(orders), right);
    assert_eq!(demonstration(&state, orders), right);
}

/// As a company has it: a password whose letters must be escaped in a URL.
const PASSWORD: &str = "s@nha/d3 pr%va";
const ESCAPED_PASSWORD: &str = "s%40nha%2Fd3%20pr%25va";

/// A user of the server whose password is [`PASSWORD`], dropped at the end.
struct Company {
    store: Store,
    user: String,
}

impl Company {
    async fn of(database: &testkit::MariaDb) -> Self {
        let store = Store::open(database.url()).await.expect("opens");
        let (_, name) = database.url().rsplit_once('/').expect("a name");
        let company = Self {
            store,
            user: format!("empresa_{name}"),
        };
        let user = &company.user;
        company
            .execute(&format!(
                "CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'"
            ))
            .await;
        company
            .execute(&format!("GRANT ALL ON {name}.* TO '{user}'@'%'"))
            .await;
        company
    }

    async fn execute(&self, sql: &str) {
        let work = async |tx: &Tx| tx.execute(sql, values![]).await;
        let done = self.store.transact::<_, StoreError, _>(work).await;
        done.expect("the server does it");
    }

    /// `DATABASE_URL_LOCAL` as it stands in the company's file.
    fn url(&self, database: &testkit::MariaDb) -> String {
        let (_, place) = database.url().rsplit_once('@').expect("a host");
        format!(
            "mysql+aiomysql://{}:{ESCAPED_PASSWORD}@{place}?charset=utf8mb4",
            self.user
        )
    }

    /// Every row that a demonstration makes.
    async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in [
            "customers",
            "campaigns",
            "promoters",
            "clicks",
            "purchases",
            "trip_legs",
            "referrals",
            "refusals",
            "vouchers",
            "audit_log",
            "outbox",
        ] {
            let sql = format!("SELECT * FROM {table}");
            let work = async |tx: &Tx| tx.all::<Value>(&sql, values![]).await;
            let found = self.store.transact::<_, StoreError, _>(work).await;
            let found = found.expect("the table is there");
            rows.extend(found.iter().map(|row| format!("{table} {row}")));
        }
        rows.sort();
        rows
    }
}

#[tokio::test]
async fn a_companys_mysql_url_in_dotenv_runs_migrate_and_the_demonstration() {
    let Some(database) = testkit::mariadb().await else {
        return;
    };
    let company = Company::of(&database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("estado");
    let write = |url: &str| {
        let dotenv = format!("DATABASE_URL_LOCAL={url}\n");
        std::fs::write(folder.path().join(".env"), dotenv).expect("a file");
    };
    std::fs::copy(TEMPLATE, folder.path().join("template.yaml")).expect("copies");
    let right = company.url(&database);
    let (_, name) = database.url().rsplit_once('/').expect("a name");
    for (url, mending) in [
        (
            right.replace(ESCAPED_PASSWORD, "x"),
            "user or password refused",
        ),
        (
            right.replace(&format!("/{name}?"), "/mysql?"),
            "has no rights on it",
        ),
        (format!("{}x", database.url()), "CREATE DATABASE name"),
    ] {
        write(&url);
        let refused = feira(&state, &["migrate"]).output().expect("runs");
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(told.contains(mending), "{told}");
    }
    write(&right);

    let (first, mut outputs) = printed(feira(&state, &["migrate"]));
    assert!(first.starts_with("MySQL 127.0.0.1:"), "{first}");
    assert!(first.contains(": migrated: "), "{first}");
    let (second, both) = printed(feira(&state, &["migrate"]));
    assert!(second.trim_end().ends_with(": up to date"), "{second}");
    outputs.push_str(&both);

    let right = right_figures(Path::new(SAMPLE));
    let mut rows = Vec::new();
    for _ in 0..2 {
        let (out, both) = printed(feira(&state, &["demo", "--json"]));
        outputs.push_str(&both);
        let figures: Value = serde_json::from_str(out.trim()).expect("one line of JSON");
        assert_eq!(figures, right);
        rows.push(company.rows().await);
    }
    assert!(rows[0].len() > 100, "only {} rows", rows[0].len());
    assert_eq!(rows[0], rows[1], "the second run changes nothing");
    assert!(!state.join("banco1.sqlite").exists(), "MySQL is database 1");
    for secret in [PASSWORD, ESCAPED_PASSWORD] {
        assert!(!outputs.contains(secret), "the password was shown");
    }
    company
        .execute(&format!("DROP USER '{}'@'%'", company.user))
        .await;
}

/// Every personal value of the customers, in the spellings that might turn up.
fn personal_values(customers: &[Value]) -> Vec<String> {
    let mut values = Vec::new();
    for customer in customers {
        for field in ["nome", "cpf", "email", "telefone"] {
            values.push(customer[field].as_str().expect("a text").to_owned());
        }
        let cpf = customer["cpf"].as_str().expect("a text");
        values.push(format!(
            "{}.{}.{}-{}",
            &cpf[..3],
            &cpf[3..6],
            &cpf[6..9],
            &cpf[9..]
        ));
        values.push(customer["telefone"].as_str().expect("a text")[3..].to_owned());
    }
    values
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test]
async fn no_personal_value_leaves_database_and_topic() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("estado");
    let customers = lines(Path::new(SAMPLE), "clientes.ndjson");
    let mut outputs = String::new();

    // Records and messages that can't be read, full of what must not be seen.
    let mut broken = customers[1].clone();
    broken["regiao"] = json!("XX");
    let records = folder.path().join("clientes.ndjson");
    std::fs::write(&records, broken.to_string()).expect("a file");
    let messages = folder.path().join("pedidos.ndjson");
    let email = &customers[2]["email"];
    let poison =
        json!({"id_cliente": "c", "id_pedido": 7, "email": email, "nome": customers[2]["nome"]});
    let status = json!({"id_cliente": "c", "id_pedido": "p", "status": customers[3]["nome"]});
    std::fs::write(&messages, format!("{poison}\n{status}")).expect("a file");
    let records = records.to_str().expect("UTF-8");
    let messages = messages.to_str().expect("UTF-8");
    for arguments in [
        &["produce", "clientes", "--key", "id_cliente", records][..],
        &["send", "PedidosQueue", messages],
        &["send", "ViagensQueue", messages],
        &["demo", "--json"],
    ] {
        outputs.push_str(&printed(feira(&state, arguments)).1);
    }
    let figures: Value = outputs
        .lines()
        .rev()
        .find_map(|line| {
            serde_json::from_str::<Value>(line)
                .ok()
                .filter(|v| v["promotores"].is_number())
        })
        .expect("the figures");
    assert_eq!(
        figures["fila_morta"], 6,
        "a record of both its readers, and two messages in each queue"
    );

    let values = personal_values(&customers);
    search(&values, "the output", outputs.as_bytes());
    // A message that was handled may leave its bytes in the queue file's free pages, and these were
    // sent with what no message may hold: here the messages that are left count.
    let may_hold = [
        "banco1.sqlite",
        "banco2.sqlite",
        "kafka.sqlite",
        "filas.sqlite",
    ];
    search_files(&values, &state, &may_hold);
    search_database_2(&customers, &state);
    let queues = EmbeddedQueues::open(&state.join("filas.sqlite"))
        .await
        .expect("a file");
    let template = Template::read(Path::new(TEMPLATE)).expect("a template");
    let mut letters = 0;
    for queue in template.queues.iter().filter(|queue| queue.present) {
        let left = queues
            .peek(&embedded_queue_url(&queue.name), 1_000)
            .await
            .expect("a queue");
        letters += left.len();
        for message in left {
            search(&values, &queue.name, message.body.as_bytes());
        }
    }
    assert!(letters > 5, "only {letters} messages were searched");
}

fn search(values: &[String], place: &str, content: &[u8]) {
    for value in values {
        let found = content
            .windows(value.len())
            .any(|window| window == value.as_bytes());
        assert!(!found, "{place} holds a personal value");
    }
}

/// Database 2 holds names and phones of promoters, who agreed to be called, and of nobody anything
/// else, in any byte of its files.
fn search_database_2(customers: &[Value], state: &Path) {
    let agreed = customers.iter().step_by(10);
    let known: Vec<&str> = agreed
        .flat_map(|customer| [&customer["nome"], &customer["telefone"]])
        .map(|value| value.as_str().expect("a text"))
        .collect();
    let mut values = personal_values(customers);
    values.retain(|value| !known.iter().any(|known| known.contains(value)));
    let mut all = Vec::new();
    for path in files_below(state) {
        let name = path.file_name().expect("a name").to_string_lossy();
        if name.starts_with("banco2.sqlite") {
            all.extend(std::fs::read(&path).expect("a file"));
        }
    }
    search(&values, "database 2", &all);
    let holds = |value: &str| {
        all.windows(value.len())
            .any(|window| window == value.as_bytes())
    };
    assert!(known.iter().all(|value| holds(value)), "nobody is there");
}

/// Searches every file of the state folder but those that begin with one of `may_hold`.
fn search_files(values: &[String], state: &Path, may_hold: &[&str]) {
    let mut searched = 0;
    for path in files_below(state) {
        let name = path
            .file_name()
            .expect("a name")
            .to_str()
            .expect("UTF-8")
            .to_owned();
        if !may_hold.iter().any(|file| name.starts_with(file)) {
            let content = std::fs::read(&path).expect("a file");
            searched += content.len();
            search(values, &name, &content);
        }
    }
    assert!(searched > 20_000, "only {searched} bytes were searched");
}
