//! Operations taken back one after the other, the newest first, on a copy of the graph.
//!
//! Within one operation what it deleted comes back first, then what it changed is put back, and what it created goes
//! last: so each finds what it refers to (rule G4).

use std::collections::HashSet;

use dao_projections::{
    Attributes, Edge, EdgeId, Entity, Event, Graph, Map, Node, NodeId, Placed, Pointer, Position, Timestamp,
    UserId, Version, Viewport,
};
use serde_json::Value;

use super::{
    UndoResult, merge,
    merge::{Merged, Sides},
    net,
    order::parents_first,
    skipped::{SkipReason, Skips, Writers},
    state::{Key, State},
    trace::{Past, Place, Step, Transition},
};
use crate::domain::{
    OnConflict,
    ancestry::Ancestry,
    decide::{
        Limits, Rejection, check_edge_size, check_ends, check_node_size, edges_of_all, with_descendants,
    },
    refusal::Conflict,
};

/// What ties a node to another one: it stands or falls together.
const PARENT_FIELDS: [&str; 3] = ["parentId", "parentNode", "extent"];

/// An undo in the making.
pub(in crate::domain) struct Taking<'a> {
    head: &'a Graph,
    /// The graph as the steps so far left it.
    then: Graph,
    past: &'a Past,
    on_conflict: OnConflict,
    limits: &'a Limits,
    writers: Writers<'a>,
    /// Who made the operations.
    authors: HashSet<&'a UserId>,
    touched: Vec<Key>,
    result: UndoResult,
    skips: Skips,
}

/// What taking them back came to.
pub(in crate::domain) struct Taken {
    /// What makes the graph so.
    pub(in crate::domain) events: Vec<Event>,
    /// What is told.
    pub(in crate::domain) result: UndoResult,
    /// How much was left alone; more than is told.
    pub(in crate::domain) skipped: usize,
}

impl<'a> Taking<'a> {
    pub(in crate::domain) fn new(
        head: &'a Graph,
        past: &'a Past,
        on_conflict: OnConflict,
        limits: &'a Limits,
        writers: Writers<'a>,
    ) -> Self {
        Self {
            head,
            then: head.clone(),
            past,
            on_conflict,
            limits,
            writers,
            authors: past.steps.iter().map(|step| &step.user).collect(),
            touched: vec![],
            result: UndoResult::default(),
            skips: Skips::default(),
        }
    }

    /// Takes all of them back.
    pub(in crate::domain) fn run(mut self) -> Taken {
        for step in &self.past.steps {
            self.result.undoes.push(step.operation);
            self.take_back(step);
        }
        self.result.undoes.reverse();
        let events = net::events(self.head, &self.then, &self.touched, self.limits);
        self.result.skipped = self.skips.told;
        Taken { events, result: self.result, skipped: self.skips.found }
    }

    fn take_back(&mut self, step: &'a Step) {
        let changes = || step.changes.iter().rev();
        self.delete_created(step, |change| change.is_exchange);
        let gone = changes().filter(|change| change.is_deletion() && !self.is_in_the_way(change));
        let gone = gone.filter_map(|change| match &change.before {
            Some(State::Node(node)) => Some((node, change.place)),
            _ => None,
        });
        for (node, place) in parents_first(gone.collect(), |(node, _)| node) {
            self.restore_node(step, node, place);
        }
        for change in changes().filter(|change| !change.is_exchange) {
            if let (Some(State::Node(before)), Some(State::Node(after))) = (&change.before, &change.after) {
                self.put_back_node(step, before, after);
            }
        }
        for change in changes() {
            match (&change.before, &change.after) {
                _ if self.is_in_the_way(change) => {}
                (Some(State::Edge(edge)), _) if change.is_deletion() => {
                    self.restore_edge(step, edge, change.place);
                }
                (Some(State::Edge(before)), Some(State::Edge(after))) => {
                    self.put_back_edge(step, before, after);
                }
                _ => {}
            }
        }
        self.delete_created(step, |change| change.before.is_none() && change.after.is_some());
        for change in changes() {
            self.take_back_rest(step, change);
        }
    }

    /// Edges first, and nodes after what is in them.
    fn delete_created(&mut self, step: &'a Step, is_wanted: fn(&Transition) -> bool) {
        let keys = || step.changes.iter().rev().filter(|change| is_wanted(change)).map(|change| &change.key);
        for key in keys() {
            if let Key::Edge(id) = key {
                self.delete_edge(step, id);
            }
        }
        let then = self.then.clone();
        let standing = keys().filter_map(|key| match key {
            Key::Node(id) => then.nodes().get(id).map(|node| &node.entity),
            Key::Edge(_) | Key::Viewport | Key::Graph => None,
        });
        for node in parents_first(standing.collect(), |node| node).into_iter().rev() {
            self.delete_node(step, node.id());
        }
    }

    /// Whether what was created in its place stays: that was told already.
    fn is_in_the_way(&self, change: &Transition) -> bool {
        change.is_exchange
            && match &change.key {
                Key::Node(id) => self.then.nodes().get(id).is_some(),
                Key::Edge(id) => self.then.edges().get(id).is_some(),
                Key::Viewport | Key::Graph => false,
            }
    }

    /// The viewport, and the graph's attributes.
    fn take_back_rest(&mut self, step: &Step, change: &Transition) {
        match (&change.key, &change.before, &change.after) {
            (Key::Viewport, Some(State::Viewport(before)), Some(State::Viewport(after))) => {
                self.put_back_viewport(step, before, after);
            }
            (Key::Graph, Some(State::Attributes(before)), Some(State::Attributes(after))) => {
                self.put_back_attributes(step, before, after);
            }
            _ => {}
        }
    }

    fn apply(&mut self, key: Key, event: &Event) {
        let version = self.head.head().version.next();
        let at = self.head.last_modified().unwrap_or(Timestamp(0));
        self.then.apply_event(event, version, at);
        self.touched.push(key);
    }

    fn restore_node(&mut self, step: &Step, node: &Node, place: Option<Place>) {
        let entity = Entity::Node(node.id());
        if let Some(standing) = self.then.nodes().get(node.id()) {
            if standing.entity == *node {
                return;
            }
            if self.on_conflict != OnConflict::Overwrite {
                let (yours, current) = (json_of_node(node), json_of_node(&standing.entity));
                return self.skip(SkipReason::IdTaken, step, entity, Pointer::root(), (yours, current));
            }
        } else if self.then.nodes().len() >= self.limits.nodes_max {
            let yours = json_of_node(node);
            return self.skip(
                SkipReason::TooManyEntities,
                step,
                entity,
                Pointer::root(),
                (yours, Value::Null),
            );
        }
        if check_node_size(node, self.limits).is_err() {
            return self.skip(
                SkipReason::EntityTooLarge,
                step,
                entity,
                Pointer::root(),
                (Value::Null, Value::Null),
            );
        }
        let (node, is_detached) = self.attached(node);
        if is_detached {
            self.result.detached.push(node.id().clone());
        }
        let key = Key::Node(node.id().clone());
        self.result.revert(Entity::Node(node.id()), vec![Pointer::root()]);
        let event = match (self.then.nodes().get(node.id()), place) {
            (Some(_), _) => Event::NodeReplaced { node },
            (None, Some((ordinal, created_at))) => Event::NodeRestored { node, ordinal, created_at },
            (None, None) => Event::NodeCreated { node },
        };
        self.apply(key, &event);
    }

    /// The node as it can come back, and whether that is without its parent (rule U7).
    fn attached(&self, node: &Node) -> (Node, bool) {
        if node.parents().all(|(_, parent)| self.then.nodes().get(&parent).is_some()) {
            return (node.clone(), false);
        }
        let mut attributes = node.attributes().clone();
        PARENT_FIELDS.iter().for_each(|field| drop(attributes.shift_remove(*field)));
        let detached = Node::new(node.id().clone(), self.absolute(node), attributes);
        detached.map_or_else(|_| (node.clone(), false), |node| (node, true))
    }

    /// Where a node stood, its parents' positions added up as far as they are known.
    fn absolute(&self, node: &Node) -> Position {
        let (mut position, mut seen) = (node.position().clone(), HashSet::new());
        let mut parent = node.parents().next().map(|(_, id)| id);
        while let Some(id) = parent.take().filter(|id| seen.insert(id.clone())) {
            let standing = self.then.nodes().get(&id).map(|node| &node.entity);
            if let Some(above) = standing.or_else(|| self.past.known(&id)) {
                position = sum(&position, above.position());
                parent = above.parents().next().map(|(_, id)| id);
            }
        }
        position
    }

    fn restore_edge(&mut self, step: &Step, edge: &Edge, place: Option<Place>) {
        let entity = Entity::Edge(edge.id());
        if let Some(standing) = self.then.edges().get(edge.id()) {
            if standing.entity == *edge {
                return;
            }
            if self.on_conflict != OnConflict::Overwrite {
                let (yours, current) = (json_of_edge(edge), json_of_edge(&standing.entity));
                return self.skip(SkipReason::IdTaken, step, entity, Pointer::root(), (yours, current));
            }
        } else if self.then.edges().len() >= self.limits.edges_max {
            let yours = json_of_edge(edge);
            return self.skip(
                SkipReason::TooManyEntities,
                step,
                entity,
                Pointer::root(),
                (yours, Value::Null),
            );
        }
        if let Err(rejection) = check_edge_size(edge, self.limits).and_then(|()| check_ends(&self.then, edge))
        {
            return self.skip_rejected(&rejection, step, entity, Pointer::root(), json_of_edge(edge));
        }
        self.result.revert(entity, vec![Pointer::root()]);
        let edge = edge.clone();
        let key = Key::Edge(edge.id().clone());
        let event = match (self.then.edges().get(edge.id()), place) {
            (Some(_), _) => Event::EdgeReplaced { edge },
            (None, Some((ordinal, created_at))) => Event::EdgeRestored { edge, ordinal, created_at },
            (None, None) => Event::EdgeCreated { edge },
        };
        self.apply(key, &event);
    }

    fn put_back_node(&mut self, step: &Step, before: &Node, after: &Node) {
        let (id, entity) = (before.id(), Entity::Node(before.id()));
        let Some(standing) = self.then.nodes().get(id).map(|node| node.entity.clone()) else {
            return self.skip_gone(step, entity, json_of_node(before));
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
    fn check_node(&self, node: Option<&Node>, standing: &Node) -> Result<(), Rejection> {
        let Some(node) = node else { return Err(Rejection::NodeTooLarge(standing.id().clone())) };
        check_node_size(node, self.limits)?;
        if !node.parents().eq(standing.parents()) {
            Ancestry::in_graph(&self.then).check(node)?;
        }
        Ok(())
    }

    fn put_back_edge(&mut self, step: &Step, before: &Edge, after: &Edge) {
        const ENDS: [&str; 2] = ["source", "target"];
        let (id, entity) = (before.id(), Entity::Edge(before.id()));
        let Some(standing) = self.then.edges().get(id).map(|edge| edge.entity.clone()) else {
            return self.skip_gone(step, entity, json_of_edge(before));
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

    fn put_back_viewport(&mut self, step: &Step, before: &Viewport, after: &Viewport) {
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

    fn put_back_attributes(&mut self, step: &Step, before: &Attributes, after: &Attributes) {
        let standing = self.then.metadata().attributes.fields().clone();
        let sides = (before.fields().clone(), after.fields().clone());
        let (now, merged) = self.merge(sides, standing.clone(), |_| false);
        self.skip_taken_over(step, Entity::Graph, &standing, &merged);
        if let Some(patch) = dao_projections::MergePatch::between(&standing, &now).filter(|_| now != standing)
        {
            self.result.revert(Entity::Graph, merged.reverted);
            self.apply(Key::Graph, &Event::GraphUpdated { patch });
        }
    }

    fn merge(&self, (before, after): (Map, Map), mut now: Map, is_whole: merge::IsWhole) -> (Map, Merged) {
        let mut merged = Merged::default();
        let sides = Sides { before: &before, after: &after };
        merge::put_back(sides, &mut now, self.on_conflict, is_whole, &mut merged);
        (now, merged)
    }

    fn delete_edge(&mut self, step: &Step, id: &EdgeId) {
        let Some(edge) = self.then.edges().get(id).cloned() else { return };
        let entity = Entity::Edge(id);
        let others = self.writers.other(entity, &self.authors, step.version);
        if others.is_some() && self.on_conflict != OnConflict::Overwrite {
            let values = (Value::Null, json_of_edge(&edge.entity));
            return self.skip(SkipReason::InUse, step, entity, Pointer::root(), values);
        }
        self.result.revert(entity, vec![Pointer::root()]);
        self.apply(Key::Edge(id.clone()), &Event::EdgeDeleted { edge_id: id.clone() });
    }

    /// Rule U6. With a node goes what is inside of it, and the edges of all that.
    fn delete_node(&mut self, step: &Step, id: &NodeId) {
        let Some(node) = self.then.nodes().get(id).cloned() else { return };
        let going = with_descendants(&self.then, id);
        let edges = edges_of_all(&self.then, &going);
        let user = self.user_of(step.version, &node, &going, &edges);
        let edges: Vec<EdgeId> = edges.iter().map(|edge| edge.entity.id().clone()).collect();
        let nodes: Vec<NodeId> = going.iter().rev().map(|node| node.entity.id().clone()).collect();
        if let Some(user) = user
            && self.on_conflict != OnConflict::Overwrite
        {
            let conflict = self.conflict(step, Entity::Node(id), Pointer::root(), user.entity());
            let conflict = Conflict { current: json_of_node(&node.entity), ..conflict };
            return self.skips.add(SkipReason::InUse, conflict);
        }
        for edge_id in edges {
            self.result.revert(Entity::Edge(&edge_id), vec![Pointer::root()]);
            self.apply(Key::Edge(edge_id.clone()), &Event::EdgeDeleted { edge_id });
        }
        for node_id in nodes {
            self.result.revert(Entity::Node(&node_id), vec![Pointer::root()]);
            self.apply(Key::Node(node_id.clone()), &Event::NodeDeleted { node_id });
        }
    }

    /// What keeps a created node in use: what somebody else did to it, hung on it or put into it, and what was there
    /// before it.
    fn user_of(
        &self,
        since: Version,
        node: &Placed<Node>,
        going: &[&Placed<Node>],
        edges: &[&Placed<Edge>],
    ) -> Option<Key> {
        let used = |entity: Entity<'_>| self.writers.other(entity, &self.authors, since).is_some();
        let used_node =
            going.iter().find(|one| one.ordinal < node.ordinal || used(Entity::Node(one.entity.id())));
        let used_edge =
            || edges.iter().find(|edge| edge.ordinal < node.ordinal || used(Entity::Edge(edge.entity.id())));
        used_node
            .map(|node| Key::Node(node.entity.id().clone()))
            .or_else(|| used_edge().map(|edge| Key::Edge(edge.entity.id().clone())))
    }

    fn skip_taken_over(&mut self, step: &Step, entity: Entity<'_>, standing: &Map, merged: &Merged) {
        for (path, yours) in &merged.taken_over {
            let current = at(standing, path);
            self.skip(SkipReason::TakenOver, step, entity, path.clone(), (yours.clone(), current));
        }
    }

    /// Leaves fields alone that can't be put back, and tells of the first.
    fn skip_fields(
        &mut self,
        rejection: &Rejection,
        step: &Step,
        entity: Entity<'_>,
        fields: &[&str],
        merged: &mut Merged,
    ) {
        let is_left = |path: &Pointer| path.keys().next().is_some_and(|key| fields.contains(&key.as_ref()));
        let first = merged.reverted.iter().find(|path| is_left(path)).cloned();
        merged.reverted.retain(|path| !is_left(path));
        if let Some(path) = first {
            self.skip_rejected(rejection, step, entity, path, Value::Null);
        }
    }

    fn skip_gone(&mut self, step: &Step, entity: Entity<'_>, yours: Value) {
        self.skip(SkipReason::TargetDeleted, step, entity, Pointer::root(), (yours, Value::Null));
    }

    fn skip_rejected(
        &mut self,
        rejection: &Rejection,
        step: &Step,
        entity: Entity<'_>,
        path: Pointer,
        yours: Value,
    ) {
        let (reason, in_the_way) = match rejection {
            Rejection::DanglingEdge { node, .. } => (SkipReason::DanglingEdge, Some(node)),
            Rejection::ParentNotFound { parent, .. } => (SkipReason::ParentNotFound, Some(parent)),
            Rejection::ParentCycle(_) => (SkipReason::ParentCycle, None),
            Rejection::TooManyNodes | Rejection::TooManyEdges => (SkipReason::TooManyEntities, None),
            Rejection::NodeTooLarge(_)
            | Rejection::EdgeTooLarge(_)
            | Rejection::NodeNotFound(_)
            | Rejection::EdgeNotFound(_)
            | Rejection::NodeIdTaken(_)
            | Rejection::EdgeIdTaken(_) => (SkipReason::EntityTooLarge, None),
        };
        let by = in_the_way.map_or(entity, |node| Entity::Node(node));
        let conflict = self.conflict(step, entity, path, by);
        self.skips.add(reason, Conflict { yours, ..conflict });
    }

    fn skip(
        &mut self,
        reason: SkipReason,
        step: &Step,
        entity: Entity<'_>,
        path: Pointer,
        (yours, current): (Value, Value),
    ) {
        let conflict = self.conflict(step, entity, path, entity);
        self.skips.add(reason, Conflict { yours, current, ..conflict });
    }

    /// An entry that names who wrote last what is in the way; the operation itself where nobody did since.
    fn conflict(&self, step: &Step, entity: Entity<'_>, path: Pointer, in_the_way: Entity<'_>) -> Conflict {
        let written_at = if in_the_way == entity { path.clone() } else { Pointer::root() };
        let latest = self.writers.latest(in_the_way, &written_at, step.version);
        let (version, user_id, operation_id) = latest
            .map_or((step.version, step.user.clone(), step.operation), |commit| {
                (commit.version, commit.body.user_id.clone(), commit.body.operation_id)
            });
        Conflict {
            entity: entity.kind(),
            id: entity.to_string(),
            path,
            yours: Value::Null,
            current: Value::Null,
            version,
            user_id,
            operation_id,
        }
    }
}

fn json_of_node(node: &Node) -> Value {
    Value::Object(node.to_json())
}

fn json_of_edge(edge: &Edge) -> Value {
    Value::Object(edge.to_json())
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

/// What stands at a path; null where nothing does.
fn at(fields: &Map, path: &Pointer) -> Value {
    let mut keys = path.keys();
    let first = keys.next().and_then(|key| fields.get(key.as_ref()));
    keys.fold(first, |value, key| value?.as_object()?.get(key.as_ref())).cloned().unwrap_or(Value::Null)
}

/// Whole numbers stay whole.
fn sum(one: &Position, other: &Position) -> Position {
    let (mut sum, other) = (one.to_json(), other.to_json());
    for axis in ["x", "y"] {
        let (Some(a), Some(b)) = (sum.get(axis), other.get(axis)) else { continue };
        let whole = a.as_i64().zip(b.as_i64()).and_then(|(a, b)| a.checked_add(b)).map(Value::from);
        let value = whole.or_else(|| Some(Value::from(a.as_f64()? + b.as_f64()?)));
        if let (Some(value), Some(fields)) = (value, sum.as_object_mut()) {
            fields.insert(axis.to_owned(), value);
        }
    }
    Position::from_json(&sum).unwrap_or_else(|_| one.clone())
}
