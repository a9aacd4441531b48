//! Traces: what a collector is sent of one command, from a program built with them.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod support;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::WithTrailers};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::json;
use support::{graph::command, http::Request as Ask, server::Process};
use tokio::net::TcpListener;

type Received = Arc<Mutex<Vec<u8>>>;
type Answer = Response<WithTrailers<Full<Bytes>, std::future::Ready<Option<Result<HeaderMap, Infallible>>>>>;

/// A collector that keeps the bytes of what it is sent: protobuf has texts and ids in them as they are.
async fn collector() -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let received = Received::default();
    let kept = received.clone();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let kept = kept.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| answer(request, kept.clone()));
                let serving = auto::Builder::new(TokioExecutor::new());
                let _ended = serving.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    (endpoint, received)
}

/// An empty message of gRPC, and its status.
async fn answer(request: Request<Incoming>, kept: Received) -> Result<Answer, hyper::Error> {
    assert_eq!(request.uri().path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let body = request.into_body().collect().await?.to_bytes();
    kept.lock().unwrap().extend_from_slice(&body);
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(std::future::ready(Some(Ok(trailers))));
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_a_trace_from_its_request_to_its_append() {
    let (endpoint, received) = collector().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    // The log is off: traces don't depend on it.
    let server = Process::start(&[("DATA_DIR", data), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let client = server.client();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = command("CREATE_NODE", json!({"id": "n"})).to_string();
    let request = Ask::post("/graphs/traced-graph/command", body).header("traceparent", parent);
    assert_eq!(client.ask(request).await.status, 200);
    drop(client);
    server.terminate();
    assert!(server.wait().success(), "it sends what waits, and ends");
    let bytes = received.lock().unwrap().clone();
    let count = |needle: &[u8]| bytes.windows(needle.len()).filter(|window| *window == needle).count();
    for name in ["request", "command", "round", "append", "traced-graph", "dao-api"] {
        assert!(count(name.as_bytes()) >= 1, "{name} in {}", String::from_utf8_lossy(&bytes));
    }
    let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
    assert_eq!(count(&trace), 4, "all four spans are of the caller's trace");
    assert_eq!(count(&0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()), 1, "and the first one is its child");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = format!("http://127.0.0.1:{}", support::redis::free_port());
    let server = Process::start(&[
        ("DATA_DIR", dir.path().to_str().unwrap()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &nobody),
    ]);
    let client = server.client();
    client.apply("g", "CREATE_NODE", json!({"id": "n"})).await;
    drop(client);
    server.terminate();
    let began = std::time::Instant::now();
    assert!(server.wait().success());
    assert!(began.elapsed() < Duration::from_secs(30));
}
