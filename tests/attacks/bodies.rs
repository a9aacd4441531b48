//! Request bodies whose cost is out of proportion to their size (row 15): what a request costs is bounded by its
//! size (rule O3).
//!
//! Every attack runs against the real program, and what it takes is what the process takes: the highest that its
//! resident memory was.

mod generated;
mod measured;
mod requests;
mod shapes;

use std::time::{Duration, Instant};

use dao_api::http::Format;
use serde_json::{Value, json};
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};

use measured::{allowed_kib, hold, hold_now, hold_on, request, rested, server};

use crate::support::{
    http::{Client, Reply},
    server::Process,
};

/// Nobody else's command waits longer than half a second; here many times as long, for the same reasons.
const OTHERS_PATIENCE: Duration = Duration::from_secs(10);

fn create_node(data: &str) -> Vec<u8> {
    format!(r#"{{"type":"CREATE_NODE","payload":{{"id":"n","data":{data}}}}}"#).into_bytes()
}

#[tokio::test]
async fn o3_many_large_floats_below_a_long_key_cost_what_they_weigh() {
    for (keys, floats) in [(1 << 20, 4_000), (4 << 20, 600_000)] {
        let data = format!(r#"{{"{}":[{}1e30]}}"#, "k".repeat(keys), "1e30,".repeat(floats));
        let reply = hold("large floats", "/graphs/g/command", create_node(&data), Format::Json).await;
        reply.problem(413, "TOO_LARGE");
    }
    let data = format!(r#"{{"{}":[{}1{}]}}"#, "k".repeat(1 << 20), "1e30,".repeat(4_000), "0".repeat(20));
    let reply = hold("a large integer", "/graphs/g/command", create_node(&data), Format::Json).await;
    let detail = reply.problem(400, "BAD_REQUEST")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("64-bit") && detail.len() < 1_000, "{detail:.300}");
}

#[tokio::test]
async fn h1_many_repeated_keys_cost_what_they_weigh() {
    let again = |count: usize| r#""a":1,"#.repeat(count);
    let data = format!(r#"{{"{}":{{{}"a":1}}}}"#, "k".repeat(1 << 20), again(4_000));
    hold("below a long key", "/graphs/g/command", create_node(&data), Format::Json).await;
    let nodes: String = (0..60_000).map(|index| format!(r#""{index:x}":{{"a":1,"a":1}},"#)).collect();
    let body = format!(
        r#"{{"type":"BATCH_UPDATE","payload":{{"nodes":{{{nodes}"x":{{"a":1}}}},"viewport":{{"x":0,"y":0,"zoom":1}}}}}}"#
    );
    let reply = hold("in many nodes", "/graphs/g/command", body.into_bytes(), Format::Json).await;
    assert!([400, 413].contains(&reply.status), "{}", reply.status);
    // Each of its keys is repeated, and each is looked for in each object of fixed shape.
    let repeated: String = (0..100_000).map(|index| format!(r#""{index:x}":1,"{index:x}":1,"#)).collect();
    let body = format!(
        r#"{{"type":"BATCH_UPDATE","payload":{{"nodes":[{{"data":{{{repeated}"x":1}}}},{}{{}}]}}}}"#,
        r#"{"id":"a"},"#.repeat(20_000)
    );
    let reply = hold("in one of many nodes", "/graphs/g/command", body.into_bytes(), Format::Json).await;
    assert!([400, 413].contains(&reply.status), "{}", reply.status);
}

/// `{"type": "CREATE_NODE", "payload": [[0], [0], …]}`
fn lists_of_one(bytes: usize) -> Vec<u8> {
    let mut body = vec![0x82];
    rmp::encode::write_str(&mut body, "type").unwrap();
    rmp::encode::write_str(&mut body, "CREATE_NODE").unwrap();
    rmp::encode::write_str(&mut body, "payload").unwrap();
    rmp::encode::write_array_len(&mut body, u32::try_from(bytes / 2).unwrap()).unwrap();
    body.extend([0x91, 0].repeat(bytes / 2));
    body
}

#[tokio::test]
async fn o3_lists_of_lists_cost_what_they_weigh_one_and_twenty_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let body = lists_of_one(8_300_000);
    let format = Format::MessagePack;
    let reply = hold_on(&process, "lists of one", "/graphs/g/command", body.clone(), format).await;
    reply.problem(413, "TOO_LARGE");

    process.forget_peak();
    let before = process.memory_kib("VmRSS");
    let sent = (0..20).map(|index| {
        let request = request(&format!("/graphs/g{index}/command"), body.clone(), format);
        let client = process.client();
        async move { client.send(&request).await.map(|reply| reply.status) }
    });
    let began = Instant::now();
    let statuses = futures::future::join_all(sent).await;
    let grown = process.memory_kib("VmHWM").saturating_sub(before);
    println!("twenty at once: {grown} KiB, {:?}, {statuses:?}", began.elapsed());
    assert!(statuses.iter().flatten().all(|status| [413, 503].contains(status)), "{statuses:?}");
    // At once there is what MAX_BODIES_BYTES holds, of which two are decoded.
    assert!(grown <= 400 << 10, "{grown} KiB");
    process.client().apply("g", "CREATE_NODE", json!({"id": "still there"})).await;
}

/// Sends small commands to another graph until told to stop; how long the slowest waited.
async fn others(client: Client, mut stop: Receiver<()>) -> Duration {
    let (mut slowest, mut count) = (Duration::ZERO, 0);
    loop {
        let began = Instant::now();
        client.apply("others", "SET_VIEWPORT", json!({"x": count, "y": 0, "zoom": 1})).await;
        slowest = slowest.max(began.elapsed());
        count += 1;
        if !matches!(stop.try_recv(), Err(TryRecvError::Empty)) {
            return slowest;
        }
    }
}

/// The same as [`hold_on`], while others work; and what projectors make of it is within the same bound.
async fn hold_beside(process: &Process, what: &str, path: &str, body: &Value) -> Reply {
    rested(process).await;
    let before_kib = process.memory_kib("VmRSS");
    let (stop, stopped) = oneshot::channel();
    let others = tokio::spawn(others(process.client(), stopped));
    let reply = hold_now(process, what, path, body.to_string().into_bytes(), Format::Json).await;
    stop.send(()).unwrap();
    let slowest = others.await.unwrap();
    println!("{what}: others waited {slowest:?}");
    assert!(slowest < OTHERS_PATIENCE, "{what}: others waited {slowest:?}");
    rested(process).await;
    let (grown_kib, allowed) =
        (process.memory_kib("VmHWM").saturating_sub(before_kib), allowed_kib(body.to_string().len()));
    println!("{what}: {grown_kib} of {allowed} KiB with its rows");
    assert!(grown_kib <= allowed, "{what}: {grown_kib} KiB with its rows, of {allowed}");
    reply
}

fn batch_update(nodes: Vec<Value>, edges: Option<Vec<Value>>) -> Value {
    let payload = match edges {
        Some(edges) => json!({"nodes": nodes, "edges": edges}),
        None => json!({"nodes": nodes}),
    };
    json!({"type": "BATCH_UPDATE", "payload": payload})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_a_group_of_fifty_thousand_goes_and_nobody_else_waits() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let mut nodes = vec![json!({"id": "group", "position": {"x": 0, "y": 0}})];
    nodes.extend((0..50_000).map(
        |index| json!({"id": format!("node-{index}"), "position": {"x": index, "y": 0}, "parentId": "group"}),
    ));
    let path = "/graphs/g/command";
    let reply = hold_beside(&process, "50,000 children", path, &batch_update(nodes, None)).await;
    assert_eq!(reply.status, 200, "{:.300}", String::from_utf8_lossy(&reply.body));
    let delete = json!({"type": "DELETE_NODE", "payload": {"nodeId": "group"}});
    let reply = hold_beside(&process, "their deletion", path, &delete).await;
    assert_eq!(reply.json()["result"]["deletedNodes"].as_array().map(Vec::len), Some(50_001));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_long_chain_of_parents_is_walked_once() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let node = |index: usize| {
        let mut node = json!({"id": format!("node-{index}"), "position": {"x": index, "y": 0}});
        if index > 0 {
            node["parentId"] = json!(format!("node-{}", index - 1));
        }
        node
    };
    let chain = batch_update((0..40_000).map(node).collect(), None);
    let reply = hold_beside(&process, "a chain", "/graphs/g/command", &chain).await;
    assert_eq!(reply.status, 200, "{:.300}", String::from_utf8_lossy(&reply.body));
    let last = (0..500).map(|index| {
        let payload = json!({"id": format!("leaf-{index}"), "parentId": "node-39999"});
        json!({"type": "CREATE_NODE", "payload": payload})
    });
    let batch = json!({"operations": last.collect::<Vec<_>>()});
    let reply = hold_beside(&process, "its leaves", "/graphs/g/batch", &batch).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_stale_updates_of_tens_of_thousands_of_paths_cost_what_they_weigh() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let client = process.client();
    let fields = |value: usize| -> Value {
        (0..18_000)
            .map(|index| (format!("k{index:x}"), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    client.apply("g", "CREATE_NODE", json!({"id": "n", "data": {}})).await;
    for value in 0..8 {
        let payload = json!({"nodeId": "n", "updates": {"data": fields(value)}});
        client.as_user("other").apply("g", "UPDATE_NODE", payload).await;
    }
    for policy in ["merge", "reject"] {
        let payload = json!({"nodeId": "n", "updates": {"data": fields(100)}});
        let stale =
            json!({"type": "UPDATE_NODE", "payload": payload, "clientVersion": 1, "onConflict": policy});
        let reply = hold_beside(&process, policy, "/graphs/g/command", &stale).await;
        let problem = reply.problem(409, "CONFLICT");
        let told = problem["resolution"]["conflicts"].as_array().map_or(0, Vec::len);
        assert!((1..=1_000).contains(&told), "{told}");
        assert!(problem["detail"].as_str().unwrap().contains("more"), "{}", problem["detail"]);
    }
    // Many commands, each of which conflicts with many.
    let members = (0..200).map(|_| {
        let updates: serde_json::Map<_, _> = (0..300).map(|i| (format!("k{i:x}"), json!(100))).collect();
        json!({"type": "UPDATE_NODE", "payload": {"nodeId": "n", "updates": {"data": updates}}})
    });
    let batch = json!({"clientVersion": 1, "operations": members.collect::<Vec<_>>()});
    let reply = hold_beside(&process, "many conflicts", "/graphs/g/batch", &batch).await;
    assert_eq!(reply.json()["results"][199]["error"]["code"], "CONFLICT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_paths_below_a_long_key_are_not_spelled_out() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let client = process.client();
    let key = "k".repeat(100 << 10);
    let data = |value: usize| {
        let fields: serde_json::Map<_, _> = (0..12_000).map(|i| (format!("{i:x}"), json!(value))).collect();
        json!({"nodeId": "n", "updates": {"data": {(key.clone()): fields}}})
    };
    client.apply("g", "CREATE_NODE", json!({"id": "n", "data": {}})).await;
    for value in 0..3 {
        client.as_user("other").apply("g", "UPDATE_NODE", data(value)).await;
    }
    for policy in ["merge", "reject"] {
        let stale =
            json!({"type": "UPDATE_NODE", "payload": data(100), "clientVersion": 1, "onConflict": policy});
        let reply = hold_beside(&process, policy, "/graphs/g/command", &stale).await;
        reply.problem(409, "CONFLICT");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_thousands_of_fields_are_removed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let names = || (0..20_000).map(|index| format!("k{index:x}"));
    let mut node: serde_json::Map<_, _> = names().map(|name| (name, json!(1))).collect();
    node.insert("id".into(), json!("n"));
    process.client().apply("g", "CREATE_NODE", node.into()).await;
    let removal: serde_json::Map<_, _> = names().map(|name| (name, Value::Null)).collect();
    let update = json!({"type": "UPDATE_NODE", "payload": {"nodeId": "n", "updates": removal}});
    let reply = hold_beside(&process, "a removal", "/graphs/g/command", &update).await;
    assert_eq!(
        reply.json()["result"].as_object().map(serde_json::Map::len),
        Some(5),
        "only what a node must have"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_members_that_each_look_at_every_edge_are_bounded_together() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let edge = |index: usize| json!({"id": format!("edge-{index}"), "source": "n", "target": "n"});
    let edges = (0..20_000).map(edge).collect();
    process.client().accept("g", &batch_update(vec![json!({"id": "n"})], Some(edges))).await;
    let dangling = json!({"edges": [{"source": "nowhere", "target": "n"}]});
    let members = vec![json!({"type": "BATCH_UPDATE", "payload": dangling}); 1_000];
    let reply = hold_beside(&process, "edge sets", "/graphs/g/batch", &json!({"operations": members})).await;
    let results = reply.json();
    assert_eq!(results["results"][0]["error"]["code"], "DANGLING_EDGE");
    assert_eq!(results["results"][999]["error"]["code"], "TOO_LARGE", "it may be sent again by itself");
}

#[tokio::test]
async fn o3_a_large_document_of_react_flow_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    let nodes = (0..24_000).map(|index| {
        json!({"id": format!("node-{index}"), "type": "task", "position": {"x": index as f64 * 1.5, "y": 80},
            "data": {"label": format!("Step {index}"), "color": "#336699", "done": false},
            "measured": {"width": 150, "height": 40}, "selected": false, "dragging": false})
    });
    let edges = (1..24_000).map(|index| {
        json!({"id": format!("e{index}"), "source": format!("node-{}", index - 1),
            "target": format!("node-{index}"), "type": "smoothstep", "animated": true})
    });
    let document = batch_update(nodes.collect(), Some(edges.collect())).to_string().into_bytes();
    assert!((6 << 20..8 << 20).contains(&document.len()), "{}", document.len());
    let reply = hold_on(&process, "a document", "/graphs/g/command", document, Format::Json).await;
    assert_eq!(reply.status, 200, "{:.300}", String::from_utf8_lossy(&reply.body));
    // The least that nodes and edges can be and still be written by an editor.
    let nodes = (0..20_000).map(|index| {
        json!({"id": format!("n{index}"), "position": {"x": index, "y": 0}, "data": {"label": "Node"}})
    });
    let edges = (1..20_000).map(|index| {
        let (source, target) = (format!("n{}", index - 1), format!("n{index}"));
        json!({"id": format!("e{index}"), "source": source, "target": target})
    });
    let document = batch_update(nodes.collect(), Some(edges.collect())).to_string().into_bytes();
    let reply = hold_on(&process, "a plain one", "/graphs/h/command", document, Format::Json).await;
    assert_eq!(reply.status, 200, "{:.300}", String::from_utf8_lossy(&reply.body));
}
