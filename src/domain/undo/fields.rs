//! What operations changed, put back field by field (rule U4).

use dao_projections::{
    Attributes, Edge, EdgeId, Entity, Event, Map, Node, NodeId, Pointer, Position, Viewport,
};
use serde_json::Value;

use super::{
    merge::{self, Merged, Sides},
    past::Step,
    skipped::SkipReason,
    state::Key,
    steps::Taking,
};
use crate::domain::{
    OnConflict,
    ancestry::Ancestry,
    descendants::PARENT_FIELDS,
    entity_change::{check_edge_size, check_ends, check_node_size},
    lifecycle::ATTRIBUTES_BYTES_MAX,
    limits::SETTINGS,
    rejection::Rejection,
    size::json_bytes,
};

impl Taking<'_> {
    pub(super) fn put_back_node(&mut self, step: &Step, before: &Node, after: &Node) {
        let (id, entity) = (before.id(), Entity::Node(before.id()));
        let Some(standing) = self.then.nodes().get(id).map(|node| node.entity.clone()) else {
            return self.skip_gone(step, entity, &before.to_json(), &after.to_json());
        };
        let (now, mut merged) = self
            .merge((before.to_json(), after.to_json()), standing.to_json(), |path| path.is_within_position());
        let mut node = node_of(id, &now);
        if let Err(rejection) = self.check_node(node.as_ref(), &standing) {
            // What it is inside of stays as it is; the rest is put back.
            let kept = with_fields_of(now, &standing.to_json(), &PARENT_FIELDS);
            self.skip_fields(&rejection, step, entity, &PARENT_FIELDS, &mut merged);
            node = node_of(id, &kept);
            if let Err(rejection) = self.check_node(node.as_ref(), &standing) {
                return self.skip_rejected(&rejection, step, entity, Pointer::root(), Value::Null);
            }
        }
        self.skip_taken_over(step, entity, &standing.to_json(), &merged);
        if let Some(node) = node.filter(|node| *node != standing) {
            self.result.revert(entity, merged.reverted);
            self.apply(Key::Node(id.clone()), &Event::NodeReplaced { node });
        }
    }

    /// Whether the node may stand there in place of the one that does.
    pub(super) fn check_node(&self, node: Option<&Node>, standing: &Node) -> Result<(), Rejection> {
        let Some(node) = node else { return Err(Rejection::NodeTooLarge(standing.id().clone())) };
        check_node_size(node, self.limits)?;
        if !node.parents().eq(standing.parents()) {
            Ancestry::in_graph(&self.then).check(node)?;
        }
        Ok(())
    }

    pub(super) fn put_back_edge(&mut self, step: &Step, before: &Edge, after: &Edge) {
        const ENDS: [&str; 2] = ["source", "target"];
        let (id, entity) = (before.id(), Entity::Edge(before.id()));
        let Some(standing) = self.then.edges().get(id).map(|edge| edge.entity.clone()) else {
            return self.skip_gone(step, entity, &before.to_json(), &after.to_json());
        };
        let (now, mut merged) =
            self.merge((before.to_json(), after.to_json()), standing.to_json(), |_| false);
        let check = |edge: Option<&Edge>| match edge {
            None => Err(Rejection::EdgeTooLarge(id.clone())),
            Some(edge) => check_edge_size(edge, self.limits).and_then(|()| check_ends(&self.then, edge)),
        };
        let mut edge = edge_of(id, &now);
        let mut problem = check(edge.as_ref()).err();
        if let Some(rejection) = &problem {
            let kept = edge_of(id, &with_fields_of(now, &standing.to_json(), &ENDS));
            let of_rest = check(kept.as_ref()).err();
            edge = kept;
            self.skip_fields(rejection, step, entity, &ENDS, &mut merged);
            problem = of_rest;
        }
        if let Some(rejection) = problem {
            return self.skip_rejected(&rejection, step, entity, Pointer::root(), Value::Null);
        }
        self.skip_taken_over(step, entity, &standing.to_json(), &merged);
        if let Some(edge) = edge.filter(|edge| *edge != standing) {
            self.result.revert(entity, merged.reverted);
            self.apply(Key::Edge(id.clone()), &Event::EdgeReplaced { edge });
        }
    }

    pub(super) fn put_back_viewport(&mut self, step: &Step, before: &Viewport, after: &Viewport) {
        let standing = self.then.viewport().clone();
        if standing == *before || before == after {
            return;
        }
        if standing != *after && self.on_conflict != OnConflict::Overwrite {
            let values = (before.to_json(), standing.to_json());
            return self.skip(SkipReason::TakenOver, step, Entity::Viewport, Pointer::root(), values);
        }
        self.result.revert(Entity::Viewport, vec![Pointer::root()]);
        self.apply(Key::Viewport, &Event::ViewportSet { viewport: before.clone() });
    }

    /// All but the settings: they take the right `admin`, an undo `write` (rule U3).
    pub(super) fn put_back_attributes(&mut self, step: &Step, before: &Attributes, after: &Attributes) {
        let standing = self.then.metadata().attributes.fields().clone();
        let sides = [before, after].map(|attributes| {
            let mut fields = attributes.fields().clone();
            fields.shift_remove(SETTINGS);
            fields
        });
        let (now, merged) = self.merge(sides.into(), standing.clone(), |_| false);
        if json_bytes(&now) > ATTRIBUTES_BYTES_MAX && now != standing {
            let rejection = Rejection::AttributesTooLarge;
            return self.skip_rejected(&rejection, step, Entity::Graph, Pointer::root(), Value::Null);
        }
        self.skip_taken_over(step, Entity::Graph, &standing, &merged);
        if let Some(patch) = dao_projections::MergePatch::between(&standing, &now).filter(|_| now != standing)
        {
            self.result.revert(Entity::Graph, merged.reverted);
            self.apply(Key::Graph, &Event::GraphUpdated { patch });
        }
    }

    pub(super) fn merge(
        &self,
        (before, after): (Map, Map),
        mut now: Map,
        is_whole: merge::IsWhole,
    ) -> (Map, Merged) {
        let mut merged = Merged::default();
        let sides = Sides { before: &before, after: &after };
        merge::put_back(sides, &mut now, self.on_conflict, is_whole, &mut merged);
        (now, merged)
    }
}

/// `fields`, with some of them as they are in `standing`.
fn with_fields_of(mut fields: Map, standing: &Map, names: &[&str]) -> Map {
    for name in names {
        match standing.get(*name) {
            Some(value) => drop(fields.insert((*name).to_owned(), value.clone())),
            None => drop(fields.shift_remove(*name)),
        }
    }
    fields
}

fn node_of(id: &NodeId, fields: &Map) -> Option<Node> {
    let position = Position::from_json(fields.get("position")?).ok()?;
    Node::new(id.clone(), position, fields.clone()).ok()
}

fn edge_of(id: &EdgeId, fields: &Map) -> Option<Edge> {
    let end = |name| NodeId::parse(fields.get(name)?.as_str()?).ok();
    Edge::new(id.clone(), end("source")?, end("target")?, fields.clone()).ok()
}
