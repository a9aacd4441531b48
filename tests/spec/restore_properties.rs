//! Properties of restores over random histories of three people (rule L11).

use dao_api::domain::{RestorePart, Restoring, Verdict, VersionRef};
use dao_projections::{Entity, Event, Graph, GraphDiff, Version, fold_strictly};
use proptest::prelude::*;

use crate::{
    given::Given,
    undo::undo,
    undo_properties::{contents, graph_at, history, history_after, step},
    versions::{restore, restoring, some},
};

fn whole(number: u64) -> Restoring {
    let include = vec![RestorePart::Attributes, RestorePart::Viewport];
    Restoring { include, ..restoring(VersionRef::Version(Version::new(number).expect("small"))) }
}

/// The history with the restore; the same one where that changes nothing.
fn restored(given: &Given, number: u64) -> Result<Given, TestCaseError> {
    match given.clone().when(restore(whole(number))).verdict() {
        Verdict::Accepted { events, .. } => Ok(given.clone().by("ada", events)),
        Verdict::Unchanged { .. } => Ok(given.clone()),
        Verdict::Refused(refusal) => Err(TestCaseError::fail(format!("{refusal:#?}"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn l11_after_a_restore_there_is_no_difference(
        steps in prop::collection::vec(step(), 1..40),
        picked in any::<prop::sample::Index>(),
    ) {
        let given = history(&steps);
        prop_assume!(given.version() > 0);
        let to = picked.index(given.version() as usize + 1) as u64;
        let after = restored(&given, to)?;
        let then = graph_at(&given, to);
        prop_assert!(GraphDiff::between(&then, &after.graph).is_empty());
        // Ids, places in creation order and times of creation too.
        prop_assert_eq!(contents(&after.graph), contents(&then));
        if let Some(commit) = after.commits.get(given.commits.len()) {
            prop_assert_eq!(fold_strictly(&mut given.graph.clone(), commit), Ok(()));
        }
        prop_assert_eq!(restored(&after, to)?.version(), after.version(), "a second time");
    }

    #[test]
    fn l11_undoing_a_restore_gives_back_what_was_there(
        steps in prop::collection::vec(step(), 1..40),
        picked in any::<prop::sample::Index>(),
    ) {
        let given = history(&steps);
        prop_assume!(given.version() > 0);
        let to = picked.index(given.version() as usize + 1) as u64;
        let after = restored(&given, to)?;
        prop_assume!(after.version() > given.version());
        match undo(after.clone(), &[after.version()]).verdict() {
            Verdict::Accepted { events, .. } => {
                prop_assert_eq!(contents(&after.by("ada", events).graph), contents(&given.graph));
            }
            verdict => return Err(TestCaseError::fail(format!("{verdict:#?}"))),
        }
    }

    #[test]
    fn u6_undoing_a_restore_takes_nothing_away_that_others_made_since(
        steps in prop::collection::vec(step(), 1..40),
        picked in any::<prop::sample::Index>(),
        later in prop::collection::vec(step(), 1..10),
    ) {
        let given = history(&steps);
        prop_assume!(given.version() > 0);
        let after = restored(&given, picked.index(given.version() as usize + 1) as u64)?;
        prop_assume!(after.version() > given.version());
        let others: Vec<_> = later.into_iter().map(|(user, step)| (1 + user % 2, step)).collect();
        let now = history_after(after.clone(), &others);
        let Verdict::Accepted { events, .. } = undo(now.clone(), &[after.version()]).verdict() else { return Ok(()) };
        let undone = now.clone().by("ada", events);
        prop_assert_eq!(fold_strictly(&mut now.graph.clone(), undone.commits.last().expect("a commit")), Ok(()));
        let made = |event: &Event| event.is_creation() && event.entity() != Entity::Graph;
        for event in now.commits.iter().skip(after.commits.len()).flat_map(|commit| &commit.body.events) {
            let stands = |graph: &Graph| match event.entity() {
                Entity::Node(id) => graph.nodes().get(id).is_some(),
                Entity::Edge(id) => graph.edges().get(id).is_some(),
                Entity::Viewport | Entity::Graph => false,
            };
            prop_assert!(!made(event) || !stands(&now.graph) || stands(&undone.graph), "{}", event.entity());
        }
    }

    #[test]
    fn l11_restoring_some_leaves_a_graph_that_could_have_happened(
        steps in prop::collection::vec(step(), 1..40),
        picked in any::<prop::sample::Index>(),
        nodes in prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5),
        edges in prop::sample::subsequence(vec!["x", "y", "z"], 0..3),
    ) {
        let given = history(&steps);
        prop_assume!(given.version() > 0);
        let to = picked.index(given.version() as usize + 1) as u64;
        let then = graph_at(&given, to);
        let (events, told) = match given.clone().when(some(to, &nodes, &edges)).verdict() {
            Verdict::Accepted { events, restored, .. } => (events, restored.expect("a restore")),
            Verdict::Unchanged { restored, .. } => (vec![], restored.expect("a restore")),
            Verdict::Refused(refusal) => return Err(TestCaseError::fail(format!("{refusal:#?}"))),
        };
        let mut after = given.graph.clone();
        if !events.is_empty() {
            let given = given.clone().by("ada", events);
            let commit = given.commits.last().expect("a commit");
            prop_assert_eq!(fold_strictly(&mut after, commit), Ok(()));
        }
        // What was named is as it was then, unless it is told to be left alone.
        for id in nodes.iter().filter(|id| !told.skipped.iter().any(|skip| skip.id == **id)) {
            let id = id.parse().expect("an id");
            let [now, was] = [&after, &then].map(|graph| graph.nodes().get(&id).map(|n| (n.entity.clone(), n.ordinal)));
            prop_assert_eq!(now, was);
        }
        for id in edges.iter().filter(|id| !told.skipped.iter().any(|skip| skip.id == **id)) {
            let id = id.parse().expect("an id");
            let [now, was] = [&after, &then].map(|graph| graph.edges().get(&id).map(|e| (e.entity.clone(), e.ordinal)));
            prop_assert_eq!(now, was);
        }
        // What was there then and was not named is as it is now.
        let unnamed = given.graph.nodes().iter().filter(|node| {
            let id = node.entity.id();
            then.nodes().get(id).is_some() && !nodes.contains(&id.as_str())
        });
        for node in unnamed {
            let now = after.nodes().get(node.entity.id());
            prop_assert_eq!(now.map(|now| &now.entity), Some(&node.entity));
        }
    }
}
