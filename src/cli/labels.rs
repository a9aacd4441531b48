//! `dao-api label`: names for versions of a graph (rule L12).

use std::{io::Write, str::FromStr};

use clap::Args;
use dao_projections::{GraphId, LabelName, Timestamp, UserId, Version};
use serde::Deserialize;
use serde_json::{Map, Value, json};

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

/// What is said of a label.
#[derive(Deserialize)]
struct Label {
    version: Version,
    note: Option<String>,
    at: Timestamp,
    by: Option<UserId>,
}

impl LabelCommand {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.written.reach).await?;
        let done = match &self.name {
            Some(name) => self.label(&mut api, name).await,
            None => self.list(&mut api).await,
        };
        api.close().await;
        done
    }

    async fn label(&self, api: &mut Api, name: &LabelName) -> Result<(), CliError> {
        let payload = self.payload(api, name).await?;
        let command = json!({"type": "LABEL_VERSION", "payload": payload});
        self.written.run(api, &self.graph, &command, |done| self.tell(name, done)).await
    }

    async fn payload(&self, api: &mut Api, name: &LabelName) -> Result<Value, CliError> {
        api.existing(&self.graph).await?;
        let mut payload = json!({"name": name, "note": self.note});
        if let Some(at) = &self.at {
            let named = api.version_of(&self.graph, at).await;
            payload["version"] = json!(named.map_err(|e| self.unreadable(&e))?);
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
        let (graph, version) = (&self.graph, &done.result["version"]);
        if self.written.json {
            let all = json!({"graphId": graph, "version": done.version, "outcome": done.outcome,
                "name": name, "labelled": version});
            return print(|out| writeln!(out, "{all}"));
        }
        let already = if done.is_unchanged() { " already" } else { "" };
        print(|out| match version {
            Value::Null => writeln!(out, "{graph}: {name}{already} names nothing"),
            version => writeln!(out, "{graph}: {name}{already} names version {version}"),
        })
    }

    async fn list(&self, api: &mut Api) -> Result<(), CliError> {
        api.existing(&self.graph).await?;
        let body = api.get(&format!("/graphs/{}/labels", self.graph)).await;
        let body = body.map_err(|e| self.unreadable(&e))?;
        if self.written.json {
            return print(|out| out.write_all(&body).and_then(|()| out.write_all(b"\n")));
        }
        let mut all: Map<String, Value> = serde_json::from_slice(&body).map_err(|e| self.unreadable(&e))?;
        let labels = all.remove("labels").unwrap_or_default();
        let labels: std::collections::BTreeMap<String, Label> =
            serde_json::from_value(labels).map_err(|e| self.unreadable(&e))?;
        print(|out| labels.iter().try_for_each(|(name, label)| describe(name, label, out)))
    }

    fn unreadable(&self, why: &dyn std::fmt::Display) -> CliError {
        CliError::new(format!("{} can't be read: {why}", self.graph))
    }
}

fn describe(name: &str, label: &Label, out: &mut dyn Write) -> std::io::Result<()> {
    let by = label.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let note = label.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    writeln!(out, "{name} names version {}, set at {}{by}{note}", label.version, readable(label.at))
}
