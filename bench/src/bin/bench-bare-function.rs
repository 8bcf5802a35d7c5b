//! The least that a Lambda in Rust can be: the yardstick of the cold starts.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let echo = async |event: LambdaEvent<Value>| Ok::<Value, Error>(event.payload);
    lambda_runtime::run(service_fn(echo)).await
}
