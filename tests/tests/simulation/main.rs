//! A seeded simulation of the shop: purchases, cancellations, refunds, legs, clicks, redemptions,
//! sweeps and publishing, with messages repeated, reordered between customers and mixed with
//! poison, and processes killed at random points. Once all is drained the shop must look as a
//! simple model of the facts says. `FEIRA_SEED=n` replays one seed, `FEIRA_SEEDS=n` runs so many.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what supports a test stops it where something is not as it should be"
)]

mod model;
mod plan;
mod world;

use crate::world::Template;

/// How many seeds run by default.
const SEEDS: u64 = 2_000;

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn whatever_happens_the_shop_is_what_the_facts_make_it() {
    let template = runtime().block_on(Template::make());
    testkit::each_seed("simulation", SEEDS, |seed| {
        runtime().block_on(world::simulate(&template, seed));
    });
}
