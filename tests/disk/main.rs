//! Rule V6 on a simulated disk: whatever a power cut, a sync that fails or a full disk leaves, a start of the embedded store
//! finds everything that was acknowledged, nothing that was refused, and goes on.
//!
//! A child process (the *victim*) runs a workload on a real store. A library loaded before libc (`recorder.c`) writes down
//! all it does to its files, in one order. `disk` plays that again on a disk that keeps unsynced pages, loses them, tears
//! them, or reorders them, and stops anywhere; `judge` opens what is left.
//!
//! `DISK_SEED`, `DISK_RUNS` and `DISK_CUTS` say which runs are made, how many, and how many cuts are tried in each.
//!
//! Not here: logs that are cut at every frame (`store::journal::power_cuts`), and processes that are killed (`processes`).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod disk;
mod judge;
mod recording;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the simulation")]
mod rng;
mod told;
mod workload;

use std::{env, path::Path};

use disk::{Disk, Reached};
use recording::{Fault, Op, Recording};
use rng::Rng;
use told::Told;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: no number")))
}

/// What the victim runs. Not a test by itself.
#[test]
#[ignore = "the other tests start it, with the recorder loaded"]
fn victim() {
    let Ok(dir) = env::var("DISK_DIR") else { return };
    workload::run(Path::new(&dir), number("DISK_SEED", 1));
}

/// How often power was cut, and how much of it could be seen to hurt.
#[derive(Debug, Default)]
struct Found {
    cuts: usize,
    /// Cuts after which a file was not what the victim had last seen of it.
    torn: usize,
    /// Cuts after which something was there whose answer nobody had got.
    unanswered: usize,
}

/// Cuts power at many points of a recording, and judges each. The first that is wrong is told with where it was.
fn cut(recording: &Recording, seed: u64, cuts: u64) -> Result<Found, String> {
    let mut rng = Rng::new(seed);
    let told = recording.ops.iter().position(Op::is_told).ok_or("the victim told nothing")?;
    let first = recording.ops.iter().position(Op::is_failed_sync).map_or(told, |failed| failed.max(told));
    let mut points: Vec<usize> =
        (0..cuts).map(|_| first + rng.index(recording.ops.len() - first) + 1).collect();
    points.push(recording.ops.len());
    points.sort_unstable();
    let (mut disk, mut told, mut at, mut found) =
        (Disk::new(rng.fork()), Told::default(), 0, Found::default());
    for point in points {
        for op in &recording.ops[at..point] {
            match op.told() {
                Some(line) => told.take(line),
                None => disk.play(op),
            }
        }
        at = point;
        let reached = *rng.pick(&[Reached::Nothing, Reached::Some, Reached::Some, Reached::Everything]);
        let left = tempfile::tempdir().unwrap();
        found.torn += usize::from(disk.cut_power(reached, left.path()));
        let more = judge::judge(left.path(), &told, found.cuts.is_multiple_of(4)).map_err(|wrong| {
            format!("after {point} of {} operations, {reached:?}: {wrong}", recording.ops.len())
        })?;
        found.unanswered += usize::from(more);
        found.cuts += 1;
    }
    Ok(found)
}

/// Runs of the workload with this fault, each with power cut at many points.
fn runs(name: &str, fault: impl Fn(&mut Rng) -> Fault) {
    let (seed, cuts) = (number("DISK_SEED", 1), number("DISK_CUTS", 20));
    for seed in seed..seed + number("DISK_RUNS", 1) {
        let fault = fault(&mut Rng::new(seed));
        let recording = Recording::make(seed, fault);
        match cut(&recording, seed, cuts) {
            Ok(found) => {
                println!(
                    "{name}, DISK_SEED={seed}, {fault:?}: {} operations, {found:?}",
                    recording.ops.len()
                );
                assert!(found.torn > found.cuts / 4, "{found:?}");
            }
            Err(wrong) => {
                panic!("{name}, DISK_SEED={seed}, {fault:?}: {wrong}; the record: {}", recording.keep())
            }
        }
    }
}

#[test]
fn v6_a_power_cut_that_loses_tears_and_reorders_what_was_not_synced_loses_nothing_acknowledged() {
    runs("power cuts", |_| Fault::None);
}

/// What the failed sync was to bring to the disk is lost, though the next one succeeds.
#[test]
fn v6_after_a_sync_that_fails_nothing_is_acknowledged_that_a_power_cut_can_take() {
    runs("a failed sync of the journal", |rng| match rng.below(4) {
        0 => Fault::Sync("journal.db", rng.below(3) + 1),
        _ => Fault::Sync("journal.db-wal", rng.below(600) + 20),
    });
    runs("a failed sync of the tables", |rng| match rng.below(4) {
        0 => Fault::Sync("dao.db", rng.below(3) + 1),
        _ => Fault::Sync("dao.db-wal", rng.below(40) + 3),
    });
}

#[test]
fn v6_a_disk_that_is_full_for_a_while_loses_nothing_acknowledged() {
    runs("a full disk", |rng| {
        let from = rng.below(2_000) + 100;
        Fault::Full(from, from + rng.below(200) + 1)
    });
}

/// The judge finds it where a disk lies: here syncs of the journal's log do nothing.
#[test]
fn where_syncs_do_nothing_the_judge_finds_what_is_lost() {
    let mut recording = Recording::make(7, Fault::None);
    let (mut n, from) = (0, recording.ops.len() / 4);
    recording.ops.retain(|op| {
        n += 1;
        n < from || !op.is_sync_of("journal.db-wal")
    });
    let wrong = cut(&recording, 7, 60).expect_err("what was acknowledged is not on the disk");
    println!("{wrong}");
    assert!(wrong.contains("were acknowledged") || wrong.contains("is another one"), "{wrong}");
}
