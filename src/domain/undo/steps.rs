//! Operations taken back one after the other, the newest first, on a copy of the graph.
//!
//! Within one operation what it deleted comes back first, then what it changed is put back, and what it created goes
//! last: so each finds what it refers to (rule G4).
//!
//! Not here: what each operation changed ([`super::past`]), fields of one entity ([`super::merge`]), and the events that it
//! comes to ([`super::net`]).

mod deletion;

use std::collections::{HashMap, HashSet};

use dao_projections::{Edge, Entity, Event, Graph, Node, NodeId, Pointer, Position, Timestamp, UserId};
use serde_json::Value;

use self::deletion::User;
use super::{
    UndoResult,
    fields_at::{json_of_edge, json_of_node},
    net,
    past::{Past, Place, Step, Transition},
    skipped::{SkipReason, Skips, Writers},
    state::{Key, State},
};
use crate::domain::{
    OnConflict,
    descendants::PARENT_FIELDS,
    entity_change::{check_edge_size, check_ends, check_node_size},
    limits::Limits,
    order::parents_first,
};

/// An undo in the making.
pub(in crate::domain) struct Taking<'a> {
    pub(super) head: &'a Graph,
    /// The graph as the steps so far left it.
    pub(super) then: Graph,
    pub(super) past: &'a Past,
    pub(super) on_conflict: OnConflict,
    pub(super) limits: &'a Limits,
    pub(super) writers: Writers<'a>,
    /// Who made the operations.
    authors: HashSet<&'a UserId>,
    touched: Vec<Key>,
    /// Created nodes that stay since they are in use, and by what. So whatever they are inside of stays too.
    in_use: HashMap<NodeId, User>,
    pub(super) result: UndoResult,
    pub(super) skips: Skips,
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
            in_use: HashMap::new(),
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
        self.result.keep_what_differs(self.head, &self.then);
        let events = net::events(self.head, &self.then, &self.touched, self.limits);
        self.result.skipped = self.skips.told;
        Taken { events, result: self.result, skipped: self.skips.found }
    }

    /// What was exchanged keeps what is inside of it and its edges: they refer to its id.
    fn take_back(&mut self, step: &'a Step) {
        let changes = || step.changes.iter().rev();
        for change in changes().filter(|change| change.is_exchange) {
            self.exchange_back(step, change);
        }
        let gone = changes().filter(|change| change.after.is_none());
        let gone = gone.filter_map(|change| match &change.before {
            Some(State::Node(node)) => Some((node, change.place)),
            _ => None,
        });
        for (node, place) in parents_first(gone.collect(), |(node, _)| node) {
            self.restore_node(step, node, place);
        }
        for (before, after) in changed_nodes(step, &self.then.clone()) {
            self.put_back_node(step, before, after);
        }
        for change in changes() {
            match (&change.before, &change.after) {
                (Some(State::Edge(edge)), None) => self.restore_edge(step, edge, change.place),
                (Some(State::Edge(before)), Some(State::Edge(after))) => {
                    self.put_back_edge(step, before, after);
                }
                _ => {}
            }
        }
        self.delete_created(step);
        for change in changes() {
            self.take_back_rest(step, change);
        }
    }

    /// Rule U7. Gives what stands the place of what was exchanged for it, if nobody else worked on it since. Its fields are
    /// put back like those of what was changed.
    fn exchange_back(&mut self, step: &Step, change: &Transition) {
        let Some((ordinal, created_at)) = change.place.filter(|(ordinal, _)| !self.then.has_place(*ordinal))
        else {
            return;
        };
        let entity = change.key.entity();
        let others = self.writers.other(entity, &self.authors, step.version);
        if others.is_some() && self.on_conflict != OnConflict::Overwrite {
            return;
        }
        let (deleted, restored) = match &change.key {
            Key::Node(id) => {
                let Some(node) = self.then.nodes().get(id).map(|node| node.entity.clone()) else { return };
                (
                    Event::NodeDeleted { node_id: id.clone() },
                    Event::NodeRestored { node, ordinal, created_at },
                )
            }
            Key::Edge(id) => {
                let Some(edge) = self.then.edges().get(id).map(|edge| edge.entity.clone()) else { return };
                (
                    Event::EdgeDeleted { edge_id: id.clone() },
                    Event::EdgeRestored { edge, ordinal, created_at },
                )
            }
            Key::Viewport | Key::Graph => return,
        };
        self.result.revert(entity, vec![Pointer::root()]);
        self.apply(change.key.clone(), &deleted);
        self.apply(change.key.clone(), &restored);
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

    pub(super) fn apply(&mut self, key: Key, event: &Event) {
        let version = self.head.head().version.next();
        let at = self.head.last_modified().unwrap_or(Timestamp(0));
        self.then.apply_event(event, version, at);
        self.touched.push(key);
    }

    /// Why what was deleted can't take its place again.
    fn no_place(&self, is_taken: bool, is_full: bool) -> Option<SkipReason> {
        match is_taken {
            true => (self.on_conflict != OnConflict::Overwrite).then_some(SkipReason::IdTaken),
            false => is_full.then_some(SkipReason::TooManyEntities),
        }
    }

    fn restore_node(&mut self, step: &Step, node: &Node, place: Option<Place>) {
        let entity = Entity::Node(node.id());
        let standing = self.then.nodes().get(node.id()).map(|standing| &standing.entity);
        if standing == Some(node) {
            return;
        }
        let is_full = self.then.nodes().len() >= self.limits.nodes_max;
        if let Some(reason) = self.no_place(standing.is_some(), is_full) {
            let values = (json_of_node(node), standing.map_or(Value::Null, json_of_node));
            return self.skip(reason, step, entity, Pointer::root(), values);
        }
        if check_node_size(node, self.limits).is_err() {
            let values = (Value::Null, Value::Null);
            return self.skip(SkipReason::EntityTooLarge, step, entity, Pointer::root(), values);
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
            if let Some(above) = standing.or_else(|| self.past.gone.get(&id)) {
                position = sum(&position, above.position());
                parent = above.parents().next().map(|(_, id)| id);
            }
        }
        position
    }

    fn restore_edge(&mut self, step: &Step, edge: &Edge, place: Option<Place>) {
        let entity = Entity::Edge(edge.id());
        let standing = self.then.edges().get(edge.id()).map(|standing| &standing.entity);
        if standing == Some(edge) {
            return;
        }
        let is_full = self.then.edges().len() >= self.limits.edges_max;
        if let Some(reason) = self.no_place(standing.is_some(), is_full) {
            let values = (json_of_edge(edge), standing.map_or(Value::Null, json_of_edge));
            return self.skip(reason, step, entity, Pointer::root(), values);
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
}

/// The nodes that an operation changed, as they were before and after it, from its last event to its first. Where it put
/// some into others, each comes after what it goes back into, also through nodes that stay where they are: on the way back
/// none is inside of itself, and an operation may have changed places with a parent in one event each.
fn changed_nodes<'s>(step: &'s Step, then: &'s Graph) -> Vec<(&'s Node, &'s Node)> {
    let pair = |change: &'s Transition| match (&change.before, &change.after) {
        (Some(State::Node(before)), Some(State::Node(after))) => Some((before, after)),
        _ => None,
    };
    let changed: Vec<(&Node, &Node)> = step.changes.iter().rev().filter_map(pair).collect();
    if changed.iter().all(|(before, after)| before.parents().eq(after.parents())) {
        return changed;
    }
    let mut known: HashSet<NodeId> = changed.iter().map(|(before, _)| before.id().clone()).collect();
    let parents_of = |node: &Node| node.parents().map(|(_, id)| id).collect::<Vec<_>>();
    let mut above: Vec<NodeId> = changed.iter().flat_map(|(before, _)| parents_of(before)).collect();
    let mut all: Vec<_> = changed.into_iter().map(|(before, after)| (before, Some(after))).collect();
    while let Some(id) = above.pop() {
        let Some(node) = then.nodes().get(&id) else { continue };
        if known.insert(id) {
            above.extend(parents_of(&node.entity));
            all.push((&node.entity, None));
        }
    }
    let in_order = parents_first(all, |(node, _)| node);
    in_order.into_iter().filter_map(|(before, after)| Some((before, after?))).collect()
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
