//! The settings that functions read: the project's own `.env`, over secrets made up once for this
//! state folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrets::{DatabaseName, DatabaseUrl, Need, ProcessEnvironment, Secret, Secrets, Source, keys};

use crate::failure::{Failure, OrFailure};
use crate::state::{StateDir, write_private};
use crate::token::SigningKey;

/// The line of the token key in the generated file.
const TOKEN_KEY: &str = "TOKEN_SIGNING_KEY";
/// Made up when nobody sets them: 32 random bytes in base64.
const GENERATED: [&str; 5] = [
    keys::REF_SIGNING_KEY.name,
    keys::PSEUDONYM_KEY.name,
    keys::DEAD_LETTER_KEY.name,
    keys::TELESALES_PSEUDONYM_KEY.name,
    keys::TELESALES_DEAD_LETTER_KEY.name,
];

/// URLs of databases by the names of their keys, as the terminal sets them.
pub type DatabaseOverrides = BTreeMap<&'static str, String>;

/// Settings of this instance.
#[derive(Debug)]
pub struct Settings {
    /// The file that functions read.
    pub file: PathBuf,
    /// Where the databases are.
    pub databases: BTreeMap<DatabaseName, DatabaseUrl>,
    /// The terminal's DATABASE_URL_LOCAL and TELESALES_DATABASE_URL_LOCAL, which win over the file.
    pub database_overrides: DatabaseOverrides,
    /// Kafka's user and password, where the file has them.
    pub kafka: BTreeMap<&'static str, Secret>,
    /// Where documents are in MongoDB, its URI.
    pub mongodb: Option<Secret>,
    /// Signs local tokens.
    pub token_key: SigningKey,
}

/// Reads the settings, making up what is missing. `project_dotenv` is the project's own file.
///
/// # Errors
/// A sentence that names the key or the line to mend, and no value.
pub async fn load(
    state: &StateDir,
    project_dotenv: &Path,
    database_overrides: DatabaseOverrides,
) -> Result<Settings, Failure> {
    let generated = generated(state)?;
    let project = match std::fs::read_to_string(project_dotenv) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(Failure::mend(format!(
                "{} cannot be read ({error}): mend its permissions or take it away",
                project_dotenv.display()
            )));
        }
    };
    let mut file = state.path().join(".env");
    let mut to_mend = file.clone();
    let mut text = generated;
    if let Some(project) = project {
        // Alone first, so that a broken line is named by its own number.
        secrets_of(
            project_dotenv,
            project_dotenv,
            state,
            &DatabaseOverrides::new(),
            &[],
        )
        .await?;
        // Of two lines with the same name the later one counts.
        text = format!("{text}\n{project}\n");
        file = state.path().join(".env.merged");
        to_mend = project_dotenv.to_owned();
        write_private(&file, &text).or_mend(|| format!("{} cannot be written", file.display()))?;
    }
    let needs = [
        Need::Database(DatabaseName::Shop),
        Need::Database(DatabaseName::Telesales),
        Need::Required(keys::REF_SIGNING_KEY),
        Need::Required(keys::PSEUDONYM_KEY),
        Need::Required(keys::DEAD_LETTER_KEY),
        Need::Required(keys::TELESALES_PSEUDONYM_KEY),
        Need::Required(keys::TELESALES_DEAD_LETTER_KEY),
        Need::Optional(keys::KAFKA_USER),
        Need::Optional(keys::KAFKA_PASSWORD),
        Need::Optional(keys::MONGODB_URI),
    ];
    let secrets = secrets_of(&file, &to_mend, state, &database_overrides, &needs).await?;
    let mut databases = BTreeMap::new();
    for name in DatabaseName::ALL {
        let url = secrets.database(name).or_mend(|| "settings".to_owned())?;
        databases.insert(name, url.clone());
    }
    let kafka = [keys::KAFKA_USER, keys::KAFKA_PASSWORD].into_iter();
    let kafka = kafka.filter_map(|key| Some((key.name, secrets.optional_text(key)?.clone())));
    let token_key = token_key(&text)?;
    Ok(Settings {
        file,
        databases,
        database_overrides,
        kafka: kafka.collect(),
        mongodb: secrets.optional_text(keys::MONGODB_URI).cloned(),
        token_key,
    })
}

/// Reads `file`; a sentence about it names `to_mend`, where the person wrote the line.
async fn secrets_of(
    file: &Path,
    to_mend: &Path,
    state: &StateDir,
    databases: &DatabaseOverrides,
    needs: &[Need],
) -> Result<Secrets, Failure> {
    let (file_text, state_text) = (
        file.display().to_string(),
        state.path().display().to_string(),
    );
    let own = [
        ("STAGE", "dev"),
        ("FEIRA_DOTENV", file_text.as_str()),
        ("FEIRA_STATE_DIR", state_text.as_str()),
    ];
    let urls = databases.iter().map(|(key, url)| (*key, url.as_str()));
    let process: ProcessEnvironment = own
        .into_iter()
        .chain(urls)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let what = || format!("the settings in {} must be mended", to_mend.display());
    Secrets::load(&process, Source::Dotenv, needs)
        .await
        .or_mend(what)
}

/// The text of the generated file; missing lines are added to it once and kept.
fn generated(state: &StateDir) -> Result<String, Failure> {
    let path = state.path().join(".env");
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "# Made up by `cargo local` for this folder. Never use these in production.\n"
                .to_owned()
        }
        Err(error) => {
            return Err(Failure::mend(format!(
                "{} cannot be read ({error}): mend its permissions",
                path.display()
            )));
        }
    };
    let mut is_changed = false;
    for name in GENERATED {
        if value_of(&text, name).is_none() {
            let mut bytes = [0_u8; 32];
            getrandom::fill(&mut bytes).or_work(|| "no randomness".to_owned())?;
            text.push_str(&format!("{name}={}\n", BASE64.encode(bytes)));
            is_changed = true;
        }
    }
    if value_of(&text, TOKEN_KEY).is_none() {
        let pkcs8 = SigningKey::new_pkcs8()?;
        text.push_str(&format!("{TOKEN_KEY}={}\n", BASE64.encode(pkcs8)));
        is_changed = true;
    }
    if is_changed {
        write_private(&path, &text).or_mend(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(text)
}

fn token_key(text: &str) -> Result<SigningKey, Failure> {
    let value = value_of(text, TOKEN_KEY).unwrap_or_default();
    let what =
        || format!("{TOKEN_KEY} must be an ES256 key, PKCS #8 in base64: take the line away");
    let pkcs8 = BASE64.decode(value).or_mend(what)?;
    SigningKey::from_pkcs8(&pkcs8)
}

/// The value of a plain `NAME=value` line; of several the last.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().rev();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn made_up_secrets_stay_and_the_project_s_own_win() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(&folder.path().join("s")).expect("opens");
        let dotenv = folder.path().join(".env");
        let none = DatabaseOverrides::new;
        let first = load(&state, &dotenv, none()).await.expect("loads");
        let made_up = std::fs::read_to_string(&first.file).expect("a file");
        let mode = std::fs::metadata(&first.file)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        for (name, file) in [
            (DatabaseName::Shop, "banco1.sqlite"),
            (DatabaseName::Telesales, "banco2.sqlite"),
        ] {
            let url = &first.databases[&name];
            assert!(matches!(url, DatabaseUrl::Sqlite(path) if path.ends_with(file)));
        }

        std::fs::write(
            &dotenv,
            "DATABASE_URL_LOCAL=mysql+aiomysql://u:p@h:3306/n\n",
        )
        .expect("writes");
        let second = load(&state, &dotenv, none()).await.expect("loads");
        let shop = DatabaseName::Shop;
        assert!(matches!(second.databases[&shop], DatabaseUrl::MySql(_)));
        let merged = std::fs::read_to_string(&second.file).expect("a file");
        assert!(
            merged.starts_with(&made_up),
            "the made-up secrets stay as they are"
        );

        let url = "sqlite:///outro.db".to_owned();
        let url = DatabaseOverrides::from([(keys::DATABASE_URL_LOCAL.name, url)]);
        let third = load(&state, &dotenv, url).await.expect("loads");
        assert!(matches!(third.databases[&shop], DatabaseUrl::Sqlite(_)));
    }

    #[tokio::test]
    async fn a_broken_line_is_named_and_no_value_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(&folder.path().join("s")).expect("opens");
        let dotenv = folder.path().join(".env");
        std::fs::write(&dotenv, "A=1\nB='segredo\n").expect("writes");
        let overrides = DatabaseOverrides::new();
        let failure = load(&state, &dotenv, overrides)
            .await
            .expect_err("is refused");
        assert_eq!(failure.exit_code, 2);
        assert!(
            failure.sentence.contains('2') && !failure.sentence.contains("segredo"),
            "{failure}"
        );
    }
}
