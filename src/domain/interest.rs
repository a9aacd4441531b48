//! The entities that operations are about, to keep only the relevant part of a long history.

use std::collections::HashSet;

use dao_projections::{Commit, EdgeId, Entity, Graph, MergePatch, Node, NodeId, Version};

use super::{
    command::{Command, Member, OnConflict, Operation},
    descendants::{descendants, edges_of_all},
    document::Change,
};

/// The entities that operations are about, to filter a long history for what can matter to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    nodes: HashSet<NodeId>,
    edges: HashSet<EdgeId>,
    every_edge: bool,
    viewport: bool,
    graph: bool,
}

/// Nodes that are deleted by clients that say what they know. All of them are walked at once: one inside of the other
/// would be walked again for each.
#[derive(Default)]
struct Deletions<'c> {
    nodes: Vec<&'c NodeId>,
    after: Option<Version>,
    /// Under `reject` also the edges that go along matter.
    looks_at_edges: bool,
}

impl<'c> Deletions<'c> {
    fn add(&mut self, command: &'c Command, member: &Member) {
        let (Command::DeleteNode { node_id }, Some(version)) = (command, member.client_version) else {
            return;
        };
        self.nodes.push(node_id);
        self.after = Some(self.after.map_or(version, |least| least.min(version)));
        self.looks_at_edges |= member.on_conflict == OnConflict::Reject;
    }
}

impl Interest {
    /// Everything that [`judge`](super::judge) may look at for any of `operations`, as far as is known before they are
    /// judged. Nodes that one of them puts into a node that another one deletes are not.
    pub fn of<'o>(operations: impl IntoIterator<Item = &'o Operation>, graph: &Graph) -> Self {
        let (mut interest, mut deletions) = (Self::default(), Deletions::default());
        for member in operations.into_iter().flat_map(|operation| operation.action.members()) {
            interest.add(&member.command);
            deletions.add(&member.command, member);
        }
        interest.add_deleted_along(deletions, graph);
        interest
    }

    /// Everything that the changes of a document save are about.
    pub(super) fn of_changes(changes: &[Change], member: &Member, graph: &Graph) -> Self {
        let (mut interest, mut deletions) = (Self::default(), Deletions::default());
        for change in changes {
            match change {
                Change::Command(command) => {
                    interest.add(command);
                    deletions.add(command, member);
                }
                Change::ReplaceNode(node) => interest.add_node(node),
                Change::ReplaceEdge(edge) => {
                    interest.edges.insert(edge.id().clone());
                    interest.nodes.extend([edge.source().clone(), edge.target().clone()]);
                }
            }
        }
        interest.add_deleted_along(deletions, graph);
        interest
    }

    /// The entities that it names.
    pub(super) fn entities(&self) -> impl Iterator<Item = Entity<'_>> {
        let edges = self.edges.iter().map(Entity::Edge);
        let viewport = self.viewport.then_some(Entity::Viewport);
        let graph = self.graph.then_some(Entity::Graph);
        self.nodes.iter().map(Entity::Node).chain(edges).chain(viewport).chain(graph)
    }

    /// Exactly these entities.
    pub fn in_entities<'e>(entities: impl IntoIterator<Item = &'e Entity<'e>>) -> Self {
        let mut interest = Self::default();
        entities.into_iter().for_each(|entity| interest.add_entity(*entity));
        interest
    }

    fn add_entity(&mut self, entity: Entity<'_>) {
        match entity {
            Entity::Node(id) => drop(self.nodes.insert(id.clone())),
            Entity::Edge(id) => drop(self.edges.insert(id.clone())),
            Entity::Viewport => self.viewport = true,
            Entity::Graph => self.graph = true,
        }
    }

    /// Whether this covers all entities of `other`.
    pub fn covers(&self, other: &Self) -> bool {
        other.nodes.is_subset(&self.nodes)
            && (self.every_edge || !other.every_edge && other.edges.is_subset(&self.edges))
            && (self.viewport || !other.viewport)
            && (self.graph || !other.graph)
    }

    /// Adds the entities of `other`.
    pub fn join(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.edges.extend(other.edges);
        self.every_edge |= other.every_edge;
        self.viewport |= other.viewport;
        self.graph |= other.graph;
    }

    /// Adds what goes along with deleted nodes, if it was written after the oldest of the clients' versions.
    fn add_deleted_along(&mut self, deletions: Deletions<'_>, graph: &Graph) {
        let Some(version) = deletions.after else { return };
        let going: Vec<_> = descendants(graph, deletions.nodes).collect();
        if deletions.looks_at_edges {
            let edges = edges_of_all(graph, &going);
            let edges = edges.into_iter().filter(|edge| edge.version > version);
            self.edges.extend(edges.map(|edge| edge.entity.id().clone()));
        }
        let nodes = going.into_iter().filter(|node| node.version > version);
        self.nodes.extend(nodes.map(|node| node.entity.id().clone()));
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::CreateNode { node } => self.add_node(node),
            Command::UpdateNode { node_id, patch } => {
                self.nodes.insert(node_id.clone());
                self.add_named(patch, &["parentId", "parentNode"]);
            }
            Command::UpdateNodePosition { node_id, .. } | Command::DeleteNode { node_id } => {
                self.nodes.insert(node_id.clone());
            }
            Command::CreateEdge { edge } => {
                self.edges.insert(edge.id().clone());
                self.nodes.extend([edge.source().clone(), edge.target().clone()]);
            }
            Command::UpdateEdge { edge_id, patch } => {
                self.edges.insert(edge_id.clone());
                self.add_named(patch, &["source", "target"]);
            }
            Command::DeleteEdge { edge_id } => {
                self.edges.insert(edge_id.clone());
            }
            Command::SetViewport { .. } => self.viewport = true,
            // Asked for as it is judged: what it is about is known only then.
            Command::SaveDocument { .. } => {}
            // What it is about is known once it is known what the operations did.
            Command::Undo { .. } => {}
            Command::UpdateGraph { .. } => self.graph = true,
            Command::CreateGraph { .. }
            | Command::CopyGraph { .. }
            | Command::DeleteGraph { .. }
            | Command::RecoverGraph
            // What they are about is known once the version is.
            | Command::LabelVersion { .. }
            | Command::RestoreVersion { .. } => {}
            Command::BatchUpdate { nodes, edges, viewport } => {
                nodes.iter().for_each(|node| self.add_node(node));
                self.every_edge |= edges.is_some();
                let ends = edges.iter().flatten().flat_map(|e| [e.source().clone(), e.target().clone()]);
                self.nodes.extend(ends);
                self.viewport |= viewport.is_some();
            }
        }
    }

    fn add_node(&mut self, node: &Node) {
        self.nodes.insert(node.id().clone());
        self.nodes.extend(node.parents().map(|(_, parent)| parent));
    }

    fn add_named(&mut self, patch: &MergePatch, fields: &[&str]) {
        let named = fields.iter().filter_map(|field| patch.fields().get(*field)?.as_str());
        self.nodes.extend(named.filter_map(|id| NodeId::parse(id).ok()));
    }

    /// `commit` with only the events that touch any of these entities; `None` if there are none.
    pub fn part_of(&self, mut commit: Commit) -> Option<Commit> {
        commit.body.events.retain(|event| match event.entity() {
            Entity::Node(id) => self.nodes.contains(id),
            Entity::Edge(id) => self.every_edge || self.edges.contains(id),
            Entity::Viewport => self.viewport,
            Entity::Graph => self.graph,
        });
        (!commit.body.events.is_empty()).then_some(commit)
    }
}
