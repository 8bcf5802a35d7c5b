//! The shape of the workspace: arrows point down only, and a feature is found by its name
//! everywhere.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use sam_template::{Rule, Template};
use serde_json::Value;

/// What each crate of `shared/` may know; a function or service may know all of them but the tools.
const SHARED: [(&str, &[&str]); 20] = [
    ("domain", &[]),
    ("contracts", &["domain"]),
    ("files", &[]),
    ("warehouse", &["domain"]),
    (
        "sales-answers",
        &[
            "cold-start",
            "contracts",
            "domain",
            "files",
            "lake",
            "lambda-kit",
            "sql-store",
            "warehouse",
        ],
    ),
    ("lake", &["domain", "files"]),
    ("invocations", &[]),
    ("queues", &[]),
    ("secrets", &[]),
    ("sql-store", &["contracts", "domain"]),
    ("documents", &["domain", "secrets", "sql-store"]),
    ("lambda-kit", &["contracts", "domain"]),
    (
        "cold-start",
        &[
            "contracts",
            "domain",
            "files",
            "invocations",
            "lambda-kit",
            "queues",
            "secrets",
            "sql-store",
        ],
    ),
    (
        "consumer",
        &["contracts", "domain", "lambda-kit", "sql-store"],
    ),
    (
        "kafka-consumer",
        &[
            "cold-start",
            "consumer",
            "contracts",
            "domain",
            "kafka-settings",
            "lambda-kit",
            "secrets",
            "sql-store",
        ],
    ),
    ("kafka-settings", &[]),
    ("kafka-producer", &["kafka-settings"]),
    (
        "event-door",
        &[
            "cold-start",
            "contracts",
            "domain",
            "kafka-producer",
            "lambda-kit",
            "queues",
        ],
    ),
    ("sam-template", &[]),
    ("testkit", &[]),
];
/// Crates that no deployed binary may hold.
const TOOLS: [&str; 2] = ["sam-template", "testkit"];
/// What the domain may stand on: time zones, hashes, encodings, sketches and error texts, all pure.
const UNDER_DOMAIN: [&str; 7] = [
    "base64",
    "datasketches",
    "hmac",
    "jiff",
    "sha2",
    "thiserror",
    "url",
];
/// Words that would mean a clock, randomness or the outside world in the domain.
const NOT_IN_DOMAIN: [&str; 9] = [
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "async fn",
];
/// Of what is deployed, who may link what is heavy or speaks to one outside system.
const LINKED_BY: [(&str, &[&str]); 15] = [
    (
        "aws-config",
        &["cold-start", "files", "invocations", "queues", "secrets"],
    ),
    ("aws-sdk-lambda", &["invocations"]),
    ("aws-sdk-s3", &["files"]),
    ("aws-sdk-secretsmanager", &["secrets"]),
    ("aws-sdk-sqs", &["queues"]),
    (
        "sea-orm",
        &["feira-local", "queues", "sql-store", "testkit"],
    ),
    ("axum", &["kafka-consumer"]),
    ("parquet", &["lake"]),
    (
        "rdkafka",
        &["kafka-consumer", "kafka-producer", "kafka-settings"],
    ),
    ("tokio-postgres", &["warehouse"]),
    ("mongodb", &["documents"]),
    (
        "documents",
        &[
            "compact-lake",
            "feira-local",
            "ingest-customer-events",
            "run-command",
            "sync-customers",
        ],
    ),
    // No function reads Kafka by librdkafka: Lambda does that for them.
    ("kafka-consumer", &["telesales-consumer"]),
    // Who writes to Kafka carries librdkafka and its OpenSSL.
    ("kafka-producer", &["event-door", "publish-outbox"]),
    ("event-door", &["collect-events", "poll-stock"]),
];
/// Functions whose cold start must stay near a bare one: neither SQL nor an AWS client in them.
const LIGHT: [&str; 2] = ["api-docs", "authorize"];
/// Names that say nothing of what a file holds.
const EMPTY_NAMES: [&str; 5] = ["utils", "helpers", "manager", "common", "misc"];
const MAX_LINES: usize = 500;

/// A crate of the workspace and the names it depends on.
struct Package {
    name: String,
    /// Its folder from the root, such as `functions/mgm/redeem-voucher`.
    folder: String,
    normal: BTreeSet<String>,
    build: BTreeSet<String>,
    dev: BTreeSet<String>,
}

impl Package {
    fn is_deployed(&self) -> bool {
        let is_shared = self.folder.starts_with("shared/");
        self.is_function() || self.is_service() || is_shared && !TOOLS.contains(&self.name.as_str())
    }

    fn is_function(&self) -> bool {
        self.folder.starts_with("functions/")
    }

    /// A process of its own, for ECS or Kubernetes.
    fn is_service(&self) -> bool {
        self.folder.starts_with("services/")
    }
}

struct Workspace {
    packages: Vec<Package>,
    /// Name of a package → names of what it links, by what was resolved for this machine.
    links: BTreeMap<String, BTreeSet<String>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn workspace() -> Workspace {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let members: BTreeSet<&str> = texts(&metadata["workspace_members"]).collect();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| {
            (
                package["id"].as_str().unwrap(),
                package["name"].as_str().unwrap(),
            )
        })
        .collect();
    let mut links: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let linked = node["deps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dependency| {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                kinds.iter().any(|kind| kind["kind"].is_null())
            });
        let linked = linked.map(|dependency| names[dependency["pkg"].as_str().unwrap()].to_owned());
        links
            .entry(names[node["id"].as_str().unwrap()].to_owned())
            .or_default()
            .extend(linked);
    }
    let packages = packages
        .iter()
        .filter(|package| members.contains(package["id"].as_str().unwrap()))
        .map(package)
        .collect();
    Workspace { packages, links }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
}

fn package(package: &Value) -> Package {
    let of_kind = |kind: Option<&str>| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].as_str() == kind)
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap();
    Package {
        name: package["name"].as_str().unwrap().to_owned(),
        folder: folder.to_str().unwrap().to_owned(),
        normal: of_kind(None),
        build: of_kind(Some("build")),
        dev: of_kind(Some("dev")),
    }
}

/// Every file below a folder, target folders left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                found.extend(files(&path));
            }
        } else {
            found.push(path);
        }
    }
    found
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = files(&root().join(folder));
    found.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    found
}

#[test]
fn arrows_point_down() {
    let workspace = workspace();
    let ours: BTreeSet<&str> = workspace
        .packages
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let functions: BTreeSet<&str> = workspace
        .packages
        .iter()
        .filter(|package| package.is_function() || package.is_service())
        .map(|package| package.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let shared = SHARED.iter().find(|(name, _)| *name == package.name);
        let known: BTreeSet<&str> = package
            .normal
            .iter()
            .map(String::as_str)
            .filter(|name| ours.contains(name))
            .collect();
        if package.folder.starts_with("shared/") {
            let Some((_, allowed)) = shared else {
                wrong.push(format!("{}: give it a row in SHARED", package.name));
                continue;
            };
            let up = known.iter().filter(|name| !allowed.contains(name));
            wrong.extend(up.map(|name| format!("{} → {name}", package.name)));
        } else if package.is_function() || package.is_service() {
            let up = known
                .iter()
                .filter(|name| functions.contains(*name) || TOOLS.contains(name));
            wrong.extend(up.map(|name| format!("{} → {name}", package.name)));
        } else if package.name != "bench" && package.name != "bundle-tests" {
            // The local bundle and the tools start functions as processes and link none; the fault
            // simulation calls their handlers.
            let up = known.iter().filter(|name| functions.contains(*name));
            wrong.extend(up.map(|name| format!("{} → {name}", package.name)));
        }
        let other: Vec<&String> = package.build.iter().chain(&package.dev).collect();
        let function = other
            .iter()
            .filter(|name| functions.contains(name.as_str()));
        if package.name != "bundle-tests" && package.name != "bench" {
            wrong.extend(function.map(|name| format!("{} → {name} (build or test)", package.name)));
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that point up or sideways: {wrong:#?}"
    );
}

#[test]
fn the_domain_is_pure() {
    let workspace = workspace();
    let domain = workspace
        .packages
        .iter()
        .find(|package| package.name == "domain")
        .unwrap();
    let under: Vec<&String> = domain
        .normal
        .iter()
        .filter(|name| !UNDER_DOMAIN.contains(&name.as_str()))
        .collect();
    assert!(under.is_empty(), "the domain stands on {under:?}");
    for path in sources("shared/domain/src") {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in NOT_IN_DOMAIN {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}

#[test]
fn heavy_crates_are_linked_only_where_they_are_spoken() {
    let workspace = workspace();
    let mut wrong = Vec::new();
    for (heavy, allowed) in LINKED_BY {
        for package in workspace.packages.iter().filter(|one| one.is_deployed()) {
            let linked = package.normal.contains(heavy) || package.build.contains(heavy);
            if linked && !allowed.contains(&package.name.as_str()) {
                wrong.push(format!("{} → {heavy}", package.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "go through the crate that speaks it: {wrong:#?}"
    );
}

#[test]
fn light_functions_link_neither_sql_nor_an_aws_client() {
    let workspace = workspace();
    for light in LIGHT {
        let mut linked = BTreeSet::new();
        let mut open = vec![light.to_owned()];
        while let Some(name) = open.pop() {
            for next in workspace.links.get(&name).into_iter().flatten() {
                if linked.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        assert!(
            linked.contains("lambda_runtime"),
            "{light} links no lambda_runtime"
        );
        for heavy in [
            "sea-orm",
            "sqlx-core",
            "aws-config",
            "aws-smithy-runtime",
            "sql-store",
        ] {
            assert!(!linked.contains(heavy), "{light} links {heavy}");
        }
    }
}

#[test]
fn functions_crates_events_and_template_name_each_other() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let findings = sam_template::check(&template);
    let told: Vec<String> = findings
        .iter()
        .filter(|finding| matches!(finding.rule, Rule::Crate | Rule::Events))
        .map(ToString::to_string)
        .collect();
    assert!(told.is_empty(), "{told:#?}");
    for package in workspace()
        .packages
        .iter()
        .filter(|package| package.is_function())
    {
        let last = package.folder.rsplit('/').next().unwrap();
        assert_eq!(
            package.name, last,
            "a function's crate is named as its folder"
        );
    }
}

#[test]
fn files_stay_short_and_their_names_say_something() {
    let mut wrong = Vec::new();
    for folder in [
        "bench",
        "functions",
        "local",
        "services",
        "shared",
        "tests",
        "xtask",
    ] {
        for path in sources(folder) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            if lines > MAX_LINES {
                wrong.push(format!("{name} has {lines} lines, at most {MAX_LINES}"));
            }
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if EMPTY_NAMES.contains(&stem) {
                wrong.push(format!("{name} says nothing"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
