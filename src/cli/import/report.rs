//! Reports what an import will do and what it did: as sentences, or as one JSON document for scripts.

use std::io::{self, Write};

use dao_projections::{Event, Graph, GraphDiff};
use serde_json::{Value, json};

use super::plan::Plan;
use crate::{
    cli::{diff, output::counted},
    http::audit::wire::difference_json,
    read::Difference,
};

/// The most notes and deleted ids printed per graph; the rest is counted.
const LINES_MAX: usize = 50;

/// The numbers of entities added, changed and deleted.
#[derive(Default)]
struct Counts {
    nodes: usize,
    edges: usize,
}

impl Counts {
    fn of(plan: &Plan, is_meant: fn(&Event) -> bool) -> Self {
        let mut counts = Self::default();
        for event in plan.events.iter().filter(|event| is_meant(event)) {
            match event.entity() {
                dao_projections::Entity::Node(_) => counts.nodes += 1,
                dao_projections::Entity::Edge(_) => counts.edges += 1,
                dao_projections::Entity::Viewport | dao_projections::Entity::Graph => {}
            }
        }
        counts
    }

    fn is_none(&self) -> bool {
        self.nodes == 0 && self.edges == 0
    }

    fn json(&self) -> Value {
        json!({"nodes": self.nodes, "edges": self.edges})
    }

    fn words(&self) -> String {
        match (self.nodes, self.edges) {
            (0, 0) => "nothing".to_owned(),
            (nodes, 0) => counted(nodes, "node"),
            (0, edges) => counted(edges, "edge"),
            (nodes, edges) => format!("{} and {}", counted(nodes, "node"), counted(edges, "edge")),
        }
    }
}

fn added(event: &Event) -> bool {
    event.is_creation()
}

fn changed(event: &Event) -> bool {
    !added(event) && !event.is_deletion()
}

/// Prints `flow: adds 2 nodes and 1 edge, changes nothing, deletes nothing (React Flow, from flow.json)`, and then
/// each deletion.
pub(super) fn announce(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let wanted = &plan.wanted;
    let from = format!("{}, from {}", wanted.formats.join(" and "), wanted.files.join(", "));
    if plan.request.is_none() {
        return writeln!(out, "{}: nothing to do ({from})", wanted.graph);
    }
    let (adds, changes, deletes) =
        (Counts::of(plan, added), Counts::of(plan, changed), Counts::of(plan, Event::is_deletion));
    let viewport = if sets_viewport(plan) { ", sets the viewport" } else { "" };
    writeln!(
        out,
        "{}: adds {}, changes {}, deletes {}{viewport} ({from})",
        wanted.graph,
        adds.words(),
        changes.words(),
        deletes.words()
    )?;
    let deletions = plan.deletions();
    deletions.iter().take(LINES_MAX).try_for_each(|what| writeln!(out, "  deletes {what}"))?;
    more(deletions.len(), out)
}

fn more(count: usize, out: &mut dyn Write) -> io::Result<()> {
    match count.checked_sub(LINES_MAX) {
        Some(more) if more > 0 => writeln!(out, "  and {more} more"),
        _ => Ok(()),
    }
}

fn sets_viewport(plan: &Plan) -> bool {
    plan.events.iter().any(|event| matches!(event, Event::ViewportSet { .. }))
}

/// Prints what was left out, one line each.
pub(super) fn notes(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let notes = &plan.wanted.notes;
    notes.iter().take(LINES_MAX).try_for_each(|note| writeln!(out, "dao-api: note: {note}"))?;
    more(notes.len(), out)
}

/// Prints the difference, path by path, like `dao-api diff`.
pub(super) fn difference(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let difference = difference_of(plan);
    let difference: diff::Difference<'_> = serde_json::from_slice(&difference)?;
    difference.describe(out)
}

/// The same as JSON.
fn difference_of(plan: &Plan) -> Vec<u8> {
    let (from, diff) = (plan.before.head().version, GraphDiff::between(&plan.before, &plan.after));
    let to = if plan.request.is_some() { from.next() } else { from };
    difference_json(&plan.wanted.graph, &Difference { from, to, diff })
}

/// Prints the last line: the graph after the import.
pub(super) fn done(plan: &Plan, graph: &Graph, out: &mut dyn Write) -> io::Result<()> {
    let (nodes, edges) = (counted(graph.nodes().len(), "node"), counted(graph.edges().len(), "edge"));
    let what = match &plan.request {
        None => "is unchanged, at".to_owned(),
        Some(_) => {
            let words = |is_meant: fn(&Event) -> bool| Counts::of(plan, is_meant).words();
            format!(
                "added {}, changed {}, deleted {}; now at",
                words(added),
                words(changed),
                words(Event::is_deletion)
            )
        }
    };
    writeln!(out, "{}: {what} version {}, with {nodes} and {edges}", plan.wanted.graph, graph.head().version)
}

/// One graph of the answer to `--json`.
pub(super) fn json(plan: &Plan, graph: &Graph, is_written: bool) -> Value {
    let counts = |is_meant: fn(&Event) -> bool| Counts::of(plan, is_meant).json();
    let mut answer = json!({
        "graph": plan.wanted.graph,
        "files": plan.wanted.files,
        "formats": plan.wanted.formats,
        "written": is_written,
        "version": graph.head().version,
        "hash": graph.head().hash,
        "added": counts(added),
        "changed": counts(changed),
        "deleted": counts(Event::is_deletion),
        "deletions": plan.deletions(),
        "viewport": sets_viewport(plan),
        "notes": plan.wanted.notes,
        "nodes": graph.nodes().len(),
        "edges": graph.edges().len(),
    });
    if !is_written && let Some(fields) = answer.as_object_mut() {
        let difference = serde_json::from_slice(&difference_of(plan)).unwrap_or(Value::Null);
        fields.insert("difference".to_owned(), difference);
    }
    answer
}

/// Whether anything is deleted.
pub(super) fn deletes(plan: &Plan) -> bool {
    !Counts::of(plan, Event::is_deletion).is_none()
}
