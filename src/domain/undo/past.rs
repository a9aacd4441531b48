//! What operations did, as far as undoing them asks for it.

use std::collections::{HashMap, HashSet};

use dao_projections::{Entity, Graph, Node, NodeId, OperationId, Ordinal, Timestamp, UserId, Version};

use super::{
    state::{Key, State},
    undone::Undone,
};
use crate::domain::{
    conflict::last_written,
    descendants::{descendants, edges_of_all},
};

/// A place in creation order, and since when something has it.
pub(super) type Place = (Ordinal, Timestamp);

/// What some operations did.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// One for each operation that made a commit, the newest first.
    pub(super) steps: Vec<Step>,
    /// Nodes that the operations deleted, or that were looked for beside since those were in them, as they were last.
    pub(super) gone: HashMap<NodeId, Node>,
    /// Whether the operations did more than is undone at once.
    pub(super) is_too_much: bool,
    /// The first operation that is not the commit of the version that was named, and did not end without one.
    pub(super) not_found: Option<Undone>,
}

/// What one operation did.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) operation: OperationId,
    pub(super) version: Version,
    pub(super) user: UserId,
    /// In the order of its events.
    pub(super) changes: Vec<Transition>,
}

/// What it did to one entity.
#[derive(Clone, Debug)]
pub(super) struct Transition {
    pub(super) key: Key,
    pub(super) before: Option<State>,
    pub(super) after: Option<State>,
    /// Where in creation order it stood, if it was deleted.
    pub(super) place: Option<Place>,
    /// Whether it was deleted, and something else created under its id.
    pub(super) is_exchange: bool,
}

impl Transition {
    /// Whether what was there went, also for something else under its id.
    pub(super) fn is_deletion(&self) -> bool {
        self.before.is_some() && (self.after.is_none() || self.is_exchange)
    }
}

impl Past {
    /// Operations of which one is neither the commit of its version nor ended without one (rule U2).
    pub fn of_unknown(operation: Undone) -> Self {
        Self { not_found: Some(operation), ..Self::default() }
    }

    /// Operations that did more together than is undone at once (rule O3).
    pub fn of_too_much() -> Self {
        Self { is_too_much: true, ..Self::default() }
    }

    /// How many entities the operations changed: a measure of the work that taking them back makes.
    pub fn weight(&self) -> usize {
        self.steps.iter().map(|step| step.changes.len()).sum()
    }

    /// Parents that deleted nodes had, as far as they are not there any more and nothing is known of them.
    pub fn parents_to_know(&self, graph: &Graph) -> Vec<NodeId> {
        let parents = self.gone.values().flat_map(|node| node.parents()).map(|(_, id)| id);
        let is_known = |id: &NodeId| graph.nodes().get(id).is_some() || self.gone.contains_key(id);
        let mut parents: Vec<NodeId> = parents.filter(|id| !is_known(id)).collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    /// Bytes of what the operations deleted, as JSON: what is stored to bring it back.
    pub fn restored_bytes(&self) -> usize {
        let changes = self.steps.iter().flat_map(|step| &step.changes);
        changes
            .filter(|change| change.is_deletion())
            .filter_map(|change| change.before.as_ref())
            .map(State::bytes)
            .sum()
    }

    /// The version before which nothing matters: that of the oldest operation.
    pub(in crate::domain) fn oldest(&self) -> Version {
        self.steps.last().map_or(Version::EMPTY, |step| step.version)
    }

    /// Whether the operations did more than is undone at once.
    pub(in crate::domain) fn is_too_much(&self) -> bool {
        self.is_too_much
    }

    /// The first of the operations that is not what it was said to be.
    pub(in crate::domain) fn not_found(&self) -> Option<Undone> {
        self.not_found
    }

    /// The entities of which has to be known who wrote them since: those that do not stand as the operations left
    /// them, what hangs on created ones or would hang on them again, and what deleted ones refer to and is gone.
    pub(in crate::domain) fn entities_written_since<'e>(&'e self, graph: &'e Graph) -> HashSet<Entity<'e>> {
        let (mut steps, mut wanted) = (HashMap::<&Key, Vec<Version>>::new(), HashSet::new());
        let changes = || self.steps.iter().flat_map(|step| step.changes.iter().map(move |c| (step, c)));
        let creates_nodes = changes().any(|(_, c)| c.before.is_none() && matches!(c.key, Key::Node(_)));
        let mut above = Vec::new();
        for (step, change) in changes() {
            steps.entry(&change.key).or_default().push(step.version);
            match &change.key {
                // What the operations changed may go back into what they created.
                Key::Node(id) if creates_nodes => above.push(id),
                _ => {}
            }
            if let Some(State::Edge(edge)) = &change.before {
                wanted.extend([edge.source(), edge.target()].map(Entity::Node));
            }
        }
        let going: Vec<_> = descendants(graph, above).collect();
        wanted.extend(edges_of_all(graph, &going).iter().map(|edge| Entity::Edge(edge.entity.id())));
        wanted.extend(going.iter().map(|node| Entity::Node(node.entity.id())));
        wanted.retain(|entity| match entity {
            // An end is only asked after where it is gone.
            Entity::Node(id) => graph.nodes().get(id).is_none_or(|node| node.version > self.oldest()),
            Entity::Edge(id) => graph.edges().get(id).is_none_or(|edge| edge.version > self.oldest()),
            Entity::Viewport | Entity::Graph => true,
        });
        // Between two operations somebody else may have written it.
        let is_as_left = |key: &Key, versions: &[Version]| match versions {
            [version] => last_written(graph, key.entity()) == Some(*version),
            _ => false,
        };
        let others = steps.iter().filter(|(key, versions)| !is_as_left(key, versions));
        wanted.extend(others.map(|(key, _)| key.entity()));
        if creates_nodes {
            let old = changes().filter(|(_, change)| change.before.is_some());
            wanted.extend(old.map(|(_, change)| change.key.entity()));
        }
        wanted
    }
}
