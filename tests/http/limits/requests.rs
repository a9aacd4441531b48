//! What one request may be: how deep, how many operations, how large, how slow.

use std::time::Duration;

use dao_api::http::RequestLimits;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    graph::new_id,
    http::Request,
    server::Server,
    ws::{EVERY_SPEECH, Ws},
};

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, _| json!({"a": inner}))
}

/// A command whose body is so deep in all.
fn of_depth(depth: usize) -> Value {
    // The envelope, the payload and `data` are three.
    json!({"type": "CREATE_NODE", "payload": {"id": new_id(), "data": nested(depth - 2)}})
}

async fn small() -> Server {
    let limits = RequestLimits { depth_max: 10, batch_operations_max: 5, ..RequestLimits::default() };
    Server::limited(limits, |app| app).await
}

fn batch(count: usize) -> Vec<Value> {
    (0..count).map(|_| json!({"type": "CREATE_NODE", "payload": {"id": new_id()}})).collect()
}

#[tokio::test]
async fn o3_depth_is_a_setting_that_refusals_name() {
    let server = small().await;
    assert_eq!(server.command("g", &of_depth(10)).await.status, 200);
    let problem = server.command("g", &of_depth(11)).await.problem(400, "BAD_REQUEST");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("10 levels") && detail.contains("MAX_JSON_DEPTH"), "{detail}");
    let packed = rmp_serde::to_vec(&of_depth(11)).unwrap();
    let request = Request::post("/graphs/g/command", packed).header("content-type", "application/msgpack");
    let problem = server.ask(request).await.problem(400, "BAD_REQUEST");
    assert!(problem["detail"].as_str().unwrap().contains("10 levels"), "{problem}");
}

#[tokio::test]
async fn o3_operations_of_a_batch_are_a_setting_that_refusals_name() {
    let server = small().await;
    assert_eq!(server.post("/graphs/g/batch", &json!({"operations": batch(5)})).await.status, 200);
    for count in [6, 1_000] {
        let refused = server.post("/graphs/g/batch", &json!({"operations": batch(count)})).await;
        let problem = refused.problem(422, "TOO_LARGE");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("more than 5") && detail.contains("MAX_BATCH_OPERATIONS"), "{detail}");
    }
}

#[tokio::test]
async fn o3_sockets_have_the_same_limits() {
    let server = small().await;
    for speech in EVERY_SPEECH {
        let mut ws = Ws::handshake(server.address(), "", speech).await.unwrap();
        let limits = ws.expect("WELCOME").await["limits"].clone();
        assert_eq!((&limits["batchOperations"], &limits["jsonDepth"]), (&json!(5), &json!(10)), "{limits}");
        let id = new_id();
        ws.send(&json!({"type": "BATCH", "graphId": "g", "batchId": id, "operations": batch(6)})).await;
        let revert = ws.expect("REVERT").await;
        assert_eq!((&revert["operationId"], &revert["code"]), (&json!(id), &json!("TOO_LARGE")), "{revert}");
        ws.send(&json!({"type": "PRESENCE", "graphId": "g", "state": nested(10)})).await;
        assert!(ws.expect("ERROR").await["message"].as_str().unwrap().contains("10 levels"));
    }
}

/// Sends a head and this much of its body, and reads what comes until the server ends the connection.
async fn slowly(server: &Server, announced: usize, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("POST /graphs/g/command HTTP/1.1\r\nhost: a\r\ncontent-length: {announced}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn o3_a_stalled_body_is_408_and_closes_the_connection() {
    let brief = Duration::from_millis(50);
    let limits = RequestLimits { body_idle_timeout: brief, ..RequestLimits::default() };
    let server = Server::limited(limits, |app| app).await;
    for body in [&b""[..], br#"{"type":"#] {
        let answer = slowly(&server, 100, body).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
        assert!(answer.contains("BODY_IDLE_TIMEOUT"), "{answer}");
    }
}

#[tokio::test]
async fn o3_all_bodies_together_are_bounded_and_one_more_is_503() {
    let limits = RequestLimits { body_bytes_max: 1_000, bodies_bytes_max: 1_000, ..RequestLimits::default() };
    let server = Server::limited(limits, |app| app).await;
    let mut first = TcpStream::connect(server.address()).await.unwrap();
    let padding = "x".repeat(870);
    let command =
        json!({"type": "CREATE_NODE", "payload": {"id": "a", "data": {"padding": padding}}}).to_string();
    assert!((910..1_000).contains(&command.len()), "{}", command.len());
    let head =
        format!("POST /graphs/g/command HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", command.len());
    let (most, rest) = command.as_bytes().split_at(900);
    first.write_all(&[head.as_bytes(), most].concat()).await.unwrap();
    // The server says when it has them: it has room for no second one like it.
    let second = json!({"type": "CREATE_NODE", "payload": {"id": "b", "data": {"padding": "x".repeat(200)}}});
    let refused = loop {
        let reply = server.command("g", &second).await;
        if reply.status != 200 && reply.json()["code"] != "ID_TAKEN" {
            break reply;
        }
    };
    refused.problem(503, "OVERLOADED");
    assert!(refused.header("retry-after").is_some());
    first.write_all(rest).await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200", "who was first is served");
    let third = json!({"type": "CREATE_NODE", "payload": {"id": "c", "data": {"padding": "x".repeat(200)}}});
    assert_eq!(server.command("g", &third).await.status, 200, "and then there is room again");
}

#[tokio::test]
async fn o3_an_announced_length_takes_no_memory_and_a_larger_body_is_413_before_it_comes() {
    let server = Server::start().await;
    let answer = slowly(&server, 9 << 20, b"").await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("MAX_BODY_BYTES"), "{answer}");
}

#[tokio::test]
async fn o3_a_compressed_body_is_refused() {
    let server = Server::start().await;
    let request = Request::post("/graphs/g/command", "x").header("content-encoding", "gzip");
    server.ask(request).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
}
