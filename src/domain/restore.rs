//! `RESTORE_VERSION`: the events that turn the graph into what it was at an earlier version (rule L11).
//!
//! Invariants:
//! - A restore of everything makes the graph what it was, entity by entity, with ids, times of creation and creation
//!   order.
//! - A restore of some entities changes those, and with a node that was not there it deletes what came into it and onto
//!   it since. What it can't put back without breaking rule G4 it leaves alone.
//!
//! Not here: the graph at that version, and what others did since (`conflict::restoring`).

mod some;

use std::{collections::HashSet, sync::Arc};

use dao_projections::{
    Attributes, EdgeId, Entity, EntityKind, Event, Graph, MergePatch, NodeId, Placed, Version,
};
use serde::Serialize;

use super::{
    command::SETTINGS,
    conflict::Touched,
    decide::{Limits, Rejection, check_edge_size, check_node_size},
    size::json_bytes,
    undo::{Key, SkipReason, net_events},
    version_ref::VersionRef,
};

/// Ids that a restore of some entities names, at most.
pub const RESTORE_IDS_MAX: usize = 10_000;
/// What one commit may store to bring something back, as JSON.
pub const RESTORED_BYTES_MAX: usize = 64 << 20;
/// Entities that were left alone and are told one by one.
const SKIPPED_TOLD_MAX: usize = 1_000;

/// What is to be put back.
#[derive(Clone, Debug, PartialEq)]
pub struct Restoring {
    /// Which version.
    pub to: VersionRef,
    /// Only these entities; all if there is none.
    pub scope: Option<RestoreScope>,
    /// What is put back beside nodes and edges.
    pub include: Vec<RestorePart>,
}

/// The entities that a restore is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestoreScope {
    /// Nodes.
    pub nodes: Vec<NodeId>,
    /// Edges.
    pub edges: Vec<EdgeId>,
}

/// What a graph has beside nodes and edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RestorePart {
    /// The attributes but for the settings.
    Attributes,
    /// The viewport.
    Viewport,
}

impl Restoring {
    /// How many entities it names.
    pub fn named(&self) -> usize {
        self.scope.as_ref().map_or(0, |scope| scope.nodes.len() + scope.edges.len())
    }
}

/// What a restore did and left alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestoreResult {
    /// The version that was restored.
    pub to: Version,
    /// What is there again.
    pub created: Touched,
    /// What is as it was.
    pub updated: Touched,
    /// What was not there then.
    pub deleted: Touched,
    /// What else is as it was.
    pub included: Vec<RestorePart>,
    /// What was left alone, the first of many.
    pub skipped: Vec<SkippedEntity>,
}

/// An entity that was left alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SkippedEntity {
    /// What kind of thing it is.
    pub entity: EntityKind,
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: SkipReason,
}

impl RestoreResult {
    /// How much it tells of: a measure of the work that encoding it makes.
    pub fn weight(&self) -> usize {
        let touched = [&self.created, &self.updated, &self.deleted];
        self.skipped.len() + touched.map(|list| list.nodes.len() + list.edges.len()).iter().sum::<usize>()
    }

    /// About how many bytes it takes as JSON.
    pub fn json_bytes(&self) -> usize {
        let touched = [&self.created, &self.updated, &self.deleted];
        let touched = touched.map(|list| json_bytes(&list.nodes) + json_bytes(&list.edges));
        json_bytes(&self.skipped) + touched.iter().sum::<usize>()
    }

    fn skip(&mut self, entity: Entity<'_>, reason: SkipReason) {
        if self.skipped.len() < SKIPPED_TOLD_MAX {
            self.skipped.push(SkippedEntity { entity: entity.kind(), id: entity.to_string(), reason });
        }
    }

    /// Says what became of these entities from one graph to the other.
    fn tell(&mut self, head: &Graph, then: &Graph, keys: &[Key]) {
        for key in keys {
            let (before, after) = match key {
                Key::Node(id) => (head.nodes().get(id).is_some(), then.nodes().get(id).is_some()),
                Key::Edge(id) => (head.edges().get(id).is_some(), then.edges().get(id).is_some()),
                Key::Viewport | Key::Graph => continue,
            };
            if !differs(head, then, key) {
                continue;
            }
            let list = match (before, after) {
                (false, true) => &mut self.created,
                (true, false) => &mut self.deleted,
                _ => &mut self.updated,
            };
            match key {
                Key::Node(id) => list.nodes.push(id.clone()),
                Key::Edge(id) => list.edges.push(id.clone()),
                Key::Viewport | Key::Graph => {}
            }
        }
    }
}

/// The events that put `old`, the graph at version `to`, in the place of `head`, or of some of it.
pub(super) fn restore(
    head: &Graph,
    old: &Graph,
    (to, restoring): (Version, &Restoring),
    limits: &Limits,
) -> Result<(Vec<Event>, RestoreResult), Rejection> {
    let mut result = RestoreResult { to, ..RestoreResult::default() };
    let mut events = match &restoring.scope {
        None => restore_all(head, old, limits, &mut result)?,
        Some(scope) => some::restore_some(head, old, scope, limits, &mut result)?,
    };
    for part in &restoring.include {
        let event = match part {
            RestorePart::Viewport if head.viewport() != old.viewport() => {
                Some(Event::ViewportSet { viewport: old.viewport().clone() })
            }
            RestorePart::Viewport => None,
            RestorePart::Attributes => {
                attributes_patch(&head.metadata().attributes, &old.metadata().attributes)
            }
        };
        if let Some(event) = event {
            result.included.push(*part);
            events.push(event);
        }
    }
    Ok((events, result))
}

fn restore_all(
    head: &Graph,
    old: &Graph,
    limits: &Limits,
    result: &mut RestoreResult,
) -> Result<Vec<Event>, Rejection> {
    let nodes = old.nodes_in_order().map(|node| node.entity.id());
    let new_nodes = head.nodes_in_order().map(|node| node.entity.id());
    let new_nodes = new_nodes.filter(|id| old.nodes().get(id).is_none());
    let edges = old.edges().iter().map(|edge| edge.entity.id());
    let new_edges = head.edges().iter().map(|edge| edge.entity.id());
    let new_edges = new_edges.filter(|id| old.edges().get(id).is_none());
    let nodes = nodes.chain(new_nodes).cloned().map(Key::Node);
    let edges = edges.chain(new_edges).cloned().map(Key::Edge);
    let keys: Vec<Key> = nodes.chain(edges).filter(|key| differs(head, old, key)).collect();
    for key in &keys {
        match key {
            Key::Node(id) => old.nodes().get(id).map_or(Ok(()), |node| check_node_size(&node.entity, limits)),
            Key::Edge(id) => old.edges().get(id).map_or(Ok(()), |edge| check_edge_size(&edge.entity, limits)),
            Key::Viewport | Key::Graph => Ok(()),
        }?;
    }
    check_counts(head, old, limits)?;
    result.tell(head, old, &keys);
    Ok(net_events(head, old, &keys, limits))
}

/// Rule O3, for a graph that grows.
fn check_counts(head: &Graph, then: &Graph, limits: &Limits) -> Result<(), Rejection> {
    let grows_past = |before: usize, after: usize, max: usize| after > max && after > before;
    if grows_past(head.nodes().len(), then.nodes().len(), limits.nodes_max) {
        return Err(Rejection::TooManyNodes);
    }
    match grows_past(head.edges().len(), then.edges().len(), limits.edges_max) {
        true => Err(Rejection::TooManyEdges),
        false => Ok(()),
    }
}

/// Whether an entity is another one in the two graphs, or has another place in creation order.
fn differs(one: &Graph, other: &Graph, key: &Key) -> bool {
    fn of<T: PartialEq>(one: Option<&Arc<Placed<T>>>, other: Option<&Arc<Placed<T>>>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => {
                !Arc::ptr_eq(one, other) && (one.ordinal != other.ordinal || one.entity != other.entity)
            }
            (one, other) => one.is_some() != other.is_some(),
        }
    }
    match key {
        Key::Node(id) => of(one.nodes().get(id), other.nodes().get(id)),
        Key::Edge(id) => of(one.edges().get(id), other.edges().get(id)),
        Key::Viewport | Key::Graph => false,
    }
}

/// Settings are not restored: they need another right (rule L5), and say how the graph is used, not what it is.
fn attributes_patch(now: &Attributes, old: &Attributes) -> Option<Event> {
    let (mut before, mut after) = (now.fields().clone(), old.fields().clone());
    before.shift_remove(SETTINGS);
    after.shift_remove(SETTINGS);
    // Attributes hold no nulls that a merge patch can't say: they came from merge patches.
    let patch = MergePatch::between(&before, &after).filter(|patch| !patch.fields().is_empty())?;
    Some(Event::GraphUpdated { patch })
}

/// Each id once, in the order given.
fn each_once<Id: Clone + Eq + std::hash::Hash>(ids: &[Id]) -> Vec<Id> {
    let mut seen = HashSet::new();
    ids.iter().filter(|id| seen.insert(*id)).cloned().collect()
}
