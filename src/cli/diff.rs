//! `dao-api diff`: prints the difference between two versions of a graph (rule A3).

use std::io::Write;

use clap::Args;
use dao_projections::{Change, GraphDiff, GraphId, TableDiff};

use super::{CliError, open, print};
use crate::{
    config::Config,
    domain::VersionRef,
    http::audit::wire::difference_json,
    read::{self, Difference},
    write::Graphs,
};

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
}

impl Diff {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let graphs = open::graphs(&config).await?;
        let shown = self.show(&graphs).await;
        open::close(&graphs).await;
        shown
    }

    async fn show(&self, graphs: &Graphs) -> Result<(), CliError> {
        open::existing(graphs, &self.graph).await?;
        let difference = read::diff(graphs, &self.graph, (&self.from, &self.to), None).await;
        let difference = difference
            .map_err(|e| CliError::new(format!("the difference of {} can't be read: {e}", self.graph)))?;
        print(|out| match self.json {
            true => {
                out.write_all(&difference_json(&self.graph, &difference))?;
                out.write_all(b"\n")
            }
            false => describe(&self.graph, &difference, out),
        })
    }
}

fn describe(id: &GraphId, difference: &Difference, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{id} from version {} to {}", difference.from, difference.to)?;
    differences(&difference.diff, out)
}

/// Prints the difference, one entity or path per line.
pub(super) fn differences(diff: &GraphDiff, out: &mut dyn Write) -> std::io::Result<()> {
    if diff.is_empty() {
        writeln!(out, "  no difference")?;
    }
    table("node", &diff.nodes, out)?;
    table("edge", &diff.edges, out)?;
    if let Some(viewport) = &diff.viewport {
        writeln!(out, "~ viewport {} -> {}", viewport.before.to_json(), viewport.after.to_json())?;
    }
    if !diff.attributes.is_empty() {
        writeln!(out, "~ attributes")?;
        changes(&diff.attributes, out)?;
    }
    Ok(())
}

fn table<Id: std::fmt::Display, T>(
    kind: &str,
    table: &TableDiff<Id, T>,
    out: &mut dyn Write,
) -> std::io::Result<()>
where
    dao_projections::Placed<T>: serde::Serialize,
{
    let whole = |entity: &dao_projections::Placed<T>| String::from_utf8_lossy(entity.json()).into_owned();
    for entity in &table.removed {
        writeln!(out, "- {kind} {}", whole(entity))?;
    }
    for entity in &table.added {
        writeln!(out, "+ {kind} {}", whole(entity))?;
    }
    for changed in &table.changed {
        writeln!(out, "~ {kind} {}", changed.id)?;
        changes(&changed.changes, out)?;
    }
    Ok(())
}

/// Prints one line per path.
pub(super) fn changes(changes: &[Change], out: &mut dyn Write) -> std::io::Result<()> {
    changes.iter().try_for_each(|change| {
        let path = if change.path.as_str().is_empty() { "(whole)" } else { change.path.as_str() };
        writeln!(out, "    {path}: {} -> {}", change.before, change.after)
    })
}
