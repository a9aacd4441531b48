//! Requests that are wrong outside of their bodies, or too large, and what their senders are told
//! (rules G3, H1, H5, O3).

use serde_json::{Value, json};

use crate::support::{
    graph::{command, new_id},
    http::{Client, Request},
    server::Server,
};

fn to_command(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/graphs/g/command", body)
}

#[tokio::test]
async fn g3_ids_in_the_path() {
    let server = Server::start().await;
    let long = "g".repeat(129);
    for id in [
        "a%2Fb", "a%00", "%FF", "a%20b", "%C3%A4", "-a", ".a", ".", "a%zz", "%", "a%2", "a+b", "a@b", &long,
        "a%0d%0a", "a~b",
    ] {
        for route in ["state", "changes", "nodes", "viewport"] {
            let reply = server.get(&format!("/graphs/{id}/{route}")).await;
            reply.bad(&format!("{id}/{route}"), "");
        }
        let reply = server.command(id, &command("CREATE_NODE", json!({}))).await;
        reply.bad(id, "");
    }
    server.get("/operations/7").await.bad("operation", "operationId");
    server.get("/graphs/g/nodes/a%01").await.bad("node", "nodeId");
    server.get(&format!("/graphs/g/edges/{}", "e".repeat(1_025))).await.bad("edge", "edgeId");
    server.get("/graphs//state").await.bad("empty", "graphId");

    server.apply("ab", "CREATE_NODE", json!({"id": "a/b {\"œ\"}%"})).await;
    assert_eq!(server.state("%61%62").await["version"], 1, "encoded letters are the letters");
    let node = server.read("/graphs/ab/nodes/a%2Fb%20%7B%22%C5%93%22%7D%25").await;
    assert_eq!(node["id"], "a/b {\"œ\"}%");
}

#[tokio::test]
async fn h5_query_parameters_that_are_not_integers_are_refused() {
    let server = Server::start().await;
    let bad = ["", "x", "-1", "1.0", "1e3", "+1", "0x10", "%201", "9223372036854775808", "null", "1%00"];
    for value in bad {
        for (route, name) in [
            ("changes", "since"),
            ("changes", "minVersion"),
            ("state", "version"),
            ("state", "minVersion"),
            ("nodes", "minVersion"),
            ("edges", "minVersion"),
            ("viewport", "minVersion"),
            ("changes", "limit"),
        ] {
            let path = format!("/graphs/g/{route}?{name}={value}");
            server.get(&path).await.bad(&path, name);
        }
    }
    for limit in ["0", "10001"] {
        let path = format!("/graphs/g/changes?limit={limit}");
        server.get(&path).await.bad(&path, "limit");
    }
    for good in ["since=0", "since=0007", "since=9223372036854775807", "limit=1", "limit=10000"] {
        server.read(&format!("/graphs/g/changes?{good}")).await;
    }
}

#[tokio::test]
async fn h1_who_asks() {
    let server = Server::start().await;
    let create = || to_command(command("CREATE_NODE", json!({})).to_string());
    let long = "u".repeat(257);
    let rows: [&[u8]; 5] = [b"a\tb", "a\u{85}b".as_bytes(), b"\xff\xfe", b"a\xc3", long.as_bytes()];
    for value in rows {
        let reply = server.ask(create().header("x-user-id", value)).await;
        reply.bad(&String::from_utf8_lossy(value), "X-User-Id");
    }
    for value in ["%00", "a%0Ab", &long] {
        let request = Request { path: format!("/graphs/g/command?userId={value}"), ..create() };
        server.ask(request).await.bad(value, "userId");
    }
    // What is no header at all is refused before there is a request.
    let mut request = b"POST /graphs/g/command HTTP/1.1\r\nx-user-id: a\x01b\r\n\r\n".to_vec();
    assert_eq!(server.raw(&request).await.unwrap().status, 400);
    request = b"nonsense\r\n\r\n".to_vec();
    assert_eq!(server.raw(&request).await.unwrap().status, 400);
    assert_eq!(server.state("g").await["version"], 0, "nothing ran");
}

#[tokio::test]
async fn h1_formats_routes_and_methods() {
    let server = Server::start().await;
    let body = command("CREATE_NODE", json!({})).to_string();
    for content_type in
        ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", "\u{fffd}"]
    {
        let reply = server.ask(to_command(body.clone()).header("content-type", content_type)).await;
        reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for content_type in ["application/json", "APPLICATION/JSON; charset=utf-8", "application/json;"] {
        let reply = server.ask(to_command(body.clone()).header("content-type", content_type)).await;
        assert_eq!(reply.status, 200, "{content_type}");
    }
    for path in ["/nowhere", "/graphs/", "/graphs/g/nothing", "/graphs/g/nodes/a/b", "/operations/a/b", "//"]
    {
        server.get(path).await.problem(404, "NOT_FOUND");
    }
    for (method, path, allowed) in [
        ("GET", "/graphs/g/command", "POST"),
        ("PUT", "/graphs/g/batch", "POST"),
        ("DELETE", "/graphs/g/state", "GET"),
        ("POST", "/graphs/g/nodes", "GET"),
        ("PATCH", "/healthz", "GET"),
        ("BREW", "/graphs/g/viewport", "GET"),
    ] {
        let reply = server.ask(Request::new(method, path)).await;
        reply.problem(405, "METHOD_NOT_ALLOWED");
        let allow = reply.header("allow").unwrap_or_default();
        assert!(allow.contains(allowed), "{method} {path}: {allow}");
    }
}

#[tokio::test]
async fn h1_errors_are_problem_json_whatever_accept_says() {
    let server = Server::start().await;
    for accept in ["application/msgpack", "text/html", "image/*", "application/json;q=0", "\u{fffd}", ""] {
        let ask = |request: Request| server.ask(request.header("accept", accept));
        ask(to_command("{")).await.problem(400, "BAD_REQUEST");
        ask(Request::get("/nowhere")).await.problem(404, "NOT_FOUND");
        ask(Request::get("/graphs/g/nodes/a")).await.problem(404, "NODE_NOT_FOUND");
        ask(Request::get("/graphs/g/edges/a")).await.problem(404, "EDGE_NOT_FOUND");
        ask(Request::get("/graphs/g/state?version=1")).await.problem(404, "VERSION_NOT_FOUND");
        ask(Request::get(&format!("/operations/{}", new_id()))).await.problem(404, "NOT_FOUND");
        ask(Request::get("/graphs/g/command")).await.problem(405, "METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn h1_bodies_that_are_not_utf_8() {
    let server = Server::start().await;
    let body = b"{\"type\":\"CREATE_NODE\",\"payload\":{\"id\":\"\xff\"}}";
    server.ask(to_command(*body)).await.bad("not UTF-8", "JSON");
    let utf_16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    server.ask(to_command(utf_16)).await.bad("UTF-16", "JSON");
}

#[tokio::test]
async fn o3_nesting_ends_at_64() {
    let server = Server::start().await;
    // The envelope, the payload and data are the first three.
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 3), "]".repeat(depth - 3));
        format!(r#"{{"type":"CREATE_NODE","payload":{{"data":{{"d":{open}{close}}}}}}}"#)
    };
    server.ask(to_command(nested(65))).await.bad("65 levels", "payload.data.d[0]");
    server.ask(to_command(nested(100_000))).await.bad("very deep", "payload.data.d[0]");
    assert_eq!(server.ask(to_command(nested(64))).await.status, 200);
}

#[tokio::test]
async fn o3_a_body_over_8_mib_is_413() {
    let server = Server::start().await;
    let announced =
        b"POST /graphs/g/command HTTP/1.1\r\nhost: h\r\ncontent-length: 8388609\r\n\r\n".as_slice();
    server.raw(announced).await.unwrap().problem(413, "TOO_LARGE");
    // A body that does not say how long it is, and has no end yet.
    let mut chunked =
        b"POST /graphs/g/batch HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..8 {
        chunked.extend(b"100000\r\n");
        chunked.extend(vec![b' '; 1 << 20]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"1\r\n \r\n");
    server.raw(&chunked).await.unwrap().problem(413, "TOO_LARGE");

    let mut body = br#"{"type":"CREATE_NODE","payload":{}}"#.to_vec();
    body.resize(8 << 20, b' ');
    assert_eq!(server.ask(to_command(body)).await.status, 200, "8 MiB exactly");
}

#[tokio::test]
async fn o3_an_entity_over_256_kib_is_413_and_the_id_can_be_used_again() {
    let server = Server::start().await;
    let (id, other) = (new_id(), new_id());
    let create = |blob: usize, id: &str| json!({"type": "CREATE_NODE", "payload": {"id": "n", "data": {"blob": "x".repeat(blob)}}, "operationId": id});
    server.command("g", &create(256 << 10, &id)).await.problem(413, "TOO_LARGE");
    server.accept("g", &create(200 << 10, &id)).await;

    let update = |blob: usize| {
        let updates = json!({"data": {"more": "y".repeat(blob)}});
        json!({"type": "UPDATE_NODE", "payload": {"nodeId": "n", "updates": updates}, "operationId": other})
    };
    server.command("g", &update(100 << 10)).await.problem(413, "TOO_LARGE");
    server.command("g", &update(100 << 10)).await.problem(413, "TOO_LARGE");
    assert_eq!(server.accept("g", &update(10)).await["version"], 2);

    let edge = json!({"source": "n", "target": "n", "data": {"blob": "x".repeat(256 << 10)}});
    server.command("g", &command("CREATE_EDGE", edge.clone())).await.problem(413, "TOO_LARGE");
    server
        .command("g", &command("BATCH_UPDATE", json!({"edges": [edge.clone()]})))
        .await
        .problem(413, "TOO_LARGE");
    too_large_in_a_batch(&server, edge).await;
    assert_eq!(server.state("g").await["version"], 2);
}

async fn too_large_in_a_batch(client: &Client, edge: Value) {
    let operations =
        [command("SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 1})), command("CREATE_EDGE", edge)];
    let batch = json!({"operations": operations, "atomic": true});
    let problem = client.post("/graphs/g/batch", &batch).await.problem(413, "TOO_LARGE");
    assert_eq!(problem["index"], 1);
}
