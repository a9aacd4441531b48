//! Every route, asked by everybody who may not, and by who may.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    bearing, claims, create_node, get, guarded, now_s, signed,
    support::{
        graph::{new_id, with},
        http::{Reply, Request},
        server::Server,
        stream::Stream,
    },
    token, token_for,
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

#[tokio::test]
async fn o1_the_user_is_that_of_the_token_whatever_the_request_says() {
    let server = guarded().await;
    let ada = token("ada", json!({"g": "write"}));
    let mut request = bearing(create_node("g", "a"), &ada).header("x-user-id", "mallory");
    request.path.push_str("?userId=mallory");
    assert_eq!(server.ask(request).await.status, 200);
    let changes = server.ask(get("/graphs/g/changes", &ada)).await.json();
    assert_eq!(changes["changes"][0]["userId"], "ada");
}

#[tokio::test]
async fn o1_a_token_in_the_url_is_no_token() {
    let server = guarded().await;
    let all = token("ada", json!({"*": "admin"}));
    for name in ["access_token", "token", "authorization", "jwt", "bearer"] {
        let reply = server.get(&format!("/graphs/g/state?{name}={all}")).await;
        assert_challenges(&reply, name);
    }
}

#[tokio::test]
async fn o1_headers_that_are_no_bearer_token_are_refused() {
    let server = guarded().await;
    let good = token("ada", json!({"g": "read"}));
    let odd = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        good.clone(),
        format!("Basic {good}"),
        format!("Bearer {good} {good}"),
        format!("Bearer\t{good}"),
        format!("Bearer \"{good}\""),
    ];
    for value in odd {
        let reply = server.ask(Request::get("/graphs/g/state").header("authorization", &value)).await;
        assert_challenges(&reply, &value);
    }
    let twice = get("/graphs/g/state", &good).header("authorization", format!("Bearer {good}"));
    server.ask(twice).await.bad("two headers", "Authorization");
    let other_case = Request::get("/graphs/g/state").header("Authorization", format!("bearer {good}"));
    assert_eq!(
        server.ask(other_case).await.status,
        200,
        "the scheme's case does not matter (RFC 9110, 11.1)"
    );
}

#[tokio::test]
async fn o1_no_spelling_of_a_graph_opens_another() {
    let server = guarded().await;
    let owner = token("owner", json!({"secret": "write"}));
    assert_eq!(server.ask(bearing(create_node("secret", "treasure"), &owner)).await.status, 200);
    let mine = token("eve", json!({"mine": "admin", "s": "admin", "secret.*": "admin", "%73ecret": "admin"}));
    let spellings = [
        ("/graphs/secret/state", 403),
        ("/graphs/%73ecret/state", 403),
        ("/graphs/secre%74/state", 403),
        ("/graphs/%73%65%63%72%65%74/state", 403),
        ("/graphs/%2573ecret/state", 400),
        ("/graphs/secret%00/state", 400),
        ("/graphs/secret%20/state", 400),
        ("/graphs/mine%2F..%2Fsecret/state", 400),
        ("/graphs/mine%2f%2e%2e%2fsecret/state", 400),
        ("/graphs/mine/../secret/state", 404),
        ("/graphs/mine/%2e%2e/secret/state", 404),
        ("/graphs/./secret/state", 404),
        ("//graphs/secret/state", 404),
        ("/graphs//secret/state", 404),
        ("/graphs/secret//state", 404),
        ("/graphs/secret/state/", 404),
        ("/GRAPHS/secret/state", 404),
        ("/%67raphs/secret/state", 404),
        ("/graphs/mine;secret/state", 400),
        ("/graphs/secret%c0%ae/state", 400),
        ("/graphs/secret%ff/state", 400),
        ("/graphs/Secret/state", 403),
        ("/graphs/mine/state?graphId=secret", 400),
        ("/graphs/m%69ne/state", 200),
    ];
    for (path, status) in spellings {
        let reply = server.ask(get(path, &mine)).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, status, "{path}: {text}");
        assert!(!text.contains("treasure"), "{path}: {text}");
    }
}

#[tokio::test]
async fn o1_an_operation_on_a_graph_one_may_not_read_is_unknown() {
    let server = guarded().await;
    let (ada, eve) = (token("ada", json!({"g": "write"})), token("eve", json!({"mine": "admin"})));
    let id = server.ask(bearing(create_node("g", "a"), &ada)).await.json()["operationId"].clone();
    let path = format!("/operations/{}", id.as_str().unwrap());
    assert_eq!(server.ask(get(&path, &ada)).await.json()["operationId"], id);
    let refused = server.ask(get(&path, &eve)).await.problem(404, "NOT_FOUND");
    let other = new_id();
    let unknown = server.ask(get(&format!("/operations/{other}"), &eve)).await.problem(404, "NOT_FOUND");
    let refused = refused.to_string().replace(id.as_str().unwrap(), &other);
    assert_eq!(refused, unknown.to_string(), "the answers differ in the id alone");
}

#[tokio::test]
async fn o1_a_forbidden_command_is_not_read_and_its_id_not_used_up() {
    let server = guarded().await;
    let id = new_id();
    let command = json!({"type": "CREATE_NODE", "payload": {"id": "a"}, "operationId": id});
    let post = |token: &str, body: String| bearing(Request::post("/graphs/g/command", body), token);
    let (reader, writer) = (token("ada", json!({"g": "read"})), token("ada", json!({"g": "write"})));
    server.ask(post(&reader, command.to_string())).await.problem(403, "FORBIDDEN");
    server.ask(post(&reader, "{".to_owned())).await.problem(403, "FORBIDDEN");
    let accepted = server.ask(post(&writer, command.to_string())).await;
    assert_eq!((accepted.status, &accepted.json()["duplicate"]), (200, &json!(null)));
}

#[tokio::test]
async fn o1_a_stream_ends_when_its_token_does_and_says_so() {
    let server = guarded().await;
    let streams = [
        ("/graphs/g/events", "text/event-stream"),
        ("/graphs/g/events", "application/x-ndjson"),
        ("/events", "text/event-stream"),
        ("/events", "application/x-ndjson"),
    ];
    for (path, accept) in streams {
        let is_events = accept == "text/event-stream";
        let token = token_for("ada", json!({"*": "admin"}), 4);
        let headers = [("authorization", format!("Bearer {token}")), ("accept", accept.to_owned())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut stream = Stream::open(&server, &format!("{path}?follow=true"), &headers).await;
        assert_eq!(stream.status, 200);
        let last = loop {
            if is_events {
                let event = stream.event().await.unwrap();
                if event.name == "problem" {
                    assert_eq!(stream.event().await, None);
                    break event.data;
                }
            } else {
                let line = stream.line().await.unwrap();
                if !line["error"].is_null() {
                    assert_eq!(stream.line().await, None);
                    break line["error"].clone();
                }
            }
        };
        assert_eq!(last["code"], "UNAUTHENTICATED", "{path} {accept}");
    }
}

#[tokio::test]
async fn o1_a_token_good_a_moment_ago_is_not_good_for_ever() {
    let server = guarded().await;
    // It is proved once, and then remembered: the end of it is not forgotten.
    let claims = json!({"sub": "ada", "graphs": {"g": "read"}});
    let short = signed(&with(&claims, json!({"exp": crate::now_s() - crate::LEEWAY_S + 3})));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let reply = server.ask(get("/graphs/g/state", &short)).await;
        if reply.status == 401 {
            assert!(reply.json()["detail"].as_str().unwrap().contains("expired"));
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "it is still good");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn l8_the_trash_and_settings_need_admin() {
    let server = guarded().await;
    let [writer, admin] = ["write", "admin"].map(|right| token("ada", json!({"g": right})));
    let post = |token: &str, name: &str, payload: serde_json::Value| {
        let command = json!({"type": name, "payload": payload, "operationId": new_id()});
        bearing(Request::post("/graphs/g/command", command.to_string()), token)
    };
    let settings = json!({"updates": {"settings": {"readOnly": false}}});
    let with_settings = json!({"attributes": {"settings": {"readOnly": false}}});
    server.ask(post(&writer, "CREATE_GRAPH", with_settings)).await.problem(403, "FORBIDDEN");
    let row = server.ask(post(&writer, "CREATE_GRAPH", json!({"attributes": {"title": "T"}}))).await;
    assert_eq!(row.status, 200, "{}", String::from_utf8_lossy(&row.body));
    assert_eq!(server.ask(get("/graphs/g", &writer)).await.json()["access"], "write");
    for (name, payload) in
        [("UPDATE_GRAPH", settings), ("DELETE_GRAPH", json!({})), ("RECOVER_GRAPH", json!({}))]
    {
        server.ask(post(&writer, name, payload.clone())).await.problem(403, "FORBIDDEN");
        let accepted = server.ask(post(&admin, name, payload)).await;
        assert_eq!(accepted.status, 200, "{name}: {}", String::from_utf8_lossy(&accepted.body));
    }
    let update = post(&writer, "UPDATE_GRAPH", json!({"updates": {"title": "U"}}));
    assert_eq!(server.ask(update).await.status, 200);
    let batch = json!({"operations": [{"type": "UPDATE_GRAPH", "payload": {"updates": {"settings": null}}}]});
    let batch = bearing(Request::post("/graphs/g/batch", batch.to_string()), &writer);
    server.ask(batch).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn l12_protected_labels_need_admin_and_others_write() {
    let server = guarded().await;
    let [reader, writer, admin] = ["read", "write", "admin"].map(|right| token("ada", json!({"g": right})));
    let create = json!({"type": "CREATE_NODE", "payload": {"id": "a"}});
    let created = server.ask(bearing(Request::post("/graphs/g/command", create.to_string()), &writer)).await;
    assert_eq!(created.status, 200);
    let put =
        |token: &str, name: &str| bearing(Request::new("PUT", &format!("/graphs/g/labels/{name}")), token);
    let delete =
        |token: &str, name: &str| bearing(Request::new("DELETE", &format!("/graphs/g/labels/{name}")), token);
    let post = |token: &str, name: &str| {
        let command = json!({"type": "LABEL_VERSION", "payload": {"name": name}, "operationId": new_id()});
        bearing(Request::post("/graphs/g/command", command.to_string()), token)
    };
    for refused in [put(&reader, "v1"), put(&writer, "published"), post(&writer, "published")] {
        server.ask(refused).await.problem(403, "FORBIDDEN");
    }
    server.ask(delete(&writer, "published")).await.problem(403, "FORBIDDEN");
    for granted in
        [put(&writer, "v1"), put(&admin, "published"), post(&admin, "published"), delete(&writer, "v1")]
    {
        let reply = server.ask(granted).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(server.ask(get("/graphs/g/labels", &reader)).await.status, 200);
    let restore = json!({"type": "RESTORE_VERSION", "payload": {"to": "published"}});
    let restored = bearing(Request::post("/graphs/g/command", restore.to_string()), &writer);
    assert_eq!(server.ask(restored).await.status, 200);
}

#[tokio::test]
async fn l7_a_copy_needs_read_on_its_source() {
    let server = guarded().await;
    let owner = token("ada", json!({"g": "write"}));
    let create = json!({"type": "CREATE_NODE", "payload": {"id": "a"}});
    server.ask(bearing(Request::post("/graphs/g/command", create.to_string()), &owner)).await;
    let copy =
        json!({"type": "CREATE_GRAPH", "payload": {"from": {"graphId": "g"}}, "operationId": new_id()});
    let post = |token: &str| bearing(Request::post("/graphs/h/command", copy.to_string()), token);
    let stranger = token("eve", json!({"h": "admin"}));
    let refused = server.ask(post(&stranger)).await.problem(403, "FORBIDDEN");
    assert!(refused["detail"].as_str().unwrap().contains("read on g"), "{refused}");
    for rights in [json!({"h": "read", "g": "read"}), json!({"g": "admin"})] {
        server.ask(post(&token("eve", rights))).await.problem(403, "FORBIDDEN");
    }
    let granted = server.ask(post(&token("eve", json!({"h": "write", "g": "read"})))).await;
    assert_eq!(granted.status, 200, "{}", String::from_utf8_lossy(&granted.body));
}
