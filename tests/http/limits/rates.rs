//! Budgets over real HTTP and sockets. That they fill up again, window after window, is tested beside them, on
//! a clock that stands still until it is told not to: here a window is longer than any test.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use dao_api::{
    auth::{Auth, Keys, KeysConfig},
    http::{App, Proxies, RateConfig},
};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::{
    graph::new_id,
    http::{Reply, Request},
    server::Server,
    ws::{Came, PLAIN, Ws},
};

const SECRET: &str = "a secret of tests, and of nothing else";

fn limited(requests: u32) -> impl FnOnce(App) -> App {
    let requests_max = NonZeroU32::new(requests).unwrap();
    move |app| app.with_rate_limits(RateConfig { window: Duration::from_secs(3_600), requests_max })
}

async fn guarded(requests: u32) -> Server {
    let keys = Keys::load(KeysConfig { secret: Some(SECRET.to_owned()), ..KeysConfig::default() });
    let auth = Auth::Keys(Arc::new(keys.unwrap()));
    Server::of(|app| limited(requests)(app).with_auth(auth)).await
}

/// A token of this user; `n` tells those of one user apart.
fn token(user: &str, n: u32) -> String {
    let claims = json!({"sub": user, "graphs": {"*": "write"}, "exp": 4_000_000_000_u64, "n": n});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn state(token: &str) -> Request {
    Request::get("/graphs/g/state").header("authorization", format!("Bearer {token}"))
}

fn command(id: &str) -> Value {
    json!({"type": "CREATE_NODE", "operationId": id, "payload": {"id": id}})
}

fn assert_limited(reply: &Reply) {
    let problem = reply.problem(429, "RATE_LIMITED");
    assert!(problem["detail"].as_str().unwrap().contains("Try again in"), "{problem}");
    let retry_after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3_600).contains(&retry_after), "{retry_after}");
}

#[tokio::test]
async fn o3_requests_of_a_user_are_limited() {
    let server = guarded(3).await;
    for left in [2, 1, 0] {
        // Another token of the same user is no other budget.
        let reply = server.ask(state(&token("ada", left))).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("ratelimit-policy"), Some("\"user\";q=3;w=3600"));
        let limit = reply.header("ratelimit").unwrap();
        assert_eq!(limit, format!("\"user\";r={left};t={}", 1_200 * (3 - left)));
    }
    let refused = server.ask(state(&token("ada", 9))).await;
    assert_limited(&refused);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"user\";q=3;w=3600"));
    let retry_after = refused.header("retry-after").unwrap();
    assert_eq!(refused.header("ratelimit").unwrap(), format!("\"user\";r=0;t={retry_after}"));
    assert_eq!(server.ask(state(&token("bob", 0))).await.status, 200, "others have budgets of their own");
}

#[tokio::test]
async fn o3_refused_requests_count_like_granted_ones() {
    let server = guarded(1).await;
    let events = Request::get("/events").header("authorization", format!("Bearer {}", token("ada", 0)));
    server.ask(events).await.problem(403, "FORBIDDEN");
    assert_limited(&server.ask(state(&token("ada", 0))).await);
}

#[tokio::test]
async fn o3_health_is_never_limited() {
    let server = Server::of(limited(1)).await;
    assert_eq!(server.get("/graphs/g/state").await.status, 200);
    assert_limited(&server.get("/graphs/g/state").await);
    for path in ["/healthz", "/readyz", "/healthz", "/readyz"] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("ratelimit"), None);
    }
}

#[tokio::test]
async fn o3_without_keys_limits_are_per_claimed_user_or_per_address() {
    let server = Server::of(limited(2)).await;
    for user in ["ada", "bob"] {
        assert_eq!(server.as_user(user).get("/graphs/g/state").await.status, 200);
        let query = format!("?graphId=g&userId={user}");
        let mut ws = Ws::connect(server.address(), &query).await;
        ws.expect("SYNC").await;
        ws.send(&json!({"type": "SUBSCRIBE", "graphId": "h"})).await;
        assert_eq!(ws.expect("ERROR").await["code"], "RATE_LIMITED", "one budget for both");
        assert_limited(&server.as_user(user).get("/graphs/g/state").await);
    }
    for _ in 0..2 {
        assert_eq!(server.get("/graphs/g/state").await.status, 200);
    }
    assert_limited(&server.get("/graphs/g/state").await);
    // Nobody is believed to be a proxy.
    let forwarded = Request::get("/graphs/g/state").header("x-forwarded-for", "1.2.3.4");
    assert_limited(&server.ask(forwarded).await);
}

#[tokio::test]
async fn o3_a_trusted_proxy_names_the_client_address() {
    let proxies = Proxies::parse("127.0.0.0/8").unwrap();
    let server = Server::of(|app| limited(1)(app).with_proxies(proxies)).await;
    let of = |client: &str| Request::get("/graphs/g/state").header("x-forwarded-for", client);
    assert_eq!(server.ask(of("1.2.3.4")).await.status, 200);
    assert_limited(&server.ask(of("1.2.3.4")).await);
    assert_eq!(server.ask(of("1.2.3.4, 5.6.7.8")).await.status, 200, "what the client wrote is not believed");
    assert_limited(&server.ask(of("9.9.9.9, 5.6.7.8")).await);
}

#[tokio::test]
async fn o3_bad_tokens_limit_their_address_but_not_its_known_users() {
    let server = guarded(3).await;
    let ada = token("ada", 0);
    assert_eq!(server.ask(state(&ada)).await.status, 200);
    for _ in 0..3 {
        server.ask(state("no.good.token")).await.problem(401, "UNAUTHENTICATED");
    }
    for _ in 0..2 {
        assert_limited(&server.ask(state("no.good.token")).await);
    }
    assert_limited(&server.ask(state(&token("bob", 0))).await);
    assert_eq!(server.ask(state(&ada)).await.status, 200, "a token that was good before is looked at");
    let refused = Ws::upgrade(server.address(), "", "authorization: Bearer no.good.token\r\n").await;
    assert_eq!(refused.err().unwrap().status, 429);
    let mut ws = Ws::connect(server.address(), "").await;
    ws.send(&json!({"type": "AUTH", "token": token("bob", 1)})).await;
    assert!(matches!(ws.next().await, Came::Close(Some(4401), why) if why.contains("too many")));
}

#[tokio::test]
async fn o3_an_expired_token_does_not_count_as_a_bad_one() {
    let server = guarded(1).await;
    let claims = json!({"sub": "ada", "graphs": {}, "exp": 1_000});
    let expired = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    for _ in 0..5 {
        server.ask(state(&expired)).await.problem(401, "UNAUTHENTICATED");
    }
    assert_eq!(server.ask(state(&token("ada", 0))).await.status, 200);
}

#[tokio::test]
async fn c3_a_limited_operation_has_not_used_its_id() {
    let server = guarded(2).await;
    let id = new_id();
    let send = |user: &str| {
        let request = Request::post("/graphs/g/command", command(&id).to_string());
        request.header("authorization", format!("Bearer {}", token(user, 0)))
    };
    for _ in 0..2 {
        assert_eq!(server.ask(state(&token("ada", 0))).await.status, 200);
    }
    assert_limited(&server.ask(send("ada")).await);
    // Were the id used, another user's operation under it would be refused.
    let answer = server.ask(send("bob")).await.json();
    assert_eq!(
        (&answer["accepted"], &answer["version"], &answer["duplicate"]),
        (&json!(true), &json!(1), &Value::Null)
    );
}

#[tokio::test]
async fn w5_a_rate_limited_command_is_reverted_as_temporary_and_the_connection_lives() {
    let server = guarded(4).await;
    let authorization = format!("authorization: Bearer {}\r\n", token("ada", 0));
    let mut ws = Ws::upgrade(server.address(), "", &authorization).await.unwrap(); // 1
    ws.expect("WELCOME").await;
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g"})).await; // 2
    ws.expect("SYNC").await;
    let id = new_id();
    let frame = json!({"type": "COMMAND", "graphId": "g", "operationId": id,
        "command": {"type": "CREATE_NODE", "payload": {"id": "a"}}});
    ws.send(&frame).await; // 3
    ws.expect("STATE_UPDATE").await;
    ws.expect("ACK").await;
    assert_eq!(
        server.ask(state(&token("ada", 1))).await.header("ratelimit").unwrap().split(';').nth(1),
        Some("r=0")
    );
    let (later, batch) = (new_id(), new_id());
    ws.send(&json!({"type": "COMMAND", "graphId": "g", "operationId": later,
        "command": {"type": "CREATE_NODE", "payload": {"id": "b"}}}))
        .await;
    ws.send(&json!({"type": "BATCH", "graphId": "g", "batchId": batch,
        "operations": [{"type": "CREATE_NODE", "payload": {"id": "c"}}]}))
        .await;
    for id in [&later, &batch] {
        let revert = ws.expect("REVERT").await;
        assert_eq!(
            (&revert["operationId"], &revert["code"]),
            (&json!(id), &json!("RATE_LIMITED")),
            "{revert}"
        );
        assert_eq!((&revert["temporary"], &revert["version"]), (&json!(true), &json!(1)), "{revert}");
        assert!((1..=3_600_000).contains(&revert["retryAfterMs"].as_u64().unwrap()), "{revert}");
    }
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "other"})).await;
    let error = ws.expect("ERROR").await;
    assert_eq!((&error["code"], &error["graphId"]), (&json!("RATE_LIMITED"), &json!("other")), "{error}");
    assert!(error["retryAfterMs"].as_u64().unwrap() > 0, "{error}");
    ws.send(&json!({"type": "AUTH", "token": token("ada", 2)})).await;
    assert_eq!(ws.expect("ERROR").await["code"], "RATE_LIMITED");
    // What is conflated or answered from memory costs nothing.
    for _ in 0..10 {
        ws.send(&json!({"type": "PRESENCE", "graphId": "g", "state": {"x": 1}})).await;
        ws.send(&json!({"type": "PING"})).await;
        assert_eq!(ws.expect("PONG").await["versions"]["g"], 1);
    }
}

#[tokio::test]
async fn o3_a_handshake_is_a_request_and_its_sockets_share_one_budget() {
    let server = Server::of(limited(3)).await;
    let mut one = Ws::connect(server.address(), "?graphId=g").await; // 1, with its subscription
    let mut two = Ws::connect(server.address(), "?graphId=g").await; // 2
    one.expect("SYNC").await;
    two.expect("SYNC").await;
    one.send(&json!({"type": "SUBSCRIBE", "graphId": "h"})).await; // 3
    one.expect("SYNC").await;
    two.send(&json!({"type": "SUBSCRIBE", "graphId": "h"})).await;
    assert_eq!(two.expect("ERROR").await["code"], "RATE_LIMITED");
    let refused = Ws::handshake(server.address(), "", PLAIN).await.err().unwrap();
    assert_eq!((refused.status, &refused.body["code"]), (429, &json!("RATE_LIMITED")));
    assert!(refused.head.to_ascii_lowercase().contains("retry-after: "), "{}", refused.head);
}

#[tokio::test]
async fn w9_a_malformed_frame_counts_and_still_gets_its_error() {
    let server = Server::of(limited(2)).await;
    let mut ws = Ws::connect(server.address(), "").await; // 1
    for _ in 0..3 {
        ws.send(&json!({"type": "NONSENSE"})).await;
        assert_eq!(ws.expect("ERROR").await["code"], "BAD_REQUEST");
    }
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g"})).await;
    assert_eq!(ws.expect("ERROR").await["code"], "RATE_LIMITED");
}

#[tokio::test]
async fn o3_a_batch_is_one_request() {
    let server = Server::of(limited(2)).await;
    let operations: Vec<Value> =
        (0..50).map(|n| json!({"type": "CREATE_NODE", "payload": {"id": format!("n{n}")}})).collect();
    let reply = server.post("/graphs/g/batch", &json!({"operations": operations})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(server.get("/graphs/g/state").await.status, 200);
}
