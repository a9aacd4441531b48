//! One entity at one moment of the past, as far as it is known.

use dao_projections::{Attributes, Edge, EdgeId, Entity, Event, Map, Node, NodeId, Position, Viewport};

use crate::domain::size::json_bytes;

/// Which entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::domain) enum Key {
    Node(NodeId),
    Edge(EdgeId),
    Viewport,
    Graph,
}

impl Key {
    /// That of an entity.
    pub(super) fn of(entity: Entity<'_>) -> Self {
        match entity {
            Entity::Node(id) => Self::Node(id.clone()),
            Entity::Edge(id) => Self::Edge(id.clone()),
            Entity::Viewport => Self::Viewport,
            Entity::Graph => Self::Graph,
        }
    }

    /// The entity that it is of.
    pub(in crate::domain) fn entity(&self) -> Entity<'_> {
        match self {
            Self::Node(id) => Entity::Node(id),
            Self::Edge(id) => Entity::Edge(id),
            Self::Viewport => Entity::Viewport,
            Self::Graph => Entity::Graph,
        }
    }
}

/// What stood there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Node(Node),
    Edge(Edge),
    Viewport(Viewport),
    Attributes(Attributes),
}

impl State {
    /// An entity that was there, of which nothing is known yet: what events say of it holds nevertheless.
    pub(super) fn unknown(key: &Key) -> Option<Self> {
        match key {
            Key::Node(id) => Node::new(id.clone(), Position::default(), Map::new()).ok().map(Self::Node),
            Key::Edge(id) => {
                // The rule of both ids is one. No end is read that no event named.
                let end = NodeId::parse(id.as_str()).ok()?;
                Edge::new(id.clone(), end.clone(), end, Map::new()).ok().map(Self::Edge)
            }
            Key::Viewport => Some(Self::Viewport(Viewport::default())),
            Key::Graph => Some(Self::Attributes(Attributes::default())),
        }
    }

    /// Its bytes as JSON.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Node(node) => json_bytes(node),
            Self::Edge(edge) => json_bytes(edge),
            Self::Viewport(_) | Self::Attributes(_) => 0,
        }
    }

    /// As the graph folds it.
    pub(super) fn after(now: Option<Self>, event: &Event) -> Option<Self> {
        match (event, now) {
            (
                Event::NodeCreated { node } | Event::NodeReplaced { node } | Event::NodeRestored { node, .. },
                _,
            ) => Some(Self::Node(node.clone())),
            (
                Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } | Event::EdgeRestored { edge, .. },
                _,
            ) => Some(Self::Edge(edge.clone())),
            (Event::NodeUpdated { patch, .. }, Some(Self::Node(node))) => {
                Some(Self::Node(node.patched(patch)))
            }
            (Event::EdgeUpdated { patch, .. }, Some(Self::Edge(edge))) => {
                Some(Self::Edge(edge.patched(patch)))
            }
            (Event::NodeMoved { position, .. }, Some(Self::Node(node))) => {
                Some(Self::Node(node.moved(position.clone())))
            }
            (Event::NodeDeleted { .. } | Event::EdgeDeleted { .. }, _) => None,
            (Event::ViewportSet { viewport }, _) => Some(Self::Viewport(viewport.clone())),
            (Event::GraphCreated { attributes, .. }, _) => Some(Self::Attributes(attributes.clone())),
            (Event::GraphUpdated { patch }, Some(Self::Attributes(attributes))) => {
                Some(Self::Attributes(attributes.patched(patch)))
            }
            (
                Event::NodeUpdated { .. }
                | Event::EdgeUpdated { .. }
                | Event::NodeMoved { .. }
                | Event::GraphUpdated { .. }
                | Event::GraphTrashed { .. }
                | Event::GraphRecovered {}
                | Event::GraphForked { .. }
                | Event::VersionLabelled { .. },
                now,
            ) => now,
        }
    }
}
