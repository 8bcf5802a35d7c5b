//! The bundle on one machine: `cargo local`.
//!
//! It reads template.yaml, and nothing else, for what runs, and hands each function binary the very
//! JSON that AWS would hand it, over the Lambda Runtime API.
//!
//! Architecture invariant: outside `demo` and `simulate` nothing here knows a function, a route, a
//! queue, a topic or a job by name; a new function is a crate and a template resource.

pub mod bundle;
pub mod cli;
pub mod client;
pub mod commands;
mod compile;
pub mod demo;
pub mod destinations;
pub mod events;
pub mod failure;
mod folder_trigger;
mod from_template;
pub mod gateway;
pub mod http_client;
pub mod instance;
mod invoke_api;
pub mod invoker;
pub mod journal;
pub mod processes;
pub mod progress;
pub mod project;
mod queue_poller;
mod runtime_api;
mod schedules;
pub mod settings;
pub mod simulate;
pub mod sqlite;
pub mod state;
pub mod table;
pub mod terminal;
pub mod token;
pub mod topics;
