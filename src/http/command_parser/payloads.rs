//! The payload of each command: nodes, edges, patches and the viewport, as clients send them.

use dao_projections::{Edge, EdgeId, Map, MergePatch, Node, NodeId, Position, Viewport};
use serde_json::Value;
use uuid::Uuid;

use super::CommandParser;
use crate::{
    domain::Command,
    http::{
        json_path::Path,
        json_shape::{Fields, Malformed, refuse_repeated},
    },
};

/// What the server writes on entities; on input it is ignored (rule G2).
const SERVER_FIELDS: [&str; 3] = ["createdAt", "updatedAt", "version"];

impl CommandParser<'_> {
    /// A node; `key` is the id that a `BATCH_UPDATE` names it by.
    pub(super) fn node(&self, value: Value, path: &Path<'_>, key: Option<&str>) -> Result<Node, Malformed> {
        let mut fields = Fields::of(value, path, self.repeated)?;
        let inner = fields.id("id", NodeId::parse)?;
        let id = match (key, inner) {
            (None, inner) => inner.unwrap_or_else(|| fresh_id(NodeId::parse)),
            (Some(key), inner) => {
                let id = NodeId::parse(key).map_err(|e| Malformed::at(path, format!("its key {e}")))?;
                if inner.is_some_and(|inner| inner != id) {
                    return Err(fields.wrong("id", "differs from the key that the node stands under"));
                }
                id
            }
        };
        let position = match fields.optional("position") {
            Some(value) => self.position(&value, &Path::Key(path, "position"))?,
            None => Position::default(),
        };
        Node::new(id, position, fields.rest()).map_err(|e| Malformed::shape(path, e))
    }

    pub(super) fn edge(&self, value: Value, path: &Path<'_>) -> Result<Edge, Malformed> {
        let mut fields = Fields::of(value, path, self.repeated)?;
        let id = fields.id("id", EdgeId::parse)?.unwrap_or_else(|| fresh_id(EdgeId::parse));
        let source = fields.required_id("source", NodeId::parse)?;
        let target = fields.required_id("target", NodeId::parse)?;
        Edge::new(id, source, target, fields.rest()).map_err(|e| Malformed::shape(path, e))
    }

    fn position(&self, value: &Value, path: &Path<'_>) -> Result<Position, Malformed> {
        self.refuse_repeated(value, path)?;
        Position::from_json(value).map_err(|e| Malformed::shape(path, e))
    }

    pub(super) fn viewport(&self, value: Value, path: &Path<'_>) -> Result<Viewport, Malformed> {
        self.refuse_repeated(&value, path)?;
        Viewport::from_json(&value).map_err(|e| Malformed::shape(path, e))
    }

    /// In what is read without its fields being taken out.
    fn refuse_repeated(&self, value: &Value, path: &Path<'_>) -> Result<(), Malformed> {
        value.as_object().map_or(Ok(()), |fields| refuse_repeated(fields, path, self.repeated))
    }

    pub(super) fn update_node(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let (node_id, patch) = self.update(payload, path, "nodeId", NodeId::parse, NodeId::as_str)?;
        let updates = Path::Key(path, "updates");
        Node::check_patch(&patch).map_err(|e| Malformed::shape(&updates, e))?;
        Ok(Command::UpdateNode { node_id, patch })
    }

    pub(super) fn update_edge(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let (edge_id, patch) = self.update(payload, path, "edgeId", EdgeId::parse, EdgeId::as_str)?;
        let updates = Path::Key(path, "updates");
        Edge::check_patch(&patch).map_err(|e| Malformed::shape(&updates, e))?;
        Ok(Command::UpdateEdge { edge_id, patch })
    }

    /// `{<key>, updates}`. In the updates an equal `id` and what the server writes are ignored.
    fn update<T>(
        &self,
        payload: Value,
        path: &Path<'_>,
        key: &str,
        parse: fn(&str) -> Result<T, dao_projections::InvalidId>,
        text: fn(&T) -> &str,
    ) -> Result<(T, MergePatch), Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let id = fields.required_id(key, parse)?;
        let updates = fields.required("updates")?;
        fields.finish()?;
        let at = Path::Key(path, "updates");
        let updates = Fields::of(updates, &at, self.repeated)?;
        if let Some(position) = updates.peek("position").filter(|position| position.is_object()) {
            self.refuse_repeated(position, &Path::Key(&at, "position"))?;
        }
        if updates.peek("id").is_some_and(|inner| inner.as_str() != Some(text(&id))) {
            return Err(updates.wrong("id", "an id can't be changed"));
        }
        let mut updates: Map = updates.rest();
        for ignored in SERVER_FIELDS.iter().chain(&["id"]) {
            updates.shift_remove(*ignored);
        }
        Ok((id, MergePatch::new(updates)))
    }

    pub(super) fn move_node(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let node_id = fields.required_id("nodeId", NodeId::parse)?;
        let position = self.position(&fields.required("position")?, &Path::Key(path, "position"))?;
        fields.finish()?;
        Ok(Command::UpdateNodePosition { node_id, position })
    }

    pub(super) fn only_id<T>(
        &self,
        payload: Value,
        path: &Path<'_>,
        key: &str,
        parse: fn(&str) -> Result<T, dao_projections::InvalidId>,
    ) -> Result<T, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let id = fields.required_id(key, parse)?;
        fields.finish()?;
        Ok(id)
    }

    pub(super) fn batch_update(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let nodes = match fields.optional("nodes") {
            Some(nodes) => self.nodes(nodes, &Path::Key(path, "nodes"))?,
            None => vec![],
        };
        let edges = match fields.list("edges")? {
            Some(edges) => Some(self.edges(edges, &Path::Key(path, "edges"))?),
            None => None,
        };
        let viewport = match fields.optional("viewport") {
            Some(viewport) => Some(self.viewport(viewport, &Path::Key(path, "viewport"))?),
            None => None,
        };
        fields.finish()?;
        Ok(Command::BatchUpdate { nodes, edges, viewport })
    }

    /// `{id: node}` or `[node]`, in the order received.
    pub(super) fn nodes(&self, value: Value, path: &Path<'_>) -> Result<Vec<Node>, Malformed> {
        if let Value::Array(items) = value {
            let items = items.into_iter().enumerate();
            let nodes: Result<Vec<_>, _> =
                items.map(|(index, item)| self.node(item, &Path::Index(path, index), None)).collect();
            let nodes = nodes?;
            return refuse_twice(&nodes, |node| node.id().as_str(), path).map(|()| nodes);
        }
        let by_id = Fields::of(value, path, self.repeated)?.rest();
        by_id.into_iter().map(|(key, node)| self.node(node, &Path::Key(path, &key), Some(&key))).collect()
    }

    pub(super) fn edges(&self, items: Vec<Value>, path: &Path<'_>) -> Result<Vec<Edge>, Malformed> {
        let items = items.into_iter().enumerate();
        let edges: Result<Vec<_>, _> =
            items.map(|(index, item)| self.edge(item, &Path::Index(path, index))).collect();
        let edges = edges?;
        refuse_twice(&edges, |edge| edge.id().as_str(), path).map(|()| edges)
    }
}

fn refuse_twice<T>(items: &[T], id: fn(&T) -> &str, path: &Path<'_>) -> Result<(), Malformed> {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if !seen.insert(id(item)) {
            let at = Path::Index(path, index);
            return Err(Malformed::at(Path::Key(&at, "id"), "stands in the list more than once"));
        }
    }
    Ok(())
}

/// The UUIDv7 that the server makes where an id is left out (rule G3).
fn fresh_id<T>(parse: fn(&str) -> Result<T, dao_projections::InvalidId>) -> T {
    match parse(&Uuid::now_v7().to_string()) {
        Ok(id) => id,
        Err(e) => unreachable!("a UUID is an id: {e}"),
    }
}
