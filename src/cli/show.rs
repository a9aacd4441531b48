//! `dao-api show`: prints a graph, now or at an earlier point.

use std::io::Write;

use clap::Args;
use dao_projections::GraphId;
use serde_json::Value;

use super::{
    api::{Api, query_text},
    error::CliError,
    output::print,
    reach::Reach,
    state::{State, Told},
};
use crate::{
    config::Config,
    domain::{VersionRef, readable},
};

#[derive(Args)]
pub(super) struct Show {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Show the graph at this version, label or time (2026-11-23T10:30:00Z)
    #[arg(long, value_name = "VERSION|LABEL|TIME", default_value = "head")]
    at: VersionRef,
    /// Print JSON, like `GET /graphs/GRAPH/state`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Show {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let shown = self.show(&mut api).await;
        api.close().await;
        shown
    }

    async fn show(&self, api: &mut Api) -> Result<(), CliError> {
        api.existing(&self.graph).await?;
        let path = format!("/graphs/{}/state?trashed=include&at={}", self.graph, query_text(&self.at));
        let failed = |e: &dyn std::fmt::Display| CliError::new(format!("{} can't be shown: {e}", self.graph));
        let body = api.get(&path).await.map_err(|e| failed(&e))?;
        if self.json {
            return print(|out| out.write_all(&body).and_then(|()| out.write_all(b"\n")));
        }
        let state: State = serde_json::from_slice(&body).map_err(|e| failed(&e))?;
        print(|out| describe(&self.graph, &state, out))
    }
}

/// Prints one line for the graph and one for each entity.
fn describe(id: &GraphId, state: &State, out: &mut dyn Write) -> std::io::Result<()> {
    let when = state.last_modified.map_or("never".to_owned(), readable);
    writeln!(out, "{id} at version {}, last changed {when}", state.version)?;
    writeln!(out, "hash {}", state.hash)?;
    writeln!(out, "viewport {}", state.viewport.to_json())?;
    writeln!(out, "nodes: {}", state.nodes.len())?;
    for node in &state.nodes {
        let fields = Value::Object(node.entity.attributes().clone());
        let position = node.entity.position().to_json();
        writeln!(out, "  {} at {position} {fields}, {}", node.entity.id(), written(node))?;
    }
    writeln!(out, "edges: {}", state.edges.len())?;
    for edge in &state.edges {
        let fields = Value::Object(edge.entity.attributes().clone());
        let (source, target) = (edge.entity.source(), edge.entity.target());
        writeln!(out, "  {} from {source} to {target} {fields}, {}", edge.entity.id(), written(edge))?;
    }
    Ok(())
}

fn written<T>(entity: &Told<T>) -> String {
    format!("version {} of {}", entity.version, readable(entity.updated_at))
}
