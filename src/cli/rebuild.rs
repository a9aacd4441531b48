//! `dao-api rebuild`: rebuilds the rows of projections from the log, while servers run.

use std::time::Instant;

use clap::Args;
use dao_projections::{GraphId, PROJECTIONS};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json;

use super::{
    api::Api,
    error::CliError,
    output::{counted, print},
    reach::Reach,
    verify::graphs_after,
};
use crate::config::Config;

/// A line of an answer: how many commits there are to fold, how many are folded, and how it ended.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Total { of: u64 },
    Progress { folded: u64 },
    Done { commits: u64 },
    Failed { error: String },
}

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
    #[command(flatten)]
    reach: Reach,
}

fn projection_name(text: &str) -> Result<String, String> {
    let names: Vec<&str> = PROJECTIONS.iter().map(|projection| projection.name).collect();
    match names.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("unknown projection: use {}", names.join(" or "))),
    }
}

impl Rebuild {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% of {msg}, {eta} left") {
            bar.set_style(style);
        }
        let done = self.rebuild(&mut api, &bar).await;
        bar.finish_and_clear();
        api.close().await;
        done
    }

    async fn rebuild(&self, api: &mut Api, bar: &ProgressBar) -> Result<(), CliError> {
        api.only_for_owners("rebuild")?;
        let started = Instant::now();
        let (mut graphs, mut commits) = (0_u64, 0);
        let mut last = self.after.clone();
        loop {
            let page = match &self.graph {
                Some(graph) if graphs == 0 => {
                    api.existing(graph).await?;
                    vec![graph.clone()]
                }
                Some(_) => vec![],
                None => graphs_after(api, last.as_ref()).await?,
            };
            let Some(end) = page.last().cloned() else { break };
            for graph in page {
                commits += self.rebuild_one(api, &graph, bar).await?;
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

    async fn rebuild_one(&self, api: &mut Api, graph: &GraphId, bar: &ProgressBar) -> Result<u64, CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            CliError::new(format!(
                "{graph} can't be rebuilt: {error}; its rows are as before, but for projections that are not concerned. Check with `dao-api verify {graph}`, and \
                 continue with --all --after {graph}"
            ))
        };
        bar.reset();
        bar.set_message(graph.to_string());
        let path = format!("/local/graphs/{graph}/rebuild");
        let lines = api.post_lines(&path, &json!({ "projection": self.projection })).await;
        let mut lines = lines.map_err(|e| failed(&e))?;
        while let Some(line) = lines.next().await.map_err(|e| failed(&e))? {
            match serde_json::from_str(&line).map_err(|e| failed(&e))? {
                Line::Total { of } => bar.set_length(of),
                Line::Progress { folded } => bar.set_position(folded),
                Line::Done { commits } => {
                    lines.finish().await.map_err(|e| failed(&e))?;
                    return Ok(commits);
                }
                Line::Failed { error } => return Err(failed(&error)),
            }
        }
        Err(failed(&"the answer broke off"))
    }
}
