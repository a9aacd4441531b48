//! Parents of nodes: every parent exists, and no node is inside itself (rule G4).
//!
//! Chains of parents may be as long as the graph. So ancestors that were checked for one node are not walked again for
//! the next, and a node without children needs no walk.

use std::collections::{HashMap, HashSet};

use dao_projections::{Graph, Node, NodeId};

use super::rejection::Rejection;

/// Checks the changed nodes of a graph, one after the other. Cycles are the strongly connected components of more than
/// one node (Tarjan, 1972), each found once.
pub(super) struct Ancestry<'g> {
    graph: &'g Graph,
    reached: HashMap<NodeId, Reached>,
    /// Nodes that are inside themselves.
    circular: HashSet<NodeId>,
}

/// A node that the walk has reached.
#[derive(Clone, Copy)]
enum Reached {
    /// In a component that is not complete yet; numbered in the order of the walk.
    Open(usize),
    Closed,
}

/// A node on the path from the start of the walk.
struct Step {
    id: NodeId,
    /// The parents still to visit.
    parents: Vec<NodeId>,
    number: usize,
    /// The lowest number that it leads back to.
    low: usize,
}

impl<'g> Ancestry<'g> {
    pub(super) fn in_graph(graph: &'g Graph) -> Self {
        Self { graph, reached: HashMap::new(), circular: HashSet::new() }
    }

    /// Checks a node, by walking up its parents only.
    pub(super) fn check(&mut self, node: &Node) -> Result<(), Rejection> {
        let mut parents: Vec<NodeId> = Vec::new();
        for (field, parent) in node.parents() {
            if parent != *node.id() && self.graph.nodes().get(&parent).is_none() {
                return Err(Rejection::ParentNotFound { node: node.id().clone(), field, parent });
            }
            parents.push(parent);
        }
        if parents.contains(node.id()) {
            return Err(Rejection::ParentCycle(node.id().clone()));
        }
        let has_children = self.graph.children_of(node.id()).next().is_some();
        if has_children && !parents.is_empty() && !self.reached.contains_key(node.id()) {
            self.walk(node.id().clone(), parents);
        }
        match self.circular.contains(node.id()) {
            true => Err(Rejection::ParentCycle(node.id().clone())),
            false => Ok(()),
        }
    }

    fn walk(&mut self, from: NodeId, parents: Vec<NodeId>) {
        let mut open: Vec<NodeId> = Vec::new();
        let mut way = vec![self.reach(from, parents, &mut open)];
        while let Some(step) = way.last_mut() {
            let Some(parent) = step.parents.pop() else {
                let Step { id, number, low, .. } = match way.pop() {
                    Some(step) => step,
                    None => return,
                };
                if low == number {
                    self.close(&id, &mut open);
                }
                if let Some(below) = way.last_mut() {
                    below.low = below.low.min(low);
                }
                continue;
            };
            match self.reached.get(&parent) {
                Some(Reached::Open(number)) => step.low = step.low.min(*number),
                Some(Reached::Closed) => {}
                None => {
                    let found = self.graph.nodes().get(&parent);
                    let above =
                        found.map_or(vec![], |node| node.entity.parents().map(|(_, id)| id).collect());
                    way.push(self.reach(parent, above, &mut open));
                }
            }
        }
    }

    fn reach(&mut self, id: NodeId, parents: Vec<NodeId>, open: &mut Vec<NodeId>) -> Step {
        let number = self.reached.len();
        self.reached.insert(id.clone(), Reached::Open(number));
        open.push(id.clone());
        Step { id, parents, number, low: number }
    }

    /// All nodes reached since `first` form one component.
    fn close(&mut self, first: &NodeId, open: &mut Vec<NodeId>) {
        let begin = open.iter().rposition(|id| id == first).unwrap_or(0);
        let component = open.split_off(begin);
        let is_circle = component.len() > 1;
        for id in component {
            self.reached.insert(id.clone(), Reached::Closed);
            if is_circle {
                self.circular.insert(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dao_projections::{Event, Position, Timestamp, Version};
    use serde_json::json;

    fn node(id: &str, parent: Option<&str>) -> Node {
        let attributes = parent.map_or(json!({}), |parent| json!({"parentId": parent}));
        let attributes = attributes.as_object().cloned().expect("an object");
        Node::new(id.parse().expect("an id"), Position::default(), attributes).expect("a node")
    }

    fn graph(nodes: &[Node]) -> Graph {
        let mut graph = Graph::empty();
        for node in nodes {
            let event = Event::NodeCreated { node: node.clone() };
            graph.apply_event(&event, Version::EMPTY.next(), Timestamp(0));
        }
        graph
    }

    #[test]
    fn g4_a_circle_is_found_at_a_node_on_it_whichever_is_checked_first() {
        let inside =
            [node("in", Some("a")), node("a", Some("b")), node("b", Some("c")), node("c", Some("a"))];
        let nodes = [&inside[..], &[node("deep", Some("in"))]].concat();
        let graph = graph(&nodes);
        for first in 0..4 {
            let mut ancestry = Ancestry::in_graph(&graph);
            let order = nodes.iter().cycle().skip(first).take(nodes.len());
            let found = order.map(|node| ancestry.check(node)).find_map(Result::err);
            let expected = if first == 0 { &nodes[1] } else { &nodes[first] };
            assert_eq!(found, Some(Rejection::ParentCycle(expected.id().clone())));
        }
    }

    #[test]
    fn g4_a_long_chain_is_walked_once() {
        let name = |index: usize| format!("n{index}");
        let nodes: Vec<Node> =
            (0..20_000).map(|index| node(&name(index), index.checked_sub(1).map(name).as_deref())).collect();
        let graph = graph(&nodes);
        let mut ancestry = Ancestry::in_graph(&graph);
        for node in nodes.iter().rev() {
            assert_eq!(ancestry.check(node), Ok(()));
        }
        assert_eq!(ancestry.reached.len(), nodes.len() - 1, "each but the last, that nothing is inside of");
    }
}
