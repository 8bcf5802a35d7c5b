//! Runs of a simulation, each replayable by its seed.
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Runs only this seed.
const SEED: &str = "FEIRA_SEED";
/// Runs so many seeds.
const SEEDS: &str = "FEIRA_SEEDS";

/// Runs `simulate` with each seed from 1 to `seeds`, on every core. `FEIRA_SEEDS=n` runs so many
/// instead, `FEIRA_SEED=n` that one alone; what fails says how it is run again, by the name of its
/// test program. Answers with how many ran.
///
/// # Panics
/// Where a run panics, and where a variable is no number.
pub fn each_seed(program: &str, seeds: u64, simulate: impl Fn(u64) + Sync) -> u64 {
    let run = |seed| {
        if let Err(failure) = catch_unwind(AssertUnwindSafe(|| simulate(seed))) {
            eprintln!("replay: {SEED}={seed} cargo test --workspace --test {program}");
            resume_unwind(failure);
        }
    };
    if let Some(seed) = number(SEED) {
        run(seed);
        return 1;
    }
    let last = number(SEEDS).unwrap_or(seeds);
    let next = AtomicU64::new(1);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > last {
                break;
            }
            run(seed);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(failure) = worker.join() {
                next.store(last, Ordering::Relaxed);
                resume_unwind(failure);
            }
        }
    });
    last
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number")),
    )
}
