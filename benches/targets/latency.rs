//! Row 3: how long one command takes, from the moment it is due to its durable answer.

use std::time::{Duration, Instant};

use crate::{
    Bench, Outcome, ROUND, ROUNDS,
    http::Connection,
    load::open_loop,
    references::fdatasync_ms,
    report::{Rounds, Target, Unit},
    requests::{Moves, Packing, ask},
    server::Server,
    writes::Servers,
};

const GRAPHS: usize = 100;
const NODES: usize = 50;
/// Commands a second of the open loop, and the clients that send them.
const RATE: f64 = 1_000.0;
const CLIENTS: usize = 32;
const DURATION: Duration = Duration::from_millis(1_500);

pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let servers = Servers::start(bench, "row3")?;
    for (_, server) in servers.each() {
        server.make_small_graphs(GRAPHS)?;
    }
    let (mut d50, mut d99) = (Rounds::default(), Rounds::default());
    let mut p50: [Rounds; 2] = Default::default();
    let (mut p99, mut alone) = (p50.clone(), p50.clone());
    for _ in 0..ROUNDS {
        let [median, worst] = fdatasync_ms(bench.scratch.path())?;
        d50.push(median);
        d99.push(worst);
        for (index, (_, server)) in servers.each().enumerate() {
            let clients = (0..CLIENTS).map(|client| Moves::new(client, 0..GRAPHS, NODES, Packing::Single));
            let latencies = open_loop(server.address, clients.collect(), RATE, DURATION)?;
            p50[index].push(latencies.value_at_quantile(0.5) as f64 / 1e6);
            p99[index].push(latencies.value_at_quantile(0.99) as f64 / 1e6);
            alone[index].push(one_client(server)?);
        }
    }
    for (index, (store, _)) in servers.each().enumerate() {
        // Over Redis with its log synced every second, no command waits for the disk.
        let most = if store == "embedded" { 2.0 * d50.median() + 0.3 } else { 0.5 };
        let beside = |d| Some(("D", d)).filter(|_| store == "embedded");
        let what = |which: &str| format!("{which}, {store}");
        let ms = Unit::Milliseconds;
        bench.report.add("3", &what("p50 at 1,000/s"), ms, &p50[index], beside(&d50), Target::AtMost(most));
        bench.report.add("3", &what("p99 at 1,000/s"), ms, &p99[index], beside(&d99), Target::AtMost(5.0));
        let target = if store == "embedded" { Target::AtLeast(2_500.0) } else { Target::None };
        let what = what("one client, closed loop");
        bench.report.add("3", &what, Unit::PerSecond, &alone[index], None, target);
    }
    Ok(())
}

/// Commands a second of a single client that waits for each answer.
fn one_client(server: &Server) -> Outcome<f64> {
    let mut connection = Connection::open(server.address)?;
    let mut moves = Moves::new(0, 0..1, NODES, Packing::Single);
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        ask(&mut connection, &mut moves)?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
