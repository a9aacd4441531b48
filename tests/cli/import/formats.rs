//! Which files are recognised, and what becomes of them.

use std::path::Path;

use serde_json::json;

use super::{Place, flow, ids};

#[test]
fn each_format_is_recognised_and_imported() {
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
#[expect(clippy::too_many_lines, reason = "one case for each variant")]
fn variants_of_usual_exports_are_imported() {
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
            "YAML in a text",
            json!({"data": "app:\n  name: x\nworkflow:\n  graph:\n    nodes: [{id: a}, {id: b}]\n    edges: [{id: e, source: a, target: b}]\n"}),
        ),
        (
            "x and y beside the id",
            json!({"nodes": [{"id": "a", "x": 1, "y": 2}, {"id": "b", "x": 3, "y": 2}], "edges": edges}),
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
fn files_without_a_flow_are_refused_and_nothing_is_written() {
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
fn missing_ids_are_made_the_same_each_time() {
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
        assert!(told.contains("is unchanged"), "{told}");
        assert_eq!(place.state(graph), once);
    }
    assert_eq!(ids(&place.state("numbers"), "nodes"), ["1", "10"]);
    assert_eq!(ids(&place.state("edges"), "edges"), ["xy-edge__a-b", "xy-edge__a-b-2"]);
}

#[test]
fn missing_positions_are_computed_and_others_kept() {
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

#[test]
fn a_viewport_with_extra_fields_is_imported_and_an_incomplete_one_left_out() {
    let place = Place::embedded();
    let mut document = flow(&["a"], &[]);
    document["viewport"] = json!({"x": 1, "y": 2, "zoom": 0.5, "minZoom": 0.2});
    place.import_value(&document, "g");
    assert_eq!(place.state("g")["viewport"], json!({"x": 1, "y": 2, "zoom": 0.5}));
    document["viewport"] = json!({"x": 1, "zoom": null});
    let (_, notes) = place.import_value(&document, "h");
    assert!(notes.contains("viewport is left out"), "{notes}");
}
