//! The events of a restore: of everything here, of some entities in `some`.

use std::{collections::HashSet, sync::Arc};

use dao_projections::{Attributes, Event, Graph, MergePatch, Placed, Version};

use super::{RestorePart, RestoreResult, Restoring, some};
use crate::domain::{
    entity_change::{check_edge_size, check_node_size},
    limits::{Limits, SETTINGS},
    rejection::Rejection,
    undo::{Key, net_events},
};

/// The events that put `old`, the graph at version `to`, in the place of `head`, or of some of it.
pub(in crate::domain) fn restore(
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
pub(super) fn check_counts(head: &Graph, then: &Graph, limits: &Limits) -> Result<(), Rejection> {
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
pub(super) fn differs(one: &Graph, other: &Graph, key: &Key) -> bool {
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
pub(super) fn each_once<Id: Clone + Eq + std::hash::Hash>(ids: &[Id]) -> Vec<Id> {
    let mut seen = HashSet::new();
    ids.iter().filter(|id| seen.insert(*id)).cloned().collect()
}
