//! `judge`: an operation against the graph as it stands and what others did since its author looked
//! (rules D). The order is the protocol's: history replaced, version ahead, existence, conflict, invariants.
//!
//! A conflict is looked for only when the target was written after the client's version, and then
//! in the commits since; there is no book-keeping per field. What lies too far back to be at hand is
//! asked for with [`HistoryMissing`], and the same call made again with it.

mod asked;
mod batch_update;
mod deleted_along;
mod overlap;
mod replaced;
mod undoing;
mod wording;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use dao_projections::{Commit, Entity, Event, Graph, Hash, Outcome, Version};

use self::{
    asked::{Asked, Fields, yours_of},
    deleted_along::is_unseen_work,
    overlap::{Conflicts, Overlap},
    wording::conflict_message,
};
use super::{
    command::{Action, Command, Member, OnConflict, Operation},
    decide::{Limits, apply_all, decide},
    interest::Interest,
    refusal::{Reason, Refusal},
    undo::{Past, UndoResult, Undone},
};

/// The commits behind the head, newest last; how far back depends on the caller.
pub trait History {
    /// The commits in `(version, head]` that touch any of `wanted`, which the operation is about; others may
    /// be among them, and of their events others may be left out. `None` if they are not all at hand.
    fn since(
        &self,
        version: Version,
        wanted: &HashSet<Entity<'_>>,
    ) -> Option<Box<dyn Iterator<Item = &Commit> + '_>>;

    /// The commit of this number, which exists; its events may be left out. `None` if it is not at hand.
    fn at(&self, version: Version) -> Option<&Commit>;

    /// The hash of this version, which is not above the head. `None` if it is not at hand.
    fn hash_at(&self, version: Version) -> Option<Hash>;

    /// What these operations did, as [`Tracing`](super::Tracing) finds it. `None` if it is not at hand.
    fn past(&self, operations: &[Undone]) -> Option<&Past> {
        let _ = operations;
        None
    }
}

/// What the judgement needs and [`History`] had not at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryMissing {
    /// The commits after this version, as far as they touch these.
    Since(Version, Box<Interest>),
    /// This one commit.
    At(Version),
    /// The hash of this version.
    Hash(Version),
    /// What these operations did.
    Past(Vec<Undone>),
}

/// What a judgement came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It changes the graph: these events, in one commit.
    Accepted {
        /// Never empty.
        events: Vec<Event>,
        /// Whether it was reconciled with others' work.
        outcome: Outcome,
        /// How many of the events each member came to, in order.
        by_member: Vec<usize>,
        /// What an undo did and left alone.
        undone: Option<Box<UndoResult>>,
    },
    /// It is already so.
    Unchanged,
    /// It can't be done.
    Refused(Refusal),
}

/// What `operation` comes to on `graph`. A batch is judged member by member, each on the graph as
/// the members before it left it; the first refusal refuses it whole.
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
            let judgement = Judgement { base: graph, graph, operation, member, history, limits };
            Ok(match judgement.run()? {
                Ok(decided) => {
                    let by_member = vec![decided.events.len()];
                    decided.into_verdict(by_member)
                }
                Err(refusal) => Verdict::Refused(refusal),
            })
        }
        Action::Atomic(members) => judge_batch(graph, operation, members, history, limits),
    }
}

fn judge_batch(
    graph: &Graph,
    operation: &Operation,
    members: &[Member],
    history: &dyn History,
    limits: &Limits,
) -> Result<Verdict, HistoryMissing> {
    let mut then = graph.clone();
    let mut all = Decided { events: Vec::new(), outcome: Outcome::Applied, undone: None };
    let mut by_member = Vec::with_capacity(members.len());
    for (index, member) in members.iter().enumerate() {
        let judgement = Judgement { base: graph, graph: &then, operation, member, history, limits };
        match judgement.run()? {
            Ok(decided) => {
                apply_all(&mut then, &decided.events);
                by_member.push(decided.events.len());
                all.events.extend(decided.events);
                if decided.outcome == Outcome::Merged {
                    all.outcome = Outcome::Merged;
                }
            }
            Err(refusal) => return Ok(Verdict::Refused(Refusal { index: Some(index), ..refusal })),
        }
    }
    Ok(all.into_verdict(by_member))
}

struct Decided {
    events: Vec<Event>,
    outcome: Outcome,
    undone: Option<Box<UndoResult>>,
}

impl Decided {
    fn into_verdict(self, by_member: Vec<usize>) -> Verdict {
        if self.events.is_empty() {
            return Verdict::Unchanged;
        }
        Verdict::Accepted { events: self.events, outcome: self.outcome, by_member, undone: self.undone }
    }
}

/// A write by somebody: which commit, and what it wrote of the entity in question.
struct Write<'a> {
    commit: &'a Commit,
    event: &'a Event,
    /// Not by the same user through the same client (rule D1).
    is_theirs: bool,
}

impl<'a> Write<'a> {
    /// Which fields of the entity it wrote.
    fn fields(&self) -> Fields<'a> {
        Fields::of(self.event)
    }
}

/// One command being judged.
struct Judgement<'a> {
    /// The graph as the log has it, or will.
    base: &'a Graph,
    /// The same as the batch's members before this one left it.
    graph: &'a Graph,
    operation: &'a Operation,
    member: &'a Member,
    history: &'a dyn History,
    limits: &'a Limits,
}

type Judged = Result<Result<Decided, Refusal>, HistoryMissing>;

impl<'a> Judgement<'a> {
    fn run(&self) -> Judged {
        let current = self.graph.head().version;
        if self.member.client_version.is_some_and(|version| version > current) {
            let message =
                format!("clientVersion is above the graph's version {current}: this is another history");
            return Ok(Err(self.conflict(Reason::VersionAhead, message, vec![])));
        }
        match &self.member.command {
            Command::CreateNode { .. } | Command::CreateEdge { .. } => self.finish(Outcome::Applied),
            Command::UpdateNode { node_id, .. }
            | Command::UpdateNodePosition { node_id, .. }
            | Command::DeleteNode { node_id } => self.judge_target(Entity::Node(node_id)),
            Command::UpdateEdge { edge_id, .. } | Command::DeleteEdge { edge_id } => {
                self.judge_target(Entity::Edge(edge_id))
            }
            Command::SetViewport { .. } => self.judge_target(Entity::Viewport),
            Command::BatchUpdate { nodes, edges, viewport } => {
                self.judge_batch_update(nodes, edges.as_deref(), viewport.as_ref())
            }
            Command::Undo { operations } => self.judge_undo(operations),
        }
    }

    /// A command with one target, which it does not create.
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

    /// Asks for the events at last, now that nobody's work stands in the way.
    fn finish(&self, outcome: Outcome) -> Judged {
        match decide(self.graph, &self.member.command, self.limits) {
            Ok(events) => Ok(Ok(Decided { events, outcome, undone: None })),
            Err(rejection) => Ok(Err(self.refusal(rejection)?)),
        }
    }

    /// The client's version, if the graph has moved on since.
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

    /// All writes to any of these after the client's version, oldest first. The history is not asked
    /// when the entities say that nobody wrote them, and walked once however many they are.
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

    /// Rule D1: by the same user through the same client, and both times the client was named. A client that
    /// was not may be anybody's: another tab, or another script.
    fn is_own(&self, commit: &Commit) -> bool {
        let Operation { user, client, is_client_named, .. } = self.operation;
        let body = &commit.body;
        *is_client_named && body.is_client_named && (user, client) == (&body.user_id, &body.client_id)
    }

    /// The deletion that makes a command on this target refused (rule D4): the last one since the client's
    /// version; of a target that is there again, the last one by others.
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
            Command::UpdateNode { .. } | Command::UpdateEdge { .. } => {
                overlap.same_fields(|write| write.is_theirs, into);
            }
            Command::CreateNode { .. }
            | Command::CreateEdge { .. }
            | Command::BatchUpdate { .. }
            | Command::Undo { .. } => {}
        }
    }
}

/// The commit that last wrote the entity; `None` if it is not there.
pub(super) fn last_written(graph: &Graph, entity: Entity<'_>) -> Option<Version> {
    match entity {
        Entity::Node(id) => graph.nodes().get(id).map(|node| node.version),
        Entity::Edge(id) => graph.edges().get(id).map(|edge| edge.version),
        Entity::Viewport => Some(graph.viewport_version()),
        Entity::Graph => Some(graph.metadata().attributes_version),
    }
}
