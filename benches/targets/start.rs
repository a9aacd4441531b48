//! Row 11: how soon a server serves, and the first state of a graph with a long history.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Bench, Outcome, ROUNDS,
    http::Connection,
    load::closed_loop,
    report::{Rounds, Target, Unit},
    requests::{Get, Moves, Packing, ask, graph},
    server::{PROGRAM, Server},
    writes::GRAPHS,
};

/// Nodes and commits of the graph that is read.
const NODES: usize = 10_000;
const COMMITS: usize = 50_000;
/// Commits of all the others.
const STORED: usize = 1_000_000;

pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let dir = bench.scratch.path().join("row11");
    let empty = bench.scratch.path().join("row11-empty");
    let server = Server::embedded(&dir)?;
    server.make_graph(0, NODES, 0, 100)?;
    server.fill(0..1, NODES, COMMITS)?;
    (1..GRAPHS).try_for_each(|number| server.make_graph(number, 50, 0, 50))?;
    server.fill(1..GRAPHS, 50, STORED)?;
    server.projected()?;
    drop(server);
    let (mut first, mut again, mut none, mut state) =
        (Rounds::default(), Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let (server, took) = ready(&dir)?;
        again.push(took);
        let mut connection = Connection::open(server.address)?;
        let asked = Instant::now();
        ask(&mut connection, &mut Get::new(&format!("/graphs/{}/state", graph(0))))?;
        state.push(asked.elapsed().as_secs_f64() * 1_000.0);
        killed_under_load(server)?;
        let (server, took) = ready(&dir)?;
        first.push(took);
        server.projected()?;
        drop(server);
        none.push(ready(&empty)?.1);
    }
    let ms = Unit::Milliseconds;
    let report = &mut bench.report;
    let reference = Some(("nothing stored", &none));
    report.add("11", "ready with a million commits", ms, &again, reference, Target::AtMost(300.0));
    report.add("11", "… after it was killed under load", ms, &first, None, Target::AtMost(500.0));
    let what = "first state, 50,000 commits and 10,000 nodes";
    report.add("11", what, ms, &state, None, Target::AtMost(150.0));
    Ok(())
}

/// Kills the server while every connection waits for an answer.
fn killed_under_load(server: Server) -> Outcome<()> {
    let address = server.address;
    let load = thread::spawn(move || {
        let clients = Moves::clients(1..GRAPHS, 50, Packing::Single);
        closed_loop(address, clients, Duration::from_secs(60))
    });
    thread::sleep(Duration::from_millis(1_500));
    drop(server);
    match load.join().map_err(|_| "the load panicked")? {
        Ok(_) => Err("the load ended before the server was killed".into()),
        Err(_its_connections_broke) => Ok(()),
    }
}

/// A server, and the milliseconds until it said that it is ready.
fn ready(dir: &std::path::Path) -> Outcome<(Server, f64)> {
    let start = Instant::now();
    let mut command = Command::new(PROGRAM);
    let server = Server::start(command.env_clear().env("DATA_DIR", dir))?;
    let mut connection = Connection::open(server.address)?;
    ask(&mut connection, &mut Get::new("/readyz"))?;
    Ok((server, start.elapsed().as_secs_f64() * 1_000.0))
}
