//! `judge`: an operation against the graph as it stands and what others did since its author looked
//! (rules D). The order is the protocol's: version ahead, existence, conflict, invariants.
//!
//! A conflict is looked for only when the target was written after the client's version, and then
//! in the commits since; there is no book-keeping per field. What lies too far back to be at hand is
//! asked for with [`HistoryMissing`], and the same call made again with it.

use dao_projections::{
    ClientId, Commit, EdgeId, Entity, EntityKind, Event, Graph, MergePatch, NodeId, Outcome, Pointer, UserId,
    Version,
};
use serde_json::Value;

use super::{
    command::{Action, Command, Member, OnConflict, Operation, Target},
    decide::{Limits, Rejection, apply_all, decide},
    refusal::{Conflict, Reason, Refusal, Resolution},
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

/// Which entities operations are about, to sift a long history for what can matter to them.
#[derive(Debug, Default)]
pub struct Interest {
    nodes: std::collections::HashSet<NodeId>,
    edges: std::collections::HashSet<EdgeId>,
    every_edge: bool,
    viewport: bool,
}

impl Interest {
    /// Everything that [`judge`] may look at for any of `operations`.
    pub fn of<'o>(operations: impl IntoIterator<Item = &'o Operation>) -> Self {
        let mut interest = Self::default();
        for member in operations.into_iter().flat_map(|operation| operation.action.members()) {
            interest.add(&member.command);
        }
        interest
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::CreateNode { node } => self.add_node(node),
            Command::UpdateNode { node_id, patch } => {
                self.nodes.insert(node_id.clone());
                self.add_named(patch, &["parentId", "parentNode"]);
            }
            Command::UpdateNodePosition { node_id, .. } | Command::DeleteNode { node_id } => {
                self.nodes.insert(node_id.clone());
            }
            Command::CreateEdge { edge } => {
                self.edges.insert(edge.id().clone());
                self.nodes.extend([edge.source().clone(), edge.target().clone()]);
            }
            Command::UpdateEdge { edge_id, patch } => {
                self.edges.insert(edge_id.clone());
                self.add_named(patch, &["source", "target"]);
            }
            Command::DeleteEdge { edge_id } => {
                self.edges.insert(edge_id.clone());
            }
            Command::SetViewport { .. } => self.viewport = true,
            Command::BatchUpdate { nodes, edges, viewport } => {
                nodes.iter().for_each(|node| self.add_node(node));
                self.every_edge |= edges.is_some();
                let ends = edges.iter().flatten().flat_map(|e| [e.source().clone(), e.target().clone()]);
                self.nodes.extend(ends);
                self.viewport |= viewport.is_some();
            }
        }
    }

    fn add_node(&mut self, node: &dao_projections::Node) {
        self.nodes.insert(node.id().clone());
        self.nodes.extend(node.parents().map(|(_, parent)| parent));
    }

    fn add_named(&mut self, patch: &MergePatch, fields: &[&str]) {
        let named = fields.iter().filter_map(|field| patch.fields().get(*field)?.as_str());
        self.nodes.extend(named.filter_map(|id| NodeId::parse(id).ok()));
    }

    /// `commit` with those of its events that touch any of it; `None` if there are none.
    pub fn part_of(&self, mut commit: Commit) -> Option<Commit> {
        commit.body.events.retain(|event| match event.entity() {
            Entity::Node(id) => self.nodes.contains(id),
            Entity::Edge(id) => self.every_edge || self.edges.contains(id),
            Entity::Viewport => self.viewport,
        });
        (!commit.body.events.is_empty()).then_some(commit)
    }
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

    /// The entity as JSON, for people; null if it is not there.
    fn current(&self, entity: Entity<'_>) -> Value {
        let fields = match entity {
            Entity::Node(id) => self.graph.nodes().get(id).map(|node| node.entity.to_json()),
            Entity::Edge(id) => self.graph.edges().get(id).map(|edge| edge.entity.to_json()),
            Entity::Viewport => return self.graph.viewport().to_json(),
        };
        fields.map_or(Value::Null, Value::Object)
    }

    fn conflict(&self, reason: Reason, message: impl Into<String>, conflicts: Vec<Conflict>) -> Refusal {
        let resolution = Resolution { current_version: self.graph.head().version, conflicts };
        Refusal { resolution: Some(resolution), ..Refusal::new(reason, message) }
    }

    fn target_deleted(&self, entity: Entity<'_>, deletion: &Write<'_>) -> Refusal {
        let who = &deletion.commit.body.user_id;
        let message =
            format!("{} {entity} was deleted by {who} in version {}", noun(entity), deletion.commit.version);
        let yours = match &self.member.command {
            Command::DeleteNode { .. } | Command::DeleteEdge { .. } => Value::Null,
            Command::UpdateNode { patch, .. } | Command::UpdateEdge { patch, .. } => {
                Value::Object(patch.fields().clone())
            }
            Command::UpdateNodePosition { position, .. } => {
                serde_json::json!({"position": position.to_json()})
            }
            Command::BatchUpdate { nodes, edges, .. } => match entity {
                Entity::Node(id) => nodes.iter().find(|n| n.id() == id).map(|n| Value::Object(n.to_json())),
                Entity::Edge(id) => {
                    edges.iter().flatten().find(|e| e.id() == id).map(|e| Value::Object(e.to_json()))
                }
                Entity::Viewport => None,
            }
            .unwrap_or(Value::Null),
            Command::CreateNode { .. } | Command::CreateEdge { .. } | Command::SetViewport { .. } => {
                Value::Null
            }
        };
        let entry = conflict(entity, Pointer::root(), yours, self.current(entity), deletion.commit);
        self.conflict(Reason::TargetDeleted, message, vec![entry])
    }

    /// What the graph as it stands does not allow, told with what others did about it (rule D4).
    fn refusal(&self, rejection: Rejection) -> Result<Refusal, HistoryMissing> {
        Ok(match rejection {
            Rejection::NodeNotFound(id) => {
                Refusal::new(Reason::NodeNotFound, format!("there is no node {id}"))
            }
            Rejection::EdgeNotFound(id) => {
                Refusal::new(Reason::EdgeNotFound, format!("there is no edge {id}"))
            }
            Rejection::NodeIdTaken(id) => self.id_taken(Entity::Node(&id))?,
            Rejection::EdgeIdTaken(id) => self.id_taken(Entity::Edge(&id))?,
            Rejection::DanglingEdge { edge, end, node } => {
                let message = format!("the {end} of edge {edge}, node {node}, does not exist");
                self.missing(Reason::DanglingEdge, message, Entity::Edge(&edge), end, &node)?
            }
            Rejection::ParentNotFound { node, field, parent } => {
                let message = format!("the {field} of node {node}, node {parent}, does not exist");
                self.missing(Reason::ParentNotFound, message, Entity::Node(&node), field, &parent)?
            }
            Rejection::ParentCycle(id) => {
                Refusal::new(Reason::ParentCycle, format!("node {id} would be inside of itself"))
            }
            Rejection::TooManyNodes => Refusal::new(
                Reason::TooManyEntities,
                format!("nodes: a graph holds at most {}", self.limits.nodes_max),
            ),
            Rejection::TooManyEdges => Refusal::new(
                Reason::TooManyEntities,
                format!("edges: a graph holds at most {}", self.limits.edges_max),
            ),
            Rejection::NodeTooLarge(id) => self.too_large(Entity::Node(&id)),
            Rejection::EdgeTooLarge(id) => self.too_large(Entity::Edge(&id)),
        })
    }

    fn too_large(&self, entity: Entity<'_>) -> Refusal {
        let max = self.limits.entity_bytes_max;
        let message =
            format!("{} {entity} would be larger than the {max} bytes an entity may have", noun(entity));
        Refusal::new(Reason::EntityTooLarge, message)
    }

    fn id_taken(&self, entity: Entity<'_>) -> Result<Refusal, HistoryMissing> {
        let (version, user_id, operation_id) = match last_written(self.base, entity) {
            Some(version) => {
                let commit = self.history.at(version).ok_or(HistoryMissing::At(version))?;
                (version, commit.body.user_id.clone(), commit.body.operation_id)
            }
            // An earlier member of this batch would have created it.
            None => (self.base.head().version.next(), self.operation.user.clone(), self.operation.id),
        };
        let entry = Conflict {
            entity: entity.kind(),
            id: entity.to_string(),
            path: Pointer::root(),
            yours: asked_by(&self.member.command).into_iter().next().map_or(Value::Null, |asked| asked.yours),
            current: self.current(entity),
            version,
            user_id,
            operation_id,
        };
        let message = format!("{} {entity} exists already", noun(entity));
        Ok(self.conflict(Reason::IdTaken, message, vec![entry]))
    }

    /// A node that something would refer to and that is not there: a conflict if it was deleted
    /// since the client's version, else simply wrong.
    fn missing(
        &self,
        reason: Reason,
        message: String,
        referrer: Entity<'_>,
        field: &str,
        node: &NodeId,
    ) -> Result<Refusal, HistoryMissing> {
        let writes = self.writes_since(Entity::Node(node))?;
        let Some(deletion) = writes.iter().rev().find(|write| write.event.is_deletion()) else {
            return Ok(Refusal::new(reason, message));
        };
        let path = Pointer::root().child(field);
        let stands = self.current(referrer).pointer(path.as_str()).cloned().unwrap_or(Value::Null);
        let entry = conflict(referrer, path, Value::from(node.as_str()), stands, deletion.commit);
        Ok(self.conflict(reason, message, vec![entry]))
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

/// A field that is to be written, and what is to stand there.
struct Asked {
    path: Pointer,
    yours: Value,
}

impl Asked {
    fn whole(yours: Value) -> Vec<Self> {
        vec![Self { path: Pointer::root(), yours }]
    }

    fn position(yours: Value) -> Vec<Self> {
        vec![Self { path: Pointer::position(), yours }]
    }

    /// The leaf paths of a patch as sent; of a node's, `position` is one.
    fn leaves(patch: &MergePatch, kind: EntityKind) -> Vec<Self> {
        let mut asked: Vec<Self> = Vec::new();
        for (path, value) in patch.leaves() {
            if kind == EntityKind::Node && path.is_within_position() {
                if asked.iter().all(|known| known.path != Pointer::position()) {
                    asked.extend(
                        patch.fields().get("position").cloned().map(Self::position).into_iter().flatten(),
                    );
                }
            } else {
                asked.push(Self { path, yours: value.clone() });
            }
        }
        asked
    }
}

fn asked_by(command: &Command) -> Vec<Asked> {
    match command {
        Command::CreateNode { node } => Asked::whole(Value::Object(node.to_json())),
        Command::CreateEdge { edge } => Asked::whole(Value::Object(edge.to_json())),
        Command::UpdateNode { patch, .. } => Asked::leaves(patch, EntityKind::Node),
        Command::UpdateEdge { patch, .. } => Asked::leaves(patch, EntityKind::Edge),
        Command::UpdateNodePosition { position, .. } => Asked::position(position.to_json()),
        Command::DeleteNode { .. } | Command::DeleteEdge { .. } => Asked::whole(Value::Null),
        Command::SetViewport { viewport } => Asked::whole(viewport.to_json()),
        Command::BatchUpdate { .. } => vec![], // judged by its events
    }
}

fn asked_of(event: &Event) -> Vec<Asked> {
    match event {
        Event::NodeCreated { node } | Event::NodeReplaced { node } => {
            Asked::whole(Value::Object(node.to_json()))
        }
        Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } => {
            Asked::whole(Value::Object(edge.to_json()))
        }
        Event::NodeUpdated { patch, .. } => Asked::leaves(patch, EntityKind::Node),
        Event::EdgeUpdated { patch, .. } => Asked::leaves(patch, EntityKind::Edge),
        Event::NodeMoved { position, .. } => Asked::position(position.to_json()),
        Event::NodeDeleted { .. } | Event::EdgeDeleted { .. } => Asked::whole(Value::Null),
        Event::ViewportSet { viewport } => Asked::whole(viewport.to_json()),
    }
}

/// Whether merging what is asked for into what stands there changes nothing. A deletion (the whole
/// entity, null) always changes something.
fn is_what_was_asked(path: &Pointer, stands: &Value, yours: &Value) -> bool {
    if yours.is_null() {
        return stands.is_null() && *path != Pointer::root();
    }
    MergePatch::leaves_as_is(stands, yours)
}

fn conflict(entity: Entity<'_>, path: Pointer, yours: Value, current: Value, by: &Commit) -> Conflict {
    Conflict {
        entity: entity.kind(),
        id: entity.to_string(),
        path,
        yours,
        current,
        version: by.version,
        user_id: by.body.user_id.clone(),
        operation_id: by.body.operation_id,
    }
}

fn noun(entity: Entity<'_>) -> &'static str {
    match entity {
        Entity::Node(_) => "node",
        Entity::Edge(_) => "edge",
        Entity::Viewport => "the",
    }
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    let Some(first) = conflicts.first() else { return String::new() };
    let field = if first.path == Pointer::root() { String::new() } else { format!(" at {}", first.path) };
    let more =
        if conflicts.len() > 1 { format!(", and {} more", conflicts.len() - 1) } else { String::new() };
    let id = &first.id;
    format!("{} wrote {id}{field} in version {}{more}", first.user_id, first.version)
}
