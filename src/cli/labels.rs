//! `dao-api label`: names for versions of a graph (rule L12).

use std::{io::Write, str::FromStr};

use clap::Args;
use dao_projections::{GraphId, Label, LabelName, Version};
use serde_json::{Value, json};

use super::{
    CliError,
    graphs::{Done, Written},
    open, print,
};
use crate::{
    config::Config,
    domain::{VersionRef, readable},
    http::labels_json,
    read,
    write::{CommandResult, Effect, Graphs},
};

#[derive(Args)]
#[command(after_help = "Without NAME it lists the labels. `published` is the label that others read: \
    dao-api label demo published; dao-api show demo --at published.\n\n\
    Exit codes: 0 done, 1 refused or failed, 2 wrong usage")]
pub(super) struct LabelCommand {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// The label
    #[arg(value_name = "NAME")]
    name: Option<LabelName>,
    /// What it names: a version, another label or a time; the latest version by default
    #[arg(long, value_name = "VERSION|LABEL|TIME", requires = "name")]
    at: Option<VersionRef>,
    /// Remove it
    #[arg(long, requires = "name", conflicts_with_all = ["at", "note"])]
    remove: bool,
    /// What there is to say about it
    #[arg(long, value_name = "TEXT", requires = "name")]
    note: Option<String>,
    /// Only if it names this version now, or `none`
    #[arg(long, value_name = "VERSION|none", requires = "name")]
    expect: Option<Expected>,
    #[command(flatten)]
    written: Written,
}

/// What a label has to name.
#[derive(Clone, Copy)]
struct Expected(Option<Version>);

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let version = text.parse().ok().and_then(Version::new);
        version.map(|version| Self(Some(version))).ok_or_else(|| "must be a version or none".to_owned())
    }
}

impl LabelCommand {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let graphs = open::graphs(&config).await?;
        let Some(name) = &self.name else {
            let listed = self.list(&graphs).await;
            open::close(&graphs).await;
            return listed;
        };
        let payload = self.payload(&graphs, name).await;
        open::close(&graphs).await;
        let command = json!({"type": "LABEL_VERSION", "payload": payload?});
        self.tell(name, &self.written.run(config, &self.graph, command).await?)
    }

    async fn payload(&self, graphs: &Graphs, name: &LabelName) -> Result<Value, CliError> {
        open::existing(graphs, &self.graph).await?;
        let mut payload = json!({"name": name, "note": self.note});
        if let Some(at) = &self.at {
            let unreadable = |e| CliError::new(format!("{} can't be read: {e}", self.graph));
            let current = read::current(graphs, &self.graph, None).await.map_err(unreadable)?;
            let named = read::version_named(graphs, &self.graph, &current.view.graph, at).await;
            payload["version"] = json!(named.map_err(unreadable)?.version);
        }
        if self.remove {
            payload["version"] = Value::Null;
        }
        if let Some(Expected(version)) = self.expect {
            payload["expect"] = json!(version);
        }
        Ok(payload)
    }

    fn tell(&self, name: &LabelName, done: &Done) -> Result<(), CliError> {
        let label = done.results.iter().find_map(|result| match result {
            CommandResult::Label(_, label) => label.as_ref(),
            _ => None,
        });
        let (graph, version) = (&self.graph, label.map(|label| label.version));
        if self.written.json {
            let all = json!({"graphId": graph, "version": done.head.version, "outcome": done.outcome(),
                "name": name, "labelled": version});
            return print(|out| writeln!(out, "{all}"));
        }
        let already = if done.effect == Effect::Unchanged { " already" } else { "" };
        print(|out| match version {
            Some(version) => writeln!(out, "{graph}: {name}{already} names version {version}"),
            None => writeln!(out, "{graph}: {name}{already} names nothing"),
        })
    }

    async fn list(&self, graphs: &Graphs) -> Result<(), CliError> {
        open::existing(graphs, &self.graph).await?;
        let current = read::current(graphs, &self.graph, None).await;
        let current = current.map_err(|e| CliError::new(format!("{} can't be read: {e}", self.graph)))?;
        let labels = &current.view.graph.metadata().labels;
        print(|out| {
            if self.written.json {
                out.write_all(&labels_json(&self.graph, current.head(), labels))?;
                return out.write_all(b"\n");
            }
            labels.iter().try_for_each(|(name, label)| describe(name, label, out))
        })
    }
}

fn describe(name: &LabelName, label: &Label, out: &mut dyn Write) -> std::io::Result<()> {
    let by = label.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let note = label.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    writeln!(out, "{name} names version {}, set at {}{by}{note}", label.version, readable(label.at))
}
