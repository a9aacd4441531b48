//! Rules U, as the domain keeps them: given a history, when operations of it are undone, then these events.

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

use crate::given::{
    Given, edge, edge_created, edge_deleted, edge_updated, given, node, node_created, node_deleted,
    node_moved, node_updated, patch, viewport,
};

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
    fn on_conflict(self, on_conflict: OnConflict) -> Self {
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
fn u2_each_operation_must_be_the_commit_of_its_version() {
    let mut wrong = undo(a().by("ada", [node_moved("a", 1, 1)]), &[2]);
    wrong.operations[0].version = Version::new(1).expect("a version");
    let refusal = wrong.then_refused(Reason::OperationNotFound);
    assert!(!refusal.is_conflict());
    undo(a(), &[7]).then_refused(Reason::OperationNotFound);
}

#[test]
fn u2_anybodys_operation_may_be_undone() {
    undo(a().by("bob", [node_moved("a", 1, 1)]), &[2]).then([node_moved("a", 0, 0)]);
}

#[test]
fn u3_a_move_an_update_and_a_replacement_go_back_to_what_was_before() {
    undo(a().by("ada", [node_moved("a", 5, 5)]).by("ada", [node_moved("a", 9, 9)]), &[3])
        .then([node_moved("a", 5, 5)]);
    let updated =
        || a().by("ada", [node_updated("a", json!({"data": {"label": "Go", "new": 1, "n": null}}))]);
    undo(updated(), &[2]).then([node_updated("a", json!({"data": {"new": null, "label": "Start", "n": 1}}))]);
    let replaced = Event::NodeReplaced { node: node("a", json!({"type": "t"})) };
    undo(a().by("ada", [replaced]), &[2])
        .then([node_updated("a", json!({"type": null, "data": {"label": "Start", "n": 1}}))]);
}

#[test]
fn u3_an_edge_and_the_viewport_go_back() {
    let nodes =
        || given([node_created("a", json!({})), node_created("b", json!({})), edge_created("ab", "a", "b")]);
    undo(nodes().by("ada", [edge_updated("ab", json!({"target": "a", "label": "x"}))]), &[4])
        .then([edge_updated("ab", json!({"label": null, "target": "b"}))]);
    let set = |x| Event::ViewportSet { viewport: viewport(x, 0, 1.0) };
    undo(given([set(1), set(2)]), &[2]).then([set(1)]);
    undo(given([set(1)]), &[1]).then([set(0)]);
}

#[test]
fn u3_what_the_operations_did_among_themselves_is_one_change() {
    let moved = a().by("ada", [node_moved("a", 1, 1)]).by("ada", [node_moved("a", 2, 2)]);
    let result = undo(moved, &[3, 2]).then([node_moved("a", 0, 0)]);
    assert_eq!(result.undoes.len(), 2);
    let made = || {
        given([node_created("x", json!({})), node_created("y", json!({}))])
            .by("ada", [edge_created("xy", "x", "y")])
    };
    undo(made(), &[1, 2, 3]).then([edge_deleted("xy"), node_deleted("y"), node_deleted("x")]);
    let gone = a().by("ada", [node_updated("a", json!({"n": 1}))]).by("ada", [node_deleted("a")]);
    undo(gone, &[2, 3]).then([restored("a", json!({"data": {"label": "Start", "n": 1}}), 0, 1)]);
}

#[test]
fn u4_what_others_took_over_is_left_and_told_with_its_latest_writer() {
    let history = a()
        .by("ada", [node_updated("a", json!({"data": {"label": "Go", "n": 2}}))])
        .by("bob", [node_updated("a", json!({"data": {"label": "Begin"}}))])
        .by("bob", [node_moved("a", 3, 3)]);
    let result = undo(history, &[2]).then_merged(
        [node_updated("a", json!({"data": {"n": 1}}))],
        &[(SkipReason::TakenOver, "a", "/data/label")],
    );
    let conflict = &result.skipped[0].conflict;
    assert_eq!((&conflict.yours, &conflict.current), (&json!("Start"), &json!("Begin")));
    assert_eq!((conflict.version.get(), conflict.user_id.as_str()), (3, "bob"));
    assert_eq!(result.reverted[0].paths[0].as_str(), "/data/n");
}

#[test]
fn u4_what_is_already_as_it_was_before_needs_nothing() {
    undo(a().by("ada", [node_moved("a", 1, 1)]).by("bob", [node_moved("a", 0, 0)]), &[2]).then_unchanged();
}

#[test]
fn u4_what_others_changed_between_two_operations_is_theirs() {
    let history = a()
        .by("ada", [node_moved("a", 1, 1)])
        .by("bob", [node_moved("a", 5, 5)])
        .by("ada", [node_moved("a", 2, 2)]);
    undo(history, &[2, 4]).then_merged([node_moved("a", 5, 5)], &[(SkipReason::TakenOver, "a", "/position")]);
}

#[test]
fn u5_reject_refuses_where_anything_would_be_skipped() {
    let history = || {
        a().by("ada", [node_updated("a", json!({"data": {"label": "Go", "n": 2}}))])
            .by("bob", [node_updated("a", json!({"data": {"label": "Begin"}}))])
    };
    let refusal = undo(history(), &[2]).on_conflict(OnConflict::Reject).then_refused(Reason::UndoConflict);
    assert_eq!(refusal.resolution.expect("a resolution").conflicts.len(), 1);
    undo(history(), &[2])
        .on_conflict(OnConflict::Overwrite)
        .then([node_updated("a", json!({"data": {"label": "Start", "n": 1}}))]);
}

#[test]
fn u5_an_undo_of_which_all_would_be_skipped_is_refused() {
    let history = a().by("ada", [node_moved("a", 1, 1)]).by("bob", [node_moved("a", 2, 2)]);
    let refusal = undo(history, &[2]).then_refused(Reason::UndoConflict);
    assert!(refusal.is_conflict() && refusal.message.contains("bob"), "{}", refusal.message);
}

#[test]
fn u6_what_was_created_is_deleted_with_what_its_authors_hung_on_it() {
    let history = given([node_created("a", json!({})), node_created("b", json!({}))])
        .by("ada", [edge_created("ab", "a", "b")])
        .by("bob", [node_moved("b", 9, 9)]);
    undo(history, &[2]).then([edge_deleted("ab"), node_deleted("b")]);
}

#[test]
fn u6_what_others_use_stays() {
    let nodes = || given([node_created("a", json!({})), node_created("b", json!({}))]);
    for others in [
        node_updated("b", json!({"data": {"label": "x"}})),
        edge_created("ab", "a", "b"),
        node_created("child", json!({"parentId": "b"})),
    ] {
        let refusal = undo(nodes().by("bob", [others.clone()]), &[2]).then_refused(Reason::UndoConflict);
        let conflict = &refusal.resolution.expect("a resolution").conflicts[0];
        assert_eq!(
            (&*conflict.id, conflict.user_id.as_str(), conflict.version.get()),
            ("b", "bob", 3),
            "{others:?}"
        );
        let overwritten = undo(nodes().by("bob", [others]), &[2]).on_conflict(OnConflict::Overwrite);
        assert!(matches!(overwritten.verdict(), Verdict::Accepted { .. }));
    }
}

#[test]
fn u6_what_was_there_before_the_node_does_not_go_with_it() {
    let history = a()
        .by("ada", [node_created("group", json!({}))])
        .by("ada", [node_updated("a", json!({"parentId": "group"}))]);
    undo(history.clone(), &[2]).then_refused(Reason::UndoConflict);
    undo(history, &[2, 3]).then([node_updated("a", json!({"parentId": null})), node_deleted("group")]);
}

#[test]
fn u6_what_others_made_and_goes_back_into_the_node_keeps_it() {
    let dragged_out = given([node_created("a", json!({}))])
        .by("ada", [node_created("group", json!({}))])
        .by("bob", [node_created("theirs", json!({"parentId": "group"}))])
        .by("ada", [node_updated("theirs", json!({"parentId": null}))]);
    undo(dragged_out, &[2, 4]).then_merged(
        [node_updated("theirs", json!({"parentId": "group"}))],
        &[(SkipReason::InUse, "group", "")],
    );
    let deleted = given([node_created("a", json!({}))])
        .by("ada", [node_created("group", json!({}))])
        .by("bob", [node_created("theirs", json!({"parentId": "group"}))])
        .by("ada", [node_deleted("theirs")]);
    undo(deleted, &[2, 4]).then_merged(
        [restored("theirs", json!({"parentId": "group"}), 2, 3)],
        &[(SkipReason::InUse, "group", "")],
    );
    // What hangs on what goes back counts too.
    let with_child = given([node_created("a", json!({}))])
        .by("bob", [node_created("b", json!({}))])
        .by("ada", [node_created("group", json!({}))])
        .by("ada", [node_updated("a", json!({"parentId": "group"}))])
        .by("bob", [node_created("child", json!({"parentId": "a"}))])
        .by("ada", [node_updated("a", json!({"parentId": null}))]);
    undo(with_child, &[3, 6])
        .then_merged([node_updated("a", json!({"parentId": "group"}))], &[(SkipReason::InUse, "group", "")]);
}

#[test]
fn u6_one_that_is_in_use_keeps_all_that_it_is_inside_of() {
    let chain = given([node_created("a", json!({}))])
        .by(
            "ada",
            [
                node_created("g", json!({})),
                node_created("h", json!({"parentId": "g"})),
                node_created("i", json!({"parentId": "h"})),
            ],
        )
        .by("bob", [node_updated("i", json!({"data": {"label": "x"}}))]);
    let refusal = undo(chain, &[2]).then_refused(Reason::UndoConflict);
    let conflicts = refusal.resolution.expect("a resolution").conflicts;
    let told: Vec<_> = conflicts.iter().map(|c| (&*c.id, c.user_id.as_str(), c.version.get())).collect();
    assert_eq!(told, [("i", "bob", 3), ("h", "bob", 3), ("g", "bob", 3)]);
}

#[test]
fn u3_an_undo_changes_no_settings_of_the_graph() {
    let updated = |fields: serde_json::Value| Event::GraphUpdated { patch: patch(fields) };
    let opened = a()
        .by("ada", [updated(json!({"title": "Old", "settings": {"readOnly": true}}))])
        .by("ada", [updated(json!({"title": "New", "settings": {"readOnly": false}}))]);
    undo(opened.clone(), &[3]).then([updated(json!({"title": "Old"}))]);
    let only = a().by("ada", [updated(json!({"settings": {"note": 1}}))]);
    undo(only.clone(), &[2]).then_unchanged();
    undo(only, &[2]).on_conflict(OnConflict::Overwrite).then_unchanged();
}

#[test]
fn u8_attributes_stay_within_their_limit() {
    let updated = |fields: serde_json::Value| Event::GraphUpdated { patch: patch(fields) };
    let long = "x".repeat(12 << 10);
    let history = a()
        .by("ada", [updated(json!({"data": {"one": long}}))])
        .by("ada", [updated(json!({"data": {"one": null}}))])
        .by("bob", [updated(json!({"data": {"two": long}}))]);
    let refusal = undo(history, &[3]).then_refused(Reason::UndoConflict);
    assert_eq!(refusal.resolution.expect("a resolution").conflicts[0].entity, Entity::Graph.kind());
}

#[test]
fn u7_what_was_deleted_comes_back_as_it_was_in_its_old_place() {
    let history =
        given([node_created("a", json!({"data": {"x": 1}})), node_created("b", json!({"parentId": "a"}))])
            .by("ada", [edge_created("ab", "a", "b")])
            .by("ada", [node_created("c", json!({}))])
            .by("ada", [edge_deleted("ab"), node_deleted("b"), node_deleted("a")])
            .by("bob", [node_created("d", json!({}))]);
    let result = undo(history, &[5]).then([
        restored("a", json!({"data": {"x": 1}}), 0, 1),
        restored("b", json!({"parentId": "a"}), 1, 2),
        edge_restored("ab", "a", "b", 2, 3),
    ]);
    assert!(result.detached.is_empty());
}

#[test]
fn u7_an_id_that_is_in_use_again_is_skipped() {
    let history = a().by("ada", [node_deleted("a")]).by("bob", [node_created("a", json!({"type": "other"}))]);
    let refusal = undo(history, &[2]).then_refused(Reason::UndoConflict);
    let conflict = &refusal.resolution.expect("a resolution").conflicts[0];
    assert_eq!((conflict.user_id.as_str(), &conflict.current["type"]), ("bob", &json!("other")));
}

#[test]
fn u7_an_edge_whose_end_is_gone_is_skipped() {
    let history =
        given([node_created("a", json!({})), node_created("b", json!({})), node_created("c", json!({}))])
            .by("ada", [edge_created("ab", "a", "b"), edge_created("ac", "a", "c")])
            .by("ada", [edge_deleted("ab"), edge_deleted("ac")])
            .by("bob", [node_deleted("b")]);
    let result = undo(history, &[5])
        .then_merged([edge_restored("ac", "a", "c", 4, 4)], &[(SkipReason::DanglingEdge, "ab", "")]);
    assert_eq!(
        (result.skipped[0].conflict.version.get(), result.skipped[0].conflict.user_id.as_str()),
        (6, "bob")
    );
}

#[test]
fn u7_a_node_whose_parent_is_gone_comes_back_without_it_where_it_stood() {
    let history = given([
        node_created("outer", json!({"position": {"x": 1000, "y": 0}})),
        node_created("box", json!({"position": {"x": 100, "y": 10}, "parentId": "outer"})),
        node_created("a", json!({"position": {"x": 1, "y": 2}, "parentId": "box", "extent": "parent"})),
    ])
    .by("ada", [node_deleted("a")])
    .by("bob", [node_moved("box", 200, 20)])
    .by("bob", [node_deleted("box")]);
    let result = undo(history, &[4]).then([restored("a", json!({"position": {"x": 1201, "y": 22}}), 2, 3)]);
    assert_eq!(result.detached.len(), 1);
}

#[test]
fn u8_what_would_break_the_limits_or_g4_is_skipped() {
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let history = given(ids.map(|id| node_created(id, json!({}))))
        .by("ada", [node_deleted("a"), node_deleted("b")])
        .by("bob", [node_created("z", json!({}))]);
    let result = undo(history, &[9])
        .then_merged([restored("b", json!({}), 1, 2)], &[(SkipReason::TooManyEntities, "a", "")]);
    assert_eq!(result.reverted.len(), 1);

    let history = given([node_created("a", json!({"parentId": null})), node_created("box", json!({}))])
        .by("ada", [node_updated("a", json!({"parentId": "box"}))])
        .by("ada", [node_updated("a", json!({"parentId": null, "data": {"x": 1}}))])
        .by("bob", [node_deleted("box")]);
    undo(history, &[4]).then_merged(
        [node_updated("a", json!({"data": null}))],
        &[(SkipReason::ParentNotFound, "a", "/parentId")],
    );
}

#[test]
fn u9_redo_is_undo_of_the_undo() {
    let deleted = given([node_created("a", json!({})), node_created("b", json!({}))])
        .by("ada", [edge_created("ab", "a", "b")])
        .by("ada", [edge_deleted("ab"), node_deleted("a")]);
    let back = [restored("a", json!({}), 0, 1), edge_restored("ab", "a", "b", 2, 3)];
    let undone = undo(deleted.clone(), &[4]);
    undone.then(back.clone());
    let redone = undo(deleted.by("ada", back), &[5]);
    redone.then([edge_deleted("ab"), node_deleted("a")]);
}

#[test]
fn u10_another_undo_of_what_is_undone_is_unchanged() {
    let history = a().by("ada", [node_moved("a", 1, 1)]).by("ada", [node_moved("a", 0, 0)]);
    undo(history, &[2]).then_unchanged();
    undo(a().by("ada", [node_deleted("a")]), &[1]).then_unchanged();
}

#[test]
fn u11_the_client_version_is_only_checked_for_being_ahead() {
    let mut undoing = undo(a().by("ada", [node_moved("a", 1, 1)]), &[2]);
    undoing.version = Version::new(1);
    undoing.then([node_moved("a", 0, 0)]);
    let mut ahead = undo(a(), &[1]);
    ahead.version = Version::new(9);
    ahead.then_refused(Reason::VersionAhead);
}

#[test]
fn u12_the_result_names_what_was_put_back() {
    let history = a().by("ada", [node_moved("a", 1, 1), node_updated("a", json!({"data": {"n": 5}}))]);
    let result = undo(history, &[2])
        .then([node_updated("a", json!({"position": {"x": 0, "y": 0}, "data": {"n": 1}}))]);
    let paths: Vec<_> = result.reverted[0].paths.iter().map(|path| path.as_str()).collect();
    assert_eq!((result.reverted.len(), paths), (1, vec!["/position", "/data/n"]));
    assert_eq!(result.undoes, [OperationId::from(Uuid::from_u128(2))]);
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
