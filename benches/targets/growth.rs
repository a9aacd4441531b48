//! Row 14: what a command and a read of changes cost must not depend on how large the graph is, how long its history, or
//! how many graphs there are.

use crate::{
    Bench, Outcome, ROUNDS,
    reads::changes_since_ten_ago,
    report::{Rounds, Target, Unit},
    requests::Packing,
    server::Server,
    writes::commands,
};

/// The sizes of the graphs, by their number.
const SIZES: [usize; 4] = [50, 50_000, 100, 10_000];

pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let server = Server::embedded(&bench.scratch.path().join("row14"))?;
    for (number, nodes) in SIZES.into_iter().enumerate() {
        server.make_graph(number, nodes, 0, 1_000)?;
    }
    let mut rounds: [Rounds; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (number, nodes) in SIZES.into_iter().enumerate() {
            rounds[number].push(match number {
                0 | 1 => commands(&server, number..number + 1, nodes, Packing::Single)?,
                _ => changes_since_ten_ago(&server, number)?.rate,
            });
        }
    }
    let [small, large, hundred, many] = &rounds;
    let (rate, half) = (Unit::PerSecond, Target::RatioAtLeast(0.5));
    let reference = Some(("50 nodes", small));
    bench.report.add("14", "single commands, one graph of 50,000 nodes", rate, large, reference, half);
    let reference = Some(("100 nodes", hundred));
    bench.report.add("14", "changes since head-10, 10,000 nodes", rate, many, reference, half);
    drop(server);
    by_history(bench)?;
    by_number(bench)
}

/// Graph 0 has a million commits; of the others, each round has a fresh one of a thousand.
fn by_history(bench: &mut Bench) -> Outcome<()> {
    let server = Server::embedded(&bench.scratch.path().join("row14-history"))?;
    server.make_small_graphs(1 + ROUNDS)?;
    server.fill(0..1, 50, 1_000_000)?;
    (1..=ROUNDS).try_for_each(|number| server.fill(number..number + 1, 50, 1_000))?;
    server.projected()?;
    let mut rounds: [Rounds; 2] = Default::default();
    for round in 1..=ROUNDS {
        for (number, rounds) in [0, round].into_iter().zip(&mut rounds) {
            rounds.push(commands(&server, number..number + 1, 50, Packing::Single)?);
        }
    }
    let [long, short] = &rounds;
    let target = Target::RatioAtLeast(0.9);
    let reference = Some(("a thousand", short));
    let what = "single commands, one graph of a million commits";
    bench.report.add("14", what, Unit::PerSecond, long, reference, target);
    Ok(())
}

/// A hundred of 10,000 graphs, all of them, and 20,000 of 100,000.
fn by_number(bench: &mut Bench) -> Outcome<()> {
    const FEW: usize = 100;
    const MANY: usize = 10_000;
    const USED: usize = 20_000;
    const ALL: usize = 100_000;
    let server = Server::embedded(&bench.scratch.path().join("row14-number"))?;
    let mut rounds: [Rounds; 3] = Default::default();
    server.make_tiny_graphs(0..MANY)?;
    server.projected()?;
    for _ in 0..ROUNDS {
        rounds[0].push(commands(&server, 0..FEW, 1, Packing::Single)?);
        rounds[1].push(commands(&server, 0..MANY, 1, Packing::Single)?);
    }
    server.make_tiny_graphs(MANY..ALL)?;
    server.projected()?;
    for _ in 0..ROUNDS {
        rounds[2].push(commands(&server, 0..USED, 1, Packing::Single)?);
    }
    let [few, many, all] = &rounds;
    let reference = Some(("100 graphs", few));
    for (what, rounds, least) in [("10,000 graphs", many, 0.7), ("20,000 of 100,000 graphs", all, 0.5)] {
        let what = format!("single commands, {what}");
        let target = Target::RatioAtLeast(least);
        bench.report.add("14", &what, Unit::PerSecond, rounds, reference, target);
    }
    Ok(())
}
