//! Bodies that are wrong, and what their senders are told (rules G3, G4, G6, H1).
//!
//! Each row is a request, its status and code, and a fragment of the `detail`: the place of the
//! mistake. After each table the graph is as empty as before.

use serde_json::{Value, json};

use crate::support::{graph::command, http::Request, server::Server};

/// JSON text that is sent to `/graphs/g/command`, and the place in it that is wrong.
type Row<'a> = (&'a str, &'a str);

fn to_command(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/graphs/g/command", body)
}

fn to_batch(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/graphs/g/batch", body)
}

/// Sends every row to `request`, and reports all rows that are answered wrongly at once.
async fn assert_all_bad(rows: &[Row<'_>], request: impl Fn(&str) -> Request) {
    let server = Server::start().await;
    let mut wrong = Vec::new();
    for (body, place) in rows {
        let reply = server.ask(request(body)).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let is_problem = reply.header("content-type") == Some("application/problem+json");
        let is_said = is_problem
            && reply.json()["code"] == "BAD_REQUEST"
            && reply.json()["detail"].as_str().is_some_and(|detail| detail.contains(place));
        if reply.status != 400 || !is_said {
            wrong.push(format!("{body}\n    wants {place:?}, got {} {text}", reply.status));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(server.state("g").await["version"], 0, "nothing ran");
}

#[tokio::test]
async fn h1_bodies_that_are_not_an_envelope() {
    let rows: &[Row<'_>] = &[
        ("", "empty"),
        ("{", "JSON"),
        ("{}}", "JSON"),
        ("{'type':1}", "JSON"),
        (r#"{"type":"DELETE_NODE","payload":{"nodeId":"n"}} trailing"#, "JSON"),
        (r#"{"type":"DELETE_NODE","payload":{"nodeId":"\ud8"}}"#, "JSON"),
        ("NaN", "JSON"),
        ("null", "object"),
        ("[]", "object"),
        ("1", "object"),
        ("\"CREATE_NODE\"", "object"),
        ("{}", "type"),
        (r#"{"payload":{}}"#, "type"),
        (r#"{"type":"CREATE_NODE"}"#, "payload"),
    ];
    assert_all_bad(rows, |row| to_command(row)).await;
}

#[tokio::test]
async fn h1_every_field_of_the_envelope() {
    let long = format!(r#""clientId":"{}""#, "c".repeat(257));
    let rows: &[Row<'_>] = &[
        (r#""type":null"#, "type"),
        (r#""type":5"#, "type"),
        (r#""type":["CREATE_NODE"]"#, "type"),
        (r#""type":"""#, "type"),
        (r#""type":"create_node""#, "type"),
        (r#""type":"BATCH""#, "type"),
        (r#""type":"MOVE_NODE""#, "type"),
        (r#""payload":null"#, "payload"),
        (r#""payload":[]"#, "payload"),
        (r#""payload":"n""#, "payload"),
        (r#""operationId":"""#, "operationId"),
        (r#""operationId":"7""#, "operationId"),
        (r#""operationId":7"#, "operationId"),
        (r#""operationId":{}"#, "operationId"),
        (r#""clientVersion":-1"#, "clientVersion"),
        (r#""clientVersion":1.5"#, "clientVersion"),
        (r#""clientVersion":"1""#, "clientVersion"),
        (r#""clientVersion":true"#, "clientVersion"),
        (r#""clientVersion":9223372036854775808"#, "clientVersion"),
        (r#""clientVersion":99999999999999999999"#, "clientVersion"),
        (r#""clientId":"""#, "clientId"),
        (r#""clientId":5"#, "clientId"),
        (r#""clientId":"a\u0000""#, "clientId"),
        (&long, "clientId"),
        (r#""onConflict":"force""#, "onConflict"),
        (r#""onConflict":"MERGE""#, "onConflict"),
        (r#""onConflict":1"#, "onConflict"),
        (r#""user":"ada""#, "user"),
        (r#""batchId":"0192aaaa-0000-7000-8000-000000000000""#, "batchId"),
        (r#""clientId":"a","clientId":"a""#, "clientId"),
        (r#""onConflict":null,"onConflict":null"#, "onConflict"),
    ];
    assert_all_bad(rows, |row| {
        let has = |key: &str| row.starts_with(&format!("\"{key}\""));
        let rest = [("type", r#","type":"CREATE_NODE""#), ("payload", r#","payload":{}"#)];
        let rest: String = rest.iter().filter(|(key, _)| !has(key)).map(|(_, text)| *text).collect();
        to_command(format!("{{{row}{rest}}}"))
    })
    .await;
}

#[tokio::test]
async fn h1_every_field_of_node_commands() {
    let long = format!(r#"CREATE_NODE {{"id":"{}"}}"#, "n".repeat(1_025));
    let rows: &[Row<'_>] = &[
        (r#"CREATE_NODE {"id":""}"#, "payload.id"),
        (r#"CREATE_NODE {"id":5}"#, "payload.id"),
        (r#"CREATE_NODE {"id":"a\u0007"}"#, "payload.id"),
        (r#"CREATE_NODE {"id":"a\u0085"}"#, "payload.id"),
        (&long, "payload.id"),
        (r#"CREATE_NODE {"position":5}"#, "payload.position"),
        (r#"CREATE_NODE {"position":[1,2]}"#, "payload.position"),
        (r#"CREATE_NODE {"position":{}}"#, "payload.position.x"),
        (r#"CREATE_NODE {"position":{"x":1}}"#, "payload.position.y"),
        (r#"CREATE_NODE {"position":{"x":"1","y":0}}"#, "payload.position.x"),
        (r#"CREATE_NODE {"position":{"x":0,"y":null}}"#, "payload.position.y"),
        (r#"CREATE_NODE {"position":{"x":1,"y":2,"z":3}}"#, "payload.position.z"),
        (r#"CREATE_NODE {"position":{"x":1,"x":1,"y":2}}"#, "payload.position.x"),
        (r#"CREATE_NODE {"type":5}"#, "payload.type"),
        (r#"CREATE_NODE {"data":[]}"#, "payload.data"),
        (r#"CREATE_NODE {"data":"text"}"#, "payload.data"),
        (r#"CREATE_NODE {"parentId":5}"#, "payload.parentId"),
        (r#"CREATE_NODE {"parentId":""}"#, "payload.parentId"),
        (r#"CREATE_NODE {"parentNode":{}}"#, "payload.parentNode"),
        (r#"CREATE_NODE {"data":{"n":18446744073709551616}}"#, "payload.data.n"),
        (r#"CREATE_NODE {"data":{"n":[0,-9223372036854775809]}}"#, "payload.data.n[1]"),
        (r#"CREATE_NODE {"data":{"n":1e400}}"#, "number"),
        (r#"UPDATE_NODE {"updates":{}}"#, "payload.nodeId"),
        (r#"UPDATE_NODE {"nodeId":null,"updates":{}}"#, "payload.nodeId"),
        (r#"UPDATE_NODE {"nodeId":5,"updates":{}}"#, "payload.nodeId"),
        (r#"UPDATE_NODE {"nodeId":"","updates":{}}"#, "payload.nodeId"),
        (r#"UPDATE_NODE {"nodeId":"n"}"#, "payload.updates"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":null}"#, "payload.updates"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":[]}"#, "payload.updates"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{},"id":"n"}"#, "payload.id"),
        (r#"UPDATE_NODE {"nodeId":"n","nodeId":"n","updates":{}}"#, "payload.nodeId"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"id":"m"}}"#, "payload.updates.id"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"id":null}}"#, "payload.updates.id"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"type":{}}}"#, "payload.updates.type"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"data":7}}"#, "payload.updates.data"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"position":null}}"#, "payload.updates.position"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"position":{"x":null}}}"#, "payload.updates.position.x"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"position":{"z":1}}}"#, "payload.updates.position.z"),
        (r#"UPDATE_NODE {"nodeId":"n","updates":{"parentId":[]}}"#, "payload.updates.parentId"),
        (r#"UPDATE_NODE_POSITION {"position":{"x":1,"y":2}}"#, "payload.nodeId"),
        (r#"UPDATE_NODE_POSITION {"nodeId":"n"}"#, "payload.position"),
        (r#"UPDATE_NODE_POSITION {"nodeId":"n","position":null}"#, "payload.position"),
        (r#"UPDATE_NODE_POSITION {"nodeId":"n","position":{"y":2}}"#, "payload.position.x"),
        (r#"UPDATE_NODE_POSITION {"nodeId":"n","position":{"x":1,"y":true}}"#, "payload.position.y"),
        (r#"UPDATE_NODE_POSITION {"nodeId":"n","position":{"x":1,"y":2,"w":3}}"#, "payload.position.w"),
        (r#"UPDATE_NODE_POSITION {"nodeId":"n","position":{"x":1,"y":2,"y":2}}"#, "payload.position.y"),
        (r#"UPDATE_NODE_POSITION {"nodeId":"n","x":1,"y":2}"#, "payload."),
        (r#"DELETE_NODE {}"#, "payload.nodeId"),
        (r#"DELETE_NODE {"nodeId":["n"]}"#, "payload.nodeId"),
        (r#"DELETE_NODE {"nodeId":"n","force":true}"#, "payload.force"),
        (r#"DELETE_NODE {"nodeId":"n","nodeId":"m"}"#, "payload.nodeId"),
    ];
    assert_all_bad(rows, typed).await;
}

/// `TYPE payload` as an envelope.
fn typed(row: &str) -> Request {
    let (name, payload) = row.split_once(' ').unwrap();
    to_command(format!(r#"{{"type":"{name}","payload":{payload}}}"#))
}

#[tokio::test]
async fn h1_every_field_of_edge_viewport_and_update_commands() {
    let rows: &[Row<'_>] = &[
        (r#"CREATE_EDGE {"target":"b"}"#, "payload.source"),
        (r#"CREATE_EDGE {"source":"a"}"#, "payload.target"),
        (r#"CREATE_EDGE {"source":null,"target":"b"}"#, "payload.source"),
        (r#"CREATE_EDGE {"source":"a","target":""}"#, "payload.target"),
        (r#"CREATE_EDGE {"source":1,"target":"b"}"#, "payload.source"),
        (r#"CREATE_EDGE {"id":"","source":"a","target":"b"}"#, "payload.id"),
        (r#"CREATE_EDGE {"id":{},"source":"a","target":"b"}"#, "payload.id"),
        (r#"CREATE_EDGE {"source":"a","target":"b","type":false}"#, "payload.type"),
        (r#"CREATE_EDGE {"source":"a","target":"b","data":"x"}"#, "payload.data"),
        (r#"UPDATE_EDGE {"updates":{}}"#, "payload.edgeId"),
        (r#"UPDATE_EDGE {"edgeId":"e"}"#, "payload.updates"),
        (r#"UPDATE_EDGE {"edgeId":"e","updates":{"source":null}}"#, "payload.updates.source"),
        (r#"UPDATE_EDGE {"edgeId":"e","updates":{"target":5}}"#, "payload.updates.target"),
        (r#"UPDATE_EDGE {"edgeId":"e","updates":{"id":"f"}}"#, "payload.updates.id"),
        (r#"UPDATE_EDGE {"edgeId":"e","updates":{"data":[]}}"#, "payload.updates.data"),
        (r#"UPDATE_EDGE {"edgeId":"e","updates":{},"also":1}"#, "payload.also"),
        (r#"DELETE_EDGE {}"#, "payload.edgeId"),
        (r#"DELETE_EDGE {"edgeId":5}"#, "payload.edgeId"),
        (r#"DELETE_EDGE {"edgeId":"e","nodeId":"n"}"#, "payload.nodeId"),
        (r#"SET_VIEWPORT {"x":1,"y":2}"#, "payload.zoom"),
        (r#"SET_VIEWPORT {"x":1,"y":2,"zoom":0}"#, "payload.zoom"),
        (r#"SET_VIEWPORT {"x":1,"y":2,"zoom":-0.5}"#, "payload.zoom"),
        (r#"SET_VIEWPORT {"x":1,"y":2,"zoom":"1"}"#, "payload.zoom"),
        (r#"SET_VIEWPORT {"x":null,"y":2,"zoom":1}"#, "payload.x"),
        (r#"SET_VIEWPORT {"x":1,"y":2,"zoom":1,"pitch":1}"#, "payload.pitch"),
        (r#"SET_VIEWPORT {"x":1,"y":2,"y":2,"zoom":1}"#, "payload.y"),
        (r#"BATCH_UPDATE {"nodes":"x"}"#, "payload.nodes"),
        (r#"BATCH_UPDATE {"nodes":[5]}"#, "payload.nodes[0]"),
        (r#"BATCH_UPDATE {"nodes":{"a":5}}"#, "payload.nodes.a"),
        (r#"BATCH_UPDATE {"nodes":{"a":{"id":"b"}}}"#, "payload.nodes.a.id"),
        (r#"BATCH_UPDATE {"nodes":{"":{}}}"#, "payload.nodes"),
        (r#"BATCH_UPDATE {"nodes":{"a":{},"a":{}}}"#, "payload.nodes.a"),
        (r#"BATCH_UPDATE {"nodes":{"a":{"position":{"x":1}}}}"#, "payload.nodes.a.position.y"),
        (r#"BATCH_UPDATE {"nodes":[{"id":"a"},{"id":"a"}]}"#, "payload.nodes[1].id"),
        (r#"BATCH_UPDATE {"edges":{}}"#, "payload.edges"),
        (r#"BATCH_UPDATE {"edges":[{"target":"a"}]}"#, "payload.edges[0].source"),
        (
            r#"BATCH_UPDATE {"nodes":{"a":{}},"edges":[{"id":"e","source":"a","target":"a"},{"id":"e","source":"a","target":"a"}]}"#,
            "payload.edges[1].id",
        ),
        (r#"BATCH_UPDATE {"viewport":{"x":0,"y":0,"zoom":0}}"#, "payload.viewport.zoom"),
        (r#"BATCH_UPDATE {"viewport":{"x":0,"y":0,"zoom":1,"a":1}}"#, "payload.viewport.a"),
        (r#"BATCH_UPDATE {"groups":[]}"#, "payload.groups"),
    ];
    assert_all_bad(rows, typed).await;
}

#[tokio::test]
async fn h1_null_in_an_optional_field_means_absent() {
    let server = Server::start().await;
    let good = [
        r#"{"type":"CREATE_NODE","payload":{"id":"a","position":null,"type":null,"data":null,"parentId":null}}"#,
        r#"{"type":"CREATE_NODE","payload":{"id":null},"operationId":null,"clientVersion":null,"clientId":null,"onConflict":null}"#,
        r#"{"type":"CREATE_EDGE","payload":{"id":null,"source":"a","target":"a","sourceHandle":null}}"#,
        r#"{"type":"UPDATE_NODE","payload":{"nodeId":"a","updates":{"data":null,"parentId":null,"type":null}}}"#,
        r#"{"type":"UPDATE_NODE","payload":{"nodeId":"a","updates":{"id":"a","version":9,"position":{"x":5}}}}"#,
        r#"{"type":"BATCH_UPDATE","payload":{"nodes":null,"edges":null,"viewport":null}}"#,
    ];
    for body in good {
        let reply = server.ask(to_command(body)).await;
        assert_eq!(reply.status, 200, "{body}: {}", String::from_utf8_lossy(&reply.body));
    }
    let batch =
        r#"{"operations":[{"type":"DELETE_NODE","payload":{"nodeId":"a"}}],"atomic":null,"batchId":null}"#;
    assert_eq!(server.ask(to_batch(batch)).await.status, 200);
}

#[tokio::test]
async fn h1_a_key_repeated_in_updates_is_refused() {
    let rows: &[Row<'_>] = &[
        (r#"{"type":"q","type":"r"}"#, "updates.type"),
        (r#"{"position":{"x":1,"x":2}}"#, "updates.position.x"),
        (r#"{"data":1,"data":{"k":1}}"#, "updates.data"),
        (r#"{"version":1,"version":2}"#, "updates.version"),
    ];
    let update = |updates: &str| {
        to_command(format!(r#"{{"type":"UPDATE_NODE","payload":{{"nodeId":"n","updates":{updates}}}}}"#))
    };
    assert_all_bad(rows, update).await;
}

#[tokio::test]
async fn h1_a_malformed_member_is_reported_with_its_index() {
    let server = Server::start().await;
    let deep = "[".repeat(65) + &"]".repeat(65);
    for bad in ["1000000000000000000000000000000", "1e999", &deep] {
        let fine = r#"{"type":"CREATE_NODE","payload":{}}"#;
        let member = format!(r#"{{"type":"CREATE_NODE","payload":{{"data":{{"k":{bad}}}}}}}"#);
        let reply = server.ask(to_batch(format!(r#"{{"operations":[{fine},{fine},{member}]}}"#))).await;
        let problem = reply.bad(bad, "operations[2].payload.data.k");
        assert_eq!(problem["index"], 2, "{problem}");
    }
    assert_eq!(server.state("g").await["version"], 0, "nothing ran");
}

#[tokio::test]
async fn h1_the_last_of_repeated_keys_in_data_counts() {
    let server = Server::start().await;
    // The second node has an attribute whose name looks like the path of the repeated key.
    for (id, more) in [("a", ""), ("b", r#","data.k":0"#)] {
        let body = format!(
            r#"{{"type":"CREATE_NODE","payload":{{"id":"{id}","data":{{"k":1,"k":{{"j":1,"j":2}}}}{more}}}}}"#
        );
        let reply = server.ask(to_command(body)).await;
        assert_eq!(reply.status, 200, "{id}: {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.json()["result"]["data"], json!({"k": {"j": 2}}));
    }
}

#[tokio::test]
async fn h1_batches() {
    let member = r#"{"type":"CREATE_NODE","payload":{}}"#;
    let rows: Vec<(String, &str)> = [
        ("{}", "operations"),
        (r#"{"operations":null}"#, "operations"),
        (r#"{"operations":{}}"#, "operations"),
        (r#"{"operations":[]}"#, "operations"),
        (r#"{"operations":[MEMBER],"atomic":"yes"}"#, "atomic"),
        (r#"{"operations":[MEMBER],"atomic":1}"#, "atomic"),
        (r#"{"operations":[MEMBER],"batchId":"x"}"#, "batchId"),
        (r#"{"operations":[MEMBER],"batchId":5}"#, "batchId"),
        (r#"{"operations":[MEMBER],"clientVersion":-1}"#, "clientVersion"),
        (r#"{"operations":[MEMBER],"clientId":""}"#, "clientId"),
        (r#"{"operations":[MEMBER],"onConflict":"no"}"#, "onConflict"),
        (r#"{"operations":[MEMBER],"operationId":"0192aaaa-0000-7000-8000-000000000000"}"#, "operationId"),
        (r#"{"operations":[MEMBER],"operations":[MEMBER]}"#, "operations"),
        (r#"{"operations":[MEMBER,5]}"#, "operations[1]"),
        (r#"{"operations":[MEMBER,null]}"#, "operations[1]"),
        (r#"{"operations":[MEMBER,{"type":"DELETE_NODE","payload":{}}]}"#, "operations[1].payload.nodeId"),
        (r#"{"operations":[MEMBER,{"type":"create_node","payload":{}}]}"#, "operations[1].type"),
        (r#"{"operations":[MEMBER,{"type":"CREATE_NODE"}],"atomic":true}"#, "operations[1].payload"),
        (
            r#"{"operations":[{"type":"CREATE_NODE","payload":{},"operationId":"0192aaaa-0000-7000-8000-000000000000"}],"atomic":true}"#,
            "operations[0].operationId",
        ),
    ]
    .map(|(body, place)| (body.replace("MEMBER", member), place))
    .into();
    let rows: Vec<Row<'_>> = rows.iter().map(|(body, place)| (body.as_str(), *place)).collect();
    assert_all_bad(&rows, |row| to_batch(row)).await;
}

#[tokio::test]
async fn h1_one_malformed_member_stops_the_whole_batch_and_is_named() {
    let server = Server::start().await;
    for atomic in [false, true] {
        let mut operations: Vec<Value> = (0..9).map(|_| command("CREATE_NODE", json!({}))).collect();
        operations.insert(7, command("CREATE_NODE", json!({"position": {"x": 1}})));
        let reply =
            server.post("/graphs/g/batch", &json!({"operations": operations, "atomic": atomic})).await;
        let problem = reply.bad("a malformed member", "operations[7].payload.position.y");
        assert_eq!(problem["index"], 7);
    }
    assert_eq!(server.state("g").await["version"], 0, "nothing ran");
}

#[tokio::test]
async fn o3_a_batch_holds_at_most_1000_operations() {
    let server = Server::start().await;
    let batch = |n: usize| json!({"operations": vec![command("CREATE_NODE", json!({})); n], "atomic": true});
    server.post("/graphs/g/batch", &batch(1_001)).await.problem(422, "TOO_LARGE");
    assert_eq!(server.state("g").await["version"], 0);
    let reply = server.post("/graphs/g/batch", &batch(1_000)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["version"], 1);
}

/// The MessagePack of `value`, with `raw` in the place of the string `@@`.
fn spliced(value: &Value, raw: &[u8]) -> Vec<u8> {
    let bytes = rmp_serde::to_vec(value).unwrap();
    let at = bytes.windows(3).position(|window| window == b"\xa2@@").expect("a mark");
    [&bytes[..at], raw, &bytes[at + 3..]].concat()
}

#[tokio::test]
async fn g6_message_pack_without_a_json_form_is_refused() {
    let server = Server::start().await;
    let x = json!({"type": "CREATE_NODE", "payload": {"position": {"x": "@@", "y": 0}}});
    let data = json!({"type": "CREATE_NODE", "payload": {"data": {"k": "@@"}}});
    let zoom = json!({"type": "SET_VIEWPORT", "payload": {"x": 0, "y": 0, "zoom": "@@"}});
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("NaN", spliced(&x, b"\xcb\x7f\xf8\0\0\0\0\0\0"), "payload.position.x"),
        ("a small NaN", spliced(&data, b"\xca\x7f\xc0\0\0"), "payload.data.k"),
        ("infinity", spliced(&x, b"\xcb\x7f\xf0\0\0\0\0\0\0"), "payload.position.x"),
        ("minus infinity", spliced(&zoom, b"\xca\xff\x80\0\0"), "payload.zoom"),
        ("bin", spliced(&data, b"\xc4\x01a"), "payload.data.k"),
        ("an extension", spliced(&data, b"\xd4\x01\x00"), "payload.data.k"),
        ("a timestamp", spliced(&data, b"\xd6\xff\0\0\0\0"), "payload.data.k"),
        ("an integer as key", spliced(&data, b"\x81\x01\x02"), "payload.data.k"),
        ("nil as key", spliced(&data, b"\x81\xc0\x02"), "payload.data.k"),
        ("bin as key", spliced(&data, b"\x81\xc4\x01a\x02"), "payload.data.k"),
        ("a string that is not UTF-8", spliced(&data, b"\xa1\xff"), "MessagePack"),
        ("the marker that is never used", spliced(&data, b"\xc1"), "MessagePack"),
        ("a list as envelope", rmp_serde::to_vec(&json!(["CREATE_NODE", {}])).unwrap(), "object"),
        ("bytes after the end", [spliced(&data, b"\x01"), vec![0]].concat(), "MessagePack"),
        ("half of it", spliced(&data, b"\x01")[..20].to_vec(), "MessagePack"),
        ("a length beyond all", b"\xdf\xff\xff\xff\xff".to_vec(), "MessagePack"),
        ("JSON", br#"{"type":"CREATE_NODE","payload":{}}"#.to_vec(), "MessagePack"),
    ];
    let mut wrong = Vec::new();
    for (what, body, place) in &rows {
        let reply =
            server.ask(to_command(body.as_slice()).header("content-type", "application/msgpack")).await;
        let text = String::from_utf8_lossy(&reply.body);
        if reply.status != 400 || !reply.json()["detail"].as_str().is_some_and(|d| d.contains(place)) {
            wrong.push(format!("{what}: wants {place:?}, got {} {text}", reply.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.state("g").await["version"], 0, "nothing ran");
}

#[tokio::test]
async fn h1_a_lone_surrogate_and_a_byte_order_mark_are_accepted() {
    let server = Server::start().await;
    let half = r#"{"type":"CREATE_NODE","payload":{"id":"half","data":{"label":"cut \ud83d","whole":"\ud83d\ude00"}}}"#;
    let marked = format!("\u{feff}{}", r#"{"type":"CREATE_NODE","payload":{"id":"marked"}}"#);
    for body in [half.to_owned(), marked] {
        assert_eq!(server.ask(to_command(body)).await.status, 200);
    }
    let nodes = &server.state("g").await["nodes"];
    assert_eq!(nodes[0]["data"], json!({"label": "cut \u{fffd}", "whole": "\u{1f600}"}));
    assert_eq!(nodes[1]["id"], "marked");
}
