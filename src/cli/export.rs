//! `dao-api export`: prints the commits of a graph, or its state as a document.

use std::io::{self, BufWriter, Write};

use clap::Args;
use dao_projections::{Graph, GraphId, Head, Map, Version};
use serde_json::{Value, json};

use super::{CliError, open, print};
use crate::{
    config::Config,
    domain::VersionRef,
    http::wire::commit_json,
    read::{self, ReadError},
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
    /// Print the state as a React Flow document, instead of the commits
    #[arg(long)]
    state: bool,
    /// The state at this version, label or time, or the commits up to it; standard error says which version that is
    #[arg(long, value_name = "VERSION|LABEL|TIME")]
    at: Option<VersionRef>,
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
        let name = self.at.clone().unwrap_or_default();
        if self.state {
            let found = read::at(graphs, &self.graph, &name).await.map_err(|e| self.unreadable(&e))?;
            self.tell_version(found.head().version);
            return print_state(&found.view.graph);
        }
        let to = match &self.at {
            None => None,
            Some(name) => {
                let current = read::current(graphs, &self.graph, None).await;
                let current = current.map_err(|e| self.unreadable(&e))?;
                let named = read::version_named(graphs, &self.graph, &current.view.graph, name).await;
                let version = named.map_err(|e| self.unreadable(&e))?.version;
                self.tell_version(version);
                Some(version)
            }
        };
        match print_commits(&**graphs.store(), &self.graph, to).await {
            Ok(()) | Err(Stop::OutputClosed) => Ok(()),
            Err(Stop::Failed(why)) => Err(CliError::new(format!("the export stopped: {why}"))),
        }
    }

    fn unreadable(&self, error: &ReadError) -> CliError {
        CliError::new(format!("{} can't be exported: {error}", self.graph))
    }

    /// A document has no place for it.
    fn tell_version(&self, version: Version) {
        if self.at.is_some() {
            eprintln!("{} at version {version}", self.graph);
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

/// Prints the commits up to version `to`, or all of them.
async fn print_commits(store: &dyn EventStore, graph: &GraphId, to: Option<Version>) -> Result<(), Stop> {
    let failed = |error: &dyn std::fmt::Display| Stop::Failed(error.to_string());
    let head = store.head(graph).await.map_err(|e| failed(&e))?.version;
    let to = to.unwrap_or(head);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut at = Head::EMPTY;
    while at.version < to {
        let chunk = store.read(graph, at.version, to, CHUNK).await.map_err(|e| failed(&e))?;
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

fn print_state(graph: &Graph) -> Result<(), CliError> {
    let entity = |fields: Map| Value::Object(fields);
    let document = json!({
        "nodes": graph.nodes_in_order().map(|node| entity(node.entity.to_json())).collect::<Vec<_>>(),
        "edges": graph.edges().iter().map(|edge| entity(edge.entity.to_json())).collect::<Vec<_>>(),
        "viewport": graph.viewport().to_json(),
    });
    print(|out| writeln!(out, "{document:#}"))
}
