//! What a server shows to those who do not know it yet: its first page (rule H8), and its document (rule H9).

use dao_api::{
    auth::Auth,
    http::{App, DocsAccess},
};
use serde_json::json;

use crate::{
    bearing, guarded, keys,
    support::{
        http::{Reply, Request},
        server::Server,
    },
    token, with_secret,
};

const DOCUMENT: [&str; 3] = ["/openapi.json", "/docs", "/docs/index.html"];
/// What a browser says that it wants.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

async fn with_docs(docs: DocsAccess) -> Server {
    Server::of(|app| app.with_auth(Auth::Keys(keys(with_secret()))).with_docs(docs)).await
}

async fn statuses(server: &Server, token: Option<&str>) -> [u16; 3] {
    let mut found = [0; 3];
    for (status, path) in found.iter_mut().zip(DOCUMENT) {
        let request = Request::get(path);
        *status = server.ask(token.map_or(request.clone(), |token| bearing(request, token))).await.status;
    }
    found
}

#[tokio::test]
async fn h9_the_document_is_public_unless_told_otherwise() {
    let ada = token("ada", json!({}));
    let server = guarded().await;
    for given in [None, Some(ada.as_str()), Some("no.good.token")] {
        assert_eq!(statuses(&server, given).await, [200; 3], "{given:?}");
    }
    let server = with_docs(DocsAccess::Private).await;
    assert_eq!(statuses(&server, None).await, [401; 3]);
    assert_eq!(statuses(&server, Some("no.good.token")).await, [401; 3]);
    assert_eq!(statuses(&server, Some(&ada)).await, [200; 3]);
    let server = with_docs(DocsAccess::Off).await;
    assert_eq!(statuses(&server, Some(&ada)).await, [404; 3]);
}

#[tokio::test]
async fn h9_what_is_public_opens_nothing_else() {
    let server = guarded().await;
    for path in
        ["/graphs/g/state", "/activity", "/metrics", "/docs/../metrics", "/docs%2F..%2Fmetrics", "/doc"]
    {
        assert_eq!(server.get(path).await.status, 401, "{path}");
    }
}

async fn home(server: &Server, accept: &str) -> Reply {
    let reply = server.ask(Request::get("/").header("accept", accept)).await;
    assert_eq!(reply.status, 200);
    assert!(reply.headers.iter().any(|(name, value)| name == "vary" && value.contains("accept")));
    reply
}

#[tokio::test]
async fn h8_the_first_page_says_what_this_is_to_browsers_and_programs() {
    let server = Server::of(|app: App| app).await;
    let reply = home(&server, BROWSER).await;
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let page = String::from_utf8(reply.body.clone()).unwrap();
    let links: Vec<&str> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(
        links,
        ["console/", "docs", "openapi.json", "healthz", "readyz"],
        "relative, for proxies with a prefix"
    );
    for link in links {
        assert_eq!(server.get(&format!("/{link}")).await.status, 200, "{link}");
    }
    assert!(page.contains("X-User-Id") && page.contains("docs/protocol.md"), "{page}");
    let policy = reply.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !page.contains("<script"), "{policy}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));

    for accept in ["*/*", "application/json", "text/plain", "", "application/json, text/html;q=0.5"] {
        let reply = home(&server, accept).await;
        assert_eq!(reply.header("content-type"), Some("application/json"), "{accept}");
        let json = reply.json();
        assert_eq!((&json["name"], &json["authentication"]), (&json!("dao-api"), &json!("x-user-id")));
        for place in ["console", "docs", "openapi", "health", "readiness"] {
            let path = json[place].as_str().unwrap();
            assert_eq!(server.get(path).await.status, 200, "{place}");
        }
    }
    let packed = home(&server, "application/msgpack").await.message_pack();
    assert_eq!(packed, home(&server, "*/*").await.json());
    let head = server.ask_to_end(Request::new("HEAD", "/").header("connection", "close")).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    server.ask(Request::post("/", "{}")).await.problem(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn h8_the_first_page_needs_no_token_and_names_only_what_is_there() {
    let server = guarded().await;
    let json = home(&server, "*/*").await.json();
    assert_eq!((&json["authentication"], &json["docs"]), (&json!("bearer"), &json!("/docs")));
    let server = with_docs(DocsAccess::Off).await;
    let json = home(&server, "*/*").await.json();
    assert!(json.get("docs").is_none() && json.get("openapi").is_none(), "{json}");
    let page = String::from_utf8(home(&server, BROWSER).await.body).unwrap();
    assert!(!page.contains("openapi.json") && page.contains("Bearer"), "{page}");
}
