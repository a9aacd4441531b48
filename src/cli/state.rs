//! The answer of `GET /graphs/{graphId}/state`, as commands read it.

use dao_projections::{
    Attributes, Edge, Graph, Hash, Head, Map, Node, Timestamp, ToldEntity, ToldState, UserId, Version,
    Viewport,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// A state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    pub(super) version: Version,
    pub(super) hash: Hash,
    pub(super) last_modified: Option<Timestamp>,
    attributes: Attributes,
    pub(super) nodes: Vec<Told<Node>>,
    pub(super) edges: Vec<Told<Edge>>,
    pub(super) viewport: Viewport,
}

/// A node or an edge, with what the server says of it (rule G2).
#[derive(Deserialize)]
#[serde(try_from = "Map", bound(deserialize = "T: DeserializeOwned"))]
pub(super) struct Told<T> {
    pub(super) entity: T,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) version: Version,
}

impl<T: DeserializeOwned> TryFrom<Map> for Told<T> {
    type Error = serde_json::Error;

    fn try_from(mut fields: Map) -> Result<Self, serde_json::Error> {
        let mut take = |name: &str| fields.shift_remove(name).unwrap_or(Value::Null);
        let (created_at, updated_at, version) = (take("createdAt"), take("updatedAt"), take("version"));
        Ok(Self {
            created_at: serde_json::from_value(created_at)?,
            updated_at: serde_json::from_value(updated_at)?,
            version: serde_json::from_value(version)?,
            entity: serde_json::from_value(Value::Object(fields))?,
        })
    }
}

impl<T> From<Told<T>> for ToldEntity<T> {
    fn from(told: Told<T>) -> Self {
        let Told { entity, created_at, updated_at, version } = told;
        Self { entity, created_at, updated_at, version }
    }
}

impl State {
    /// The graph of this state, written by somebody.
    pub(super) fn into_graph(self, author: &UserId) -> Graph {
        let told = ToldState {
            head: Head { version: self.version, hash: self.hash },
            last_modified: self.last_modified.unwrap_or_default(),
            author: author.clone(),
            attributes: self.attributes,
            nodes: self.nodes.into_iter().map(Into::into).collect(),
            edges: self.edges.into_iter().map(Into::into).collect(),
            viewport: self.viewport,
        };
        told.into_graph()
    }
}
