//! Who did what in all graphs (rule A1), who wrote what last (N3), activity over time (N4), verifying as lines (N7), and what
//! was undone (U12).

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use crate::support::{
    gate::{Call, GatedStore},
    graph::{command, new_id, with},
    http::Client,
    redis::RedisServer,
    server::{Process, Server, embedded_store},
    stream::Stream,
};

/// A command under an id of its own.
fn under_id(name: &str, payload: Value) -> Value {
    with(&command(name, payload), json!({"operationId": new_id()}))
}

/// Accepted and refused operations in several graphs, the first first, as graph and operation id.
async fn work(client: &Client) -> Vec<(String, String)> {
    let mut done = vec![];
    for round in 0..6 {
        for graph in ["team-a.x", "team-a.y", "team-b.z"] {
            let user = client.as_user(if round % 2 == 0 { "ada" } else { "bob" });
            let create = under_id("CREATE_NODE", json!({"id": format!("n{round}")}));
            user.accept(graph, &create).await;
            done.push((graph.to_owned(), create["operationId"].as_str().unwrap().to_owned()));
            if round % 3 == 1 {
                let refused = under_id("DELETE_NODE", json!({"nodeId": "nobody"}));
                user.command(graph, &refused).await.problem(404, "NODE_NOT_FOUND");
                done.push((graph.to_owned(), refused["operationId"].as_str().unwrap().to_owned()));
                let taken = under_id("CREATE_NODE", json!({"id": "n0", "type": "other"}));
                user.command(graph, &taken).await.problem(409, "ID_TAKEN");
                done.push((graph.to_owned(), taken["operationId"].as_str().unwrap().to_owned()));
            }
        }
    }
    // A request of several commits is for the most part one append.
    let members: Vec<Value> =
        (0..20).map(|n| under_id("CREATE_NODE", json!({"id": format!("m{n}")}))).collect();
    client.post("/graphs/team-b.z/batch", &json!({"operations": members})).await;
    let ids = members.iter().map(|member| member["operationId"].as_str().unwrap().to_owned());
    done.extend(ids.map(|id| ("team-b.z".to_owned(), id)));
    done
}

fn named(operation: &Value) -> (String, String) {
    let text = |field: &str| operation[field].as_str().unwrap().to_owned();
    (text("graphId"), text("operationId"))
}

/// All pages of a question.
async fn pages(client: &Client, query: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (vec![], String::new());
    loop {
        let page = client.read(&format!("/operations?limit={limit}&{query}{cursor}")).await;
        let operations = page["operations"].as_array().unwrap();
        assert!(operations.len() <= limit, "{page}");
        all.extend(operations.iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Whether the order of operations of different graphs in the same millisecond is known too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ties {
    InOrder,
    Any,
}

async fn all_operations_are_listed(client: &Client, ties: Ties) {
    let done = work(client).await;
    let all = pages(client, "", 100).await;
    let listed: Vec<_> = all.iter().map(named).collect();
    if ties == Ties::InOrder {
        assert_eq!(listed, done.iter().rev().cloned().collect::<Vec<_>>());
    }
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), done.iter().collect::<BTreeSet<_>>());
    assert_eq!(listed.len(), done.len(), "none is there twice");
    for limit in [1, 2, 7, 1_000] {
        let paged: Vec<_> = pages(client, "", limit).await.iter().map(named).collect();
        assert_eq!(paged, listed, "in pages of {limit}");
    }
    let times: Vec<u64> = all.iter().map(|operation| operation["timestamp"].as_u64().unwrap()).collect();
    let slack_ms = if ties == Ties::InOrder { 0 } else { 5 };
    assert!(times.windows(2).all(|pair| pair[0] + slack_ms >= pair[1]), "the latest first: {times:?}");

    // Each is what the audit of its graph says.
    let mut of_graphs = vec![];
    for graph in ["team-a.x", "team-a.y", "team-b.z"] {
        let audit = client.read(&format!("/graphs/{graph}/operations?limit=1000")).await;
        let with_graph = |operation: &Value| with(operation, json!({"graphId": graph}));
        of_graphs.extend(audit["operations"].as_array().unwrap().iter().map(with_graph));
    }
    assert_eq!(of_graphs.len(), all.len());
    assert!(all.iter().all(|operation| of_graphs.contains(operation)));

    let time = all[10]["timestamp"].as_u64().unwrap();
    type Wanted<'a> = &'a dyn Fn(&Value) -> bool;
    let filters: [(&str, Wanted<'_>); 9] = [
        ("graphs=team-a.*", &|of| of["graphId"].as_str().unwrap().starts_with("team-a.")),
        ("graphs=team-a.x,team-b.z", &|of| of["graphId"] != "team-a.y"),
        ("user=bob", &|of| of["userId"] == "bob"),
        ("status=conflict", &|of| of["status"] == "conflict"),
        ("status=failed&user=bob", &|of| of["status"] == "failed" && of["userId"] == "bob"),
        ("status=completed", &|of| of["status"] == "completed"),
        ("code=ID_TAKEN", &|of| of["error"]["code"] == "ID_TAKEN"),
        ("type=DELETE_NODE", &|of| of["commandType"] == "DELETE_NODE"),
        ("entity=n1", &|of| of["events"][0]["node"]["id"] == "n1"),
    ];
    for (query, wanted) in filters {
        let expected: Vec<_> = all.iter().filter(|operation| wanted(operation)).collect();
        assert!(!expected.is_empty(), "{query}");
        for limit in [3, 100] {
            let found = pages(client, query, limit).await;
            assert_eq!(found.len(), expected.len(), "{query} in pages of {limit}");
            assert!(expected.iter().all(|of| found.contains(of)), "{query} in pages of {limit}");
        }
    }
    for (query, keeps) in [("from", true), ("to", false)] {
        let found = pages(client, &format!("{query}={time}"), 100).await;
        let is_wanted = |of: &&Value| {
            let at = of["timestamp"].as_u64().unwrap();
            if keeps { at >= time } else { at <= time }
        };
        let expected: Vec<_> = all.iter().filter(is_wanted).collect();
        assert!(found.len() == expected.len() && expected.iter().all(|of| found.contains(of)), "{query}");
    }
    for bad in ["code=nope", "graphs=", "cursor=AAAA", "order=asc", "limit=0", "status=done"] {
        client.get(&format!("/operations?{bad}")).await.problem(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn a1_operations_of_all_graphs_are_listed_the_latest_first() {
    let server = Server::start().await;
    all_operations_are_listed(&server, Ties::InOrder).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_operations_of_all_graphs_are_listed_the_latest_first_on_redis() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    all_operations_are_listed(&server, Ties::Any).await;
    server.stop().await;
}

/// What happens while somebody pages comes before the first page, and never twice.
#[tokio::test]
async fn a1_what_happens_meanwhile_is_not_listed_twice() {
    let server = Server::start().await;
    let done = work(&server).await;
    let first = server.read("/operations?limit=10").await;
    server.apply("team-a.x", "CREATE_NODE", json!({"id": "late"})).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest = server.read(&format!("/operations?limit=1000&cursor={cursor}")).await;
    let both = first["operations"].as_array().unwrap().iter().chain(rest["operations"].as_array().unwrap());
    let listed: Vec<_> = both.map(named).collect();
    assert_eq!(listed, done.iter().rev().cloned().collect::<Vec<_>>());
    server.stop().await;
}

/// Changes the commit of this version of a graph underneath.
fn damage(server: &Server, graph: &str, version: u64, set: &str) {
    let connection = rusqlite::Connection::open(server.data_dir().join("dao.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    let key = format!("(SELECT id FROM graph WHERE name = '{graph}') << 34 | {version}");
    // It gets there a moment after it was acknowledged.
    while connection.execute(&format!("UPDATE event SET {set} WHERE key = {key}"), []).unwrap() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Says that it was the commit before.
const FORGED: &str = "body = (SELECT body FROM event AS other WHERE other.key = event.key - 1)";

#[tokio::test]
async fn a1_a_damaged_history_shows_nothing_untrue_and_hides_no_other() {
    let server = Server::start().await;
    for n in 0..4 {
        for graph in ["forged", "headless", "whole"] {
            server.apply(graph, "CREATE_NODE", json!({"id": format!("n{n}")})).await;
        }
    }
    damage(&server, "forged", 3, FORGED);
    damage(&server, "headless", 4, "hash = x'00'");
    for limit in [1, 5, 100] {
        let all = pages(&server, "", limit).await;
        let versions = |graph: &str| {
            let of = all.iter().filter(|operation| operation["graphId"] == graph);
            of.map(|operation| operation["version"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(versions("whole"), [4, 3, 2, 1]);
        assert_eq!(versions("forged"), [4, 2, 1], "in pages of {limit}");
        assert_eq!(versions("headless"), [3, 2, 1]);
    }
    server.get("/graphs/forged/operations").await.problem(500, "HISTORY_DAMAGED");
}

#[tokio::test]
async fn n3_a_commit_that_does_not_follow_has_no_author() {
    let server = Server::start().await;
    for (graph, user) in [("g", "ada"), ("g", "bob"), ("whole", "ada")] {
        server.as_user(user).apply(graph, "CREATE_NODE", json!({"id": user})).await;
    }
    assert_eq!(server.read("/graphs/g/authors").await["bob"]["userId"], "bob");
    damage(&server, "g", 2, FORGED);
    server.get("/graphs/g/authors").await.problem(500, "HISTORY_DAMAGED");
    assert_eq!(server.read("/graphs/whole/authors").await["ada"]["version"], 1);
}

/// Where no projections have seen anything, the latest commits are looked through.
#[tokio::test]
async fn u12_the_latest_undos_of_a_long_history_are_told() {
    let server = Server::start().await;
    for batch in 0..3 {
        let name = |n: u32| json!({"type": "CREATE_NODE", "payload": {"id": format!("n{batch}-{n}")}});
        let members: Vec<Value> = (0..1_000).map(name).collect();
        server.post("/graphs/g/batch", &json!({"operations": members})).await;
    }
    let (create, undo) = (under_id("CREATE_NODE", json!({"id": "a"})), new_id());
    let version = server.accept("g", &create).await["version"].clone();
    let of = json!({"operations": [{"operationId": create["operationId"], "version": version}]});
    server.accept("g", &json!({"type": "UNDO", "operationId": undo, "payload": of})).await;
    for path in ["/graphs/g/operations?limit=2", "/operations?limit=2"] {
        assert_eq!(server.read(path).await["operations"][1]["undoneBy"], json!([undo]), "{path}");
    }
}

/// A repeat of each on the real program, where projector tasks keep what was undone.
async fn what_was_undone_says_so(client: &Client) {
    let create = under_id("CREATE_NODE", json!({"id": "a"}));
    let version = client.accept("g", &create).await["version"].clone();
    let (created, undo, redo) = (create["operationId"].clone(), new_id(), new_id());
    let undoing = |id: &str, of: &Value, version: &Value| json!({"type": "UNDO", "operationId": id, "payload": {"operations": [{"operationId": of, "version": version}]}});
    let undone_by = async |id: &Value| {
        let listed = client.read("/graphs/g/operations").await;
        let all = listed["operations"].as_array().unwrap();
        all.iter().find(|of| of["operationId"] == *id).unwrap().get("undoneBy").cloned()
    };
    assert_eq!(undone_by(&created).await, None);
    let undone = client.accept("g", &undoing(&undo, &created, &version)).await["version"].clone();
    assert_eq!(undone_by(&created).await, Some(json!([undo])));
    assert_eq!(undone_by(&json!(undo)).await, None);
    client.accept("g", &undoing(&redo, &json!(undo), &undone)).await;
    assert_eq!(undone_by(&json!(undo)).await, Some(json!([redo])));
    client.read("/graphs/g/activity?minVersion=3").await;
    assert_eq!(undone_by(&created).await, Some(json!([undo])), "also when projections have seen it");
    let all = client.read("/operations?graphs=g").await;
    assert_eq!(all["operations"][2]["undoneBy"], json!([undo]), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u12_operations_say_what_undid_them() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    what_was_undone_says_so(&server.client()).await;
}

#[tokio::test]
async fn n3_authors_are_those_of_the_latest_writes() {
    let server = Server::start().await;
    let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
    for id in ["a", "b", "c"] {
        ada.apply("g", "CREATE_NODE", json!({"id": id})).await;
    }
    ada.apply("g", "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
    bob.apply("g", "UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"x": 1}}})).await;
    bob.apply("g", "DELETE_NODE", json!({"nodeId": "c"})).await;
    let times: Vec<Value> =
        server.changes("g", 0).await.iter().map(|commit| commit["timestamp"].clone()).collect();
    let author = |version: usize, user: &str| json!({"version": version, "userId": user, "timestamp": times[version - 1]});
    let now = json!({"a": author(5, "bob"), "ab": author(4, "ada"), "b": author(2, "ada")});
    assert_eq!(server.read("/graphs/g/authors").await, now);
    let then = json!({"a": author(1, "ada"), "b": author(2, "ada"), "c": author(3, "ada")});
    assert_eq!(server.read("/graphs/g/authors?at=3").await, then);
    assert_eq!(server.read("/graphs/new/authors").await, json!({}));
    server.get("/graphs/g/authors?at=7").await.problem(404, "VERSION_NOT_FOUND");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n4_activity_comes_in_buckets() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let client = server.client();
    for n in 0..5 {
        client.apply("g", "CREATE_NODE", json!({"id": format!("n{n}")})).await;
    }
    let buckets = client.read("/graphs/g/activity?bucket=auto&minVersion=5").await;
    assert_eq!((&buckets["version"], &buckets["bucketMs"]), (&json!(5), &json!(3_600_000)));
    let sum = |answer: &Value| {
        let buckets = answer["buckets"].as_array().unwrap();
        buckets.iter().map(|bucket| bucket["events"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(sum(&buckets), 5, "{buckets}");
    let days = client.read("/graphs/g/activity?bucket=day").await;
    assert_eq!((sum(&days), &days["bucketMs"]), (5, &json!(86_400_000)));
    assert_eq!(days["buckets"][0]["at"].as_u64().unwrap() % 86_400_000, 0);
    assert_eq!(sum(&client.read("/graphs/g/activity?bucket=7200001&user=nobody").await), 0);
    for bad in ["bucket=", "bucket=x", "bucket=-1", "bucket=day&limit=5"] {
        client.get(&format!("/graphs/g/activity?{bad}")).await.problem(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn n7_verifying_tells_how_far_it_is_in_lines() {
    let server = Server::start().await;
    let members: Vec<Value> =
        (0..700).map(|n| json!({"type": "CREATE_NODE", "payload": {"id": format!("n{n}")}})).collect();
    server.post("/graphs/g/batch", &json!({"operations": members})).await;
    let plain = server.read("/graphs/g/verify").await;
    let lines = Stream::open(&server, "/graphs/g/verify", &[("accept", "application/x-ndjson")]).await;
    assert_eq!((lines.status, lines.header("content-type")), (200, Some("application/x-ndjson")));
    let mut lines = lines.lines().await;
    assert_eq!(lines.first(), Some(&json!({"commits": 0, "of": 700})));
    assert_eq!(lines.pop().as_ref(), Some(&plain), "the last line is the answer");
    let fields: BTreeSet<&str> =
        lines.iter().flat_map(|line| line.as_object().unwrap().keys()).map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(["commits", "of"]), "{lines:?}");
    let unknown = Stream::open(&server, "/graphs/none/verify", &[("accept", "application/x-ndjson")]).await;
    assert_eq!(unknown.lines().await.last().unwrap()["version"], 0);
    server.stop().await;
}

#[tokio::test]
async fn n7_whoever_waits_for_its_turn_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = GatedStore::to(embedded_store(dir.path()));
    let server = Server::over(store.clone() as Arc<_>).await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    store.hold(Call::Read);
    let lines: &[(&str, &str)] = &[("accept", "application/x-ndjson")];
    let open = async || Stream::open(&server, "/graphs/g/verify", lines).await;
    let mut under_way = [open().await, open().await];
    for stream in &mut under_way {
        assert_eq!(stream.line().await, Some(json!({"commits": 0, "of": 1})));
    }
    let mut waiting = open().await;
    assert_eq!(waiting.line().await, Some(Value::Null), "a blank line");
    store.open();
    assert_eq!(waiting.line().await, Some(json!({"commits": 0, "of": 1})));
    let last = waiting.lines().await.pop().unwrap();
    assert_eq!((&last["ok"], &last["commits"]), (&json!(true), &json!(1)));
    drop(under_way);
    server.stop().await;
}
