//! Rules U, as the domain keeps them: given a history, when operations of it are undone, then these events.

mod changes;
mod creations;
mod deletions;

use std::collections::HashSet;

use dao_api::domain::{
    Action, Command, Fingerprint, History, Limits, Member, OnConflict, Operation, Past, Reason, Refusal,
    Saver, SkipReason, Tracing, UndoResult, Undone, Verdict, judge,
};
use dao_projections::{
    Commit, Entity, Event, Graph, Hash, OperationId, Outcome, Timestamp, Version, fold_strictly,
};
use serde_json::json;
use uuid::Uuid;

use crate::given::{Given, edge, given, node, node_created, node_moved, node_updated};

/// A history with what its undone operations did.
pub struct Known<'a> {
    given: &'a Given,
    past: Past,
}

impl History for Known<'_> {
    fn since(
        &self,
        version: Version,
        wanted: &HashSet<Entity<'_>>,
    ) -> Option<Box<dyn Iterator<Item = &Commit> + '_>> {
        self.given.since(version, wanted)
    }

    fn at(&self, version: Version) -> Option<&Commit> {
        self.given.at(version)
    }

    fn hash_at(&self, version: Version) -> Option<Hash> {
        self.given.hash_at(version)
    }

    fn graph_at(&self, version: Version) -> Option<Graph> {
        self.given.graph_at(version)
    }

    fn owned_since(&self, version: Version, saver: &Saver<'_>) -> Option<Vec<&Commit>> {
        self.given.owned_since(version, saver)
    }

    fn past(&self, _: &[Undone]) -> Option<&Past> {
        Some(&self.past)
    }
}

/// What these operations did, found in the history.
pub fn past(given: &Given, operations: &[Undone]) -> Past {
    let named = |undone: &Undone| {
        let found = given.at(undone.version).cloned();
        found.filter(|commit| commit.body.operation_id == undone.operation).ok_or(*undone)
    };
    let mut commits: Vec<Commit> = match operations.iter().map(named).collect() {
        Ok(commits) => commits,
        Err(unknown) => return Past::of_unknown(unknown),
    };
    commits.sort_by_key(|commit| commit.version);
    let mut around = vec![];
    loop {
        let mut tracing = Tracing::new(&commits, &around, &given.graph);
        let from = tracing.from();
        for commit in given.commits.iter().rev().filter(|commit| commit.version <= from) {
            if !tracing.wants(commit.version) {
                break;
            }
            let part = tracing.part_of(commit.clone());
            tracing.back(&part);
        }
        tracing.end_at(&Graph::empty());
        let past = tracing.finish();
        let more: Vec<_> =
            past.parents_to_know(&given.graph).into_iter().filter(|id| !around.contains(id)).collect();
        if more.is_empty() {
            return past;
        }
        around.extend(more);
    }
}

/// The operations that made these versions.
pub fn operations(versions: &[u64]) -> Vec<Undone> {
    let undone = |version: &u64| Undone {
        operation: OperationId::from(Uuid::from_u128((*version).into())),
        version: Version::new(*version).expect("a version"),
    };
    versions.iter().map(undone).collect()
}

pub struct Undoing {
    given: Given,
    operations: Vec<Undone>,
    on_conflict: OnConflict,
    version: Option<Version>,
    limits: Limits,
}

/// Ada undoes what made these versions.
pub fn undo(given: Given, versions: &[u64]) -> Undoing {
    let limits = Limits { entity_bytes_max: 4_096, nodes_max: 8, edges_max: 8, ..Limits::default() };
    let operations = operations(versions);
    Undoing { given, operations, on_conflict: OnConflict::Merge, version: None, limits }
}

impl Undoing {
    pub fn on_conflict(self, on_conflict: OnConflict) -> Self {
        Self { on_conflict, ..self }
    }

    pub fn verdict(&self) -> Verdict {
        let member = Member {
            command: Command::Undo { operations: self.operations.clone() },
            client_version: self.version,
            on_conflict: self.on_conflict,
        };
        let operation = Operation {
            id: OperationId::from(Uuid::from_u128(u128::MAX)),
            fingerprint: Fingerprint([0; 8]),
            user: "ada".parse().expect("a user"),
            traceparent: None,
            after: None,
            client: "ada".parse().expect("a client"),
            is_client_named: true,
            claims: vec![],
            action: Action::Single(member),
        };
        let known = Known { given: &self.given, past: past(&self.given, &self.operations) };
        judge(&self.given.graph, &operation, &known, &self.limits).expect("all history is at hand")
    }

    #[track_caller]
    fn then_with(self, expected: Outcome, expected_events: Vec<Event>) -> UndoResult {
        match self.verdict() {
            Verdict::Accepted { events, outcome, undone: Some(undone), .. } => {
                assert_eq!((&events, outcome), (&expected_events, expected));
                let commit = self.given.clone().by("ada", events).commits.pop().expect("a commit");
                let could_happen = fold_strictly(&mut self.given.graph.clone(), &commit);
                assert_eq!(could_happen, Ok(()));
                *undone
            }
            other => panic!("expected {expected_events:#?}, got {other:#?}"),
        }
    }

    #[track_caller]
    fn then(self, events: impl IntoIterator<Item = Event>) -> UndoResult {
        let result = self.then_with(Outcome::Applied, events.into_iter().collect());
        assert!(result.skipped.is_empty(), "{:#?}", result.skipped);
        result
    }

    #[track_caller]
    fn then_merged(
        self,
        events: impl IntoIterator<Item = Event>,
        skipped: &[(SkipReason, &str, &str)],
    ) -> UndoResult {
        let result = self.then_with(Outcome::Merged, events.into_iter().collect());
        let told: Vec<_> =
            result.skipped.iter().map(|s| (s.reason, &*s.conflict.id, s.conflict.path.as_str())).collect();
        assert_eq!(told, skipped);
        result
    }

    #[track_caller]
    fn then_unchanged(self) {
        assert_eq!(self.verdict(), Verdict::Unchanged { skipped: vec![], restored: None });
    }

    #[track_caller]
    fn then_refused(self, reason: Reason) -> Refusal {
        match self.verdict() {
            Verdict::Refused(refusal) if refusal.reason == reason => refusal,
            other => panic!("expected {reason:?}, got {other:#?}"),
        }
    }
}

fn restored(id: &str, attributes: serde_json::Value, ordinal: u64, version: u64) -> Event {
    Event::NodeRestored { node: node(id, attributes), ordinal, created_at: Timestamp(999 + version) }
}

fn edge_restored(id: &str, source: &str, target: &str, ordinal: u64, version: u64) -> Event {
    let created_at = Timestamp(999 + version);
    Event::EdgeRestored { edge: edge(id, source, target, json!({})), ordinal, created_at }
}

fn a() -> Given {
    given([node_created("a", json!({"data": {"label": "Start", "n": 1}}))])
}

#[test]
fn a_walk_ends_where_all_that_was_written_is_known() {
    let mut history = a();
    for x in 0..10 {
        history = history.by("bob", [node_moved("a", x, x), node_updated("a", json!({"data": {"n": x}}))]);
    }
    let history = history.by("ada", [node_moved("a", 50, 50)]);
    let commits = [history.commits[11].clone()];
    let mut tracing = Tracing::new(&commits, &[], &history.graph);
    let mut looked_at = 0;
    for commit in history.commits.iter().rev() {
        if !tracing.wants(commit.version) {
            break;
        }
        looked_at += 1;
        tracing.back(commit);
    }
    assert_eq!(looked_at, 2, "the move, and the one before it");
}
