//! Real answers match the document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::documented;
use crate::support::{
    graph::new_id,
    http::{Client, Reply, Request},
    server::Server,
};

/// Asks, and holds the answer against what the document says of the route.
struct Held<'a> {
    client: Client,
    document: &'a Value,
    seen: BTreeSet<(String, u16)>,
}

impl Held<'_> {
    async fn ask(&mut self, route: &str, request: Request) -> Reply {
        let reply = self.client.ask(request.clone()).await;
        let (method, path) = route.split_once(' ').unwrap();
        let responses = &self.document["paths"][path][method.to_lowercase()]["responses"];
        let response = &responses[reply.status.to_string()];
        assert!(response.is_object(), "{route} answers {}, which is not in {responses}", reply.status);
        self.seen.insert((route.to_owned(), reply.status));
        let Some(content) = response["content"].as_object() else {
            assert!(reply.body.is_empty(), "{route}: {} has no body", reply.status);
            return reply;
        };
        let media = reply.header("content-type").unwrap().to_owned();
        let schema = &content.get(&media).unwrap_or_else(|| panic!("{route}: {media}"))["schema"];
        if media.ends_with("json") {
            self.fits(schema, &reply.json(), route);
        }
        reply
    }

    fn fits(&self, schema: &Value, answer: &Value, route: &str) {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        let problems: Vec<String> = validator
            .iter_errors(answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{route}: {answer}\n{}", problems.join("\n"));
    }

    async fn get(&mut self, route: &str, path: &str) -> Reply {
        self.ask(&format!("GET {route}"), Request::get(path)).await
    }

    async fn post(&mut self, route: &str, path: &str, body: Value) -> Reply {
        self.ask(&format!("POST {route}"), Request::post(path, body.to_string())).await
    }

    async fn command(&mut self, name: &str, payload: Value) -> Reply {
        let body = json!({"type": name, "payload": payload, "operationId": new_id()});
        self.fits(&json!({"$ref": "#/components/schemas/CommandBody"}), &body, name);
        self.post("/graphs/{graphId}/command", "/graphs/g/command", body).await
    }
}

/// Every command, every outcome and every kind of refusal that a client can bring about.
async fn work(held: &mut Held<'_>) {
    held.command("CREATE_NODE", json!({"id": "a", "data": {"label": "x", "list": [1, null]}})).await;
    held.command("CREATE_NODE", json!({"id": "b", "type": "custom", "parentId": null, "width": 7})).await;
    held.command("CREATE_NODE", json!({})).await;
    held.command("CREATE_EDGE", json!({"id": "e", "source": "a", "target": "b", "sourceHandle": null})).await;
    held.command("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"label": "y"}}})).await;
    held.command("UPDATE_EDGE", json!({"edgeId": "e", "updates": {"label": "to b"}})).await;
    held.command("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 1.5, "y": -2}})).await;
    held.command("SET_VIEWPORT", json!({"x": 0, "y": 1, "zoom": 2})).await;
    let nodes = json!({"a": {"position": {"x": 9, "y": 9}}, "c": {"data": {}}});
    held.command("BATCH_UPDATE", json!({"nodes": nodes, "edges": [{"source": "a", "target": "c"}]})).await;
    held.command("BATCH_UPDATE", json!({"nodes": [{"id": "d"}], "viewport": {"x": 0, "y": 0, "zoom": 1}}))
        .await;
    held.command("DELETE_EDGE", json!({"edgeId": "e"})).await; // 404: the batch replaced all edges
    held.command("DELETE_NODE", json!({"nodeId": "d"})).await;
    held.command("CREATE_NODE", json!({"id": "a"})).await; // 409
    held.command("CREATE_EDGE", json!({"source": "a", "target": "nowhere"})).await; // 422
    let stale = json!({"type": "UPDATE_NODE", "clientVersion": 1, "clientId": "tab", "onConflict": "reject",
        "operationId": new_id(), "payload": {"nodeId": "a", "updates": {"data": {"label": "z"}}}});
    let refused = held.post("/graphs/{graphId}/command", "/graphs/g/command", stale.clone()).await;
    refused.problem(409, "CONFLICT");
    held.post("/graphs/{graphId}/command", "/graphs/g/command", stale.clone()).await; // a duplicate
    let path = format!("/operations/{}", stale["operationId"].as_str().unwrap());
    held.get("/operations/{operationId}", &path).await;
}

async fn lifecycle(held: &mut Held<'_>) {
    let document = json!({"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]});
    let attributes = json!({"title": "T", "tags": ["t"], "settings": {"readOnly": false, "limits": {"nodes": 9}},
        "data": {"k": 1}});
    let create = json!({"attributes": attributes, "document": document});
    let updates = json!({"updates": {"title": null, "owner": "ada"}});
    for (name, payload, status) in [
        ("CREATE_GRAPH", create.clone(), 200),
        ("CREATE_GRAPH", create, 409),
        ("UPDATE_GRAPH", updates, 200),
        ("DELETE_GRAPH", json!({"reason": "old", "movedTo": "h"}), 200),
        ("CREATE_NODE", json!({"id": "c"}), 410),
    ] {
        let body = json!({"type": name, "payload": payload, "operationId": new_id()});
        held.fits(&json!({"$ref": "#/components/schemas/CommandBody"}), &body, name);
        let answer = held.post("/graphs/{graphId}/command", "/graphs/life/command", body).await;
        assert_eq!(answer.status, status, "{name}");
    }
    let one = "/graphs/{graphId}";
    for path in ["/graphs/life", "/graphs/empty"] {
        held.get(one, path).await;
    }
    held.get("/graphs/{graphId}/state", "/graphs/life/state").await.problem(410, "GRAPH_TRASHED");
    held.get("/graphs/{graphId}/state", "/graphs/life/state?trashed=include").await;
    let delete = Request::new("DELETE", "/graphs/life?reason=again").header("idempotency-key", new_id());
    assert_eq!(held.ask(&format!("DELETE {one}"), delete).await.status, 200);
    let body = json!({"type": "RECOVER_GRAPH", "payload": {}, "operationId": new_id()});
    held.post("/graphs/{graphId}/command", "/graphs/life/command", body).await;
    versions(held).await;
    held.post("/graphs/{graphId}/purge", "/graphs/life/purge", json!({})).await.problem(409, "NOT_TRASHED");
    let body = json!({"type": "DELETE_GRAPH", "payload": {}, "operationId": new_id()});
    held.post("/graphs/{graphId}/command", "/graphs/life/command", body).await;
    let body = json!({"operationId": new_id()});
    held.fits(&json!({"$ref": "#/components/schemas/PurgeBody"}), &body, "PurgeBody");
    for _ in 0..2 {
        let purged = held.post("/graphs/{graphId}/purge", "/graphs/life/purge", body.clone()).await;
        assert_eq!(purged.status, 200);
    }
    held.get("/graphs", "/graphs?sort=title&limit=2&data.stage=draft").await;
    held.get("/graphs", "/graphs?sort=colour").await.problem(400, "BAD_REQUEST");
}

async fn versions(held: &mut Held<'_>) {
    for (name, payload, status) in [
        ("LABEL_VERSION", json!({"name": "v1", "version": 1, "note": "first"}), 200),
        ("LABEL_VERSION", json!({"name": "v1", "expect": 7}), 409),
        ("LABEL_VERSION", json!({"name": "v2"}), 200),
        ("LABEL_VERSION", json!({"name": "v2", "version": null, "expect": null}), 409),
        ("RESTORE_VERSION", json!({"to": "v1", "nodes": ["a"], "include": ["viewport"]}), 200),
        ("RESTORE_VERSION", json!({"to": "none"}), 404),
    ] {
        let body = json!({"type": name, "payload": payload, "operationId": new_id()});
        held.fits(&json!({"$ref": "#/components/schemas/CommandBody"}), &body, name);
        let answer = held.post("/graphs/{graphId}/command", "/graphs/life/command", body).await;
        assert_eq!(answer.status, status, "{payload}");
    }
    let (all, one) = ("/graphs/{graphId}/labels", "/graphs/{graphId}/labels/{name}");
    let tag = held.get(all, "/graphs/life/labels").await.header("etag").unwrap().to_owned();
    for (route, path) in [(all, "/graphs/life/labels"), (one, "/graphs/life/labels/v1")] {
        let poll = Request::get(path).header("if-none-match", &tag);
        assert_eq!(held.ask(&format!("GET {route}"), poll).await.status, 304);
    }
    held.get(one, "/graphs/life/labels/v1").await;
    held.get(one, "/graphs/life/labels/none").await.problem(404, "LABEL_NOT_FOUND");
    for path in ["state", "document", "nodes", "edges"] {
        held.get(&format!("/graphs/{{graphId}}/{path}"), &format!("/graphs/life/{path}?at=v1")).await;
    }
    let body = json!({"version": 1, "expect": null});
    held.fits(&json!({"$ref": "#/components/schemas/LabelBody"}), &body, "LabelBody");
    let put = Request::new("PUT", "/graphs/life/labels/v3");
    let put = Request { body: body.to_string().into_bytes(), ..put };
    assert_eq!(held.ask(&format!("PUT {one}"), put).await.status, 200);
    let delete = Request::new("DELETE", "/graphs/life/labels/v3?expect=1");
    assert_eq!(held.ask(&format!("DELETE {one}"), delete).await.status, 200);
}

async fn batches(held: &mut Held<'_>) {
    let make = |id: &str| json!({"type": "CREATE_NODE", "payload": {"id": id}});
    let other = |id: &str| json!({"type": "CREATE_NODE", "payload": {"id": id, "type": "other"}});
    let route = "/graphs/{graphId}/batch";
    let atomic = json!({"atomic": true, "batchId": new_id(), "operations": [make("m"), make("n")]});
    let done = held.post(route, "/graphs/g/batch", atomic.clone()).await;
    assert_eq!(done.status, 200);
    held.post(route, "/graphs/g/batch", atomic.clone()).await;
    let gone = json!({"type": "DELETE_NODE", "payload": {"nodeId": "gone"}});
    let skipping = json!({"atomic": true, "ifMissing": "skip", "operations": [make("q"), gone]});
    held.fits(&json!({"$ref": "#/components/schemas/BatchBody"}), &skipping, "BatchBody");
    let done = held.post(route, "/graphs/g/batch", skipping).await.json();
    assert_eq!(done["skipped"], json!([{"index": 1, "code": "NODE_NOT_FOUND"}]));
    let each =
        held.post(route, "/graphs/g/batch", json!({"operations": [make("o"), other("m")]})).await.json();
    assert_eq!(each["results"][1]["status"], "conflict");
    held.post(route, "/graphs/g/batch", json!({"atomic": true, "operations": [other("m")]})).await;
    let lost = json!({"operations": [make("p")], "clientVersion": 1, "clientHash": "0".repeat(64)});
    held.fits(&json!({"$ref": "#/components/schemas/BatchBody"}), &lost, "BatchBody");
    held.post(route, "/graphs/g/batch", lost.clone()).await;
    let lost = Value::Object(
        lost.as_object().unwrap().clone().into_iter().chain([("atomic".to_owned(), json!(true))]).collect(),
    );
    held.post(route, "/graphs/g/batch", lost).await.problem(409, "HISTORY_REPLACED");
    held.post(route, "/graphs/g/batch", json!({"operations": [7]})).await;
    held.get("/operations/{operationId}", &format!("/operations/{}", atomic["batchId"].as_str().unwrap()))
        .await;
}

async fn reads(held: &mut Held<'_>) {
    let graph = "/graphs/{graphId}";
    for tail in ["state", "changes", "nodes", "edges", "viewport", "operations", "verify", "activity"] {
        held.get(&format!("{graph}/{tail}"), &format!("/graphs/g/{tail}")).await;
        held.get(&format!("{graph}/{tail}"), &format!("/graphs/empty/{tail}")).await;
        held.get(&format!("{graph}/{tail}"), &format!("/graphs/-/{tail}")).await.problem(400, "BAD_REQUEST");
    }
    let tag = held.get("/graphs/{graphId}/state", "/graphs/g/state").await.header("etag").unwrap().to_owned();
    let again = Request::get("/graphs/g/state").header("if-none-match", &tag);
    assert_eq!(held.ask("GET /graphs/{graphId}/state", again).await.status, 304);
    held.get("/graphs/{graphId}/state", "/graphs/g/state?version=999")
        .await
        .problem(404, "VERSION_NOT_FOUND");
    held.get("/graphs/{graphId}/changes", "/graphs/g/changes?since=2&hash=beef").await;
    held.get("/graphs/{graphId}/nodes/{nodeId}", "/graphs/g/nodes/a").await;
    held.get("/graphs/{graphId}/nodes/{nodeId}", "/graphs/g/nodes/none").await;
    let edge = held.get("/graphs/{graphId}/edges", "/graphs/g/edges").await.json()["edges"][0]["id"].clone();
    let edge = edge.as_str().unwrap();
    held.get("/graphs/{graphId}/edges/{edgeId}", &format!("/graphs/g/edges/{edge}")).await;
    held.get("/graphs/{graphId}/diff", "/graphs/g/diff?from=0").await;
    held.get("/graphs/{graphId}/diff", "/graphs/g/diff?from=3&to=12").await;
    held.get("/graphs/{graphId}/diff", "/graphs/g/diff").await.problem(400, "BAD_REQUEST");
    held.get("/graphs/{graphId}/nodes/{nodeId}/history", "/graphs/g/nodes/a/history?limit=2").await;
    held.get("/graphs/{graphId}/edges/{edgeId}/history", "/graphs/g/edges/e/history").await;
    held.get("/graphs/{graphId}/operations", "/graphs/g/operations?status=conflict&limit=1").await;
    held.get("/operations/{operationId}", &format!("/operations/{}", new_id()))
        .await
        .problem(404, "NOT_FOUND");
    held.get("/activity", "/activity").await;
    held.get("/graphs/{graphId}/activity", "/graphs/g/activity?bucket=day").await;
    held.get("/graphs/{graphId}/authors", "/graphs/g/authors").await;
    held.get("/graphs/{graphId}/authors", "/graphs/g/authors?at=999").await.problem(404, "VERSION_NOT_FOUND");
    held.get("/operations", "/operations?limit=5").await;
    held.get("/operations", "/operations?code=none").await.problem(400, "BAD_REQUEST");
    let mut socket = crate::support::ws::Ws::connect(held.client.address(), "?graphId=g").await;
    socket.expect("SYNC").await;
    socket.send(&json!({"type": "PRESENCE", "graphId": "g", "slot": "s", "state": 1})).await;
    socket.send(&json!({"type": "PING"})).await;
    socket.expect("PONG").await;
    held.get("/connections", "/connections").await;
    held.get("/graphs/{graphId}/presence", "/graphs/g/presence").await;
    for path in ["/", "/healthz", "/readyz", "/whoami", "/openapi.json"] {
        held.get(path, path).await;
    }
    for path in ["/", "/healthz", "/readyz"] {
        held.get(path, &format!("{path}?no=such")).await.problem(400, "BAD_REQUEST");
    }
}

async fn documents(held: &mut Held<'_>) {
    let route = "/graphs/{graphId}/document";
    let loaded = held.get(route, "/graphs/g/document").await;
    let (base, tag) =
        (loaded.header("x-base").unwrap().to_owned(), loaded.header("etag").unwrap().to_owned());
    let again = Request::get("/graphs/g/document").header("if-none-match", &tag);
    assert_eq!(held.ask(&format!("GET {route}"), again).await.status, 304);
    let mut document = loaded.json();
    document["nodes"][0]["selected"] = json!(true);
    document["nodes"].as_array_mut().unwrap().push(json!({"id": "saved"}));
    held.fits(&json!({"$ref": "#/components/schemas/Document"}), &document, "Document");
    for schema in ["Document", "SaveDocument"] {
        let unnamed = json!({"nodes": [{"position": {"x": 0, "y": 0}}], "edges": []});
        let schema = json!({"$ref": format!("#/components/schemas/{schema}"), "components": held.document["components"]});
        assert!(
            !jsonschema::draft202012::new(&schema).unwrap().is_valid(&unnamed),
            "an id is required: {schema}"
        );
    }
    let by_command =
        json!({"type": "SAVE_DOCUMENT", "payload": {"nodes": [], "edges": []}, "onConflict": "keep"});
    held.fits(&json!({"$ref": "#/components/schemas/CommandBody"}), &by_command, "CommandBody");
    let answer = held.post("/graphs/{graphId}/command", "/graphs/g/command", by_command).await;
    answer.problem(428, "BASE_REQUIRED");
    let put = |query: &str, document: &Value| Request {
        body: document.to_string().into_bytes(),
        ..Request::new("PUT", &format!("/graphs/g/document{query}"))
    };
    for (query, status) in [("", 428), ("?base=1:00", 400), ("?base=1&onConflict=keep", 200)] {
        assert_eq!(held.ask(&format!("PUT {route}"), put(query, &document)).await.status, status, "{query}");
    }
    let query = format!("?base={base}");
    assert_eq!(held.ask(&format!("PUT {route}"), put(&query, &document)).await.status, 200);
    let strict = put(&query, &document).header("if-match", "\"1-00\"");
    assert_eq!(held.ask(&format!("PUT {route}"), strict).await.status, 412);
    let empty = json!({"nodes": [], "edges": []});
    held.ask(&format!("PUT {route}"), put("?mode=replace", &empty)).await.problem(422, "DELETES_MUCH");
    let lost = put(&format!("?base=1:{}", "0".repeat(64)), &document);
    held.ask(&format!("PUT {route}"), lost).await.problem(409, "BASE_UNKNOWN");
}

async fn subscriptions(held: &mut Held<'_>) {
    let one = "/subscriptions/{name}";
    let put = Request::new("PUT", "/subscriptions/index");
    let body = json!({"start": "beginning", "filter": {"types": ["NodeCreated"]}, "leaseMs": 1000});
    let put = Request { body: body.to_string().into_bytes(), ..put };
    let put = put.clone().header("content-length", put.body.len().to_string());
    for status in [201, 200] {
        assert_eq!(held.ask(&format!("PUT {one}"), put.clone()).await.status, status);
    }
    held.get("/subscriptions", "/subscriptions").await;
    held.get(one, "/subscriptions/index").await;
    held.get(one, "/subscriptions/none").await;
    let handed = Request::post("/subscriptions/index/next?max=2&wait=5000", "");
    let handed = held.ask(&format!("POST {one}/next"), handed).await.json();
    let first = handed["deliveries"][0]["deliveryId"].clone();
    assert!(first.is_string(), "{handed}");
    held.post(&format!("{one}/ack"), "/subscriptions/index/ack", json!({"deliveryIds": [first]})).await;
    let nack = json!({"deliveryIds": ["x"], "reason": "why not"});
    held.post(&format!("{one}/nack"), "/subscriptions/index/nack", nack).await;
    held.get(&format!("{one}/parked"), "/subscriptions/index/parked").await;
    for what in ["retry", "drop"] {
        let path = format!("/subscriptions/index/parked/{what}");
        held.post(&format!("{one}/parked/{what}"), &path, json!({"deliveryIds": []})).await;
    }
    held.ask(&format!("DELETE {one}"), Request::new("DELETE", "/subscriptions/index")).await;
}

#[tokio::test]
async fn h_real_answers_match_the_document() {
    let server = Server::start().await;
    let document = server.read("/openapi.json").await;
    let mut held = Held { client: server.as_user("ada"), document: &document, seen: BTreeSet::new() };
    work(&mut held).await;
    lifecycle(&mut held).await;
    batches(&mut held).await;
    held.client = server.as_user("bob");
    work(&mut held).await;
    reads(&mut held).await;
    documents(&mut held).await;
    subscriptions(&mut held).await;
    let answered: BTreeSet<&str> = held.seen.iter().map(|(route, _)| route.as_str()).collect();
    let all = documented(&document);
    // Streams and sockets have tests of their own; `/metrics` and the viewer answer in other formats.
    let apart = ["/events", "/ws", "/docs", "/metrics"];
    let not_asked: Vec<_> = all.iter().filter(|route| !answered.contains(route.as_str())).collect();
    assert!(not_asked.iter().all(|route| apart.iter().any(|path| route.ends_with(path))), "{not_asked:?}");
    server.stop().await;
}
