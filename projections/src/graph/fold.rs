//! What each event does to a graph.

use std::sync::Arc;

use super::{Graph, Ordinal, Placed, of};
use crate::{
    commit::Commit,
    entity::{Edge, Node, Timestamp},
    event::Event,
    id::{EdgeId, NodeId, UserId},
    memory::Measured,
    version::Version,
};

impl Graph {
    /// Applies `commit`, which must be the next one of this history.
    pub fn apply(&mut self, commit: &Commit) {
        debug_assert_eq!(commit.version, self.head.version.next(), "a hole in the history");
        for event in &commit.body.events {
            self.fold(event, commit.version, commit.body.timestamp, Some(&commit.body.user_id));
        }
        if self.created.is_none() {
            self.created = Some((commit.body.timestamp, commit.body.user_id.clone()));
        }
        self.last_author = Some(commit.body.user_id.clone());
        self.head = commit.head();
        self.last_modified = Some(commit.body.timestamp);
        self.last_operation = Some(commit.body.operation_id);
    }

    /// Applies one event of commit `version`. The head does not change before the commit is whole.
    pub fn apply_event(&mut self, event: &Event, version: Version, at: Timestamp) {
        self.fold(event, version, at, None);
    }

    fn fold(&mut self, event: &Event, version: Version, at: Timestamp, by: Option<&UserId>) {
        if event.is_of_contents() {
            self.contents_version = version;
        }
        match event {
            Event::NodeCreated { node } | Event::NodeReplaced { node } => {
                self.put_node(node.clone(), version, at)
            }
            Event::NodeUpdated { node_id, patch } => {
                if let Some(node) = self.nodes.get(node_id).map(|old| old.entity.patched(patch)) {
                    self.put_node(node, version, at);
                }
            }
            Event::NodeMoved { node_id, position } => {
                if let Some(node) = self.nodes.get(node_id).map(|old| old.entity.moved(position.clone())) {
                    self.put_node(node, version, at);
                }
            }
            Event::NodeDeleted { node_id } => self.remove_node(node_id),
            Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } => {
                self.put_edge(edge.clone(), version, at)
            }
            Event::EdgeUpdated { edge_id, patch } => {
                if let Some(edge) = self.edges.get(edge_id).map(|old| old.entity.patched(patch)) {
                    self.put_edge(edge, version, at);
                }
            }
            Event::EdgeDeleted { edge_id } => self.remove_edge(edge_id),
            Event::ViewportSet { viewport } => {
                self.viewport = viewport.clone();
                self.viewport_version = version;
            }
            Event::NodeRestored { node, ordinal, created_at } => {
                self.restore_node(node.clone(), (*ordinal, *created_at), version, at);
            }
            Event::EdgeRestored { edge, ordinal, created_at } => {
                self.restore_edge(edge.clone(), (*ordinal, *created_at), version, at);
            }
            Event::GraphCreated { .. }
            | Event::GraphUpdated { .. }
            | Event::GraphTrashed { .. }
            | Event::GraphRecovered {}
            | Event::GraphForked { .. }
            | Event::VersionLabelled { .. } => {
                self.metadata.apply(event, version, at, by);
                self.metadata_size = self.metadata.size();
            }
        }
    }

    /// A node in the place that it had. One that is there, which no history restores, is written over.
    fn restore_node(&mut self, node: Node, place: (Ordinal, Timestamp), version: Version, at: Timestamp) {
        if self.nodes.get(node.id()).is_some() {
            return self.put_node(node, version, at);
        }
        let place = self.retake(place);
        self.place_node(node, place, version, at);
    }

    fn restore_edge(&mut self, edge: Edge, place: (Ordinal, Timestamp), version: Version, at: Timestamp) {
        if self.edges.get(edge.id()).is_some() {
            return self.put_edge(edge, version, at);
        }
        let place = self.retake(place);
        self.place_edge(edge, place, version, at);
    }

    /// A place in creation order that something had before. One that is taken, which no history gives again, is
    /// exchanged for the newest.
    fn retake(&mut self, (ordinal, created_at): (Ordinal, Timestamp)) -> (Ordinal, Timestamp) {
        if self.has_place(ordinal) {
            return (self.take_ordinal(), created_at);
        }
        self.next_ordinal = self.next_ordinal.max(ordinal.saturating_add(1));
        (ordinal, created_at)
    }

    /// Whether a node or an edge has this place in creation order.
    pub fn has_place(&self, ordinal: Ordinal) -> bool {
        self.nodes.at(ordinal).is_some() || self.edges.at(ordinal).is_some()
    }

    /// Writes a node: it replaces the one with its id and keeps its place, or it becomes the newest.
    fn put_node(&mut self, node: Node, version: Version, at: Timestamp) {
        let Some(old) = self.nodes.get(node.id()) else {
            let place = (self.take_ordinal(), at);
            return self.place_node(node, place, version, at);
        };
        let (ordinal, created_at) = (old.ordinal, old.created_at);
        let old = Arc::clone(old);
        for (_, parent) in old.entity.parents() {
            self.children.remove(&(parent, ordinal));
        }
        self.write_node(node, (ordinal, created_at), version, at);
    }

    /// A node that is not there, in this place.
    fn place_node(&mut self, node: Node, place: (Ordinal, Timestamp), version: Version, at: Timestamp) {
        let id = node.id().clone();
        self.write_node(node, place, version, at);
        self.compare_with_children(&id, place.0);
    }

    fn write_node(
        &mut self,
        node: Node,
        (ordinal, created_at): (Ordinal, Timestamp),
        version: Version,
        at: Timestamp,
    ) {
        for (_, parent) in node.parents() {
            self.children.insert((parent, ordinal));
        }
        let (id, size) = (node.id().clone(), node.size());
        self.nodes.insert(&id, Placed::new((node, size), ordinal, created_at, at, version));
        self.compare_with_parents(&id, ordinal);
    }

    /// Notes whether this node is older than one of its parents.
    pub(super) fn compare_with_parents(&mut self, id: &NodeId, ordinal: Ordinal) {
        let Some(node) = self.nodes.get(id) else { return };
        let is_younger =
            |parent: &NodeId| self.nodes.get(parent).is_some_and(|parent| parent.ordinal > ordinal);
        let has_younger_parent = node.entity.parents().any(|(_, parent)| is_younger(&parent));
        if has_younger_parent {
            self.with_younger_parent.insert(ordinal);
        } else {
            self.with_younger_parent.remove(&ordinal);
        }
    }

    /// Notes which children of this node are older than it: they came before it in one commit.
    pub(super) fn compare_with_children(&mut self, id: &NodeId, ordinal: Ordinal) {
        let older: Vec<Ordinal> = of(&self.children, id).take_while(|child| *child < ordinal).collect();
        self.with_younger_parent.extend(older);
    }

    fn remove_node(&mut self, id: &NodeId) {
        if let Some(old) = self.nodes.remove(id) {
            for (_, parent) in old.entity.parents() {
                self.children.remove(&(parent, old.ordinal));
            }
            self.with_younger_parent.remove(&old.ordinal);
        }
    }

    /// Writes an edge: it replaces the one with its id and keeps its place, or it becomes the newest.
    fn put_edge(&mut self, edge: Edge, version: Version, at: Timestamp) {
        let place = match self.edges.get(edge.id()) {
            Some(old) => {
                let old = Arc::clone(old);
                self.unlink(&old);
                (old.ordinal, old.created_at)
            }
            None => (self.take_ordinal(), at),
        };
        self.place_edge(edge, place, version, at);
    }

    /// An edge that is not linked to its ends, in this place.
    fn place_edge(
        &mut self,
        edge: Edge,
        (ordinal, created_at): (Ordinal, Timestamp),
        version: Version,
        at: Timestamp,
    ) {
        self.incident.insert((edge.source().clone(), ordinal));
        self.incident.insert((edge.target().clone(), ordinal));
        let (id, size) = (edge.id().clone(), edge.size());
        self.edges.insert(&id, Placed::new((edge, size), ordinal, created_at, at, version));
    }

    fn remove_edge(&mut self, id: &EdgeId) {
        if let Some(old) = self.edges.remove(id) {
            self.unlink(&old);
        }
    }

    fn unlink(&mut self, edge: &Placed<Edge>) {
        self.incident.remove(&(edge.entity.source().clone(), edge.ordinal));
        self.incident.remove(&(edge.entity.target().clone(), edge.ordinal));
    }

    fn take_ordinal(&mut self) -> Ordinal {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        ordinal
    }
}
