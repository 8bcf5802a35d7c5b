//! After a commit that wrote domain events, publish-outbox is invoked; a schedule sweeps anyway.

use std::time::Duration;

use aws_config::SdkConfig;
use invocations::Invoker;
use lambda_kit::Aftercare;
use secrets::ProcessEnvironment;
use sql_store::Store;

/// Longest time that an answer waits for the announcement to be taken.
const INVOKE_TIMEOUT: Duration = Duration::from_millis(1000);

/// Announces committed domain events.
#[derive(Clone)]
pub struct Announcer {
    store: Store,
    target: Option<(Invoker, String)>,
}

impl Announcer {
    /// Reads PUBLISH_OUTBOX_FUNCTION; a function that writes no events has none.
    pub(crate) fn new(store: Store, process: &ProcessEnvironment, sdk: Option<&SdkConfig>) -> Self {
        let name = process.get("PUBLISH_OUTBOX_FUNCTION").map(str::to_owned);
        let target = sdk
            .zip(name)
            .map(|(sdk, name)| (Invoker::new(sdk, INVOKE_TIMEOUT), name));
        Self { store, target }
    }
}

impl Aftercare for Announcer {
    async fn after_invocation(&self) {
        if self.store.take_published()
            && let Some((invoker, name)) = &self.target
        {
            invoker
                .nudge(name, br#"{"motivo":"commit"}"#.to_vec())
                .await;
        }
    }
}
