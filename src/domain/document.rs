//! A whole document as an editor saves it, and what its saver wants changed: the difference from the graph that the
//! saver started from to the document (rules DS2, DS5 and DS6).
//!
//! Invariants:
//! - What the saver left alone is not part of the intent, whatever the document holds there.
//! - The commands of an intent are in an order in which each can be decided after those before it: parents are
//!   written before their children, and nothing is deleted before what refers to it was changed.
//!
//! Not here: how an intent is judged against what others did (`conflict::save`).

mod difference;

use std::collections::{HashMap, HashSet};

use super::{
    command::{Command, weight_of_document},
    decide::Rejection,
    order::parents_first,
};
use dao_projections::{
    ClientId, Commit, Edge, EdgeId, Entity, Graph, Head, Node, NodeId, Pointer, UserId, Version, Viewport,
};
pub use difference::Ignored;

/// What a document lacks: deleted, or left alone because the editor sends only what it knows (rule DS6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absent {
    /// Entities and fields that the document lacks are removed.
    #[default]
    Delete,
    /// They stay.
    Keep,
}

/// `SAVE_DOCUMENT`: a document, and what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Save {
    /// What was sent.
    pub document: Document,
    /// How it is read.
    pub reading: Reading,
    /// What its saver started from.
    pub base: Base,
    /// Whether what stands is kept where it conflicts with the document, and the rest applied (rule DS9).
    pub keeps: bool,
    /// How many nodes the saver says that it deletes (rule DS11).
    pub deletes: Option<usize>,
    /// Fields of the document that are ignored and were in it.
    pub ignored: Vec<Pointer>,
    /// The state that the graph must have, where the saver takes no other (`If-Match`).
    pub only_at: Option<ExpectedHead>,
}

/// A head as an entity tag names it: the version, and the beginning of its hash in hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedHead {
    /// The version.
    pub version: Version,
    /// Digits of the hash; empty where only the version is known.
    pub hash_start: String,
}

impl ExpectedHead {
    /// Before the first commit.
    pub fn empty() -> Self {
        Self { version: Version::EMPTY, hash_start: String::new() }
    }

    fn names(&self, head: Head) -> bool {
        head.version == self.version && head.hash.to_hex().starts_with(&self.hash_start)
    }
}

/// What a saver started from (rule DS3).
#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    /// A version, which the member's `client_version` says and a claim of the operation proves.
    Known {
        /// Own commits since that the base names.
        own: Vec<Version>,
    },
    /// It was not said: the document is compared with the graph as it stands.
    Unknown(WithoutBase),
}

/// A document without a base (rule DS7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutBase {
    /// Only a graph that nobody has written to is saved to.
    Create,
    /// Adds and updates, deletes nothing.
    Merge,
    /// The graph becomes exactly this.
    Replace,
}

/// How a document is to be read (rules DS5 and DS6).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What the document lacks.
    pub absent: Absent,
    /// Fields of nodes and edges that are ignored beside those that always are.
    pub ignore: Vec<Pointer>,
    /// Whether the viewport is written although the graph has one.
    pub saves_viewport: bool,
}

/// The nodes, edges and viewport of a graph as an editor sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// In the order of the document.
    pub nodes: Vec<Node>,
    /// In the order of the document.
    pub edges: Vec<Edge>,
    /// `None` where the document has none.
    pub viewport: Option<Viewport>,
}

/// Whose commits since the base count as the saver's own (rule DS3).
#[derive(Clone, Copy, Debug)]
pub struct Saver<'a> {
    /// Who saves.
    pub user: &'a UserId,
    /// Through which client, where the saver named it.
    pub client: Option<&'a ClientId>,
    /// The versions that the base names.
    pub versions: &'a [Version],
}

impl Saver<'_> {
    /// Whether it is the saver's own.
    pub fn owns(&self, commit: &Commit) -> bool {
        let body = &commit.body;
        let is_named = self.client.is_some_and(|client| body.is_client_named && body.client_id == *client);
        body.user_id == *self.user && (is_named || self.versions.contains(&commit.version))
    }
}

/// The graph that a saver started from: `graph`, with the commits `own` since, oldest first. What others did in between
/// is not part of it.
pub(super) fn effective_base<'c>(mut graph: Graph, own: impl IntoIterator<Item = &'c Commit>) -> Graph {
    for commit in own {
        let at = commit.body.timestamp;
        commit.body.events.iter().for_each(|event| graph.apply_event(event, commit.version, at));
    }
    graph
}

impl Save {
    /// Whether it may only be applied to another head than this one.
    pub fn expects_another(&self, head: Head) -> bool {
        self.only_at.as_ref().is_some_and(|expected| !expected.names(head))
    }

    /// Own commits that the base names.
    pub fn named_versions(&self) -> &[Version] {
        match &self.base {
            Base::Known { own } => own,
            Base::Unknown(_) => &[],
        }
    }
}

impl Document {
    /// How many entities and fields it has: a measure of the work it makes.
    pub fn weight(&self) -> usize {
        weight_of_document(&self.nodes, &self.edges)
    }

    /// Whether the graph differs from it in anything that is compared: whether its author has something to adopt.
    pub fn differs_from(&self, graph: &Graph, reading: &Reading) -> bool {
        let reading = Reading { absent: Absent::Delete, ..reading.clone() };
        !Intent::between(graph, self, &reading).changes.is_empty()
    }
}

/// One change that a saver wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// As a command says it.
    Command(Command),
    /// A node written whole, since it holds a null that is new: no merge patch can say that.
    ReplaceNode(Node),
    /// The same of an edge.
    ReplaceEdge(Edge),
}

/// What a saver wants changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intent {
    /// In an order in which they can be decided one after the other.
    pub changes: Vec<Change>,
    /// Nodes that the document removes.
    pub removed_nodes: HashSet<NodeId>,
    /// Edges that the document removes.
    pub removed_edges: HashSet<EdgeId>,
    /// The viewport of the document, where it may be written.
    pub viewport: Option<Viewport>,
}

impl Intent {
    /// The difference from `base` to `document`. Linear in the size of both.
    pub fn between(base: &Graph, document: &Document, reading: &Reading) -> Self {
        let (of_nodes, of_edges) = (Ignored::of_nodes(reading), Ignored::of_edges(reading));
        let mut intent = Self::default();
        let nodes: HashMap<&NodeId, &Node> = document.nodes.iter().map(|node| (node.id(), node)).collect();
        for node in parents_first(document.nodes.iter().collect(), |node| node) {
            match base.nodes().get(node.id()) {
                None => intent
                    .changes
                    .push(Change::Command(Command::CreateNode { node: of_nodes.stored_node(node) })),
                Some(old) => of_nodes.node_changes(&old.entity, node, &mut intent.changes),
            }
        }
        let is_there = |id: &NodeId| {
            nodes.contains_key(id) || (reading.absent == Absent::Keep && base.nodes().get(id).is_some())
        };
        let mut kept: HashSet<&EdgeId> = HashSet::with_capacity(document.edges.len());
        for edge in &document.edges {
            match base.edges().get(edge.id()) {
                None => intent
                    .changes
                    .push(Change::Command(Command::CreateEdge { edge: of_edges.stored_edge(edge) })),
                // An edge of the base whose end the document removed goes with that node (rule DS14).
                Some(old)
                    if (old.entity.source(), old.entity.target()) == (edge.source(), edge.target())
                        && !(is_there(edge.source()) && is_there(edge.target())) =>
                {
                    continue;
                }
                Some(old) => of_edges.edge_changes(&old.entity, edge, &mut intent.changes),
            }
            kept.insert(edge.id());
        }
        if reading.absent == Absent::Delete {
            intent.remove_absent(base, &nodes, &kept);
        }
        intent.viewport = document.viewport.clone().filter(|viewport| match reading.saves_viewport {
            true => viewport != base.viewport(),
            false => base.viewport_version() == Version::EMPTY && *viewport != Viewport::default(),
        });
        intent
    }

    /// Edges go first, then nodes, children before parents: so no deletion takes along what the document removes too.
    fn remove_absent(&mut self, base: &Graph, nodes: &HashMap<&NodeId, &Node>, edges: &HashSet<&EdgeId>) {
        for edge in base.edges().iter().filter(|edge| !edges.contains(edge.entity.id())) {
            self.removed_edges.insert(edge.entity.id().clone());
            self.changes.push(Change::Command(Command::DeleteEdge { edge_id: edge.entity.id().clone() }));
        }
        let gone: Vec<&NodeId> =
            base.nodes_in_order().map(|node| node.entity.id()).filter(|id| !nodes.contains_key(id)).collect();
        for id in gone.into_iter().rev() {
            self.removed_nodes.insert(id.clone());
            self.changes.push(Change::Command(Command::DeleteNode { node_id: id.clone() }));
        }
    }

    /// What the document keeps or makes, and what it needs and removes itself (rule DS14).
    pub(super) fn torn(&self, base: &Graph, document: &Document) -> Option<Rejection> {
        if self.removed_nodes.is_empty() {
            return None;
        }
        let is_new = |edge: &&Edge| {
            let old = base.edges().get(edge.id()).map(|old| (old.entity.source(), old.entity.target()));
            old != Some((edge.source(), edge.target()))
        };
        let removed = |id: &NodeId| self.removed_nodes.contains(id);
        let edges = document.edges.iter().filter(is_new).find_map(|edge| {
            let ends = [("source", edge.source()), ("target", edge.target())];
            let (end, node) = ends.into_iter().find(|(_, node)| removed(node))?;
            Some(Rejection::DanglingEdge { edge: edge.id().clone(), end, node: node.clone() })
        });
        let nodes = || {
            document.nodes.iter().find_map(|node| {
                let (field, parent) = node.parents().find(|(_, parent)| removed(parent))?;
                Some(Rejection::ParentNotFound { node: node.id().clone(), field, parent })
            })
        };
        edges.or_else(nodes)
    }

    /// Whether the document removes it.
    pub fn removes(&self, entity: Entity<'_>) -> bool {
        match entity {
            Entity::Node(id) => self.removed_nodes.contains(id),
            Entity::Edge(id) => self.removed_edges.contains(id),
            Entity::Viewport | Entity::Graph => false,
        }
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.viewport.is_none()
    }
}

impl Reading {
    /// What has to happen to the node `old` to make `new` of it.
    pub(super) fn node_changes(&self, old: &Node, new: &Node) -> Vec<Change> {
        let mut changes = Vec::new();
        Ignored::of_nodes(self).node_changes(old, new, &mut changes);
        changes
    }

    /// The same of an edge.
    pub(super) fn edge_changes(&self, old: &Edge, new: &Edge) -> Vec<Change> {
        let mut changes = Vec::new();
        Ignored::of_edges(self).edge_changes(old, new, &mut changes);
        changes
    }

    /// The node as it is stored where it is new.
    pub(super) fn stored_node(&self, node: &Node) -> Node {
        Ignored::of_nodes(self).stored_node(node)
    }

    /// The same of an edge.
    pub(super) fn stored_edge(&self, edge: &Edge) -> Edge {
        Ignored::of_edges(self).stored_edge(edge)
    }
}
