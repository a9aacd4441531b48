//! Row 4: reads of a graph of 10,000 nodes and 10,000 edges.

use std::time::Instant;

use crate::{
    Bench, CONNECTIONS, Outcome, ROUND, ROUNDS,
    http::{Connection, find},
    load::{Tally, closed_loop},
    report::{Rounds, Target, Unit},
    requests::{Get, Moves, Packing, ask, graph},
    server::Server,
    writes::{Servers, commands, reference_e},
};

const NODES: usize = 10_000;
const EDGES: usize = 10_000;
/// Connections that read whole states: more would only wait for the same memory bandwidth.
const STATE_CONNECTIONS: usize = 8;

/// The rounds of one store.
#[derive(Clone, Debug, Default)]
struct Figures {
    changes: Rounds,
    changes_bytes: Rounds,
    state: Rounds,
    state_bytes: Rounds,
    changing: Rounds,
    not_modified: Rounds,
}

pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let servers = Servers::start(bench, "row4")?;
    for (_, server) in servers.each() {
        server.make_graph(0, NODES, EDGES, 1_000)?;
    }
    let echo = reference_e(&servers.embedded)?;
    let mut e = Rounds::default();
    let mut figures: [Figures; 2] = Default::default();
    for _ in 0..ROUNDS {
        e.push(commands(&echo, 0..1, NODES, Packing::Single)?);
        for (index, (_, server)) in servers.each().enumerate() {
            measure(server, &mut figures[index])?;
        }
    }
    for (index, (store, _)) in servers.each().enumerate() {
        // The targets are the embedded store's; over Redis, every read asks it for the head.
        let target = |target: Target| if store == "embedded" { target } else { Target::None };
        let (figures, e) = (&figures[index], Some(("E", &e)));
        let mut add = |what: &str, unit, rounds, reference, wanted| {
            bench.report.add("4", &format!("{what}, {store}"), unit, rounds, reference, target(wanted));
        };
        let rate = Unit::PerSecond;
        add("changes since head-10", rate, &figures.changes, e, Target::RatioAtLeast(0.6));
        add(
            "changes since head-10, size",
            Unit::Bytes,
            &figures.changes_bytes,
            None,
            Target::AtMost(4_096.0),
        );
        add("state, unchanged", rate, &figures.state, None, Target::AtLeast(500.0));
        add("state, size", Unit::Bytes, &figures.state_bytes, None, Target::None);
        add("state, changed before each read", rate, &figures.changing, None, Target::AtLeast(150.0));
        add("state, not modified (304)", rate, &figures.not_modified, e, Target::RatioAtLeast(0.8));
    }
    Ok(())
}

fn measure(server: &Server, figures: &mut Figures) -> Outcome<()> {
    let Tally { rate, body_bytes } = changes_since_ten_ago(server, 0)?;
    figures.changes.push(rate);
    figures.changes_bytes.push(body_bytes);
    let path = format!("/graphs/{}/state", graph(0));
    let clients = (0..STATE_CONNECTIONS).map(|_| Get::new(&path)).collect();
    let Tally { rate, body_bytes } = closed_loop(server.address, clients, ROUND)?;
    figures.state.push(rate);
    figures.state_bytes.push(body_bytes);
    figures.changing.push(state_that_changes(server, &path)?);
    let tag = header(server, &path, b"etag: ")?;
    let clients = (0..CONNECTIONS).map(|_| Get::unless_changed(&path, &tag)).collect();
    figures.not_modified.push(closed_loop(server.address, clients, ROUND)?.rate);
    Ok(())
}

/// `changes?since=` ten small commits ago, by all connections.
pub(crate) fn changes_since_ten_ago(server: &Server, number: usize) -> Outcome<Tally> {
    let mut connection = Connection::open(server.address)?;
    let path = format!("/graphs/{}", graph(number));
    let mut moves = Moves::new(0, number..number + 1, 50, Packing::Single);
    for _ in 0..10 {
        ask(&mut connection, &mut moves)?;
    }
    let tag = header(server, &format!("{path}/viewport"), b"etag: ")?;
    let version = tag.trim_matches('"').split('-').next().ok_or("no version")?.parse::<u64>()?;
    let path = format!("{path}/changes?since={}", version - 10);
    let clients = (0..CONNECTIONS).map(|_| Get::new(&path)).collect();
    closed_loop(server.address, clients, ROUND)
}

/// States a second where each is read after a command that changed it.
fn state_that_changes(server: &Server, path: &str) -> Outcome<f64> {
    let mut connection = Connection::open(server.address)?;
    let (mut moves, mut get) = (Moves::new(1, 0..1, NODES, Packing::Single), Get::new(path));
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        ask(&mut connection, &mut moves)?;
        ask(&mut connection, &mut get)?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// The value of a header of the answer to a `GET`.
fn header(server: &Server, path: &str, name: &[u8]) -> Outcome<String> {
    let mut connection = Connection::open(server.address)?;
    let answer = ask(&mut connection, &mut Get::new(path))?;
    let at = find(answer.bytes, name).ok_or_else(|| format!("no such header: {}", answer.shown()))?;
    let rest = &answer.bytes[at + name.len()..];
    let end = find(rest, b"\r\n").unwrap_or(rest.len());
    Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
}
