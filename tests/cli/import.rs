//! `dao-api import`: what it recognises, what it refuses, and that it never does more or less than it says (rule L16).

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{redis::RedisServer, server::program};

/// A store, and a folder for files.
struct Place {
    folder: tempfile::TempDir,
    redis: Option<RedisServer>,
}

impl Place {
    fn embedded() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), redis: None }
    }

    fn on_redis() -> Self {
        Self { redis: Some(RedisServer::start()), ..Self::embedded() }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run_saying(&self, arguments: &[&str], input: &str) -> Output {
        let data = self.folder.path().join("data");
        let mut command = program(&[("DATA_DIR", data.to_str().unwrap())]);
        if let Some(redis) = &self.redis {
            command.env("REDIS_URL", redis.url());
        }
        command.env_remove("LOG_LEVEL").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who asks nothing may have ended without reading.
        let _read_or_not = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_saying(arguments, "")
    }

    /// What it prints, and what it notes.
    fn imports(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(&[&["import"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Why it does not.
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["import"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{}", said(&output));
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    }

    fn import_value(&self, document: &Value, graph: &str) -> (String, String) {
        self.imports(&[&self.file("flow.json", document.to_string()), "--graph", graph])
    }

    /// The graph; empty where there is none.
    fn state(&self, graph: &str) -> Value {
        let output = self.run(&["show", graph, "--json"]);
        match output.status.code() {
            Some(0) => serde_json::from_slice(&output.stdout).unwrap(),
            _ => json!({"version": 0, "nodes": [], "edges": []}),
        }
    }

    fn export(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["export"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn ids(state: &Value, kind: &str) -> Vec<String> {
    let list = state[kind].as_array().unwrap().iter();
    list.map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

/// Without what the server adds.
fn bare(state: &Value) -> Value {
    let mut bare = json!({"nodes": state["nodes"], "edges": state["edges"], "viewport": state["viewport"]});
    for kind in ["nodes", "edges"] {
        for entity in bare[kind].as_array_mut().unwrap() {
            for field in ["createdAt", "updatedAt", "version"] {
                entity.as_object_mut().unwrap().shift_remove(field);
            }
        }
    }
    bare
}

fn flow(nodes: &[&str], edges: &[(&str, &str)]) -> Value {
    let node = |id: &&str| json!({"id": id, "position": {"x": 0, "y": 0}, "data": {}});
    let edge =
        |(from, to): &(&str, &str)| json!({"id": format!("{from}-{to}"), "source": from, "target": to});
    json!({"nodes": nodes.iter().map(node).collect::<Vec<_>>(), "edges": edges.iter().map(edge).collect::<Vec<_>>()})
}

#[test]
fn each_format_is_recognised_by_name_and_drawn() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import");
    let place = Place::embedded();
    for (file, format, nodes, edges) in [
        ("activepieces-template.json", "activepieces", 2, 1),
        ("comfyui-api.json", "ComfyUI API format", 2, 1),
        ("comfyui-workflow.json", "ComfyUI workflow", 2, 1),
        ("cytoscape.json", "Cytoscape", 2, 1),
        ("d3-node-link.json", "D3 node-link", 2, 1),
        ("dify-app.yml", "Dify", 2, 1),
        ("dify-graph.json", "Dify", 2, 1),
        ("drawflow.json", "Drawflow", 2, 1),
        ("flowise-chatflow.json", "React Flow", 2, 1),
        ("flowise-database-row.json", "Flowise", 2, 1),
        ("flowise-export-all.json", "Flowise", 2, 1),
        ("json-canvas.canvas", "JSON Canvas", 2, 1),
        ("langflow-collection.json", "Langflow", 2, 1),
        ("langflow-flow.json", "Langflow", 2, 1),
        ("langflow-list.json", "React Flow", 2, 1),
        ("liveblocks-storage.json", "Liveblocks", 2, 1),
        ("n8n-workflow.json", "n8n", 2, 1),
        ("node-red-flow.json", "Node-RED", 2, 1),
        ("ragflow-canvas.json", "RAGFlow", 2, 1),
        ("ragflow-template.json", "RAGFlow", 2, 1),
        ("react-flow-11-subflow.json", "React Flow 11", 2, 0),
        ("react-flow-12.json", "React Flow", 2, 1),
        ("react-flow-9-array.json", "React Flow 9", 2, 1),
        ("react-flow-9-elements.json", "React Flow 9", 2, 1),
        ("react-flow-nodes-only.json", "React Flow", 2, 0),
        ("rete-1.json", "Rete", 2, 1),
        ("sim-workflow.json", "sim", 2, 1),
        ("vue-flow.json", "Vue Flow", 2, 1),
    ] {
        let graph = file.replace('.', "-");
        let (told, _) = place.imports(&[folder.join(file).to_str().unwrap(), "--graph", &graph]);
        assert!(told.contains(&format!("({format}, from ")), "{file}: {told}");
        let state = place.state(&graph);
        let positions: std::collections::HashSet<String> =
            state["nodes"].as_array().unwrap().iter().map(|node| node["position"].to_string()).collect();
        let counts = (ids(&state, "nodes").len(), ids(&state, "edges").len());
        assert_eq!((counts, positions.len()), ((nodes, edges), nodes), "{file}: {state}");
    }
    // The second flow of a file has a graph of its own, since both have a node of one id.
    assert_eq!(ids(&place.state("langflow-collection-json.second"), "nodes"), ["1"]);
}

#[test]
fn what_people_export_beside_the_usual() {
    let place = Place::embedded();
    let nodes = json!([{"id": "a", "position": {"x": 0, "y": 0}}, {"id": "b", "position": {"x": 9, "y": 0}}]);
    let edges = json!([{"id": "e", "source": "a", "target": "b"}]);
    let plain = json!({"nodes": nodes, "edges": edges});
    let cases = [
        ("an object by id", json!({"nodes": {"a": nodes[0], "b": nodes[1]}, "edges": {"e": edges[0]}})),
        (
            "by id, without ids inside",
            json!({"nodes": {"a": {}, "b": {}}, "edges": {"e": {"source": "a", "target": "b"}}}),
        ),
        ("text in text", json!(plain.to_string())),
        ("a dump of a browser's store", json!({"example-flow": plain.to_string()})),
        ("two levels down", json!({"workflow": {"graph": plain, "features": {"nodes": 3}}})),
        (
            "beside a list of types",
            json!({"id": 1, "workflow": {"workflow": plain}, "nodes": [{"name": "types"}]}),
        ),
        (
            "networkx",
            json!({"directed": true, "graph": {}, "nodes": [{"id": "a"}, {"id": "b"}], "links": [{"id": "e", "source": "a", "target": "b"}]}),
        ),
        (
            "links by index",
            json!({"nodes": [{"name": "a"}, {"name": "b"}], "links": [{"id": "e", "source": 0, "target": 1}]}),
        ),
        (
            "links with nodes in them",
            json!({"nodes": [{"id": "a"}, {"id": "b"}], "links": [{"id": "e", "source": {"id": "a"}, "target": {"id": "b"}}]}),
        ),
        (
            "vis-network",
            json!({"nodes": [{"id": "a", "label": "A"}, {"id": "b"}], "edges": [{"id": "e", "from": "a", "to": "b"}]}),
        ),
        (
            "Graphology",
            json!({"nodes": [{"key": "a", "attributes": {"x": 1, "y": 2}}, {"key": "b"}], "edges": [{"key": "e", "source": "a", "target": "b"}]}),
        ),
        (
            "Rete 2",
            json!({"nodes": [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}], "connections": [{"id": "e", "source": "a", "sourceOutput": "o", "target": "b", "targetInput": "i"}]}),
        ),
        (
            "Cytoscape's flat list",
            json!([{"data": {"id": "a"}}, {"data": {"id": "b"}}, {"data": {"id": "e", "source": "a", "target": "b"}}]),
        ),
    ];
    for (what, document) in cases {
        let graph = what.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        place.import_value(&document, &graph);
        let state = place.state(&graph);
        assert_eq!(
            (ids(&state, "nodes"), ids(&state, "edges")),
            (vec!["a".into(), "b".into()], vec!["e".into()]),
            "{what}"
        );
    }
    for (what, document) in [
        (
            "n8n, with a gap and an id that is its name",
            json!({"nodes": [{"name": "a", "type": "t", "position": [0, 0]}, {"name": "b", "type": "t", "position": [9, 0]}], "connections": {"a": {"main": [null, [{"node": "b", "type": "main", "index": 0}]]}}}),
        ),
        (
            "ComfyUI's newer links",
            json!({"nodes": [{"id": "a", "type": "t", "pos": [0, 0]}, {"id": "b", "type": "t", "pos": [9, 0]}], "links": [{"id": 1, "origin_id": "a", "origin_slot": 0, "target_id": "b", "target_slot": 0, "type": "X"}]}),
        ),
        (
            "ComfyUI's request",
            json!({"prompt": {"a": {"class_type": "A", "inputs": {}}, "b": {"class_type": "B", "inputs": {"x": ["a", 0], "size": [1, 2]}}}, "client_id": "c"}),
        ),
        (
            "RAGFlow without its picture",
            json!({"dsl": {"components": {"a": {"obj": {}, "downstream": ["b"]}, "b": {"obj": {}, "downstream": []}}}}),
        ),
        (
            "Node-RED version 2",
            json!({"rev": "1", "flows": [{"id": "a", "type": "inject", "z": "t", "x": 1, "y": 1, "wires": [["b"]]}, {"id": "b", "type": "debug", "z": "t", "x": 9, "y": 1, "wires": []}, {"id": "c", "type": "mqtt-broker"}]}),
        ),
    ] {
        let graph = what.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        place.import_value(&document, &graph);
        let state = place.state(&graph);
        assert_eq!(
            (ids(&state, "nodes"), ids(&state, "edges").len()),
            (vec!["a".into(), "b".into()], 1),
            "{what}"
        );
    }
}

#[test]
fn what_is_no_flow_is_refused_and_nothing_is_written() {
    let place = Place::embedded();
    for (name, content) in [
        ("list.json", "[]"),
        ("types.json", r#"{"nodes":[{"name":"x"}]}"#),
        ("drawing.json", r#"{"type":"excalidraw","elements":[{"type":"rectangle","id":"x"}]}"#),
        ("text.txt", "hello"),
        ("chart.drawio", "<mxfile><diagram/></mxfile>"),
        ("chat.yml", "app:\n  mode: chat\nmodel_config: {}\n"),
    ] {
        let line = place.refuses(&[&place.file(name, content), "--graph", "g"]);
        assert!(
            line.contains(name) && line.contains("no flow was found") && line.contains("`nodes`"),
            "{line}"
        );
        assert_eq!(place.state("g")["version"], 0);
    }
    let line = place.refuses(&[&place.file("picture.png", b"\x89PNG\r\n\x1a\n"), "--graph", "g"]);
    assert!(line.contains("picture.png: line 1 is not UTF-8"), "{line}");
}

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
        ("{seed: .nan}", "seed"),
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
fn h1_encodings_that_programs_write() {
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
fn ids_are_texts_and_made_the_same_each_time() {
    let place = Place::embedded();
    for (graph, document, nodes, edges) in [
        (
            "numbers",
            json!({"nodes": [{"id": 1}, {"id": 10, "parentId": 1}], "edges": [{"id": 7, "source": 1, "target": 10}]}),
            2,
            1,
        ),
        (
            "edges",
            json!({"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}, {"source": "a", "target": "b"}]}),
            2,
            2,
        ),
        (
            "nodes",
            json!({"nodes": [{"data": {"n": 1}}, {"data": {"n": 2}}, {"data": {"n": 1}}], "edges": []}),
            3,
            0,
        ),
    ] {
        place.import_value(&document, graph);
        let once = place.state(graph);
        assert_eq!((ids(&once, "nodes").len(), ids(&once, "edges").len()), (nodes, edges), "{graph}");
        let (told, _) = place.import_value(&document, graph);
        assert!(told.contains("is so already"), "{told}");
        assert_eq!(place.state(graph), once);
    }
    assert_eq!(ids(&place.state("numbers"), "nodes"), ["1", "10"]);
    assert_eq!(ids(&place.state("edges"), "edges"), ["xy-edge__a-b", "xy-edge__a-b-2"]);
}

#[test]
fn g4_ids_that_stand_twice_are_refused_wherever_they_are() {
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
    assert!(line.contains("circle.json") && line.contains("inside of itself"), "{line}");
}

#[test]
fn g5_parents_come_before_their_children() {
    let place = Place::embedded();
    let nodes = json!([{"id": "c", "parentId": "b"}, {"id": "x"}, {"id": "b", "parentId": "a"}, {"id": "a"}]);
    place.import_value(&json!({"nodes": nodes, "edges": []}), "g");
    assert_eq!(ids(&place.state("g"), "nodes"), ["a", "b", "c", "x"]);
}

#[test]
fn o3_what_is_too_large_names_the_setting_and_the_place() {
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

#[test]
fn positions_that_are_none_are_computed_and_others_kept() {
    let place = Place::embedded();
    let good = json!({"id": "good", "position": {"x": 1, "y": 2}});
    for (n, position) in [json!(null), json!({}), json!({"x": null, "y": null})].into_iter().enumerate() {
        let graph = format!("g{n}");
        place.import_value(
            &json!({"nodes": [good, {"id": "odd", "position": position}], "edges": []}),
            &graph,
        );
        assert_eq!(place.state(&graph)["nodes"][1]["position"], json!({"x": 0, "y": 0}));
    }
    let text = json!({"nodes": [good, {"id": "odd", "position": {"x": "12", "y": "30"}}], "edges": []});
    let line = place.refuses(&[&place.file("flow.json", text.to_string()), "--graph", "g"]);
    assert!(line.contains("nodes[1].position.x") && line.contains("odd"), "{line}");

    let chain =
        json!({"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"id": "e", "source": "a", "target": "b"}]});
    place.import_value(&chain, "chain");
    let state = place.state("chain");
    assert!(
        state["nodes"][0]["position"]["x"].as_i64() < state["nodes"][1]["position"]["x"].as_i64(),
        "{state}"
    );
    // What somebody moved stays where it is when the file has nothing to say about it.
    place.import_value(&json!({"nodes": [{"id": "a", "position": {"x": 5, "y": 5}}], "edges": []}), "chain");
    place.import_value(&chain, "chain");
    assert_eq!(place.state("chain")["nodes"][0]["position"], json!({"x": 5, "y": 5}));
}

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
fn l16_scripts_get_one_document() {
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
    assert!(notes.contains("[1] holds no flow"), "{notes}");
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
fn what_the_program_exports_it_imports() {
    own_exports(&Place::embedded());
}

#[test]
fn what_the_program_exports_it_imports_on_redis() {
    own_exports(&Place::on_redis());
}

#[test]
fn a_viewport_with_more_in_it_is_taken_and_one_with_less_left_out() {
    let place = Place::embedded();
    let mut document = flow(&["a"], &[]);
    document["viewport"] = json!({"x": 1, "y": 2, "zoom": 0.5, "minZoom": 0.2});
    place.import_value(&document, "g");
    assert_eq!(place.state("g")["viewport"], json!({"x": 1, "y": 2, "zoom": 0.5}));
    document["viewport"] = json!({"x": 1, "zoom": null});
    let (_, notes) = place.import_value(&document, "h");
    assert!(notes.contains("viewport is left out"), "{notes}");
}
