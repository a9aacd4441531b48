//! Headers, connections, limits and tokens.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use dao_api::{
    auth::{Auth, Keys, KeysConfig},
    http::{Origin, Origins, RateConfig, RequestLimits},
};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::{Both, id};

const SECRET: &str = "a secret of tests, and of nothing else";

const EDITOR: &str = "https://editor.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one request for each header and target")]
async fn h1_headers_and_targets_have_the_same_answer_on_both_paths() {
    let both = Both::plain().await;
    let command = |n: usize| {
        json!({"type": "UPDATE_GRAPH", "operationId": id(n), "payload": {"updates": {"title": format!("name {n}")}}})
            .to_string()
    };
    let long = format!("accept: application/msgpack;q={}\r\n", "0".repeat(200));
    for (n, headers) in [
        "",
        "content-type: text/plain\r\n",
        "content-type: json\r\n",
        "content-type: APPLICATION/JSON; charset=utf-8\r\n",
        "content-type: application/vnd.x+json\r\n",
        "content-type: application/msgpack\r\n",
        "content-type: \r\n",
        "content-type: a\r\ncontent-type: b\r\n",
        "content-encoding: gzip\r\n",
        "content-encoding: identity\r\n",
        "accept: application/msgpack\r\n",
        "accept: text/html\r\n",
        &long,
        "accept-encoding: gzip, br\r\n",
        "if-none-match: \"x\"\r\n",
        "x-user-id: a\x01b\r\n",
        "x-user-id: \r\n",
        "x-user-id: ada\r\nx-user-id: bob\r\n",
        "x-client-id: tab\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "traceparent: nonsense\r\n",
        "host: other\r\n",
        "origin: http://localhost\r\n",
        "origin: http://localhost:5173\r\n",
        "origin: https://evil.example\r\n",
        "origin: null\r\n",
        "referer: http://localhost/\r\n",
        "expect: 100-continue\r\n",
        "expect: 100-continue\r\ncontent-type: text/plain\r\n",
        "upgrade: websocket\r\n",
        "transfer-encoding: chunked\r\n",
        "authorization: Bearer nobody-asks\r\n",
        "idempotency-key: 1\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        both.post("/graphs/g/command", headers, command(n).as_bytes()).await;
        both.post("/graphs/g/command", headers, b"").await;
    }
    for (n, path) in [
        "/graphs/g/command?",
        "/graphs/g/command?userId=ada",
        "/graphs/g/command?userId=%00",
        "/graphs/g/command?stranger=1",
        "/graphs/g/command?token=x",
        "/graphs/%67/command",
        "/graphs/g%2Fh/command",
        "/graphs/%FF/command",
        "/graphs/-a/command",
        "/graphs/.../batch",
        "/graphs//command",
        "/graphs/g/command/",
        "/graphs/g/commands",
        "/GRAPHS/g/command",
        "http://localhost/graphs/g/command",
        "http://other.example/graphs/g/command",
        "http://a b/graphs/g/command",
    ]
    .into_iter()
    .enumerate()
    {
        both.post(path, "", command(500 + n).as_bytes()).await;
        both.post(&format!("{path}#x"), "", command(600 + n).as_bytes()).await;
    }
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        for last in ["command", "batch"] {
            let head =
                format!("{method} /graphs/g/{last} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            both.say(head.as_bytes()).await;
            let preflight = format!(
                "{method} /graphs/g/{last} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\norigin: http://localhost:1\r\naccess-control-request-method: POST\r\n\r\n"
            );
            both.say(preflight.as_bytes()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h10_connections_end_and_go_on_the_same_on_both_paths() {
    let limits = RequestLimits { body_idle_timeout: Duration::from_millis(50), ..RequestLimits::default() };
    let both = Both::of(limits, |app| app).await;
    let body = |n: usize| {
        json!({"type": "UPDATE_GRAPH", "operationId": id(n), "payload": {"updates": {"title": format!("name {n}")}}})
            .to_string()
    };
    let head = |length: usize, more: &str| {
        format!(
            "POST /graphs/g/command HTTP/1.1\r\nhost: localhost\r\nx-request-id: r\r\ncontent-length: {length}\r\n{more}\r\n"
        )
    };
    let whole = |n: usize, more: &str| head(body(n).len(), more) + &body(n);
    // Requests in one piece are answered in their order on one connection.
    let many: String = (0..20).map(|n| whole(n, "")).collect();
    let answers = both.say((many + &whole(20, "connection: close\r\n")).as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 21);
    let refused = whole(30, "content-type: text/plain\r\n") + &whole(31, "connection: close\r\n");
    let answers = both.say(refused.as_bytes()).await;
    assert!(answers.contains("415") && answers.contains("200 OK"), "{answers}");
    let chunked = "POST /graphs/g/batch HTTP/1.1\r\nhost: localhost\r\nx-request-id: r\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    both.say(chunked.as_bytes()).await;
    both.say(chunked.replace("0\r\n\r\n", "nonsense").as_bytes()).await;
    both.say(chunked.replace("\r\n\r\n2", "\r\ncontent-length: 2\r\n\r\n2").as_bytes()).await;
    // Bodies that stall, or are announced as too large.
    assert!(both.say(head(100, "").as_bytes()).await.contains(" 408 "));
    assert!(both.say((head(100, "") + "{").as_bytes()).await.contains(" 408 "));
    assert!(both.say(head(9 << 20, "").as_bytes()).await.contains(" 413 "));
    assert!(both.say((head(9 << 20, "expect: 100-continue\r\n")).as_bytes()).await.contains(" 413 "));
    both.say(head(100, "content-type: text/plain\r\nexpect: 100-continue\r\n").as_bytes()).await;
    both.say(head(1 << 20, "content-type: text/plain\r\n").as_bytes()).await;
    let old = whole(40, "").replace("HTTP/1.1", "HTTP/1.0");
    assert!(both.say(old.as_bytes()).await.contains(" 200 OK"));
    both.say(whole(41, "connection: close\r\n").replace("host: localhost\r\n", "").as_bytes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_what_is_too_large_or_too_deep_has_the_same_answer_on_both_paths() {
    let limits = RequestLimits { body_bytes_max: 400 << 10, depth_max: 6, ..RequestLimits::default() };
    let both = Both::of(limits, |app| app).await;
    for depth in 1..9 {
        let data = (0..depth).fold(json!(0), |inner, _| json!({"a": inner}));
        let body =
            json!({"type": "CREATE_NODE", "operationId": id(depth), "payload": {"id": "n", "data": data}});
        both.post("/graphs/g/command", "", body.to_string().as_bytes()).await;
    }
    for kib in [1, 15, 16, 17, 63, 65, 300, 500] {
        for (n, value) in ["[],", "0,", "\"x\","].iter().enumerate() {
            let list = value.repeat((kib << 10) / value.len());
            let body = format!(
                r#"{{"type":"CREATE_NODE","operationId":"{}","payload":{{"id":"n{kib}-{n}","data":{{"list":[{list}0]}}}}}}"#,
                id(kib * 10 + n + 100)
            );
            both.post("/graphs/g/command", "", body.as_bytes()).await;
            both.post("/graphs/g/command", "accept-encoding: gzip\r\n", body.as_bytes()).await;
        }
    }
}

/// A token with this right on `g`.
fn token(user: &str, right: &str) -> String {
    let claims = json!({"sub": user, "graphs": {"g": right}, "exp": 4_000_000_000_u64});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_tokens_rights_budgets_and_origins_have_the_same_answer_on_both_paths() {
    let keys = Keys::load(KeysConfig { secret: Some(SECRET.to_owned()), ..KeysConfig::default() });
    let keys = Arc::new(keys.unwrap());
    // One request comes back after so long that no test sees it.
    let rate =
        || RateConfig { window: Duration::from_secs(3_600_000), requests_max: NonZeroU32::new(40).unwrap() };
    let both = Both::of(RequestLimits::default(), |app| {
        let origins = Origins::Listed([Origin::parse(EDITOR).unwrap()].into());
        app.with_auth(Auth::Keys(keys.clone())).with_origins(origins).with_rate_limits(rate())
    })
    .await;
    let mut seen = vec![];
    for turn in 0..3 {
        for (n, (user, right)) in [("ada", "write"), ("bob", "read"), ("eve", "admin")].iter().enumerate() {
            for (m, (name, payload)) in [
                ("UPDATE_GRAPH", json!({"updates": {"title": format!("{turn}")}})),
                ("UPDATE_GRAPH", json!({"updates": {"settings": {}}})),
                ("LABEL_VERSION", json!({"name": "published", "version": 1})),
                ("DELETE_GRAPH", json!({})),
                ("RECOVER_GRAPH", json!({})),
            ]
            .into_iter()
            .enumerate()
            {
                let id = id(turn * 100 + n * 10 + m);
                let body = json!({"type": name, "operationId": id, "payload": payload}).to_string();
                let authorization = format!("authorization: Bearer {}\r\n", token(user, right));
                let from = format!("{authorization}origin: {EDITOR}\r\nx-user-id: mallory\r\n");
                for path in ["/graphs/g/command", "/graphs/other/command", "/graphs/-/command"] {
                    let answer = both.post(path, &authorization, body.as_bytes()).await;
                    seen.push(answer[9..12].to_owned());
                    both.post(path, &from, body.as_bytes()).await;
                }
                let batch = json!({"operations": [{"type": name, "payload": payload}], "atomic": true, "batchId": id});
                both.post("/graphs/g/batch", &authorization, batch.to_string().as_bytes()).await;
            }
        }
    }
    for status in ["200", "400", "403", "429"] {
        assert!(seen.iter().any(|found| found == status), "{status} in {seen:?}");
    }
    for headers in [
        "",
        "authorization: Basic x\r\n",
        "authorization: Bearer nonsense\r\n",
        "origin: https://evil.example\r\n",
        "authorization: Bearer a\r\nauthorization: Bearer b\r\n",
    ] {
        both.post("/graphs/g/command", headers, b"{}").await;
        both.post("/graphs/g/batch", headers, b"{}").await;
    }
}
