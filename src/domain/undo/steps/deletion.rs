//! Taking back a creation: what was created is deleted, unless others use it (rule U6).

use dao_projections::{EdgeId, Entity, Event, Node, NodeId, Ordinal, Placed, Pointer, Version};
use serde_json::Value;

use super::Taking;
use crate::domain::{
    OnConflict,
    descendants::{descendants, edges_of_all},
    order::parents_first,
    refusal::Conflict,
    undo::{
        fields_at::{json_of_edge, json_of_node},
        past::{Step, Transition},
        skipped::SkipReason,
        state::Key,
    },
};

impl<'a> Taking<'a> {
    /// Edges first, and nodes after what is in them.
    pub(super) fn delete_created(&mut self, step: &'a Step) {
        let is_created = |change: &&Transition| change.before.is_none() && change.after.is_some();
        let keys = || step.changes.iter().rev().filter(is_created).map(|change| &change.key);
        for key in keys() {
            if let Key::Edge(id) = key {
                self.delete_edge(step, id);
            }
        }
        let then = self.then.clone();
        let standing = keys().filter_map(|key| match key {
            Key::Node(id) => then.nodes().get(id).map(|node| &node.entity),
            Key::Edge(_) | Key::Viewport | Key::Graph => None,
        });
        for node in parents_first(standing.collect(), |node| node).into_iter().rev() {
            self.delete_node(step, node.id());
        }
    }

    fn delete_edge(&mut self, step: &Step, id: &EdgeId) {
        let Some(edge) = self.then.edges().get(id).cloned() else { return };
        let entity = Entity::Edge(id);
        let others = self.writers.other(entity, &self.authors, step.version);
        if others.is_some() && self.on_conflict != OnConflict::Overwrite {
            let values = (Value::Null, json_of_edge(&edge.entity));
            return self.skip(SkipReason::InUse, step, entity, Pointer::root(), values);
        }
        self.result.revert(entity, vec![Pointer::root()]);
        self.apply(Key::Edge(id.clone()), &Event::EdgeDeleted { edge_id: id.clone() });
    }

    /// Rule U6. With a node goes what is inside of it, and the edges of all that.
    fn delete_node(&mut self, step: &Step, id: &NodeId) {
        let Some(node) = self.then.nodes().get(id).cloned() else { return };
        if self.on_conflict != OnConflict::Overwrite
            && let Some(user) = self.user_of(step.version, &node)
        {
            let conflict = self.conflict(step, Entity::Node(id), Pointer::root(), user.key.entity());
            let conflict = Conflict { current: json_of_node(&node.entity), ..conflict };
            self.in_use.insert(id.clone(), user);
            return self.skips.add(SkipReason::InUse, conflict);
        }
        let going: Vec<_> = descendants(&self.then, [id]).collect();
        let edges = edges_of_all(&self.then, &going);
        let edges: Vec<EdgeId> = edges.iter().map(|edge| edge.entity.id().clone()).collect();
        let nodes: Vec<NodeId> = going.iter().rev().map(|node| node.entity.id().clone()).collect();
        for edge_id in edges {
            self.result.revert(Entity::Edge(&edge_id), vec![Pointer::root()]);
            self.apply(Key::Edge(edge_id.clone()), &Event::EdgeDeleted { edge_id });
        }
        for node_id in nodes {
            self.result.revert(Entity::Node(&node_id), vec![Pointer::root()]);
            self.apply(Key::Node(node_id.clone()), &Event::NodeDeleted { node_id });
        }
    }

    /// What keeps a created node in use: what somebody else did to it, hung on it or put into it, and what was there
    /// before it.
    fn user_of(&self, since: Version, node: &Placed<Node>) -> Option<User> {
        let mut going = vec![];
        for one in descendants(&self.then, [node.entity.id()]) {
            let id = one.entity.id();
            // One that stays is met before what it stays for: of many, one inside of the other, each is walked once.
            let known = self.in_use.get(id).filter(|user| user.is_other || user.ordinal < node.ordinal);
            let user =
                known.cloned().or_else(|| self.as_user(since, node, Key::Node(id.clone()), one.ordinal));
            if user.is_some() {
                return user;
            }
            going.push(one);
        }
        let edges = edges_of_all(&self.then, &going);
        edges
            .iter()
            .find_map(|edge| self.as_user(since, node, Key::Edge(edge.entity.id().clone()), edge.ordinal))
    }

    fn as_user(&self, since: Version, node: &Placed<Node>, key: Key, ordinal: Ordinal) -> Option<User> {
        let is_other = self.writers.other(key.entity(), &self.authors, since).is_some();
        (is_other || ordinal < node.ordinal).then_some(User { key, ordinal, is_other })
    }
}

/// What a created node stays for.
#[derive(Clone, Debug)]
pub(super) struct User {
    key: Key,
    ordinal: Ordinal,
    /// Others wrote it since. If not, it only is older than the node.
    is_other: bool,
}
