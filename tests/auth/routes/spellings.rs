//! What is no token, no other graph and no other user, however it is written.

use serde_json::json;

use super::assert_challenges;
use crate::{bearing, create_node, get, guarded, support::http::Request, token};

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
