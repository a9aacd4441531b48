//! The order of lists (rule G5): creation order, except that a node comes after its parents.
//!
//! Invariants:
//! - Each node is yielded once, and the next one is always the oldest of those whose parents were yielded.
//! - Nodes whose parents are older than they are cost what creation order costs. Only while a node waits for
//!   a parent that is younger than itself is anything looked up.
//!
//! Not here: which nodes have such a parent. [`Graph`] keeps that up to date with every event.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    entity::Node,
    graph::{Graph, Ordinal, Placed},
    id::NodeId,
};

/// The nodes of a graph, parents first.
pub(crate) struct ParentsFirst<'a, I> {
    graph: &'a Graph,
    /// The nodes in creation order.
    created: I,
    /// The place that `created` has reached.
    reached: Ordinal,
    /// Nodes that were reached and are not yielded yet.
    held: BTreeSet<Ordinal>,
    /// The same, by a parent that each waits for.
    waiting: HashMap<NodeId, Vec<Ordinal>>,
    /// Held nodes whose parents were all yielded.
    ready: BTreeSet<Ordinal>,
}

impl<'a, I: Iterator<Item = &'a Arc<Placed<Node>>>> ParentsFirst<'a, I> {
    pub(crate) fn new(graph: &'a Graph, created: I) -> Self {
        let (held, waiting, ready) = (BTreeSet::new(), HashMap::new(), BTreeSet::new());
        Self { graph, created, reached: Ordinal::MIN, held, waiting, ready }
    }

    /// A parent of `node` that was not yielded yet.
    fn parent_to_come(&self, node: &Placed<Node>) -> Option<NodeId> {
        if self.held.is_empty() && !self.graph.has_younger_parent(node.ordinal) {
            return None;
        }
        let is_to_come = |parent: &NodeId| {
            let parent = self.graph.nodes().get(parent).map(|parent| parent.ordinal);
            parent.is_some_and(|at| at > self.reached || self.held.contains(&at))
        };
        node.entity.parents().map(|(_, parent)| parent).find(is_to_come)
    }

    /// Holds a node back until `parent` is yielded.
    fn hold(&mut self, ordinal: Ordinal, parent: NodeId) {
        self.held.insert(ordinal);
        self.waiting.entry(parent).or_default().push(ordinal);
    }

    /// Those that waited for this node wait for their other parent, or are ready.
    fn release(&mut self, yielded: &NodeId) {
        for ordinal in self.waiting.remove(yielded).unwrap_or_default() {
            let other = self.graph.nodes().at(ordinal).and_then(|node| self.parent_to_come(node));
            match other {
                Some(parent) => self.hold(ordinal, parent),
                None => drop(self.ready.insert(ordinal)),
            }
        }
    }
}

impl<'a, I: Iterator<Item = &'a Arc<Placed<Node>>>> Iterator for ParentsFirst<'a, I> {
    type Item = &'a Arc<Placed<Node>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = match self.ready.pop_first() {
                Some(ordinal) => self.graph.nodes().at(ordinal)?,
                None => match self.created.next() {
                    Some(node) => {
                        self.reached = node.ordinal;
                        if let Some(parent) = self.parent_to_come(node) {
                            self.hold(node.ordinal, parent);
                            continue;
                        }
                        node
                    }
                    // A cycle of parents, which only a damaged history has (rule G4).
                    None => return self.held.pop_first().and_then(|ordinal| self.graph.nodes().at(ordinal)),
                },
            };
            self.held.remove(&node.ordinal);
            if !self.waiting.is_empty() {
                self.release(node.entity.id());
            }
            return Some(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        entity::{Position, Timestamp},
        event::Event,
        patch::MergePatch,
        version::Version,
    };

    fn put(graph: &mut Graph, id: &str, parent: &str) {
        let fields = json!({ "parentId": Some(parent).filter(|parent| !parent.is_empty()) });
        let fields = fields.as_object().cloned().expect("an object");
        let node = Node::new(id.parse().expect("an id"), Position::default(), fields).expect("a node");
        graph.apply_event(&Event::NodeCreated { node }, Version::EMPTY.next(), Timestamp(1));
    }

    fn into(graph: &mut Graph, id: &str, parent: serde_json::Value) {
        let patch =
            json!({ "parentId": parent }).as_object().cloned().map(MergePatch::new).expect("an object");
        let event = Event::NodeUpdated { node_id: id.parse().expect("an id"), patch };
        graph.apply_event(&event, Version::EMPTY.next(), Timestamp(2));
    }

    fn order(graph: &Graph) -> String {
        graph.nodes_in_order().map(|node| node.entity.id().as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn g5_a_group_that_was_made_last_stands_before_what_is_in_it() {
        let mut graph = Graph::empty();
        ["a", "b", "c", "box", "d"].iter().for_each(|id| put(&mut graph, id, ""));
        assert_eq!(order(&graph), "a b c box d");
        into(&mut graph, "a", json!("box"));
        into(&mut graph, "c", json!("box"));
        assert_eq!(order(&graph), "b box a c d", "all else keeps its place");
        into(&mut graph, "a", json!(null));
        assert_eq!(order(&graph), "a b box c d", "and so does what leaves the group again");
    }

    #[test]
    fn g5_what_is_in_a_node_that_waits_waits_with_it() {
        let mut graph = Graph::empty();
        ["a", "b", "c", "box", "outer"].iter().for_each(|id| put(&mut graph, id, ""));
        into(&mut graph, "b", json!("a"));
        into(&mut graph, "a", json!("box"));
        into(&mut graph, "box", json!("outer"));
        assert_eq!(order(&graph), "c outer box a b");
    }

    #[test]
    fn g5_a_child_that_came_before_its_parent_in_one_commit_stands_after_it() {
        let mut graph = Graph::empty();
        put(&mut graph, "a", "box");
        put(&mut graph, "b", "");
        put(&mut graph, "box", "");
        assert_eq!(order(&graph), "b box a");
        graph.apply_event(
            &Event::NodeDeleted { node_id: "a".parse().expect("an id") },
            Version::EMPTY,
            Timestamp(3),
        );
        assert_eq!(order(&graph), "b box");
    }

    #[test]
    fn g5_a_circle_of_parents_loses_nobody() {
        let mut graph = Graph::empty();
        ["a", "b", "c"].iter().for_each(|id| put(&mut graph, id, ""));
        into(&mut graph, "a", json!("b"));
        into(&mut graph, "b", json!("a"));
        assert_eq!(order(&graph), "c a b");
    }
}
