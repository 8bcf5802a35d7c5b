//! `demo-eventos` through the real program: each event once in the lake however often it was told,
//! and though the program is killed again and again meanwhile.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Random;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/src/demo/sample");
/// Real orders beside the project; their licence keeps them out of it.
const REAL_ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/olist");
const FILE: &str = "eventos_clientes.ndjson";
const KILLS: usize = 20;
/// Events of the data set that is replayed between kills, where the real ones are not there.
const MADE_UP: usize = 6_000;
/// A life is this long at most, so that most end amid the work.
const LONGEST_LIFE_MS: usize = 2_000;

fn demonstration(state: &Path, data: &Path) -> Command {
    let mut command = Command::new(testkit::function_binaries().join("feira-local"));
    command
        .args(["--no-build", "--template", TEMPLATE, "--state-dir"])
        .arg(state)
        .args(["demo-eventos", "--json", "--data"])
        .arg(data)
        .env_remove("DATABASE_URL_LOCAL")
        .stdin(Stdio::null())
        .current_dir(state.parent().expect("a folder"));
    command
}

fn figures(state: &Path, data: &Path) -> Value {
    let output = demonstration(state, data).output().expect("runs");
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{told}");
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(&line).expect("one line of JSON")
}

/// What a file comes to, counted line by line: the figures, and how many lines there are.
fn counted(data: &Path) -> (Value, usize) {
    let text = fs::read_to_string(data.join(FILE)).expect("a file");
    let (mut ids, mut users) = (BTreeSet::new(), BTreeSet::new());
    let (mut events, mut by_kind) = (0, [0; 3]);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let id = event["id_evento"].as_str();
        if id.is_some_and(|id| !ids.insert(id.to_owned())) {
            continue;
        }
        events += 1;
        users.insert(event["id_usuario"].to_string());
        let kinds = ["clique", "carrinho", "compra"];
        if let Some(kind) = kinds.iter().position(|kind| event["tipo_evento"] == *kind) {
            by_kind[kind] += 1;
        }
    }
    let figures = json!({
        "eventos": events, "cliques": by_kind[0], "carrinhos": by_kind[1], "compras": by_kind[2],
        "usuarios": users.len(), "fila_morta": 0,
    });
    (figures, text.lines().count())
}

/// The figures without `duplicados`, and `duplicados`.
fn apart(mut figures: Value) -> (Value, i64) {
    let fields = figures.as_object_mut().expect("an object");
    let again = fields.remove("duplicados").expect("a figure");
    (figures, again.as_i64().expect("a number"))
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).expect("small")
}

#[test]
fn each_event_counts_once_though_each_record_comes_twice() {
    for data in [SAMPLE, REAL_ORDERS].map(Path::new) {
        if !data.exists() {
            eprintln!("no real orders beside the project: the sample stands alone");
            continue;
        }
        let here = TempDir::new().expect("a folder");
        let state = here.path().join("estado");
        let (right, lines) = counted(data);
        let distinct = usize::try_from(right["eventos"].as_u64().expect("a number"));
        let told_twice = lines - distinct.expect("small");
        let (found, again) = apart(figures(&state, data));
        assert_eq!(found, right);
        assert_eq!(again, whole(lines + told_twice));
        if data == Path::new(SAMPLE) {
            let (found, again) = apart(figures(&state, data));
            assert_eq!(found, right, "the second time it is the same");
            assert_eq!(again, whole(lines), "and only the repetition is told");
        }
    }
}

/// Events of a few hundred users, every seventh without an id.
fn made_up(folder: &Path) {
    let mut random = Random::new(7);
    let mut text = String::new();
    for number in 0..MADE_UP {
        let kind = ["clique", "clique", "clique", "carrinho", "compra", "busca"][random.below(6)];
        let mut event = json!({
            "id_usuario": format!("u{}", random.below(300)), "tipo_evento": kind,
            "id_produto": format!("p{}", random.below(50)), "id_evento": format!("e{number}"),
            "timestamp": format!("2026-05-{:02}T12:00:{:02}", number % 28 + 1, number % 60),
        });
        if number % 7 == 0 {
            event
                .as_object_mut()
                .expect("an object")
                .remove("id_evento");
        }
        text.push_str(&format!("{event}\n"));
    }
    fs::write(folder.join(FILE), text).expect("a file");
}

#[test]
fn twenty_deaths_at_random_moments_lose_nothing_and_count_nothing_twice() {
    let here = TempDir::new().expect("a folder");
    let state = here.path().join("estado");
    let mut data = Path::new(REAL_ORDERS);
    if !data.exists() {
        made_up(here.path());
        data = here.path();
    }
    let mut random = Random::new(20);
    let mut ended_by_itself = 0;
    for _ in 0..KILLS {
        let mut life = demonstration(&state, data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let length = Duration::from_millis(random.below(LONGEST_LIFE_MS) as u64);
        let begun = Instant::now();
        while begun.elapsed() < length && life.try_wait().expect("a status").is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        ended_by_itself += usize::from(life.try_wait().expect("a status").is_some());
        life.kill().expect("kills");
        life.wait().expect("a status");
    }
    assert!(ended_by_itself < KILLS / 2, "most died at work");
    let (right, lines) = counted(data);
    let (found, again) = apart(figures(&state, data));
    assert_eq!(found, right);
    assert!(again >= whole(lines), "each came once more: {again}");
}
