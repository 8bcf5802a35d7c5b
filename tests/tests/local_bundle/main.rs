//! `cargo local` from outside: the real program, a template and a function of the tests' own.

mod commands;
mod http;
mod queues;
mod restart;
mod stage;
mod triggers;
