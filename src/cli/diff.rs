//! `dao-api diff`: prints the difference between two versions of a graph (rule A3).

use std::io::Write;

use clap::Args;
use dao_projections::{GraphId, Version, Viewport};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    api::{Api, query_text},
    error::CliError,
    output::print,
    reach::Reach,
};
use crate::{config::Config, domain::VersionRef};

#[derive(Args)]
pub(super) struct Diff {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// The first version, label or time; may be the later one
    #[arg(long, value_name = "VERSION|LABEL|TIME")]
    from: VersionRef,
    /// The second version, label or time; the latest by default
    #[arg(long, value_name = "VERSION|LABEL|TIME", default_value = "head")]
    to: VersionRef,
    /// Print JSON, like `GET /graphs/GRAPH/diff`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Diff {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let shown = self.show(&mut api).await;
        api.close().await;
        shown
    }

    async fn show(&self, api: &mut Api) -> Result<(), CliError> {
        api.existing(&self.graph).await?;
        let failed = |e: &dyn std::fmt::Display| {
            CliError::new(format!("the difference of {} can't be read: {e}", self.graph))
        };
        let (from, to) = (query_text(&self.from), query_text(&self.to));
        let path = format!("/graphs/{}/diff?from={from}&to={to}", self.graph);
        let body = api.get(&path).await.map_err(|e| failed(&e))?;
        if self.json {
            return print(|out| out.write_all(&body).and_then(|()| out.write_all(b"\n")));
        }
        let difference: Difference<'_> = serde_json::from_slice(&body).map_err(|e| failed(&e))?;
        print(|out| {
            writeln!(out, "{} from version {} to {}", self.graph, difference.from, difference.to)?;
            difference.describe(out)
        })
    }
}

/// A difference as `GET /graphs/{graphId}/diff` answers it.
#[derive(Deserialize)]
pub(super) struct Difference<'a> {
    from: Version,
    to: Version,
    #[serde(borrow)]
    nodes: Table<'a>,
    #[serde(borrow)]
    edges: Table<'a>,
    viewport: Option<ViewportChange>,
    #[serde(default)]
    attributes: Vec<Change>,
}

/// The difference between all nodes, or all edges.
#[derive(Deserialize)]
struct Table<'a> {
    #[serde(borrow)]
    added: Vec<&'a RawValue>,
    #[serde(borrow)]
    removed: Vec<&'a RawValue>,
    changed: Vec<Changed>,
}

#[derive(Deserialize)]
struct Changed {
    id: String,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct ViewportChange {
    before: Viewport,
    after: Viewport,
}

/// One path at which two states differ.
#[derive(Deserialize)]
pub(super) struct Change {
    path: String,
    before: Value,
    after: Value,
}

impl Difference<'_> {
    /// Prints the difference, one entity or path per line.
    pub(super) fn describe(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.is_empty() {
            writeln!(out, "  no difference")?;
        }
        self.nodes.describe("node", out)?;
        self.edges.describe("edge", out)?;
        if let Some(viewport) = &self.viewport {
            writeln!(out, "~ viewport {} -> {}", viewport.before.to_json(), viewport.after.to_json())?;
        }
        if !self.attributes.is_empty() {
            writeln!(out, "~ attributes")?;
            changes(&self.attributes, out)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.nodes.is_empty()
            && self.edges.is_empty()
            && self.viewport.is_none()
            && self.attributes.is_empty()
    }
}

impl Table<'_> {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn describe(&self, kind: &str, out: &mut dyn Write) -> std::io::Result<()> {
        for entity in &self.removed {
            writeln!(out, "- {kind} {}", entity.get())?;
        }
        for entity in &self.added {
            writeln!(out, "+ {kind} {}", entity.get())?;
        }
        for changed in &self.changed {
            writeln!(out, "~ {kind} {}", changed.id)?;
            changes(&changed.changes, out)?;
        }
        Ok(())
    }
}

/// Prints one line per path.
pub(super) fn changes(changes: &[Change], out: &mut dyn Write) -> std::io::Result<()> {
    changes.iter().try_for_each(|change| {
        let path = if change.path.is_empty() { "(whole)" } else { change.path.as_str() };
        writeln!(out, "    {path}: {} -> {}", change.before, change.after)
    })
}
