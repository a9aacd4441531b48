//! Commits, and the state that they add up to, as `GET …/state` answers it.

use dao_api::{domain::Verdict, http::wire::state_json};
use dao_projections::{Event, GraphId};
use serde_json::{Value, json};

use super::{
    commits_json,
    decide::{USERS, history},
    random::Random,
};
use crate::{
    given::{Given, edge_created, given, map, node_created, node_deleted, node_moved, node_updated},
    undo::undo,
};

pub fn cases() -> Vec<Value> {
    let mut random = Random::seeded(3);
    let histories = (0..160).map(|_| {
        let length = 3 + random.below(30);
        let given = history(&mut random, length);
        with_undos(&mut random, given)
    });
    let histories: Vec<Given> = handmade().into_iter().chain(histories).collect();
    histories.iter().map(case).collect()
}

fn case(given: &Given) -> Value {
    let graph: GraphId = "g".parse().expect("an id");
    let state: Value = serde_json::from_slice(&state_json(&graph, &given.graph)).expect("JSON");
    json!({"commits": commits_json(&given.commits), "state": state})
}

/// The history, and then a few of its operations undone: what comes back has its old place.
fn with_undos(random: &mut Random, given: Given) -> Given {
    (0..random.below(5)).fold(given, |given, _| {
        let versions = given.version() as usize;
        if versions == 0 {
            return given;
        }
        let undone = undo(given.clone(), &[1 + random.below(versions) as u64]).verdict();
        match undone {
            Verdict::Accepted { events, .. } => given.by(random.pick::<&str>(&USERS), events),
            Verdict::Unchanged { .. } | Verdict::Refused(_) => given,
        }
    })
}

fn handmade() -> Vec<Given> {
    let numbers = json!({"data": {"one": 1.0, "zero": -0.0, "large": 1e21, "max": u64::MAX, "min": i64::MIN, "tiny": 5e-324}});
    let keys = json!({"data": {"__proto__": {"a": 1}, "constructor": {"b": null}, "10": 1, "2": 2}, "__proto__": {"c": 3}});
    let text = json!({"data": {"é": "e\u{301}", "🙂": "\u{2028}\u{0}", "": {"/": 1, "~": 2}}});
    let nested = json!({"data": {"a": {"b": {"c": 1, "d": null}}, "list": [null, {"x": null}]}});
    vec![
        given([
            node_created("a", numbers.clone()),
            node_updated("a", json!({"data": {"one": 1, "large": null}})),
        ]),
        given([
            node_created("a", keys),
            node_updated("a", json!({"data": {"__proto__": {"a": null, "d": 4}, "constructor": null}})),
        ]),
        given([node_created("é🙂", text), node_updated("é🙂", json!({"data": {"": {"/": null}}}))]),
        given([
            node_created("a", nested),
            node_updated("a", json!({"data": {"a": {"b": {"c": null, "e": {"f": null}}}, "list": []}})),
        ]),
        given([
            node_created("child", json!({"parentId": "group"})),
            node_created("other", json!({})),
            node_created("group", json!({})),
            node_moved("group", 1, 2),
        ]),
        given([
            node_created("a", json!({})),
            node_updated("a", json!({"position": {"x": 5}, "type": null, "data": {}})),
            node_updated("a", json!({"position": {"x": "bad"}, "width": 3})),
            node_updated("missing", json!({"width": 3})),
            node_moved("missing", 1, 1),
            node_deleted("missing"),
        ]),
        given([
            node_created("a", json!({})),
            node_created("b", json!({})),
            edge_created("ab", "a", "b"),
            node_deleted("a"),
            node_created("a", json!({"data": {"again": true}})),
        ]),
        given([
            Event::GraphCreated {
                attributes: attributes(json!({"title": "t", "__proto__": {"x": 1}})),
                from: None,
            },
            Event::GraphUpdated { patch: crate::given::patch(json!({"title": null, "tags": ["a"]})) },
        ]),
    ]
}

fn attributes(fields: Value) -> dao_projections::Attributes {
    dao_projections::Attributes::new(map(fields))
}
