//! A whole document as an editor saves it, and what its saver wants changed: the difference from the graph that the
//! saver started from to the document (rules DS2, DS5 and DS6).
//!
//! Invariants:
//! - What the saver left alone is not part of the intent, whatever the document holds there.
//! - The commands of an intent are in an order in which each can be decided after those before it: parents are
//!   written before their children, and nothing is deleted before what refers to it was changed.
//!
//! Not here: how an intent is judged against what others did (`conflict::save`).

use std::collections::{BTreeSet, HashMap, HashSet};

use dao_projections::{
    ClientId, Commit, Edge, EdgeId, Entity, Graph, Map, MergePatch, Node, NodeId, Pointer, UserId, Version,
    Viewport,
};
use serde_json::Value;

use super::command::{Command, fields_of};

/// Fields at the top of a node that describe the view of one person and are not stored (rule DS5).
const NODE_VIEW_FIELDS: [&str; 5] = ["selected", "dragging", "resizing", "measured", "positionAbsolute"];
/// The same of an edge.
const EDGE_VIEW_FIELDS: [&str; 1] = ["selected"];

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
    /// The version that the graph must have, where the saver takes no other (`If-Match`).
    pub only_at: Option<Version>,
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
    /// Own commits that the base names.
    pub fn named_versions(&self) -> &[Version] {
        match &self.base {
            Base::Known { own } => own,
            Base::Unknown(_) => &[],
        }
    }
}

impl Save {
    /// Fields of the document that are ignored and that it has, sorted.
    pub fn ignored_fields(&self) -> Vec<Pointer> {
        let mut found = BTreeSet::new();
        let of_nodes = Ignored::of(&NODE_VIEW_FIELDS, &self.reading);
        self.document.nodes.iter().for_each(|node| of_nodes.collect(node.attributes(), &mut found));
        let of_edges = Ignored::of(&EDGE_VIEW_FIELDS, &self.reading);
        self.document.edges.iter().for_each(|edge| of_edges.collect(edge.attributes(), &mut found));
        found.into_iter().collect()
    }
}

impl Document {
    /// How many entities and fields it has: a measure of the work it makes.
    pub fn weight(&self) -> usize {
        let nodes = self.nodes.iter().map(|node| 1 + fields_of(node.attributes()));
        let edges = self.edges.iter().map(|edge| 1 + fields_of(edge.attributes()));
        1 + nodes.chain(edges).sum::<usize>()
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
        let ignored = [Ignored::of(&NODE_VIEW_FIELDS, reading), Ignored::of(&EDGE_VIEW_FIELDS, reading)];
        let [of_nodes, of_edges] = &ignored;
        let mut intent = Self::default();
        let nodes: HashMap<&NodeId, &Node> = document.nodes.iter().map(|node| (node.id(), node)).collect();
        for node in parents_first(&document.nodes, &nodes) {
            match base.nodes().get(node.id()) {
                None => intent
                    .changes
                    .push(Change::Command(Command::CreateNode { node: of_nodes.without_node(node) })),
                Some(old) => of_nodes.node_changes(&old.entity, node, reading.absent, &mut intent.changes),
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
                    .push(Change::Command(Command::CreateEdge { edge: of_edges.without_edge(edge) })),
                // An edge of the base whose end the document removed goes with that node (rule DS14).
                Some(old) if &old.entity == edge && !(is_there(edge.source()) && is_there(edge.target())) => {
                    continue;
                }
                Some(old) => of_edges.edge_changes(&old.entity, edge, reading.absent, &mut intent.changes),
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
        Ignored::of(&NODE_VIEW_FIELDS, self).node_changes(old, new, self.absent, &mut changes);
        changes
    }

    /// The same of an edge.
    pub(super) fn edge_changes(&self, old: &Edge, new: &Edge) -> Vec<Change> {
        let mut changes = Vec::new();
        Ignored::of(&EDGE_VIEW_FIELDS, self).edge_changes(old, new, self.absent, &mut changes);
        changes
    }

    /// The node as it is stored where it is new.
    pub(super) fn stored_node(&self, node: &Node) -> Node {
        Ignored::of(&NODE_VIEW_FIELDS, self).without_node(node)
    }

    /// The same of an edge.
    pub(super) fn stored_edge(&self, edge: &Edge) -> Edge {
        Ignored::of(&EDGE_VIEW_FIELDS, self).without_edge(edge)
    }
}

/// The nodes of a document, each after the nodes of the document that it is inside of; else in its order. Nodes that
/// are inside of themselves come last.
fn parents_first<'d>(nodes: &'d [Node], by_id: &HashMap<&NodeId, &'d Node>) -> Vec<&'d Node> {
    let mut ordered: Vec<&Node> = Vec::with_capacity(nodes.len());
    let mut placed: HashSet<&NodeId> = HashSet::with_capacity(nodes.len());
    for node in nodes {
        let mut way = vec![node];
        let mut on_way: HashSet<&NodeId> = HashSet::new();
        while let Some(last) = way.last().copied() {
            let above = last.parents().filter_map(|(_, parent)| by_id.get(&parent).copied());
            let open =
                { above }.find(|parent| !placed.contains(parent.id()) && !on_way.contains(parent.id()));
            on_way.insert(last.id());
            match open {
                Some(parent) if parent.id() != last.id() => way.push(parent),
                _ => {
                    way.pop();
                    if placed.insert(last.id()) {
                        ordered.push(last);
                    }
                }
            }
        }
    }
    ordered
}

/// Fields that are ignored, of nodes or of edges.
struct Ignored {
    at_top: Vec<String>,
    deeper: HashSet<Pointer>,
}

impl Ignored {
    fn of(always: &[&str], reading: &Reading) -> Self {
        let (mut at_top, mut deeper) =
            (always.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>(), HashSet::new());
        for pointer in &reading.ignore {
            let mut keys = pointer.keys();
            match (keys.next(), keys.next()) {
                (Some(only), None) => at_top.push(only.into_owned()),
                _ => drop(deeper.insert(pointer.clone())),
            }
        }
        Self { at_top, deeper }
    }

    fn is_at(&self, path: &Pointer, depth: usize, key: &str) -> bool {
        (depth == 0 && self.at_top.iter().any(|field| field == key))
            || (!self.deeper.is_empty() && self.deeper.contains(&path.child(key)))
    }

    /// Adds those that these attributes have.
    fn collect(&self, attributes: &Map, into: &mut BTreeSet<Pointer>) {
        let present = self.at_top.iter().filter(|field| attributes.contains_key(*field));
        into.extend(present.map(|field| Pointer::root().child(field)));
        for pointer in
            self.deeper.iter().filter(|pointer| !into.contains(*pointer)).cloned().collect::<Vec<_>>()
        {
            let mut keys = pointer.keys();
            let first = keys.next().and_then(|key| attributes.get(key.as_ref()));
            if keys.fold(first, |value, key| value?.as_object()?.get(key.as_ref())).is_some() {
                into.insert(pointer);
            }
        }
    }

    /// The attributes as they are stored of a new entity.
    fn without(&self, attributes: &Map) -> Map {
        self.stripped(attributes, &Pointer::root(), 0)
    }

    fn stripped(&self, fields: &Map, path: &Pointer, depth: usize) -> Map {
        let kept = fields.iter().filter(|(key, _)| !self.is_at(path, depth, key));
        let inner = |key: &str, value: &Value| match value {
            Value::Object(below) if !self.deeper.is_empty() => {
                Value::Object(self.stripped(below, &path.child(key), depth + 1))
            }
            other => other.clone(),
        };
        kept.map(|(key, value)| (key.clone(), inner(key, value))).collect()
    }

    fn without_node(&self, node: &Node) -> Node {
        rebuilt_node(node, self.without(node.attributes()))
    }

    fn without_edge(&self, edge: &Edge) -> Edge {
        rebuilt_edge(edge, self.without(edge.attributes()))
    }

    /// A move is a command of its own: the last writer of a position wins (rule D3).
    fn node_changes(&self, old: &Node, new: &Node, absent: Absent, into: &mut Vec<Change>) {
        if old.position() != new.position() {
            let (node_id, position) = (new.id().clone(), new.position().clone());
            into.push(Change::Command(Command::UpdateNodePosition { node_id, position }));
        }
        if old.attributes() == new.attributes() {
            return;
        }
        match self.difference(old.attributes(), new.attributes(), absent) {
            Some(patch) if patch.is_empty() => {}
            Some(patch) => {
                let (node_id, patch) = (new.id().clone(), MergePatch::new(patch));
                into.push(Change::Command(Command::UpdateNode { node_id, patch }));
            }
            // A null that is new: no merge patch can say it, so the node is written whole.
            None => {
                let node = rebuilt_node(new, self.restored(old.attributes(), new.attributes(), absent));
                into.push(Change::ReplaceNode(node));
            }
        }
    }

    fn edge_changes(&self, old: &Edge, new: &Edge, absent: Absent, into: &mut Vec<Change>) {
        if old == new {
            return;
        }
        let mut ends = Map::new();
        for (field, before, after) in
            [("source", old.source(), new.source()), ("target", old.target(), new.target())]
        {
            if before != after {
                ends.insert(field.to_owned(), Value::from(after.as_str()));
            }
        }
        match self.difference(old.attributes(), new.attributes(), absent) {
            Some(patch) if patch.is_empty() && ends.is_empty() => {}
            Some(patch) => {
                ends.extend(patch);
                let (edge_id, patch) = (new.id().clone(), MergePatch::new(ends));
                into.push(Change::Command(Command::UpdateEdge { edge_id, patch }));
            }
            None => {
                let edge = rebuilt_edge(new, self.restored(old.attributes(), new.attributes(), absent));
                into.push(Change::ReplaceEdge(edge));
            }
        }
    }

    /// The patch that turns `old` into `new`, but for what is ignored; `None` where a null is new.
    fn difference(&self, old: &Map, new: &Map, absent: Absent) -> Option<Map> {
        self.difference_at(old, new, absent, &Pointer::root(), 0)
    }

    fn difference_at(
        &self,
        old: &Map,
        new: &Map,
        absent: Absent,
        path: &Pointer,
        depth: usize,
    ) -> Option<Map> {
        let mut patch = Map::new();
        if absent == Absent::Delete {
            for key in old.keys().filter(|key| !new.contains_key(*key) && !self.is_at(path, depth, key)) {
                patch.insert(key.clone(), Value::Null);
            }
        }
        for (key, value) in new.iter().filter(|(key, _)| !self.is_at(path, depth, key)) {
            match (old.get(key), value) {
                (Some(before), after) if before == after => {}
                (Some(Value::Object(before)), Value::Object(after)) => {
                    let below = self.difference_at(before, after, absent, &path.child(key), depth + 1)?;
                    if !below.is_empty() {
                        patch.insert(key.clone(), Value::Object(below));
                    }
                }
                (_, after) if holds_null(after) => return None,
                // A merge patch would merge an object into nothing: the same.
                (_, after) => drop(patch.insert(key.clone(), after.clone())),
            }
        }
        Some(patch)
    }

    /// `new`, with what `old` has of the fields that are ignored and, where they stay, of those that it lacks.
    fn restored(&self, old: &Map, new: &Map, absent: Absent) -> Map {
        self.restored_at(old, new, absent, &Pointer::root(), 0)
    }

    fn restored_at(&self, old: &Map, new: &Map, absent: Absent, path: &Pointer, depth: usize) -> Map {
        let mut fields = Map::new();
        for (key, value) in new.iter().filter(|(key, _)| !self.is_at(path, depth, key)) {
            let value = match (old.get(key), value) {
                (Some(Value::Object(before)), Value::Object(after)) => {
                    Value::Object(self.restored_at(before, after, absent, &path.child(key), depth + 1))
                }
                (_, value) => value.clone(),
            };
            fields.insert(key.clone(), value);
        }
        for (key, value) in old {
            let stays = self.is_at(path, depth, key) || (absent == Absent::Keep && !new.contains_key(key));
            if stays {
                fields.insert(key.clone(), value.clone());
            }
        }
        fields
    }
}

/// Whether it is null, or has one in an object: a merge patch would read it as a removal.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(holds_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

fn rebuilt_node(node: &Node, attributes: Map) -> Node {
    Node::new(node.id().clone(), node.position().clone(), attributes).unwrap_or_else(|_| node.clone())
}

fn rebuilt_edge(edge: &Edge, attributes: Map) -> Edge {
    let (id, source, target) = (edge.id().clone(), edge.source().clone(), edge.target().clone());
    Edge::new(id, source, target, attributes).unwrap_or_else(|_| edge.clone())
}
