//! Who is connected (rule N5), and who is there in a graph (rule L14).

use serde_json::{Value, json};

use crate::support::{
    gate::{Call, GatedStore},
    http::{Client, Request},
    redis::RedisServer,
    server::{Server, embedded_store},
    stream::Stream,
    ws::Ws,
};

fn client_in<'a>(presence: &'a Value, client: &str) -> Option<&'a Value> {
    presence["clients"].as_array().unwrap().iter().find(|found| found["clientId"] == client)
}

/// Asks until the answer is as it should be: what is told of a connection is told by its own task.
async fn until(client: &Client, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let wait = async {
        loop {
            last = client.read(path).await;
            if is_so(&last) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.is_ok();
    assert!(in_time, "{path}: {last}");
    last
}

async fn who_is_there_is_listed(here: &Server, there: &Server) {
    here.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    assert_eq!(here.read("/graphs/g/presence").await, json!({"clients": []}));
    let mut ada = Ws::connect(here.address(), "?graphId=g&clientId=ada-1&userId=ada").await;
    let mut bob = Ws::connect(there.address(), "?graphId=g&clientId=bob-1&userId=bob").await;
    ada.expect("SYNC").await;
    bob.expect("SYNC").await;
    bob.send(&json!({"type": "PRESENCE", "graphId": "g", "state": {"x": 1}})).await;
    bob.send(&json!({"type": "PRESENCE", "graphId": "g", "slot": "drag", "state": [2]})).await;
    let is_shown =
        |presence: &Value| client_in(presence, "bob-1").is_some_and(|bob| bob["slots"]["drag"] == json!([2]));
    for server in [there, here] {
        let presence = until(server, "/graphs/g/presence", |presence| {
            is_shown(presence) && client_in(presence, "ada-1").is_some()
        })
        .await;
        let bob = client_in(&presence, "bob-1").unwrap();
        assert_eq!(
            (&bob["userId"], &bob["follows"], &bob["state"]),
            (&json!("bob"), &json!(true), &json!({"x": 1}))
        );
        assert!(bob["since"].as_u64().unwrap() > 1_700_000_000_000, "{bob}");
        let packed = Request::get("/graphs/g/presence").header("accept", "application/msgpack");
        let packed = server.ask(packed).await.message_pack();
        assert_eq!(client_in(&packed, "bob-1"), Some(bob), "in either format");
        let ada = client_in(&presence, "ada-1").unwrap();
        assert_eq!((&ada["userId"], &ada["follows"], ada.get("state")), (&json!("ada"), &json!(true), None));
    }
    drop(bob);
    until(here, "/graphs/g/presence", |presence| {
        client_in(presence, "bob-1").is_none_or(|bob| bob["state"].is_null())
    })
    .await;
    until(there, "/graphs/g/presence", |presence| client_in(presence, "bob-1").is_none()).await;
    assert_eq!(here.read("/graphs/other/presence").await, json!({"clients": []}));
}

#[tokio::test]
async fn l14_who_is_there_is_listed() {
    let server = Server::start().await;
    who_is_there_is_listed(&server, &server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l14_who_is_there_is_listed_over_all_instances() {
    let redis = RedisServer::start();
    let (here, there) = (Server::on_redis(&redis).await, Server::on_redis(&redis).await);
    who_is_there_is_listed(&here, &there).await;
    // One that nobody follows through it asks the others.
    let third = Server::on_redis(&redis).await;
    let mut ada = Ws::connect(here.address(), "?graphId=h&clientId=ada-2&userId=ada").await;
    ada.expect("SYNC").await;
    let presence = third.read("/graphs/h/presence").await;
    assert_eq!(client_in(&presence, "ada-2").unwrap()["userId"], "ada", "{presence}");
    for server in [here, there, third] {
        server.stop().await;
    }
}

#[tokio::test]
async fn n5_connections_say_who_follows_what_and_how_far_they_are() {
    let server = Server::start().await;
    assert_eq!(server.read("/connections").await["connections"], json!([]));
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("h", "CREATE_NODE", json!({"id": "a"})).await;
    let mut socket = Ws::connect(server.address(), "?graphId=g&clientId=tab&userId=ada").await;
    socket.expect("SYNC").await;
    socket.send(&json!({"type": "SUBSCRIBE", "graphId": "h"})).await;
    socket.expect("SYNC").await;
    let _one = Stream::open(&server, "/graphs/g/events?userId=bob", &[("accept", "text/event-stream")]).await;
    let _all = Stream::open(&server, "/events", &[("accept", "application/x-ndjson")]).await;
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    socket.expect("STATE_UPDATE").await;
    let is_level = |answer: &Value| {
        let all = answer["connections"].as_array().unwrap();
        let of_g =
            all.iter().flat_map(|one| one["graphs"].as_array().unwrap()).filter(|of| of["graphId"] == "g");
        of_g.filter(|of| of["version"] == 2 && of["lag"] == 0).count() == 2
    };
    let answer = until(&server, "/connections", is_level).await;
    let all = answer["connections"].as_array().unwrap();
    let of = |transport: &str| all.iter().find(|one| one["transport"] == transport).unwrap();
    let socket_out = of("websocket");
    assert_eq!((&socket_out["userId"], &socket_out["clientId"]), (&json!("ada"), &json!("tab")));
    assert_eq!(socket_out["graphs"][1], json!({"graphId": "h", "version": 1, "lag": 0}));
    assert_eq!((&of("sse")["userId"], &of("sse")["instance"]), (&json!("bob"), &answer["instance"]));
    let first = server.read("/connections?limit=1").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = server.read(&format!("/connections?limit=1&cursor={cursor}")).await;
    assert_ne!(first["connections"][0]["connectionId"], second["connections"][0]["connectionId"]);
    server.get("/connections?cursor=x").await.problem(400, "BAD_REQUEST");

    socket.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await;
    let has_one = |answer: &Value| {
        let all = answer["connections"].as_array().unwrap();
        all.iter()
            .find(|one| one["transport"] == "websocket")
            .is_some_and(|one| one["graphs"].as_array().unwrap().len() == 1)
    };
    until(&server, "/connections", has_one).await;
    drop(socket);
    until(&server, "/connections", |answer| {
        answer["connections"].as_array().unwrap().iter().all(|one| one["transport"] != "websocket")
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn n5_how_far_a_socket_is_that_still_joins_is_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let store = GatedStore::shared(embedded_store(dir.path()));
    let server = Server::over(store.clone()).await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let mut socket = Ws::connect(server.address(), "?clientId=tab&userId=ada").await;
    store.hold(Call::Head);
    socket.send(&json!({"type": "SUBSCRIBE", "graphId": "g"})).await;
    store.has_arrived(Call::Head, 1).await;
    let follows = |answer: &Value| !answer["connections"][0]["graphs"][0].is_null();
    let joining = until(&server, "/connections", follows).await;
    let expected = json!({"graphId": "g", "version": null, "lag": null});
    assert_eq!(joining["connections"][0]["graphs"][0], expected);
    store.open();
    socket.expect("SYNC").await;
    let level = json!({"graphId": "g", "version": 1, "lag": 0});
    until(&server, "/connections", |answer| answer["connections"][0]["graphs"][0] == level).await;
    server.stop().await;
}
