//! What librdkafka asks of its owner: tokens of IAM, where the cluster wants them.

use std::{
    error::Error,
    sync::mpsc::sync_channel,
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use rdkafka::{
    client::{ClientContext, OAuthToken},
    consumer::ConsumerContext,
};
use tokio::runtime::Handle;

use crate::iam::sign_token;

/// librdkafka asks again ten seconds later.
const CREDENTIALS_LIMIT: Duration = Duration::from_secs(5);

/// Who signs for IAM.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) region: String,
    pub(crate) credentials: SharedCredentialsProvider,
}

/// The context of a client, which serves producers and consumers alike.
#[derive(Clone, Default)]
pub struct ClusterContext {
    pub(crate) signer: Option<Signer>,
    /// The runtime in which credentials are asked for: librdkafka's threads have none.
    pub(crate) runtime: Option<Handle>,
}

impl ClientContext for ClusterContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let (Some(signer), Some(runtime)) = (&self.signer, &self.runtime) else {
            return Err("a token of IAM needs AWS credentials and a runtime".into());
        };
        let (sender, receiver) = sync_channel(1);
        let provider = signer.credentials.clone();
        runtime.spawn(async move {
            // Whoever asked may have given up.
            let _ = sender.send(provider.provide_credentials().await);
        });
        let credentials = receiver
            .recv_timeout(CREDENTIALS_LIMIT)
            .map_err(|_| "AWS credentials took too long")?
            .map_err(|_| "there are no AWS credentials")?;
        let signed = sign_token(&signer.region, &credentials, SystemTime::now())?;
        Ok(OAuthToken {
            token: signed.token,
            principal_name: String::new(),
            lifetime_ms: signed.ends_ms,
        })
    }
}

impl ConsumerContext for ClusterContext {}
