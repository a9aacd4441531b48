//! Properties of document saves over random graphs, and a model of them that knows nothing of commands (rules DS).
//!
//! The model compares three pictures field by field: the base, the saver's, and what stands. It holds for histories in
//! which others wrote no entity twice: what was written and taken back again is told apart by the history alone.

use std::collections::{BTreeMap, HashSet};

use dao_api::domain::{Command, Document, OnConflict, Verdict};
use dao_projections::{Entity, Event, Graph, Map, Pointer};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    document::document,
    given::{Given, connect, create, delete, delete_edge, move_to, node, update, update_edge},
};

/// The first two may have others in them and are in none.
const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const GROUPS: usize = 2;
const EDGES: [&str; 4] = ["w", "x", "y", "z"];

#[derive(Clone, Debug)]
enum Step {
    Create(usize, Option<usize>),
    Write(usize, u8, Option<u8>),
    Move(usize, u8),
    Into(usize, Option<usize>),
    Delete(usize),
    Connect(usize, usize, usize),
    Reconnect(usize, usize),
    Label(usize, u8),
    Disconnect(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (node, edge, child) = (|| 0..NODES.len(), || 0..EDGES.len(), || GROUPS..NODES.len());
    let group = || prop::option::of(0..GROUPS);
    prop_oneof![
        6 => (node(), group()).prop_map(|(n, p)| Step::Create(n, p.filter(|_| n >= GROUPS))),
        4 => (node(), 0..3_u8, prop::option::of(0..3_u8)).prop_map(|(n, f, v)| Step::Write(n, f, v)),
        2 => (node(), 1..4_u8).prop_map(|(n, x)| Step::Move(n, x)),
        2 => (child(), group()).prop_map(|(n, p)| Step::Into(n, p)),
        2 => node().prop_map(Step::Delete),
        4 => (edge(), node(), node()).prop_map(|(e, from, to)| Step::Connect(e, from, to)),
        1 => (edge(), node()).prop_map(|(e, to)| Step::Reconnect(e, to)),
        1 => (edge(), 0..3_u8).prop_map(|(e, v)| Step::Label(e, v)),
        1 => edge().prop_map(Step::Disconnect),
    ]
}

/// What somebody writes differs from what another one does.
fn command(step: &Step, author: u8) -> Command {
    let parent = |parent: &Option<usize>| parent.map(|parent| NODES[parent]);
    let value = |value: u8| value + 10 * author;
    match step {
        Step::Create(n, p) => {
            let attributes = match parent(p) {
                Some(parent) => json!({"parentId": parent, "data": {"k": value(0)}}),
                None => json!({"data": {"k": value(0)}}),
            };
            create(node(NODES[*n], attributes))
        }
        Step::Write(n, 0, v) => update(NODES[*n], json!({"type": v.map(|v| format!("t{}", value(v)))})),
        Step::Write(n, 1, v) => update(NODES[*n], json!({"data": {"x": v.map(value)}})),
        Step::Write(n, _, v) => update(NODES[*n], json!({"data": {"y": v.map(value)}})),
        Step::Move(n, x) => move_to(NODES[*n], i64::from(value(*x)), 0),
        Step::Into(n, p) => update(NODES[*n], json!({"parentId": parent(p)})),
        Step::Delete(n) => delete(NODES[*n]),
        Step::Connect(e, from, to) => connect(EDGES[*e], NODES[*from], NODES[*to]),
        Step::Reconnect(e, to) => update_edge(EDGES[*e], json!({"target": NODES[*to]})),
        Step::Label(e, v) => update_edge(EDGES[*e], json!({"label": value(*v)})),
        Step::Disconnect(e) => delete_edge(EDGES[*e]),
    }
}

/// The history with these steps, as far as the graph allows them. `once`: no entity is written twice.
fn history(given: Given, user: &str, author: u8, steps: &[Step], once: bool) -> Given {
    let mut written = HashSet::<String>::new();
    steps.iter().fold(given, |given, step| {
        let verdict = given.clone().when(command(step, author)).from(user).verdict();
        let Verdict::Accepted { events, .. } = verdict else { return given };
        let entities: Vec<String> = events.iter().map(|event| event.entity().to_string()).collect();
        if once && entities.iter().any(|entity| written.contains(entity)) {
            return given;
        }
        written.extend(entities);
        given.by(user, events)
    })
}

/// Ada's graph: all nodes and edges, and then these steps.
fn began(steps: &[Step]) -> Given {
    let nodes = (0..NODES.len()).map(|n| Step::Create(n, (n > 3).then_some(n % GROUPS)));
    let edges = (0..EDGES.len() - 1).map(|e| Step::Connect(e, e, e + 2));
    let all: Vec<Step> = nodes.chain(edges).chain(steps.iter().cloned()).collect();
    history(Given::default(), "ada", 0, &all, false)
}

/// A picture: the fields of each entity by the path of each value, nodes and edges apart.
#[derive(Clone, Debug, Default, PartialEq)]
struct Picture {
    nodes: BTreeMap<String, Fields>,
    edges: BTreeMap<String, Fields>,
}

type Fields = BTreeMap<String, Value>;

fn fields(entity: Map) -> Fields {
    let mut fields = Fields::new();
    for (key, value) in entity {
        match value {
            Value::Object(below) if key == "data" => {
                fields.extend(below.into_iter().map(|(below, value)| (format!("/data/{below}"), value)));
            }
            value => drop(fields.insert(format!("/{key}"), value)),
        }
    }
    fields
}

fn picture_of(document: &Document) -> Picture {
    let nodes = document.nodes.iter().map(|node| (node.id().to_string(), fields(node.to_json())));
    let edges = document.edges.iter().map(|edge| (edge.id().to_string(), fields(edge.to_json())));
    Picture { nodes: nodes.collect(), edges: edges.collect() }
}

fn picture(graph: &Graph) -> Picture {
    picture_of(&document(graph))
}

/// The paths at which two entities differ.
fn changed(before: &Fields, after: &Fields) -> Vec<String> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    paths.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// What the model expects of a save.
#[derive(Debug, Default)]
struct Expected {
    /// Where it would be refused: an id, and a path of it.
    conflicts: Vec<(String, String)>,
    /// What stands afterwards, if it is not.
    after: Picture,
    /// Nodes that are deleted.
    deleted: usize,
}

fn expected(base: &Picture, mine: &Picture, theirs: &Picture) -> Expected {
    let mut expected = Expected { after: theirs.clone(), ..Expected::default() };
    let removed: HashSet<&String> = base.nodes.keys().filter(|id| !mine.nodes.contains_key(*id)).collect();
    let refers_to_removed = |fields: &Fields, path: &str| {
        fields.get(path).and_then(Value::as_str).is_some_and(|id| removed.contains(&id.to_owned()))
    };
    for (id, fields) in &mine.nodes {
        expected.merge(id, base.nodes.get(id), fields, theirs.nodes.get(id), |after| &mut after.nodes);
    }
    for (id, fields) in &mine.edges {
        let is_left_hanging =
            base.edges.get(id).is_some_and(|old| {
                old["/source"] == fields["/source"] && old["/target"] == fields["/target"]
            }) && (refers_to_removed(fields, "/source") || refers_to_removed(fields, "/target"));
        if !is_left_hanging {
            expected.merge(id, base.edges.get(id), fields, theirs.edges.get(id), |after| &mut after.edges);
        }
    }
    for (id, old) in base.edges.iter().filter(|(id, _)| !mine.edges.contains_key(*id)) {
        if theirs.edges.get(id).is_some_and(|now| now != old) {
            expected.conflicts.push((id.clone(), String::new()));
        }
        expected.after.edges.remove(id);
    }
    for id in removed {
        let old = &base.nodes[id];
        let Some(now) = theirs.nodes.get(id) else { continue };
        if changed(old, now).iter().any(|path| path != "/position") {
            expected.conflicts.push((id.clone(), String::new()));
        }
        expected.after.nodes.remove(id);
        expected.deleted += 1;
    }
    let nodes = expected.after.nodes.clone();
    let is_there = |fields: &Fields, path: &str| {
        fields.get(path).and_then(Value::as_str).is_none_or(|id| nodes.contains_key(id))
    };
    // What is still in a node that goes, or refers to one that went, though the saver made or changed it.
    for (id, fields) in &nodes {
        if !is_there(fields, "/parentId") {
            expected.conflicts.push((id.clone(), "/parentId".to_owned()));
        }
    }
    for (id, fields) in expected.after.edges.clone() {
        if is_there(&fields, "/source") && is_there(&fields, "/target") {
            continue;
        }
        // Drawn by the saver, it has no end; drawn by others, it goes with the node.
        let is_mine = mine.edges.get(&id).is_some_and(|mine| {
            base.edges.get(&id).is_none_or(|old| {
                ["/source", "/target"].iter().any(|end| old[*end] != mine[*end] && !is_there(mine, end))
            })
        });
        if is_mine && theirs.edges.get(&id) != Some(&fields) {
            expected.conflicts.push((id.clone(), String::new()));
        }
        expected.after.edges.remove(&id);
    }
    expected
}

impl Expected {
    fn merge(
        &mut self,
        id: &str,
        base: Option<&Fields>,
        mine: &Fields,
        theirs: Option<&Fields>,
        of: fn(&mut Picture) -> &mut BTreeMap<String, Fields>,
    ) {
        let Some(base) = base else {
            match theirs {
                Some(theirs) if theirs != mine => self.conflicts.push((id.to_owned(), String::new())),
                _ => drop(of(&mut self.after).insert(id.to_owned(), mine.clone())),
            }
            return;
        };
        let mine_changed = changed(base, mine);
        let Some(theirs) = theirs else {
            if !mine_changed.is_empty() {
                self.conflicts.push((id.to_owned(), String::new()));
            }
            return;
        };
        let theirs_changed = changed(base, theirs);
        for path in mine_changed {
            let is_equal = theirs.get(&path) == mine.get(&path);
            if !is_equal && path != "/position" && theirs_changed.contains(&path) {
                self.conflicts.push((id.to_owned(), path.clone()));
            }
            let Some(after) = of(&mut self.after).get_mut(id) else { continue };
            match mine.get(&path) {
                Some(value) => drop(after.insert(path, value.clone())),
                None => drop(after.remove(&path)),
            }
        }
    }
}

/// The ids here need no escapes.
fn pointer(path: &str) -> Pointer {
    path.split('/').skip(1).fold(Pointer::root(), |above, key| above.child(key))
}

fn applied(given: &Given, events: Vec<Event>) -> Given {
    given.clone().by("ada", events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn ds2_ds4_a_save_is_the_merge_of_three_pictures(
        before in prop::collection::vec(step(), 0..16),
        mine in prop::collection::vec(step(), 0..14),
        theirs in prop::collection::vec(step(), 0..14),
    ) {
        let base = began(&before);
        let document = document(&history(base.clone(), "ada", 1, &mine, false).graph);
        let head = history(base.clone(), "bob", 2, &theirs, true);
        let (of_base, of_mine, of_theirs) = (picture(&base.graph), picture_of(&document), picture(&head.graph));
        let expected = expected(&of_base, &of_mine, &of_theirs);
        let saved = head.clone().saves(base.version(), document).saying(expected.deleted).saved();
        match saved.verdict {
            Verdict::Accepted { events, .. } => {
                prop_assert!(expected.conflicts.is_empty(), "expected {:?}, got {events:#?}", expected.conflicts);
                prop_assert_eq!(picture(&applied(&head, events).graph), expected.after);
            }
            Verdict::Unchanged { .. } => {
                prop_assert!(expected.conflicts.is_empty(), "{:?}", expected.conflicts);
                prop_assert_eq!(of_theirs, expected.after);
            }
            Verdict::Refused(refusal) => {
                prop_assert!(!expected.conflicts.is_empty(), "{refusal:#?}, expected {:#?}", expected.after);
                for conflict in refusal.resolution.iter().flat_map(|resolution| &resolution.conflicts) {
                    let told = (conflict.id.to_string(), conflict.path.to_string());
                    prop_assert!(expected.conflicts.iter().any(|(id, _)| *id == told.0), "{told:?} of {:?}", expected.conflicts);
                }
            }
        }
    }

    #[test]
    fn ds9_keep_and_overwrite_change_only_what_the_saver_changed(
        before in prop::collection::vec(step(), 0..16),
        mine in prop::collection::vec(step(), 0..14),
        theirs in prop::collection::vec(step(), 0..14),
        overwrites in any::<bool>(),
    ) {
        let base = began(&before);
        let document = document(&history(base.clone(), "ada", 1, &mine, false).graph);
        let head = history(base.clone(), "bob", 2, &theirs, true);
        let (of_base, of_mine, of_theirs) = (picture(&base.graph), picture_of(&document), picture(&head.graph));
        let deleted = |after: &Picture| of_theirs.nodes.keys().filter(|id| !after.nodes.contains_key(*id)).count();
        let saving = |deletes: usize| {
            let saving = head.clone().saves(base.version(), document.clone()).saying(deletes);
            if overwrites { saving.policy(OnConflict::Overwrite) } else { saving.keeping() }
        };
        let mut verdict = saving(0).saved().verdict;
        for deletes in 1..=of_theirs.nodes.len() {
            if !matches!(&verdict, Verdict::Refused(refusal) if refusal.details.is_some()) {
                break;
            }
            verdict = saving(deletes).saved().verdict;
        }
        let Verdict::Accepted { events, .. } = verdict else { return Ok(()) };
        for event in &events {
            let id = event.entity().to_string();
            // Where both created it, what the other one made is the base.
            let pictures = |of: fn(&Picture) -> &BTreeMap<String, Fields>| {
                let base = of(&of_base).get(&id).or_else(|| of(&of_theirs).get(&id));
                (base.cloned(), of(&of_mine).get(&id).cloned())
            };
            let (base, mine) = match event.entity() {
                Entity::Node(_) => pictures(|picture| &picture.nodes),
                Entity::Edge(_) => pictures(|picture| &picture.edges),
                Entity::Viewport | Entity::Graph => (None, None),
            };
            if event.is_deletion() || event.is_creation() {
                continue;
            }
            let (base, mine) = (base.unwrap_or_default(), mine.unwrap_or_default());
            let wanted = changed(&base, &mine);
            for path in event.paths() {
                let is_wanted = |wanted: &String| pointer(wanted).overlaps(&path);
                // What others put into a node that goes is taken out of it.
                let is_taken_out = overwrites && ["/parentId", "/source", "/target"].contains(&path.as_str());
                let may_be_written = is_taken_out || path.is_within_position() || wanted.iter().any(is_wanted);
                prop_assert!(may_be_written, "{path} of {id}: {event:?}");
            }
        }
        let after = picture(&applied(&head, events).graph);
        prop_assert!(deleted(&after) <= of_theirs.nodes.len());
        if overwrites {
            // What the saver has, and others have too, is still there; and what the saver changed stands so.
            for id in of_mine.nodes.keys().filter(|id| of_theirs.nodes.contains_key(*id)) {
                prop_assert!(after.nodes.contains_key(id), "{id} is gone");
            }
            for (id, fields) in of_mine.nodes.iter().filter(|(id, fields)| of_base.nodes.get(*id) != Some(fields)) {
                let now = after.nodes.get(id);
                let old = of_base.nodes.get(id).cloned().unwrap_or_default();
                for path in changed(&old, fields) {
                    prop_assert_eq!(now.and_then(|now| now.get(&path)), fields.get(&path), "{} of {}", path, id);
                }
            }
        }
    }

    #[test]
    fn ds10_who_adopts_what_stands_has_nothing_to_save(
        before in prop::collection::vec(step(), 0..16),
        mine in prop::collection::vec(step(), 0..14),
        theirs in prop::collection::vec(step(), 0..14),
    ) {
        let base = began(&before);
        let sent = document(&history(base.clone(), "ada", 1, &mine, false).graph);
        let head = history(base.clone(), "bob", 2, &theirs, true);
        let saved = head.clone().saves(base.version(), sent.clone()).saying(usize::MAX).keeping().saved();
        let Verdict::Accepted { events, .. } = saved.verdict else { return Ok(()) };
        let after = applied(&head, events);
        let adopted = after.clone().saves(after.version(), document(&after.graph)).saved();
        prop_assert_eq!(adopted.verdict, Verdict::Unchanged { skipped: vec![], restored: None });
        // Who keeps the picture that was sent, with one's own commits known, has nothing to save either: what others did
        // is no part of it.
        let with_others = &saved.report.also_deleted;
        if saved.report.kept.is_empty() && with_others.nodes.is_empty() && with_others.edges.is_empty() {
            let own: Vec<u64> = saved.report.own.iter().map(|version| version.get()).chain([after.version()]).collect();
            let again = after.clone().saves(base.version(), sent).own(&own).saved();
            prop_assert_eq!(again.verdict, Verdict::Unchanged { skipped: vec![], restored: None });
        }
    }
}
