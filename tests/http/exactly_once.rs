//! Rule C3 over HTTP: an operation takes effect once, however often and by whatever way it is sent.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    graph::{command, new_id, with},
    http::Request,
    redis::RedisServer,
    server::Server,
};

/// A graph with node `a`, and three operations on it: accepted, unchanged, refused.
async fn three_endings(server: &Server) -> [Value; 3] {
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let id = || json!({"operationId": new_id()});
    [
        with(&command("UPDATE_NODE", json!({"nodeId": "a", "updates": {"k": 1}})), id()),
        with(&command("UPDATE_NODE", json!({"nodeId": "a", "updates": {}})), id()),
        with(&command("DELETE_NODE", json!({"nodeId": "nobody"})), id()),
    ]
}

/// `again` is the first outcome, marked as a duplicate.
fn assert_duplicate(first: &Value, again: &Value) {
    assert_eq!(again["duplicate"], true, "{again}");
    for field in ["operationId", "status", "outcome", "version", "hash", "code", "detail", "resolution"] {
        assert_eq!(first.get(field), again.get(field), "{field} of {again}");
    }
}

#[tokio::test]
async fn c3_accepted_unchanged_and_refused_are_all_final() {
    let server = Server::start().await;
    let sent = three_endings(&server).await;
    let mut first = Vec::new();
    for envelope in &sent {
        first.push(server.command("g", envelope).await);
    }
    assert_eq!(first.iter().map(|r| r.status).collect::<Vec<_>>(), [200, 200, 404]);
    // What was refused could be done now; what was accepted is changed again by others.
    server.apply("g", "CREATE_NODE", json!({"id": "nobody"})).await;
    server.apply("g", "UPDATE_NODE", json!({"nodeId": "a", "updates": {"k": 2}})).await;
    let before = server.state("g").await;
    for (envelope, first) in sent.iter().zip(&first) {
        let again = server.command("g", envelope).await;
        assert_eq!(again.status, first.status);
        assert_duplicate(&first.json(), &again.json());
    }
    assert_eq!(server.state("g").await, before);
    let shown = server.command("g", &sent[0]).await.json();
    assert!(shown.get("result").is_none_or(|r| r["k"] == 2), "as it stands, or left out: {shown}");
}

#[tokio::test]
async fn c3_conflicts_are_final_too() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let update = |k: u8| command("UPDATE_NODE", json!({"nodeId": "a", "updates": {"k": k}}));
    server.as_user("bob").accept("g", &update(1)).await;
    let stale = with(&update(2), json!({"clientVersion": 1, "operationId": new_id()}));
    let first = server.command("g", &stale).await.problem(409, "CONFLICT");
    let again = server.command("g", &stale).await.problem(409, "CONFLICT");
    assert_duplicate(&first, &again);
    // With the version that the answer named, under the same id: still the first outcome.
    let retried = with(&stale, json!({"clientVersion": 2}));
    server.command("g", &retried).await.problem(409, "CONFLICT");
    server.accept("g", &with(&retried, json!({"operationId": new_id()}))).await;
}

#[tokio::test]
async fn c3_an_id_is_refused_for_another_command_or_user() {
    let server = Server::start().await;
    for envelope in three_endings(&server).await {
        server.command("g", &envelope).await;
        let id = json!({"operationId": envelope["operationId"]});
        let others = [
            command("DELETE_NODE", json!({"nodeId": "a"})),
            command("UPDATE_NODE", json!({"nodeId": "a", "updates": {"k": 3}})),
            command("UPDATE_EDGE", json!({"edgeId": "a", "updates": {}})),
        ];
        for other in others {
            server.command("g", &with(&other, id.clone())).await.problem(422, "OPERATION_ID_REUSED");
        }
        server.as_user("eve").command("g", &envelope).await.problem(422, "OPERATION_ID_REUSED");
        let batch = json!({"operations": [envelope.as_object().map(|e| command(
            e["type"].as_str().unwrap(), e["payload"].clone())).unwrap()],
            "atomic": true, "batchId": envelope["operationId"]});
        server.post("/graphs/g/batch", &batch).await.problem(422, "OPERATION_ID_REUSED");
        assert_eq!(server.command("g", &envelope).await.json()["duplicate"], true, "it is still known");
        let elsewhere = server.command("other", &envelope).await.json();
        assert!(elsewhere.get("duplicate").is_none(), "within its graph: {elsewhere}");
    }
    assert_eq!(server.state("g").await["version"], 2);
}

#[tokio::test]
async fn c3_key_order_and_encoding_do_not_matter() {
    let server = Server::start().await;
    let id = new_id();
    let payload = json!({"data": {"b": [1, {"y": 2, "x": 1.0}], "a": "ä"}, "position": {"y": 2, "x": 1}});
    let first =
        server.accept("g", &json!({"type": "CREATE_NODE", "payload": payload, "operationId": id})).await;
    let turned = format!(
        r#"{{"operationId":"{id}", "payload":{{"position":{{"x":1,"y":2}},"data":{{"a":"\u00e4","b":[1,{{"x":1.0,"y":2}}]}}}},"type":"CREATE_NODE"}}"#
    );
    let again = server.ask(Request::post("/graphs/g/command", turned)).await.json();
    assert_duplicate(&first, &again);
    let packed = rmp_serde::to_vec(
        &json!({"type": "CREATE_NODE", "operationId": id.to_uppercase(), "payload": payload}),
    );
    let request =
        Request::post("/graphs/g/command", packed.unwrap()).header("content-type", "application/msgpack");
    assert_duplicate(&first, &server.ask(request).await.json());
    // Neither does what is not the command: the policy, the client, its version.
    let other = json!({"type": "CREATE_NODE", "payload": payload, "operationId": id,
        "clientVersion": 1, "clientId": "tab", "onConflict": "reject"});
    assert_duplicate(&first, &server.command("g", &other).await.json());
    // As sent, before defaults: a node with its position spelled out is another command.
    let bare = json!({"type": "CREATE_NODE", "payload": {}, "operationId": new_id()});
    server.accept("g", &bare).await;
    let spelled = with(&bare, json!({"payload": {"position": {"x": 0, "y": 0}}}));
    server.command("g", &spelled).await.problem(422, "OPERATION_ID_REUSED");
}

#[tokio::test]
async fn c3_ids_of_batch_members_follow_from_the_batch_id() {
    let server = Server::start().await;
    let (batch_id, own) = (new_id(), new_id());
    let operations = json!([
        command("CREATE_NODE", json!({"id": "a"})),
        with(&command("CREATE_NODE", json!({"id": "b"})), json!({"operationId": own})),
        command("DELETE_NODE", json!({"nodeId": "nobody"})),
    ]);
    let batch = json!({"operations": operations, "batchId": batch_id});
    let first = server.post("/graphs/g/batch", &batch).await.json();
    let member = |i: usize| Uuid::new_v5(&Uuid::parse_str(&batch_id).unwrap(), i.to_string().as_bytes());
    let ids: Vec<&str> =
        first["results"].as_array().unwrap().iter().map(|r| r["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids, [&member(0).to_string(), &own, &member(2).to_string()]);

    let again = server.post("/graphs/g/batch", &batch).await.json();
    assert!(again["results"].as_array().unwrap().iter().all(|r| r["duplicate"] == true), "{again}");
    assert_eq!(again["results"][2]["error"]["code"], "NODE_NOT_FOUND");
    // By another route.
    let alone = with(&operations[0], json!({"operationId": member(0)}));
    assert_eq!(server.command("g", &alone).await.json()["duplicate"], true);
    assert_eq!(server.state("g").await["version"], 2);

    // One id twice within a batch is one operation.
    let twice = with(&command("CREATE_NODE", json!({"id": "c"})), json!({"operationId": new_id()}));
    let answer = server.post("/graphs/g/batch", &json!({"operations": [twice, twice]})).await.json();
    let duplicates: Vec<bool> =
        answer["results"].as_array().unwrap().iter().map(|r| r["duplicate"] == true).collect();
    assert_eq!(duplicates, [false, true], "{answer}");
    assert_eq!(server.state("g").await["version"], 3);
}

#[tokio::test]
async fn c3_an_atomic_batch_is_one_operation() {
    let server = Server::start().await;
    let operations = json!([command("CREATE_NODE", json!({"id": "a"})), command("CREATE_NODE", json!({}))]);
    let batch = json!({"operations": operations, "atomic": true, "batchId": new_id()});
    let first = server.post("/graphs/g/batch", &batch).await.json();
    assert_duplicate(&first, &server.post("/graphs/g/batch", &batch).await.json());
    let fewer = with(&batch, json!({"operations": [operations[0]]}));
    server.post("/graphs/g/batch", &fewer).await.problem(422, "OPERATION_ID_REUSED");

    let refused = json!({"operations": [command("CREATE_NODE", json!({})), command("CREATE_NODE", json!({"id": "a", "k": 1}))],
        "atomic": true, "batchId": new_id()});
    let first = server.post("/graphs/g/batch", &refused).await.problem(409, "ID_TAKEN");
    assert_eq!(first["index"], 1);
    server.apply("g", "DELETE_NODE", json!({"nodeId": "a"})).await;
    let again = server.post("/graphs/g/batch", &refused).await.problem(409, "ID_TAKEN");
    assert_duplicate(&first, &again);
    assert_eq!(again["index"], 1);
}

#[tokio::test]
async fn c3_a_restart_forgets_nothing() {
    let mut server = Server::start().await;
    let sent = three_endings(&server).await;
    let mut first = Vec::new();
    for envelope in &sent {
        first.push(server.command("g", envelope).await.json());
    }
    let before = server.state("g").await;
    server = server.restart().await;
    for (envelope, first) in sent.iter().zip(&first) {
        assert_duplicate(first, &server.command("g", envelope).await.json());
    }
    assert_eq!(server.state("g").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_another_instance_over_one_redis_answers_the_first_outcome() {
    let redis = RedisServer::start();
    let servers = [Server::on_redis(&redis).await, Server::on_redis(&redis).await];
    let sent = three_endings(&servers[0]).await;
    for envelope in &sent {
        let first = servers[0].command("g", envelope).await.json();
        assert_duplicate(&first, &servers[1].command("g", envelope).await.json());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_c4_two_instances_over_one_redis_act_as_one() {
    let redis = RedisServer::start();
    let servers = [Server::on_redis(&redis).await, Server::on_redis(&redis).await];
    // The same new operation, sent to both 25 times at once.
    let envelope = with(&command("CREATE_NODE", json!({})), json!({"operationId": new_id()}));
    let all = (0..50).map(|n| {
        let (client, envelope) = (servers[n % 2].as_user("ada"), envelope.clone());
        tokio::spawn(async move { client.accept("g", &envelope).await })
    });
    assert_one_of(all.collect()).await;
    // Different ones, to both at once: none is lost.
    let all: Vec<_> = (0..40)
        .map(|n| {
            let client = servers[n % 2].as_user("ada");
            tokio::spawn(async move { client.apply("g", "CREATE_NODE", json!({"id": n.to_string()})).await })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    let states = [servers[0].state("g").await, servers[1].state("g").await];
    assert_eq!(states[0], states[1]);
    assert_eq!(states[0]["version"], 41);
    assert_eq!(states[0]["nodes"].as_array().unwrap().len(), 41);
}

/// Of all these answers to one operation, one is the first and the others are duplicates of it.
async fn assert_one_of(all: Vec<tokio::task::JoinHandle<Value>>) {
    let mut answers = Vec::new();
    for one in all {
        answers.push(one.await.unwrap());
    }
    let first: Vec<&Value> = answers.iter().filter(|a| a.get("duplicate").is_none()).collect();
    assert_eq!(first.len(), 1, "{answers:?}");
    answers.iter().filter(|a| *a != first[0]).for_each(|again| assert_duplicate(first[0], again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_fifty_concurrent_repeats_are_one_commit() {
    let server = Server::start().await;
    let envelope = with(&command("CREATE_NODE", json!({})), json!({"operationId": new_id()}));
    let all = (0..50).map(|_| {
        let (client, envelope) = (server.clone(), envelope.clone());
        tokio::spawn(async move { client.accept("g", &envelope).await })
    });
    assert_one_of(all.collect()).await;
    assert_eq!(server.state("g").await["version"], 1);
    assert_eq!(server.state("g").await["nodes"].as_array().unwrap().len(), 1);
}
