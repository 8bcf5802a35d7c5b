//! What a function reads in dev and prod, and the sentences that stop its cold start.
#![cfg(test)]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use secrets::{
    DatabaseName, DatabaseUrl, Environment, Need, Problem, ProcessEnvironment, SecretName, Secrets,
    SettingsError, Source, Stage, keys,
};

const KEY: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";

const NEEDS: [Need; 4] = [
    Need::Database(DatabaseName::Shop),
    Need::Required(keys::REF_SIGNING_KEY),
    Need::Required(keys::PSEUDONYM_KEY),
    Need::Optional(keys::COMPLETED_TRIPS_TOKEN),
];

async fn in_dev(
    dotenv: &str,
    more: &[(&str, &str)],
    needs: &[Need],
) -> Result<Secrets, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    std::fs::write(&path, dotenv).unwrap();
    let mut process = vec![("STAGE", "dev"), ("FEIRA_DOTENV", path.to_str().unwrap())];
    process.push(("FEIRA_STATE_DIR", "/estado"));
    process.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    process.extend_from_slice(more);
    Secrets::load(&environment(&process), Source::Dotenv, needs).await
}

fn environment(pairs: &[(&str, &str)]) -> ProcessEnvironment {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn dev_reads_the_dotenv_file_and_the_companies_url() {
    let dotenv = format!(
        "DATABASE_URL_LOCAL=mysql+aiomysql://user:password@host:3306/name\n\
         REF_SIGNING_KEY={KEY}\nPSEUDONYM_KEY={KEY}\nDEAD_LETTER_KEY=not read, not judged\n"
    );
    let secrets = in_dev(&dotenv, &[], &NEEDS).await.unwrap();
    assert_eq!(secrets.stage(), Stage::Dev);
    assert!(matches!(
        secrets.database(DatabaseName::Shop).unwrap(),
        DatabaseUrl::MySql(_)
    ));
    assert_eq!(
        secrets
            .key_bytes(keys::REF_SIGNING_KEY)
            .unwrap()
            .expose()
            .len(),
        32
    );
    assert!(secrets.optional_text(keys::COMPLETED_TRIPS_TOKEN).is_none());
    let undeclared = secrets.key_bytes(keys::DEAD_LETTER_KEY).unwrap_err();
    assert_eq!(
        undeclared,
        Problem::NotDeclared {
            key: "DEAD_LETTER_KEY"
        }
    );
}

#[tokio::test]
async fn dev_without_a_database_url_uses_the_embedded_file() {
    let secrets = in_dev("", &[], &[Need::Database(DatabaseName::Shop)])
        .await
        .unwrap();
    match secrets.database(DatabaseName::Shop).unwrap() {
        DatabaseUrl::Sqlite(path) => assert_eq!(path.to_str(), Some("/estado/banco1.sqlite")),
        DatabaseUrl::MySql(_) => panic!("no MySQL was configured"),
    }
    let error = in_dev(
        "",
        &[("FEIRA_STATE_DIR", "")],
        &[Need::Database(DatabaseName::Shop)],
    )
    .await
    .unwrap_err();
    let key = "DATABASE_URL_LOCAL";
    assert_eq!(error.problems(), [Problem::StateDirUnset { key }]);
}

#[tokio::test]
async fn each_database_has_its_own_url_and_file_in_dev() {
    let both = DatabaseName::ALL.map(Need::Database);
    let secrets = in_dev("", &[], &both).await.unwrap();
    for (name, file) in [
        (DatabaseName::Shop, "/estado/banco1.sqlite"),
        (DatabaseName::Telesales, "/estado/banco2.sqlite"),
    ] {
        match secrets.database(name).unwrap() {
            DatabaseUrl::Sqlite(path) => assert_eq!(path.to_str(), Some(file)),
            DatabaseUrl::MySql(_) => panic!("no MySQL was configured"),
        }
    }
    let dotenv = "TELESALES_DATABASE_URL_LOCAL=mysql+aiomysql://u:p@host2:3306/n\n";
    let secrets = in_dev(dotenv, &[], &both).await.unwrap();
    let (shop, telesales) = (
        secrets.database(DatabaseName::Shop).unwrap(),
        secrets.database(DatabaseName::Telesales).unwrap(),
    );
    assert!(matches!(shop, DatabaseUrl::Sqlite(_)));
    assert!(matches!(telesales, DatabaseUrl::MySql(address) if address.host() == "host2"));
    let shop_alone = in_dev(dotenv, &[], &both[..1]).await.unwrap();
    let key = "TELESALES_DATABASE_URL_LOCAL";
    let undeclared = shop_alone.database(DatabaseName::Telesales).unwrap_err();
    assert_eq!(undeclared, Problem::NotDeclared { key });
    let error = in_dev("", &[("FEIRA_STATE_DIR", "")], &both[1..])
        .await
        .unwrap_err();
    assert_eq!(error.problems(), [Problem::StateDirUnset { key }]);
}

#[tokio::test]
async fn the_process_environment_goes_before_the_dotenv_file_in_dev() {
    let dotenv = "COMPLETED_TRIPS_TOKEN=of-the-file\n";
    let needs = [Need::Optional(keys::COMPLETED_TRIPS_TOKEN)];
    let token = |secrets: &Secrets| {
        secrets
            .text(keys::COMPLETED_TRIPS_TOKEN)
            .unwrap()
            .expose()
            .to_owned()
    };
    let from_file = in_dev(dotenv, &[], &needs).await.unwrap();
    assert_eq!(token(&from_file), "of-the-file");
    let more = [("COMPLETED_TRIPS_TOKEN", "of-the-process")];
    let from_process = in_dev(dotenv, &more, &needs).await.unwrap();
    assert_eq!(token(&from_process), "of-the-process");
}

#[tokio::test]
async fn every_problem_is_told_at_once_and_no_value() {
    let dotenv = "DATABASE_URL_LOCAL=segredo\nREF_SIGNING_KEY=segredo\nPSEUDONYM_KEY=\n";
    let needs = [&NEEDS[..], &[Need::Required(keys::DEAD_LETTER_KEY)]].concat();
    let error = in_dev(dotenv, &[], &needs).await.unwrap_err();
    let text = error.to_string();
    for part in [
        "DATABASE_URL_LOCAL must start with mysql+aiomysql://",
        "REF_SIGNING_KEY must be at least 32 random bytes in base64",
        "Missing in .env (its path stands in FEIRA_DOTENV): PSEUDONYM_KEY, DEAD_LETTER_KEY.",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!format!("{text} {error:?}").contains("segredo"), "{text}");
}

#[tokio::test]
async fn a_dotenv_file_that_cannot_be_read_says_so() {
    let absent = [("FEIRA_DOTENV", "/nowhere/.env")];
    let error = in_dev("", &absent, &[Need::Database(DatabaseName::Shop)])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("FEIRA_DOTENV"), "{error}");
    let error = in_dev("A=1\nB='open\n", &[], &[Need::Database(DatabaseName::Shop)])
        .await
        .unwrap_err();
    assert_eq!(error.problems(), [Problem::DotenvBroken { line: 2 }]);
}

#[tokio::test]
async fn an_unknown_stage_or_environment_stops_the_start() {
    for stage in ["", "DEV", "production", "staging"] {
        let process = ProcessEnvironment::from([("STAGE", stage)]);
        let error = Secrets::load(&process, Source::Dotenv, &[])
            .await
            .unwrap_err();
        assert_eq!(error.problems(), [Problem::StageUnknown], "{stage}");
        assert!(stage.is_empty() || !error.to_string().contains("staging"));
    }
    let sdk = sdk("http://127.0.0.1:9", "test").await;
    let needs = [Need::Database(DatabaseName::Shop)];
    for name in ["", "live", "dev", "Production"] {
        let process = ProcessEnvironment::from([("STAGE", "prod"), ("ENVIRONMENT", name)]);
        let error = Secrets::load(&process, Source::SecretsManager(&sdk), &needs)
            .await
            .unwrap_err();
        assert_eq!(error.problems(), [Problem::EnvironmentUnknown], "{name}");
    }
    let process = ProcessEnvironment::from([("STAGE", "prod"), ("ENVIRONMENT", "production")]);
    let error = Secrets::load(&process, Source::Dotenv, &[])
        .await
        .unwrap_err();
    assert_eq!(error.problems(), [Problem::WrongSource]);
}

#[tokio::test]
async fn who_opens_no_database_needs_no_environment() {
    let sdk = sdk("http://127.0.0.1:9", "test").await;
    let process = ProcessEnvironment::from([("STAGE", "prod")]);
    let loaded = Secrets::load(&process, Source::SecretsManager(&sdk), &[]).await;
    assert_eq!(loaded.unwrap().environment(), None);
}

#[tokio::test]
async fn an_unreachable_manager_or_a_missing_id_is_told_and_costs_seconds_at_most() {
    let sdk = sdk("http://127.0.0.1:9", "test").await;
    let process = ProcessEnvironment::from([("STAGE", "prod"), ("ENVIRONMENT", "production")]);
    let load = Secrets::load(
        &process,
        Source::SecretsManager(&sdk),
        &[Need::Database(DatabaseName::Shop)],
    );
    let error = load.await.unwrap_err();
    assert_eq!(error.problems(), [Problem::SecretIdUnset(SecretName::App)]);
    let process = ProcessEnvironment::from([
        ("STAGE", "prod"),
        ("ENVIRONMENT", "production"),
        ("APP_SECRET_ID", "feira/app"),
    ]);
    let load = Secrets::load(
        &process,
        Source::SecretsManager(&sdk),
        &[Need::Database(DatabaseName::Shop)],
    );
    let error = tokio::time::timeout(std::time::Duration::from_secs(20), load)
        .await
        .unwrap();
    let error = error.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("The app secret cannot be read (Connection)"),
        "{error}"
    );
}

async fn sdk(endpoint_url: &str, access_key_id: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key_id, "test", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("sa-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint_url)
        .load()
        .await
}

struct Manager {
    sdk: SdkConfig,
    client: aws_sdk_secretsmanager::Client,
}

impl Manager {
    async fn start() -> Option<Self> {
        let Some(ministack) = testkit::ministack().await else {
            println!("ministack took no part: FEIRA_MINISTACK_URL is not set");
            return None;
        };
        let sdk = sdk(ministack.endpoint_url(), ministack.account_id()).await;
        let client = aws_sdk_secretsmanager::Client::new(&sdk);
        Some(Self { sdk, client })
    }

    async fn put(&self, name: &str, value: &str) {
        self.client
            .create_secret()
            .name(name)
            .secret_string(value)
            .send()
            .await
            .unwrap();
    }

    async fn load(&self, secret_id: &str, environment: &str) -> Result<Secrets, SettingsError> {
        let process = ProcessEnvironment::from([
            ("STAGE", "prod"),
            ("ENVIRONMENT", environment),
            ("APP_SECRET_ID", secret_id),
            // In prod the process environment never takes the place of a secret.
            ("PSEUDONYM_KEY", KEY),
            ("FEIRA_STATE_DIR", "/estado"),
        ]);
        Secrets::load(&process, Source::SecretsManager(&self.sdk), &NEEDS).await
    }
}

#[tokio::test]
async fn prod_chooses_the_database_by_environment() {
    let Some(manager) = Manager::start().await else {
        return;
    };
    let value = format!(
        r#"{{"DATABASE_URL_DEV":"mysql+aiomysql://u:p@dev:3306/n",
            "DATABASE_URL_LIVE":"mysql+aiomysql://u:p@live:3306/n",
            "REF_SIGNING_KEY":"{KEY}","PSEUDONYM_KEY":"{KEY}","DEAD_LETTER_KEY":7}}"#
    );
    manager.put("feira/app", &value).await;
    for (name, environment, host) in [
        ("development", Environment::Development, "dev"),
        ("production", Environment::Production, "live"),
    ] {
        let secrets = manager.load("feira/app", name).await.unwrap();
        assert_eq!(secrets.environment(), Some(environment));
        match secrets.database(DatabaseName::Shop).unwrap() {
            DatabaseUrl::MySql(address) => assert_eq!(address.host(), host),
            DatabaseUrl::Sqlite(_) => panic!("production fell back to an embedded part"),
        }
    }
}

#[tokio::test]
async fn a_function_over_database_2_reads_the_telesales_secret_alone() {
    let Some(manager) = Manager::start().await else {
        return;
    };
    let value = format!(
        r#"{{"TELESALES_DATABASE_URL_DEV":"mysql://u:p@dev2:3306/n",
            "TELESALES_DATABASE_URL_LIVE":"mysql://u:p@live2:3306/n",
            "TELESALES_PSEUDONYM_KEY":"{KEY}","TELESALES_DEAD_LETTER_KEY":"{KEY}"}}"#
    );
    manager.put("feira/telesales", &value).await;
    let needs = [
        Need::Database(DatabaseName::Telesales),
        Need::Required(keys::TELESALES_PSEUDONYM_KEY),
        Need::Required(keys::TELESALES_DEAD_LETTER_KEY),
        Need::Optional(keys::TELESALES_SOURCE_URL),
    ];
    for (environment, host) in [("development", "dev2"), ("production", "live2")] {
        let process = ProcessEnvironment::from([
            ("STAGE", "prod"),
            ("ENVIRONMENT", environment),
            ("TELESALES_SECRET_ID", "feira/telesales"),
        ]);
        let secrets = Secrets::load(&process, Source::SecretsManager(&manager.sdk), &needs)
            .await
            .unwrap();
        match secrets.database(DatabaseName::Telesales).unwrap() {
            DatabaseUrl::MySql(address) => assert_eq!(address.host(), host),
            DatabaseUrl::Sqlite(_) => panic!("production fell back to an embedded part"),
        }
        assert!(secrets.optional_text(keys::TELESALES_SOURCE_URL).is_none());
    }
    let process = ProcessEnvironment::from([("STAGE", "prod"), ("ENVIRONMENT", "production")]);
    let load = Secrets::load(&process, Source::SecretsManager(&manager.sdk), &needs);
    let expected = Problem::SecretIdUnset(SecretName::Telesales);
    assert_eq!(load.await.unwrap_err().problems(), [expected]);
}

#[tokio::test]
async fn prod_names_every_missing_key_and_falls_back_to_nothing() {
    let Some(manager) = Manager::start().await else {
        return;
    };
    manager
        .put("two-missing", &format!(r#"{{"REF_SIGNING_KEY":"{KEY}"}}"#))
        .await;
    let error = manager.load("two-missing", "production").await.unwrap_err();
    let expected = Problem::MissingInSecret {
        secret: SecretName::App,
        keys: vec!["DATABASE_URL_LIVE", "PSEUDONYM_KEY"],
    };
    assert_eq!(error.problems(), [expected]);
    assert_eq!(
        error.to_string(),
        "The app secret lacks DATABASE_URL_LIVE, PSEUDONYM_KEY: add to its JSON object."
    );
}

#[tokio::test]
async fn prod_refuses_a_broken_secret_and_sqlite_without_quoting_them() {
    let Some(manager) = Manager::start().await else {
        return;
    };
    manager.put("broken", "{\"REF_SIGNING_KEY\": segredo").await;
    let error = manager.load("broken", "production").await.unwrap_err();
    assert!(
        matches!(error.problems(), [Problem::SecretNotJson { line: 1, .. }]),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("segredo"));
    let value = format!(
        r#"{{"DATABASE_URL_LIVE":"sqlite:///segredo.db","REF_SIGNING_KEY":123,"PSEUDONYM_KEY":"{KEY}"}}"#
    );
    manager.put("sqlite", &value).await;
    let error = manager.load("sqlite", "production").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("DATABASE_URL_LIVE must be a MySQL database"),
        "{text}"
    );
    assert!(
        text.contains("REF_SIGNING_KEY in the app secret must be a JSON text"),
        "{text}"
    );
    assert!(!text.contains("segredo"));
    let error = manager.load("absent", "production").await.unwrap_err();
    assert!(
        error.to_string().contains("ResourceNotFoundException"),
        "{error}"
    );
}
