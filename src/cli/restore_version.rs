//! `dao-api restore-version`: a graph, or some of it, as it was at an earlier version (rule L11).

use clap::{Args, ValueEnum};
use dao_projections::{EdgeId, GraphId, NodeId};
use serde_json::json;

use super::{
    CliError,
    graphs::{Done, Written},
    print,
};
use crate::{
    config::Config,
    domain::{RestoreResult, VersionRef, readable},
    http::restored_json,
    write::{CommandResult, Effect},
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
        let done = self.written.run(config, &self.graph, command).await?;
        let restored = done.results.iter().find_map(|result| match result {
            CommandResult::Restored(restored) => Some(restored.as_ref()),
            _ => None,
        });
        self.tell(&done, &restored.cloned().unwrap_or_default())
    }

    fn tell(&self, done: &Done, restored: &RestoreResult) -> Result<(), CliError> {
        let (graph, version) = (&self.graph, done.head.version);
        if self.written.json {
            let all = json!({"graphId": graph, "version": version, "hash": done.head.hash,
                "outcome": done.outcome(), "result": restored_json(restored)});
            return print(|out| writeln!(out, "{all}"));
        }
        print(|out| {
            let to = restored.to;
            match done.effect {
                Effect::Unchanged => writeln!(out, "{graph} is as at version {to} already")?,
                Effect::Committed(_) => {
                    writeln!(out, "{graph} is as at version {to} again, in version {version}")?
                }
            }
            let lists = [
                ("created", &restored.created),
                ("updated", &restored.updated),
                ("deleted", &restored.deleted),
            ];
            for (what, list) in lists {
                writeln!(out, "  {what}: {} nodes, {} edges", list.nodes.len(), list.edges.len())?;
            }
            for skipped in &restored.skipped {
                let reason = serde_json::to_value(skipped.reason).unwrap_or_default();
                writeln!(out, "  left alone {}: {}", skipped.id, reason.as_str().unwrap_or_default())?;
            }
            Ok(())
        })
    }
}
