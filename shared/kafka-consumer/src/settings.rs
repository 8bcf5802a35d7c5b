//! Where Kafka is and how to speak to it, by environment variables.

use std::time::Duration;

use rdkafka::ClientConfig;

/// How a process consumes a topic.
#[derive(Clone)]
pub struct Settings {
    /// `KAFKA_BROKERS`: `host:port`, separated by commas.
    pub brokers: String,
    /// `KAFKA_TOPIC`.
    pub topic: String,
    /// `KAFKA_GROUP`: processes of one group share the partitions.
    pub group: String,
    /// `KAFKA_DEAD_LETTER_TOPIC`: where sealed records go; its retention is their expiry.
    pub dead_letter_topic: String,
    /// `HEALTH_ADDRESS`: where GET /health answers.
    pub health_address: String,
    /// Most records of one transaction.
    pub batch_records: usize,
    /// How long a batch that is not full waits for more.
    pub batch_wait: Duration,
    /// `KAFKA_SESSION_TIMEOUT_MS`: a member that is silent for so long has died, and the others get
    /// its partitions.
    pub session_timeout_ms: u32,
    /// `KAFKA_INSTANCE_ID`: a member of this name that is started again gets its partitions back at
    /// once, even after a death.
    pub instance_id: Option<String>,
    security: Vec<(&'static str, String)>,
}

/// A setting is missing or wrong. It names the variable and holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// It is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// It says nothing that is known.
    #[error("the environment variable {0} must be {1}")]
    Wrong(&'static str, &'static str),
}

const BATCH_RECORDS: usize = 500;
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// Kafka's own default of 45 s would make a death felt for that long.
const SESSION_TIMEOUT_MS: u32 = 10_000;

impl Settings {
    /// From variables, which `variable` reads: those above, and for a secured cluster
    /// `KAFKA_SECURITY` (`plaintext`, `tls`, `sasl_tls` or `sasl_plaintext`), with SASL
    /// `KAFKA_SASL_MECHANISM` (`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`), `KAFKA_USER` and
    /// `KAFKA_PASSWORD`, and `KAFKA_CA_FILE` where the brokers' certificates are the company's own.
    ///
    /// # Errors
    /// Names the variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let required = |name: &'static str| given(name).ok_or(BadSettings::Missing(name));
        let topic = given("KAFKA_TOPIC").unwrap_or_else(|| "clientes".to_owned());
        Ok(Self {
            brokers: required("KAFKA_BROKERS")?,
            group: given("KAFKA_GROUP").unwrap_or_else(|| "feira-televendas".to_owned()),
            dead_letter_topic: given("KAFKA_DEAD_LETTER_TOPIC")
                .unwrap_or_else(|| format!("{topic}.cartas-mortas")),
            topic,
            health_address: given("HEALTH_ADDRESS").unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            batch_records: match given("BATCH_RECORDS") {
                None => BATCH_RECORDS,
                Some(text) => text
                    .parse()
                    .ok()
                    .filter(|records| (1..=10_000).contains(records))
                    .ok_or(BadSettings::Wrong("BATCH_RECORDS", "from 1 to 10000"))?,
            },
            batch_wait: BATCH_WAIT,
            session_timeout_ms: match given("KAFKA_SESSION_TIMEOUT_MS") {
                None => SESSION_TIMEOUT_MS,
                Some(text) => text
                    .parse()
                    .ok()
                    .filter(|millis| (1_000..=300_000).contains(millis))
                    .ok_or(BadSettings::Wrong(
                        "KAFKA_SESSION_TIMEOUT_MS",
                        "from 1000 to 300000",
                    ))?,
            },
            instance_id: given("KAFKA_INSTANCE_ID"),
            security: security(&given, &required)?,
        })
    }

    /// What a client of this cluster is made of.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        for (name, value) in &self.security {
            client.set(*name, value);
        }
        client
    }
}

fn security(
    given: &impl Fn(&str) -> Option<String>,
    required: &impl Fn(&'static str) -> Result<String, BadSettings>,
) -> Result<Vec<(&'static str, String)>, BadSettings> {
    let (protocol, has_sasl) = match given("KAFKA_SECURITY").as_deref() {
        None | Some("plaintext") => ("plaintext", false),
        Some("tls") => ("ssl", false),
        Some("sasl_tls") => ("sasl_ssl", true),
        Some("sasl_plaintext") => ("sasl_plaintext", true),
        Some(_) => {
            let known = "plaintext, tls, sasl_tls or sasl_plaintext";
            return Err(BadSettings::Wrong("KAFKA_SECURITY", known));
        }
    };
    let mut settings = vec![("security.protocol", protocol.to_owned())];
    if has_sasl {
        let mechanism = given("KAFKA_SASL_MECHANISM").unwrap_or_else(|| "SCRAM-SHA-512".to_owned());
        if !["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"].contains(&mechanism.as_str()) {
            let known = "SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN";
            return Err(BadSettings::Wrong("KAFKA_SASL_MECHANISM", known));
        }
        settings.push(("sasl.mechanism", mechanism));
        settings.push(("sasl.username", required("KAFKA_USER")?));
        settings.push(("sasl.password", required("KAFKA_PASSWORD")?));
    }
    if let Some(file) = given("KAFKA_CA_FILE") {
        settings.push(("ssl.ca.location", file));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Settings, BadSettings> {
        Settings::read(|name| {
            let found = given.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        let brokers = ("KAFKA_BROKERS", "127.0.0.1:9092");
        for (given, named) in [
            (vec![], "KAFKA_BROKERS"),
            (vec![brokers, ("KAFKA_SECURITY", "none")], "KAFKA_SECURITY"),
            (vec![brokers, ("KAFKA_SECURITY", "sasl_tls")], "KAFKA_USER"),
            (vec![brokers, ("BATCH_RECORDS", "0")], "BATCH_RECORDS"),
            (
                vec![brokers, ("KAFKA_SESSION_TIMEOUT_MS", "10s")],
                "KAFKA_SESSION_TIMEOUT_MS",
            ),
        ] {
            let refused = read(&given).err().map(|error| error.to_string());
            assert!(refused.unwrap_or_default().contains(named), "{named}");
        }
        let settings = read(&[brokers]).unwrap();
        assert_eq!(settings.dead_letter_topic, "clientes.cartas-mortas");
    }
}
