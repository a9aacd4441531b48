//! Rows 9 and 12: whole histories as lines, and one reader of the events of all graphs.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    Bench, CONNECTIONS, Outcome, ROUNDS,
    http::find,
    load::{closed_loop, histogram},
    report::{Rounds, Target, Unit},
    requests::{Moves, Packing, graph},
    server::Server,
    writes::{GRAPHS, NODES, Servers},
};

/// Commits of the one graph that is replayed.
const COMMITS: usize = 100_000;
/// How long the reader of row 12 is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// How long it waits for the first commit.
const PATIENCE: Duration = Duration::from_secs(30);
/// The member of a commit's line with the time at which it was accepted, in milliseconds since 1970.
const TIMESTAMP: &[u8] = b"\"timestamp\":";

/// Row 9: the history of one graph, and of all graphs, as lines of JSON.
pub(crate) fn replay(bench: &mut Bench) -> Outcome<()> {
    let servers = Servers::start(bench, "row9")?;
    for (_, server) in servers.each() {
        server.make_small_graphs(1)?;
        server.fill(0..1, NODES, COMMITS)?;
    }
    let mut rates: [[Rounds; 2]; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (index, (_, server)) in servers.each().enumerate() {
            let of_one = format!("/graphs/{}/events?since=0", graph(0));
            for (path, rates) in
                [of_one.as_str(), "/events?since=0&follow=false"].iter().zip(&mut rates[index])
            {
                rates.push(replayed(server.address, path)?);
            }
        }
    }
    for (index, (store, _)) in servers.each().enumerate() {
        let least = Target::AtLeast(if store == "embedded" { 400_000.0 } else { 250_000.0 });
        for (of, rates) in ["one graph", "all graphs"].iter().zip(&rates[index]) {
            let what = format!("replay as lines, {of}, {store}");
            bench.report.add("9", &what, Unit::PerSecond, rates, None, least);
        }
    }
    Ok(())
}

/// Opens a stream of lines. HTTP/1.0, so that it comes as it is and ends with the connection.
fn open(address: SocketAddr, path: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: bench\r\naccept: application/x-ndjson\r\n\r\n")?;
    Ok(stream)
}

/// Commits a second of a stream that ends. The lines are counted, the first is looked at.
fn replayed(address: SocketAddr, path: &str) -> Outcome<f64> {
    let start = Instant::now();
    let mut stream = open(address, path)?;
    let mut buffer = vec![0; 1 << 20];
    let first = stream.read(&mut buffer)?;
    if !buffer.starts_with(b"HTTP/1.") || buffer.get(9..12) != Some(b"200") {
        return Err(
            format!("no stream of {path}: {}", String::from_utf8_lossy(&buffer[..first.min(700)])).into()
        );
    }
    let head = find(&buffer[..first], b"\r\n\r\n").ok_or("no whole head")? + 4;
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    let mut lines = count(&buffer[head..first]);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            read => lines += count(&buffer[..read]),
        }
    }
    if lines < COMMITS {
        return Err(format!("{path} has {lines} lines, and {COMMITS} commits were made").into());
    }
    Ok(lines as f64 / start.elapsed().as_secs_f64())
}

/// Row 12: one reader of `/events` while commands are made as fast as they are taken.
pub(crate) fn reader(bench: &mut Bench) -> Outcome<()> {
    let server = Server::embedded(&bench.scratch.path().join("row12"))?;
    server.make_small_graphs(GRAPHS)?;
    let (mut made, mut read, mut p50, mut p99) =
        (Rounds::default(), Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let stream = open(server.address, "/events?follow=true")?;
        // The rest of what is being made when the load ends has this time to arrive.
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let watcher = thread::spawn(move || follow(stream));
        thread::sleep(Duration::from_millis(200));
        let clients = Moves::clients(0..GRAPHS, NODES, Packing::Single);
        let start = Instant::now();
        let rate = closed_loop(server.address, clients, WATCHED)?.rate;
        let took = start.elapsed().as_secs_f64();
        let delays = watcher.join().map_err(|_| "the reader panicked")??;
        made.push(rate);
        read.push(delays.len() as f64 / took);
        p50.push(delays.value_at_quantile(0.5) as f64);
        p99.push(delays.value_at_quantile(0.99) as f64);
    }
    let ms = Unit::Milliseconds;
    let all = Target::RatioAtLeast(0.98);
    let beside = Some(("commands", &made));
    bench.report.add("12", "one reader of all events, embedded", Unit::PerSecond, &read, beside, all);
    bench.report.add("12", "… from accepted to read, p50", ms, &p50, None, Target::None);
    bench.report.add("12", "… from accepted to read, p99", ms, &p99, None, Target::AtMost(250.0));
    let what = format!("… commands of {CONNECTIONS} connections meanwhile");
    bench.report.add("12", &what, Unit::PerSecond, &made, None, Target::None);
    Ok(())
}

/// Reads until nothing comes any more: how old each commit was, in milliseconds.
fn follow(mut stream: TcpStream) -> Outcome<hdrhistogram::Histogram<u64>> {
    let (mut delays, mut buffer, mut filled) = (histogram()?, vec![0; 1 << 20], 0);
    let (mut is_head, began) = (true, Instant::now());
    loop {
        let read = match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err("the stream ended".into()),
            Ok(read) => read,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(error.into());
            }
            Err(_nothing_comes) if !delays.is_empty() => return Ok(delays),
            // Nothing has been made yet.
            Err(_nothing_comes) if began.elapsed() < PATIENCE => continue,
            Err(_nothing_comes) => return Err("the stream is silent".into()),
        };
        filled += read;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        let mut at = 0;
        if is_head {
            let Some(end) = find(&buffer[..filled], b"\r\n\r\n") else { continue };
            (at, is_head) = (end + 4, false);
        }
        while let Some(length) = buffer[at..filled].iter().position(|byte| *byte == b'\n') {
            if let Some(time) = timestamp(&buffer[at..at + length]) {
                delays.saturating_record(now.saturating_sub(time));
            }
            at += length + 1;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

fn timestamp(line: &[u8]) -> Option<u64> {
    let rest = &line[find(line, TIMESTAMP)? + TIMESTAMP.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
