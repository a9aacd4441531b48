//! What every answer has: an id, headers that keep it where it belongs, and fewer bytes where that is asked for.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::json;

use crate::support::{
    http::{Reply, Request},
    server::Server,
};

const ALWAYS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

fn assert_safe(reply: &Reply, what: &str) {
    for (name, value) in ALWAYS {
        assert_eq!(reply.header(name), Some(value), "{name} of {what}");
    }
    let id = reply.header("x-request-id").unwrap_or_default();
    assert_eq!(id.len(), 36, "{id:?} of {what}");
    assert!(reply.header("cache-control").is_some(), "cache-control of {what}");
}

#[tokio::test]
async fn every_answer_has_security_headers_and_a_request_id() {
    let origins = dao_api::http::Origins::Any;
    let server = Server::of(|app| app.with_origins(origins)).await;
    let preflight = Request::new("OPTIONS", "/graphs/g/command").header("origin", "https://editor.example");
    let preflight = preflight.header("access-control-request-method", "POST");
    for (what, request, status) in [
        ("a state", Request::get("/graphs/g/state"), 200),
        ("a preflight", preflight, 200),
        ("no route", Request::get("/nowhere"), 404),
        ("no such method", Request::new("DELETE", "/graphs/g/state"), 405),
        ("a bad request", Request::post("/graphs/g/command", "{"), 400),
        ("health", Request::get("/healthz"), 200),
    ] {
        let reply = server.ask(request).await;
        assert_eq!(reply.status, status, "{what}");
        assert_safe(&reply, what);
    }
}

#[tokio::test]
async fn caches_must_revalidate_every_answer() {
    let server = Server::start().await;
    let state = server.get("/graphs/g/state").await;
    assert_eq!(state.header("cache-control"), Some("private, no-cache"));
    assert_eq!(server.get("/nowhere").await.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_is_safe_to_log() {
    let server = Server::start().await;
    let with = |id: &str| Request::get("/healthz").header("x-request-id", id);
    let longest = "x".repeat(128);
    for id in ["trace-1", longest.as_str()] {
        assert_eq!(server.ask(with(id)).await.header("x-request-id"), Some(id));
    }
    for id in ["", "two words", "caf\u{e9}", &"x".repeat(129)] {
        let reply = server.ask(with(id)).await;
        let made = reply.header("x-request-id").unwrap();
        assert!(made != id && made.len() == 36, "{id:?} -> {made:?}");
    }
}

/// A server with a graph whose state is a few kilobytes.
async fn with_a_graph() -> Server {
    let server = Server::start().await;
    for n in 0..50 {
        server.apply("g", "CREATE_NODE", json!({"id": format!("n{n}"), "data": {"label": "a node"}})).await;
    }
    server
}

fn state() -> Request {
    Request::get("/graphs/g/state").header("connection", "close")
}

async fn raw(server: &Server, accept: &str) -> Reply {
    server.ask_to_end(state().header("accept-encoding", accept)).await
}

#[tokio::test]
async fn long_answers_are_compressed_on_request() {
    let server = with_a_graph().await;
    let plain = server.ask(state()).await;
    for (accept, encoding) in [
        ("gzip", Some("gzip")),
        ("gzip, deflate, br", Some("br")),
        ("br;q=0.5, gzip;q=0.9", Some("gzip")),
        ("GZIP", Some("gzip")),
        ("deflate, zstd", None),
        ("gzip;q=0", None),
        ("identity;q=0, *;q=0", None),
        ("*", None),
    ] {
        let reply = raw(&server, accept).await;
        assert_eq!((reply.status, reply.header("content-encoding")), (200, encoding), "{accept}");
        match encoding {
            None => assert_eq!(reply.body, plain.body, "{accept}"),
            Some(_) => assert!(reply.body.len() < plain.body.len() / 3, "{accept}: {}", reply.body.len()),
        }
        if encoding == Some("gzip") {
            let mut unpacked = vec![];
            GzDecoder::new(&reply.body[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain.body);
        }
    }
    let vary = |reply: &Reply| {
        let values = reply.headers.iter().filter(|(name, _)| name == "vary");
        values.map(|(_, value)| value.to_ascii_lowercase()).collect::<Vec<_>>().join(",")
    };
    assert!(vary(&plain).contains("accept-encoding") && vary(&plain).contains("accept"), "{}", vary(&plain));
}

#[tokio::test]
async fn short_answers_are_not_compressed() {
    let server = Server::start().await;
    let request =
        Request::post("/graphs/g/command", json!({"type": "CREATE_NODE", "payload": {}}).to_string());
    let reply = server.ask(request.header("accept-encoding", "gzip, br")).await;
    assert_eq!((reply.status, reply.header("content-encoding")), (200, None));
}

#[tokio::test]
async fn a_compressed_answer_has_a_weak_etag_that_matches_again() {
    let server = with_a_graph().await;
    let strong = server.ask(state()).await.header("etag").unwrap().to_owned();
    let weak = raw(&server, "gzip").await.header("etag").unwrap().to_owned();
    assert_eq!(weak, format!("W/{strong}"));
    let known = |tag: &str, accept: &str| {
        server.ask_to_end(state().header("if-none-match", tag).header("accept-encoding", accept))
    };
    let still_good = known(&weak, "gzip").await;
    assert_eq!((still_good.status, still_good.header("etag")), (304, Some(weak.as_str())));
    let still_good = known(&strong, "identity").await;
    assert_eq!((still_good.status, still_good.header("etag")), (304, Some(strong.as_str())));
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let server = with_a_graph().await;
    for accept in ["gzip", "identity"] {
        let asked = |method| Request::new(method, "/graphs/g/state").header("connection", "close");
        let get = server.ask_to_end(asked("GET").header("accept-encoding", accept)).await;
        let head = server.ask_to_end(asked("HEAD").header("accept-encoding", accept)).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in ["content-type", "content-encoding", "content-length", "etag", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name}, {accept}");
        }
    }
}

#[tokio::test]
async fn streams_are_not_compressed() {
    let server = with_a_graph().await;
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let headers = [("accept", accept), ("accept-encoding", "gzip, br")];
        let stream =
            crate::support::stream::Stream::open(&server, "/graphs/g/events?follow=true", &headers).await;
        assert_eq!((stream.status, stream.header("content-encoding")), (200, None), "{accept}");
    }
}
