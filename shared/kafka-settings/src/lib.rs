//! Where Kafka is and how to speak to it: the one set of variables that consumers and producers
//! share.

use rdkafka::ClientConfig;

/// A Kafka cluster.
#[derive(Clone)]
pub struct Cluster {
    brokers: String,
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

impl Cluster {
    /// From variables, which `variable` reads: `KAFKA_BROKERS` (`host:port`, separated by commas),
    /// and for a secured cluster `KAFKA_SECURITY` (`plaintext`, `tls`, `sasl_tls` or
    /// `sasl_plaintext`), with SASL `KAFKA_SASL_MECHANISM` (`SCRAM-SHA-512`, `SCRAM-SHA-256` or
    /// `PLAIN`), `KAFKA_USER` and `KAFKA_PASSWORD`, and `KAFKA_CA_FILE` where the brokers'
    /// certificates are the company's own.
    ///
    /// # Errors
    /// Names the variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let required = |name: &'static str| given(name).ok_or(BadSettings::Missing(name));
        Ok(Self {
            brokers: required("KAFKA_BROKERS")?,
            security: security(&given, &required)?,
        })
    }

    /// `host:port`, separated by commas.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
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

    fn read(given: &[(&str, &str)]) -> Result<Cluster, BadSettings> {
        Cluster::read(|name| {
            let found = given.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        let brokers = ("KAFKA_BROKERS", "127.0.0.1:9092");
        let tls = ("KAFKA_SECURITY", "sasl_tls");
        for (given, named) in [
            (vec![], "KAFKA_BROKERS"),
            (vec![("KAFKA_BROKERS", " ")], "KAFKA_BROKERS"),
            (vec![brokers, ("KAFKA_SECURITY", "none")], "KAFKA_SECURITY"),
            (vec![brokers, tls], "KAFKA_USER"),
            (
                vec![brokers, tls, ("KAFKA_USER", "feira")],
                "KAFKA_PASSWORD",
            ),
            (
                vec![brokers, tls, ("KAFKA_SASL_MECHANISM", "GSSAPI")],
                "KAFKA_SASL_MECHANISM",
            ),
        ] {
            let refused = read(&given).err().map(|error| error.to_string());
            assert!(refused.unwrap_or_default().contains(named), "{named}");
        }
    }

    #[test]
    fn a_secured_cluster_is_spoken_to_by_scram_over_tls() {
        let cluster = read(&[
            ("KAFKA_BROKERS", "a:9096,b:9096"),
            ("KAFKA_SECURITY", "sasl_tls"),
            ("KAFKA_USER", "feira"),
            ("KAFKA_PASSWORD", "senha"),
        ])
        .unwrap();
        let client = cluster.client();
        for (name, expected) in [
            ("bootstrap.servers", "a:9096,b:9096"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "feira"),
        ] {
            assert_eq!(client.get(name), Some(expected), "{name}");
        }
    }
}
