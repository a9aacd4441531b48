//! Pages of other origins (`CORS_ORIGINS`, rules O2 and O4).

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
        ws::Ws,
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
    let shown = reply.header("access-control-expose-headers").unwrap();
    for name in ["etag", "x-base", "x-request-id", "retry-after"] {
        assert!(shown.split(',').any(|given| given.trim() == name), "{name} in {shown}");
    }
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

async fn keyless(origins: Origins) -> Server {
    Server::of(|app| app.with_origins(origins)).await
}

/// The status of a command, and of a WebSocket's handshake, of a page of this origin. The server is `localhost`.
async fn ask_as(server: &Server, origin: &str) -> (u16, u16) {
    let body = json!({"type": "CREATE_NODE", "payload": {}}).to_string();
    let reply = server.ask(Request::post("/graphs/g/command", body).header("origin", origin)).await;
    let upgrade = Ws::upgrade(server.address(), "", &format!("origin: {origin}\r\n")).await;
    if reply.status == 403 {
        let detail = reply.problem(403, "FORBIDDEN")["detail"].to_string();
        assert!(detail.contains("CORS_ORIGINS"), "{detail}");
    }
    (reply.status, upgrade.map_or_else(|refused| refused.status, |_| 101))
}

#[tokio::test]
async fn o2_without_keys_pages_of_other_origins_change_nothing() {
    let server = keyless(Origins::Own).await;
    for origin in
        ["https://evil.example", "null", "http://10.0.0.7:5173", "http://localhost.evil.example", ""]
    {
        assert_eq!(ask_as(&server, origin).await, (403, 403), "{origin}");
    }
    let state = server.ask(Request::get("/graphs/g/state").header("origin", "https://evil.example")).await;
    assert_eq!((state.status, allowed(&state)), (200, None), "the browser does not show it");
    assert_eq!(state.json()["version"], 0);
    for origin in ["http://localhost", "https://LOCALHOST", "http://localhost:5173", "http://127.0.0.1:8080"]
    {
        assert_eq!(
            ask_as(&server, origin).await,
            (200, 101),
            "its own, or another of this machine: {origin}"
        );
    }
    let server = keyless(listed()).await;
    assert_eq!(ask_as(&server, EDITOR).await, (200, 101));
    assert_eq!(ask_as(&server, "http://localhost:5173").await, (200, 101));
    assert_eq!(ask_as(&server, "http://editor.example").await, (403, 403));
    assert_eq!(ask_as(&keyless(Origins::Any).await, "https://any.example").await, (200, 101));
    // With keys a page would need a token.
    let (command, upgrade) = ask_as(&with_origins(Origins::Own).await, EDITOR).await;
    assert_eq!((command, upgrade), (401, 101));
}

async fn status_as_host(server: &Server, path: &str, host: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept-language: en\r\n\r\n");
    Ws::raw(server.address(), request.as_bytes()).await.err().unwrap().status
}

#[tokio::test]
async fn o2_without_keys_a_name_that_is_given_this_address_is_no_way_in() {
    let server = keyless(Origins::Own).await;
    let port = server.address().port();
    for host in
        ["evil.example".to_owned(), format!("evil.example:{port}"), "localhost.evil.example".to_owned()]
    {
        assert_eq!(status_as_host(&server, "/graphs/g/state", &host).await, 403, "{host}");
        assert_eq!(status_as_host(&server, "/ws", &host).await, 403, "{host}");
        assert_eq!(status_as_host(&server, "/healthz", &host).await, 200, "{host}");
    }
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "[::1]".to_owned()] {
        assert_eq!(status_as_host(&server, "/graphs/g/state", &host).await, 200, "{host}");
    }
    let program = b"GET /graphs/g/state HTTP/1.1\r\nhost: evil.example\r\nuser-agent: curl/8.5\r\n\r\n";
    assert_eq!(Ws::raw(server.address(), program).await.err().unwrap().status, 200, "no browser");
    let server = keyless(listed()).await;
    assert_eq!(status_as_host(&server, "/graphs/g/state", "editor.example").await, 200, "a proxy's name");
    assert_eq!(status_as_host(&server, "/graphs/g/state", "evil.example").await, 403);
    let server = with_origins(Origins::Own).await;
    assert_eq!(status_as_host(&server, "/graphs/g/state", "evil.example").await, 401, "keys are enough");
}

/// Pages of this machine: an editor under development on another port.
const NEIGHBOURS: [&str; 4] =
    ["http://localhost:5199", "http://127.0.0.1:8080", "http://[::1]:5173", "http://editor.localhost:3001"];

#[tokio::test]
async fn o2_a_page_that_is_let_in_gets_the_same_answer_from_fetch_as_from_a_socket() {
    let server = keyless(Origins::Own).await;
    for origin in NEIGHBOURS {
        assert_eq!(ask_as(&server, origin).await, (200, 101), "{origin}");
        let reply = server.ask(preflight(origin)).await;
        assert_eq!((reply.status, allowed(&reply)), (200, Some(origin)), "fetch with JSON");
        for path in ["/graphs/g/state", "/events?since=0&follow=false", "/", "/docs", "/no/such/route"] {
            let reply = server.ask(Request::get(path).header("origin", origin)).await;
            assert_eq!(allowed(&reply), Some(origin), "{path}: what the page may read");
        }
        let body = json!({"type": "CREATE_NODE", "payload": {}}).to_string();
        let reply = server.ask(Request::post("/graphs/g/command", body).header("origin", origin)).await;
        assert_eq!((reply.status, allowed(&reply)), (200, Some(origin)));
        let refused = server.ask(Request::post("/graphs/g/command", "{").header("origin", origin)).await;
        assert_eq!((refused.status, allowed(&refused)), (400, Some(origin)), "it can read why");
    }
    for origin in ["https://evil.example", "http://10.0.0.7:5173", "http://localhost.evil.example", "null"] {
        assert_eq!(allowed(&server.ask(preflight(origin)).await), None, "{origin}");
    }
}

#[tokio::test]
async fn o2_a_list_adds_to_the_pages_of_this_machine() {
    let server = keyless(listed()).await;
    for origin in NEIGHBOURS.into_iter().chain([EDITOR]) {
        assert_eq!(allowed(&server.ask(preflight(origin)).await), Some(origin));
    }
    assert_eq!(allowed(&server.ask(preflight("https://evil.example")).await), None);
}

#[tokio::test]
async fn o2_with_keys_pages_of_this_machine_are_listed_like_all_others() {
    let server = with_origins(Origins::Own).await;
    for origin in NEIGHBOURS {
        assert_eq!(allowed(&server.ask(preflight(origin)).await), None, "{origin}");
    }
}

#[tokio::test]
async fn o4_a_page_may_send_what_commands_take() {
    let server = keyless(Origins::Own).await;
    let reply = server.ask(preflight(NEIGHBOURS[0])).await;
    let headers = reply.header("access-control-allow-headers").unwrap();
    let sent = ["x-user-id", "content-type", "traceparent", "last-event-id", "x-request-id"];
    let of_saves = ["if-match", "if-none-match", "idempotency-key", "x-client-id"];
    for name in sent.into_iter().chain(of_saves) {
        assert!(headers.split(',').any(|given| given.trim() == name), "{name} in {headers}");
    }
    let methods = reply.header("access-control-allow-methods").unwrap();
    for name in ["GET", "POST", "PUT", "DELETE"] {
        assert!(methods.contains(name), "{name} in {methods}");
    }
}

#[tokio::test]
async fn o4_options_that_is_no_preflight_is_a_method_like_others() {
    for server in [keyless(Origins::Own).await, keyless(Origins::Any).await, with_origins(listed()).await] {
        let bare = Request::new("OPTIONS", "/healthz");
        server.ask(bare.clone()).await.problem(405, "METHOD_NOT_ALLOWED");
        server.ask(bare.header("origin", EDITOR)).await.problem(405, "METHOD_NOT_ALLOWED");
        let reply = server.ask(Request::get("/healthz")).await;
        let varies = reply.headers.iter().any(|(name, value)| name == "vary" && value.contains("origin"));
        assert!(varies, "an answer without an origin is told from those with one: {reply:?}");
    }
}
