//! template.yaml, read into types and checked.
//!
//! The template is the only place where wiring is written, so everything that wants to know it
//! (`cargo local`, the authorizer's build, the checks, the tests) reads it here.
//!
//! Architecture invariant: this crate knows SAM's words and nothing of what the functions do.
//!
//! ```no_run
//! # fn main() -> Result<(), sam_template::TemplateError> {
//! let template = sam_template::Template::read("template.yaml".as_ref())?;
//! for route in &template.routes {
//!     println!("{} {} → {}", route.method, route.path, route.function);
//! }
//! # Ok(())
//! # }
//! ```

mod attributes;
mod check;
mod cron;
mod document;
mod error;
mod expression;
mod functions;
mod model;
mod reader;
mod resources;
mod schedule;
mod template;
mod triggers;

pub use check::{Finding, Rule, check};
pub use cron::Cron;
pub use error::{ResolveError, TemplateError};
pub use expression::{Expression, Facts, Resolver};
pub use model::{
    Alarm, Authorizer, Bucket, Cors, FileTrigger, Function, HttpApi, KafkaKind, PUBLIC, Parameter,
    Queue, QueueMapping, Redrive, Route, Schedule, Statement, TopicMapping,
};
pub use schedule::{ScheduleError, ScheduleExpression};
pub use template::Template;
