//! Row 14, its first part: what a command and a read of changes cost must not depend on how large
//! the graph is.

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
    Ok(())
}
