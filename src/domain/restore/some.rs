//! A restore of some entities: on a copy of the graph, in three steps. What was there is put back; what can't stand so
//! goes back to what it is now; then what was not there goes.

use std::collections::{HashMap, HashSet};

use dao_projections::{Edge, EdgeId, Entity, Event, Graph, Node, NodeId, Placed, Timestamp};

use super::{
    Key, RestoreResult, RestoreScope, SkipReason,
    events::{check_counts, differs, each_once},
};
use crate::domain::{
    ancestry::Ancestry,
    entity_change::{check_edge_size, check_ends, check_node_size},
    limits::Limits,
    order::parents_first,
    rejection::Rejection,
    undo::net_events,
};

/// Nodes that would be inside of themselves are left alone, and that may make others such nodes. After so many rounds all
/// others are left alone too.
const ROUNDS_MAX: usize = 8;

pub(super) fn restore_some(
    head: &Graph,
    old: &Graph,
    scope: &RestoreScope,
    limits: &Limits,
    result: &mut RestoreResult,
) -> Result<Vec<Event>, Rejection> {
    let nodes = each_once(&scope.nodes).into_iter().map(Key::Node);
    let edges = each_once(&scope.edges).into_iter().map(Key::Edge);
    let keys: Vec<Key> = nodes.chain(edges).filter(|key| differs(head, old, key)).collect();
    let mut restoring =
        Restoring { head, old, then: head.clone(), keys, left_alone: HashSet::new(), limits, result };
    restoring.run();
    let Restoring { then, keys, result, .. } = restoring;
    // What goes with a node may be named too.
    let keys = each_once(&keys);
    check_counts(head, &then, limits)?;
    result.tell(head, &then, &keys);
    Ok(net_events(head, &then, &keys, limits))
}

struct Restoring<'a> {
    head: &'a Graph,
    old: &'a Graph,
    /// The graph as it becomes.
    then: Graph,
    /// What it differs in from the present one, at most.
    keys: Vec<Key>,
    /// Those of the keys that stay as they are.
    left_alone: HashSet<Key>,
    limits: &'a Limits,
    result: &'a mut RestoreResult,
}

impl<'a> Restoring<'a> {
    fn run(&mut self) {
        let old = self.old;
        let nodes: Vec<&'a Placed<Node>> =
            self.ids_of_nodes().filter_map(|id| Some(&**old.nodes().get(&id)?)).collect();
        let nodes = parents_first(nodes, |node| &node.entity);
        let edges: Vec<&'a Placed<Edge>> =
            self.ids_of_edges().filter_map(|id| Some(&**old.edges().get(&id)?)).collect();
        for node in &nodes {
            match check_node_size(&node.entity, self.limits) {
                Ok(()) => self.put_node(node),
                Err(_) => self.leave(Key::Node(node.entity.id().clone()), SkipReason::EntityTooLarge),
            }
        }
        self.settle(&nodes);
        for edge in edges {
            let key = Key::Edge(edge.entity.id().clone());
            if check_edge_size(&edge.entity, self.limits).is_err() {
                self.leave(key, SkipReason::EntityTooLarge);
            } else if check_ends(&self.then, &edge.entity).is_err() {
                self.leave(key, SkipReason::DanglingEdge);
            } else {
                self.put_edge(edge);
            }
        }
        self.delete_new();
    }

    fn ids_of_nodes(&self) -> impl Iterator<Item = NodeId> + use<'_, 'a> {
        self.keys.iter().filter_map(|key| match key {
            Key::Node(id) => Some(id.clone()),
            Key::Edge(_) | Key::Viewport | Key::Graph => None,
        })
    }

    fn ids_of_edges(&self) -> impl Iterator<Item = EdgeId> + use<'_, 'a> {
        self.keys.iter().filter_map(|key| match key {
            Key::Edge(id) => Some(id.clone()),
            Key::Node(_) | Key::Viewport | Key::Graph => None,
        })
    }

    fn apply(&mut self, event: &Event) {
        let at = self.head.last_modified().unwrap_or(Timestamp(0));
        self.then.apply_event(event, self.head.head().version.next(), at);
    }

    fn put_node(&mut self, node: &Placed<Node>) {
        let (ordinal, created_at, node) = (node.ordinal, node.created_at, node.entity.clone());
        match self.then.nodes().get(node.id()).map(|standing| standing.ordinal) {
            Some(place) if place == ordinal => return self.apply(&Event::NodeReplaced { node }),
            Some(_) => self.apply(&Event::NodeDeleted { node_id: node.id().clone() }),
            None => {}
        }
        self.apply(&Event::NodeRestored { node, ordinal, created_at });
    }

    fn put_edge(&mut self, edge: &Placed<Edge>) {
        let (ordinal, created_at, edge) = (edge.ordinal, edge.created_at, edge.entity.clone());
        match self.then.edges().get(edge.id()).map(|standing| standing.ordinal) {
            Some(place) if place == ordinal => return self.apply(&Event::EdgeReplaced { edge }),
            Some(_) => self.apply(&Event::EdgeDeleted { edge_id: edge.id().clone() }),
            None => {}
        }
        self.apply(&Event::EdgeRestored { edge, ordinal, created_at });
    }

    /// It stays as it is.
    fn leave(&mut self, key: Key, reason: SkipReason) {
        self.result.skip(key.entity(), reason);
        let head = self.head;
        if let Key::Node(id) = &key {
            match head.nodes().get(id) {
                Some(node) => self.put_node(node),
                None => self.apply(&Event::NodeDeleted { node_id: id.clone() }),
            }
        }
        self.left_alone.insert(key);
    }

    /// Leaves nodes alone until those that are put back have parents, and none is inside of itself.
    fn settle(&mut self, nodes: &[&Placed<Node>]) {
        for round in 0..=ROUNDS_MAX {
            self.leave_orphans(nodes);
            let circular = self.circular(nodes);
            if circular.is_empty() {
                return;
            }
            let others = nodes.iter().map(|node| Key::Node(node.entity.id().clone()));
            let left = if round < ROUNDS_MAX { circular } else { others.collect() };
            for key in left {
                if !self.left_alone.contains(&key) {
                    self.leave(key, SkipReason::ParentCycle);
                }
            }
        }
    }

    /// Parents come first, so a child sees what became of its parent.
    fn leave_orphans(&mut self, nodes: &[&Placed<Node>]) {
        for node in nodes {
            let key = Key::Node(node.entity.id().clone());
            let is_there = |id: &NodeId| self.then.nodes().get(id).is_some();
            if !self.left_alone.contains(&key) && !node.entity.parents().all(|(_, parent)| is_there(&parent))
            {
                self.leave(key, SkipReason::ParentNotFound);
            }
        }
    }

    fn circular(&self, nodes: &[&Placed<Node>]) -> Vec<Key> {
        let mut ancestry = Ancestry::in_graph(&self.then);
        let mut found = Vec::new();
        for node in nodes {
            let key = Key::Node(node.entity.id().clone());
            if !self.left_alone.contains(&key) && ancestry.check(&node.entity).is_err() {
                found.push(key);
            }
        }
        found
    }

    /// What was not there then, and what hangs on it. A node stays where something that was there is in it or on it.
    fn delete_new(&mut self) {
        let new_edges: Vec<EdgeId> =
            self.ids_of_edges().filter(|id| self.old.edges().get(id).is_none()).collect();
        for edge_id in new_edges {
            self.apply(&Event::EdgeDeleted { edge_id });
        }
        let new_nodes: Vec<NodeId> =
            self.ids_of_nodes().filter(|id| self.old.nodes().get(id).is_none()).collect();
        let in_use = self.in_use(&new_nodes);
        for id in new_nodes {
            match in_use.get(&id) {
                Some(true) => {
                    self.result.skip(Entity::Node(&id), SkipReason::InUse);
                    self.left_alone.insert(Key::Node(id));
                }
                Some(false) | None => self.delete_with_contents(id),
            }
        }
    }

    /// Of these nodes and all that is in them, whether something of the old version is in it or on it.
    fn in_use(&self, roots: &[NodeId]) -> HashMap<NodeId, bool> {
        let mut in_use: HashMap<NodeId, bool> = HashMap::new();
        let mut way: Vec<(NodeId, bool)> = roots.iter().map(|id| (id.clone(), false)).collect();
        while let Some((id, are_children_known)) = way.pop() {
            if are_children_known {
                let is_in_use = self.is_in_use(&id, &in_use);
                in_use.insert(id, is_in_use);
            } else if !in_use.contains_key(&id) {
                let children = self.then.children_of(&id).map(|child| (child.entity.id().clone(), false));
                let children: Vec<(NodeId, bool)> = children.collect();
                in_use.insert(id.clone(), false);
                way.push((id, true));
                way.extend(children);
            }
        }
        in_use
    }

    fn is_in_use(&self, id: &NodeId, known: &HashMap<NodeId, bool>) -> bool {
        let is_old = |edge: &Placed<Edge>| self.old.edges().get(edge.entity.id()).is_some();
        let is_known = |child: &NodeId| known.get(child).copied().unwrap_or(false);
        self.old.nodes().get(id).is_some()
            || self.then.edges_of(id).any(|edge| is_old(edge))
            || self.then.children_of(id).any(|child| is_known(child.entity.id()))
    }

    fn delete_with_contents(&mut self, root: NodeId) {
        let mut way = vec![root];
        while let Some(node_id) = way.pop() {
            let edges: Vec<EdgeId> =
                self.then.edges_of(&node_id).map(|edge| edge.entity.id().clone()).collect();
            for edge_id in edges {
                self.keys.push(Key::Edge(edge_id.clone()));
                self.apply(&Event::EdgeDeleted { edge_id });
            }
            way.extend(self.then.children_of(&node_id).map(|child| child.entity.id().clone()));
            self.keys.push(Key::Node(node_id.clone()));
            self.apply(&Event::NodeDeleted { node_id });
        }
    }
}
