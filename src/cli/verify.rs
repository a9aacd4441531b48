//! `dao-api verify`: checks that histories are intact (rule A5). Exit code 1 if one is damaged.

use clap::Args;
use dao_projections::GraphId;
use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, open, print};
use crate::{
    config::Config,
    http::audit::wire::verified_json,
    read::{self, Verification},
    write::Graphs,
};

/// Graphs per page of the list.
const GRAPHS_PAGE: usize = 1_000;

#[derive(Args)]
pub(super) struct Verify {
    /// The graph
    #[arg(value_name = "GRAPH", required_unless_present = "all", conflicts_with = "all")]
    graph: Option<GraphId>,
    /// Every graph in the store, by name
    #[arg(long)]
    all: bool,
    /// Print a line of JSON per graph, like `GET /graphs/GRAPH/verify`
    #[arg(long)]
    json: bool,
}

/// How many histories were verified, and how many of them are damaged.
#[derive(Default)]
struct Tally {
    walked: u64,
    damaged: u64,
}

impl Verify {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let graphs = open::graphs(&config).await?;
        let bar = ProgressBar::new(0);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:40} {pos}/{len} commits, {per_sec}, {eta} left  {msg}")
        {
            bar.set_style(style);
        }
        let mut tally = Tally::default();
        let walked = match &self.graph {
            Some(graph) => match open::existing(&graphs, graph).await {
                Ok(()) => self.verify(&graphs, graph, &bar, &mut tally).await,
                Err(missing) => Err(missing),
            },
            None => self.verify_all(&graphs, &bar, &mut tally).await,
        };
        bar.finish_and_clear();
        open::close(&graphs).await;
        walked?;
        match tally.damaged {
            0 => Ok(()),
            damaged => Err(CliError::new(format!(
                "{damaged} of {} is damaged: restore a backup, or read the versions before the damage with `show --at`",
                counted(tally.walked)
            ))),
        }
    }

    async fn verify_all(
        &self,
        graphs: &Graphs,
        bar: &ProgressBar,
        tally: &mut Tally,
    ) -> Result<(), CliError> {
        let mut last: Option<GraphId> = None;
        loop {
            let page = graphs.store().graphs(last.as_ref(), GRAPHS_PAGE).await;
            let page = page.map_err(|e| CliError::new(format!("the graphs can't be listed: {e}")))?;
            for graph in &page {
                self.verify(graphs, graph, bar, tally).await?;
            }
            match page.into_iter().next_back() {
                Some(graph) => last = Some(graph),
                None => break,
            }
        }
        if !self.json {
            bar.suspend(|| {
                print(|out| writeln!(out, "{} verified, {} damaged", counted(tally.walked), tally.damaged))
            })?;
        }
        Ok(())
    }

    async fn verify(
        &self,
        graphs: &Graphs,
        graph: &GraphId,
        bar: &ProgressBar,
        tally: &mut Tally,
    ) -> Result<(), CliError> {
        bar.reset();
        bar.set_message(graph.to_string());
        let on_progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let verified = read::verify(graphs, graph, on_progress).await;
        let verified = verified.map_err(|e| CliError::new(format!("{graph} can't be verified: {e}")))?;
        tally.walked += 1;
        tally.damaged += u64::from(verified.bad.is_some());
        bar.suspend(|| {
            print(|out| match self.json {
                true => {
                    out.write_all(&verified_json(graph, &verified))?;
                    out.write_all(b"\n")
                }
                false => writeln!(out, "{graph}: {}", describe(&verified)),
            })
        })
    }
}

fn describe(verified: &Verification) -> String {
    let (version, hash) = (verified.head.version, verified.head.hash);
    match &verified.bad {
        None => format!("ok, version {version}, hash {hash}"),
        Some(bad) => format!("DAMAGED at version {} of {version}: {}", bad.version, bad.problem),
    }
}

fn counted(graphs: u64) -> String {
    format!("{graphs} graph{}", if graphs == 1 { "" } else { "s" })
}
