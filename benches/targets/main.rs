//! `cargo bench --bench targets`: the project's targets, measured on this machine and printed as a
//! table. `BENCH_ROWS=1,3` chooses rows; `docs/benchmarks.md` says what each one means.
//!
//! Invariants:
//! - The server is a child process, the release binary as users run it, its data on a real disk.
//! - Every figure stands beside a reference of the same run; rounds of all are interleaved, and the
//!   median of the rounds counts.
//! - An answer that is not the expected one ends the run: no figure counts errors.

mod growth;
mod guards;
mod http;
mod latency;
mod live;
mod load;
mod memory;
mod projectors;
mod reads;
mod references;
mod report;
mod requests;
mod resp;
mod server;
mod sockets;
mod start;
mod streams;
mod writes;

use std::{env, fs, path::Path, process::ExitCode, time::Duration};

use report::Report;

/// Whatever went wrong, for a person.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How often everything is measured; the median counts. Odd.
const ROUNDS: usize = 5;
/// How long one round of a closed loop takes.
const ROUND: Duration = Duration::from_millis(800);
/// Connections of a closed loop, for the server and for its reference alike.
const CONNECTIONS: usize = 64;

/// What every row needs.
struct Bench {
    /// A directory on a real disk, gone at the end.
    scratch: tempfile::TempDir,
    /// Whether there is a `redis-server` to start.
    has_redis: bool,
    report: Report,
}

type Row = fn(&mut Bench) -> Outcome<()>;
const ROWS: [(&str, Row); 16] = [
    ("1", writes::single),
    ("1o", writes::single_ordered),
    ("1g", guards::run),
    ("2", writes::batches),
    ("3", latency::run),
    ("4", reads::run),
    ("5", live::latency),
    ("6", live::fan_outs),
    ("7", live::idle),
    ("8", live::storm),
    ("9", streams::replay),
    ("10", projectors::run),
    ("11", start::run),
    ("12", streams::reader),
    ("13", memory::run),
    ("14", growth::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match &arguments[..] {
        [first, answer] if first == references::ECHO => references::echo(answer.clone()),
        _ => run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark was given up: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let chosen = env::var("BENCH_ROWS").unwrap_or_default();
    let chosen: Vec<&str> = chosen.split(',').map(str::trim).filter(|row| !row.is_empty()).collect();
    if let Some(stranger) = chosen.iter().find(|row| ROWS.iter().all(|(known, _)| known != *row)) {
        return Err(format!("BENCH_ROWS: there is no row {stranger}").into());
    }
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let has_redis = server::has_redis();
    println!("data on {}", filesystem(scratch.path()));
    println!("load average at the start: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    if !has_redis {
        println!("redis-server is not installed: the rows over Redis are skipped");
    }
    let mut bench = Bench { scratch, has_redis, report: Report::default() };
    let measured = ROWS.iter().filter(|(name, _)| chosen.is_empty() || chosen.contains(name)).try_for_each(
        |(name, row)| {
            eprintln!("row {name} …");
            row(&mut bench).map_err(|error| format!("row {name}: {error}"))
        },
    );
    // What was measured before a row failed is worth its time.
    bench.report.print();
    measured?;
    println!("load average at the end: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    Ok(())
}

/// The kind of file system below `path`, and a warning where an fsync costs nothing.
fn filesystem(path: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let under = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        path.starts_with(point).then_some((point.len(), kind))
    });
    match under.max() {
        Some((_, "tmpfs")) => "tmpfs: DURABILITY COSTS NOTHING HERE, the figures are worthless".to_owned(),
        Some((_, kind)) => kind.to_owned(),
        None => "an unknown file system".to_owned(),
    }
}
