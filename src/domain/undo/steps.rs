//! Operations taken back one after the other, the newest first, on a copy of the graph.
//!
//! Within one operation what it deleted comes back first, then what it changed is put back, and what it created goes
//! last: so each finds what it refers to (rule G4).

use std::collections::{HashMap, HashSet};

use dao_projections::{
    Edge, EdgeId, Entity, Event, Graph, Node, NodeId, Ordinal, Placed, Pointer, Position, Timestamp, UserId,
    Version,
};
use serde_json::Value;

use super::{
    UndoResult, net,
    past::{Past, Place, Step, Transition},
    skipped::{SkipReason, Skips, Writers},
    state::{Key, State},
    telling::{json_of_edge, json_of_node},
};
use crate::domain::{
    OnConflict,
    decide::{Limits, check_edge_size, check_ends, check_node_size, descendants, edges_of_all},
    order::parents_first,
    refusal::Conflict,
};

/// What ties a node to another one: it stands or falls together.
pub(super) const PARENT_FIELDS: [&str; 3] = ["parentId", "parentNode", "extent"];

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
        if self.on_conflict != OnConflict::Overwrite
            && let Some(user) = self.user_of(step.version, &node)
        {
            let conflict = self.conflict(step, Entity::Node(id), Pointer::root(), user.key.entity());
            let conflict = Conflict { current: json_of_node(&node.entity), ..conflict };
            self.in_use.insert(id.clone(), user);
            return self.skips.add(SkipReason::InUse, conflict);
        }
        let going: Vec<_> = descendants(&self.then, [id]).collect();
        let edges = edges_of_all(&self.then, &going);
        let edges: Vec<EdgeId> = edges.iter().map(|edge| edge.entity.id().clone()).collect();
        let nodes: Vec<NodeId> = going.iter().rev().map(|node| node.entity.id().clone()).collect();
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
    fn user_of(&self, since: Version, node: &Placed<Node>) -> Option<User> {
        let mut going = vec![];
        for one in descendants(&self.then, [node.entity.id()]) {
            let id = one.entity.id();
            // One that stays is met before what it stays for: of many, one inside of the other, each is walked once.
            let known = self.in_use.get(id).filter(|user| user.is_other || user.ordinal < node.ordinal);
            let user =
                known.cloned().or_else(|| self.as_user(since, node, Key::Node(id.clone()), one.ordinal));
            if user.is_some() {
                return user;
            }
            going.push(one);
        }
        let edges = edges_of_all(&self.then, &going);
        edges
            .iter()
            .find_map(|edge| self.as_user(since, node, Key::Edge(edge.entity.id().clone()), edge.ordinal))
    }

    fn as_user(&self, since: Version, node: &Placed<Node>, key: Key, ordinal: Ordinal) -> Option<User> {
        let is_other = self.writers.other(key.entity(), &self.authors, since).is_some();
        (is_other || ordinal < node.ordinal).then_some(User { key, ordinal, is_other })
    }
}

/// What a created node stays for.
#[derive(Clone, Debug)]
struct User {
    key: Key,
    ordinal: Ordinal,
    /// Others wrote it since. If not, it only is older than the node.
    is_other: bool,
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
