//! What a function builds once, before its first event: settings, the store, queues, files, the
//! invoker.
//!
//! Architecture invariant: AWS clients are built here and nowhere else, and only those that the
//! function asked for. In prod no embedded part is ever opened.

mod aftercare;
mod parts;
mod problems;
pub mod scheduled_job;
mod stock_limits;

pub use aftercare::Announcer;
pub use parts::{
    Consumer, QueueParts, RDS_ROOTS, SqlParts, aws_credentials, documents_need, kafka_needs,
    kafka_setting, open_queues,
};
pub use problems::store_problem;
pub use secrets::{DatabaseName, Need, ProcessEnvironment, Secrets, Stage, keys};
pub use stock_limits::stock_limits;

/// A variable that the template gives a function, and that is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the environment variable {name} is not set: name it in template.yaml, under the function's Environment"
)]
pub struct VariableMissing {
    /// Its name.
    pub name: &'static str,
}

/// A variable that the template must give.
///
/// # Errors
/// When it is unset or empty.
pub fn variable<'a>(
    process: &'a ProcessEnvironment,
    name: &'static str,
) -> Result<&'a str, VariableMissing> {
    process.get(name).ok_or(VariableMissing { name })
}
