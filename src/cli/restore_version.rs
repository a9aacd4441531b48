//! `dao-api restore-version`: a graph, or some of it, as it was at an earlier version (rule L11).

use clap::{Args, ValueEnum};
use dao_projections::{EdgeId, GraphId, NodeId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    api::Api,
    error::CliError,
    graphs::{Done, Written},
    output::print,
};
use crate::{
    config::Config,
    domain::{VersionRef, readable},
};

#[derive(Args)]
#[command(
    after_help = "The history stays: the restore is one more commit, and `dao-api undo` takes it back.\n\n\
    Exit codes: 0 done or nothing to do, 1 refused or failed, 2 wrong usage"
)]
pub(super) struct RestoreVersion {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// What it is to be again: a version, a label or a time
    #[arg(value_name = "VERSION|LABEL|TIME")]
    to: VersionRef,
    /// Only this node; may be given several times
    #[arg(long, value_name = "ID")]
    node: Vec<NodeId>,
    /// Only this edge; may be given several times
    #[arg(long, value_name = "ID")]
    edge: Vec<EdgeId>,
    /// Restore this too: the attributes (without the settings) or the viewport; may be given several times
    #[arg(long, value_name = "PART")]
    include: Vec<Part>,
    #[command(flatten)]
    written: Written,
}

// Without help of their own, so that the help of the command stays short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Attributes,
    Viewport,
}

impl RestoreVersion {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let to = match &self.to {
            VersionRef::Head => json!("head"),
            VersionRef::Version(version) => json!(version),
            VersionRef::Label(name) => json!(name),
            VersionRef::Time(time) => json!(readable(*time)),
        };
        let parts = [(Part::Attributes, "attributes"), (Part::Viewport, "viewport")];
        let include = parts.iter().filter(|(part, _)| self.include.contains(part)).map(|(_, name)| *name);
        let mut payload = json!({"to": to, "include": include.collect::<Vec<_>>()});
        if !self.node.is_empty() || !self.edge.is_empty() {
            (payload["nodes"], payload["edges"]) = (json!(self.node), json!(self.edge));
        }
        let command = json!({"type": "RESTORE_VERSION", "payload": payload});
        let mut api = Api::connect(&config, &self.written.reach).await?;
        let done = self.written.run(&mut api, &self.graph, &command, |done| self.tell(done)).await;
        api.close().await;
        done
    }

    fn tell(&self, done: &Done) -> Result<(), CliError> {
        let (graph, version, restored) = (&self.graph, done.version, &done.result);
        if self.written.json {
            let all = json!({"graphId": graph, "version": version, "hash": done.hash,
                "outcome": done.outcome, "result": restored});
            return print(|out| writeln!(out, "{all}"));
        }
        let read: Restored = serde_json::from_value(restored.clone())
            .map_err(|e| CliError::new(format!("{graph} is restored, but the answer can't be read: {e}")))?;
        print(|out| {
            let to = &restored["to"];
            match done.is_unchanged() {
                true => writeln!(out, "{graph} is as at version {to} already")?,
                false => writeln!(out, "{graph} is as at version {to} again, in version {version}")?,
            }
            let lists = [("created", &read.created), ("updated", &read.updated), ("deleted", &read.deleted)];
            for (what, list) in lists {
                writeln!(out, "  {what}: {} nodes, {} edges", list.nodes.len(), list.edges.len())?;
            }
            for Skipped { id, reason } in &read.skipped {
                writeln!(out, "  left alone {id}: {reason}")?;
            }
            Ok(())
        })
    }
}

/// The `result` of a restore, as far as it is told.
#[derive(Deserialize)]
struct Restored {
    created: Touched,
    updated: Touched,
    deleted: Touched,
    skipped: Vec<Skipped>,
}

#[derive(Deserialize)]
struct Touched {
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

#[derive(Deserialize)]
struct Skipped {
    id: String,
    reason: String,
}
