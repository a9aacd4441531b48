//! What auditors are told (rules A1, A3, A4, H3, H5), over HTTP and on both stores.

mod differences;
mod operations;

use serde_json::{Value, json};

use crate::support::{
    graph::with,
    made_up::{Story, moved},
    server::Server,
};

/// The whole list of a paged route, in pages of `limit`.
async fn pages(server: &Server, path: &str, list: &str, limit: usize) -> Vec<Value> {
    let sign = if path.contains('?') { '&' } else { '?' };
    let (mut all, mut cursor) = (vec![], String::new());
    loop {
        let page = server.read(&format!("{path}{sign}limit={limit}{cursor}")).await;
        let entries = page[list].as_array().unwrap().clone();
        assert!(entries.len() <= limit, "{path}");
        all.extend(entries);
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn field<'a>(list: &'a [Value], name: &str) -> Vec<&'a Value> {
    list.iter().map(|entry| &entry[name]).collect()
}

/// Ada and Bob at work; what is refused is refused on purpose. Returns the operation ids by name.
async fn a_morning(server: &Server) {
    let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
    let refused = async |client: &crate::support::http::Client, status: u16, envelope: Value| {
        let reply = client.command("g", &envelope).await;
        assert_eq!(reply.status, status, "{}", reply.json());
    };
    let update = |label: &str| json!({"nodeId": "a", "updates": {"data": {"label": label}}});
    refused(&bob, 404, json!({"type": "DELETE_NODE", "payload": {"nodeId": "a"}})).await; // at 0
    ada.apply("g", "CREATE_NODE", json!({"id": "a", "data": {"label": "x"}})).await; // 1
    ada.apply("g", "CREATE_NODE", json!({"id": "b"})).await; // 2
    refused(&bob, 409, json!({"type": "CREATE_NODE", "payload": {"id": "a"}})).await; // at 2
    refused(&ada, 404, json!({"type": "DELETE_EDGE", "payload": {"edgeId": "e"}})).await; // at 2
    ada.apply("g", "CREATE_EDGE", json!({"id": "e", "source": "a", "target": "b"})).await; // 3
    bob.apply("g", "UPDATE_NODE", update("y")).await; // 4
    let stale = json!({"type": "UPDATE_NODE", "payload": update("z"), "clientVersion": 3});
    refused(&ada, 409, stale.clone()).await; // at 4
    ada.accept("g", &with(&stale, json!({"onConflict": "overwrite"}))).await; // 5
    let unchanged = ada.apply("g", "UPDATE_NODE", update("z")).await;
    assert_eq!(unchanged["outcome"], "unchanged");
    bob.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 2, "zoom": 1})).await; // 6
    bob.apply("g", "DELETE_NODE", json!({"nodeId": "a"})).await; // 7
    ada.apply("g", "CREATE_NODE", json!({"id": "a", "data": {"label": "again"}})).await; // 8
}

/// More commits than one request looks at: node `rare` is written at the beginning and at the end.
async fn a_long_story(server: &Server) -> u64 {
    const COMMITS: u64 = 120_000;
    let mut story = Story::new();
    story.tell(json!({"type": "NodeCreated", "node": {"id": "rare", "position": {"x": 0, "y": 0}}}));
    story.tell(json!({"type": "NodeCreated", "node": {"id": "busy", "position": {"x": 0, "y": 0}}}));
    story.tell(json!({"type": "NodeUpdated", "nodeId": "rare", "patch": {"data": {"v": 1}}}));
    while story.len() < COMMITS - 1 {
        story.tell(moved("busy", story.len()));
    }
    story.tell(json!({"type": "NodeUpdated", "nodeId": "rare", "patch": {"data": {"v": 2}}}));
    story.write(&**server.graphs.store(), "g").await;
    COMMITS
}
