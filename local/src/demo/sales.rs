//! `demo-vendas`: a file of sales into the bucket, twice, and the answers about it over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Method;
use serde::Serialize;
use serde_json::Value;

use crate::client::Client;
use crate::failure::{Failure, OrFailure};
use crate::progress::while_it_runs;
use crate::project::Project;
use crate::terminal;

/// A made-up sample for those who bring no data.
const SAMPLE: &str = include_str!("sample/vendas.csv");
const FILE: &str = "vendas.csv";
/// The function that the file is for.
const LOADER: &str = "load-sales";
const GROUPINGS: [&str; 5] = ["produto", "regiao", "categoria", "dia", "mes"];
/// Groups of one page of an answer.
const PAGE: usize = 1_000;
/// How long a load may take.
const PATIENCE: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(200);

/// What the command line says about the demonstration.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DemoSalesArgs {
    /// Folder with vendas.csv (id_pedido, id_produto, quantidade, preco, data and optional regiao,
    /// categoria); without it a small made-up sample.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print the result as one line of JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// The line of `--json`, in this order. A region has quantity, revenue in centavos and orders.
#[derive(Serialize)]
struct Line {
    linhas: u64,
    quantidade: i64,
    receita_centavos: i64,
    pedidos: u64,
    quarentena: u64,
    por_regiao: BTreeMap<String, [i64; 3]>,
}

/// Loads the file and asks about it. Running it again on the same state changes nothing.
///
/// # Errors
/// A sentence that says what to mend, or which step failed.
pub async fn run(project: Arc<Project>, options: &DemoSalesArgs) -> Result<(), Failure> {
    let (name, content) = read(options.data.as_deref()).await?;
    let work = async |client: Client| {
        let file = BucketFile::of(&client, &name)?;
        let mut report = Value::Null;
        // The second time it is a new version with the same content: nothing may change.
        for time in ["first", "second"] {
            let what = format!("the {time} load of {name}/{FILE}");
            let load = async { file.load(&client, &content).await };
            report = while_it_runs(&what, load).await?;
        }
        line(&client, &report).await
    };
    let line = super::on_instance(project, work).await?;
    terminal::note(&format!(
        "{} lines, {} units, {} orders, {} lines in quarantine, {} regions",
        line.linhas,
        line.quantidade,
        line.pedidos,
        line.quarentena,
        line.por_regiao.len()
    ));
    if options.json {
        let line = serde_json::to_string(&line).or_work(|| "the result".to_owned())?;
        terminal::answer(&line);
    }
    Ok(())
}

/// The data set's name and its file.
async fn read(folder: Option<&Path>) -> Result<(String, Vec<u8>), Failure> {
    let Some(folder) = folder else {
        return Ok(("sample".to_owned(), SAMPLE.into()));
    };
    let path = folder.join(FILE);
    let content = tokio::fs::read(&path)
        .await
        .or_mend(|| path.display().to_string())?;
    let name = folder.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name);
    let name = name.map_or_else(|| "dados".into(), |name| name.to_string_lossy());
    Ok((name.into_owned(), content))
}

/// Where the file goes: below the prefix that starts the loader.
struct BucketFile {
    bucket: PathBuf,
    key: String,
}

impl BucketFile {
    fn of(client: &Client, name: &str) -> Result<Self, Failure> {
        let loader = client.function(LOADER)?;
        let sources = &client.project().bundle.folder_sources;
        let source = sources.iter().find(|source| source.function == loader);
        let source = source.ok_or_else(|| Failure::mend(format!("{LOADER} reads no bucket")))?;
        let files = client.project().state.path().join("arquivos");
        Ok(Self {
            bucket: files.join(&source.bucket),
            key: format!("{}demonstracao/{name}.csv", source.prefix),
        })
    }

    /// Puts the file and waits for the report of its load.
    async fn load(&self, client: &Client, content: &[u8]) -> Result<Value, Failure> {
        let before = self.reports().await;
        let path = self.bucket.join(&self.key);
        let cannot = || path.display().to_string();
        let folder = path.parent().unwrap_or(&self.bucket);
        tokio::fs::create_dir_all(folder).await.or_work(cannot)?;
        // A name that begins with a dot is no object: the file comes whole.
        let partial = folder.join(".parcial");
        tokio::fs::write(&partial, content).await.or_work(cannot)?;
        tokio::fs::rename(&partial, &path).await.or_work(cannot)?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for id in self.reports().await.difference(&before) {
                let report = ask(client, &format!("/cargas/{id}")).await?.0;
                let ours = text(&report, "arquivo") == self.key;
                if ours && report.get("terminada_em").is_some() {
                    return loaded(report);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::work(format!(
            "{} was not loaded within {} minutes",
            self.key,
            PATIENCE.as_secs() / 60
        )))
    }

    /// The loads that have a report.
    async fn reports(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let Ok(mut folder) = tokio::fs::read_dir(self.bucket.join("relatorios")).await else {
            return found;
        };
        while let Ok(Some(entry)) = folder.next_entry().await {
            if entry.path().join("relatorio.json").exists() {
                found.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        found
    }
}

fn loaded(report: Value) -> Result<Value, Failure> {
    match text(&report, "situacao") {
        "carregada" => Ok(report),
        other => {
            let reason = text(&report, "motivo");
            Err(Failure::work(format!("the file is {other}: {reason}")))
        }
    }
}

/// Asks for every group of every grouping: they must come to the same.
async fn line(client: &Client, report: &Value) -> Result<Line, Failure> {
    let mut totals = BTreeSet::new();
    let mut by_region = BTreeMap::new();
    for grouping in GROUPINGS {
        let (mut quantity, mut centavos) = (0, 0);
        for group in groups(client, grouping).await? {
            let sums = [
                number(&group, "total_vendido")?,
                amount(&group)?,
                number(&group, "pedidos")?,
            ];
            quantity += sums[0];
            centavos += sums[1];
            if grouping == "regiao" {
                let region = group.get("regiao").and_then(Value::as_str);
                by_region.insert(region.unwrap_or("-").to_owned(), sums);
            }
        }
        totals.insert((quantity, centavos));
    }
    let (Some((quantity, centavos)), true) = (totals.pop_first(), totals.is_empty()) else {
        return Err(Failure::work("the groupings do not come to the same"));
    };
    let count = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or_default();
    Ok(Line {
        linhas: count(report.get("linhas_aceitas")),
        quantidade: quantity,
        receita_centavos: centavos,
        pedidos: count(report.get("pedidos")),
        quarentena: count(report.pointer("/quarentena/total")),
        por_regiao: by_region,
    })
}

/// Every page of an answer.
async fn groups(client: &Client, grouping: &str) -> Result<Vec<Value>, Failure> {
    let first = format!("/vendas/resumo?agrupar_por={grouping}&limite={PAGE}");
    let mut groups = Vec::new();
    let mut cursor = None;
    loop {
        let path = match &cursor {
            None => first.clone(),
            Some(cursor) => format!("{first}&cursor={cursor}"),
        };
        let (page, next) = ask(client, &path).await?;
        groups.extend(page.as_array().into_iter().flatten().cloned());
        match next {
            None => return Ok(groups),
            next => cursor = next,
        }
    }
}

/// An answer and the cursor of the next page.
async fn ask(client: &Client, path: &str) -> Result<(Value, Option<String>), Failure> {
    let token = client.token("demonstracao", &["vendas:read"])?;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let answer = client
        .request_with(Method::GET, path, &headers, Vec::new())
        .await?;
    if !answer.status.is_success() {
        let told = answer.json();
        return Err(Failure::work(format!(
            "GET {path} answered {}: {told}",
            answer.status
        )));
    }
    let next = answer.headers.get("x-proximo-cursor");
    let next = next.and_then(|cursor| cursor.to_str().ok());
    Ok((answer.json(), next.map(str::to_owned)))
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    let value = object.get(field).and_then(Value::as_str);
    value.unwrap_or_default()
}

fn number(group: &Value, field: &str) -> Result<i64, Failure> {
    let number = group.get(field).and_then(Value::as_i64);
    number.ok_or_else(|| Failure::work(format!("a group has no {field}")))
}

/// `receita` in centavos.
fn amount(group: &Value) -> Result<i64, Failure> {
    let digits: String = text(group, "receita").split('.').collect();
    digits.parse().or_work(|| "a group's receita".to_owned())
}
