//! Real frames against their schemas in the OpenAPI document (rule H9): every field of a frame is named there, and
//! every frame is of a kind that is.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use dao_api::auth::{Auth, Keys, KeysConfig};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
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

const SECRET: &str = "a secret of tests, and of nothing else";

fn token(rights: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"sub": "ada", "graphs": rights, "exp": now + 600});
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

#[tokio::test]
async fn h9_frames_about_tokens_trash_and_the_end_match_the_document() {
    let config = KeysConfig { secret: Some(SECRET.to_owned()), ..KeysConfig::default() };
    let server = Server::guarded(Auth::Keys(Arc::new(Keys::load(config).unwrap()))).await;
    let schemas = Schemas(server.read("/openapi.json").await);
    let mut ws = Ws::connect(server.address(), "?clientId=tab").await;
    let first = new_id();
    let own = |graph: &str, name: &str, payload: Value| command_frame(graph, &new_id(), name, payload);
    let nodes: Vec<Value> = (0..30).map(|n| json!({"id": n.to_string()})).collect();
    let said = [
        json!({"type": "AUTH", "token": token(json!({"*": "admin"}))}),
        json!({"type": "SUBSCRIBE", "graphId": "g"}),
        command_frame("g", &first, "CREATE_NODE", json!({"id": "a", "data": {"label": "x"}})),
        command_frame("g", &first, "CREATE_NODE", json!({"id": "a", "data": {"label": "x"}})),
        own("g", "UNDO", json!({"operations": [{"operationId": first, "version": 1}]})),
        own("g", "SAVE_DOCUMENT", json!({"nodes": nodes, "edges": [], "mode": "replace"})),
        with(&own("g", "SAVE_DOCUMENT", json!({"nodes": [], "edges": []})), json!({"clientVersion": 3})),
        with(&own("g", "CREATE_NODE", json!({"id": "n"})), json!({"clientVersion": 9})),
        own("g", "UPDATE_GRAPH", json!({"updates": {"title": "T", "settings": {"readOnly": false}}})),
        own("g", "DELETE_GRAPH", json!({"reason": "old", "movedTo": "h"})),
        own("g", "CREATE_NODE", json!({"id": "late"})),
        own("g", "RECOVER_GRAPH", json!({})),
        own("h", "CREATE_GRAPH", json!({"attributes": {"title": "H"}})),
        json!({"type": "AUTH", "token": token(json!({"g": "read"}))}),
        own("g", "CREATE_NODE", json!({"id": "not mine"})),
        json!({"type": "SUBSCRIBE", "graphId": "h"}),
    ];
    for frame in &said {
        schemas.check("ClientFrame", frame);
        ws.send(frame).await;
    }
    let mut seen = vec![];
    while seen.last().is_none_or(|frame: &Value| frame["code"] != "FORBIDDEN" || frame["type"] != "ERROR") {
        seen.push(ws.recv().await);
    }
    let stopped = tokio::spawn(server.stop());
    while seen.last().is_none_or(|frame| frame["type"] != "GOODBYE") {
        seen.push(ws.recv().await);
    }
    drop(ws);
    stopped.await.unwrap();
    for frame in &seen {
        schemas.check("ServerFrame", frame);
    }
    let has = |field: &str, value: Value| seen.iter().any(|frame| frame[field] == value);
    for kind in ["AUTHENTICATED", "ACCESS", "SYNC", "STATE_UPDATE", "ACK", "REVERT", "ERROR", "GOODBYE"] {
        assert!(has("type", json!(kind)), "{kind} is in {seen:?}");
    }
    for code in ["DELETES_MUCH", "VERSION_AHEAD", "GRAPH_TRASHED", "FORBIDDEN"] {
        assert!(has("code", json!(code)), "{code} is in {seen:?}");
    }
    assert!(has("undoes", json!([first])) && has("duplicate", json!(true)) && has("nodes", json!(30)));
}
