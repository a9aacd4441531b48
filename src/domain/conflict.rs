//! `judge`: checks an operation against the current graph and the commits of others since its author's version (rules
//! D). The order is the protocol's: history replaced, version ahead, existence, conflict, invariants.
//!
//! Conflicts are looked for only if the target was written after the client's version, and then in the commits since;
//! nothing is tracked per field. If a commit is no longer in memory, the result is [`HistoryMissing`], and the caller
//! loads it and calls again.

mod asked;
mod batch;
mod batch_update;
mod copying;
mod deleted_along;
mod history;
mod labelling;
mod overlap;
mod replaced;
mod restoring;
mod save;
mod save_base;
mod save_changes;
mod save_report;
mod undoing;
mod wording;

pub use history::{History, HistoryMissing};
pub use save::judge_save;
pub use save_report::{SaveReport, Saved, Touched};

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use dao_projections::{Commit, Entity, Event, Graph, Outcome, Version};

pub use self::batch::SkippedMember;
use self::{
    asked::{Asked, Fields, yours_of},
    batch::judge_batch,
    deleted_along::is_unseen_work,
    overlap::{Conflicts, Overlap},
    wording::conflict_message,
};
use super::{
    command::{Action, Command, Member, OnConflict, Operation},
    decide::{Limits, decide},
    interest::Interest,
    lifecycle::check_state,
    refusal::{Reason, Refusal},
    restore::RestoreResult,
    undo::UndoResult,
};

/// The result of judging an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The operation changes the graph: these events, in one commit.
    Accepted {
        /// The events; never empty.
        events: Vec<Event>,
        /// Whether it was applied as is or merged with changes of others.
        outcome: Outcome,
        /// The number of events of each member, in order.
        by_member: Vec<usize>,
        /// What an undo did and left alone.
        undone: Option<Box<UndoResult>>,
        /// What a restore did and left alone.
        restored: Option<Box<RestoreResult>>,
        /// The members that were left out.
        skipped: Vec<SkippedMember>,
    },
    /// The graph already is as asked.
    Unchanged {
        /// The members that were left out.
        skipped: Vec<SkippedMember>,
        /// What a restore left alone.
        restored: Option<Box<RestoreResult>>,
    },
    /// The operation is refused.
    Refused(Refusal),
}

/// Judges `operation` on `graph`. A batch is judged member by member, each on the graph after the members before it;
/// the first refusal refuses the whole batch.
pub fn judge(
    graph: &Graph,
    operation: &Operation,
    history: &dyn History,
    limits: &Limits,
) -> Result<Verdict, HistoryMissing> {
    if let Some(refusal) = replaced::check(graph, operation, history)? {
        return Ok(Verdict::Refused(refusal));
    }
    match &operation.action {
        Action::Single(member) => {
            let judgement =
                Judgement { base: graph, graph, operation, member, history, limits, own: &[], written: None };
            Ok(match judgement.run()? {
                Ok(decided) => {
                    let by_member = vec![decided.events.len()];
                    decided.into_verdict(by_member, vec![])
                }
                Err(refusal) => Verdict::Refused(refusal),
            })
        }
        Action::Atomic { members, if_missing } => {
            judge_batch(graph, operation, (members, *if_missing), history, limits)
        }
    }
}

#[derive(Default)]
struct Decided {
    events: Vec<Event>,
    outcome: Outcome,
    undone: Option<Box<UndoResult>>,
    restored: Option<Box<RestoreResult>>,
}

impl Decided {
    fn of(events: Vec<Event>, outcome: Outcome) -> Self {
        Self { events, outcome, ..Self::default() }
    }

    fn into_verdict(self, by_member: Vec<usize>, skipped: Vec<SkippedMember>) -> Verdict {
        if self.events.is_empty() {
            return Verdict::Unchanged { skipped, restored: self.restored };
        }
        Verdict::Accepted {
            events: self.events,
            outcome: self.outcome,
            by_member,
            undone: self.undone,
            restored: self.restored,
            skipped,
        }
    }
}

/// One write to an entity: the commit, and the fields that it wrote.
#[derive(Clone, Copy)]
struct Write<'a> {
    commit: &'a Commit,
    event: &'a Event,
    /// Whether another user or client made it (rule D1).
    is_theirs: bool,
}

impl<'a> Write<'a> {
    /// The fields of the entity that it wrote.
    fn fields(&self) -> Fields<'a> {
        Fields::of(self.event)
    }
}

/// One command that is being judged.
struct Judgement<'a> {
    /// The graph after the log, and after earlier operations of this round.
    base: &'a Graph,
    /// The same graph after the earlier members of this batch.
    graph: &'a Graph,
    operation: &'a Operation,
    member: &'a Member,
    history: &'a dyn History,
    limits: &'a Limits,
    /// Commits of the same user that count as the author's own beside those of rule D1: those that the base of a
    /// document save names (rule DS3).
    own: &'a [Version],
    /// All writes that can matter, where they were looked for before.
    written: Option<&'a Written<'a>>,
}

/// Writes by the entity that they wrote, oldest first.
type Written<'a> = HashMap<Entity<'a>, Vec<Write<'a>>>;

type Judged = Result<Result<Decided, Refusal>, HistoryMissing>;

impl<'a> Judgement<'a> {
    fn run(&self) -> Judged {
        if let Some(refusal) = check_state(self.graph, &self.member.command, self.limits) {
            return Ok(Err(refusal));
        }
        let current = self.graph.head().version;
        if self.member.client_version.is_some_and(|version| version > current) {
            let message =
                format!("clientVersion is above the graph's version {current}: the history was replaced");
            return Ok(Err(self.conflict(Reason::VersionAhead, message, vec![])));
        }
        match &self.member.command {
            Command::CreateNode { .. }
            | Command::CreateEdge { .. }
            | Command::CreateGraph { .. }
            | Command::DeleteGraph { .. }
            | Command::RecoverGraph => self.finish(Outcome::Applied),
            Command::UpdateNode { node_id, .. }
            | Command::UpdateNodePosition { node_id, .. }
            | Command::DeleteNode { node_id } => self.judge_target(Entity::Node(node_id)),
            Command::UpdateEdge { edge_id, .. } | Command::DeleteEdge { edge_id } => {
                self.judge_target(Entity::Edge(edge_id))
            }
            Command::SetViewport { .. } => self.judge_target(Entity::Viewport),
            Command::UpdateGraph { .. } => self.judge_target(Entity::Graph),
            Command::BatchUpdate { nodes, edges, viewport } => {
                self.judge_batch_update(nodes, edges.as_deref(), viewport.as_ref())
            }
            Command::SaveDocument { save } => {
                let Self { base, operation, member, history, limits, .. } = *self;
                Ok(judge_save(base, operation, (save, member), history, limits)?.into_decided())
            }
            Command::Undo { operations } => self.judge_undo(operations),
            Command::CopyGraph { attributes, from } => self.judge_copy(from, attributes),
            Command::LabelVersion { labelling } => self.judge_label(labelling),
            Command::RestoreVersion { restoring } => self.judge_restore(restoring),
        }
    }

    /// Judges a command with one existing target.
    fn judge_target(&self, entity: Entity<'_>) -> Judged {
        let command = &self.member.command;
        let along = self.deleted_along();
        let looked_at: Vec<Entity<'_>> = std::iter::once(entity).chain(along.iter().copied()).collect();
        let mut all_writes = self.writes_to(&looked_at)?;
        let writes = all_writes.remove(&entity).unwrap_or_default();
        if let Some(deletion) = self.deletion_of(entity, &writes) {
            return Ok(Err(self.target_deleted(entity, Cow::Owned(yours_of(command)), deletion)));
        }
        if !self.exists(entity) {
            return self.finish(Outcome::Applied); // decides that it is not found
        }
        let mut is_merged = writes.iter().any(|write| write.is_theirs);
        let mut conflicts = Conflicts::default();
        match self.member.on_conflict {
            _ if !is_merged => {}
            OnConflict::Reject => {
                self.overlap(entity, Asked::by(command), &writes)
                    .everything_touched(Asked::Nothing, &mut conflicts);
            }
            OnConflict::Merge => self.same_fields(entity, &writes, &mut conflicts),
            OnConflict::Overwrite => {}
        }
        let mut unseen = Conflicts::default();
        self.unseen_work(&along, &all_writes, &mut unseen);
        match self.member.on_conflict {
            OnConflict::Overwrite => is_merged |= unseen.found > 0,
            OnConflict::Merge | OnConflict::Reject => conflicts.append(unseen),
        }
        if conflicts.told.is_empty() {
            return self.finish(if is_merged { Outcome::Merged } else { Outcome::Applied });
        }
        Ok(Err(self.conflict(Reason::Conflict, conflict_message(&conflicts), conflicts.told)))
    }

    fn overlap<'w>(&'w self, entity: Entity<'w>, asked: Asked<'w>, writes: &'w [Write<'w>]) -> Overlap<'w> {
        Overlap { entity, asked, writes, graph: self.graph }
    }

    /// Decides the events, after all conflicts were ruled out.
    fn finish(&self, outcome: Outcome) -> Judged {
        match decide(self.graph, &self.member.command, self.limits) {
            Ok(events) => Ok(Ok(Decided::of(events, outcome))),
            Err(rejection) => Ok(Err(self.refusal(rejection)?)),
        }
    }

    /// The client's version, if the graph has newer commits.
    fn stale_version(&self) -> Option<Version> {
        self.member.client_version.filter(|version| *version < self.graph.head().version)
    }

    fn exists(&self, entity: Entity<'_>) -> bool {
        last_written(self.graph, entity).is_some()
    }

    /// All writes to `entity` after the client's version, oldest first.
    fn writes_since(&self, entity: Entity<'_>) -> Result<Vec<Write<'a>>, HistoryMissing> {
        Ok(self.writes_to(&[entity])?.into_values().next().unwrap_or_default())
    }

    /// All writes to any of these after the client's version, oldest first. The history is not read if the entities
    /// were not written since, and it is walked once for all of them.
    fn writes_to(
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
    fn is_own(&self, commit: &Commit) -> bool {
        let Operation { user, client, is_client_named, .. } = self.operation;
        let body = &commit.body;
        if *user == body.user_id && self.own.contains(&commit.version) {
            return true;
        }
        *is_client_named && body.is_client_named && (user, client) == (&body.user_id, &body.client_id)
    }

    /// The deletion that refuses a command on this target (rule D4): the last one since the client's version. If the
    /// target was created again, only deletions by others count.
    fn deletion_of<'w>(&self, entity: Entity<'_>, writes: &'w [Write<'a>]) -> Option<&'w Write<'a>> {
        let is_there = self.exists(entity);
        let counts = |write: &&Write<'_>| write.event.is_deletion() && (write.is_theirs || !is_there);
        writes.iter().rev().find(counts)
    }

    /// Rule D3 for a command with one target.
    fn same_fields(&self, entity: Entity<'_>, writes: &[Write<'_>], into: &mut Conflicts) {
        let command = &self.member.command;
        let overlap = self.overlap(entity, Asked::by(command), writes);
        match command {
            // The last writer wins.
            Command::UpdateNodePosition { .. } | Command::SetViewport { .. } => {}
            // That others moved it is no conflict; that they updated or created it is.
            Command::DeleteNode { .. } | Command::DeleteEdge { .. } => {
                overlap.same_fields(is_unseen_work, into);
            }
            Command::UpdateNode { .. } | Command::UpdateEdge { .. } | Command::UpdateGraph { .. } => {
                overlap.same_fields(|write| write.is_theirs, into);
            }
            Command::CreateNode { .. }
            | Command::CreateEdge { .. }
            | Command::BatchUpdate { .. }
            | Command::SaveDocument { .. }
            | Command::Undo { .. }
            | Command::CreateGraph { .. }
            | Command::CopyGraph { .. }
            | Command::DeleteGraph { .. }
            | Command::RecoverGraph
            | Command::LabelVersion { .. }
            | Command::RestoreVersion { .. } => {}
        }
    }
}

/// The commit that last wrote the entity; `None` if the entity does not exist.
pub(super) fn last_written(graph: &Graph, entity: Entity<'_>) -> Option<Version> {
    match entity {
        Entity::Node(id) => graph.nodes().get(id).map(|node| node.version),
        Entity::Edge(id) => graph.edges().get(id).map(|edge| edge.version),
        Entity::Viewport => Some(graph.viewport_version()),
        Entity::Graph => Some(graph.metadata().attributes_version),
    }
}
