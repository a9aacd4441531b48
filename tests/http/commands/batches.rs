//! Rules C, G5, H11 and O3: batches, and updates of many.

use serde_json::{Value, json};

use super::{a_to_b, last_events};
use crate::support::{
    graph::{command, ids, new_id, with},
    http::Request,
    server::Server,
};

#[tokio::test]
async fn c_batch_update_is_one_event_for_each_entity_that_changes() {
    let server = Server::start().await;
    a_to_b(&server).await;
    server.apply("g", "CREATE_NODE", json!({"id": "c", "data": {"k": 1}})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "d", "data": {"k": {"n": 1}}})).await;
    server.apply("g", "CREATE_EDGE", json!({"id": "ba", "source": "b", "target": "a"})).await;
    let payload = json!({
        "nodes": {
            "a": {},
            "b": {"position": {"x": 5, "y": 5}},
            "c": {"data": {"k": 2}},
            "d": {"data": {"k": {"n": null}}},
            "e": {"parentId": "c"},
        },
        "edges": [{"id": "ba", "source": "b", "target": "c"}, {"id": "ee", "source": "e", "target": "e"}],
        "viewport": {"x": 1, "y": 1, "zoom": 2},
    });
    let answer = server.apply("g", "BATCH_UPDATE", payload.clone()).await;
    assert_eq!(answer["version"], 7, "one commit");
    let result = &answer["result"];
    assert_eq!(ids(&result["nodes"]), ["b", "c", "d", "e"], "what it changed");
    assert_eq!(ids(&result["edges"]), ["ba", "ee"]);
    assert_eq!(result["viewport"], payload["viewport"]);
    let events = last_events(&server, "g").await;
    let kinds: Vec<&str> = events.as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "NodeMoved",
            "NodeUpdated",
            "NodeReplaced", // a null inside can't be said by a merge patch
            "NodeCreated",
            "EdgeDeleted",
            "EdgeUpdated",
            "EdgeCreated",
            "ViewportSet"
        ]
    );
    let state = server.state("g").await;
    assert_eq!(ids(&state["edges"]), ["ba", "ee"], "edges replaces the whole set");
    assert_eq!(state["nodes"][3]["data"], json!({"k": {"n": null}}));

    let again = server.apply("g", "BATCH_UPDATE", payload).await;
    assert_eq!((&again["outcome"], &again["version"]), (&json!("unchanged"), &json!(7)));
    let turned = json!({"edges": [state["edges"][1], state["edges"][0]]});
    let answer = server.apply("g", "BATCH_UPDATE", turned).await;
    assert_eq!(answer["outcome"], "unchanged", "order alone is no change");
    let answer = server.apply("g", "BATCH_UPDATE", json!({"edges": [{"source": "a", "target": "b"}]})).await;
    assert_eq!(answer["result"]["edges"].as_array().unwrap().len(), 1, "one without id is new");
}

#[tokio::test]
async fn g5_batch_update_creates_in_the_order_received() {
    let server = Server::start().await;
    let text = r#"{"type":"BATCH_UPDATE","payload":{"nodes":{"10":{},"2":{},"b":{},"a":{},"1":{}}}}"#;
    assert_eq!(server.ask(Request::post("/graphs/g/command", text)).await.status, 200);
    assert_eq!(ids(&server.state("g").await["nodes"]), ["10", "2", "b", "a", "1"]);
    server.apply("l", "BATCH_UPDATE", json!({"nodes": [{"id": "10"}, {"id": "9"}, {"id": "z"}]})).await;
    server.apply("l", "UPDATE_NODE", json!({"nodeId": "10", "updates": {"k": 1}})).await;
    server.apply("l", "CREATE_NODE", json!({"id": "a"})).await;
    assert_eq!(ids(&server.state("l").await["nodes"]), ["10", "9", "z", "a"], "an update moves nothing");
}

#[tokio::test]
async fn c_an_atomic_batch_is_one_commit_or_none() {
    let server = Server::start().await;
    let batch_id = new_id();
    let operations = [
        command("CREATE_NODE", json!({"id": "a"})),
        command("CREATE_NODE", json!({"id": "b", "parentId": "a"})),
        command("CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})),
        command("UPDATE_NODE", json!({"nodeId": "a", "updates": {}})),
    ];
    let batch = json!({"operations": operations, "atomic": true, "batchId": batch_id});
    let reply = server.post("/graphs/g/batch", &batch).await;
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!((&answer["operationId"], &answer["version"]), (&json!(batch_id), &json!(1)));
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.iter().map(|r| r["id"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b", "ab", "a"]);
    let commit = &server.changes("g", 0).await[0];
    assert_eq!((&commit["commandType"], &commit["operationId"]), (&json!("BATCH"), &json!(batch_id)));
    assert_eq!(commit["events"].as_array().unwrap().len(), 3);

    let operations = [
        command("DELETE_NODE", json!({"nodeId": "a"})),
        command("CREATE_EDGE", json!({"source": "a", "target": "a"})),
    ];
    let batch = json!({"operations": operations, "atomic": true, "batchId": new_id()});
    let problem = server.post("/graphs/g/batch", &batch).await.problem(422, "DANGLING_EDGE");
    assert_eq!((&problem["index"], &problem["operationId"]), (&json!(1), &batch["batchId"]));
    let state = server.state("g").await;
    assert_eq!((&state["version"], state["nodes"].as_array().unwrap().len()), (&json!(1), 2));
}

#[tokio::test]
async fn h11_an_atomic_batch_can_leave_out_what_is_gone() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let moved =
        |id: &str| command("UPDATE_NODE_POSITION", json!({"nodeId": id, "position": {"x": 1, "y": 2}}));
    let drag = json!({"operations": [moved("gone"), moved("a")], "atomic": true, "batchId": new_id()});
    let skipping = with(&drag, json!({"ifMissing": "skip"}));
    let answer = server.post("/graphs/g/batch", &skipping).await.json();
    assert_eq!((&answer["outcome"], &answer["version"]), (&json!("applied"), &json!(2)));
    assert_eq!(answer["skipped"], json!([{"index": 0, "code": "NODE_NOT_FOUND"}]));
    assert_eq!((&answer["results"][0], &answer["results"][1]["id"]), (&Value::Null, &json!("a")));
    let again = server.post("/graphs/g/batch", &skipping).await.json();
    assert_eq!((&again["duplicate"], &again["version"]), (&json!(true), &json!(2)));
    assert!(again.get("skipped").is_none() && again.get("results").is_none(), "{again}");
    // The policy is a part of what was asked for (C3).
    server.post("/graphs/g/batch", &drag).await.problem(422, "OPERATION_ID_REUSED");
    let refuse = with(&drag, json!({"ifMissing": "refuse", "batchId": new_id()}));
    let refused = server.post("/graphs/g/batch", &refuse).await.problem(404, "NODE_NOT_FOUND");
    assert_eq!(refused["index"], 0);
    let default = with(&refuse, json!({"ifMissing": null}));
    assert_eq!(server.post("/graphs/g/batch", &default).await.json()["duplicate"], true);
    let none = json!({"operations": [moved("gone")], "atomic": true, "ifMissing": "skip"});
    let unchanged = server.post("/graphs/g/batch", &none).await.json();
    assert_eq!((&unchanged["outcome"], &unchanged["version"]), (&json!("unchanged"), &json!(2)));
    assert_eq!(unchanged["skipped"].as_array().unwrap().len(), 1);
    for (atomic, policy) in [(true, json!("ignore")), (true, json!(1)), (false, json!("skip"))] {
        let bad = json!({"operations": [moved("a")], "atomic": atomic, "ifMissing": policy});
        let problem = server.post("/graphs/g/batch", &bad).await.problem(400, "BAD_REQUEST");
        assert!(problem["detail"].as_str().unwrap().starts_with("ifMissing: "), "{problem}");
    }
}

#[tokio::test]
async fn c_a_batch_applies_each_command_by_itself_in_order() {
    let server = Server::start().await;
    let operations = [
        command("CREATE_NODE", json!({"id": "a"})),
        command("DELETE_NODE", json!({"nodeId": "nobody"})),
        command("CREATE_NODE", json!({"id": "a", "type": "other"})),
        command("UPDATE_NODE", json!({"nodeId": "a", "updates": {}})),
        command("CREATE_EDGE", json!({"id": "e", "source": "a", "target": "a"})),
    ];
    let reply = server.post("/graphs/g/batch", &json!({"operations": operations})).await;
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<&str> = results.iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["completed", "failed", "conflict", "completed", "completed"]);
    assert_eq!(results[1]["error"]["code"], "NODE_NOT_FOUND");
    assert_eq!(results[1]["error"]["status"], 404);
    assert_eq!(results[2]["error"]["code"], "ID_TAKEN");
    assert!(results[2]["error"]["resolution"]["currentVersion"].is_u64(), "D7");
    assert_eq!(results[3]["outcome"], "unchanged");
    assert_eq!((&results[4]["version"], &results[4]["result"]["id"]), (&json!(2), &json!("e")));
    let commits = server.changes("g", 0).await;
    assert_eq!(commits.len(), 2, "V2: one accepted operation is one commit");
    assert_eq!(commits[1]["operationId"], results[4]["operationId"]);
}

/// Rule O3: what an answer shows is bounded, in batches of both kinds; what was not applied for that may
/// be sent again.
#[tokio::test]
async fn o3_a_small_batch_does_not_make_a_huge_answer() {
    const ANSWER_MAX: usize = 36 << 20; // the bound, and what is around the entities
    let server = Server::start().await;
    let data = json!({"text": "x".repeat(200_000)});
    server.apply("g", "CREATE_NODE", json!({"id": "a", "data": data})).await;
    let moves: Vec<Value> = (1..=200)
        .map(|x| command("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": x, "y": 0}})))
        .collect();
    let batch = "/graphs/g/batch";

    let reply = server.post(batch, &json!({"operations": moves, "atomic": true})).await;
    reply.problem(413, "TOO_LARGE");
    assert_eq!(server.state("g").await["version"], 1, "nothing of it was applied");

    let each = json!({"operations": moves, "batchId": new_id()});
    let reply = server.post(batch, &each).await;
    assert!(reply.status == 200 && reply.body.len() < ANSWER_MAX, "{} bytes", reply.body.len());
    let results = reply.json()["results"].as_array().unwrap().clone();
    let done = results.iter().take_while(|result| result["accepted"] == true).count();
    assert!((100..200).contains(&done), "{done} fit");
    for refused in &results[done..] {
        assert_eq!(
            (&refused["error"]["code"], &refused["error"]["status"]),
            (&json!("TOO_LARGE"), &json!(413))
        );
    }
    let results = server.post(batch, &each).await.json()["results"].as_array().unwrap().clone();
    assert!(results.iter().all(|result| result["accepted"] == true), "the rest fits now");
    assert_eq!(results.iter().filter(|result| result["duplicate"] == true).count(), done);
    assert_eq!(server.state("g").await["version"], 201);

    // What changes nothing, and what is refused, shows entities too.
    let same = vec![command("UPDATE_NODE", json!({"nodeId": "a", "updates": {}})); 200];
    let reply = server.post(batch, &json!({"operations": same})).await;
    assert!(reply.status == 200 && reply.body.len() < ANSWER_MAX, "{} bytes", reply.body.len());
    let late = command("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"text": 1}}}));
    let late = json!({"operations": vec![late; 200], "clientVersion": 0, "clientId": "late"});
    let reply = server.post(batch, &late).await;
    assert!(reply.status == 200 && reply.body.len() < ANSWER_MAX, "{} bytes", reply.body.len());
    let results = reply.json()["results"].as_array().unwrap().clone();
    assert!(results.iter().all(|result| result["error"]["code"] == "CONFLICT"));
    let shown =
        |index: usize| results[index]["error"]["resolution"]["conflicts"][0]["current"].as_str().unwrap();
    assert!(shown(0).len() == 200_000 && shown(199).len() < 100, "at the end it is only said");
}
