//! The sales history against a slow plain model: random files with every trick, in random order,
//! repeated, two at once, with loads that are killed at random statements, and files merged between
//! and beside them. Whatever happens, the lake has the lines that the set of files says, and its
//! totals are those lines' own.
//! `FEIRA_SEED=n` replays one seed, `FEIRA_SEEDS=n` runs so many.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod crashes;
mod files;
mod lake;
mod model;
mod world;

use std::sync::atomic::Ordering;

use crate::world::{MERGED_FILES, Template, simulate};

/// How many seeds run by default.
const SEEDS: u64 = 2_000;
/// How many of them run on MariaDB too, where there is one.
const MARIADB_SEEDS: u64 = 20;

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn the_lake_is_what_the_set_of_files_says() {
    let template = runtime().block_on(Template::make());
    let seeds = testkit::each_seed("sales_history", SEEDS, |seed| {
        let runtime = runtime();
        runtime.block_on(simulate(&template, seed));
        // A killed load may have left a thread that waits for ever.
        runtime.shutdown_background();
    });
    let merged = MERGED_FILES.load(Ordering::Relaxed);
    assert!(merged >= seeds / 2, "only {merged} files were merged");
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
