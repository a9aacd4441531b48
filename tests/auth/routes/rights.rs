//! Rights beyond that of the route: operations, streams, trash, labels, copies.

use serde_json::json;

use crate::{
    bearing, create_node, get, guarded, signed,
    support::{
        graph::{new_id, with},
        http::Request,
        stream::Stream,
    },
    token, token_for,
};

#[tokio::test]
async fn o1_an_operation_on_a_graph_one_may_not_read_is_unknown() {
    let server = guarded().await;
    let (ada, eve) = (token("ada", json!({"g": "write"})), token("eve", json!({"mine": "admin"})));
    let id = server.ask(bearing(create_node("g", "a"), &ada)).await.json()["operationId"].clone();
    let path = format!("/operations/{}", id.as_str().unwrap());
    assert_eq!(server.ask(get(&path, &ada)).await.json()["operationId"], id);
    let refused = server.ask(get(&path, &eve)).await.problem(404, "NOT_FOUND");
    let other = new_id();
    let unknown = server.ask(get(&format!("/operations/{other}"), &eve)).await.problem(404, "NOT_FOUND");
    let refused = refused.to_string().replace(id.as_str().unwrap(), &other);
    assert_eq!(refused, unknown.to_string(), "the answers differ in the id alone");
}

#[tokio::test]
async fn o1_a_forbidden_command_is_not_read_and_its_id_not_used_up() {
    let server = guarded().await;
    let id = new_id();
    let command = json!({"type": "CREATE_NODE", "payload": {"id": "a"}, "operationId": id});
    let post = |token: &str, body: String| bearing(Request::post("/graphs/g/command", body), token);
    let (reader, writer) = (token("ada", json!({"g": "read"})), token("ada", json!({"g": "write"})));
    server.ask(post(&reader, command.to_string())).await.problem(403, "FORBIDDEN");
    server.ask(post(&reader, "{".to_owned())).await.problem(403, "FORBIDDEN");
    let accepted = server.ask(post(&writer, command.to_string())).await;
    assert_eq!((accepted.status, &accepted.json()["duplicate"]), (200, &json!(null)));
}

#[tokio::test]
async fn o1_a_stream_ends_when_its_token_does_and_says_so() {
    let server = guarded().await;
    let streams = [
        ("/graphs/g/events", "text/event-stream"),
        ("/graphs/g/events", "application/x-ndjson"),
        ("/events", "text/event-stream"),
        ("/events", "application/x-ndjson"),
    ];
    for (path, accept) in streams {
        let is_events = accept == "text/event-stream";
        let token = token_for("ada", json!({"*": "admin"}), 4);
        let headers = [("authorization", format!("Bearer {token}")), ("accept", accept.to_owned())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut stream = Stream::open(&server, &format!("{path}?follow=true"), &headers).await;
        assert_eq!(stream.status, 200);
        let last = loop {
            if is_events {
                let event = stream.event().await.unwrap();
                if event.name == "problem" {
                    assert_eq!(stream.event().await, None);
                    break event.data;
                }
            } else {
                let line = stream.line().await.unwrap();
                if !line["error"].is_null() {
                    assert_eq!(stream.line().await, None);
                    break line["error"].clone();
                }
            }
        };
        assert_eq!(last["code"], "UNAUTHENTICATED", "{path} {accept}");
    }
}

#[tokio::test]
async fn o1_a_token_good_a_moment_ago_is_not_good_for_ever() {
    let server = guarded().await;
    // It is proved once, and then remembered: the end of it is not forgotten.
    let claims = json!({"sub": "ada", "graphs": {"g": "read"}});
    let short = signed(&with(&claims, json!({"exp": crate::now_s() - crate::LEEWAY_S + 3})));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let reply = server.ask(get("/graphs/g/state", &short)).await;
        if reply.status == 401 {
            assert!(reply.json()["detail"].as_str().unwrap().contains("expired"));
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "it is still good");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn l8_the_trash_and_settings_need_admin() {
    let server = guarded().await;
    let [writer, admin] = ["write", "admin"].map(|right| token("ada", json!({"g": right})));
    let post = |token: &str, name: &str, payload: serde_json::Value| {
        let command = json!({"type": name, "payload": payload, "operationId": new_id()});
        bearing(Request::post("/graphs/g/command", command.to_string()), token)
    };
    let settings = json!({"updates": {"settings": {"readOnly": false}}});
    let with_settings = json!({"attributes": {"settings": {"readOnly": false}}});
    server.ask(post(&writer, "CREATE_GRAPH", with_settings)).await.problem(403, "FORBIDDEN");
    let row = server.ask(post(&writer, "CREATE_GRAPH", json!({"attributes": {"title": "T"}}))).await;
    assert_eq!(row.status, 200, "{}", String::from_utf8_lossy(&row.body));
    assert_eq!(server.ask(get("/graphs/g", &writer)).await.json()["access"], "write");
    for (name, payload) in
        [("UPDATE_GRAPH", settings), ("DELETE_GRAPH", json!({})), ("RECOVER_GRAPH", json!({}))]
    {
        server.ask(post(&writer, name, payload.clone())).await.problem(403, "FORBIDDEN");
        let accepted = server.ask(post(&admin, name, payload)).await;
        assert_eq!(accepted.status, 200, "{name}: {}", String::from_utf8_lossy(&accepted.body));
    }
    let update = post(&writer, "UPDATE_GRAPH", json!({"updates": {"title": "U"}}));
    assert_eq!(server.ask(update).await.status, 200);
    let batch = json!({"operations": [{"type": "UPDATE_GRAPH", "payload": {"updates": {"settings": null}}}]});
    let batch = bearing(Request::post("/graphs/g/batch", batch.to_string()), &writer);
    server.ask(batch).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn l12_protected_labels_need_admin_and_others_write() {
    let server = guarded().await;
    let [reader, writer, admin] = ["read", "write", "admin"].map(|right| token("ada", json!({"g": right})));
    let create = json!({"type": "CREATE_NODE", "payload": {"id": "a"}});
    let created = server.ask(bearing(Request::post("/graphs/g/command", create.to_string()), &writer)).await;
    assert_eq!(created.status, 200);
    let put =
        |token: &str, name: &str| bearing(Request::new("PUT", &format!("/graphs/g/labels/{name}")), token);
    let delete =
        |token: &str, name: &str| bearing(Request::new("DELETE", &format!("/graphs/g/labels/{name}")), token);
    let post = |token: &str, name: &str| {
        let command = json!({"type": "LABEL_VERSION", "payload": {"name": name}, "operationId": new_id()});
        bearing(Request::post("/graphs/g/command", command.to_string()), token)
    };
    for refused in [put(&reader, "v1"), put(&writer, "published"), post(&writer, "published")] {
        server.ask(refused).await.problem(403, "FORBIDDEN");
    }
    server.ask(delete(&writer, "published")).await.problem(403, "FORBIDDEN");
    for granted in
        [put(&writer, "v1"), put(&admin, "published"), post(&admin, "published"), delete(&writer, "v1")]
    {
        let reply = server.ask(granted).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(server.ask(get("/graphs/g/labels", &reader)).await.status, 200);
    let restore = json!({"type": "RESTORE_VERSION", "payload": {"to": "published"}});
    let restored = bearing(Request::post("/graphs/g/command", restore.to_string()), &writer);
    assert_eq!(server.ask(restored).await.status, 200);
}

#[tokio::test]
async fn l7_a_copy_needs_read_on_its_source() {
    let server = guarded().await;
    let owner = token("ada", json!({"g": "write"}));
    let create = json!({"type": "CREATE_NODE", "payload": {"id": "a"}});
    server.ask(bearing(Request::post("/graphs/g/command", create.to_string()), &owner)).await;
    let copy =
        json!({"type": "CREATE_GRAPH", "payload": {"from": {"graphId": "g"}}, "operationId": new_id()});
    let post = |token: &str| bearing(Request::post("/graphs/h/command", copy.to_string()), token);
    let stranger = token("eve", json!({"h": "admin"}));
    let refused = server.ask(post(&stranger)).await.problem(403, "FORBIDDEN");
    assert!(refused["detail"].as_str().unwrap().contains("read on g"), "{refused}");
    for rights in [json!({"h": "read", "g": "read"}), json!({"g": "admin"})] {
        server.ask(post(&token("eve", rights))).await.problem(403, "FORBIDDEN");
    }
    let granted = server.ask(post(&token("eve", json!({"h": "write", "g": "read"})))).await;
    assert_eq!(granted.status, 200, "{}", String::from_utf8_lossy(&granted.body));
}
