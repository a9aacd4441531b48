//! A graph as a reader of its state is told it, made a [`Graph`] again.
//!
//! The contents are those of the graph. What a state does not tell is made up: who wrote it, its labels, and in which
//! order nodes were created.

use crate::{
    entity::{Edge, Node, Timestamp, Viewport},
    graph::{Graph, Ordinal, Parts, Placed},
    id::{OperationId, UserId},
    memory::Measured,
    metadata::{Attributes, Metadata},
    version::{Head, Version},
};

/// An entity with what is told of it (rule G2).
#[derive(Clone, Debug)]
pub struct ToldEntity<T> {
    /// The node or edge itself.
    pub entity: T,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last write.
    pub updated_at: Timestamp,
    /// The version of the commit that last wrote it.
    pub version: Version,
}

/// What a state tells.
#[derive(Clone, Debug)]
pub struct ToldState {
    /// The version, and its hash.
    pub head: Head,
    /// The time of the last commit.
    pub last_modified: Timestamp,
    /// Who is to have written it.
    pub author: UserId,
    /// Title, description and the rest.
    pub attributes: Attributes,
    /// The nodes, parents first.
    pub nodes: Vec<ToldEntity<Node>>,
    /// The edges, in creation order.
    pub edges: Vec<ToldEntity<Edge>>,
    /// The viewport.
    pub viewport: Viewport,
}

impl ToldState {
    /// The graph of which this was told.
    pub fn into_graph(self) -> Graph {
        if self.head == Head::EMPTY {
            return Graph::empty();
        }
        let entities = (self.nodes.len() + self.edges.len()) as Ordinal;
        let edges = placed(self.edges, self.nodes.len());
        Graph::from_parts(Parts {
            head: self.head,
            last_modified: self.last_modified,
            last_operation: OperationId::ERASED,
            created: (self.last_modified, self.author.clone()),
            last_author: self.author,
            metadata: Metadata { attributes: self.attributes, ..Metadata::default() },
            viewport: self.viewport,
            viewport_version: Version::EMPTY,
            contents_version: self.head.version,
            next_ordinal: entities,
            nodes: placed(self.nodes, 0),
            edges,
        })
    }
}

fn placed<T: Measured>(told: Vec<ToldEntity<T>>, first: usize) -> Vec<Placed<T>> {
    let place = |(index, told): (usize, ToldEntity<T>)| {
        let (ordinal, size) = ((first + index) as Ordinal, told.entity.size());
        Placed::new((told.entity, size), ordinal, told.created_at, told.updated_at, told.version)
    };
    told.into_iter().enumerate().map(place).collect()
}
