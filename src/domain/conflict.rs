//! `judge`: an operation against the graph as it stands and what others did since its author looked
//! (rules D). The order is the protocol's: version ahead, existence, conflict, invariants.
//!
//! A conflict is looked for only when the target was written after the client's version, and then
//! in the commits since; there is no book-keeping per field. What lies too far back to be at hand is
//! asked for with [`HistoryMissing`], and the same call made again with it.

mod asked;
mod wording;

use dao_projections::{ClientId, Commit, Entity, Event, Graph, Outcome, Pointer, UserId, Version};
use serde_json::Value;

use self::{
    asked::{Asked, asked_by, asked_of, is_what_was_asked},
    wording::{conflict, conflict_message},
};
use super::{
    command::{Action, Command, Member, OnConflict, Operation, Target},
    decide::{Limits, apply_all, decide},
    refusal::{Conflict, Reason, Refusal},
};

/// The commits behind the head, newest last; how far back depends on the caller.
pub trait History {
    /// The commits in `(version, head]` that touch `entity`, which the operation is about; others may be
    /// among them, and of their events others may be left out. `None` if they are not all at hand.
    fn since(&self, version: Version, entity: Entity<'_>) -> Option<Box<dyn Iterator<Item = &Commit> + '_>>;

    /// The commit of this number, which exists; its events may be left out. `None` if it is not at hand.
    fn at(&self, version: Version) -> Option<&Commit>;
}

/// What the judgement needs and [`History`] had not at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryMissing {
    /// The commits after this version.
    Since(Version),
    /// This one commit.
    At(Version),
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
    let mut all = Decided { events: Vec::new(), outcome: Outcome::Applied };
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
}

impl Decided {
    fn into_verdict(self, by_member: Vec<usize>) -> Verdict {
        if self.events.is_empty() {
            return Verdict::Unchanged;
        }
        Verdict::Accepted { events: self.events, outcome: self.outcome, by_member }
    }
}

/// A write by somebody: which commit, and what it wrote of the entity in question.
struct Write<'a> {
    commit: &'a Commit,
    event: &'a Event,
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
        match self.member.command.target() {
            Target::Whole => self.judge_whole(),
            Target::Node(_) | Target::Edge(_) | Target::Viewport => self.judge_target(),
        }
    }

    /// A command with one target.
    fn judge_target(&self) -> Judged {
        let target = self.member.command.target();
        let entity = match &target {
            Target::Node(id) => Entity::Node(id),
            Target::Edge(id) => Entity::Edge(id),
            Target::Viewport | Target::Whole => Entity::Viewport,
        };
        if matches!(self.member.command, Command::CreateNode { .. } | Command::CreateEdge { .. }) {
            return self.finish(Outcome::Applied);
        }
        let writes = self.writes_since(entity)?;
        if let Some(deletion) = Self::deletion_since(&writes) {
            return Ok(Err(self.target_deleted(entity, deletion)));
        }
        if !self.exists(entity) {
            return self.finish(Outcome::Applied); // decides that it is not found
        }
        let theirs: Vec<&Write<'_>> = writes.iter().filter(|write| !self.is_own(write.commit)).collect();
        if theirs.is_empty() {
            return self.finish(Outcome::Applied);
        }
        let conflicts = match self.member.on_conflict {
            OnConflict::Reject => self.everything_touched(entity, &theirs),
            OnConflict::Merge => self.same_fields(entity, &theirs),
            OnConflict::Overwrite => vec![],
        };
        if conflicts.is_empty() {
            return self.finish(Outcome::Merged);
        }
        Ok(Err(self.conflict(Reason::Conflict, conflict_message(&conflicts), conflicts)))
    }

    /// A `BATCH_UPDATE`: judged by the events it comes to.
    fn judge_whole(&self) -> Judged {
        let decided = match decide(self.graph, &self.member.command, self.limits) {
            Ok(events) => events,
            Err(rejection) => return Ok(Err(self.refusal(rejection)?)),
        };
        let mut outcome = Outcome::Applied;
        let mut conflicts = Vec::new();
        for event in &decided {
            let entity = event.entity();
            let writes = self.writes_since(entity)?;
            let theirs: Vec<&Write<'_>> = writes.iter().filter(|write| !self.is_own(write.commit)).collect();
            if let Some(deletion) =
                theirs.iter().rev().find(|w| w.event.is_deletion() && !event.is_deletion())
            {
                return Ok(Err(self.target_deleted(entity, deletion)));
            }
            if theirs.is_empty() {
                continue;
            }
            outcome = Outcome::Merged;
            match self.member.on_conflict {
                OnConflict::Overwrite => {}
                OnConflict::Reject => conflicts.extend(self.touched_paths(entity, &asked_of(event), &theirs)),
                OnConflict::Merge => conflicts.extend(self.overlaps(entity, &asked_of(event), &theirs)),
            }
        }
        if conflicts.is_empty() {
            return Ok(Ok(Decided { events: decided, outcome }));
        }
        Ok(Err(self.conflict(Reason::Conflict, conflict_message(&conflicts), conflicts)))
    }

    /// Asks for the events at last, now that nobody's work stands in the way.
    fn finish(&self, outcome: Outcome) -> Judged {
        match decide(self.graph, &self.member.command, self.limits) {
            Ok(events) => Ok(Ok(Decided { events, outcome })),
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

    /// All writes to `entity` after the client's version, oldest first. The history is not asked
    /// when the entity says that nobody wrote it.
    fn writes_since(&self, entity: Entity<'_>) -> Result<Vec<Write<'a>>, HistoryMissing> {
        let Some(version) = self.stale_version() else { return Ok(vec![]) };
        if last_written(self.graph, entity).is_some_and(|written| written <= version) {
            return Ok(vec![]);
        }
        let commits = self.history.since(version, entity).ok_or(HistoryMissing::Since(version))?;
        let writes = commits.flat_map(|commit| {
            let events = commit.body.events.iter().filter(move |event| event.entity() == entity);
            events.map(move |event| Write { commit, event })
        });
        Ok(writes.collect())
    }

    /// The deletion that makes a command on this target refused (rule D4): the last one since the
    /// client's version, by anybody, also of a target that was created again.
    fn deletion_since<'w>(writes: &'w [Write<'a>]) -> Option<&'w Write<'a>> {
        writes.iter().rev().find(|write| write.event.is_deletion())
    }

    /// Rule D1: the same user through the same client.
    fn is_own(&self, commit: &Commit) -> bool {
        let own: (&UserId, &ClientId) = (&self.operation.user, &self.operation.client);
        own == (&commit.body.user_id, &commit.body.client_id)
    }

    /// Rule D5, `reject`: one entry for each field that others wrote.
    fn everything_touched(&self, entity: Entity<'_>, theirs: &[&Write<'_>]) -> Vec<Conflict> {
        self.touched_paths(entity, &asked_by(&self.member.command), theirs)
    }

    /// Rule D3 for a command with one target.
    fn same_fields(&self, entity: Entity<'_>, theirs: &[&Write<'_>]) -> Vec<Conflict> {
        let command = &self.member.command;
        match command {
            // The last writer wins.
            Command::UpdateNodePosition { .. } | Command::SetViewport { .. } => vec![],
            // That others moved it is no conflict; that they updated or created it is.
            Command::DeleteNode { .. } | Command::DeleteEdge { .. } => {
                let updates: Vec<&Write<'_>> =
                    theirs.iter().copied().filter(|w| w.event.paths() != [Pointer::position()]).collect();
                self.overlaps(entity, &asked_by(command), &updates)
            }
            Command::UpdateNode { .. } | Command::UpdateEdge { .. } => {
                self.overlaps(entity, &asked_by(command), theirs)
            }
            Command::CreateNode { .. } | Command::CreateEdge { .. } | Command::BatchUpdate { .. } => vec![],
        }
    }

    /// One entry for each field asked for that others wrote too, unless what stands there is what
    /// was asked for.
    fn overlaps(&self, entity: Entity<'_>, asked: &[Asked], theirs: &[&Write<'_>]) -> Vec<Conflict> {
        let current = self.current(entity);
        let mut conflicts = Vec::new();
        for Asked { path, yours } in asked {
            let last = theirs.iter().rev().find(|w| w.event.paths().iter().any(|p| p.overlaps(path)));
            let stands = current.pointer(path.as_str()).unwrap_or(&Value::Null);
            if let Some(write) = last.filter(|_| !is_what_was_asked(path, stands, yours)) {
                conflicts.push(conflict(entity, path.clone(), yours.clone(), stands.clone(), write.commit));
            }
        }
        conflicts
    }

    /// One entry for each field that others wrote, under the path asked for where there is one.
    fn touched_paths(&self, entity: Entity<'_>, asked: &[Asked], theirs: &[&Write<'_>]) -> Vec<Conflict> {
        let current = self.current(entity);
        let mut conflicts: Vec<Conflict> = Vec::new();
        for write in theirs.iter().rev() {
            for path in write.event.paths() {
                let own = asked.iter().find(|asked| asked.path.overlaps(&path));
                let (path, yours) = match own {
                    Some(asked) => (asked.path.clone(), asked.yours.clone()),
                    None => (path, Value::Null),
                };
                if conflicts.iter().all(|known| known.path != path) {
                    let stands = current.pointer(path.as_str()).cloned().unwrap_or(Value::Null);
                    conflicts.push(conflict(entity, path, yours, stands, write.commit));
                }
            }
        }
        conflicts
    }
}

/// The commit that last wrote the entity; `None` if it is not there.
fn last_written(graph: &Graph, entity: Entity<'_>) -> Option<Version> {
    match entity {
        Entity::Node(id) => graph.nodes().get(id).map(|node| node.version),
        Entity::Edge(id) => graph.edges().get(id).map(|edge| edge.version),
        Entity::Viewport => Some(graph.viewport_version()),
    }
}
