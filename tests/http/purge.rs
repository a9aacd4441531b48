//! Purging a graph that is in the trash (rule L10): who may, what is left, who is told, and the name is free.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    graph::new_id,
    http::{Client, Reply, Request},
    redis::RedisServer,
    server::{Process, Server},
    stream::Stream,
    ws::Ws,
};

async fn purge(client: &Client, graph: &str, operation: &str) -> Reply {
    client.post(&format!("/graphs/{graph}/purge"), &json!({"operationId": operation})).await
}

/// A graph with some commits, in the trash.
async fn trashed(client: &Client, graph: &str) -> Value {
    let secret = format!("secret of {graph}");
    client.apply(graph, "CREATE_GRAPH", json!({"attributes": {"title": secret}})).await;
    client.apply(graph, "CREATE_NODE", json!({"id": "a", "data": {"label": secret}})).await;
    client.apply(graph, "DELETE_GRAPH", json!({})).await
}

async fn a_purged_graph_is_gone(server: &Server) {
    purge(server, "g", &new_id()).await.problem(404, "GRAPH_NOT_FOUND");
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let operation = new_id();
    let refused = purge(server, "g", &operation).await.problem(409, "NOT_TRASHED");
    assert_eq!(refused["operationId"], operation, "{refused}");
    let last = server.apply("g", "DELETE_GRAPH", json!({})).await;

    // The id was not used up.
    let reply = purge(server, "g", &operation).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let purged = reply.json();
    assert_eq!((&purged["accepted"], &purged["status"]), (&json!(true), &json!("completed")));
    assert_eq!((&purged["version"], &purged["hash"]), (&last["version"], &last["hash"]));
    assert_eq!(purged.get("duplicate"), None);

    server.get("/graphs/g").await.problem(404, "GRAPH_NOT_FOUND");
    assert_eq!(server.state("g").await["version"], 0);
    for path in ["/graphs/g/operations", "/graphs/g/changes"] {
        let answer = server.read(path).await;
        let list = answer.get("operations").or(answer.get("changes")).unwrap();
        assert_eq!(*list, json!([]), "{path}");
    }
    server
        .get(&format!("/operations/{}", last["operationId"].as_str().unwrap()))
        .await
        .problem(404, "NOT_FOUND");

    // Exactly once: the same operation again, also when the name is used again; another one finds nothing.
    assert_eq!(purge(server, "g", &operation).await.json()["duplicate"], true);
    purge(server, "g", &new_id()).await.problem(404, "GRAPH_NOT_FOUND");
    server
        .as_user("eve")
        .post("/graphs/g/purge", &json!({"operationId": operation}))
        .await
        .problem(422, "OPERATION_ID_REUSED");
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    let again = purge(server, "g", &operation).await.json();
    assert_eq!((&again["duplicate"], &again["version"]), (&json!(true), &last["version"]));
    let state = server.state("g").await;
    assert_eq!((&state["version"], &state["nodes"][0]["id"]), (&json!(1), &json!("b")), "another history");
    assert_eq!(server.read("/graphs/g/verify").await["ok"], true);
}

#[tokio::test]
async fn l10_a_purged_graph_is_gone_and_its_name_is_free() {
    let server = Server::start().await;
    a_purged_graph_is_gone(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_purged_graph_is_gone_and_its_name_is_free_on_redis() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    a_purged_graph_is_gone(&server).await;
    server.stop().await;
}

/// Each operation purges once, however many graphs of that name were purged since, and though there is one in the trash.
async fn each_operation_purges_once(server: &Server) {
    let operations = [new_id(), new_id()];
    let mut last = vec![];
    for operation in &operations {
        last.push(trashed(server, "g").await);
        let reply = purge(server, "g", operation).await.json();
        assert_eq!(reply.get("duplicate"), None, "{reply}");
    }
    let third = trashed(server, "g").await;
    for (operation, last) in operations.iter().zip(&last) {
        let again = purge(server, "g", operation).await.json();
        assert_eq!((&again["duplicate"], &again["hash"]), (&json!(true), &last["hash"]), "{again}");
        let eve = server.as_user("eve");
        let body = json!({"operationId": operation});
        eve.post("/graphs/g/purge", &body).await.problem(422, "OPERATION_ID_REUSED");
    }
    let reply = purge(server, "g", &new_id()).await.json();
    assert_eq!(
        (reply.get("duplicate"), &reply["hash"]),
        (None, &third["hash"]),
        "it was still there: {reply}"
    );
}

#[tokio::test]
async fn l10_an_operation_purges_one_of_the_graphs_of_a_name() {
    let server = Server::start().await;
    each_operation_purges_once(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_an_operation_purges_one_of_the_graphs_of_a_name_on_redis() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    each_operation_purges_once(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn l10_a_request_is_read_strictly() {
    let server = Server::start().await;
    trashed(&server, "g").await;
    for body in [json!([]), json!({"operationId": "x"}), json!({"force": true})] {
        server.post("/graphs/g/purge", &body).await.problem(400, "BAD_REQUEST");
    }
    let used = server.changes("g", 0).await[0]["operationId"].as_str().unwrap().to_owned();
    purge(&server, "g", &used).await.problem(422, "OPERATION_ID_REUSED");
    assert_eq!(server.post("/graphs/g/purge", &json!({})).await.status, 200, "the server makes an id");
    server.stop().await;
}

/// Another instance, where there is one, learns of it as well.
async fn followers_are_told(here: &Server, there: &Server) {
    trashed(here, "g").await;
    let mut follower = Ws::connect(there.address(), "?graphId=g").await;
    let sync = follower.expect("SYNC").await;
    assert_eq!(sync["version"], 3, "{sync}");
    let mut stream =
        Stream::open(there, "/graphs/g/events?since=3", &[("accept", "text/event-stream")]).await;
    let mut all = Stream::open(there, "/events?graphs=g*", &[("accept", "text/event-stream")]).await;
    assert!(all.event().await.unwrap().name.is_empty(), "it begins with a position");
    assert_eq!(purge(here, "g", &new_id()).await.status, 200);

    let sync = follower.expect("SYNC").await;
    assert_eq!(
        (&sync["version"], &sync["reset"], &sync["state"]["nodes"]),
        (&json!(0), &json!(true), &json!([]))
    );
    let reset = loop {
        let event = stream.event().await.expect("an event");
        if !event.is_comment {
            break event;
        }
    };
    assert_eq!((reset.name.as_str(), &reset.data["currentVersion"]), ("reset", &json!(0)));
    let gone = loop {
        let event = all.event().await.expect("an event");
        if event.name == "dao-gone" {
            break event;
        }
        assert!(event.name.is_empty() || event.name == "commit", "{event:?}");
    };
    assert_eq!((&gone.data["graphId"], &gone.data["version"]), (&json!("g"), &json!(3)));
    // Whoever comes back with its position has had it; what follows is the new history.
    here.apply("g", "CREATE_NODE", json!({"id": "new"})).await;
    let mut later =
        Stream::open(there, &format!("/events?since={}", gone.id), &[("accept", "text/event-stream")]).await;
    let first = loop {
        let event = later.event().await.expect("an event");
        if !event.name.is_empty() {
            break event;
        }
    };
    assert_eq!((first.name.as_str(), &first.data["version"]), ("commit", &json!(1)), "{first:?}");
    let update = follower.expect("STATE_UPDATE").await;
    assert_eq!(update["version"], 1);
}

#[tokio::test]
async fn l10_followers_and_readers_of_all_graphs_are_told() {
    let server = Server::start().await;
    followers_are_told(&server, &server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_followers_and_readers_on_other_instances_are_told() {
    let redis = RedisServer::start();
    let (here, there) = (Server::on_redis(&redis).await, Server::on_redis(&redis).await);
    followers_are_told(&here, &there).await;
    here.stop().await;
    there.stop().await;
}

/// A reader that was away gets no damage, and hears of the purge; so does one that reads from the beginning.
#[tokio::test]
async fn l10_a_reader_that_was_away_passes_over_what_is_gone() {
    let server = Server::start().await;
    server.apply("before", "CREATE_NODE", json!({"id": "a"})).await;
    trashed(&server, "g").await;
    server.apply("between", "CREATE_NODE", json!({"id": "a"})).await;
    assert_eq!(purge(&server, "g", &new_id()).await.status, 200);
    server.apply("after", "CREATE_NODE", json!({"id": "a"})).await;
    let lines = [("accept", "application/x-ndjson")];
    let lines = Stream::open(&server, "/events?since=0&follow=false", &lines).await.lines().await;
    let told: Vec<String> = lines
        .iter()
        .filter(|line| line.get("graphId").is_some())
        .map(|line| {
            format!("{}{}", line["graphId"].as_str().unwrap(), line["event"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(told, ["before", "between", "gdao-gone", "after"], "{lines:?}");
    server.stop().await;
}

#[tokio::test]
async fn l10_subscriptions_keep_nothing_of_a_purged_graph() {
    let server = Server::start().await;
    let subscribe = Request::new("PUT", "/subscriptions/s");
    let subscribe = Request { body: br#"{"start":"beginning","maxAttempts":1}"#.to_vec(), ..subscribe };
    assert_eq!(server.ask(subscribe).await.status, 201);
    trashed(&server, "g").await;
    let next = server.ask(Request::post("/subscriptions/s/next", "")).await.json();
    let delivery = next["deliveries"][0]["deliveryId"].clone();
    server.post("/subscriptions/s/nack", &json!({"deliveryIds": [delivery]})).await;
    let status = server.read("/subscriptions/s").await;
    assert_eq!(status["parked"], 1, "{status}");
    assert_eq!(purge(&server, "g", &new_id()).await.status, 200);
    let status = server.read("/subscriptions/s").await;
    assert_eq!((&status["parked"], &status["inFlight"]), (&json!(0), &json!(0)), "{status}");
    server.apply("h", "CREATE_NODE", json!({"id": "a"})).await;
    let next = server.ask(Request::post("/subscriptions/s/next?wait=5000", "")).await.json();
    assert_eq!(next["deliveries"][0]["commit"]["graphId"], "h", "{next}");
    server.stop().await;
}

/// What has been in the trash for long enough goes by itself; what was recovered stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_the_trash_is_purged_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATA_DIR", dir.path().to_str().unwrap()), ("TRASH_RETENTION", "1s")];
    let server = Process::start(&settings);
    let client = server.client();
    trashed(&client, "g").await;
    trashed(&client, "kept").await;
    let row = client.read("/graphs/g").await;
    assert_eq!(
        row["trashed"]["purgeAt"].as_u64(),
        row["trashed"]["at"].as_u64().map(|at| at + 1_000),
        "{row}"
    );
    client.apply("kept", "RECOVER_GRAPH", json!({})).await;
    let gone = async {
        while client.get("/graphs/g").await.status != 404 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it is purged");
    assert_eq!(client.read("/graphs/kept").await["version"], 4);
    server.terminate();
    server.wait();
    // Nor do its words stand in the files any more, once those are made small.
    let db = rusqlite::Connection::open(dir.path().join("dao.db")).unwrap();
    db.execute_batch("VACUUM").unwrap();
    drop(db);
    let bytes = std::fs::read(dir.path().join("dao.db")).unwrap();
    let has = |words: &str| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    assert!(has("secret of kept") && !has("secret of g"));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(11).any(|window| window == b"secret of g"));
    }
}
