//! A seeded simulation of the shop: purchases, cancellations, refunds, legs, clicks, redemptions,
//! sweeps and publishing, with messages repeated, reordered between customers and mixed with
//! poison, and processes killed at random points. Once all is drained the shop must look as a
//! simple model of the facts says. `FEIRA_SEED=n` replays one seed, `FEIRA_SEEDS=n` runs so many.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod model;
mod plan;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::world::Template;

/// How many seeds run by default.
const SEEDS: u64 = 2_000;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number")),
    )
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Runs one seed; where it fails, says how to run it again.
fn run(template: &Template, seed: u64) {
    let one = || runtime().block_on(world::simulate(template, seed));
    if let Err(failure) = catch_unwind(AssertUnwindSafe(one)) {
        eprintln!("replay: FEIRA_SEED={seed} cargo test --test simulation");
        resume_unwind(failure);
    }
}

#[test]
fn whatever_happens_the_shop_is_what_the_facts_make_it() {
    let template = runtime().block_on(Template::make());
    if let Some(seed) = setting("FEIRA_SEED") {
        run(&template, seed);
        return;
    }
    let last = setting("FEIRA_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed > last {
                            break;
                        }
                        run(&template, seed);
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(failure) = worker.join() {
                next.store(last, Ordering::Relaxed);
                resume_unwind(failure);
            }
        }
    });
}
