//! Bytes of every kind for each decoder of what comes from outside: the network, other instances, the store.
//! None may panic or take long, and what is read must read the same once it is written again.
//!
//! `FUZZ_SEED` takes a printed seed back, `FUZZ_SECONDS` is how long each target runs, `FUZZ_TARGET` names
//! the only one. Not here: whole requests (`http/fuzz.rs`), streams of frames (`websocket_codec`), sockets
//! (`live/garbage.rs`).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod corpus;
mod mutate;
mod targets;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, Instant, SystemTime},
};

use mutate::Mutator;
use targets::{TARGETS, Target};

/// How long a target runs unless told otherwise.
const SECONDS: u64 = 2;
/// One case that takes longer is a failure: inputs are some kilobytes.
const CASE_MAX: Duration = Duration::from_secs(5);

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn run(target: &Target, seed: u64, length: Duration) {
    let seeds = corpus::of(target.name);
    for case in &seeds {
        (target.run)(case);
    }
    let mut mutator = Mutator::new(seed);
    let end = Instant::now() + length;
    let mut cases = 0_u64;
    while Instant::now() < end {
        let case = mutator.case(&seeds);
        let begun = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(&case)));
        let told = || {
            let hex: String = case.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("FUZZ_TARGET={} FUZZ_SEED={seed}, case {cases}: {hex}", target.name)
        };
        if let Err(panic) = ran {
            println!("{}", told());
            resume_unwind(panic);
        }
        assert!(begun.elapsed() < CASE_MAX, "{:?}: {}", begun.elapsed(), told());
        cases += 1;
    }
    println!("{}: {cases} cases", target.name);
}

#[test]
fn nothing_that_is_read_from_outside_can_break_its_reader() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = from_environment("FUZZ_SEED").unwrap_or(now.as_secs());
    let length = Duration::from_secs(from_environment("FUZZ_SECONDS").unwrap_or(SECONDS));
    println!("FUZZ_SEED={seed}");
    let only = std::env::var("FUZZ_TARGET").ok();
    let chosen = TARGETS.iter().filter(|target| only.as_deref().is_none_or(|name| name == target.name));
    let chosen: Vec<_> = chosen.collect();
    assert!(!chosen.is_empty(), "FUZZ_TARGET={} is not one", only.unwrap_or_default());
    std::thread::scope(|scope| {
        for target in chosen {
            scope.spawn(move || run(target, seed, length));
        }
    });
}

#[test]
fn the_corpus_is_read_so_that_changes_begin_with_what_is_right() {
    for target in &TARGETS {
        let read = corpus::of(target.name).iter().filter(|case| (target.run)(case)).count();
        assert!(read > 0, "{}: none of its corpus is read", target.name);
    }
}
