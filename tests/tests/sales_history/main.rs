//! The sales history against a slow plain model: random files with every trick, in random order,
//! repeated, two at once, with loads that are killed at random statements, and files merged between
//! and beside them. Whatever happens, the lake has the lines that the set of files says, and its
//! totals are those lines' own.
//! `FEIRA_SEED=n` replays one seed, `FEIRA_SEEDS=n` runs so many.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod crashes;
mod files;
mod lake;
mod model;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::world::{MERGED_FILES, Template, simulate};

/// How many seeds run by default.
const SEEDS: u64 = 2_000;
/// How many of them run on MariaDB too, where there is one.
const MARIADB_SEEDS: u64 = 3;

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
    let one = || {
        let runtime = runtime();
        runtime.block_on(simulate(template, seed));
        // A killed load may have left a thread that waits for ever.
        runtime.shutdown_background();
    };
    if let Err(failure) = catch_unwind(AssertUnwindSafe(one)) {
        eprintln!("replay: FEIRA_SEED={seed} cargo test --test sales_history");
        resume_unwind(failure);
    }
}

#[test]
fn the_lake_is_what_the_set_of_files_says() {
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
    let merged = MERGED_FILES.load(Ordering::Relaxed);
    assert!(merged > last / 2, "only {merged} files were merged");
}

#[test]
fn the_same_on_mariadb() {
    for seed in 1..=MARIADB_SEEDS {
        let runtime = runtime();
        runtime.block_on(async {
            if let Some(server) = testkit::mariadb().await {
                world::simulate_on(server.url(), seed).await;
            }
        });
        runtime.shutdown_background();
    }
}
