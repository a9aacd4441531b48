//! Strict folding: checks that a commit can follow on a graph.
//!
//! [`Graph::apply`] never judges, because history already happened. To verify a history that somebody may have
//! tampered with (rule A5), this checks that a commit is possible at all: the entities that it changes exist, those
//! that it creates do not, and rules V5 and G4 hold after it.
//!
//! Not here: the hash chain, and reading commits.

use crate::{
    commit::Commit,
    event::{Entity, Event},
    graph::Graph,
    id::NodeId,
    version::Head,
};

/// Why a commit can't follow on a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It changes an entity that does not exist.
    #[error("it changes {0}, which does not exist")]
    NotThere(String),
    /// It creates an entity that already exists.
    #[error("it creates {0}, which already exists")]
    AlreadyThere(String),
    /// It restores an entity to a place in creation order that another one has.
    #[error("it restores {0} to a place in creation order that is taken")]
    PlaceTaken(String),
    /// It leaves an edge without its source or target.
    #[error("it leaves edge {edge} without node {node}")]
    Dangling {
        /// The edge.
        edge: String,
        /// The missing end.
        node: NodeId,
    },
    /// It leaves a node without its parent.
    #[error("it leaves node {child} without its parent {parent}")]
    Orphan {
        /// The node.
        child: NodeId,
        /// The missing parent.
        parent: NodeId,
    },
    /// Its time is before that of the previous commit.
    #[error("its time is before that of the previous commit")]
    TimeGoesBack,
}

/// Folds `commit`, the next one of this history, into `graph`, or says why that is impossible. The cost is that of the
/// commit, not of the graph.
pub fn fold_strictly(graph: &mut Graph, commit: &Commit) -> Result<(), Misfit> {
    if graph.last_modified().is_some_and(|last| commit.body.timestamp < last) {
        return Err(Misfit::TimeGoesBack);
    }
    // Folded event by event into a copy, which costs a few pointers: a later event may need an earlier.
    let mut then = graph.clone();
    for event in &commit.body.events {
        check_existence(&then, event)?;
        then.apply_event(event, commit.version, commit.body.timestamp);
    }
    commit.body.events.iter().try_for_each(|event| check_links(&then, event))?;
    graph.apply(commit);
    Ok(())
}

fn check_existence(graph: &Graph, event: &Event) -> Result<(), Misfit> {
    let exists = match event.entity() {
        Entity::Node(id) => graph.nodes().get(id).is_some(),
        Entity::Edge(id) => graph.edges().get(id).is_some(),
        Entity::Viewport => return Ok(()),
        Entity::Graph => return check_beginning(graph, event),
    };
    let name = || format!("{} {}", if is_node(event) { "node" } else { "edge" }, event.entity());
    if let Event::NodeRestored { ordinal, .. } | Event::EdgeRestored { ordinal, .. } = event
        && !exists
        && graph.has_place(*ordinal)
    {
        return Err(Misfit::PlaceTaken(name()));
    }
    match (event.is_creation(), exists) {
        (true, true) => Err(Misfit::AlreadyThere(name())),
        (false, false) => Err(Misfit::NotThere(name())),
        (true, false) | (false, true) => Ok(()),
    }
}

/// A graph is created before anything else happens to it (rule L4).
fn check_beginning(graph: &Graph, event: &Event) -> Result<(), Misfit> {
    let is_first = graph.head() == Head::EMPTY && graph.next_ordinal() == 0;
    match event {
        Event::GraphCreated { .. } if !is_first => Err(Misfit::AlreadyThere("the graph".to_owned())),
        _ => Ok(()),
    }
}

fn is_node(event: &Event) -> bool {
    matches!(event.entity(), Entity::Node(_))
}

/// Checks rule G4 around the entity of an event, in the graph after the whole commit.
fn check_links(graph: &Graph, event: &Event) -> Result<(), Misfit> {
    match event.entity() {
        Entity::Node(id) => match graph.nodes().get(id) {
            Some(node) => {
                let missing = node.entity.parents().find(|(_, parent)| graph.nodes().get(parent).is_none());
                missing.map_or(Ok(()), |(_, parent)| Err(Misfit::Orphan { child: id.clone(), parent }))
            }
            None => {
                if let Some(edge) = graph.edges_of(id).next() {
                    return Err(Misfit::Dangling { edge: edge.entity.id().to_string(), node: id.clone() });
                }
                match graph.children_of(id).next() {
                    Some(child) => {
                        Err(Misfit::Orphan { child: child.entity.id().clone(), parent: id.clone() })
                    }
                    None => Ok(()),
                }
            }
        },
        Entity::Edge(id) => {
            let Some(edge) = graph.edges().get(id) else { return Ok(()) };
            let ends = [edge.entity.source(), edge.entity.target()];
            match ends.into_iter().find(|end| graph.nodes().get(end).is_none()) {
                Some(node) => Err(Misfit::Dangling { edge: id.to_string(), node: node.clone() }),
                None => Ok(()),
            }
        }
        Entity::Viewport | Entity::Graph => Ok(()),
    }
}
