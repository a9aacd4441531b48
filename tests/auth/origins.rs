//! Pages of other origins (`CORS_ORIGINS`, rule O4).

use dao_api::{
    auth::Auth,
    http::{Origin, Origins},
};
use serde_json::json;

use crate::{
    get, keys,
    support::{
        http::{Reply, Request},
        server::Server,
    },
    token, with_secret,
};

const EDITOR: &str = "https://editor.example";

async fn with_origins(origins: Origins) -> Server {
    Server::of(|app| app.with_auth(Auth::Keys(keys(with_secret()))).with_origins(origins)).await
}

fn listed() -> Origins {
    Origins::Listed([EDITOR, "http://localhost:5173"].map(|text| Origin::parse(text).unwrap()).into())
}

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/graphs/g/command")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
}

fn allowed(reply: &Reply) -> Option<&str> {
    reply.header("access-control-allow-origin")
}

#[tokio::test]
async fn o4_a_listed_origin_may_call_and_is_told_so_before_it_has_a_token() {
    let server = with_origins(listed()).await;
    for origin in [EDITOR, "http://localhost:5173"] {
        let reply = server.ask(preflight(origin)).await;
        assert_eq!((reply.status, allowed(&reply)), (200, Some(origin)));
        let headers = reply.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
        assert!(reply.header("access-control-allow-methods").unwrap().contains("POST"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    let reply = server.ask(Request::get("/graphs/g/state").header("origin", EDITOR)).await;
    assert_eq!((reply.status, allowed(&reply)), (401, Some(EDITOR)), "the page can read why");
    let request = get("/graphs/g/state", &token("ada", json!({"g": "read"}))).header("origin", EDITOR);
    let reply = server.ask(request).await;
    assert_eq!((reply.status, allowed(&reply)), (200, Some(EDITOR)));
    assert!(reply.header("access-control-expose-headers").unwrap().contains("etag"));
    let varies: Vec<_> =
        reply.headers.iter().filter(|(name, _)| name == "vary").map(|(_, v)| v.as_str()).collect();
    let varies = varies.join(",");
    assert!(varies.contains("accept") && varies.contains("origin"), "caches tell answers apart: {varies}");
}

#[tokio::test]
async fn o4_other_origins_are_not_told_that_they_may() {
    let server = with_origins(listed()).await;
    for origin in
        ["https://evil.example", "http://editor.example", "https://editor.example.evil.example", "null"]
    {
        assert_eq!(allowed(&server.ask(preflight(origin)).await), None, "{origin}");
        let reply = server.ask(Request::get("/healthz").header("origin", origin)).await;
        assert_eq!(allowed(&reply), None, "{origin}");
    }
    let own = with_origins(Origins::Own).await;
    assert_eq!(allowed(&own.ask(Request::get("/healthz").header("origin", EDITOR)).await), None);
    let any = with_origins(Origins::Any).await;
    assert_eq!(allowed(&any.ask(Request::get("/healthz").header("origin", EDITOR)).await), Some("*"));
}
