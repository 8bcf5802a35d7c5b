//! The running bundle against its own OpenAPI document and its scopes: every route, with the real
//! authorizer in between, and schemathesis' thousands of requests where it can be had.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what supports a test stops it where something is not as it should be"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
const DOCUMENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../functions/web/api-docs/openapi.json"
);
const PATIENCE: Duration = Duration::from_secs(90);
/// Requests that schemathesis makes up for one operation; the whole takes about a minute.
const EXAMPLES: &str = "12";
/// Left out: the gateway itself answers 404 to methods without a route; rules over two fields and
/// cursors can't be written in a schema, so what fits it may be refused; the tokens are our own test.
const LEFT_OUT: &str = "unsupported_method,positive_data_acceptance,ignored_auth";

/// A running bundle on the demonstration's sample.
struct Bundle {
    folder: TempDir,
    instance: Option<Child>,
    http: reqwest::Client,
}

impl Bundle {
    /// `filled` plays the demonstration first, so that there are campaigns and vouchers.
    async fn start(filled: bool) -> Self {
        let mut bundle = Self {
            folder: tempfile::tempdir().expect("a folder"),
            instance: None,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client"),
        };
        if filled {
            bundle.printed(&["demo", "--json"]);
        }
        let log = std::fs::File::create(bundle.folder.path().join("log")).expect("a file");
        let errors = log.try_clone().expect("a file");
        let mut command = bundle.command(&["--port", "0"]);
        let child = command.stdout(log).stderr(errors).spawn().expect("starts");
        bundle.instance = Some(child);
        let begun = Instant::now();
        loop {
            let docs = bundle.note().map(|_| bundle.url("/openapi.json"));
            if let Some(docs) = docs
                && bundle.http.get(docs).send().await.is_ok()
            {
                return bundle;
            }
            assert!(begun.elapsed() < PATIENCE, "the bundle did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("estado")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(testkit::function_binaries().join("feira-local"));
        command
            .args(["--no-build", "--template", TEMPLATE, "--state-dir"])
            .arg(self.state())
            .args(arguments)
            .env_remove("DATABASE_URL_LOCAL")
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        command
    }

    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout)
            .expect("UTF-8")
            .trim()
            .to_owned()
    }

    fn note(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.state().join("instance.json")).ok()?;
        let note: Value = serde_json::from_str(&text).ok()?;
        let pid = self.instance.as_ref().map(Child::id);
        (note["pid"].as_u64() == pid.map(u64::from)).then_some(note)
    }

    fn url(&self, path: &str) -> String {
        let note = self.note().expect("an instance");
        format!("http://127.0.0.1:{}{path}", note["http_port"])
    }

    fn token(&self, scope: &str, subject: &str) -> String {
        self.printed(&["token", "--scope", scope, "--sub", subject])
    }

    async fn ask(
        &self,
        (method, path): (&str, &str),
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, self.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a text");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if let Some(mut child) = self.instance.take() {
            let _already_ended = child.kill();
            let _status = child.wait();
        }
    }
}

fn document() -> Value {
    serde_json::from_slice(&std::fs::read(DOCUMENT).expect("the document")).expect("JSON")
}

/// Method, path and scopes of every route of the document; without scopes it is public.
fn routes(document: &Value) -> Vec<(String, String, Vec<String>)> {
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let asked = operation["security"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let scopes = asked.iter().filter_map(|one| one["token"][0].as_str());
            let scopes = scopes.map(str::to_owned).collect();
            routes.push((method.to_uppercase(), path.clone(), scopes));
        }
    }
    routes
}

#[tokio::test]
async fn every_route_asks_for_its_own_scope_and_unknown_routes_are_not_there() {
    let bundle = Bundle::start(false).await;
    let all = [
        "customer",
        "mgm:admin",
        "vouchers:service",
        "televendas",
        "outro",
    ];
    let tokens: Vec<String> = all.iter().map(|scope| bundle.token(scope, "ana")).collect();
    let (head, signature) = tokens[1].rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    let forged = format!("{head}.{turned}");
    for (method, path, scopes) in routes(&document()) {
        let path = path.replace("{id}", "x").replace("{code}", "x");
        let route = (method.as_str(), path.as_str());
        let (status, _) = bundle.ask(route, None, None).await;
        if scopes.is_empty() {
            assert!(
                !status.is_client_error() && !status.is_server_error(),
                "{route:?}: {status}"
            );
            continue;
        }
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{route:?}");
        let (status, _) = bundle.ask(route, Some(&forged), None).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{route:?}: forged");
        for (scope, token) in all.iter().zip(&tokens) {
            let (status, body) = bundle.ask(route, Some(token), None).await;
            let may = scopes.iter().any(|accepted| accepted == scope);
            assert_eq!(
                status != StatusCode::FORBIDDEN,
                may,
                "{route:?} as {scope}: {body}"
            );
            assert!(!status.is_server_error(), "{route:?} as {scope}: {body}");
        }
    }
    for route in [
        ("GET", "/"),
        ("GET", "/mgm"),
        ("DELETE", "/mgm/campaigns"),
        ("PUT", "/r/x"),
        ("GET", "/vouchers/x/commit"),
        ("GET", "/%2e%2e/etc/passwd"),
        ("GET", "/.env"),
    ] {
        let (status, _) = bundle.ask(route, Some(&tokens[1]), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{route:?}");
    }
}

#[tokio::test]
async fn a_shops_server_is_known_as_such_through_the_authorizer() {
    let bundle = Bundle::start(false).await;
    let reserve = ("POST", "/vouchers/1111111111111111D/reservations");
    let (without, with) = (
        json!({"id_pedido": "p1", "total": "1.00"}),
        json!({"id_pedido": "p1", "total": "1.00", "id_cliente": "ana"}),
    );
    let service = bundle.token("vouchers:service", "loja");
    let (status, problem) = bundle.ask(reserve, Some(&service), Some(&without)).await;
    let named = &problem["errors"][0]["field"];
    assert_eq!(
        (status, named),
        (StatusCode::BAD_REQUEST, &json!("id_cliente"))
    );
    let (status, _) = bundle.ask(reserve, Some(&service), Some(&with)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let customer = bundle.token("customer", "ana");
    let (status, problem) = bundle.ask(reserve, Some(&customer), Some(&with)).await;
    let named = &problem["errors"][0]["field"];
    assert_eq!(
        (status, named),
        (StatusCode::BAD_REQUEST, &json!("id_cliente"))
    );
}

/// The document with ids and codes that are there as its examples.
async fn with_examples(bundle: &Bundle, admin: &str, customer: &mut String) -> Value {
    let (_, campaigns) = bundle
        .ask(("GET", "/mgm/campaigns"), Some(admin), None)
        .await;
    let (_, referrals) = bundle
        .ask(("GET", "/mgm/referrals"), Some(admin), None)
        .await;
    let campaign = &campaigns["itens"][0]["id_campanha"];
    let referral = &referrals["itens"][0];
    *customer = referral["id_amigo"].as_str().expect("a friend").to_owned();
    let token = bundle.token("customer", customer);
    let (_, mine) = bundle
        .ask(("GET", "/vouchers/me"), Some(&token), None)
        .await;
    let voucher = &mine["itens"][0]["codigo"];
    assert!(
        campaign.is_string() && voucher.is_string(),
        "{campaigns} {mine}"
    );
    // The demonstration's promoters agreed to be called.
    let agent = bundle.token("televendas", "agente-7");
    let list = ("GET", "/televendas/contatos?regiao=MG");
    let (_, contacts) = bundle.ask(list, Some(&agent), None).await;
    let contact = &contacts["itens"][0]["id_contato"];
    assert!(contact.is_string(), "{contacts}");
    let mut document = document();
    for (parameter, example) in [
        ("CampaignPath", campaign),
        ("ReferralPath", &referral["id_indicacao"]),
        ("VoucherPath", voucher),
        ("ContactPath", contact),
        ("Region", &json!("MG")),
    ] {
        document["components"]["parameters"][parameter]["example"] = example.clone();
    }
    let body = &mut document["paths"]["/mgm/links"]["post"]["requestBody"]["content"];
    body["application/json"]["example"] = json!({"id_campanha": campaign});
    document
}

fn schemathesis(
    program: &Path,
    bundle: &Bundle,
    document: &Path,
    (token, paths): (&str, &str),
) -> Result<(), String> {
    let output = Command::new(program)
        .args(["run", &document.display().to_string()])
        .args(["--url", &bundle.url("")])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--include-path-regex", paths])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--checks", "all", "--exclude-checks", LEFT_OUT])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--workers", "1"])
        .args([
            "--max-redirects",
            "0",
            "--no-shrink",
            "--continue-on-failure",
        ])
        .args([
            "--generation-database",
            "none",
            "--no-color",
            "--warnings",
            "off",
        ])
        .args(["--request-timeout", "30"])
        .stdin(Stdio::null())
        .current_dir(bundle.folder.path())
        .output()
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains("passed") {
        return Ok(());
    }
    let failures = said.find("FAILURES").map_or(&*said, |at| &said[at..]);
    let failures: String = failures.chars().take(8_000).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("as {paths}: {failures}\n{errors}"))
}

#[tokio::test]
async fn the_api_keeps_what_its_document_says() {
    let Some(program) = testkit::schemathesis() else {
        println!("schemathesis took no part: FEIRA_SCHEMATHESIS is not set");
        return;
    };
    let bundle = Bundle::start(true).await;
    let admin = bundle.token("mgm:admin", "operador");
    let mut customer = String::new();
    let document = with_examples(&bundle, &admin, &mut customer).await;
    let file = bundle.folder.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("writes");
    let customer = bundle.token("customer", &customer);
    let service = bundle.token("vouchers:service", "loja");
    let agent = bundle.token("televendas", "agente-8");
    let mut wrong = Vec::new();
    for whom in [
        (admin.as_str(), "^/mgm/(campaigns|referrals)"),
        (&customer, "^/(mgm/links|vouchers/me|r/|docs|openapi)"),
        (&service, r"^/vouchers/\{"),
        (&agent, "^/televendas"),
    ] {
        wrong.extend(schemathesis(&program, &bundle, &file, whom).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
