//! Connections: how many, and what becomes of those that bring nothing.

use std::time::Duration;

use dao_api::http::RequestLimits;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{server::Server, ws::Ws};

const GET: &[u8] = b"GET /graphs/g/viewport HTTP/1.1\r\nhost: a\r\n\r\n";

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Asks on a connection, which stays open.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.unwrap();
    let mut bytes = vec![0; 2_048];
    let count = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// All that comes until the server ends the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = vec![];
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn o3_the_listeners_of_a_server_have_one_limit() {
    let limits = RequestLimits { connections_max: 2, ..RequestLimits::default() };
    let mut aside = None;
    let server = Server::limited(limits, |app| {
        aside = Some(app.clone());
        app
    });
    let server = server.await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(dao_api::http::serve(listener, aside.unwrap(), std::future::pending()));
    let mut held = vec![];
    for (place, status) in
        [(server.address(), "200"), (address, "200"), (server.address(), "503"), (address, "503")]
    {
        let mut stream = TcpStream::connect(place).await.unwrap();
        let answer = ask(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        held.push(stream);
    }
}

#[tokio::test]
async fn o3_a_connection_over_the_limit_is_refused_until_another_closes() {
    let limits = RequestLimits { connections_max: 2, ..RequestLimits::default() };
    let server = Server::limited(limits, |app| app).await;
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(&mut second).await.starts_with("HTTP/1.1 200 "));
    let mut third = connect(&server).await;
    third.write_all(GET).await.unwrap();
    let answer = rest(&mut third).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"OVERLOADED\""), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
    drop(first);
    let answer = loop {
        let answer = ask(&mut connect(&server).await).await;
        if !answer.starts_with("HTTP/1.1 503 ") {
            break answer;
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn o3_a_socket_counts_as_the_connection_it_came_on() {
    let limits = RequestLimits { connections_max: 1, ..RequestLimits::default() };
    let server = Server::limited(limits, |app| app).await;
    let mut ws = Ws::connect(server.address(), "").await;
    let mut second = connect(&server).await;
    second.write_all(GET).await.unwrap();
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 503 "));
    ws.send(&json!({"type": "PING"})).await;
    ws.expect("PONG").await;
    drop(ws);
    loop {
        if ask(&mut connect(&server).await).await.starts_with("HTTP/1.1 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn o3_a_connection_without_a_complete_head_is_closed() {
    let limits = RequestLimits { head_timeout: Duration::from_millis(50), ..RequestLimits::default() };
    let server = Server::limited(limits, |app| app).await;
    for bytes in [&b""[..], b"G", b"GET /healthz HTTP/1.1\r\nx: y\r\n"] {
        let mut stream = connect(&server).await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(rest(&mut stream).await, "", "{}", String::from_utf8_lossy(bytes));
    }
    // Also one that was served before, and waits for too long.
    let mut stream = connect(&server).await;
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn o3_a_head_that_is_too_large_is_431() {
    let server = Server::start().await;
    let long = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(70 << 10));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(120));
    for head in [long, many] {
        let mut stream = connect(&server).await;
        let _refused_before_all_is_sent = stream.write_all(head.as_bytes()).await;
        let mut start = [0; 13];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 431 ");
    }
    let token_sized =
        format!("GET /healthz HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\r\n", "y".repeat(16 << 10));
    let mut stream = connect(&server).await;
    stream.write_all(token_sized.as_bytes()).await.unwrap();
    let mut start = [0; 13];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 ");
}

#[tokio::test]
async fn w9_a_stopping_server_answers_what_it_read_and_closes_idle_connections() {
    let server = Server::start().await;
    let mut idle = connect(&server).await;
    assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200 "));
    let untouched = connect(&server).await;
    server.stop().await;
    assert_eq!(rest(&mut idle).await, "");
    drop(untouched);
}
