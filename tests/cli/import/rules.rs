//! Files are held to the rules of the wire, and what is wrong is told with its place.

use serde_json::json;

use super::{Place, flow, ids};

#[test]
fn g6_h1_o3_a_file_is_read_by_the_rules_of_the_wire() {
    let place = Place::embedded();
    let deep = |levels: usize| {
        format!(r#"{{"id":"a","data":{{"d":{}1{}}}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    for (node, said) in [
        (r#"{"id":"a","data":{"seed":18446744073709551616}}"#.to_owned(), "nodes[0].data.seed"),
        (r#"{"id":"a","data":{"seed":-9223372036854775809}}"#.to_owned(), "nodes[0].data.seed"),
        (r#"{"id":"a","data":{"seed":1e400}}"#.to_owned(), "nodes[0].data.seed"),
        (r#"{"id":"a","id":"b"}"#.to_owned(), "nodes[0].id"),
        (r#"{"id":"a","position":{"x":0,"x":7,"y":0}}"#.to_owned(), "nodes[0].position.x"),
        (r#"{"id":"a","data":{},"data":{}}"#.to_owned(), "nodes[0].data"),
        (r#"{"id":"a","type":5}"#.to_owned(), "nodes[0].type"),
        (r#"{"id":"a","position":{"x":NaN,"y":0}}"#.to_owned(), "line 1 column"),
        // The command around it has three levels, the node and its data are two more.
        (deep(60), "MAX_JSON_DEPTH"),
        (deep(200), "MAX_JSON_DEPTH"),
    ] {
        let text = format!(r#"{{"nodes":[{node}],"edges":[]}}"#);
        let line = place.refuses(&[&place.file("flow.json", &text), "--graph", "g"]);
        assert!(line.contains("flow.json: ") && line.contains(said), "{line}");
        // The same in a text, which is a document of its own.
        let text = json!({"name": "x", "flowData": text}).to_string();
        let line = place.refuses(&[&place.file("row.json", text), "--graph", "g"]);
        assert!(line.contains("row.json: flowData") && line.contains(said), "{line}");
        assert_eq!(place.state("g")["version"], 0);
    }
    let fine = format!(
        r#"{{"nodes":[{},{{"id":"b","data":{{"k":1,"k":18446744073709551615,"f":1.8446744073709552e19}}}}],"edges":[]}}"#,
        deep(59)
    );
    place.imports(&[&place.file("flow.json", fine), "--graph", "g"]);
    let state = place.state("g");
    assert_eq!(state["nodes"][1]["data"]["k"], u64::MAX, "deeper in data the last counts, as on the wire");
    let twice = place.file("twice.json", r#"{"nodes":[],"nodes":[{"id":"a"}],"edges":[]}"#);
    assert!(
        place.refuses(&[&twice, "--graph", "g"]).contains("twice.json: nodes"),
        "in what is around it too"
    );
}

#[test]
fn g6_h1_o3_yaml_is_read_by_the_same_rules() {
    let place = Place::embedded();
    let yaml = |data: &str| {
        format!(
            "workflow:\n  graph:\n    nodes:\n    - id: 7\n      position: {{x: 1, y: 2}}\n      data: {data}\n    edges: []\n"
        )
    };
    for (data, said) in [
        ("{seed: 18446744073709551616}", "seed"),
        ("{seed: 123456789012345678901234567890}", "seed"),
        ("{seed: 99999999999999999999999999999999999999999999}", "seed"),
        ("{seed: .nan}", "app.yml"),
        ("{k: [", "line"),
        (&format!("{}1{}", "[".repeat(90), "]".repeat(90)), "nest"),
    ] {
        let line = place.refuses(&[&place.file("app.yml", yaml(data)), "--graph", "g"]);
        assert!(line.contains("app.yml: ") && line.contains(said), "{data}: {line}");
    }
    let twice = yaml("{}").replace("      data", "      id: 8\n      data");
    assert!(
        place
            .refuses(&[&place.file("app.yml", twice), "--graph", "g"])
            .contains("workflow.graph.nodes[0].id")
    );
    let bomb = (1..12).fold("a0: &a0 [1,1,1,1,1,1,1,1,1]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
    });
    place.refuses(&[&place.file("bomb.yml", bomb), "--graph", "g"]);
    assert_eq!(place.state("g")["version"], 0);

    let fine = yaml(r#"{y: no, seed: 18446744073709551615, half: 0.5, nothing: ~, text: "07"}"#);
    place.imports(&[&place.file("app.yml", fine), "--graph", "g"]);
    let node = &place.state("g")["nodes"][0];
    assert_eq!(node["id"], "7");
    assert_eq!(
        node["data"],
        json!({"y": "no", "seed": u64::MAX, "half": 0.5, "nothing": null, "text": "07"})
    );
}

#[test]
fn h1_utf_8_and_utf_16_files_are_read() {
    let place = Place::embedded();
    let text = r#"{"nodes":[{"id":"a","data":{"label":"Grüße","half":"cut \ud83d"}}],"edges":[]}"#;
    let utf16 = |of: fn(u16) -> [u8; 2]| {
        [&of(0xfeff)[..], &text.encode_utf16().flat_map(of).collect::<Vec<_>>()].concat()
    };
    for (graph, bytes) in [
        ("bom", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("le", utf16(u16::to_le_bytes)),
        ("be", utf16(u16::to_be_bytes)),
    ] {
        place.imports(&[&place.file("flow.json", bytes), "--graph", graph]);
        assert_eq!(place.state(graph)["nodes"][0]["data"], json!({"label": "Grüße", "half": "cut \u{fffd}"}));
    }
}

#[test]
fn g4_repeated_ids_are_refused() {
    let place = Place::embedded();
    let many: Vec<String> = (0..700).map(|n| format!("n{n}")).collect();
    let mut far: Vec<&str> = many.iter().map(String::as_str).collect();
    far.push("n3");
    let line = place.refuses(&[&place.file("far.json", flow(&far, &[]).to_string()), "--graph", "g"]);
    assert!(line.contains("nodes[700].id") && line.contains("\"n3\"") && line.contains("nodes[3]"), "{line}");
    let one = place.file("one.json", flow(&["a"], &[]).to_string());
    let two = place.file("two.json", flow(&["b", "a"], &[]).to_string());
    let line = place.refuses(&[&one, &two, "--graph", "g"]);
    assert!(line.contains("two.json: nodes[1].id") && line.contains("one.json"), "{line}");
    let edges = flow(&["a", "b"], &[("a", "b"), ("a", "b")]);
    let line = place.refuses(&[&place.file("edges.json", edges.to_string()), "--graph", "g"]);
    assert!(line.contains("edges[1].id") && line.contains("\"a-b\""), "{line}");
    assert_eq!(place.state("g")["version"], 0);
}

#[test]
fn g4_a_stale_edge_is_left_out_and_named() {
    let place = Place::embedded();
    let stale = flow(&["a", "b"], &[("a", "b"), ("a", "gone")]);
    let (_, notes) = place.import_value(&stale, "g");
    assert!(
        notes.contains("flow.json: edges[1]") && notes.contains("\"a-gone\"") && notes.contains("\"gone\""),
        "{notes}"
    );
    assert_eq!(ids(&place.state("g"), "edges"), ["a-b"]);
    // Once the node is in the graph the edge is sound.
    place.import_value(&flow(&["gone"], &[]), "g");
    let (_, notes) = place.import_value(&stale, "g");
    assert_eq!((notes.as_str(), ids(&place.state("g"), "edges")), ("", vec!["a-b".into(), "a-gone".into()]));
    let orphan = json!({"nodes": [{"id": "child", "parentId": "nobody"}], "edges": []});
    let line = place.refuses(&[&place.file("orphan.json", orphan.to_string()), "--graph", "g"]);
    assert!(
        line.contains("orphan.json: nodes[0].parentId") && line.contains("nobody") && line.contains("child"),
        "{line}"
    );
    let circle = json!({"nodes": [{"id": "x", "parentId": "y"}, {"id": "y", "parentId": "x"}], "edges": []});
    let line = place.refuses(&[&place.file("circle.json", circle.to_string()), "--graph", "g"]);
    assert!(line.contains("circle.json") && line.contains("inside itself"), "{line}");
}

#[test]
fn g5_parents_come_before_their_children() {
    let place = Place::embedded();
    let nodes = json!([{"id": "c", "parentId": "b"}, {"id": "x"}, {"id": "b", "parentId": "a"}, {"id": "a"}]);
    place.import_value(&json!({"nodes": nodes, "edges": []}), "g");
    assert_eq!(ids(&place.state("g"), "nodes"), ["a", "b", "c", "x"]);
}

#[test]
fn o3_an_error_about_size_names_the_setting_and_the_place() {
    let place = Place::embedded();
    let mut document = flow(&["a", "photo"], &[]);
    document["nodes"][1]["data"]["src"] = "x".repeat(300_000).into();
    let line = place.refuses(&[&place.file("album.json", document.to_string()), "--graph", "g"]);
    assert!(
        ["album.json", "nodes[1]", "photo", "MAX_ENTITY_BYTES"].iter().all(|part| line.contains(part)),
        "{line}"
    );
    let huge = place.file("huge.json", " ".repeat((64 << 20) + 1));
    assert!(place.refuses(&[&huge, "--graph", "g"]).contains("MAX_BODY_BYTES"));
    assert_eq!(place.state("g")["version"], 0);
}
