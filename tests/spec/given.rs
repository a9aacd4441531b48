//! Given–when–then over `dao_api::domain::judge`.

use std::collections::HashSet;

use dao_api::domain::{
    Action, Claim, Command, CopyFrom, Fingerprint, History, IfMissing, Limits, Member, OnConflict, Operation,
    Reason, Refusal, Saver, Source, Verdict, judge,
};
use dao_projections::{
    CommandType, Commit, CommitBody, Edge, Entity, Event, Graph, Hash, Map, MergePatch, Node, OperationId,
    Outcome, Position, Timestamp, Version, Viewport,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub fn map(value: Value) -> Map {
    value.as_object().cloned().expect("an object")
}

pub fn patch(value: Value) -> MergePatch {
    MergePatch::new(map(value))
}

pub fn position(x: i64, y: i64) -> Position {
    Position::from_json(&json!({"x": x, "y": y})).expect("a position")
}

pub fn viewport(x: i64, y: i64, zoom: f64) -> Viewport {
    Viewport::from_json(&json!({"x": x, "y": y, "zoom": zoom})).expect("a viewport")
}

/// A node with these attributes, at {0, 0} unless they say otherwise.
pub fn node(id: &str, attributes: Value) -> Node {
    let mut attributes = map(attributes);
    let at = attributes.remove("position").map(|at| Position::from_json(&at).expect("a position"));
    Node::new(id.parse().expect("an id"), at.unwrap_or_default(), attributes).expect("a node")
}

pub fn edge(id: &str, source: &str, target: &str, attributes: Value) -> Edge {
    let end = |text: &str| text.parse().expect("an id");
    Edge::new(id.parse().expect("an id"), end(source), end(target), map(attributes)).expect("an edge")
}

pub fn node_created(id: &str, attributes: Value) -> Event {
    Event::NodeCreated { node: node(id, attributes) }
}

pub fn node_updated(id: &str, fields: Value) -> Event {
    Event::NodeUpdated { node_id: id.parse().expect("an id"), patch: patch(fields) }
}

pub fn node_moved(id: &str, x: i64, y: i64) -> Event {
    Event::NodeMoved { node_id: id.parse().expect("an id"), position: position(x, y) }
}

pub fn node_deleted(id: &str) -> Event {
    Event::NodeDeleted { node_id: id.parse().expect("an id") }
}

pub fn edge_created(id: &str, source: &str, target: &str) -> Event {
    Event::EdgeCreated { edge: edge(id, source, target, json!({})) }
}

pub fn edge_updated(id: &str, fields: Value) -> Event {
    Event::EdgeUpdated { edge_id: id.parse().expect("an id"), patch: patch(fields) }
}

pub fn edge_deleted(id: &str) -> Event {
    Event::EdgeDeleted { edge_id: id.parse().expect("an id") }
}

pub fn create(node: Node) -> Command {
    Command::CreateNode { node }
}

pub fn update(id: &str, fields: Value) -> Command {
    Command::UpdateNode { node_id: id.parse().expect("an id"), patch: patch(fields) }
}

pub fn move_to(id: &str, x: i64, y: i64) -> Command {
    Command::UpdateNodePosition { node_id: id.parse().expect("an id"), position: position(x, y) }
}

pub fn delete(id: &str) -> Command {
    Command::DeleteNode { node_id: id.parse().expect("an id") }
}

pub fn connect(id: &str, source: &str, target: &str) -> Command {
    Command::CreateEdge { edge: edge(id, source, target, json!({})) }
}

pub fn update_edge(id: &str, fields: Value) -> Command {
    Command::UpdateEdge { edge_id: id.parse().expect("an id"), patch: patch(fields) }
}

pub fn delete_edge(id: &str) -> Command {
    Command::DeleteEdge { edge_id: id.parse().expect("an id") }
}

/// A history, all of it in memory.
#[derive(Clone, Default)]
pub struct Given {
    pub graph: Graph,
    pub commits: Vec<Commit>,
    /// The graph that there is to copy.
    pub source: Option<Source>,
}

impl History for Given {
    fn since(
        &self,
        version: Version,
        _: &HashSet<Entity<'_>>,
    ) -> Option<Box<dyn Iterator<Item = &Commit> + '_>> {
        Some(Box::new(self.commits.iter().filter(move |commit| commit.version > version)))
    }

    fn at(&self, version: Version) -> Option<&Commit> {
        self.commits.iter().find(|commit| commit.version == version)
    }

    fn hash_at(&self, version: Version) -> Option<Hash> {
        self.at(version).map(|commit| commit.hash)
    }

    fn graph_at(&self, version: Version) -> Option<Graph> {
        let mut graph = Graph::empty();
        self.commits.iter().filter(|commit| commit.version <= version).for_each(|commit| graph.apply(commit));
        Some(graph)
    }

    fn version_at(&self, time: Timestamp) -> Option<Version> {
        let mut newest_first = self.commits.iter().rev();
        let until = newest_first.find(|commit| commit.body.timestamp <= time);
        Some(until.map_or(Version::EMPTY, |commit| commit.version))
    }

    fn source(&self, _: &CopyFrom) -> Option<&Source> {
        self.source.as_ref()
    }

    fn owned_since(&self, version: Version, saver: &Saver<'_>) -> Option<Vec<&Commit>> {
        let since = self.commits.iter().filter(|commit| commit.version > version);
        Some(since.filter(|commit| saver.owns(commit)).collect())
    }
}

/// A graph in which Ada made these events, one commit each.
pub fn given(events: impl IntoIterator<Item = Event>) -> Given {
    events.into_iter().fold(Given::default(), |given, event| given.by("ada", [event]))
}

impl Given {
    /// One more commit, by this user through a client of the same name.
    pub fn by(self, user: &str, events: impl IntoIterator<Item = Event>) -> Self {
        self.commit(user, true, events)
    }

    /// One more commit, by this user, who named no client: the user's id is stored in its place.
    pub fn by_unnamed(self, user: &str, events: impl IntoIterator<Item = Event>) -> Self {
        self.commit(user, false, events)
    }

    fn commit(mut self, user: &str, is_client_named: bool, events: impl IntoIterator<Item = Event>) -> Self {
        let body = CommitBody {
            operation_id: OperationId::from(Uuid::from_u128(self.commits.len() as u128 + 1)),
            user_id: user.parse().expect("a user"),
            client_id: user.parse().expect("a client"),
            is_client_named,
            traceparent: None,
            timestamp: Timestamp(1_000 + self.commits.len() as u64),
            command_type: CommandType::Batch,
            outcome: Outcome::Applied,
            undoes: vec![],
            restores: None,
            is_erased: false,
            events: events.into_iter().collect(),
        };
        let head = self.graph.head().after(&body.encode());
        let commit = Commit { version: head.version, hash: head.hash, body };
        self.graph.apply(&commit);
        self.commits.push(commit);
        self
    }

    pub fn version(&self) -> u64 {
        self.graph.head().version.get()
    }

    /// Ada sends this, as of now.
    pub fn when(self, command: Command) -> When {
        let (user, on_conflict) = ("ada".to_owned(), OnConflict::Merge);
        let (version, claims, is_client_named) = (None, vec![], true);
        let commands = vec![command];
        When {
            given: self,
            commands,
            is_batch: false,
            user,
            version,
            on_conflict,
            claims,
            is_client_named,
            if_missing: IfMissing::Refuse,
            entity_bytes_max: 4_096,
        }
    }

    /// Ada sends these as one atomic batch, as of now.
    pub fn when_all(self, commands: impl IntoIterator<Item = Command>) -> When {
        let (user, on_conflict) = ("ada".to_owned(), OnConflict::Merge);
        let commands = commands.into_iter().collect();
        let (version, claims, is_client_named) = (None, vec![], true);
        When {
            given: self,
            commands,
            is_batch: true,
            user,
            version,
            on_conflict,
            claims,
            is_client_named,
            if_missing: IfMissing::Refuse,
            entity_bytes_max: 4_096,
        }
    }
}

/// A command on its way.
pub struct When {
    given: Given,
    commands: Vec<Command>,
    is_batch: bool,
    user: String,
    version: Option<u64>,
    on_conflict: OnConflict,
    claims: Vec<Claim>,
    is_client_named: bool,
    if_missing: IfMissing,
    entity_bytes_max: usize,
}

impl When {
    /// With entities as large as they come.
    pub fn unlimited(mut self) -> Self {
        self.entity_bytes_max = usize::MAX;
        self
    }

    /// With this `clientVersion`.
    pub fn at(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Saying that this version has this hash (rule D8).
    pub fn claiming(mut self, version: u64, hash: Option<Hash>) -> Self {
        let version = Version::new(version).expect("a version");
        self.claims.push(Claim { version, hash, index: None });
        self
    }

    /// Through no client that has a name.
    pub fn unnamed(mut self) -> Self {
        self.is_client_named = false;
        self
    }

    /// By somebody else.
    pub fn from(mut self, user: &str) -> Self {
        self.user = user.to_owned();
        self
    }

    pub fn on_conflict(mut self, policy: OnConflict) -> Self {
        self.on_conflict = policy;
        self
    }

    /// Leaving out members whose target is gone.
    pub fn skipping(mut self) -> Self {
        self.if_missing = IfMissing::Skip;
        self
    }

    pub fn verdict(&self) -> Verdict {
        let member = |command: &Command| Member {
            command: command.clone(),
            client_version: self.version.map(|v| Version::new(v).expect("a version")),
            on_conflict: self.on_conflict,
        };
        let action = match (self.is_batch, self.commands.as_slice()) {
            (false, [command]) => Action::Single(member(command)),
            (_, commands) => {
                let members = commands.iter().map(member).collect();
                Action::Atomic { members, if_missing: self.if_missing }
            }
        };
        let operation = Operation {
            id: OperationId::from(Uuid::from_u128(u128::MAX)),
            fingerprint: Fingerprint([0; 8]),
            user: self.user.parse().expect("a user"),
            after: None,
            traceparent: None,
            client: self.user.parse().expect("a client"),
            is_client_named: self.is_client_named,
            claims: self.claims.clone(),
            action,
        };
        let limits = Limits {
            entity_bytes_max: self.entity_bytes_max,
            nodes_max: 8,
            edges_max: 8,
            ..Limits::default()
        };
        judge(&self.given.graph, &operation, &self.given, &limits).expect("all history is at hand")
    }

    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = Event>) {
        self.then_with(Outcome::Applied, events);
    }

    #[track_caller]
    pub fn then_merged(self, events: impl IntoIterator<Item = Event>) {
        self.then_with(Outcome::Merged, events);
    }

    #[track_caller]
    fn then_with(self, expected: Outcome, events: impl IntoIterator<Item = Event>) {
        let expected_events: Vec<Event> = events.into_iter().collect();
        match self.verdict() {
            Verdict::Accepted { events, outcome, .. } => {
                assert_eq!(events, expected_events);
                assert_eq!(outcome, expected);
            }
            other => panic!("expected {expected_events:#?}, got {other:#?}"),
        }
    }

    #[track_caller]
    pub fn then_unchanged(self) {
        assert_eq!(self.verdict(), Verdict::Unchanged { skipped: vec![], restored: None });
    }

    /// Nothing changed, and what a restore left alone is told: nothing.
    #[track_caller]
    pub fn then_unchanged_but_told(self) {
        match self.verdict() {
            Verdict::Unchanged { restored: Some(told), .. } => assert!(told.skipped.is_empty(), "{told:#?}"),
            other => panic!("expected no change, got {other:#?}"),
        }
    }

    /// Refused as a conflict: a 409 with a resolution.
    #[track_caller]
    pub fn then_conflict(self, reason: Reason) -> Refusal {
        let refusal = self.then_refused(reason);
        assert!(refusal.is_conflict(), "no resolution in {refusal:#?}");
        refusal
    }

    /// Refused for what the command itself is: 404, 413 or 422.
    #[track_caller]
    pub fn then_failed(self, reason: Reason) {
        let refusal = self.then_refused(reason);
        assert!(!refusal.is_conflict(), "a resolution in {refusal:#?}");
    }

    #[track_caller]
    pub fn then_refused(self, reason: Reason) -> Refusal {
        match self.verdict() {
            Verdict::Refused(refusal) if refusal.reason == reason => refusal,
            other => panic!("expected {reason:?}, got {other:#?}"),
        }
    }
}
