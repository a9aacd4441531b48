//! The fields of a command that others wrote too (rules D3 and D5), and the conflicts that are reported for them.
//!
//! The cost is linear in the command, the writes and the current values.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use dao_projections::{Commit, Entity, EntityKind, Graph, Map, OperationId, Pointer, UserId, Version};
use serde_json::Value;

use super::{
    asked::{Asked, CONFLICTS_BYTES_MAX, Fields, Go, inner},
    current::{Current, Standing},
    writes::Write,
};
use crate::domain::{
    memory::value_memory,
    refusal::{Conflict, TOO_LARGE_TO_SHOW},
};

/// The most conflicts of one command that are listed; the message counts the others.
const CONFLICTS_MAX: usize = 1_000;

/// The bytes of a conflict beside its path, id and values.
const CONFLICT_BYTES: usize = 300;

/// The conflicts of a command, as far as they are reported.
#[derive(Default)]
pub(super) struct Conflicts {
    pub(super) told: Vec<Conflict>,
    /// How many were found. Counting ends with the list if finding more would need another search.
    pub(super) found: usize,
    bytes: usize,
}

impl Conflicts {
    pub(super) fn is_full(&self) -> bool {
        self.told.len() >= CONFLICTS_MAX || self.bytes > CONFLICTS_BYTES_MAX
    }

    /// Adds a conflict at `path` of `entity`: `yours` was asked for, `current` is there, last written by `by`.
    pub(super) fn add(
        &mut self,
        entity: Entity<'_>,
        path: &[&str],
        yours: Cow<'_, Value>,
        current: Cow<'_, Value>,
        by: &Commit,
    ) {
        let by = (by.version, by.body.user_id.clone(), by.body.operation_id);
        self.add_by(entity, path, (yours, current), by);
    }

    /// The same for a write without a commit yet.
    pub(super) fn add_by(
        &mut self,
        entity: Entity<'_>,
        path: &[&str],
        (yours, current): (Cow<'_, Value>, Cow<'_, Value>),
        (version, user_id, operation_id): (Version, UserId, OperationId),
    ) {
        self.found += 1;
        if self.is_full() {
            return;
        }
        let path = path.iter().fold(Pointer::root(), |above, key| above.child(key));
        let id = entity.to_string();
        self.bytes += CONFLICT_BYTES + path.as_str().len() + id.len();
        let [yours, current] = [yours, current].map(|value| self.shown(value));
        let entity = entity.kind();
        self.told.push(Conflict { entity, id, path, yours, current, version, user_id, operation_id });
    }

    /// Adds the conflicts of another list.
    pub(super) fn append(&mut self, others: Self) {
        self.told.extend(others.told.into_iter().take(CONFLICTS_MAX.saturating_sub(self.told.len())));
        self.found += others.found;
        self.bytes += others.bytes;
    }

    /// Adds conflicts that were reported before. Each path has one entry (rule D7): what several changes ask for at one
    /// path becomes one value.
    pub(super) fn append_told(&mut self, others: Vec<Conflict>) {
        for conflict in others {
            if self.is_full() {
                self.found += 1;
                continue;
            }
            self.bytes += conflict.bytes();
            let Some(told) = self.told.iter_mut().find(|told| told.is_at(&conflict)) else {
                self.found += 1;
                self.told.push(conflict);
                continue;
            };
            if let (Value::Object(all), Value::Object(more)) = (&mut told.yours, conflict.yours) {
                all.extend(more);
            }
        }
    }

    /// A value as it is reported.
    fn shown(&mut self, value: Cow<'_, Value>) -> Value {
        let bytes = value_memory(&value);
        if self.bytes + bytes > CONFLICTS_BYTES_MAX {
            return Value::from(TOO_LARGE_TO_SHOW);
        }
        self.bytes += bytes;
        value.into_owned()
    }
}

/// The latest write that touches a field, and whether any of these writes counts.
#[derive(Clone, Copy, Default)]
struct Touched {
    latest: Option<usize>,
    counts: bool,
}

impl Touched {
    fn and(self, other: Self) -> Self {
        Self { latest: self.latest.max(other.latest), counts: self.counts || other.counts }
    }
}

/// Compares the fields of one command with the writes of others to one entity.
#[derive(Clone, Copy)]
pub(super) struct Overlap<'a> {
    pub(super) entity: Entity<'a>,
    pub(super) asked: Asked<'a>,
    pub(super) writes: &'a [Write<'a>],
    pub(super) graph: &'a Graph,
}

impl Overlap<'_> {
    /// Adds a conflict for each field that a write that `counts` wrote too, unless the current value is the requested
    /// one. It names the latest commit that wrote the field, whoever made it (rule D7). Writes before the entity was
    /// deleted and created again do not count (rule D4).
    pub(super) fn same_fields(&self, counts: impl Fn(&Write<'_>) -> bool, into: &mut Conflicts) {
        Overlap { writes: since_created_again(self.writes), ..*self }.fields_of_both(counts, into);
    }

    fn fields_of_both(&self, counts: impl Fn(&Write<'_>) -> bool, into: &mut Conflicts) {
        let Some(fields) = self.asked.fields() else { return };
        let mut marks = Marks { kind: self.entity.kind(), whole: Touched::default(), at: HashMap::new() };
        for (index, write) in self.writes.iter().enumerate() {
            let touched = Touched { latest: Some(index), counts: counts(write) };
            marks.mark(fields, write.fields(), touched);
        }
        let current = Current::of(self.graph, self.entity);
        match fields {
            Fields::Patch(patch) => {
                let mut walk = Walk { overlap: self, marks: &marks, path: Vec::new(), into };
                walk.fields(patch, Below::Entity(&current), marks.whole);
            }
            Fields::Position => self.one(&["position"], current.field("position"), marks.whole, into),
            Fields::Whole => self.whole(marks.whole, into),
            Fields::Beside => {}
        }
    }

    fn one(&self, path: &[&str], stands: Standing<'_>, touched: Touched, into: &mut Conflicts) {
        let Some(latest) = touched.latest.and_then(|index| self.writes.get(index)) else { return };
        let yours = self.asked.yours(path);
        if touched.counts && !stands.is_what_was_asked(self.entity.kind(), path, &yours) {
            into.add(self.entity, path, yours, stands.value(), latest.commit);
        }
    }

    /// The command writes the whole entity: it is as requested if all fields are equal.
    fn whole(&self, touched: Touched, into: &mut Conflicts) {
        let Some(latest) = touched.latest.and_then(|index| self.writes.get(index)) else { return };
        if !touched.counts {
            return;
        }
        let (yours, current) = (self.asked.yours(&[]), whole(self.graph, self.entity));
        if *yours != current {
            into.add(self.entity, &[], yours, Cow::Owned(current), latest.commit);
        }
    }

    /// Rule D5, `reject`: adds a conflict for each field that others wrote, under the requested path if there is one,
    /// otherwise with the value in `named`.
    pub(super) fn everything_touched(&self, named: Asked<'_>, into: &mut Conflicts) {
        let kind = self.entity.kind();
        let current = Current::of(self.graph, self.entity);
        let named_fields = Current::of_asked(named);
        let mut seen: HashSet<Pointer> = HashSet::new();
        for write in self.writes.iter().rev().filter(|write| write.is_theirs) {
            let go = write.fields().each(kind, &mut |path| {
                let asked = self.asked.first_at(kind, path);
                let path = asked.as_deref().unwrap_or(path);
                let pointer = path.iter().fold(Pointer::root(), |above, key| above.child(key));
                // The search is as long as the history: once for each field.
                if !seen.insert(pointer) {
                    return Go::On;
                }
                let latest = self.writes.iter().rev().find(|write| write.fields().touch(kind, path));
                if let Some(latest) = latest {
                    let stands = match path.is_empty() {
                        true => Cow::Owned(whole(self.graph, self.entity)),
                        false => current.at(path).value(),
                    };
                    let yours = match &asked {
                        Some(_) => self.asked.yours(path),
                        None if path.is_empty() => named.yours(path),
                        None => named_fields.at(path).value(),
                    };
                    into.add(self.entity, path, yours, stands, latest.commit);
                }
                if into.is_full() { Go::Stop } else { Go::On }
            });
            if go == Go::Stop {
                return;
            }
        }
    }
}

/// The writes to an existing entity since it was last deleted.
fn since_created_again<'w, 'a>(writes: &'w [Write<'a>]) -> &'w [Write<'a>] {
    writes.rsplit(|write| write.event.is_deletion()).next().unwrap_or(writes)
}

/// The entity as JSON; null if it does not exist.
pub(super) fn whole(graph: &Graph, entity: Entity<'_>) -> Value {
    let fields = match entity {
        Entity::Node(id) => graph.nodes().get(id).map(|node| node.entity.to_json()),
        Entity::Edge(id) => graph.edges().get(id).map(|edge| edge.entity.to_json()),
        Entity::Viewport => return graph.viewport().to_json(),
        Entity::Graph => Some(graph.metadata().attributes.fields().clone()),
    };
    fields.map_or(Value::Null, Value::Object)
}

/// Marks on the requested fields that others touched. A mark at a value of a patch covers all below it.
struct Marks {
    kind: EntityKind,
    whole: Touched,
    /// Keyed by the address of the value in the patch, which does not move meanwhile.
    at: HashMap<*const Value, Touched>,
}

impl Marks {
    fn mark(&mut self, asked: Fields<'_>, written: Fields<'_>, touched: Touched) {
        match (asked, written) {
            (Fields::Beside, _) | (_, Fields::Beside) => {}
            (Fields::Whole, _) | (_, Fields::Whole) | (Fields::Position, Fields::Position) => {
                self.whole = self.whole.and(touched);
            }
            (Fields::Position, Fields::Patch(written)) => {
                if written.contains_key("position") {
                    self.whole = self.whole.and(touched);
                }
            }
            (Fields::Patch(asked), Fields::Position) => {
                if let Some(value) = asked.get("position") {
                    self.mark_value(value, touched);
                }
            }
            (Fields::Patch(asked), Fields::Patch(written)) => self.mark_common(asked, written, 0, touched),
        }
    }

    fn mark_value(&mut self, value: &Value, touched: Touched) {
        let mark = self.at.entry(value).or_default();
        *mark = mark.and(touched);
    }

    /// The keys of the smaller side are looked up in the larger.
    fn mark_common(&mut self, asked: &Map, written: &Map, depth: usize, touched: Touched) {
        if asked.len() <= written.len() {
            for (key, value) in asked {
                if let Some(other) = written.get(key) {
                    self.mark_both(key, value, other, depth, touched);
                }
            }
        } else {
            for (key, other) in written {
                if let Some(value) = asked.get(key) {
                    self.mark_both(key, value, other, depth, touched);
                }
            }
        }
    }

    fn mark_both(&mut self, key: &str, asked: &Value, written: &Value, depth: usize, touched: Touched) {
        match (inner(asked, self.kind, depth, key), inner(written, self.kind, depth, key)) {
            (Some(below), Some(written)) => self.mark_common(below, written, depth + 1, touched),
            _ => self.mark_value(asked, touched),
        }
    }

    fn of(&self, value: &Value) -> Touched {
        self.at.get(&std::ptr::from_ref(value)).copied().unwrap_or_default()
    }
}

/// The level of the fields of a patch: directly in the entity, or deeper.
#[derive(Clone, Copy)]
enum Below<'c> {
    Entity(&'c Current<'c>),
    Field(Standing<'c>),
}

impl<'c> Below<'c> {
    fn field(self, key: &str) -> Standing<'c> {
        match self {
            Self::Entity(current) => current.field(key),
            Self::Field(standing) => standing.field(key),
        }
    }
}

/// A walk over the leaves of a patch.
struct Walk<'w, 'p> {
    overlap: &'w Overlap<'w>,
    marks: &'w Marks,
    path: Vec<&'p str>,
    into: &'w mut Conflicts,
}

impl<'p> Walk<'_, 'p> {
    fn fields(&mut self, fields: &'p Map, stands: Below<'_>, above: Touched) {
        for (key, value) in fields {
            let (depth, touched) = (self.path.len(), above.and(self.marks.of(value)));
            let stands = stands.field(key);
            self.path.push(key);
            match inner(value, self.marks.kind, depth, key) {
                Some(below) => self.fields(below, Below::Field(stands), touched),
                None => self.leaf(value, stands, touched),
            }
            self.path.pop();
        }
    }

    fn leaf(&mut self, yours: &Value, stands: Standing<'_>, touched: Touched) {
        let entity = self.overlap.entity;
        let Some(latest) = touched.latest.and_then(|index| self.overlap.writes.get(index)) else { return };
        if touched.counts && !stands.is_what_was_asked(entity.kind(), &self.path, yours) {
            self.into.add(entity, &self.path, Cow::Borrowed(yours), stands.value(), latest.commit);
        }
    }
}
