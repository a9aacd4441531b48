//! Every route, asked by everybody who may not, and by who may.

mod rights;
mod spellings;

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    bearing, claims, create_node, get, guarded, now_s, signed,
    support::{
        graph::new_id,
        http::{Reply, Request},
        server::Server,
    },
    token,
};

/// A route and what it needs: a right on the graph `g`, or on all graphs, or only a token.
const ROUTES: [(&str, &str, &str); 31] = [
    ("GET", "/graphs", "a token"),
    ("GET", "/graphs/{graphId}", "read"),
    ("DELETE", "/graphs/{graphId}", "admin"),
    ("POST", "/graphs/{graphId}/purge", "admin"),
    ("GET", "/graphs/{graphId}/labels", "read"),
    ("GET", "/graphs/{graphId}/labels/{name}", "read"),
    ("PUT", "/graphs/{graphId}/labels/{name}", "write"),
    ("DELETE", "/graphs/{graphId}/labels/{name}", "write"),
    ("POST", "/graphs/{graphId}/command", "write"),
    ("POST", "/graphs/{graphId}/batch", "write"),
    ("GET", "/graphs/{graphId}/state", "read"),
    ("GET", "/graphs/{graphId}/document", "read"),
    ("PUT", "/graphs/{graphId}/document", "write"),
    ("GET", "/graphs/{graphId}/changes", "read"),
    ("GET", "/graphs/{graphId}/nodes", "read"),
    ("GET", "/graphs/{graphId}/nodes/{nodeId}", "read"),
    ("GET", "/graphs/{graphId}/edges", "read"),
    ("GET", "/graphs/{graphId}/edges/{edgeId}", "read"),
    ("GET", "/graphs/{graphId}/viewport", "read"),
    ("GET", "/graphs/{graphId}/operations", "read"),
    ("GET", "/graphs/{graphId}/diff", "read"),
    ("GET", "/graphs/{graphId}/nodes/{nodeId}/history", "read"),
    ("GET", "/graphs/{graphId}/edges/{edgeId}/history", "read"),
    ("GET", "/graphs/{graphId}/verify", "read"),
    ("GET", "/graphs/{graphId}/authors", "read"),
    ("GET", "/graphs/{graphId}/presence", "read"),
    ("GET", "/graphs/{graphId}/events", "read"),
    ("GET", "/graphs/{graphId}/activity", "read"),
    ("GET", "/operations/{operationId}", "a token"),
    ("GET", "/whoami", "a token"),
    ("GET", "/no/such/route", "a token"),
];

/// Health and the first page need nothing, the document what `DOCS` says, and a socket proves itself in its own ways.
const APART: [&str; 7] = ["/", "/healthz", "/readyz", "/ws", "/openapi.json", "/docs", "/docs/{file}"];

/// What is about all graphs at once needs `"*": "admin"`. A path that does not match any route needs a token.
const ALL: [(&str, &str); 15] = [
    ("GET", "/activity"),
    ("GET", "/connections"),
    ("GET", "/events"),
    ("GET", "/metrics"),
    ("GET", "/operations"),
    ("GET", "/subscriptions"),
    ("PUT", "/subscriptions/{name}"),
    ("GET", "/subscriptions/{name}"),
    ("DELETE", "/subscriptions/{name}"),
    ("POST", "/subscriptions/{name}/next"),
    ("POST", "/subscriptions/{name}/ack"),
    ("POST", "/subscriptions/{name}/nack"),
    ("GET", "/subscriptions/{name}/parked"),
    ("POST", "/subscriptions/{name}/parked/retry"),
    ("POST", "/subscriptions/{name}/parked/drop"),
];

fn request(method: &str, route: &str) -> Request {
    let path = (route.replace("{graphId}", "g").replace("{nodeId}", "a").replace("{edgeId}", "e"))
        .replace("{operationId}", &new_id())
        .replace("{name}", "v1")
        .replace("{file}", "index.html");
    match route {
        "/graphs/{graphId}/command" => create_node("g", &new_id()),
        "/graphs/{graphId}/purge" => Request::post(&path, json!({}).to_string()),
        "/graphs/{graphId}/batch" => {
            let operations = json!([{"type": "CREATE_NODE", "payload": {"id": new_id()}}]);
            Request::post(&path, json!({"operations": operations}).to_string())
        }
        "/graphs/{graphId}/events" => {
            Request::get(&format!("{path}?follow=false")).header("connection", "close")
        }
        "/graphs/{graphId}/document" if method == "PUT" => {
            let body = json!({"nodes": [], "edges": []}).to_string().into_bytes();
            Request { body, ..Request::new("PUT", &format!("{path}?mode=merge")) }
                .header("content-type", "application/json")
        }
        "/graphs/{graphId}/diff" => Request::get(&format!("{path}?from=0&to=0")),
        _ => Request::new(method, &path),
    }
}

fn assert_challenges(reply: &Reply, what: &str) {
    reply.problem(401, "UNAUTHENTICATED");
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer"), "{what}: {challenge:?}");
}

#[test]
fn o1_the_table_of_this_test_has_every_route() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/routes.rs")).unwrap();
    // `get "/graphs/{graphId}/state" => …`
    let path = |line: &'_ str| line.split_once('"')?.1.split_once("\" => ").map(|(path, _)| path.to_owned());
    let there: BTreeSet<String> = source.lines().filter_map(path).collect();
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    let all = ALL.iter().map(|(_, route)| *route);
    let tested: BTreeSet<&str> = ROUTES.iter().map(|(_, route, _)| *route).chain(APART).chain(all).collect();
    let untested: Vec<_> = there.difference(&tested).collect();
    assert!(untested.is_empty() && there.len() > 15, "{untested:?} of {there:?}");
}

#[tokio::test]
async fn o1_every_route_refuses_who_may_not_and_serves_who_may() {
    let server = guarded().await;
    let nobody = token("nobody", json!({}));
    let elsewhere = token("eve", json!({"other": "admin", "g.*": "admin", "": "admin", "G": "admin"}));
    let reader = token("reader", json!({"*": "read"}));
    let writer = token("writer", json!({"g": "write"}));
    let admin = token("admin", json!({"g": "admin"}));
    for (method, route, need) in ROUTES {
        let what = format!("{method} {route}");
        assert_challenges(&server.ask(request(method, route)).await, &what);
        assert_challenges(&server.ask(request(method, route).header("x-user-id", "ada")).await, &what);
        assert_challenges(&server.ask(bearing(request(method, route), "no.good.token")).await, &what);
        let mut may_not = vec![];
        if need != "a token" {
            may_not.extend([(&nobody, "no right"), (&elsewhere, "no right")]);
        }
        if ["write", "admin"].contains(&need) {
            may_not.push((&reader, "grants read"));
        }
        if need == "admin" {
            may_not.push((&writer, "grants write"));
        }
        for (token, granted) in may_not {
            let problem = server.ask(bearing(request(method, route), token)).await.problem(403, "FORBIDDEN");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("{need} on g")) && detail.contains(granted), "{what}: {detail}");
        }
        let may = match need {
            "read" => vec![&reader, &writer, &admin],
            "admin" => vec![&admin],
            _ => vec![&writer, &admin],
        };
        for token in may {
            let reply = server.ask(bearing(request(method, route), token)).await;
            assert!([200, 404, 503].contains(&reply.status), "{what}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn o1_what_is_about_all_graphs_needs_admin_on_all() {
    let server = guarded().await;
    for graphs in
        [json!({"*": "read"}), json!({"*": "write"}), json!({"g": "admin", "a*": "admin"}), json!({})]
    {
        for (method, route) in ALL {
            let request = Request::new(method, &route.replace("{name}", "s"));
            let reply = server.ask(bearing(request, &token("ada", graphs.clone()))).await;
            let detail = reply.problem(403, "FORBIDDEN")["detail"].to_string();
            assert!(detail.contains("admin on *"), "{method} {route} {graphs}: {detail}");
        }
    }
    for (method, route) in ALL {
        let request = Request::new(method, &route.replace("{name}", "s"));
        assert_challenges(&server.ask(request).await, route);
    }
    let reply = server.ask(get("/activity", &token("root", json!({"*": "admin"})))).await;
    assert!(![401, 403].contains(&reply.status), "{}", reply.status);
}

#[tokio::test]
async fn o7_whoami_tells_the_caller_what_their_token_says() {
    let server = guarded().await;
    let rights = json!({"team-a.*": "write", "demo": "admin"});
    let expires_s = now_s() + 60;
    let mut claims = claims("ada", rights.clone());
    claims["exp"] = expires_s.into();
    let me = server.ask(get("/whoami", &signed(&claims))).await.json();
    assert_eq!(me, json!({"userId": "ada", "expiresAt": expires_s * 1_000, "access": rights}));
    let nobody = server.ask(get("/whoami", &token("nobody", json!({})))).await.json();
    assert_eq!((&nobody["userId"], &nobody["access"]), (&json!("nobody"), &json!({})));
    // A name that the request gives does not count.
    let named = get("/whoami?userId=eve", &signed(&claims)).header("x-user-id", "eve");
    assert_eq!(server.ask(named).await.json()["userId"], "ada");
}

#[tokio::test]
async fn o7_without_keys_everybody_is_who_they_say_and_may_do_everything() {
    let server = Server::start().await;
    for (user, name) in [("?userId=ada", "ada"), ("", "anonymous")] {
        let me = server.read(&format!("/whoami{user}")).await;
        assert_eq!(me, json!({"userId": name, "expiresAt": null, "access": {"*": "admin"}}));
    }
}

#[tokio::test]
async fn o1_health_needs_nothing() {
    let server = guarded().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
        assert_eq!(server.ask(get(path, "no.good.token")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn o1_other_methods_are_refused_only_to_who_may_ask() {
    let server = guarded().await;
    assert_challenges(&server.ask(Request::new("DELETE", "/graphs/g/state")).await, "DELETE");
    let allowed = token("ada", json!({"g": "read"}));
    let reply = server.ask(bearing(Request::new("DELETE", "/graphs/g/state"), &allowed)).await;
    reply.problem(405, "METHOD_NOT_ALLOWED");
}
