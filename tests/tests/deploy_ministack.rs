//! The deployment: template.yaml on ministack with the binaries of the workspace's build.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]
use std::path::Path;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::time::UtcMillis;
use files::{FileAddress, Overwrite, S3Files};
use sam_template::Template;
use serde_json::{Value, json};
use sql_store::Store;
use sql_store::migrate::{TELESALES, migrate_by};
use testkit::{HttpCall, MariaDb, Ministack, Packaged, Stack};

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
const SECRET: &str = "feira-app";
const TELESALES_SECRET: &str = "feira-televendas";
/// 32 bytes in base64; not a secret.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const PROMOTER: &str = "cliente-promotora";
const FRIEND: &str = "cliente-amiga";

fn functions(template: &Template) -> Vec<Packaged> {
    template
        .functions
        .iter()
        .map(|function| Packaged {
            logical_id: function.logical_id.clone(),
            binary: function.crate_name().to_owned(),
        })
        .collect()
}

/// `telesales` is the secret of database 2; empty for a stack without it and without what else is
/// optional.
async fn deploy<'a>(ministack: &'a Ministack, template: &Template, telesales: &str) -> Stack<'a> {
    let text = std::fs::read_to_string(TEMPLATE).unwrap();
    let (warehouse, stock_api) = if telesales.is_empty() {
        ("lake", "")
    } else {
        ("redshift", "https://deposito.example.com/niveis")
    };
    let parameters = [
        ("Warehouse", warehouse),
        ("RedshiftCopyRoleArn", "arn:aws:iam::000000000000:role/copy"),
        ("StockApiUrl", stock_api),
        ("Architecture", "x86_64"),
        ("AppSecretArn", SECRET),
        ("Environment", "development"),
        ("SchedulesState", "DISABLED"),
        ("TelesalesSecretArn", telesales),
    ];
    ministack
        .deploy(&text, &functions(template), &parameters)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn template_deploys_with_every_function_and_queue() {
    let Some(ministack) = testkit::ministack().await else {
        return;
    };
    let template = Template::read(Path::new(TEMPLATE)).unwrap();
    let stack = deploy(&ministack, &template, TELESALES_SECRET).await;
    for function in &template.functions {
        let name = stack.physical_id(&function.logical_id).await;
        assert!(name.contains(&function.logical_id), "{name}");
    }
    for queue in template.queues.iter().filter(|queue| queue.present) {
        let url = stack.physical_id(&queue.logical_id).await;
        assert_eq!(ministack.message_count(&url).await, 0, "{url}");
    }
}

/// With every optional part but Kafka. What an empty event means to them is not asked here.
#[tokio::test(flavor = "multi_thread")]
async fn every_function_starts_with_what_the_template_gives_it() {
    let Some(ministack) = testkit::ministack().await else {
        return;
    };
    let (Some(shop), Some(contacts)) = (testkit::mariadb().await, testkit::mariadb().await) else {
        return;
    };
    let secret = json!({
        "DATABASE_URL_DEV": format!("{}?ssl-mode=DISABLED", shop.url()),
        "REF_SIGNING_KEY": KEY,
        "PSEUDONYM_KEY": KEY,
        "DEAD_LETTER_KEY": KEY,
        "STOCK_API_TOKEN": "senha",
        "REDSHIFT_URL": "redshift://feira:senha@127.0.0.1:5439/feira",
    });
    ministack.create_secret(SECRET, &secret).await;
    let secret = json!({
        "TELESALES_DATABASE_URL_DEV": format!("{}?ssl-mode=DISABLED", contacts.url()),
        "TELESALES_PSEUDONYM_KEY": KEY,
        "TELESALES_DEAD_LETTER_KEY": KEY,
    });
    ministack.create_secret(TELESALES_SECRET, &secret).await;
    let template = Template::read(Path::new(TEMPLATE)).unwrap();
    let stack = deploy(&ministack, &template, TELESALES_SECRET).await;
    let mut not_started = Vec::new();
    for function in &template.functions {
        let name = stack.physical_id(&function.logical_id).await;
        if let Err(error) = ministack.invoke(&name, &json!({})).await {
            let error = error.to_string();
            if error.contains("cold start failed") || error.contains("during init") {
                not_started.push(error);
            }
        }
    }
    assert!(not_started.is_empty(), "{not_started:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn completed_trip_sent_to_sqs_becomes_one_voucher_row() {
    let Some(ministack) = testkit::ministack().await else {
        return;
    };
    let Some(database) = testkit::mariadb().await else {
        return;
    };
    let store = Store::open(database.url()).await.unwrap();
    sql_store::migrate::migrate(&store, UtcMillis::new(0).unwrap())
        .await
        .unwrap();
    // Production reads the secret; only what the URL says allows a server without TLS.
    let url = format!("{}?ssl-mode=DISABLED", database.url());
    let secret = json!({
        "DATABASE_URL_DEV": url,
        "REF_SIGNING_KEY": KEY,
        "PSEUDONYM_KEY": KEY,
        "DEAD_LETTER_KEY": KEY,
    });
    ministack.create_secret(SECRET, &secret).await;
    let template = Template::read(Path::new(TEMPLATE)).unwrap();
    let stack = deploy(&ministack, &template, "").await;
    let bundle = Bundle {
        ministack: &ministack,
        stack,
        database,
    };

    bundle.take_customers_over().await;
    let campaign = bundle.open_campaign().await;
    let code = bundle.create_link(&campaign).await;
    let reference = bundle.open_link(&code).await;

    // The bridge failed on the batch that brought the purchase, until an operator replays it.
    let purchase = json!({
        "id_pedido": "pedido-1",
        "id_cliente": FRIEND,
        "status": "aprovado",
        "ref": reference,
        "itens": [{"id_produto": "trecho-gru-rec", "quantidade": 1, "preco": "350.00"}],
        "aprovado_em": "2026-11-20T12:00:00Z",
    });
    let batch = bundle.failed_batch("pedidos", &purchase).await;
    let replay = json!({"comando": "reenviar_lotes"});
    let answer = bundle.invoke("RunCommandFunction", &replay).await;
    let expected = json!({"reenviados": 1, "com_falhas": 0, "recusados": 0});
    assert_eq!(answer, expected);
    let gone = bundle.files().await.head(&batch).await;
    assert!(gone.is_err(), "the batch is replayed once");
    bundle.await_rows("SELECT COUNT(*) FROM referrals").await;

    let trip = json!({
        "id_evento": "viagem-1",
        "id_pedido": "pedido-1",
        "id_cliente": FRIEND,
        "concluido_em": "2026-11-20T18:00:00Z",
    });
    // Queues deliver at least once: the second delivery changes nothing.
    bundle.send("ViagensQueue", &trip).await;
    bundle.send("ViagensQueue", &trip).await;
    bundle.await_rows(VOUCHER).await;
    bundle.await_empty("ViagensQueue").await;
    assert_eq!(bundle.database.count(VOUCHER).await, 1);
    for dead_letters in ["PedidosDeadLetters", "ViagensDeadLetters"] {
        let url = bundle.stack.physical_id(dead_letters).await;
        assert_eq!(ministack.message_count(&url).await, 0, "{dead_letters}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_become_contacts_with_the_telesales_secret_alone() {
    let Some(ministack) = testkit::ministack().await else {
        return;
    };
    let Some(database) = testkit::mariadb().await else {
        return;
    };
    let store = Store::open(database.url()).await.unwrap();
    migrate_by(&store, &TELESALES, UtcMillis::new(0).unwrap())
        .await
        .unwrap();
    // There is no app secret: a function that asked for it would not start.
    let secret = json!({
        "TELESALES_DATABASE_URL_DEV": format!("{}?ssl-mode=DISABLED", database.url()),
        "TELESALES_PSEUDONYM_KEY": KEY,
        "TELESALES_DEAD_LETTER_KEY": KEY,
    });
    ministack.create_secret(TELESALES_SECRET, &secret).await;
    let template = Template::read(Path::new(TEMPLATE)).unwrap();
    let stack = deploy(&ministack, &template, TELESALES_SECRET).await;
    let bundle = Bundle {
        ministack: &ministack,
        stack,
        database,
    };

    let good = kafka_record(0, FRIEND, "111.444.777-35", "+5521987654321", false);
    let mut bad = kafka_record(1, PROMOTER, "529.982.247-25", "+5511987654321", true);
    bad["value"] = json!(BASE64.encode("{"));
    let event = json!({
        "eventSource": "aws:kafka",
        "bootstrapServers": "b-1.example.com:9098",
        "records": {"clientes-0": [good, bad]},
    });
    bundle.invoke("ProjectCustomerFunction", &event).await;
    let contacts = "SELECT COUNT(*) FROM contacts WHERE deleted = 0";
    assert_eq!(bundle.database.count(contacts).await, 1);
    let letters = bundle.stack.physical_id("TelesalesDeadLetters").await;
    assert_eq!(ministack.message_count(&letters).await, 1);

    let mut list = HttpCall::of("GET /televendas/contatos")
        .token_of("agente-7", "televendas")
        .event();
    list["queryStringParameters"] = json!({"regiao": "SP"});
    let page = bundle.invoke("ListContactsFunction", &list).await;
    let page: Value = serde_json::from_str(page["body"].as_str().unwrap()).unwrap();
    assert_eq!(page["itens"][0]["telefone"], "+5521987654321", "{page}");
    let expired = json!({"horario": "2026-11-20T05:00:00Z"});
    let report = bundle.invoke("ExpireContactsFunction", &expired).await;
    assert_eq!(report["situacao"], "feito");
    let name = bundle.stack.physical_id("ReconcileCustomersFunction").await;
    let refused = ministack.invoke(&name, &expired).await;
    let refused = format!("{refused:?}");
    assert!(refused.contains("origem_nao_configurada"), "{refused}");
}

const VOUCHER: &str = "SELECT COUNT(*) FROM vouchers WHERE kind = 'voucher_promotor' AND owner_id = 'cliente-promotora'";

struct Bundle<'a> {
    ministack: &'a Ministack,
    stack: Stack<'a>,
    database: MariaDb,
}

impl Bundle<'_> {
    async fn invoke(&self, function: &str, event: &Value) -> Value {
        let name = self.stack.physical_id(function).await;
        let answer = self.ministack.invoke(&name, event).await;
        answer.unwrap_or_else(|error| panic!("{function}: {error}"))
    }

    /// The answer of an HTTP function, which has to be a success.
    async fn call(&self, function: &str, call: HttpCall) -> Value {
        let answer = self.invoke(function, &call.event()).await;
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(status < 400, "{function} answered {answer}");
        answer
    }

    async fn call_json(&self, function: &str, call: HttpCall) -> Value {
        let answer = self.call(function, call).await;
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    async fn take_customers_over(&self) {
        let promoter = kafka_record(0, PROMOTER, "529.982.247-25", "+5511987654321", true);
        let friend = kafka_record(1, FRIEND, "111.444.777-35", "+5521987654321", false);
        let event = json!({
            "eventSource": "aws:kafka",
            "bootstrapServers": "b-1.example.com:9098",
            "records": {"clientes-0": [promoter, friend]},
        });
        self.invoke("SyncCustomersFunction", &event).await;
        assert_eq!(
            self.database.count("SELECT COUNT(*) FROM customers").await,
            2
        );
    }

    async fn open_campaign(&self) -> String {
        let body = json!({
            "nome": "Indique uma viagem",
            "inicio": "2026-01-01T00:00:00Z",
            "fim": "2030-01-01T00:00:00Z",
            "desconto": {"tipo": "percentual", "percentual": "10.00", "teto": "50.00"},
            "recompensa": "30.00",
            "compra_minima": "0.00",
            "orcamento": "1000.00",
            "validade_voucher_dias": 365,
            "carencia_dias": 0,
            "cupom_em": "compra",
            "cumulativo": false,
            "minimo_pedidos_concluidos": 0,
            "endereco_loja": "https://loja.example.com/",
        });
        let call = HttpCall::of("POST /mgm/campaigns").token_of("operadora", "mgm:admin");
        let call = call.header("idempotency-key", "campanha-1").json(&body);
        let campaign = self.call_json("ManageCampaignsFunction", call).await;
        campaign["id_campanha"].as_str().unwrap().to_owned()
    }

    async fn create_link(&self, campaign: &str) -> String {
        let call = HttpCall::of("POST /mgm/links").token_of(PROMOTER, "customer");
        let call = call
            .header("idempotency-key", "link-1")
            .json(&json!({"id_campanha": campaign}));
        let link = self.call_json("CreateReferralLinkFunction", call).await;
        link["codigo"].as_str().unwrap().to_owned()
    }

    /// The `ref` that the shop gets with the redirected visitor.
    async fn open_link(&self, code: &str) -> String {
        let call = HttpCall::of("GET /r/{code}").path("code", code);
        let answer = self.call("OpenReferralLinkFunction", call).await;
        let location = answer["headers"]["location"].as_str().unwrap();
        let (_, query) = location.split_once('?').unwrap();
        let reference = query.split('&').find_map(|pair| pair.strip_prefix("ref="));
        reference.unwrap().to_owned()
    }

    async fn files(&self) -> S3Files {
        let account = self.ministack.account_id();
        let credentials = Credentials::new(account, "test", None, None, "test");
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("sa-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(self.ministack.endpoint_url())
            .load()
            .await;
        S3Files::new(&sdk, true)
    }

    /// A batch of one record as Lambda leaves it where the bridge failed on it for good.
    async fn failed_batch(&self, topic: &str, value: &Value) -> FileAddress {
        let record = json!({"topic": topic, "partition": 0, "offset": 0,
            "timestamp": 1_795_176_000_000_i64, "timestampType": "CREATE_TIME",
            "key": BASE64.encode(FRIEND), "value": BASE64.encode(value.to_string()),
            "headers": []});
        let partition = format!("{topic}-0");
        let event = json!({"eventSource": "SelfManagedKafka", "records": {partition: [record]}});
        let bridge = self.stack.physical_id("KafkaToSqsFunction").await;
        let arn = format!("arn:aws:lambda:sa-east-1:000000000000:function:{bridge}");
        let object = json!({"version": "1.0", "payload": event.to_string(), "requestContext":
            {"functionArn": arn, "condition": "RetryAttemptsExhausted"}});
        let bucket = self.stack.physical_id("FilesBucket").await;
        let key = "aws/lambda/PedidosFromSelfManagedKafka/2026/11/20/lote.json";
        let address = FileAddress::new(&bucket, key).unwrap();
        let (text, kind) = (object.to_string().into_bytes(), "application/json");
        let put = self
            .files()
            .await
            .put(&address, text, kind, Overwrite::Replace)
            .await;
        put.unwrap();
        address
    }

    async fn send(&self, queue: &str, body: &Value) {
        let url = self.stack.physical_id(queue).await;
        self.ministack.send_message(&url, body, Some(FRIEND)).await;
    }

    async fn await_rows(&self, count: &str) {
        let started = Instant::now();
        while self.database.count(count).await == 0 {
            assert!(started.elapsed() < LIMIT, "no row after {LIMIT:?}: {count}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn await_empty(&self, queue: &str) {
        let url = self.stack.physical_id(queue).await;
        let started = Instant::now();
        while self.ministack.message_count(&url).await > 0 {
            assert!(
                started.elapsed() < LIMIT,
                "{queue} is not empty after {LIMIT:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// A record of `clientes` in Lambda's Kafka event.
fn kafka_record(offset: u64, id: &str, cpf: &str, phone: &str, consents: bool) -> Value {
    let customer = json!({
        "id_cliente": id,
        "versao": 1,
        "nome": "Ana Souza",
        "cpf": cpf,
        "email": format!("{id}@example.com"),
        "telefone": phone,
        "regiao": "SP",
        "consentimentos": {"mgm": consents, "televendas": true},
    });
    json!({
        "topic": "clientes",
        "partition": 0,
        "offset": offset,
        "timestamp": 1_795_176_000_000_i64,
        "timestampType": "CREATE_TIME",
        "key": BASE64.encode(id.as_bytes()),
        "value": BASE64.encode(customer.to_string().as_bytes()),
        "headers": [],
    })
}
