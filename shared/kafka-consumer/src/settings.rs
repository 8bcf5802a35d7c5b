//! Where Kafka is and how to speak to it, by environment variables.

use std::time::Duration;

use kafka_settings::Cluster;
use rdkafka::ClientConfig;

use crate::BadSettings;

/// How a process consumes a topic.
#[derive(Clone)]
pub struct Settings {
    /// Where Kafka is.
    pub cluster: Cluster,
    /// `KAFKA_TOPIC`.
    pub topic: String,
    /// `KAFKA_GROUP`: processes of one group share the partitions, so each consumer has one of its own.
    pub group: String,
    /// `KAFKA_DEAD_LETTER_TOPIC`: where sealed records go; its retention is their expiry.
    pub dead_letter_topic: String,
    /// `HEALTH_ADDRESS`: where GET /health answers.
    pub health_address: String,
    /// Most records of one transaction.
    pub batch_records: usize,
    /// How long a batch that is not full waits for more.
    pub batch_wait: Duration,
    /// How long the store may take for a batch before it is tried again: a database that is gone does
    /// not always say so.
    pub apply_limit: Duration,
    /// `KAFKA_SESSION_TIMEOUT_MS`: a member that is silent for so long has died, and the others get
    /// its partitions.
    pub session_timeout_ms: u32,
    /// `KAFKA_INSTANCE_ID`: a member of this name that is started again gets its partitions back at
    /// once, even after a death.
    pub instance_id: Option<String>,
}

const BATCH_RECORDS: usize = 500;
const BATCH_WAIT: Duration = Duration::from_millis(50);
const APPLY_LIMIT: Duration = Duration::from_secs(60);
/// Kafka's own default of 45 s would make a death felt for that long.
const SESSION_TIMEOUT_MS: u32 = 10_000;

impl Settings {
    /// Of the consumer of this name, from variables, which `variable` reads: those above and the
    /// cluster's ([`Cluster::read`]).
    ///
    /// # Errors
    /// Names the variable.
    pub fn read(
        name: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BadSettings> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let topic = given("KAFKA_TOPIC").unwrap_or_else(|| "clientes".to_owned());
        Ok(Self {
            cluster: Cluster::read(&variable)?,
            group: given("KAFKA_GROUP").unwrap_or_else(|| format!("feira-{name}")),
            dead_letter_topic: given("KAFKA_DEAD_LETTER_TOPIC")
                .unwrap_or_else(|| format!("{topic}.{name}.cartas-mortas")),
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
            apply_limit: APPLY_LIMIT,
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
        })
    }

    /// What a client of this cluster is made of.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        self.cluster.client()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Settings, BadSettings> {
        Settings::read("televendas", |name| {
            let found = given.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        let brokers = ("KAFKA_BROKERS", "127.0.0.1:9092");
        for (given, named) in [
            (vec![], "KAFKA_BROKERS"),
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
        let names = (settings.group, settings.dead_letter_topic);
        let expected = ("feira-televendas", "clientes.televendas.cartas-mortas");
        assert_eq!((names.0.as_str(), names.1.as_str()), expected);
        let other = Settings::read("newsletter", |name| {
            (name == brokers.0).then(|| brokers.1.to_owned())
        });
        let other = other.unwrap();
        assert_ne!((other.group, other.dead_letter_topic), names);
    }
}
