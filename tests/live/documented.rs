//! Real frames against their schemas in the OpenAPI document (rule H9): every field of a frame is named there, and
//! every frame is of a kind that is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    graph::{new_id, with},
    server::Server,
    ws::{PLAIN, Ws, command_frame},
};

struct Schemas(Value);

impl Schemas {
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(at) => self.resolved(self.0.pointer(at.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    /// What `ClientFrame` or `ServerFrame` says of frames of this type.
    fn of_type(&self, side: &str, kind: &Value) -> &Value {
        let all = self.0["components"]["schemas"][side]["oneOf"].as_array().unwrap();
        let is_it = |schema: &&Value| {
            let parts = schema["allOf"].as_array().into_iter().flatten().map(|part| self.resolved(part));
            parts.chain([self.resolved(schema)]).any(|part| {
                let known = &part["properties"]["type"];
                known["enum"].as_array().is_some_and(|names| names.contains(kind)) || known["const"] == *kind
            })
        };
        all.iter().find(is_it).unwrap_or_else(|| panic!("{kind} is no {side}"))
    }

    fn names(&self, schema: &Value) -> BTreeSet<String> {
        let schema = self.resolved(schema);
        let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
        let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| self.names(part));
        own.chain(parts).collect()
    }

    fn check(&self, side: &str, frame: &Value) {
        let schema = self.of_type(side, &frame["type"]);
        let names = self.names(schema);
        for name in frame.as_object().unwrap().keys() {
            assert!(names.contains(name), "{name} of {frame} is not in src/http/openapi/socket_frames.rs");
        }
        let mut whole = schema.clone();
        whole["components"] = self.0["components"].clone();
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        let problems: Vec<String> =
            validator.iter_errors(frame).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(problems.is_empty(), "{frame}\n{}", problems.join("\n"));
    }
}

#[tokio::test]
async fn h9_real_frames_match_the_document() {
    let server = Server::start().await;
    let schemas = Schemas(server.read("/openapi.json").await);
    let graph = "g";
    server.apply(graph, "CREATE_NODE", json!({"id": "a"})).await;
    let mut other = Ws::connect(server.address(), "?graphId=g&userId=bob").await;
    let mut ws = Ws::handshake(server.address(), "?userId=ada&clientId=tab", PLAIN).await.unwrap();
    let unknown = new_id();
    let node = |id: &str| json!({"type": "CREATE_NODE", "payload": {"id": id}});
    let said = [
        json!({"type": "SUBSCRIBE", "graphId": graph, "pending": [unknown]}),
        json!({"type": "PING"}),
        with(&command_frame(graph, &new_id(), "CREATE_NODE", json!({"id": "b"})), json!({"after": unknown})),
        command_frame(graph, &new_id(), "CREATE_NODE", json!({"id": "b"})),
        command_frame(graph, &new_id(), "CREATE_EDGE", json!({"source": "a", "target": "nowhere"})),
        json!({"type": "BATCH", "graphId": graph, "batchId": new_id(), "atomic": true,
            "operations": [node("c"), node("d")]}),
        json!({"type": "BATCH", "graphId": graph, "batchId": new_id(), "atomic": true, "ifMissing": "skip",
            "operations": [{"type": "DELETE_NODE", "payload": {"nodeId": "gone"}}]}),
        json!({"type": "BATCH", "graphId": graph, "batchId": new_id(), "operations": [node("e"), node("a")]}),
        json!({"type": "PRESENCE", "graphId": graph, "slot": "drag", "state": {"x": 1}}),
        json!({"type": "UNSUBSCRIBE", "graphId": graph}),
        json!({"type": "SUBSCRIBE", "graphId": graph, "version": 1}),
    ];
    for frame in &said {
        schemas.check("ClientFrame", frame);
        ws.send(frame).await;
    }
    ws.send(&json!({"type": "SAY"})).await;
    let seen = ["ACK", "ERROR", "PONG", "REVERT", "STATE_UPDATE", "SYNC", "WELCOME"];
    let mut kinds = BTreeSet::<String>::new();
    while !seen.iter().all(|kind| kinds.contains(*kind)) {
        let frame = ws.recv().await;
        schemas.check("ServerFrame", &frame);
        kinds.insert(frame["type"].as_str().unwrap().to_owned());
        if frame["type"] == "ERROR" {
            let text = frame["message"].as_str().unwrap();
            assert!(text.contains("SUBSCRIBE") && text.contains("PING"), "it names the known ones: {text}");
        }
    }
    loop {
        let frame = other.recv().await;
        schemas.check("ServerFrame", &frame);
        if frame["type"] == "PRESENCE" {
            break;
        }
    }
}
