//! The list of graphs, as projector tasks keep it over both stores (rule L2).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    support::{http::Client, redis::RedisServer, server::Process},
    workers::projected,
};

async fn ids(client: &Client, query: &str) -> Vec<String> {
    let list = client.read(&format!("/graphs?{query}")).await;
    let graphs = list["graphs"].as_array().unwrap().iter();
    graphs.map(|row| row["graphId"].as_str().unwrap().to_owned()).collect()
}

async fn create(client: &Client, id: &str, attributes: Value) {
    let document = json!({"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]});
    client.apply(id, "CREATE_GRAPH", json!({"attributes": attributes, "document": document})).await;
}

async fn lists_graphs(server: &Process) {
    let (ada, bob) = (server.client().as_user("ada"), server.client().as_user("bob"));
    create(&ada, "team-a.one", json!({"title": "Zoo", "tags": ["x", "y"], "owner": "ada"})).await;
    create(&ada, "team-a.two", json!({"title": "apples", "description": "Of the ZOO"})).await;
    create(&bob, "team-b.one", json!({"tags": ["x"]})).await;
    bob.apply("plain", "CREATE_NODE", json!({"id": "a"})).await;
    ada.apply("team-a.two", "DELETE_NODE", json!({"nodeId": "b"})).await;
    bob.apply("team-b.one", "DELETE_GRAPH", json!({"reason": "old"})).await;
    projected(&ada).await;

    for (query, expected) in [
        ("sort=id", vec!["plain", "team-a.one", "team-a.two"]),
        ("sort=id&order=desc&trashed=any", vec!["team-b.one", "team-a.two", "team-a.one", "plain"]),
        ("", vec!["team-a.two", "plain", "team-a.one"]),
        ("sort=created&order=asc", vec!["team-a.one", "team-a.two", "plain"]),
        ("sort=title&prefix=team-", vec!["team-a.two", "team-a.one"]),
        ("trashed=only", vec!["team-b.one"]),
        ("q=zoo&sort=id", vec!["team-a.one", "team-a.two"]),
        ("q=TEAM-A&tag=y", vec!["team-a.one"]),
        ("tag=x&trashed=any&sort=id", vec!["team-a.one", "team-b.one"]),
        ("owner=ada", vec!["team-a.one"]),
        ("label=published", vec![]),
    ] {
        assert_eq!(ids(&ada, query).await, expected, "{query}");
    }
    // Every row is what the graph itself says.
    let list = ada.read("/graphs?trashed=any").await;
    for row in list["graphs"].as_array().unwrap() {
        let id = row["graphId"].as_str().unwrap();
        assert_eq!(*row, ada.read(&format!("/graphs/{id}")).await);
    }
    assert_eq!((list["graphs"].as_array().unwrap().len(), &list["nextCursor"]), (4, &Value::Null));
    assert!(list["asOf"].is_u64(), "{list}");
    pages(&ada).await;
}

/// Page by page, nothing twice and nothing left out.
async fn pages(ada: &Client) {
    for sort in ["updated", "created", "title", "id"] {
        let all = ids(ada, &format!("sort={sort}&trashed=any")).await;
        let (mut paged, mut query) = (vec![], format!("/graphs?sort={sort}&trashed=any&limit=1"));
        loop {
            let page = ada.read(&query).await;
            let graphs = page["graphs"].as_array().unwrap();
            paged.extend(graphs.iter().map(|row| row["graphId"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            query = format!("/graphs?sort={sort}&trashed=any&limit=1&cursor={cursor}");
        }
        assert_eq!(paged, all, "{sort}");
    }
    let page = ada.read("/graphs?limit=1").await;
    let other = format!("sort=id&cursor={}", page["nextCursor"].as_str().unwrap());
    for (query, place) in [(other.as_str(), "cursor"), ("cursor=x", "cursor"), ("limit=201", "limit")] {
        ada.get(&format!("/graphs?{query}")).await.bad(query, place);
    }
}

#[tokio::test]
async fn l2_graphs_are_listed_over_the_embedded_store() {
    let dir = tempfile::tempdir().unwrap();
    lists_graphs(&Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())])).await;
}

#[tokio::test]
async fn l2_graphs_are_listed_over_redis() {
    let redis = RedisServer::start();
    lists_graphs(&Process::start(&[("REDIS_URL", &redis.url())])).await;
}

/// Edits a graph for so long, as somebody who drags a node.
async fn edit_steadily(client: &Client, graph: &str, time: Duration) {
    let end = Instant::now() + time;
    let mut x = 0;
    while Instant::now() < end {
        x += 1;
        let moved = json!({"nodeId": "a", "position": {"x": x, "y": 0}});
        client.apply(graph, "UPDATE_NODE_POSITION", moved).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the list is like this: how long that took.
async fn listed_after(client: &Client, query: &str, expected: &[&str]) -> Duration {
    let start = Instant::now();
    while ids(client, query).await != expected {
        assert!(start.elapsed() < Duration::from_secs(10), "{query} is never {expected:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// Rule L2: what a list shows of a graph is written soon, however busy the graph is.
async fn lists_changes_of_a_busy_graph_soon(server: &Process) {
    const SOON: Duration = Duration::from_millis(500);
    let ada = server.client().as_user("ada");
    create(&ada, "busy", json!({"title": "Draft"})).await;
    projected(&ada).await;
    edit_steadily(&ada, "busy", Duration::from_secs(4)).await;
    ada.apply("busy", "UPDATE_GRAPH", json!({"updates": {"title": "Final"}})).await;
    let renamed = tokio::join!(
        listed_after(&ada, "q=final", &["busy"]),
        edit_steadily(&ada, "busy", Duration::from_secs(4))
    );
    ada.apply("busy", "DELETE_GRAPH", json!({})).await;
    let trashed = listed_after(&ada, "", &[]).await;
    ada.apply("busy", "RECOVER_GRAPH", json!({})).await;
    let recovered = listed_after(&ada, "", &["busy"]).await;
    let all = [renamed.0, trashed, recovered];
    assert!(all.iter().all(|time| *time < SOON), "{all:?}");
    // Nothing is lost of what projectors do.
    projected(&ada).await;
    assert_eq!(ada.read("/graphs").await["graphs"][0], ada.read("/graphs/busy").await);
}

#[tokio::test]
async fn l2_changes_of_a_busy_graph_are_listed_soon_over_the_embedded_store() {
    let dir = tempfile::tempdir().unwrap();
    lists_changes_of_a_busy_graph_soon(&Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())])).await;
}

/// Also where the projectors are in another process.
#[tokio::test]
async fn l2_changes_of_a_busy_graph_are_listed_soon_over_redis() {
    let redis = RedisServer::start();
    let url = redis.url();
    let _other = Process::start(&[("REDIS_URL", &url)]);
    let server = Process::start(&[("REDIS_URL", &url), ("PROJECTORS", "off")]);
    lists_changes_of_a_busy_graph_soon(&server).await;
}

#[tokio::test]
async fn l4_without_auto_create_only_create_graph_creates_a_graph() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        [("DATA_DIR", dir.path().to_str().unwrap()), ("AUTO_CREATE", "off"), ("TRASH_RETENTION", "off")];
    let server = Process::start(&settings);
    let ada = server.client().as_user("ada");
    let first = json!({"type": "CREATE_NODE", "payload": {"id": "n"},
        "operationId": "0192f0c1-0000-7000-8000-000000000001"});
    ada.command("g", &first).await.problem(404, "GRAPH_NOT_FOUND");
    ada.apply("g", "CREATE_GRAPH", json!({})).await;
    let accepted = ada.command("g", &first).await;
    assert_eq!((accepted.status, &accepted.json()["version"]), (200, &json!(2)), "the id was not used up");
    let trashed = ada.apply("g", "DELETE_GRAPH", json!({})).await;
    assert_eq!(trashed["result"]["trashed"]["purgeAt"], Value::Null, "{trashed}");
}
