//! Rows 1 and 2: durable commands a second.

use std::ops::Range;

use crate::{
    Bench, CONNECTIONS, Outcome, ROUND, ROUNDS,
    http::Connection,
    load::closed_loop,
    references::appends,
    report::{Rounds, Target, Unit},
    requests::{Moves, Packing, ask},
    server::{RedisServer, Server},
};

/// Graphs that the commands are spread over.
const GRAPHS: usize = 100;
/// Nodes in each.
const NODES: usize = 50;
/// Commands in one batch.
const BATCH: usize = 100;

/// The servers that both rows measure.
pub(crate) struct Servers {
    pub(crate) embedded: Server,
    pub(crate) redis: Option<(RedisServer, Server)>,
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
        Ok(Self { embedded, redis })
    }

    /// Those that run, with the name of their store.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &Server)> {
        let redis = self.redis.as_ref().map(|(_, server)| ("Redis", server));
        std::iter::once(("embedded", &self.embedded)).chain(redis)
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
    Ok(closed_loop(server.address, Moves::clients(graphs, nodes, packing), ROUND)?.rate)
}

/// Row 1: single commands, over a hundred graphs and over one.
pub(crate) fn single(bench: &mut Bench) -> Outcome<()> {
    let servers = Servers::start(bench, "row1")?;
    for (_, server) in servers.each() {
        server.make_small_graphs(GRAPHS)?;
    }
    let echo = reference_e(&servers.embedded)?;
    let mut e = Rounds::default();
    let mut many: [Rounds; 2] = Default::default();
    let mut one = many.clone();
    for round in 0..=ROUNDS {
        // The first round is not counted: it warms caches.
        let is_counted = round > 0;
        let note = |rounds: &mut Rounds, figure: f64| {
            if is_counted {
                rounds.push(figure);
            }
        };
        note(&mut e, commands(&echo, 0..GRAPHS, NODES, Packing::Single)?);
        for (index, (_, server)) in servers.each().enumerate() {
            note(&mut many[index], commands(server, 0..GRAPHS, NODES, Packing::Single)?);
            note(&mut one[index], commands(server, 0..1, NODES, Packing::Single)?);
        }
    }
    for (index, (store, least)) in [("embedded", 0.5), ("Redis", 0.3)].into_iter().enumerate() {
        if servers.each().all(|(name, _)| name != store) {
            continue;
        }
        let what = format!("single commands, 100 graphs, {store}");
        let (many, one) = (&many[index], &one[index]);
        bench.report.add("1", &what, Unit::PerSecond, many, Some(("E", &e)), Target::RatioAtLeast(least));
        let what = format!("single commands, one graph, {store}");
        let hundred = Some(("100 graphs", many));
        bench.report.add("1", &what, Unit::PerSecond, one, hundred, Target::RatioAtLeast(0.8));
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
    let mut atomic: [Rounds; 2] = Default::default();
    let mut members = atomic.clone();
    for _ in 0..ROUNDS {
        if let Some(redis) = &other {
            a.push(appends(redis, ROUND)?);
        }
        for (index, (_, server)) in servers.each().enumerate() {
            atomic[index].push(commands(server, 0..GRAPHS, NODES, Packing::Atomic(BATCH))?);
            members[index].push(commands(server, 0..GRAPHS, NODES, Packing::Members(BATCH))?);
        }
    }
    for (index, (store, _)) in servers.each().enumerate() {
        let (reference, target) = match store {
            "Redis" => (Some(("A", &a)), Target::RatioAtLeast(0.6)),
            _ => (None, Target::AtLeast(350_000.0)),
        };
        let what = format!("commands in atomic batches of 100, {store}");
        bench.report.add("2", &what, Unit::PerSecond, &atomic[index], reference, target);
        let what = format!("commands in batches of 100, each its own commit, {store}");
        bench.report.add("2", &what, Unit::PerSecond, &members[index], reference, target);
    }
    Ok(())
}
