//! One command that is being judged, and the writes of others that matter to it.

use std::collections::{HashMap, HashSet};

use dao_projections::{Commit, Entity, Graph, Version};

use super::{
    asked::Asked,
    history::{History, HistoryMissing},
    overlap::Overlap,
    verdict::Decided,
    writes::{Write, Written, last_written},
};
use crate::domain::{
    command::{Member, Operation},
    interest::Interest,
    limits::Limits,
    refusal::Refusal,
};

/// One command that is being judged.
pub(super) struct Judgement<'a> {
    /// The graph after the log, and after earlier operations of this round.
    pub(super) base: &'a Graph,
    /// The same graph after the earlier members of this batch.
    pub(super) graph: &'a Graph,
    pub(super) operation: &'a Operation,
    pub(super) member: &'a Member,
    pub(super) history: &'a dyn History,
    pub(super) limits: &'a Limits,
    /// Commits of the same user that count as the author's own beside those of rule D1: those that the base of a
    /// document save names (rule DS3).
    pub(super) own: &'a [Version],
    /// All writes that can matter, where they were looked for before.
    pub(super) written: Option<&'a Written<'a>>,
}

pub(in crate::domain::conflict) type Judged = Result<Result<Decided, Refusal>, HistoryMissing>;

impl<'a> Judgement<'a> {
    pub(super) fn overlap<'w>(
        &'w self,
        entity: Entity<'w>,
        asked: Asked<'w>,
        writes: &'w [Write<'w>],
    ) -> Overlap<'w> {
        Overlap { entity, asked, writes, graph: self.graph }
    }

    /// The client's version, if the graph has newer commits.
    pub(super) fn stale_version(&self) -> Option<Version> {
        self.member.client_version.filter(|version| *version < self.graph.head().version)
    }

    pub(super) fn exists(&self, entity: Entity<'_>) -> bool {
        last_written(self.graph, entity).is_some()
    }

    /// All writes to `entity` after the client's version, oldest first.
    pub(super) fn writes_since(&self, entity: Entity<'_>) -> Result<Vec<Write<'a>>, HistoryMissing> {
        Ok(self.writes_to(&[entity])?.into_values().next().unwrap_or_default())
    }

    /// All writes to any of these after the client's version, oldest first. The history is not read if the entities
    /// were not written since, and it is walked once for all of them.
    pub(super) fn writes_to(
        &self,
        entities: &[Entity<'_>],
    ) -> Result<HashMap<Entity<'a>, Vec<Write<'a>>>, HistoryMissing> {
        let Some(version) = self.stale_version() else { return Ok(HashMap::new()) };
        let is_older =
            |entity: &Entity<'_>| last_written(self.graph, *entity).is_some_and(|at| at <= version);
        let wanted: HashSet<Entity<'_>> =
            entities.iter().copied().filter(|entity| !is_older(entity)).collect();
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        if let Some(written) = self.written {
            let written: &HashMap<Entity<'_>, Vec<Write<'a>>> = written;
            let found = wanted.iter().filter_map(|entity| written.get(entity));
            return Ok(found
                .filter_map(|writes| Some((writes.first()?.event.entity(), writes.clone())))
                .collect());
        }
        // Most look for one; a long history is then passed over without hashing.
        let only = wanted.iter().next().copied().filter(|_| wanted.len() == 1);
        let is_wanted = |entity| only.map_or_else(|| wanted.contains(&entity), |only| only == entity);
        let mut writes: HashMap<Entity<'a>, Vec<Write<'a>>> = HashMap::new();
        let missing = || HistoryMissing::Since(version, Box::new(Interest::in_entities(&wanted)));
        for commit in self.history.since(version, &wanted).ok_or_else(missing)? {
            let is_theirs = !self.is_own(commit);
            for event in commit.body.events.iter().filter(|event| is_wanted(event.entity())) {
                let write = Write { commit, event, is_theirs };
                writes.entry(event.entity()).or_default().push(write);
            }
        }
        Ok(writes)
    }

    /// Rule D1: the same user wrote through the same named client. An unnamed client may be another tab or script.
    pub(super) fn is_own(&self, commit: &Commit) -> bool {
        let Operation { user, client, is_client_named, .. } = self.operation;
        let body = &commit.body;
        if *user == body.user_id && self.own.contains(&commit.version) {
            return true;
        }
        *is_client_named && body.is_client_named && (user, client) == (&body.user_id, &body.client_id)
    }

    /// The deletion that refuses a command on this target (rule D4): the last one since the client's version. If the
    /// target was created again, only deletions by others count.
    pub(super) fn deletion_of<'w>(
        &self,
        entity: Entity<'_>,
        writes: &'w [Write<'a>],
    ) -> Option<&'w Write<'a>> {
        let is_there = self.exists(entity);
        let counts = |write: &&Write<'_>| write.event.is_deletion() && (write.is_theirs || !is_there);
        writes.iter().rev().find(counts)
    }
}
