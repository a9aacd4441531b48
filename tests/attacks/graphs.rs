//! Graphs in memory: made-up ids, and more state than fits (O3).

use serde_json::{Value, json};

use crate::support::{
    http::{Client, Reply},
    openmetrics::Exposition,
    server::Process,
    ws::Ws,
};

/// Address space of a server under attack, in KiB: much of it is only set aside.
const ADDRESS_SPACE_KIB: u64 = 4 << 20;

fn start(dir: &tempfile::TempDir, settings: &[(&str, &str)]) -> Process {
    let mut all = vec![("DATA_DIR", dir.path().to_str().unwrap()), ("PROJECTORS", "off")];
    all.extend_from_slice(settings);
    Process::start_within(ADDRESS_SPACE_KIB, &all)
}

async fn measured(client: &Client, name: &str) -> f64 {
    let reply = client.get("/metrics").await;
    Exposition::read(std::str::from_utf8(&reply.body).unwrap()).value(name, &[])
}

fn is_hit(reply: &Reply) -> bool {
    reply.header("x-cache") == Some("HIT")
}

/// Every read of a graph, of one that nobody has written to.
fn reads_of(graph: &str) -> [String; 8] {
    ["state", "changes?since=0", "nodes", "nodes/n", "viewport", "verify", "diff?from=0", "nodes/n/history"]
        .map(|what| format!("/graphs/{graph}/{what}"))
}

#[tokio::test]
async fn o3_states_of_many_large_graphs_take_the_memory_that_is_set_aside_and_no_more() {
    const GRAPHS: usize = 64;
    const NODES: usize = 3_000;
    const BOUND: usize = 64 << 20;
    /// What a server has beside its graphs, with requests and answers on their way.
    const BESIDE_KIB: u64 = 200 << 10;
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir, &[("MAX_HOT_BYTES", &BOUND.to_string())]);
    let client = server.client().as_user("ada");
    for graph in 0..GRAPHS {
        let node =
            |n: usize| json!({"id": format!("n{n}"), "data": {"label": format!("Node {n}"), "n": [n, n]}});
        let nodes: Vec<Value> = (0..NODES).map(node).collect();
        client.apply(&format!("g{graph}"), "BATCH_UPDATE", json!({"nodes": nodes})).await;
    }
    for graph in (0..GRAPHS).chain(0..GRAPHS) {
        let reply = client.get(&format!("/graphs/g{graph}/state")).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    }
    let again = client.get(&format!("/graphs/g{}/state", GRAPHS - 1)).await;
    assert!(is_hit(&again), "the latest is in memory");
    let held = measured(&client, "dao_hot_graph_bytes").await;
    assert!(held <= 1.1 * BOUND as f64 && held > BOUND as f64 / 4.0, "{held} bytes are counted");
    assert!(measured(&client, "dao_hot_graphs_let_go_total").await > GRAPHS as f64 / 2.0);
    let peak = server.memory_kib("VmHWM");
    assert!(peak < BOUND as u64 / 1_024 + BESIDE_KIB, "{peak} KiB at most in {GRAPHS} graphs");
}

#[tokio::test]
async fn o3_twenty_thousand_made_up_ids_push_nobody_out() {
    const READERS: usize = 8;
    const READS: usize = 2_500;
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir, &[("MAX_HOT_GRAPHS", "3")]);
    let client = server.client().as_user("ada");
    let hot = ["one", "two", "three"];
    for graph in hot {
        client.apply(graph, "CREATE_NODE", json!({"id": "n"})).await;
    }
    let readers = (0..READERS).map(|reader| {
        let client = server.client();
        tokio::spawn(async move {
            for n in 0..READS {
                let paths = reads_of(&format!("made-up-{reader}-{n}"));
                let reply = client.get(&paths[n % paths.len()]).await;
                assert!([200, 404].contains(&reply.status), "{}", String::from_utf8_lossy(&reply.body));
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    // So many as one socket may follow, all of them made up; and commands that can only be refused.
    let mut socket = Ws::connect(server.address, "?userId=bob").await;
    for n in 0..256 {
        socket.subscribe(&format!("followed-{n}"), json!({})).await;
    }
    for n in 0..100 {
        let refused = json!({"type": "DELETE_NODE", "payload": {"nodeId": "n"}});
        assert_eq!(client.command(&format!("refused-{n}"), &refused).await.status, 404);
    }
    while measured(&client, "dao_hot_graphs").await > 3.0 {} // those of the last refusals end
    for graph in hot {
        let reply = client.get(&format!("/graphs/{graph}/state")).await;
        assert!(is_hit(&reply), "{graph} is still in memory");
    }
    assert_eq!(measured(&client, "dao_hot_graphs_let_go_total").await, 0.0);
    // Who follows one of them hears of its first commit.
    client.apply("followed-7", "CREATE_NODE", json!({"id": "n"})).await;
    let update = socket.expect("STATE_UPDATE").await;
    assert_eq!(update["graphId"], "followed-7");
}
