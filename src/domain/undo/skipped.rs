//! What an undo leaves alone, why, and who stands in the way (rules U4, D7).

use std::collections::{HashMap, HashSet};

use dao_projections::{Commit, Entity, EntityKind, Event, Pointer, UserId, Version};
use serde::Serialize;
use serde_json::Value;

use crate::domain::{
    memory::value_memory,
    refusal::{Conflict, TOO_LARGE_TO_SHOW},
};

/// Entries that are told one by one; of more it is only known that there are more.
const SKIPPED_MAX: usize = 1_000;
/// What their values may occupy.
const SKIPPED_BYTES_MAX: usize = 2 << 20;
/// An entry beside its path, id and values.
const SKIPPED_BYTES: usize = 300;

/// Why something is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SkipReason {
    /// Others wrote the field since.
    TakenOver,
    /// The entity is not there any more.
    TargetDeleted,
    /// What was created is used by others.
    InUse,
    /// The id of what was deleted is used again.
    IdTaken,
    /// An end of the edge is not there any more.
    DanglingEdge,
    /// The parent is not there any more.
    ParentNotFound,
    /// The node would be inside of itself.
    ParentCycle,
    /// The entity would be larger than it may.
    EntityTooLarge,
    /// The graph would hold more than it may.
    TooManyEntities,
}

/// Something that was left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    /// Why.
    pub reason: SkipReason,
    /// Where, what was to stand there, what does, and who wrote that.
    pub conflict: Conflict,
}

/// All that was left alone, as far as it is told: one entry for each path (rule D7).
#[derive(Debug, Default)]
pub(super) struct Skips {
    pub(super) told: Vec<Skipped>,
    pub(super) found: usize,
    /// Where what is told stands in it.
    places: HashMap<(EntityKind, String, Pointer), usize>,
    bytes: usize,
}

impl Skips {
    /// Of several operations the oldest says what was to stand at a path: it is the last to be taken back.
    pub(super) fn add(&mut self, reason: SkipReason, conflict: Conflict) {
        let place = (conflict.entity, conflict.id.clone(), conflict.path.clone());
        let known = self.places.get(&place).copied();
        if known.is_none() {
            self.found += 1;
            if self.told.len() >= SKIPPED_MAX || self.bytes > SKIPPED_BYTES_MAX {
                return;
            }
            self.bytes += SKIPPED_BYTES + conflict.path.as_str().len() + conflict.id.len();
        }
        let [yours, current] = [&conflict.yours, &conflict.current].map(|value| self.shown(value));
        let mut skipped = Skipped { reason, conflict: Conflict { yours, current, ..conflict } };
        let Some(newer) = known.and_then(|at| self.told.get_mut(at)) else {
            self.places.insert(place, self.told.len());
            return self.told.push(skipped);
        };
        // Of what is gone each operation names only the fields that it changed.
        if (newer.reason, reason) == (SkipReason::TargetDeleted, SkipReason::TargetDeleted) {
            let fields = std::mem::take(&mut newer.conflict.yours);
            skipped.conflict.yours = with_fields(fields, skipped.conflict.yours);
        }
        *newer = skipped;
    }

    fn shown(&mut self, value: &Value) -> Value {
        let bytes = value_memory(value);
        if self.bytes + bytes > SKIPPED_BYTES_MAX {
            return Value::from(TOO_LARGE_TO_SHOW);
        }
        self.bytes += bytes;
        value.clone()
    }
}

/// The fields of both; where both have one, that of the older.
fn with_fields(newer: Value, older: Value) -> Value {
    match (newer, older) {
        (Value::Object(mut fields), Value::Object(older)) => {
            for (key, value) in older {
                let value = match fields.get_mut(&key) {
                    Some(known) => with_fields(known.take(), value),
                    None => value,
                };
                fields.insert(key, value);
            }
            Value::Object(fields)
        }
        (_, older) => older,
    }
}

/// What was written to entities since the operations.
#[derive(Debug, Default)]
pub(in crate::domain) struct Writers<'a> {
    /// The oldest first.
    writes: HashMap<Entity<'a>, Vec<(&'a Commit, &'a Event)>>,
}

impl<'a> Writers<'a> {
    /// The writes to any of `wanted` in these commits.
    pub(in crate::domain) fn of(
        commits: impl Iterator<Item = &'a Commit>,
        wanted: &HashSet<Entity<'_>>,
    ) -> Self {
        let mut writes: HashMap<Entity<'a>, Vec<(&'a Commit, &'a Event)>> = HashMap::new();
        for commit in commits {
            for event in commit.body.events.iter().filter(|event| wanted.contains(&event.entity())) {
                writes.entry(event.entity()).or_default().push((commit, event));
            }
        }
        Self { writes }
    }

    fn since<'s>(
        &'s self,
        entity: Entity<'s>,
        version: Version,
    ) -> impl DoubleEndedIterator<Item = (&'a Commit, &'a Event)> + use<'s, 'a> {
        let of_entity = self.writes.get(&entity).map_or(&[][..], Vec::as_slice);
        of_entity.iter().copied().filter(move |(commit, _)| commit.version > version)
    }

    /// The latest commit after `version` that wrote at this path of the entity, above it or below it.
    pub(super) fn latest(&self, entity: Entity<'_>, path: &Pointer, version: Version) -> Option<&'a Commit> {
        let touches = |event: &Event| event.paths().iter().any(|written| written.overlaps(path));
        self.since(entity, version).rev().find(|(_, event)| touches(event)).map(|(commit, _)| commit)
    }

    /// The latest commit after `version` by which somebody else than `authors` created or updated the entity. Moves don't
    /// count (rule U6). Neither do deletions: where it stands again, whoever brought it back created it.
    pub(super) fn other(
        &self,
        entity: Entity<'_>,
        authors: &HashSet<&UserId>,
        version: Version,
    ) -> Option<&'a Commit> {
        let is_work =
            |event: &Event| !event.is_deletion() && !event.paths().iter().all(Pointer::is_within_position);
        let by_others = |commit: &Commit| !authors.contains(&commit.body.user_id);
        let found = self.since(entity, version).rev();
        found.filter(|(commit, event)| by_others(commit) && is_work(event)).map(|(commit, _)| commit).next()
    }
}
