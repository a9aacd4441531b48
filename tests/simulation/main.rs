//! A deterministic simulation of the server below HTTP: several instances over one store that fails on
//! cue, clients that repeat themselves, subscribers that come and go, projector workers, processes that
//! die between any two steps, hints that get lost, histories that lose their ends; seeded,
//! single-threaded in paused time. What is answered is checked against the rules by a model that shares
//! no code with the server; what subscribers are given and what rows come to be is checked the moment it
//! happens, against every history there ever was.
//!
//! Where histories are lost (`plan.has_upheavals`) no answer is final, and only those who follow are
//! checked.
//!
//! `SIM_SEEDS` is how many seeds are run, `SIM_SEED` the first of them: `SIM_SEED=17 SIM_SEEDS=1
//! cargo test --test simulation -- --nocapture` runs seed 17 again, exactly as it was, and tells what
//! happened.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]
#![allow(unreachable_pub, missing_docs, reason = "nobody else uses this crate")]

mod checker;
mod client;
mod compare;
mod conflict;
mod decide;
mod durable;
mod happening;
mod lost_tail;
mod model;
mod pacing;
mod person;
mod plan;
mod projectors;
mod rng;
mod rows;
mod store;
mod subscriber;
mod upheaval;
mod world;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use checker::Tally;

/// Seeds in a run that names no number: some fifteen seconds on two cores.
const SEEDS: u64 = 4_000;
/// After so many failures no more are looked for.
const FAILURES_MAX: usize = 5;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Runs one seed and checks it; tells what was remarked, where that is the only one.
fn simulate(seed: u64) -> Result<Tally, String> {
    let world = world::run(seed);
    if from_environment("SIM_SEEDS", SEEDS) == 1 {
        println!(
            "{:#?}\n{:?}",
            world.plan,
            world.happened.lock().unwrap().iter().filter(is_remark).collect::<Vec<_>>()
        );
    }
    checker::check(&world)
}

fn is_remark(happening: &&happening::Happening) -> bool {
    use happening::Happening::{Died, Failed, Remark};
    matches!(happening, Remark(..) | Died { .. } | Failed { .. })
}

/// Everything that happened, and everything that is durable, as text.
fn transcript(seed: u64) -> String {
    let world = world::run(seed);
    let shared = world.shared.lock().unwrap();
    let logs: Vec<_> = shared.graphs.values().map(|log| (&log.commits, &log.records)).collect();
    format!("{:#?}\n{logs:#?}", world.happened.lock().unwrap())
}

#[test]
fn the_rules_hold_whatever_fails() {
    let (first, count) = (from_environment("SIM_SEED", 0), from_environment("SIM_SEEDS", SEEDS));
    let (next, failures, tally) = (AtomicU64::new(first), Mutex::new(vec![]), Mutex::new(Tally::new()));
    let started = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || failures.lock().unwrap().len() >= FAILURES_MAX {
                return;
            }
            match std::panic::catch_unwind(|| simulate(seed)) {
                Ok(Ok(seen)) => {
                    let mut tally = tally.lock().unwrap();
                    seen.into_iter().for_each(|(what, times)| *tally.entry(what).or_default() += times);
                }
                Ok(Err(problem)) => failures.lock().unwrap().push((seed, problem)),
                Err(_panic) => failures.lock().unwrap().push((seed, "a panic, see above".to_owned())),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    println!("{count} seeds from {first} in {:?}: {:#?}", started.elapsed(), tally.lock().unwrap());
    let failures = failures.into_inner().unwrap();
    for (seed, problem) in &failures {
        println!("seed {seed}: {problem}");
        println!(
            "  again: SIM_SEED={seed} SIM_SEEDS=1 cargo test --test simulation the_rules -- --nocapture\n"
        );
    }
    assert!(failures.is_empty(), "failing seeds: {:?}", failures.iter().map(|f| f.0).collect::<Vec<_>>());
}

#[test]
fn the_same_seed_is_the_same_history_byte_for_byte() {
    for seed in [3, 14, 28, 61, 159, 282] {
        let (one, other) = (transcript(seed), transcript(seed));
        assert!(one == other, "seed {seed} went two ways");
        assert!(one.len() > 1_000, "seed {seed} did nothing");
    }
}
