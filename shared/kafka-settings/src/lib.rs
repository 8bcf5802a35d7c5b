//! Where Kafka is and how to speak to it: the one set of variables that consumers and producers
//! share.

mod context;
mod iam;

use rdkafka::ClientConfig;
use tokio::runtime::Handle;

pub use aws_credential_types::provider::SharedCredentialsProvider as Credentials;
pub use context::ClusterContext;
pub use iam::{NotSigned, SignedToken, sign_token};

use context::Signer;

/// `KAFKA_SASL_MECHANISM` of Amazon MSK's access control by IAM.
pub const MSK_IAM: &str = "AWS_MSK_IAM";

/// A Kafka cluster.
#[derive(Clone)]
pub struct Cluster {
    brokers: String,
    security: Vec<(&'static str, String)>,
    /// Of the clusters that IAM lets in.
    region: Option<String>,
    signer: Option<Signer>,
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
    /// certificates are the company's own. With `AWS_MSK_IAM` as the mechanism there is no user:
    /// tokens are signed for `AWS_REGION` ([`Self::with_credentials`]).
    ///
    /// # Errors
    /// Names the variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let required = |name: &'static str| given(name).ok_or(BadSettings::Missing(name));
        let brokers = required("KAFKA_BROKERS")?;
        let security = security(&given, &required)?;
        let is_iam = security.contains(&("sasl.mechanism", "OAUTHBEARER".to_owned()));
        Ok(Self {
            brokers,
            security,
            region: is_iam.then(|| required("AWS_REGION")).transpose()?,
            signer: None,
        })
    }

    /// Whether IAM lets in, so that credentials are needed.
    #[must_use]
    pub const fn is_iam(&self) -> bool {
        self.region.is_some()
    }

    /// With the credentials that sign tokens, where IAM lets in; else they are not used.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        let signer = self.region.clone().zip(credentials);
        self.signer = signer.map(|(region, credentials)| Signer {
            region,
            credentials,
        });
        self
    }

    /// The context that a client of this cluster is created with, inside a runtime of tokio.
    #[must_use]
    pub fn context(&self) -> ClusterContext {
        ClusterContext {
            signer: self.signer.clone(),
            runtime: Handle::try_current().ok(),
        }
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
        if mechanism == MSK_IAM {
            settings.push(("sasl.mechanism", "OAUTHBEARER".to_owned()));
            return Ok(settings);
        }
        if !["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"].contains(&mechanism.as_str()) {
            let known = "SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or AWS_MSK_IAM";
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
    use std::{
        error::Error,
        sync::{Arc, Mutex},
        time::{Duration, Instant},
    };

    use aws_credential_types::provider::{ProvideCredentials, future};
    use rdkafka::{
        client::{ClientContext, OAuthToken},
        error::{KafkaError, RDKafkaErrorCode},
        producer::FutureProducer,
    };

    use super::*;

    #[derive(Debug)]
    struct Counted(Arc<Mutex<u32>>);

    impl ProvideCredentials for Counted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            *self.0.lock().unwrap() += 1;
            let credentials =
                aws_credential_types::Credentials::new("AKID", "secret", None, None, "test");
            future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    /// Our context, with what librdkafka says of it.
    struct Watched {
        inner: ClusterContext,
        errors: Arc<Mutex<Vec<Option<RDKafkaErrorCode>>>>,
    }

    impl ClientContext for Watched {
        const ENABLE_REFRESH_OAUTH_TOKEN: bool = ClusterContext::ENABLE_REFRESH_OAUTH_TOKEN;

        fn error(&self, error: KafkaError, _: &str) {
            self.errors.lock().unwrap().push(error.rdkafka_error_code());
        }

        fn generate_oauth_token(&self, asked: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
            self.inner.generate_oauth_token(asked)
        }
    }

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

    #[test]
    fn a_cluster_that_iam_lets_in_has_a_region_and_no_user() {
        let given = [
            ("KAFKA_BROKERS", "b-1.msk:9098"),
            ("KAFKA_SECURITY", "sasl_tls"),
            ("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM"),
            ("AWS_REGION", "sa-east-1"),
        ];
        let missing = read(&given[..3]).err().map(|error| error.to_string());
        assert!(missing.unwrap_or_default().contains("AWS_REGION"));
        let client = read(&given).unwrap().client();
        assert_eq!(client.get("sasl.mechanism"), Some("OAUTHBEARER"));
        assert_eq!(client.get("sasl.username"), None);
    }

    /// librdkafka itself asks for the token, from a thread of its own.
    #[tokio::test]
    async fn librdkafka_gets_a_token_made_of_the_credentials() {
        let given = [
            ("KAFKA_BROKERS", "127.0.0.1:1"),
            ("KAFKA_SECURITY", "sasl_tls"),
            ("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM"),
            ("AWS_REGION", "sa-east-1"),
        ];
        let asked = Arc::new(Mutex::new(0));
        let provider = Credentials::new(Counted(asked.clone()));
        let cluster = read(&given).unwrap().with_credentials(Some(provider));
        let errors = Arc::new(Mutex::new(Vec::new()));
        let context = Watched {
            inner: cluster.context(),
            errors: errors.clone(),
        };
        let producer: FutureProducer<Watched> =
            cluster.client().create_with_context(context).unwrap();
        let began = Instant::now();
        while *asked.lock().unwrap() == 0 || began.elapsed() < Duration::from_millis(500) {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(producer);
        let authentication = RDKafkaErrorCode::Authentication;
        assert!(!errors.lock().unwrap().contains(&Some(authentication)));
    }
}
