//! Sockets: how they prove who is there, how long that lasts, and frames for graphs not granted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use dao_api::{auth::Auth, store::EventStore};

use crate::{
    LEEWAY_S, bearing, create_node, guarded, keys, now_s,
    support::{
        gate::{Call, GatedStore},
        graph::new_id,
        http::Request,
        server::{Server, embedded_store},
        ws::{Came, FIN, TEXT, Ws, frame},
    },
    token, token_for, with_secret,
};

const UNAUTHENTICATED: u16 = 4401;

/// A socket with these header lines, before anything was said.
async fn open(server: &Server, query: &str, headers: &str) -> Ws {
    let headers = format!("sec-websocket-protocol: dao.v1.json\r\n{headers}");
    Ws::upgrade(server.address(), query, &headers).await.unwrap_or_else(|refused| panic!("{refused:?}"))
}

/// A socket whose handshake had this token, after its `WELCOME`.
async fn with_token(server: &Server, query: &str, token: &str) -> Ws {
    let mut ws = open(server, query, &format!("authorization: Bearer {token}\r\n")).await;
    ws.expect("WELCOME").await;
    ws
}

/// A socket that brought nothing, after its `WELCOME`.
async fn with_nothing(server: &Server, query: &str) -> Ws {
    let mut ws = open(server, query, "").await;
    ws.expect("WELCOME").await;
    ws
}

async fn authenticate(ws: &mut Ws, token: &str) -> Value {
    ws.send(&json!({"type": "AUTH", "token": token})).await;
    ws.expect("AUTHENTICATED").await
}

fn command(graph: &str) -> Value {
    let command = json!({"type": "CREATE_NODE", "payload": {"id": new_id()}});
    json!({"type": "COMMAND", "graphId": graph, "operationId": new_id(), "command": command})
}

#[tokio::test]
async fn o1_a_handshake_proves_itself_by_its_header() {
    let server = guarded().await;
    let mut ws = with_token(&server, "?userId=mallory&graphId=g", &token("ada", json!({"g": "write"}))).await;
    ws.expect("SYNC").await;
    ws.send(&command("g")).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["userId"], "ada");
    ws.expect("ACK").await;
    let good = token("ada", json!({"g": "write"}));
    for value in ["Bearer no.good.token".to_owned(), format!("Basic {good}"), "Bearer".to_owned(), good] {
        let headers = format!("authorization: {value}\r\n");
        let refused = Ws::upgrade(server.address(), "", &headers).await.err().expect("it is refused");
        assert_eq!((refused.status, &refused.body["code"]), (401, &json!("UNAUTHENTICATED")), "{value}");
        assert!(refused.head.to_ascii_lowercase().contains("www-authenticate: bearer"), "{}", refused.head);
    }
}

#[tokio::test]
async fn o1_a_browser_proves_itself_by_a_subprotocol_that_is_not_spoken() {
    let server = guarded().await;
    let good = token("ada", json!({"g": "read"}));
    for offer in [format!("dao.v1.json, bearer.{good}"), format!("bearer.{good}, dao.v1.json")] {
        let headers = format!("sec-websocket-protocol: {offer}\r\n");
        let mut ws = Ws::upgrade(server.address(), "?graphId=g", &headers).await.unwrap();
        let head = ws.head.to_ascii_lowercase();
        assert!(
            head.contains("sec-websocket-protocol: dao.v1.json\r\n") && !head.contains("bearer"),
            "{head}"
        );
        ws.expect("WELCOME").await;
        ws.expect("SYNC").await;
    }
    for bad in ["bearer.no.good.token", "bearer."] {
        let headers = format!("sec-websocket-protocol: dao.v1.json, {bad}\r\n");
        let mut ws = Ws::upgrade(server.address(), "?graphId=g", &headers).await.unwrap();
        assert!(matches!(ws.next().await, Came::Close(Some(UNAUTHENTICATED), _)), "{bad}");
    }
}

#[tokio::test]
async fn o1_a_first_frame_proves_who_is_there_and_what_was_asked_before_waits_for_it() {
    let server = guarded().await;
    let mut ws = with_nothing(&server, "?graphId=g").await;
    let said = authenticate(&mut ws, &token("ada", json!({"g": "write"}))).await;
    assert_eq!(said["userId"], "ada");
    assert!(said["expiresAt"].as_u64().unwrap() > now_s() * 1_000, "{said}");
    assert_eq!(ws.expect("SYNC").await["graphId"], "g");
    ws.send(&command("g")).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["userId"], "ada");
}

#[tokio::test]
async fn o1_anything_else_as_a_first_frame_ends_the_connection() {
    let server = guarded().await;
    let firsts = [
        json!({"type": "SUBSCRIBE", "graphId": "g"}),
        command("g"),
        json!({"type": "PING"}),
        json!({"type": "PRESENCE", "graphId": "g", "state": {}}),
        json!({"type": "AUTH"}),
        json!({"type": "AUTH", "token": "no.good.token"}),
        json!({"type": "AUTH", "token": 7}),
        json!({"type": "AUTH", "token": token("ada", json!({})), "more": 1}),
        json!({"type": "NONSENSE"}),
        json!([]),
    ];
    for first in firsts {
        let mut ws = with_nothing(&server, "").await;
        ws.send(&first).await;
        let came = ws.next().await;
        assert!(matches!(came, Came::Close(Some(UNAUTHENTICATED), _)), "{first}: {came:?}");
    }
    let mut ws = with_nothing(&server, "").await;
    ws.write(&frame(FIN | TEXT, b"{")).await;
    ws.expect_close(UNAUTHENTICATED).await;
}

#[tokio::test]
async fn o1_who_sends_no_token_in_time_is_let_go() {
    let server = guarded().await;
    let began = Instant::now();
    let query = format!("?graphId=g&token={0}&access_token={0}", token("ada", json!({"*": "admin"})));
    let mut ws = with_nothing(&server, &query).await;
    let came = ws.next().await;
    assert!(matches!(came, Came::Close(Some(UNAUTHENTICATED), _)), "a token in the URL is none: {came:?}");
    assert!(began.elapsed() >= Duration::from_millis(4_900), "it had five seconds");
}

#[tokio::test]
async fn o1_who_has_proved_nothing_can_not_make_the_server_hold_much() {
    let server = guarded().await;
    let mut ws = with_nothing(&server, "").await;
    ws.send(&json!({"type": "AUTH", "token": "x".repeat(40_000)})).await;
    ws.expect_close(UNAUTHENTICATED).await;
    let mut ws = with_nothing(&server, "").await;
    authenticate(&mut ws, &token("ada", json!({"g": "write"}))).await;
    let payload = json!({"id": "big", "data": {"text": "x".repeat(100_000)}});
    ws.command("g", "CREATE_NODE", payload).await;
    ws.expect("ACK").await;
}

#[tokio::test]
async fn o1_a_socket_does_not_outlive_its_token() {
    let server = guarded().await;
    let end = now_s() + 4;
    let mut ws = with_token(&server, "?graphId=g", &token_for("ada", json!({"g": "read"}), 4)).await;
    ws.expect("SYNC").await;
    let came = ws.next().await;
    assert!(matches!(came, Came::Close(Some(UNAUTHENTICATED), _)), "{came:?}");
    assert!(now_s() + 1 >= end, "not before the token ends");
}

#[tokio::test]
async fn o1_a_new_token_renews_a_socket() {
    let server = guarded().await;
    let first = token_for("ada", json!({"g": "read"}), 5);
    let mut ws = with_token(&server, "?graphId=g", &first).await;
    ws.expect("SYNC").await;
    let end = now_s() + 8;
    let said = authenticate(&mut ws, &token_for("ada", json!({"g": "read"}), 8)).await;
    assert!(said["expiresAt"].as_u64().unwrap() <= (end - LEEWAY_S + 1) * 1_000, "{said}");
    let came = ws.next().await;
    assert!(matches!(came, Came::Close(Some(UNAUTHENTICATED), _)), "{came:?}");
    assert!(now_s() + 1 >= end, "the first token's end passed it by");
}

#[tokio::test]
async fn o1_a_new_token_that_is_bad_or_of_another_ends_the_connection() {
    let server = guarded().await;
    for bad in [
        "no.good.token".to_owned(),
        token_for("ada", json!({"g": "read"}), 0),
        token("eve", json!({"g": "read"})),
    ] {
        let mut ws = with_token(&server, "", &token("ada", json!({"g": "read"}))).await;
        ws.send(&json!({"type": "AUTH", "token": bad})).await;
        ws.expect_close(UNAUTHENTICATED).await;
    }
}

#[tokio::test]
async fn o1_frames_for_a_graph_not_granted_are_refused_and_the_connection_lives() {
    let server = guarded().await;
    let token = token("ada", json!({"mine": "write", "seen": "read"}));
    let mut ws = with_token(&server, "?graphId=secret", &token).await;
    let error = ws.expect("ERROR").await;
    assert_eq!((&error["code"], &error["graphId"]), (&json!("FORBIDDEN"), &json!("secret")));
    for frame in [
        json!({"type": "SUBSCRIBE", "graphId": "secret"}),
        json!({"type": "PRESENCE", "graphId": "secret", "state": {"x": 1}}),
    ] {
        ws.send(&frame).await;
        let error = ws.expect("ERROR").await;
        assert_eq!((&error["code"], &error["graphId"]), (&json!("FORBIDDEN"), &json!("secret")), "{frame}");
    }
    let operations = json!([{"type": "CREATE_NODE", "payload": {"id": "x"}}]);
    for graph in ["secret", "seen"] {
        let batch = json!({"type": "BATCH", "graphId": graph, "batchId": new_id(), "operations": operations});
        for frame in [command(graph), batch] {
            ws.send(&frame).await;
            let revert = ws.expect("REVERT").await;
            assert_eq!(
                (&revert["code"], &revert["temporary"]),
                (&json!("FORBIDDEN"), &json!(false)),
                "{revert}"
            );
            let id = frame.get("batchId").unwrap_or(&frame["operationId"]);
            assert_eq!((&revert["operationId"], &revert["graphId"]), (id, &json!(graph)));
            assert!(revert["message"].as_str().unwrap().contains("write on"), "{revert}");
        }
    }
    ws.subscribe("seen", json!({})).await;
    ws.subscribe("mine", json!({})).await;
    ws.send(&command("mine")).await;
    ws.expect("STATE_UPDATE").await;
    ws.expect("ACK").await;
    let reader = crate::token("root", json!({"*": "read"}));
    for graph in ["secret", "seen"] {
        let state = server.ask(crate::get(&format!("/graphs/{graph}/state"), &reader)).await.json();
        assert_eq!(state["version"], 0, "nothing was written to {graph}");
    }
}

#[tokio::test]
async fn o1_a_narrower_token_ends_what_it_does_not_cover() {
    let server = guarded().await;
    let mut ws = with_token(&server, "", &token("ada", json!({"a": "read", "b": "write"}))).await;
    ws.subscribe("a", json!({})).await;
    ws.subscribe("b", json!({})).await;
    authenticate(&mut ws, &token("ada", json!({"b": "read"}))).await;
    let error = ws.expect("ERROR").await;
    assert_eq!((&error["code"], &error["graphId"]), (&json!("FORBIDDEN"), &json!("a")));
    let other = token("bob", json!({"*": "write"}));
    for graph in ["a", "b"] {
        assert_eq!(server.ask(bearing(create_node(graph, "n"), &other)).await.status, 200);
    }
    let access = ws.expect("ACCESS").await;
    assert_eq!((&access["graphId"], &access["access"]), (&json!("b"), &json!("read")));
    let update = ws.expect("STATE_UPDATE").await;
    assert_eq!(update["graphId"], "b", "the commit on a, which was before, does not come");
    ws.send(&command("b")).await;
    assert_eq!(ws.expect("REVERT").await["code"], "FORBIDDEN");
    ws.send(&json!({"type": "PING"})).await;
    assert_eq!(ws.expect("PONG").await["versions"], json!({"b": 1}));
}

#[tokio::test]
async fn w2_sync_says_what_is_granted_and_a_new_token_what_has_changed() {
    let server = guarded().await;
    let mut ws = with_token(&server, "", &token("ada", json!({"a": "read", "b": "write"}))).await;
    assert_eq!(ws.subscribe("a", json!({})).await["access"], "read");
    assert_eq!(ws.subscribe("b", json!({"version": 0})).await["access"], "write");
    authenticate(&mut ws, &token("ada", json!({"a": "admin", "b": "write"}))).await;
    assert_eq!(ws.recv().await, json!({"type": "ACCESS", "graphId": "a", "access": "admin"}));
    assert_eq!(ws.so_far().await, [] as [Value; 0], "nothing of what is as it was");
}

#[tokio::test]
async fn w2_the_last_word_on_access_is_that_of_the_last_token() {
    let server = guarded().await;
    for _ in 0..20 {
        let mut ws = with_token(&server, "", &token("ada", json!({"*": "read"}))).await;
        let renewed = json!({"type": "AUTH", "token": token("ada", json!({"*": "write"}))});
        let frames = [json!({"type": "SUBSCRIBE", "graphId": "a"}), renewed, json!({"type": "PING"})];
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| ws.encode(frame)).collect();
        ws.write(&bytes).await;
        let (mut access, mut has_sync) = (Value::Null, false);
        while !has_sync || access != "write" {
            let frame = ws.recv().await;
            match frame["type"].as_str() {
                Some("SYNC") => (has_sync, access) = (true, frame["access"].clone()),
                Some("ACCESS") => access = frame["access"].clone(),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn o2_without_keys_a_token_is_taken_and_changes_nothing() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "?userId=ada").await;
    let said = authenticate(&mut ws, "anything").await;
    assert_eq!(said, json!({"type": "AUTHENTICATED", "userId": "ada"}));
    ws.send(&command("g")).await;
    ws.expect("ACK").await;
}

#[tokio::test]
async fn o1_a_long_message_that_waits_while_the_token_expires_is_not_executed() {
    // So long that only two are acted on at once.
    let operations: Vec<Value> = (0..10)
        .map(|n| json!({"type": "CREATE_NODE", "payload": {"id": n.to_string(), "data": {"d": "x".repeat(150_000)}}}))
        .collect();
    let body = json!({"operations": operations, "atomic": true, "batchId": new_id()});
    let dir = tempfile::tempdir().unwrap();
    let gated = GatedStore::to(embedded_store(dir.path()));
    let server = Server::guarded_over(gated.clone(), Auth::Keys(keys(with_secret()))).await;
    gated.hold(Call::Append);
    let admin = token("bob", json!({"*": "admin"}));
    let both = ["one", "two"].map(|graph| {
        let request = bearing(Request::post(&format!("/graphs/{graph}/batch"), body.to_string()), &admin);
        let client = server.as_user("bob");
        tokio::spawn(async move { client.ask(request).await.status })
    });
    gated.has_arrived(Call::Append, 2).await;
    let mut ws = with_token(&server, "", &token_for("ada", json!({"mine": "write"}), 2)).await;
    let mut long = body.clone();
    long["type"] = json!("BATCH");
    long["graphId"] = json!("mine");
    ws.send(&long).await;
    ws.expect_close(UNAUTHENTICATED).await;
    gated.open();
    for request in both {
        assert_eq!(request.await.unwrap(), 200);
    }
    // Turns are given in the order in which they are asked for, so the message has had its own by then.
    let again = bearing(Request::post("/graphs/three/batch", body.to_string()), &admin);
    assert_eq!(server.ask(again).await.status, 200);
    let _stopped = server.stop().await;
    drop(ws);
    let mine = dao_projections::GraphId::parse("mine").unwrap();
    assert_eq!(embedded_store(dir.path()).head(&mine).await.unwrap().version.get(), 0);
}
