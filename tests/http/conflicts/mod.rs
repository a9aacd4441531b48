//! Two people on one graph (rules D1 to D7): ada acts on what she last saw, bob was there meanwhile.

mod deletions;
mod fields;
mod histories;

use serde_json::{Value, json};

use crate::support::{
    graph::{assert_invariants, command, with},
    http::Client,
    server::Server,
};

/// A graph at version 4 with nodes `a`, `b`, an edge `ab` and data in them, and its two users.
struct Desk {
    _server: Server,
    ada: Client,
    bob: Client,
}

/// What ada had seen: everything but what bob does in the test.
const SEEN: u64 = 4;

impl Desk {
    async fn new() -> Self {
        let server = Server::start().await;
        let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
        ada.apply("g", "CREATE_NODE", json!({"id": "a", "data": {"x": 1, "y": {"z": 1}}, "type": "t"})).await;
        ada.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
        ada.apply("g", "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
        ada.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 1})).await;
        Self { _server: server, ada, bob }
    }

    /// Bob, who sees everything, does this.
    async fn bob(&self, name: &str, payload: Value) -> Value {
        self.bob.apply("g", name, payload).await
    }

    /// Ada, who has seen nothing of it, is accepted with this outcome.
    async fn ada(&self, policy: &str, name: &str, payload: Value, outcome: &str) {
        let answer = self.ada.accept("g", &stale(policy, name, payload.clone())).await;
        assert_eq!(answer["outcome"], outcome, "{policy} {name} {payload}");
        if outcome != "unchanged" {
            let version = answer["version"].as_u64().unwrap();
            let commit = &self.ada.changes("g", version - 1).await[0];
            assert_eq!(commit["outcome"], outcome, "the commit says so too");
        }
        assert_invariants(&self.ada.state("g").await);
    }

    /// Ada is refused with a 409 of this code, and nothing is written.
    async fn ada_refused(&self, policy: &str, name: &str, payload: Value, code: &str) -> Value {
        let before = self.ada.state("g").await;
        let problem = self.ada.command("g", &stale(policy, name, payload)).await.problem(409, code);
        assert_eq!(self.ada.state("g").await, before);
        let resolution = &problem["resolution"];
        assert_eq!(resolution["currentVersion"], before["version"], "D7");
        for conflict in resolution["conflicts"].as_array().unwrap() {
            for field in ["entity", "id", "path", "yours", "current", "version", "userId", "operationId"] {
                assert!(conflict.get(field).is_some(), "D7: {field} in {conflict}");
            }
        }
        resolution["conflicts"].clone()
    }
}

fn stale(policy: &str, name: &str, payload: Value) -> Value {
    with(&command(name, payload), json!({"clientVersion": SEEN, "onConflict": policy, "clientId": "tab"}))
}

fn update(id: &str, updates: Value) -> Value {
    json!({"nodeId": id, "updates": updates})
}

fn paths(conflicts: &Value) -> Vec<&str> {
    conflicts.as_array().unwrap().iter().map(|c| c["path"].as_str().unwrap()).collect()
}

const POLICIES: [&str; 3] = ["merge", "overwrite", "reject"];

#[tokio::test]
async fn d_atomic_batches_are_judged_member_by_member() {
    let desk = Desk::new().await;
    desk.bob("UPDATE_NODE", update("a", json!({"data": {"x": 2}}))).await;
    let members = |x: &str| {
        let hers = command("UPDATE_NODE", update("a", json!({"data": {x: 3}})));
        let made = command("CREATE_NODE", json!({"id": "c", "made": x}));
        json!({"operations": [made, hers], "atomic": true, "clientVersion": SEEN})
    };
    let problem = desk.ada.post("/graphs/g/batch", &members("x")).await.problem(409, "CONFLICT");
    assert_eq!(problem["index"], 1);
    assert_eq!(paths(&problem["resolution"]["conflicts"]), ["/data/x"]);
    let overwrite = with(&members("x"), json!({"onConflict": "overwrite"}));
    assert_eq!(desk.ada.post("/graphs/g/batch", &members("w")).await.json()["outcome"], "merged");
    let reply = desk.ada.post("/graphs/g/batch", &overwrite).await;
    reply.problem(409, "ID_TAKEN"); // c is there now; D5 does not help against that
}
