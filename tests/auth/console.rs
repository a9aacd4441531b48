//! The web console: its page and its files, for anybody (rule H12).

use dao_api::{auth::Auth, http::ConsoleRoute};

use crate::{
    guarded, keys,
    support::{
        http::{Reply, Request},
        server::Server,
    },
    with_secret,
};

/// The addresses of the files that a page names, relative to the server.
fn files_of(page: &Reply, path: &str) -> Vec<String> {
    let text = String::from_utf8(page.body.clone()).unwrap();
    let base = url::Url::parse("http://localhost").unwrap().join(path).unwrap();
    let files = text.split('"').filter(|text| text.contains("assets/"));
    files.map(|file| base.join(file).unwrap().path().to_owned()).collect()
}

#[tokio::test]
async fn h12_every_address_of_the_console_is_its_page() {
    let server = guarded().await;
    let mut all = vec![];
    for path in [
        "/console/",
        "/console/graphs",
        "/console/graphs?q=invoice&sort=updatedAt&sort=id",
        "/console/graphs/team-a.flow-7@1470/compare/1..2?node=a&path=%2Fdata%2Flabel",
        "/console/operations/",
        "/console/graphs/a%2Fb",
    ] {
        let page = server.get(path).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        let policy = page.header("content-security-policy").unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        all.push(files_of(&page, path.split('?').next().unwrap()));
    }
    assert!(all.iter().all(|files| *files == all[0] && !files.is_empty()), "{all:?}");
    for file in &all[0] {
        let asset = server.get(file).await;
        assert_eq!(asset.status, 200, "{file}");
        assert!(asset.header("cache-control").is_some_and(|value| value.contains("immutable")), "{file}");
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn h12_files_come_compressed_to_those_who_take_that() {
    let server = guarded().await;
    let page = server.get("/console/").await;
    for file in files_of(&page, "/console/") {
        let plain = server.get(&file).await;
        assert_eq!(plain.header("content-encoding"), None);
        for (accepted, expected) in [("br, gzip", "br"), ("gzip", "gzip")] {
            let packed = server.ask(Request::get(&file).header("accept-encoding", accepted)).await;
            // Short ones are not worth the work, but what is in the program is there.
            let is_packed = expected == "br" || plain.body.len() > 4_096;
            let encoding = packed.header("content-encoding");
            assert!(!is_packed || encoding == Some(expected), "{file} {accepted}: {encoding:?}");
            assert!(!is_packed || packed.body.len() < plain.body.len(), "{file} {accepted}");
            assert_eq!(packed.header("content-type"), plain.header("content-type"));
        }
    }
}

#[tokio::test]
async fn h12_what_is_no_file_is_not_found() {
    let server = guarded().await;
    let page = server.get("/console/").await;
    let file = files_of(&page, "/console/").remove(0);
    let (dir, name) = file.rsplit_once('/').unwrap();
    for path in [
        format!("{dir}/none.js"),
        format!("{dir}/../{name}"),
        format!("{dir}/%2e%2e/index.html"),
        format!("/console/assets/{}/{name}", "0".repeat(16)),
        "/console/assets/".to_owned(),
        format!("/console/{}", "a/".repeat(9)),
        format!("/console/assets/{name}"),
    ] {
        server.get(&path).await.problem(404, "NOT_FOUND");
    }
    let moved = server.get("/console").await;
    assert_eq!((moved.status, moved.header("location")), (308, Some("console/")));
    server.ask(Request::post("/console/", "")).await.problem(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn h12_a_server_without_a_console_has_none_of_it() {
    let server =
        Server::of(|app| app.with_auth(Auth::Keys(keys(with_secret()))).with_console(ConsoleRoute::Off))
            .await;
    for path in ["/console", "/console/", "/console/graphs", "/console/assets/0/app.js"] {
        assert!(matches!(server.get(path).await.status, 401 | 404), "{path}");
    }
    let home = server.ask(Request::get("/").header("accept", "application/json")).await.json();
    assert_eq!(home.get("console"), None);
    let server = guarded().await;
    let home = server.ask(Request::get("/").header("accept", "application/json")).await.json();
    assert_eq!(home["console"], "/console/");
    let page = server.ask(Request::get("/").header("accept", "text/html")).await;
    assert!(String::from_utf8(page.body).unwrap().contains("href=\"console/\""));
}
