//! Row 10: how far projectors are behind, what reads that name a version wait for, and a rebuild.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    Bench, Outcome, ROUNDS,
    http::Connection,
    load::{closed_loop, histogram, open_loop},
    report::{Rounds, Target, Unit},
    requests::{Get, Moves, Packing, ask, graph},
    server::{PROGRAM, Server, lag_s},
    writes::{GRAPHS, NODES},
};

const WATCHED: Duration = Duration::from_secs(4);
/// How often the lag is asked for. The server looks at it once a second, so a round has four different answers.
const PERIOD: Duration = Duration::from_millis(50);
/// Commits that are rebuilt.
const STORED: usize = 1_000_000;

pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let dir = bench.scratch.path().join("row10");
    let server = Server::embedded(&dir)?;
    server.make_small_graphs(GRAPHS)?;
    let mut lags: [Rounds; 2] = Default::default();
    let mut reads = Rounds::default();
    for _ in 0..ROUNDS {
        let watch = Watch::start(server.address);
        let rate =
            closed_loop(server.address, Moves::clients(0..GRAPHS, NODES, Packing::Single), WATCHED)?.rate;
        let (lag, read) = watch.end()?;
        lags[0].push(lag);
        reads.push(read);
        server.projected()?;
        let watch = Watch::start(server.address);
        let clients = (0..16).map(|client| Moves::new(client, 0..GRAPHS, NODES, Packing::Single)).collect();
        open_loop(server.address, clients, rate / 10.0, WATCHED)?;
        lags[1].push(watch.end()?.0);
    }
    let ms = Unit::Milliseconds;
    let [full, tenth] = &lags;
    let report = &mut bench.report;
    report.add("10", "projectors behind at row 1's rate, worst", ms, full, None, Target::AtMost(2_500.0));
    report.add("10", "projectors behind at a tenth of it, worst", ms, tenth, None, Target::AtMost(250.0));
    let what = "a node read with minVersion at row 1's rate, p99";
    report.add("10", what, ms, &reads, None, Target::AtMost(50.0));

    drop(server);
    rebuild(bench)
}

/// A million commits folded anew.
fn rebuild(bench: &mut Bench) -> Outcome<()> {
    let dir = bench.scratch.path().join("row10-rebuild");
    let server = Server::embedded(&dir)?;
    server.make_small_graphs(GRAPHS)?;
    server.fill(0..GRAPHS, NODES, STORED)?;
    drop(server);
    let mut rebuilt = Rounds::default();
    for _ in 0..3 {
        let start = Instant::now();
        let ended = Command::new(PROGRAM)
            .args(["rebuild", "--all"])
            .env_clear()
            .env("DATA_DIR", &dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !ended.success() {
            return Err("the rebuild failed".into());
        }
        rebuilt.push(STORED as f64 / start.elapsed().as_secs_f64());
    }
    let least = Target::AtLeast(200_000.0);
    bench.report.add("10", "rebuild of a million commits, embedded", Unit::PerSecond, &rebuilt, None, least);
    Ok(())
}

/// Asks a server how far its projectors are behind, and reads nodes at the version just made.
struct Watch {
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<Outcome<[Histogram<u64>; 2]>>,
}

impl Watch {
    fn start(address: SocketAddr) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let is_ended = Arc::clone(&ended);
        Self { ended, thread: thread::spawn(move || watch(address, &is_ended)) }
    }

    /// The worst lag and the 99th percentile of the reads, in milliseconds.
    fn end(self) -> Outcome<(f64, f64)> {
        self.ended.store(true, Ordering::Relaxed);
        let [lags, reads] = self.thread.join().map_err(|_| "the watch panicked")??;
        Ok((lags.max() as f64 / 1e6, reads.value_at_quantile(0.99) as f64 / 1e6))
    }
}

fn watch(address: SocketAddr, is_ended: &AtomicBool) -> Outcome<[Histogram<u64>; 2]> {
    let mut connection = Connection::open(address)?;
    let mut moves = Moves::new(7, 0..1, NODES, Packing::Single);
    let [mut lags, mut reads] = [histogram()?, histogram()?];
    while !is_ended.load(Ordering::Relaxed) {
        lags.saturating_record((lag_s(&mut connection)? * 1e9) as u64);

        let version = version(ask(&mut connection, &mut moves)?.body())?;
        let path = format!("/graphs/{}/nodes/n00000?minVersion={version}", graph(0));
        let asked = Instant::now();
        ask(&mut connection, &mut Get::new(&path))?;
        reads.saturating_record(asked.elapsed().as_nanos() as u64);
        thread::sleep(PERIOD);
    }
    Ok([lags, reads])
}

/// The version that an answer names.
fn version(body: &[u8]) -> Outcome<u64> {
    let text = std::str::from_utf8(body)?;
    let rest = text.split("\"version\":").nth(1).ok_or_else(|| format!("no version in {text}"))?;
    Ok(rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?)
}
