//! `dao-api show`: prints a graph, now or at an earlier point.

use std::io::Write;

use clap::Args;
use dao_projections::{Graph, GraphId, Placed};
use serde_json::Value;

use super::{CliError, open, print};
use crate::{
    config::Config,
    domain::{VersionRef, readable},
    http::wire,
    read,
    write::Graphs,
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
}

impl Show {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let graphs = open::graphs(&config).await?;
        let shown = self.show(&graphs).await;
        open::close(&graphs).await;
        shown
    }

    async fn show(&self, graphs: &Graphs) -> Result<(), CliError> {
        open::existing(graphs, &self.graph).await?;
        let current = read::at(graphs, &self.graph, &self.at).await;
        let current = current.map_err(|e| CliError::new(format!("{} can't be shown: {e}", self.graph)))?;
        let graph = &current.view.graph;
        print(|out| match self.json {
            true => {
                out.write_all(&wire::state_json(&self.graph, graph))?;
                out.write_all(b"\n")
            }
            false => describe(&self.graph, graph, out),
        })
    }
}

/// Prints one line for the graph and one for each entity.
fn describe(id: &GraphId, graph: &Graph, out: &mut dyn Write) -> std::io::Result<()> {
    let head = graph.head();
    let when = graph.last_modified().map_or("never".to_owned(), readable);
    writeln!(out, "{id} at version {}, last changed {when}", head.version)?;
    writeln!(out, "hash {}", head.hash)?;
    writeln!(out, "viewport {}", graph.viewport().to_json())?;
    writeln!(out, "nodes: {}", graph.nodes().len())?;
    for node in graph.nodes_in_order() {
        let fields = Value::Object(node.entity.attributes().clone());
        let position = node.entity.position().to_json();
        writeln!(out, "  {} at {position} {fields}, {}", node.entity.id(), written(node))?;
    }
    writeln!(out, "edges: {}", graph.edges().len())?;
    for edge in graph.edges().iter() {
        let fields = Value::Object(edge.entity.attributes().clone());
        let (source, target) = (edge.entity.source(), edge.entity.target());
        writeln!(out, "  {} from {source} to {target} {fields}, {}", edge.entity.id(), written(edge))?;
    }
    Ok(())
}

fn written<T>(entity: &Placed<T>) -> String {
    format!("version {} of {}", entity.version, readable(entity.updated_at))
}
