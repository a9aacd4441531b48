//! The OpenAPI document against the routes, against `docs/protocol.md`, and against real answers.

mod answers;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::server::Server;

fn source(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// `GET /graphs/{graphId}/state` and so on, from the table: `get "/graphs/{graphId}/state" => …`.
fn routed() -> BTreeSet<String> {
    let source = source("src/http/routes.rs");
    let entries = source.lines().filter_map(|line| line.trim().split_once(" \""));
    let entries = entries.filter_map(|(method, rest)| Some((method, rest.split_once("\" => ")?.0)));
    let found: BTreeSet<String> =
        entries.map(|(method, path)| format!("{} {path}", method.to_uppercase())).collect();
    assert!(found.len() > 30, "the routes are found: {found:?}");
    found
}

fn documented(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    routes.collect()
}

#[tokio::test]
async fn h_the_document_has_exactly_the_routes() {
    let server = Server::start().await;
    let document = server.read("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(documented(&document), routed());
    server.stop().await;
}

#[tokio::test]
async fn h_the_protocol_page_names_every_route_of_the_document() {
    let server = Server::start().await;
    let document = server.read("/openapi.json").await;
    let rules = source("docs/protocol.md");
    for path in document["paths"].as_object().unwrap().keys() {
        // The page abbreviates: `GET /graphs/{graphId}/nodes`, `/nodes/{nodeId}`.
        let below = path.strip_prefix("/graphs/{graphId}").unwrap_or(path);
        let below = below.strip_prefix("/subscriptions/{name}/parked").map_or(below, |_| "/retry");
        let tail = below.strip_suffix("/drop").unwrap_or(below);
        assert!(rules.contains(&format!("{tail}`")) || rules.contains(&format!("{tail}?")), "{path}: {tail}");
    }
    server.stop().await;
}

#[tokio::test]
async fn h9_the_document_names_the_headers_of_a_document() {
    let server = Server::start().await;
    let document = server.read("/openapi.json").await;
    let routes = &document["paths"]["/graphs/{graphId}/document"];
    let parameters = routes["put"]["parameters"].as_array().unwrap();
    let headers = parameters.iter().filter(|parameter| parameter["in"] == "header");
    let headers: BTreeSet<&str> = headers.map(|header| header["name"].as_str().unwrap()).collect();
    let expected = ["Idempotency-Key", "If-Match", "If-None-Match", "X-Client-Id", "X-User-Id"];
    assert_eq!(headers, BTreeSet::from(expected));
    assert!(routes["get"]["responses"]["200"]["headers"]["X-Base"].is_object(), "{routes}");
    server.stop().await;
}

#[tokio::test]
async fn h_the_viewer_needs_no_other_host() {
    let server = Server::start().await;
    let page = server.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let html = String::from_utf8(page.body).unwrap();
    let named = html.split(['"']).filter(|text| text.contains('.') && !text.contains(['<', '>', ' ']));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 5, "{html}");
    for path in named {
        assert!(path.starts_with("docs/"), "{path} in {html}");
        let file = server.get(&format!("/{path}")).await;
        assert_eq!(file.status, 200, "{path}");
        if path.ends_with("initializer.js") {
            let text = String::from_utf8(file.body).unwrap();
            assert!(!text.contains("http") && text.contains("\"validatorUrl\": \"none\""), "{text}");
        }
    }
    server.get("/docs/nothing.js").await.problem(404, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn h9_the_document_says_how_a_caller_names_themselves() {
    let server = Server::start().await;
    let document = server.read("/openapi.json").await;
    let open = ["/", "/healthz", "/readyz", "/openapi.json", "/docs"];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let named = parameters.filter(|parameter| parameter["name"] == "X-User-Id").count();
            assert_eq!(named, usize::from(!open.contains(&path.as_str())), "{method} {path}");
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(summary.contains(' '), "{method} {path} says what it does: {summary:?}");
        }
    }
}
