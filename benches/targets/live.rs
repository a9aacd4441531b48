//! Rows 5 to 8: what sockets cost, and how soon they are told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Bench, Outcome, ROUNDS,
    http::Connection,
    report::{Rounds, Target, Unit},
    requests::{Get, Moves, Packing, ask, graph},
    server::Server,
    sockets::{Compression, Socket, follow, open_many},
};

const NODES: usize = 50;
const KIB: f64 = 1_024.0;
/// The biggest read of a socket.
const BUFFER_BYTES: usize = 64 << 10;

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// When each commit was due: version to time, for those who want to know how late it came.
#[derive(Clone, Default)]
struct Due(Arc<Mutex<Vec<Instant>>>);

impl Due {
    fn push(&self, at: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(at);
    }

    fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    fn get(&self, index: u64) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(index as usize).copied()
    }
}

/// One client that posts moves of graph 0 at this rate, whatever the answers do, until `until`.
fn post_at(address: SocketAddr, rate: f64, until: Instant, due: Due) -> thread::JoinHandle<Outcome<usize>> {
    thread::spawn(move || {
        let mut connection = Connection::open(address)?;
        let mut moves = Moves::new(0, 0..1, NODES, Packing::Single);
        let (mut next, mut count) = (Instant::now(), 0);
        while next < until {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            due.push(next.max(Instant::now() - Duration::from_micros(100)));
            ask(&mut connection, &mut moves)?;
            (next, count) = (next + Duration::from_secs_f64(1.0 / rate), count + 1);
        }
        Ok(count)
    })
}

/// Calls that wrote to sockets so far.
fn sends_of(server: &Server) -> Outcome<f64> {
    let mut connection = Connection::open(server.address)?;
    let answer = ask(&mut connection, &mut Get::new("/metrics"))?;
    let text = String::from_utf8_lossy(answer.bytes);
    let found = text.lines().find_map(|line| line.strip_prefix("dao_websocket_sends_total "));
    Ok(found.ok_or("no count of writes")?.trim().parse()?)
}

fn version_of_graph(server: &Server) -> Outcome<u64> {
    let mut connection = Connection::open(server.address)?;
    let mut get = Get::new(&format!("/graphs/{}/viewport", graph(0)));
    let answer = ask(&mut connection, &mut get)?;
    let text = String::from_utf8_lossy(answer.bytes).to_lowercase();
    let tag = text.split("etag: \"").nth(1).ok_or("no ETag")?;
    let digits: String =
        tag.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// One round: `count` sockets follow graph 0, and so many commits a second are made.
fn fan_out(
    server: &Server,
    count: usize,
    rate: f64,
    duration: Duration,
    compression: Compression,
) -> Outcome<[f64; 6]> {
    runtime()?.block_on(async {
        let query = format!("?graphId={}&version={}", graph(0), version_of_graph(server)?);
        let mut sockets = open_many(server.address, count, &query, compression).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (due, sends) = (Due::default(), sends_of(server)?);
        let before = server.cpu_us()?;
        let start = Instant::now();
        let writer = post_at(server.address, rate, start + duration, due.clone());
        // It has ended once it has said when all of its commits were due.
        let is_all = |frames| writer.is_finished() && frames >= due.count() * count as u64;
        let delivered = follow(&mut sockets, |index| due.get(index), is_all).await?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu = (server.cpu_us()? - before) / 1e6;
        writer.join().map_err(|_| "the writer panicked")??;
        let [p50, p99] = [0.5, 0.99].map(|q| delivered.latencies.value_at_quantile(q) as f64 / 1e6);
        let (frames, sends) = (delivered.frames as f64, sends_of(server)? - sends);
        Ok([frames / seconds, p50, p99, cpu / seconds, cpu / frames * 1e6, frames / sends])
    })
}

/// Row 5: from a POST to the STATE_UPDATE at another client.
pub(crate) fn latency(bench: &mut Bench) -> Outcome<()> {
    let server = Server::embedded(&bench.scratch.path().join("row5"))?;
    server.make_small_graphs(1)?;
    for rate in [50.0, 500.0] {
        let (mut p50, mut p99) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            let [_, median, late, ..] = fan_out(&server, 1, rate, Duration::from_secs(2), Compression::Off)?;
            p50.push(median);
            p99.push(late);
        }
        let ms = Unit::Milliseconds;
        let mut add = |what: &str, rounds: &Rounds, most| {
            let what = format!("POST → STATE_UPDATE, {rate}/s, {what}");
            bench.report.add("5", &what, ms, rounds, None, Target::AtMost(most));
        };
        add("p50", &p50, 0.6);
        add("p99", &p99, 3.0);
    }
    Ok(())
}

/// What row 6 asks of so many sockets.
struct FanOut {
    sockets: usize,
    name: &'static str,
    /// Deliveries a second at least, of sockets without and with compression.
    deliveries: [f64; 2],
    p99_ms: f64,
    /// Of the server, and its time for a delivery; where the load is large enough to say.
    cores: Target,
    each_us: Target,
}

/// Row 6: sockets on one graph, 100 commits a second.
pub(crate) fn fan_outs(bench: &mut Bench) -> Outcome<()> {
    let many = FanOut {
        sockets: 2_000,
        name: "2,000",
        deliveries: [195_000.0, 150_000.0],
        p99_ms: 45.0,
        cores: Target::AtMost(0.7),
        each_us: Target::AtMost(3.5),
    };
    let few = FanOut {
        sockets: 200,
        name: "200",
        deliveries: [19_500.0, 15_000.0],
        p99_ms: 5.0,
        cores: Target::None,
        each_us: Target::None,
    };
    let server = Server::embedded(&bench.scratch.path().join("row6"))?;
    server.make_small_graphs(1)?;
    for asked in [many, few] {
        let mut figures: [[Rounds; 6]; 2] = Default::default();
        for _ in 0..ROUNDS {
            for (compression, rounds) in
                [Compression::Off, Compression::Offered].into_iter().zip(&mut figures)
            {
                let round = fan_out(&server, asked.sockets, 100.0, Duration::from_secs(3), compression)?;
                rounds.iter_mut().zip(round).for_each(|(rounds, figure)| rounds.push(figure));
            }
        }
        for ((name, least), [rate, p50, p99, cores, each, commits]) in
            ["plain", "deflate"].into_iter().zip(asked.deliveries).zip(&figures)
        {
            let what = |what: &str| format!("{} sockets × 100/s, {what}, {name}", asked.name);
            let report = &mut bench.report;
            report.add("6", &what("deliveries"), Unit::PerSecond, rate, None, Target::AtLeast(least));
            report.add("6", &what("p50"), Unit::Milliseconds, p50, None, Target::None);
            report.add("6", &what("p99"), Unit::Milliseconds, p99, None, Target::AtMost(asked.p99_ms));
            report.add("6", &what("cores of the server"), Unit::Cores, cores, None, asked.cores);
            report.add("6", &what("CPU of the server each"), Unit::Microseconds, each, None, asked.each_us);
            report.add("6", &what("commits a write"), Unit::Times, commits, None, Target::None);
        }
    }
    Ok(())
}

/// Row 7: idle connections, each on the same graph.
pub(crate) fn idle(bench: &mut Bench) -> Outcome<()> {
    const SOCKETS: usize = 9_000;
    let (mut each, mut cores) = (Rounds::default(), Rounds::default());
    for turn in 0..3 {
        let server = Server::embedded(&bench.scratch.path().join(format!("row7-{turn}")))?;
        server.make_small_graphs(1)?;
        runtime()?.block_on(async {
            let query = format!("?graphId={}&version={}", graph(0), version_of_graph(&server)?);
            // What the first connections bring for all.
            let _first = open_many(server.address, 50, &query, Compression::Offered).await?;
            let before = server.resident_bytes()?;
            let sockets = open_many(server.address, SOCKETS, &query, Compression::Offered).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            each.push((server.resident_bytes()? - before) / sockets.len() as f64);
            let cpu = server.cpu_us()?;
            tokio::time::sleep(Duration::from_secs(35)).await;
            cores.push((server.cpu_us()? - cpu) / 35e6);
            Outcome::Ok(())
        })?;
    }
    let report = &mut bench.report;
    report.add("7", "memory of an idle connection", Unit::Bytes, &each, None, Target::AtMost(11.0 * KIB));
    report.add("7", "9,000 idle, cores of the server", Unit::Cores, &cores, None, Target::AtMost(0.01));
    Ok(())
}

/// Row 8: clients that come back at once, and newcomers to a large graph.
pub(crate) fn storm(bench: &mut Bench) -> Outcome<()> {
    const CLIENTS: usize = 5_000;
    const BEHIND: usize = 50;
    let server = Server::embedded(&bench.scratch.path().join("row8"))?;
    // Large enough for the commits to be the smaller way.
    server.make_graph(0, 1_000, 0, 100)?;
    let version = version_of_graph(&server)?;
    let until = Instant::now() + Duration::from_secs_f64(BEHIND as f64 / 500.0);
    let made = post_at(server.address, 500.0, until, Due::default());
    let behind = made.join().map_err(|_| "the writer panicked")??;
    let query = format!("?graphId={}&version={version}", graph(0));
    let mut level = Rounds::default();
    for _ in 0..ROUNDS {
        level.push(storm_of(server.address, CLIENTS, &query, 2 + behind)?.0 * 1_000.0);
    }
    let what = format!("5,000 clients, {behind} commits behind, all level after");
    bench.report.add("8", &what, Unit::Milliseconds, &level, None, Target::AtMost(2_000.0));
    drop(server);

    let server = Server::embedded(&bench.scratch.path().join("row8-large"))?;
    server.make_graph(0, 10_000, 0, 100)?;
    let query = format!("?graphId={}", graph(0));
    let (mut rate, mut bytes) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let (seconds, each) = storm_of(server.address, 500, &query, 2)?;
        rate.push(500.0 / seconds);
        bytes.push(each);
    }
    let what = "newcomers to a graph of 10,000 nodes";
    bench.report.add("8", what, Unit::PerSecond, &rate, None, Target::AtLeast(300.0));
    bench.report.add("8", "… bytes each", Unit::Bytes, &bytes, None, Target::AtMost(250_000.0));
    Ok(())
}

/// So many clients connect at once, and each takes so many frames; the seconds until all have, and the
/// bytes of each.
fn storm_of(address: SocketAddr, count: usize, query: &str, frames: usize) -> Outcome<(f64, f64)> {
    runtime()?.block_on(async {
        let start = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..count {
            let query = query.to_owned();
            clients.spawn(async move {
                let mut socket = Socket::open(address, &query, Compression::Offered).await?;
                let bytes = socket.take(frames, &mut vec![0; BUFFER_BYTES]).await?;
                Outcome::Ok((socket, bytes))
            });
        }
        let (mut sockets, mut bytes) = (vec![], 0);
        while let Some(ended) = clients.join_next().await {
            let (socket, own) = ended??;
            sockets.push(socket);
            bytes += own;
        }
        Ok((start.elapsed().as_secs_f64(), bytes as f64 / count as f64))
    })
}
