//! The graph that editors see and commands are decided on: the fold of its commits.
//!
//! All maps are persistent (`imbl`) and entities are shared, so a clone costs a few pointers: a reader keeps its
//! version while the writer continues with the next.
//!
//! Every operation here is logarithmic in the size of the graph or linear in what it returns;
//! nothing walks the whole graph to change a part of it.

use std::{
    ops::Bound,
    sync::{Arc, OnceLock},
};

use imbl::{HashMap, OrdMap, OrdSet};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    commit::Commit,
    entity::{Edge, Node, Timestamp, Viewport},
    event::Event,
    id::{EdgeId, NodeId, OperationId, UserId},
    memory::{Measured, Size},
    metadata::Metadata,
    order::ParentsFirst,
    version::{Head, Version},
};

/// A place in creation order (rule G5): the entities of a graph are numbered as they are created.
pub type Ordinal = u64;

/// An entity with its server fields (rule G2).
#[derive(Debug)]
pub struct Placed<T> {
    /// The node or edge itself.
    pub entity: T,
    /// The place in creation order.
    pub ordinal: Ordinal,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last write.
    pub updated_at: Timestamp,
    /// The version of the commit that last wrote it.
    pub version: Version,
    size: Size,
    json: OnceLock<Box<[u8]>>,
}

impl<T> Placed<T> {
    pub(crate) fn new(
        (entity, size): (T, Size),
        ordinal: Ordinal,
        created_at: Timestamp,
        updated_at: Timestamp,
        version: Version,
    ) -> Self {
        let size = size + Size { held: size_of::<Self>(), json: 0 };
        Self { entity, ordinal, created_at, updated_at, version, size, json: OnceLock::new() }
    }
}

impl<T> Placed<T>
where
    Self: Serialize,
{
    /// The entity as JSON, server fields included; encoded once and cached.
    pub fn json(&self) -> &[u8] {
        self.json.get_or_init(|| match serde_json::to_vec(self) {
            Ok(bytes) => bytes.into_boxed_slice(),
            Err(e) => unreachable!("an entity could not be encoded: {e}"),
        })
    }
}

/// Entities are compared without their cached JSON.
impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entity == other.entity
            && (self.ordinal, self.created_at, self.updated_at, self.version)
                == (other.ordinal, other.created_at, other.updated_at, other.version)
    }
}

macro_rules! serialize_placed {
    ($entity:ty) => {
        impl Serialize for Placed<$entity> {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                let mut map = s.serialize_map(Some(self.entity.field_count() + 3))?;
                self.entity.serialize_fields(&mut map)?;
                map.serialize_entry("createdAt", &self.created_at)?;
                map.serialize_entry("updatedAt", &self.updated_at)?;
                map.serialize_entry("version", &self.version)?;
                map.end()
            }
        }
    };
}
serialize_placed!(Node);
serialize_placed!(Edge);

/// All nodes, or all edges, by id and in creation order.
#[derive(Debug)]
pub struct Table<Id, T> {
    ordinals: HashMap<Id, Ordinal>,
    rows: OrdMap<Ordinal, Arc<Placed<T>>>,
    /// All rows together.
    size: Size,
}

impl<Id: Clone, T> Clone for Table<Id, T> {
    fn clone(&self) -> Self {
        Self { ordinals: self.ordinals.clone(), rows: self.rows.clone(), size: self.size }
    }
}

impl<Id: Clone + Eq + std::hash::Hash, T> Default for Table<Id, T> {
    fn default() -> Self {
        Self { ordinals: HashMap::default(), rows: OrdMap::default(), size: Size::default() }
    }
}

impl<Id: Clone + Eq + std::hash::Hash, T> Table<Id, T> {
    /// The entity with this id.
    pub fn get(&self, id: &Id) -> Option<&Arc<Placed<T>>> {
        self.rows.get(self.ordinals.get(id)?)
    }

    /// The entity at this place in creation order.
    pub fn at(&self, ordinal: Ordinal) -> Option<&Arc<Placed<T>>> {
        self.rows.get(&ordinal)
    }

    /// All of them, in creation order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Placed<T>>> {
        self.rows.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts an entity in its place. The ids are only written for a new one: an update leaves that
    /// map shared with every copy of the table.
    fn insert(&mut self, id: &Id, placed: Placed<T>) {
        let ordinal = placed.ordinal;
        self.size += placed.size;
        match self.rows.insert(ordinal, Arc::new(placed)) {
            Some(old) => self.size -= old.size,
            None => drop(self.ordinals.insert(id.clone(), ordinal)),
        }
    }

    fn remove(&mut self, id: &Id) -> Option<Arc<Placed<T>>> {
        let ordinal = self.ordinals.remove(id)?;
        let removed = self.rows.remove(&ordinal)?;
        self.size -= removed.size;
        Some(removed)
    }
}

/// A graph at one version.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    head: Head,
    last_modified: Option<Timestamp>,
    last_operation: Option<OperationId>,
    last_author: Option<UserId>,
    created: Option<(Timestamp, UserId)>,
    metadata: Metadata,
    metadata_size: Size,
    nodes: Table<NodeId, Node>,
    edges: Table<EdgeId, Edge>,
    viewport: Viewport,
    viewport_version: Version,
    contents_version: Version,
    /// Edges by each end, and nodes by parent: what goes when a node goes.
    incident: OrdSet<(NodeId, Ordinal)>,
    children: OrdSet<(NodeId, Ordinal)>,
    /// Nodes with a parent that was created after them: lists don't have those in creation order (rule G5).
    with_younger_parent: OrdSet<Ordinal>,
    next_ordinal: Ordinal,
}

/// The parts of a graph, to restore it from rows.
pub(crate) struct Parts {
    pub(crate) head: Head,
    pub(crate) last_modified: Timestamp,
    pub(crate) last_operation: OperationId,
    pub(crate) last_author: UserId,
    pub(crate) created: (Timestamp, UserId),
    pub(crate) metadata: Metadata,
    pub(crate) viewport: Viewport,
    pub(crate) viewport_version: Version,
    pub(crate) contents_version: Version,
    pub(crate) next_ordinal: Ordinal,
    pub(crate) nodes: Vec<Placed<Node>>,
    pub(crate) edges: Vec<Placed<Edge>>,
}

impl Graph {
    /// Makes a graph of these parts.
    pub(crate) fn from_parts(parts: Parts) -> Self {
        let mut graph = Self {
            head: parts.head,
            last_modified: Some(parts.last_modified),
            last_operation: Some(parts.last_operation),
            last_author: Some(parts.last_author),
            created: Some(parts.created),
            metadata_size: parts.metadata.size(),
            metadata: parts.metadata,
            viewport: parts.viewport,
            viewport_version: parts.viewport_version,
            contents_version: parts.contents_version,
            next_ordinal: parts.next_ordinal,
            ..Self::default()
        };
        for node in parts.nodes {
            for (_, parent) in node.entity.parents() {
                graph.children.insert((parent, node.ordinal));
            }
            let (id, ordinal) = (node.entity.id().clone(), node.ordinal);
            graph.nodes.insert(&id, node);
            graph.compare_with_parents(&id, ordinal);
            graph.compare_with_children(&id, ordinal);
        }
        for edge in parts.edges {
            graph.incident.insert((edge.entity.source().clone(), edge.ordinal));
            graph.incident.insert((edge.entity.target().clone(), edge.ordinal));
            let id = edge.entity.id().clone();
            graph.edges.insert(&id, edge);
        }
        graph
    }

    /// The empty graph, before its first commit (rule V7).
    pub fn empty() -> Self {
        Self::default()
    }

    /// The head: the version and hash of the last commit.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The time of its last commit.
    pub fn last_modified(&self) -> Option<Timestamp> {
        self.last_modified
    }

    /// The operation of its last commit.
    pub fn last_operation(&self) -> Option<OperationId> {
        self.last_operation
    }

    /// Who made its last commit.
    pub fn last_author(&self) -> Option<&UserId> {
        self.last_author.as_ref()
    }

    /// The time and the author of its first commit.
    pub fn created(&self) -> Option<(Timestamp, &UserId)> {
        self.created.as_ref().map(|(at, by)| (*at, by))
    }

    /// What it has beside its contents: attributes, labels, the trash (rules L).
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The nodes in the order of lists (rule G5): creation order, except that a node comes after its parents.
    pub fn nodes_in_order(&self) -> impl Iterator<Item = &Arc<Placed<Node>>> {
        ParentsFirst::new(self, self.nodes.iter())
    }

    /// Whether the node at this place has a parent that was created after it.
    pub(crate) fn has_younger_parent(&self, ordinal: Ordinal) -> bool {
        self.with_younger_parent.contains(&ordinal)
    }

    /// The nodes.
    pub fn nodes(&self) -> &Table<NodeId, Node> {
        &self.nodes
    }

    /// The edges.
    pub fn edges(&self) -> &Table<EdgeId, Edge> {
        &self.edges
    }

    /// The viewport.
    pub fn viewport(&self) -> &Viewport {
        &self.viewport
    }

    /// The version of the commit that last set the viewport; [`Version::EMPTY`] if none did.
    pub fn viewport_version(&self) -> Version {
        self.viewport_version
    }

    /// The version of the commit that last changed a node, an edge or the viewport; [`Version::EMPTY`] if none did.
    pub fn contents_version(&self) -> Version {
        self.contents_version
    }

    /// The place in creation order of the next new entity.
    pub fn next_ordinal(&self) -> Ordinal {
        self.next_ordinal
    }

    /// About how many bytes the state takes as JSON.
    pub fn json_bytes(&self) -> usize {
        /// The JSON of a state beside its entities.
        const BESIDE: usize = 400;
        BESIDE + self.metadata_size.json + self.nodes.size.json + self.edges.size.json
    }

    /// About how much memory the graph takes, with the cached JSON of its entities.
    pub fn held_bytes(&self) -> usize {
        let contents = self.nodes.size.held + self.edges.size.held + self.json_bytes();
        size_of::<Self>() + self.metadata_size.held + contents
    }

    /// The edges that begin or end at `node`, in creation order; a self-loop once.
    pub fn edges_of(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Placed<Edge>>> {
        of(&self.incident, node).filter_map(|ordinal| self.edges.at(ordinal))
    }

    /// The nodes directly inside `node`, in creation order.
    pub fn children_of(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Placed<Node>>> {
        of(&self.children, node).filter_map(|ordinal| self.nodes.at(ordinal))
    }

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
    fn compare_with_parents(&mut self, id: &NodeId, ordinal: Ordinal) {
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
    fn compare_with_children(&mut self, id: &NodeId, ordinal: Ordinal) {
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

/// Graphs are equal if editors see the same and the histories are the same.
impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
            && self.last_modified == other.last_modified
            && self.last_operation == other.last_operation
            && self.last_author == other.last_author
            && self.created == other.created
            && self.metadata == other.metadata
            && self.viewport == other.viewport
            && self.viewport_version == other.viewport_version
            && self.contents_version == other.contents_version
            && self.next_ordinal == other.next_ordinal
            && self.nodes.iter().eq(other.nodes.iter())
            && self.edges.iter().eq(other.edges.iter())
            && self.incident == other.incident
            && self.children == other.children
    }
}

fn of<'a>(index: &'a OrdSet<(NodeId, Ordinal)>, node: &NodeId) -> impl Iterator<Item = Ordinal> + use<'a> {
    let from = (node.clone(), Ordinal::MIN);
    let to = (node.clone(), Ordinal::MAX);
    index.range((Bound::Included(from), Bound::Included(to))).map(|(_, ordinal)| *ordinal)
}
