//! The list of graphs, as projector tasks keep it over both stores (rule L2).

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
