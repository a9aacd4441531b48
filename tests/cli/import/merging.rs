//! What is there and what a file says: merged, or made equal when asked (rule L16); and our own exports.

use serde_json::{Value, json};

use super::{Place, bare, flow, ids, said};

fn merge_and_replace(place: &Place) {
    let mut first = flow(&["a", "box", "old"], &[("a", "old")]);
    first["nodes"][0]["data"] = json!({"label": "A", "color": "red"});
    first["nodes"][2]["parentId"] = "box".into();
    place.import_value(&first, "g");
    let mut second = flow(&["a", "b"], &[("a", "b")]);
    second["nodes"][0]["data"] = json!({"label": "B"});
    let file = place.file("second.json", second.to_string());

    let (told, _) = place.imports(&[&file, "--graph", "g", "--dry-run"]);
    assert!(told.contains("adds 1 node and 1 edge, changes 1 node, deletes nothing"), "{told}");
    assert!(told.contains("/data/label: \"A\" -> \"B\""), "{told}");
    assert_eq!(place.state("g")["version"], 1, "nothing is written");

    let (told, _) = place.imports(&[&file, "--graph", "g"]);
    let merged = place.state("g");
    assert!(
        told.contains("added 1 node and 1 edge, changed 1 node, deleted nothing; now at version 2"),
        "{told}"
    );
    assert!(told.trim_end().ends_with("with 4 nodes and 2 edges"), "{told}");
    assert_eq!(merged["nodes"][0]["data"], json!({"label": "B", "color": "red"}), "nor a field is deleted");
    assert_eq!(ids(&merged, "edges"), ["a-old", "a-b"]);

    let replace = ["import", &file, "--graph", "g", "--replace"];
    for answer in ["", "n\n", "what?\n"] {
        let output = place.run_saying(&replace, answer);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in ["deletes node \"box\"", "deletes node \"old\"", "deletes edge \"a-old\"", "--yes"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert_eq!(place.state("g"), merged);
    }
    let output = place.run_saying(&replace, "y\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let replaced = place.state("g");
    assert_eq!(
        (replaced["version"].as_u64(), ids(&replaced, "nodes"), ids(&replaced, "edges")),
        (Some(3), vec!["a".into(), "b".into()], vec!["a-b".into()])
    );
    assert_eq!(replaced["nodes"][0]["data"], json!({"label": "B"}), "the graph is equal to the file");
    // Nothing to delete is nothing to ask.
    assert_eq!(place.run(&replace).status.code(), Some(0));
    let empty = place.file("empty.json", flow(&[], &[]).to_string());
    let output = place.run(&["import", &empty, "--graph", "g", "--replace", "--yes", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let graph = &answer["graphs"][0];
    assert_eq!(
        (&graph["deleted"], &graph["nodes"]),
        (&json!({"nodes": 2, "edges": 1}), &json!(0)),
        "{answer}"
    );
    assert_eq!(place.state("g")["version"], 4);
}

#[test]
fn l16_import_never_deletes_unasked() {
    merge_and_replace(&Place::embedded());
}

#[test]
fn l16_import_never_deletes_unasked_on_redis() {
    merge_and_replace(&Place::on_redis());
}

#[test]
fn l16_json_output_is_one_document() {
    let place = Place::embedded();
    let file = place.file("flow.json", flow(&["a", "b"], &[("a", "b"), ("a", "gone")]).to_string());
    let answer = |arguments: &[&str]| -> Value { serde_json::from_str(&place.imports(arguments).0).unwrap() };
    let told = answer(&[&file, "--graph", "g", "--json", "--dry-run"]);
    assert_eq!(
        (&told["dryRun"], &told["graphs"][0]["written"], &told["graphs"][0]["version"]),
        (&json!(true), &json!(false), &json!(0))
    );
    assert_eq!(told["graphs"][0]["difference"]["nodes"]["added"].as_array().map(Vec::len), Some(2), "{told}");
    let told = answer(&[&file, "--graph", "g", "--json"]);
    let graph = &told["graphs"][0];
    assert_eq!(
        (&graph["graph"], &graph["added"], &graph["version"]),
        (&json!("g"), &json!({"nodes": 2, "edges": 1}), &json!(1))
    );
    assert_eq!(graph["notes"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(answer(&[&file, "--graph", "g", "--json"])["graphs"][0]["written"], false);
    for wrong in [
        &["import"] as &[&str],
        &["import", &file],
        &["import", &file, "--graph", "-"],
        &["import", &file, "--graph", "g", "--merge", "--replace"],
    ] {
        assert_eq!(place.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn l16_no_two_files_become_one_graph_unasked() {
    let place = Place::embedded();
    let text = flow(&["a"], &[]).to_string();
    let files = [place.file("my flow.json", &text), place.file("my-flow.json", &text)];
    let line = place.refuses(&[&files[0], &files[1], "--each"]);
    assert!(line.contains("my-flow.json") && line.contains("--graph"), "{line}");
    let files = [place.file("x/flow.json", &text), place.file("y/flow.json", &text)];
    assert!(place.refuses(&[&files[0], &files[1], "--each"]).contains("y/flow.json"));
    assert_eq!(place.state("flow")["version"], 0);
    // Nor do flows of one file, whatever they are called.
    let one = json!({"name": "same", "data": flow(&["a"], &[])});
    place.import_value(&json!({"flows": [one, one, one]}), "g");
    for graph in ["g", "g.same", "g.same-2"] {
        assert_eq!(ids(&place.state(graph), "nodes"), ["a"], "{graph}");
    }
    let one = json!({"name": "x", "data": null});
    let (_, notes) = place.import_value(&json!([{"name": "y", "data": flow(&["a"], &[])}, one]), "h");
    assert!(notes.contains("[1] has no flow"), "{notes}");
}

fn own_exports(place: &Place) {
    let nodes: Vec<Value> = (0..600).map(|n| json!({"id": format!("n{n}"), "position": {"x": n, "y": 0.5}, "data": {"text": "日本語 👩‍👩‍👧", "nothing": null}})).collect();
    let edges: Vec<Value> = (0..599).map(|n| json!({"id": format!("e{n}"), "source": format!("n{n}"), "target": format!("n{}", n + 1), "sourceHandle": null})).collect();
    let document = json!({"nodes": nodes, "edges": edges, "viewport": {"x": 0.1, "y": -2, "zoom": 0.5}});
    place.import_value(&document, "g");
    // A group that is made last and has the first node in it.
    place.import_value(
        &json!({"nodes": [{"id": "n0", "parentId": "box"}, {"id": "box", "type": "group"}], "edges": []}),
        "g",
    );
    place.import_value(&json!({"nodes": [{"id": "n1", "position": {"x": -7, "y": 0}}], "edges": []}), "g");
    let want = bare(&place.state("g"));
    let by_id = |state: &Value| {
        let mut state = state.clone();
        state["nodes"].as_array_mut().unwrap().sort_by_key(|node| node["id"].to_string());
        state
    };
    for (graph, arguments, name) in
        [("state", &["g", "--state"] as &[&str], "g.json"), ("commits", &["g"], "g.ndjson")]
    {
        let file = place.file(name, place.export(arguments));
        place.imports(&[&file, "--graph", graph]);
        let state = place.state(graph);
        assert_eq!((state["version"].as_u64(), by_id(&bare(&state))), (Some(1), by_id(&want)), "{graph}");
    }
    let commits = place.export(&["g"]);
    let cut: String = commits.lines().skip(1).map(|line| format!("{line}\n")).collect();
    let line = place.refuses(&[&place.file("cut.ndjson", cut), "--graph", "h"]);
    assert!(line.contains("cut.ndjson:1") && line.contains("version 2"), "{line}");
    let torn = &commits[..commits.len() - 20];
    let line = place.refuses(&[&place.file("torn.ndjson", torn), "--graph", "h"]);
    assert!(line.contains("torn.ndjson:3"), "{line}");
    assert_eq!(place.state("h")["version"], 0);
}

#[test]
fn exported_graphs_can_be_imported() {
    own_exports(&Place::embedded());
}

#[test]
fn exported_graphs_can_be_imported_on_redis() {
    own_exports(&Place::on_redis());
}
