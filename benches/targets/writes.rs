//! Rows 1 and 2: durable commands a second.

use std::{env, ops::Range};

use crate::{
    Bench, CONNECTIONS, Outcome, ROUND, ROUNDS,
    http::Connection,
    load::closed_loop,
    references::appends,
    report::{Rounds, Target, Unit},
    requests::{Caller, Ids, Moves, Packing, ask},
    server::{RedisServer, Server},
};

/// Graphs that the commands are spread over.
pub(crate) const GRAPHS: usize = 100;
/// Nodes in each.
pub(crate) const NODES: usize = 50;
/// Commands in one batch.
const BATCH: usize = 100;
/// Operations that the stores of row 1 hold before it begins.
const STORED: usize = 1_000_000;

/// The servers that both rows measure.
pub(crate) struct Servers {
    pub(crate) embedded: Server,
    pub(crate) redis: Option<(RedisServer, Server)>,
    /// That of the build that `BENCH_OTHER` names, with the embedded store.
    other: Option<Server>,
}

impl Servers {
    /// Fresh ones, their data under `name`.
    pub(crate) fn start(bench: &Bench, name: &str) -> Outcome<Self> {
        let dir = bench.scratch.path().join(name);
        let embedded = Server::embedded(&dir.join("embedded"))?;
        let redis = match bench.has_redis {
            true => {
                let redis = RedisServer::start(&dir.join("redis"))?;
                let server = Server::over(&redis)?;
                Some((redis, server))
            }
            false => None,
        };
        Ok(Self { embedded, redis, other: None })
    }

    /// The same, and another build beside them where one is named.
    fn start_with_other(bench: &Bench, name: &str) -> Outcome<Self> {
        let mut servers = Self::start(bench, name)?;
        if let Ok(program) = env::var("BENCH_OTHER") {
            let dir = bench.scratch.path().join(name).join("other");
            servers.other = Some(Server::embedded_with(&program, &dir, &[], Caller::Claimed(0))?);
        }
        Ok(servers)
    }

    /// Those that run, with the name of their store.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &Server)> {
        let redis = self.redis.as_ref().map(|(_, server)| ("Redis", server));
        let other = self.other.as_ref().map(|server| ("embedded, the other build", server));
        std::iter::once(("embedded", &self.embedded)).chain(redis).chain(other)
    }
}

/// Reference E, answering what `server` answers to a move.
pub(crate) fn reference_e(server: &Server) -> Outcome<Server> {
    let mut moves = Moves::new(CONNECTIONS, 0..1, NODES, Packing::Single);
    let mut connection = Connection::open(server.address)?;
    let answer = ask(&mut connection, &mut moves)?;
    Server::echo(&String::from_utf8_lossy(answer.body()))
}

/// Commands a second of all connections over so many graphs.
pub(crate) fn commands(
    server: &Server,
    graphs: Range<usize>,
    nodes: usize,
    packing: Packing,
) -> Outcome<f64> {
    commands_with(server, graphs, nodes, packing, Ids::Random)
}

fn commands_with(
    server: &Server,
    graphs: Range<usize>,
    nodes: usize,
    packing: Packing,
    ids: Ids,
) -> Outcome<f64> {
    let clients = Moves::clients(graphs, nodes, packing).into_iter().map(|client| client.with(ids));
    Ok(closed_loop(server.address, clients.collect(), ROUND)?.rate)
}

/// What one kind of load came to.
#[derive(Clone, Debug, Default)]
struct Figure {
    rate: Rounds,
    /// Processor time of the server's own process for one command: less disturbed by neighbours.
    cpu: Rounds,
    /// Bytes that the server's process had written to the disk for one command, with those of the file system's pages.
    written: Rounds,
}

impl Figure {
    fn take(&mut self, server: &Server, graphs: usize, packing: Packing) -> Outcome<()> {
        self.take_with(server, graphs, packing, Ids::Random)
    }

    fn take_with(&mut self, server: &Server, graphs: usize, packing: Packing, ids: Ids) -> Outcome<()> {
        let (cpu, written) = (server.cpu_us()?, server.written_bytes()?);
        let rate = commands_with(server, 0..graphs, NODES, packing, ids)?;
        let done = rate * ROUND.as_secs_f64();
        self.rate.push(rate);
        self.cpu.push((server.cpu_us()? - cpu) / done);
        self.written.push((server.written_bytes()? - written) / done);
        Ok(())
    }
}

/// Row 1: single commands under random ids, over a hundred graphs and over one, into stores that hold a million
/// operations.
pub(crate) fn single(bench: &mut Bench) -> Outcome<()> {
    singles(bench, "1", STORED, Ids::Random)
}

/// Row 1o: the same under ordered ids into stores that are nearly empty, as row 1 was until release 0.1.
pub(crate) fn single_ordered(bench: &mut Bench) -> Outcome<()> {
    singles(bench, "1o", 0, Ids::Ordered)
}

fn singles(bench: &mut Bench, row: &str, stored: usize, ids: Ids) -> Outcome<()> {
    let servers = Servers::start_with_other(bench, &format!("row{row}"))?;
    for (_, server) in servers.each() {
        server.make_small_graphs(GRAPHS)?;
        server.fill(0..GRAPHS, NODES, stored)?;
        // Warms caches, the disk's too.
        Figure::default().take_with(server, GRAPHS, Packing::Single, ids)?;
    }
    let echo = reference_e(&servers.embedded)?;
    let mut e = Figure::default();
    let (mut many, mut one) = (vec![Figure::default(); 3], vec![Figure::default(); 3]);
    for _ in 0..ROUNDS {
        e.take_with(&echo, GRAPHS, Packing::Single, ids)?;
        for (index, (_, server)) in servers.each().enumerate() {
            many[index].take_with(server, GRAPHS, Packing::Single, ids)?;
            one[index].take_with(server, 1, Packing::Single, ids)?;
        }
    }
    let (rate, us) = (Unit::PerSecond, Unit::Microseconds);
    for (index, (store, _)) in servers.each().enumerate() {
        let least = match store {
            "embedded" => Target::RatioAtLeast(0.45),
            "Redis" => Target::RatioAtLeast(0.3),
            _ => Target::None,
        };
        let (many, one) = (&many[index], &one[index]);
        let mut add = |what: &str, unit, rounds, reference, target| {
            bench.report.add(row, &format!("{what}, {store}"), unit, rounds, Some(reference), target);
        };
        add("single commands, 100 graphs", rate, &many.rate, ("E", &e.rate), least);
        let at_least_most = Target::RatioAtLeast(0.8);
        add("single commands, one graph", rate, &one.rate, ("100 graphs", &many.rate), at_least_most);
        add("… CPU of the server each, 100 graphs", us, &many.cpu, ("E", &e.cpu), Target::None);
        add("… CPU of the server each, one graph", us, &one.cpu, ("E", &e.cpu), Target::None);
        if store != "Redis" {
            let what = format!("… written to the disk each, 100 graphs, {store}");
            bench.report.add(row, &what, Unit::Bytes, &many.written, None, Target::AtMost(1_500.0));
        }
    }
    Ok(())
}

/// Row 2: batches of a hundred.
pub(crate) fn batches(bench: &mut Bench) -> Outcome<()> {
    let servers = Servers::start(bench, "row2")?;
    for (_, server) in servers.each() {
        server.make_small_graphs(GRAPHS)?;
    }
    let other = match bench.has_redis {
        true => Some(RedisServer::start(&bench.scratch.path().join("reference-a"))?),
        false => None,
    };
    let mut a = Rounds::default();
    let (mut atomic, mut members) = (vec![Figure::default(); 2], vec![Figure::default(); 2]);
    for _ in 0..ROUNDS {
        if let Some(redis) = &other {
            a.push(appends(redis, ROUND)?);
        }
        for (index, (_, server)) in servers.each().enumerate() {
            atomic[index].take(server, GRAPHS, Packing::Atomic(BATCH))?;
            members[index].take(server, GRAPHS, Packing::Members(BATCH))?;
        }
    }
    for (index, (store, _)) in servers.each().enumerate() {
        let (reference, target) = match store {
            "Redis" => (Some(("A", &a)), Target::RatioAtLeast(0.6)),
            _ => (None, Target::AtLeast(350_000.0)),
        };
        for (kind, figure) in [("atomic", &atomic[index]), ("each a commit", &members[index])] {
            let what = format!("commands in batches of 100, {kind}, {store}");
            bench.report.add("2", &what, Unit::PerSecond, &figure.rate, reference, target);
            let what = format!("… CPU of the server each, {kind}, {store}");
            bench.report.add("2", &what, Unit::Microseconds, &figure.cpu, None, Target::None);
        }
    }
    Ok(())
}
