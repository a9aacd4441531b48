//! What a graph holds now, field by field.

use std::borrow::Cow;

use dao_projections::{Edge, Entity, EntityKind, Graph, Map, MergePatch, Node, Position, Viewport};
use serde_json::Value;

use super::asked::Asked;

/// The current entity, read field by field without copying.
pub(super) struct Current<'g> {
    /// Fields that are not attributes.
    fixed: Map,
    attributes: Option<&'g Map>,
}

impl<'g> Current<'g> {
    pub(super) fn of(graph: &'g Graph, entity: Entity<'_>) -> Self {
        let gone = Self { fixed: Map::new(), attributes: None };
        match entity {
            Entity::Node(id) => graph.nodes().get(id).map_or(gone, |node| Self::of_node(&node.entity)),
            Entity::Edge(id) => graph.edges().get(id).map_or(gone, |edge| Self::of_edge(&edge.entity)),
            Entity::Viewport => Self::of_viewport(graph.viewport()),
            Entity::Graph => {
                Self { fixed: Map::new(), attributes: Some(graph.metadata().attributes.fields()) }
            }
        }
    }

    /// The same for a requested entity.
    pub(super) fn of_asked(asked: Asked<'g>) -> Self {
        match asked {
            Asked::Node(node) => Self::of_node(node),
            Asked::Edge(edge) => Self::of_edge(edge),
            Asked::Viewport(viewport) => Self::of_viewport(viewport),
            Asked::Graph(attributes) => Self { fixed: Map::new(), attributes: Some(attributes.fields()) },
            Asked::Removal | Asked::Position(_) | Asked::Patch(_) | Asked::Nothing => {
                Self { fixed: Map::new(), attributes: None }
            }
        }
    }

    fn of_node(node: &'g Node) -> Self {
        let fixed = [("id", Value::from(node.id().as_str())), ("position", node.position().to_json())];
        Self { fixed: map_of(fixed), attributes: Some(node.attributes()) }
    }

    fn of_edge(edge: &'g Edge) -> Self {
        let fixed = [
            ("id", edge.id().as_str()),
            ("source", edge.source().as_str()),
            ("target", edge.target().as_str()),
        ];
        let fixed = fixed.map(|(key, id)| (key, Value::from(id)));
        Self { fixed: map_of(fixed), attributes: Some(edge.attributes()) }
    }

    fn of_viewport(viewport: &Viewport) -> Self {
        Self { fixed: viewport.to_json().as_object().cloned().unwrap_or_default(), attributes: None }
    }

    /// The current value of the field of this name.
    pub(super) fn field(&self, key: &str) -> Standing<'_> {
        if self.fixed.is_empty() && self.attributes.is_none() {
            return Standing::CutOff;
        }
        let found = self.fixed.get(key).or_else(|| self.attributes?.get(key));
        found.map_or(Standing::Absent, Standing::There)
    }

    /// The current value at a path below the entity itself.
    pub(super) fn at(&self, path: &[&str]) -> Standing<'_> {
        match path.split_first() {
            Some((first, rest)) => rest.iter().fold(self.field(first), |standing, key| standing.field(key)),
            None => Standing::CutOff,
        }
    }
}

fn map_of<const N: usize>(fields: [(&str, Value); N]) -> Map {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The current value at a path of an entity. Merge patches know objects only: an element of a list has no path of its
/// own.
#[derive(Clone, Copy)]
pub(super) enum Standing<'v> {
    /// A value.
    There(&'v Value),
    /// No value, in an object that exists.
    Absent,
    /// No value, and no object above it: a write here replaces what is there.
    CutOff,
}

impl<'v> Standing<'v> {
    /// The value of a field below.
    pub(super) fn field(self, key: &str) -> Self {
        match self {
            Self::There(Value::Object(fields)) => fields.get(key).map_or(Self::Absent, Self::There),
            Self::There(_) | Self::Absent | Self::CutOff => Self::CutOff,
        }
    }

    /// The value to show to people; an absent one is null (rule D7).
    pub(super) fn value(self) -> Cow<'v, Value> {
        match self {
            Self::There(value) => Cow::Borrowed(value),
            Self::Absent | Self::CutOff => Cow::Owned(Value::Null),
        }
    }

    /// Whether merging `yours` into the field, which is below the entity itself, changes nothing (rule D3).
    pub(super) fn is_what_was_asked(self, kind: EntityKind, path: &[&str], yours: &Value) -> bool {
        match self {
            Self::There(stands) if kind == EntityKind::Node && path == ["position"] => {
                is_same_place(stands, yours)
            }
            Self::There(stands) => !yours.is_null() && MergePatch::leaves_as_is(stands, yours),
            Self::Absent => yours.is_null(),
            Self::CutOff => false,
        }
    }
}

/// Whether merging `yours` into the position `stands` changes nothing; 1 and 1.0 are equal (rule G6).
fn is_same_place(stands: &Value, yours: &Value) -> bool {
    let mut moved = stands.clone();
    if let (Some(place), Some(yours)) = (moved.as_object_mut(), yours.as_object()) {
        place.extend(yours.clone());
    }
    match (Position::from_json(stands), Position::from_json(&moved)) {
        (Ok(before), Ok(after)) => before == after,
        (Err(_), _) | (_, Err(_)) => false,
    }
}
