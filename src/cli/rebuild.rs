//! `dao-api rebuild`: rebuilds the rows of projections from the log, while servers run.

use std::time::Instant;

use clap::Args;
use dao_projections::{GraphId, PROJECTIONS};
use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, open, print};
use crate::{
    config::Config,
    project::{self, Stores},
};

/// Graphs per page of the list.
const GRAPHS_PAGE: usize = 1_000;

#[derive(Args)]
pub(super) struct Rebuild {
    /// The graph
    #[arg(long, value_name = "GRAPH", required_unless_present = "all", conflicts_with = "all")]
    graph: Option<GraphId>,
    /// Every graph in the store, by name
    #[arg(long)]
    all: bool,
    /// Continue an earlier run with --all after this graph
    #[arg(long, value_name = "GRAPH", requires = "all")]
    after: Option<GraphId>,
    /// Only this projection: snapshot, catalog or activity
    #[arg(long, value_name = "NAME", value_parser = projection_name)]
    projection: Option<String>,
}

fn projection_name(text: &str) -> Result<String, String> {
    let names: Vec<&str> = PROJECTIONS.iter().map(|projection| projection.name).collect();
    match names.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("unknown projection: use {}", names.join(" or "))),
    }
}

/// `1 graph`, `2 graphs`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

impl Rebuild {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let stores = open::stores(&config).await?;
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% of {msg}, {eta} left") {
            bar.set_style(style);
        }
        let done = self.rebuild(&stores, &bar).await;
        bar.finish_and_clear();
        stores.events.close().await;
        done
    }

    async fn rebuild(&self, stores: &Stores, bar: &ProgressBar) -> Result<(), CliError> {
        let started = Instant::now();
        let (mut graphs, mut commits) = (0_u64, 0);
        let mut last = self.after.clone();
        loop {
            let page = match &self.graph {
                Some(graph) if graphs == 0 => vec![graph.clone()],
                Some(_) => vec![],
                None => {
                    let page = stores.events.graphs(last.as_ref(), GRAPHS_PAGE).await;
                    page.map_err(|e| CliError::new(format!("the graphs can't be listed: {e}")))?
                }
            };
            let Some(end) = page.last().cloned() else { break };
            for graph in page {
                commits += self.rebuild_one(stores, &graph, bar).await?;
                graphs += 1;
            }
            last = Some(end);
        }
        let seconds = started.elapsed().as_secs_f64();
        let rate = commits as f64 / seconds.max(0.001);
        print(|out| {
            let graphs = counted(graphs, "graph");
            let commits = counted(commits, "commit");
            writeln!(out, "{graphs} rebuilt, {commits} folded in {seconds:.1} s ({rate:.0}/s)")
        })
    }

    async fn rebuild_one(
        &self,
        stores: &Stores,
        graph: &GraphId,
        bar: &ProgressBar,
    ) -> Result<u64, CliError> {
        // The number of commits is known up front, except for those written meanwhile.
        let head = stores.events.head(graph).await;
        let head = head.map_err(|e| CliError::new(format!("{graph} can't be read: {e}")))?.version.get();
        if head == 0 && self.graph.is_some() {
            let place = stores.events.location();
            return Err(CliError::new(format!("graph {graph} does not exist at {place}")));
        }
        let projections = if self.projection.is_some() { 1 } else { PROJECTIONS.len() as u64 };
        bar.reset();
        bar.set_length(head * projections);
        bar.set_message(graph.to_string());
        let rebuilt = project::rebuild(stores, graph, self.projection.as_deref(), |commits| bar.inc(commits));
        match rebuilt.await {
            Ok(rebuilt) => Ok(rebuilt.commits),
            Err(error) => Err(CliError::new(format!(
                "{graph} can't be rebuilt: {error}; its rows are as before, but for projections that are not concerned. Check with `dao-api verify {graph}`, and \
                 continue with --all --after {graph}"
            ))),
        }
    }
}
