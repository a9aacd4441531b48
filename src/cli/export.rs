//! `dao-api export`: prints the commits of a graph, or its state as a document.

use std::io::{self, BufWriter, Write};

use clap::Args;
use dao_projections::{GraphId, Head, Map};
use serde_json::{Value, json};

use super::{CliError, open, print};
use crate::{
    config::Config,
    http::wire::commit_json,
    store::EventStore,
    write::{Graphs, history_reader},
};

/// Commits read from the store per call.
const CHUNK: usize = 1_000;

#[derive(Args)]
pub(super) struct Export {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Print the current state as a React Flow document, instead of the commits
    #[arg(long)]
    state: bool,
}

impl Export {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let graphs = open::graphs(&config).await?;
        let printed = self.print(&graphs).await;
        open::close(&graphs).await;
        printed
    }

    async fn print(&self, graphs: &Graphs) -> Result<(), CliError> {
        open::existing(graphs, &self.graph).await?;
        if self.state {
            return print_state(graphs, &self.graph).await;
        }
        match print_commits(&**graphs.store(), &self.graph).await {
            Ok(()) | Err(Stop::OutputClosed) => Ok(()),
            Err(Stop::Failed(why)) => Err(CliError::new(format!("the export stopped: {why}"))),
        }
    }
}

/// Why the export stopped early.
enum Stop {
    /// The reader closed the output.
    OutputClosed,
    Failed(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(error.to_string()),
        }
    }
}

async fn print_commits(store: &dyn EventStore, graph: &GraphId) -> Result<(), Stop> {
    let failed = |error: &dyn std::fmt::Display| Stop::Failed(error.to_string());
    let head = store.head(graph).await.map_err(|e| failed(&e))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut at = Head::EMPTY;
    while at.version < head.version {
        let chunk = store.read(graph, at.version, head.version, CHUNK).await.map_err(|e| failed(&e))?;
        if chunk.is_empty() {
            return Err(failed(&format!("the history ends at version {}, before its head", at.version)));
        }
        for stored in &chunk {
            at = at.after(&stored.body);
            if at != stored.head() {
                return Err(failed(&format!("the hash of version {} does not follow", stored.version)));
            }
            let commit = history_reader::decode(graph, stored).map_err(|e| failed(&e))?;
            out.write_all(&commit_json(graph, &commit))?;
            out.write_all(b"\n")?;
        }
    }
    Ok(out.flush()?)
}

async fn print_state(graphs: &Graphs, graph: &GraphId) -> Result<(), CliError> {
    let view = graphs.refresh(graph).await;
    let view = view.map_err(|e| CliError::new(format!("the graph can't be read: {e}")))?;
    let entity = |fields: Map| Value::Object(fields);
    let document = json!({
        "nodes": view.graph.nodes_in_order().map(|node| entity(node.entity.to_json())).collect::<Vec<_>>(),
        "edges": view.graph.edges().iter().map(|edge| entity(edge.entity.to_json())).collect::<Vec<_>>(),
        "viewport": view.graph.viewport().to_json(),
    });
    print(|out| writeln!(out, "{document:#}"))
}
