//! Row 13: memory of the server, and what a command leaves behind in Redis.

use std::{fs, path::Path, thread, time::Duration};

use crate::{
    Bench, CONNECTIONS, Outcome,
    http::Connection,
    report::{Rounds, Target, Unit},
    requests::{Get, Moves, Packing, ask, graph},
    resp::{Redis, Reply},
    server::{RedisServer, Server},
};

const NODES: usize = 10_000;
const GRAPHS: usize = 100;
/// Commands in each of the graphs over Redis.
const COMMANDS_EACH: usize = 500;
const SERVERS: usize = 3;
const MIB: f64 = 1_048_576.0;

pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let (mut idle, mut hot, mut asked) = (Rounds::default(), Rounds::default(), Rounds::default());
    for turn in 0..SERVERS {
        let [a, b, c] = one_server(&bench.scratch.path().join(format!("row13-{turn}")))?;
        idle.push(a);
        hot.push(b);
        asked.push(c);
    }
    let mut add = |what: &str, rounds: &Rounds| {
        bench.report.add("13", what, Unit::Mebibytes, rounds, None, Target::AtMost(25.0 * MIB));
    };
    add("server, idle", &idle);
    add("a graph of 10,000 nodes in memory", &hot);
    add("the same and its state read as JSON", &asked);
    if bench.has_redis {
        in_redis(bench)?;
    }
    Ok(())
}

/// Resident bytes of an idle server, how many more with a graph in memory that was loaded from the
/// store, and how many more once its state has been read.
fn one_server(dir: &Path) -> Outcome<[f64; 3]> {
    let server = Server::embedded(dir)?;
    thread::sleep(Duration::from_millis(300));
    let idle = server.resident_bytes()?;
    server.make_graph(0, NODES, 0, 100)?;
    drop(server);
    let server = Server::embedded(dir)?;
    let mut connection = Connection::open(server.address)?;
    thread::sleep(Duration::from_millis(300));
    let before = server.resident_bytes()?;
    let mut read = |path: &str| -> Outcome<f64> {
        ask(&mut connection, &mut Get::new(&format!("/graphs/{}/{path}", graph(0))))?;
        thread::sleep(Duration::from_millis(100));
        Ok(server.resident_bytes()? - before)
    };
    Ok([idle, read("viewport")?, read("state")?])
}

/// Bytes in Redis that one command of many single ones left.
fn in_redis(bench: &mut Bench) -> Outcome<()> {
    let dir = bench.scratch.path().join("row13-redis");
    fs::create_dir_all(&dir)?;
    let redis = RedisServer::start(&dir)?;
    let server = Server::over(&redis)?;
    server.make_small_graphs(GRAPHS)?;
    let mut connection = redis.connect()?;
    let before = Usage::of(&mut connection)?;
    let done = many_commands(&server)?;
    // What belongs to connections and buffers that come and go.
    thread::sleep(Duration::from_millis(500));
    let after = Usage::of(&mut connection)?;
    let each = |after: i64, before: i64| {
        let mut rounds = Rounds::default();
        rounds.push((after - before) as f64 / done as f64);
        rounds
    };
    let mut add = |what: &str, rounds: Rounds, target| {
        bench.report.add("13", what, Unit::Bytes, &rounds, None, target);
    };
    let (streams, operations) =
        (each(after.streams, before.streams), each(after.operations, before.operations));
    let mut kept = Rounds::default();
    kept.push(streams.median() + operations.median());
    add("a command in Redis at rest, without the feed", kept, Target::AtMost(350.0));
    add("… the graph's stream", streams, Target::None);
    add("… its operation's record", operations, Target::None);
    add("… the feed, not yet projected", each(after.feeds, before.feeds), Target::None);
    add("… all, by used_memory", each(after.used, before.used), Target::None);
    Ok(())
}

/// Single commands by all connections at once; how many they were.
fn many_commands(server: &Server) -> Outcome<usize> {
    const EACH: usize = GRAPHS * COMMANDS_EACH / CONNECTIONS;
    let address = server.address;
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|client| {
            thread::spawn(move || -> Outcome<()> {
                let mut connection = Connection::open(address)?;
                let mut moves = Moves::new(client, 0..GRAPHS, 50, Packing::Single);
                for _ in 0..EACH {
                    ask(&mut connection, &mut moves)?;
                }
                Ok(())
            })
        })
        .collect();
    for sender in senders {
        sender.join().map_err(|_| "a sender panicked")??;
    }
    Ok(EACH * CONNECTIONS)
}

/// Bytes in Redis, by kind of key.
#[derive(Default)]
struct Usage {
    used: i64,
    streams: i64,
    operations: i64,
    feeds: i64,
}

impl Usage {
    fn of(redis: &mut Redis) -> Outcome<Self> {
        let mut usage = Self::default();
        let info = redis.ask(&[b"INFO", b"memory"])?.text();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap_or_default();
        usage.used = line.trim().parse()?;
        let Reply::List(keys) = redis.ask(&[b"KEYS", b"dao:*"])? else { return Err("no keys".into()) };
        for key in keys.iter().map(Reply::text) {
            let asked = redis.ask(&[b"MEMORY", b"USAGE", key.as_bytes(), b"SAMPLES", b"0"])?;
            let bytes = asked.number().unwrap_or_default();
            if key.ends_with(":events") {
                usage.streams += bytes;
            } else if key.ends_with(":feed") {
                usage.feeds += bytes;
            } else if key.contains(":operations:") {
                usage.operations += bytes;
            }
        }
        Ok(usage)
    }
}
