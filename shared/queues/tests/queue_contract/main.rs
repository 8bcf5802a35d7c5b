//! What the queues promise: on every part alike, under failures, by many openers, against a model.
#![cfg(test)]

mod contract;
mod embedded;
mod many_processes;
mod model;
mod model_runs;
mod partial_failures;
mod support;
