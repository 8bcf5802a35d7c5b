//! Functions that are invoked directly, by an operator or by another function.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use crate::{Aftercare, Invocation, InvocationFailed, StartError, runtime};

/// A function that takes a JSON value and answers with another.
pub trait Handler {
    /// What it answers with.
    type Answer: Serialize;

    /// Handles one invocation.
    fn handle(
        &self,
        payload: Value,
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Self::Answer, InvocationFailed>>;
}

/// Runs the function until Lambda ends it.
pub async fn run<P, H, S>(function: &'static str, start: S) -> ExitCode
where
    P: Aftercare,
    H: Handler,
    S: AsyncFnOnce() -> Result<(P, H), StartError>,
{
    runtime::serve(
        function,
        async || start().await.map(runtime::Started),
        async |runtime::Started((_, handler)): &runtime::Started<P, H>,
               payload,
               invocation: &Invocation| { handler.handle(payload, invocation).await },
    )
    .await
}
