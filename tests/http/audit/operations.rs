//! Rules A1, H3 and V7: the list of operations.

use std::time::Duration;

use serde_json::{Value, json};

use super::{a_long_story, a_morning, field, pages};
use crate::support::{http::Request, made_up::Story, redis::RedisServer, server::Server};

async fn operations(server: &Server, query: &str) -> Vec<Value> {
    pages(server, &format!("/graphs/g/operations?{query}"), "operations", 1_000).await
}

/// The morning as it is listed, oldest first: status and version.
const MORNING: [(&str, u64); 12] = [
    ("failed", 0),
    ("completed", 1),
    ("completed", 2),
    ("conflict", 2),
    ("failed", 2),
    ("completed", 3),
    ("completed", 4),
    ("conflict", 4),
    ("completed", 5),
    ("completed", 6),
    ("completed", 7),
    ("completed", 8),
];

async fn lists_all_operations(server: &Server) {
    a_morning(server).await;
    let all = operations(server, "order=asc").await;
    let told: Vec<_> =
        all.iter().map(|o| (o["status"].as_str().unwrap(), o["version"].as_u64().unwrap())).collect();
    assert_eq!(told, MORNING, "commits by version, after each what was refused on it");

    let commits = server.changes("g", 0).await;
    for commit in &commits {
        let listed = all.iter().find(|o| o["operationId"] == commit["operationId"]).unwrap();
        for name in ["version", "userId", "clientId", "timestamp", "commandType", "events", "hash", "outcome"]
        {
            assert_eq!(listed[name], commit[name], "{name}");
        }
        assert!(listed.get("error").is_none());
    }
    for refused in all.iter().filter(|o| o["status"] != "completed") {
        let version = refused["version"].as_u64().unwrap() as usize;
        let head = version.checked_sub(1).map_or(json!("0".repeat(64)), |i| commits[i]["hash"].clone());
        assert_eq!((&refused["events"], &refused["hash"]), (&json!([]), &head));
        assert_eq!(refused.get("outcome"), Some(&Value::Null));
        let id = refused["operationId"].as_str().unwrap();
        let known = server.read(&format!("/operations/{id}")).await;
        assert_eq!(known["error"], refused["error"], "as GET /operations/{{id}} says");
        assert_eq!((&known["status"], &known["type"]), (&refused["status"], &refused["commandType"]));
        assert_eq!(known["completedAt"], refused["timestamp"]);
    }
    let codes: Vec<_> = all.iter().filter_map(|o| o["error"]["code"].as_str()).collect();
    assert_eq!(codes, ["NODE_NOT_FOUND", "ID_TAKEN", "EDGE_NOT_FOUND", "CONFLICT"]);

    let mut newest = operations(server, "").await;
    assert_eq!(newest, operations(server, "order=desc").await);
    newest.reverse();
    assert_eq!(newest, all, "newest first is the default");
    for order in ["asc", "desc"] {
        let whole = operations(server, &format!("order={order}")).await;
        for limit in 1..=13 {
            let path = format!("/graphs/g/operations?order={order}");
            assert_eq!(pages(server, &path, "operations", limit).await, whole, "{order}, {limit} at a time");
        }
    }
    let request = Request::get("/graphs/g/operations?order=asc").header("accept", "application/msgpack");
    assert_eq!(server.ask(request).await.message_pack()["operations"], json!(all));
}

#[tokio::test]
async fn a1_all_operations_are_listed_on_the_embedded_store() {
    let mut server = Server::start().await;
    lists_all_operations(&server).await;
    let before = operations(&server, "").await;
    server = server.restart().await;
    assert_eq!(operations(&server, "").await, before, "and after a restart");
}

#[tokio::test]
async fn a1_all_operations_are_listed_on_redis() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    lists_all_operations(&server).await;
    let other = Server::on_redis(&redis).await;
    assert_eq!(operations(&other, "").await, operations(&server, "").await, "by any instance");
}

#[tokio::test]
async fn a1_filters_select_operations() {
    let server = Server::start().await;
    a_morning(&server).await;
    let all = operations(&server, "order=asc").await;
    let expect = async |query: &str, wanted: &dyn Fn(&Value) -> bool| {
        let expected: Vec<_> = all.iter().filter(|o| wanted(o)).cloned().collect();
        let path = format!("/graphs/g/operations?order=asc&{query}");
        for limit in [1, 2, 100] {
            assert_eq!(pages(&server, &path, "operations", limit).await, expected, "{query}, {limit}");
        }
        expected.len()
    };
    assert_eq!(expect("user=ada", &|o| o["userId"] == "ada").await, 7);
    assert_eq!(expect("user=nobody", &|_| false).await, 0);
    assert_eq!(expect("type=CREATE_NODE", &|o| o["commandType"] == "CREATE_NODE").await, 4);
    assert_eq!(expect("type=BATCH", &|_| false).await, 0);
    for (status, count) in [("completed", 8), ("conflict", 2), ("failed", 2)] {
        assert_eq!(expect(&format!("status={status}"), &|o| o["status"] == status).await, count);
    }
    let names = |o: &Value, id: &str| {
        o["events"].as_array().unwrap().iter().any(|e| {
            let named = [&e["nodeId"], &e["edgeId"], &e["node"]["id"], &e["edge"]["id"]];
            named.iter().any(|named| **named == *id)
        })
    };
    assert_eq!(expect("entity=a", &|o| names(o, "a")).await, 5);
    assert_eq!(expect("entity=e", &|o| names(o, "e")).await, 2, "deleted along with its node");
    assert_eq!(expect("entity=viewport", &|o| o["version"] == 6).await, 1);
    assert_eq!(expect("entity=a&status=failed", &|_| false).await, 0, "what is refused has no events");
    let both = |o: &Value| o["userId"] == "bob" && o["status"] == "completed" && names(o, "a");
    assert_eq!(expect("user=bob&status=completed&entity=a", &both).await, 2);
    for at in all.iter().map(|o| o["timestamp"].as_u64().unwrap()) {
        for (from, to) in [(at, at), (at, u64::MAX >> 1), (0, at), (at + 1, at), (at - 1, at + 1)] {
            let within = |o: &Value| (from..=to).contains(&o["timestamp"].as_u64().unwrap());
            expect(&format!("from={from}&to={to}"), &within).await;
        }
    }
}

#[tokio::test]
async fn a1_a_cursor_stays_valid_while_operations_arrive() {
    let server = Server::start().await;
    a_morning(&server).await;
    let before = operations(&server, "order=asc").await;
    for order in ["asc", "desc"] {
        let whole = operations(&server, &format!("order={order}")).await;
        let first = server.read(&format!("/graphs/g/operations?order={order}&limit=5")).await;
        let cursor = first["nextCursor"].as_str().unwrap().to_owned();
        server.apply("g", "CREATE_NODE", json!({})).await;
        server.command("g", &json!({"type": "DELETE_NODE", "payload": {"nodeId": "gone"}})).await;
        let path = format!("/graphs/g/operations?order={order}&limit=1000&cursor={cursor}");
        let rest = server.read(&path).await["operations"].as_array().unwrap().clone();
        match order {
            "asc" => assert_eq!(rest[..rest.len() - 2], whole[5..], "and then what is new"),
            _ => assert_eq!(rest, whole[5..], "what is new is before it"),
        }
    }
    assert_eq!(operations(&server, "order=asc").await.len(), before.len() + 4);
}

#[tokio::test]
async fn a1_a_malformed_parameter_is_named() {
    let server = Server::start().await;
    a_morning(&server).await;
    let cursor = |page: &Value| page["nextCursor"].as_str().unwrap().to_owned();
    let ascending = cursor(&server.read("/graphs/g/operations?order=asc&limit=1").await);
    let of_a = cursor(&server.read("/graphs/g/nodes/a/history?limit=1").await);
    let long = "x".repeat(2_000);
    for (path, place) in [
        ("operations?user=".to_owned(), "user"),
        (format!("operations?user={long}"), "user"),
        ("operations?type=create_node".to_owned(), "type"),
        ("operations?type=".to_owned(), "type"),
        ("operations?entity=".to_owned(), "entity"),
        ("operations?entity=a%00b".to_owned(), "entity"),
        (format!("operations?entity={long}"), "entity"),
        ("operations?from=yesterday".to_owned(), "from"),
        ("operations?from=-1".to_owned(), "from"),
        ("operations?from=1.5".to_owned(), "from"),
        ("operations?to=".to_owned(), "to"),
        ("operations?to=9223372036854775808".to_owned(), "to"),
        ("operations?status=unchanged".to_owned(), "status"),
        ("operations?order=up".to_owned(), "order"),
        ("operations?limit=0".to_owned(), "limit"),
        ("operations?limit=1001".to_owned(), "limit"),
        ("operations?limit=ten".to_owned(), "limit"),
        ("operations?cursor=".to_owned(), "cursor"),
        ("operations?cursor=AAAA".to_owned(), "cursor"),
        (format!("operations?cursor={ascending}"), "cursor"), // of the other order
        (format!("operations?order=asc&cursor={ascending}A"), "cursor"),
        (format!("operations?cursor={of_a}"), "cursor"), // of another route
        ("operations?minVersion=x".to_owned(), "minVersion"),
        ("diff".to_owned(), "from"),
        ("diff?from=".to_owned(), "from"),
        ("diff?from=1&to=-1".to_owned(), "to"),
        ("diff?from=1&minVersion=-2".to_owned(), "minVersion"),
        ("nodes/a/history?limit=1001".to_owned(), "limit"),
        ("nodes/a/history?cursor=xyz".to_owned(), "cursor"),
        (format!("nodes/b/history?cursor={of_a}"), "cursor"), // of another node
        (format!("edges/a/history?cursor={of_a}"), "cursor"), // of an edge of that name
        ("nodes/a%0Ab/history".to_owned(), "nodeId"),
        ("edges/e/history?minVersion=".to_owned(), "minVersion"),
        ("verify?minVersion=1e3".to_owned(), "minVersion"),
    ] {
        server.get(&format!("/graphs/g/{path}")).await.bad(&path, place);
    }
    server
        .get(&format!("/graphs/h/operations?order=asc&cursor={ascending}"))
        .await
        .bad("another graph", "cursor");
    for route in ["operations", "diff?from=0", "nodes/a/history", "edges/e/history", "verify"] {
        server.get(&format!("/graphs/-bad/{route}")).await.bad(route, "graphId");
        server
            .ask(Request::post(&format!("/graphs/g/{route}"), "{}"))
            .await
            .problem(405, "METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn h3_audit_reads_wait_for_a_version() {
    let server = Server::start().await;
    a_morning(&server).await;
    let routes = ["operations?", "diff?from=0&", "nodes/a/history?", "edges/e/history?", "verify?"];
    for route in routes {
        assert_eq!(server.get(&format!("/graphs/g/{route}minVersion=8")).await.status, 200, "{route}");
    }
    let late = routes.map(|route| {
        let server = &server;
        async move { server.get(&format!("/graphs/g/{route}minVersion=9")).await }
    });
    for reply in futures::future::join_all(late).await {
        reply.problem(503, "VERSION_NOT_REACHED");
    }
}

#[tokio::test]
async fn h3_reads_that_wait_for_a_version_keep_nobody_waiting() {
    /// More than have a turn at once.
    const WAITING: usize = 40;
    let server = Server::start().await;
    a_morning(&server).await;
    let routes = ["diff?from=0&", "nodes/a/history?", "authors?", "activity?bucket=auto&"];
    for route in routes {
        let waiting = || async {
            let reply = server.get(&format!("/graphs/g/{route}minVersion=9")).await;
            reply.problem(503, "VERSION_NOT_REACHED");
        };
        let all = futures::future::join_all((0..WAITING).map(|_| waiting()));
        let read = async {
            // The others have come to where they wait.
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.get("/graphs/g/authors").await
        };
        tokio::pin!(all, read);
        tokio::select! {
            biased;
            reply = &mut read => assert_eq!(reply.status, 200, "{route}"),
            _ = &mut all => panic!("{route}: they had their turns before it"),
        }
        all.await;
    }
}

#[tokio::test]
async fn v7_the_empty_graph_has_no_author() {
    let server = Server::start().await;
    let empty = json!({"operations": [], "nextCursor": null});
    assert_eq!(server.read("/graphs/nobody/operations").await, empty);
    assert_eq!(server.read("/graphs/nobody/operations?from=1&to=2&order=asc").await, empty);
    let tables = json!({"added": [], "removed": [], "changed": []});
    let same =
        json!({"graphId": "nobody", "from": 0, "to": 0, "nodes": tables, "edges": tables, "viewport": null});
    assert_eq!(server.read("/graphs/nobody/diff?from=0").await, same);
    let nothing = json!({"history": [], "nextCursor": null});
    assert_eq!(server.read("/graphs/nobody/nodes/a/history").await, nothing);
    let ok = json!({"graphId": "nobody", "version": 0, "hash": "0".repeat(64), "commits": 0, "ok": true});
    assert_eq!(server.read("/graphs/nobody/verify").await, ok);
}

#[tokio::test]
async fn a1_a_request_reads_a_bounded_range_and_returns_a_cursor() {
    let server = Server::start().await;
    let last = a_long_story(&server).await;
    for order in ["asc", "desc"] {
        let nothing = format!("/graphs/g/operations?order={order}&user=nobody");
        let page = server.read(&nothing).await;
        assert_eq!(page["operations"], json!([]));
        assert!(page["nextCursor"].is_string(), "it did not look at everything");
        assert_eq!(pages(&server, &nothing, "operations", 10).await, [] as [Value; 0]);
        let rare = format!("/graphs/g/operations?order={order}&entity=rare");
        let found = pages(&server, &rare, "operations", 10).await;
        let mut versions = vec![1, 3, last];
        if order == "desc" {
            versions.reverse();
        }
        assert_eq!(field(&found, "version"), versions);
    }
    // Times are found by halving: however far from either end, the first page is full.
    let middle = last / 2;
    let at = Story::time_of(middle);
    let from = server.read(&format!("/graphs/g/operations?order=asc&limit=3&from={at}&user=ada")).await;
    assert_eq!(field(from["operations"].as_array().unwrap(), "version"), [middle, middle + 1, middle + 2]);
    let to = server.read(&format!("/graphs/g/operations?limit=3&to={at}&user=ada")).await;
    assert_eq!(field(to["operations"].as_array().unwrap(), "version"), [middle, middle - 1, middle - 2]);
    let late = Story::time_of(last - 2);
    let found = server.read(&format!("/graphs/g/operations?order=asc&from={late}&entity=rare")).await;
    assert_eq!(field(found["operations"].as_array().unwrap(), "version"), [last]);
    assert!(found["nextCursor"].is_null());
}
