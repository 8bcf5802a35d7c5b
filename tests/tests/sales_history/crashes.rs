//! A load is killed before and after each of its statements: the lake has its old state or its new
//! one, and the next event ends it right.

use bundle_tests::faults::cutter::Cut;
use load_sales::load;
use testkit::Random;

use crate::{
    files::{Content, content},
    lake::contents,
    model::{Loaded, expected},
    runtime,
    world::{BUCKET, Template, World, taken},
};

/// A file that speaks of orders, in text.
fn some(random: &mut Random) -> Content {
    loop {
        let content = content(random);
        if content.lines.len() > 6 && content.bad_lines < 2 {
            return content;
        }
    }
}

/// A world with two loaded files, and a third that replaces lines of both.
async fn begin(template: &Template, seed: u64) -> (World, Vec<Loaded>, Content) {
    let world = World::copy(template);
    let mut random = Random::new(seed);
    let (parts, _) = world.parts(Cut::Never).await;
    let mut loaded = Vec::new();
    for (key, seconds) in [("vendas/a.csv", 1), ("vendas/b.csv", 2)] {
        let content = some(&mut random);
        world.put(key, &content, seconds);
        let ended = load(&parts, BUCKET, key).await.unwrap().unwrap();
        loaded.extend(taken(&ended, &content));
    }
    let content = some(&mut random);
    world.put("vendas/a.csv", &content, 3);
    (world, loaded, content)
}

async fn whole(template: &Template, seed: u64) -> usize {
    let (world, mut loaded, content) = begin(template, seed).await;
    let (parts, cutter) = world.parts(Cut::Never).await;
    let ended = load(&parts, BUCKET, "vendas/a.csv").await.unwrap().unwrap();
    loaded.extend(taken(&ended, &content));
    world.check(&loaded, None).await;
    cutter.points()
}

async fn killed(template: &Template, seed: u64, point: usize) {
    let (world, mut loaded, content) = begin(template, seed).await;
    let (parts, cutter) = world.parts(Cut::Drop(point)).await;
    let answer = cutter.around(load(&parts, BUCKET, "vendas/a.csv")).await;
    assert!(answer.is_none(), "point {point} was not reached");
    let told = format!("seed {seed}, killed at {point}: {}", cutter.last());

    let (parts, _) = world.parts(Cut::Never).await;
    let found = contents(&parts.store, &world.folder, BUCKET).await;
    let old = expected(&loaded);
    let ended = load(&parts, BUCKET, "vendas/a.csv").await.unwrap().unwrap();
    loaded.extend(taken(&ended, &content));
    let new = expected(&loaded);
    assert!(found == old || found == new, "{told}: {found:?}");
    world.check(&loaded, None).await;
}

#[test]
fn killed_at_any_statement_a_load_leaves_the_old_state_or_the_new_one() {
    let template = runtime().block_on(Template::make());
    let mut all = 0;
    for seed in 1..=2 {
        let points = runtime().block_on(whole(&template, seed));
        for point in 0..points {
            let runtime = runtime();
            runtime.block_on(killed(&template, seed, point));
            runtime.shutdown_background();
        }
        all += points;
    }
    assert!(all > 60, "only {all} points");
}
