//! W7: who is there, passed on and never stored.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    server::Server,
    ws::{EVERY_SPEECH, Ws},
};

async fn person(server: &Server, name: &str) -> Ws {
    let query = format!("?graphId=g&userId={name}&clientId={name}-tab");
    let mut ws = Ws::connect(server.address(), &query).await;
    ws.expect("SYNC").await;
    ws
}

fn presence(state: Value) -> Value {
    json!({"type": "PRESENCE", "graphId": "g", "state": state})
}

#[tokio::test]
async fn w7_others_and_newcomers_get_presence_but_not_its_sender() {
    let server = Server::start().await;
    let (mut ada, mut bob) = (person(&server, "ada").await, person(&server, "bob").await);
    ada.send(&presence(json!({"cursor": {"x": 1, "y": 2}}))).await;
    let seen = bob.expect("PRESENCE").await;
    let expected = json!({"type": "PRESENCE", "graphId": "g", "clientId": "ada-tab", "userId": "ada",
        "state": {"cursor": {"x": 1, "y": 2}}});
    assert_eq!(seen, expected);
    assert_eq!(ada.so_far().await, [] as [Value; 0], "not to oneself");
    for speech in EVERY_SPEECH {
        let mut newcomer = Ws::connect_as(server.address(), "?graphId=g", speech).await;
        newcomer.expect("SYNC").await;
        assert_eq!(newcomer.expect("PRESENCE").await, expected, "{speech:?}");
    }
    assert_eq!(server.state("g").await["version"], 0, "it leaves no trace in the log");
}

#[tokio::test]
async fn w7_presence_may_be_sent_right_after_the_subscription() {
    let server = Server::start().await;
    let mut bob = person(&server, "bob").await;
    let mut ada = Ws::connect(server.address(), "?userId=ada&clientId=ada-tab").await;
    let both = [json!({"type": "SUBSCRIBE", "graphId": "g"}), presence(json!("here"))];
    let bytes: Vec<u8> = both.iter().flat_map(|frame| ada.encode(frame)).collect();
    ada.write(&bytes).await;
    assert_eq!(bob.expect("PRESENCE").await["state"], "here");
    ada.expect("SYNC").await;
}

#[tokio::test]
async fn w7_presence_is_cleared_however_a_client_leaves() {
    let server = Server::start().await;
    let mut bob = person(&server, "bob").await;
    for way in ["null", "unsubscribe", "close", "vanish"] {
        let mut ada = person(&server, "ada").await;
        ada.send(&presence(json!({"way": way}))).await;
        assert_eq!(bob.expect("PRESENCE").await["state"]["way"], way);
        match way {
            "null" => ada.send(&presence(json!(null))).await,
            "unsubscribe" => ada.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await,
            "close" => ada.write(&crate::support::ws::frame(0x88, &1000_u16.to_be_bytes())).await,
            _ => drop(ada),
        }
        let gone = bob.expect("PRESENCE").await;
        assert_eq!((&gone["clientId"], &gone["state"]), (&json!("ada-tab"), &Value::Null), "{way}");
        let mut newcomer = person(&server, "eve").await;
        assert_eq!(newcomer.so_far().await, [] as [Value; 0], "nobody is there any more: {way}");
    }
}

#[tokio::test]
async fn w7_only_the_latest_presence_is_sent_and_at_most_thirty_per_second() {
    let server = Server::start().await;
    let (mut ada, mut bob) = (person(&server, "ada").await, person(&server, "bob").await);
    let start = Instant::now();
    let mut last = 0;
    while start.elapsed() < Duration::from_millis(500) {
        last += 1;
        ada.send(&presence(json!(last))).await;
        tokio::time::sleep(Duration::from_millis(1)).await; // the pace of a pointer, not a wait
    }
    let mut seen = vec![];
    while seen.last() != Some(&last) {
        seen.push(bob.expect("PRESENCE").await["state"].as_u64().unwrap());
    }
    let most = start.elapsed().as_secs_f64() * 30.0 + 2.0;
    assert!(seen.is_sorted() && (seen.len() as f64) <= most, "{} of {last}: {seen:?}", seen.len());
}

#[tokio::test]
async fn w7_the_last_of_throttled_presence_states_arrives() {
    let server = Server::start().await;
    let (mut ada, mut bob) = (person(&server, "ada").await, person(&server, "bob").await);
    for last in [json!({"n": 1e300, "big": u64::MAX}), json!(null)] {
        for n in 0..200 {
            ada.send(&presence(json!(n))).await;
        }
        ada.send(&presence(last.clone())).await;
        let mut seen = 0;
        while bob.expect("PRESENCE").await["state"] != last {
            seen += 1;
        }
        assert!(seen < 100, "most of {seen} are left out");
        assert_eq!(bob.so_far().await, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn w7_presence_of_one_connection_in_all_graphs_is_bounded() {
    let server = Server::start().await;
    let mut ada = person(&server, "ada").await;
    let state = json!("x".repeat(16_000));
    for n in 0..5 {
        let graph = format!("g{n}");
        ada.subscribe(&graph, json!({})).await;
        ada.send(&json!({"type": "PRESENCE", "graphId": graph, "state": state})).await;
    }
    let error = ada.expect("ERROR").await;
    assert_eq!((&error["code"], &error["graphId"]), (&json!("BAD_REQUEST"), &json!("g4")));
    ada.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g0"})).await;
    ada.send(&json!({"type": "PRESENCE", "graphId": "g4", "state": state})).await;
    assert_eq!(ada.so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn w7_presence_that_is_too_large_or_without_a_subscription_is_refused() {
    let server = Server::start().await;
    let mut ada = person(&server, "ada").await;
    ada.send(&presence(json!("x".repeat(16 << 10)))).await;
    let error = ada.expect("ERROR").await;
    assert!(error["message"].as_str().unwrap().contains("state"), "{error}");
    ada.send(&presence(json!("x".repeat((16 << 10) - 2)))).await; // with its quotes, just the limit
    ada.send(&json!({"type": "PRESENCE", "graphId": "elsewhere", "state": 1})).await;
    let error = ada.expect("ERROR").await;
    assert_eq!((&error["code"], &error["graphId"]), (&json!("BAD_REQUEST"), &json!("elsewhere")));
    let mut bob = person(&server, "bob").await;
    assert_eq!(bob.expect("PRESENCE").await["state"].as_str().unwrap().len(), (16 << 10) - 2);
}

#[tokio::test]
async fn w7_a_newcomer_gets_each_of_hundreds_of_present_clients_once() {
    let server = Server::start().await;
    let mut people = vec![];
    for n in 0..150 {
        let mut ws = person(&server, &format!("p{n}")).await;
        ws.send(&presence(json!({"n": n, "trail": "x".repeat(2_000)}))).await;
        people.push(ws);
    }
    // The last one's has been taken once it is answered.
    people.last_mut().unwrap().send(&json!({"type": "PING"})).await;
    while people.last_mut().unwrap().recv().await["type"] != "PONG" {}
    let mut newcomer = person(&server, "newcomer").await;
    let mut seen: Vec<u64> = vec![];
    while seen.len() < 150 {
        seen.push(newcomer.expect("PRESENCE").await["state"]["n"].as_u64().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..150).collect::<Vec<_>>());
}

fn in_slot(slot: &str, state: Value) -> Value {
    json!({"type": "PRESENCE", "graphId": "g", "slot": slot, "state": state})
}

#[tokio::test]
async fn w7_a_client_shows_something_else_in_each_slot() {
    let server = Server::start().await;
    let (mut ada, mut bob) = (person(&server, "ada").await, person(&server, "bob").await);
    for (slot, state) in [("", "cursor"), ("drag", "nodes"), ("", "cursor 2")] {
        ada.send(&in_slot(slot, json!(state))).await;
        let seen = bob.expect("PRESENCE").await;
        let expected = if slot.is_empty() { Value::Null } else { json!(slot) };
        assert_eq!(
            (&seen["slot"], &seen["state"], &seen["clientId"]),
            (&expected, &json!(state), &json!("ada-tab"))
        );
    }
    let mut newcomer = person(&server, "eve").await;
    let mut seen = [newcomer.expect("PRESENCE").await, newcomer.expect("PRESENCE").await];
    seen.sort_by_key(|frame| frame["slot"].as_str().map(str::to_owned));
    assert_eq!([&seen[0]["state"], &seen[1]["state"]], ["cursor 2", "nodes"]);
    ada.send(&in_slot("drag", Value::Null)).await;
    let cleared = bob.expect("PRESENCE").await;
    assert_eq!((&cleared["slot"], &cleared["state"]), (&json!("drag"), &Value::Null));
    ada.send(&in_slot("drag", json!("again"))).await;
    assert_eq!(bob.expect("PRESENCE").await["state"], "again");
    drop(ada);
    let mut gone = [bob.expect("PRESENCE").await, bob.expect("PRESENCE").await];
    gone.sort_by_key(|frame| frame["slot"].as_str().map(str::to_owned));
    assert!(gone.iter().all(|frame| frame["state"].is_null()), "{gone:?}");
    assert_eq!([&gone[0]["slot"], &gone[1]["slot"]], [&Value::Null, &json!("drag")]);
}

#[tokio::test]
async fn w7_a_client_has_at_most_four_slots_and_their_names_are_short() {
    let server = Server::start().await;
    let (mut ada, mut bob) = (person(&server, "ada").await, person(&server, "bob").await);
    for slot in ["a", "b", "c", "d"] {
        ada.send(&in_slot(slot, json!(slot))).await;
        assert_eq!(bob.expect("PRESENCE").await["slot"], slot);
    }
    for (bad, place) in [
        (in_slot("e", json!(1)), "slot"),
        (in_slot("a b", json!(1)), "slot"),
        (in_slot(&"x".repeat(33), json!(1)), "slot"),
    ] {
        ada.send(&bad).await;
        let error = ada.expect("ERROR").await;
        assert_eq!(error["code"], "BAD_REQUEST");
        assert!(error["message"].as_str().unwrap().starts_with(place), "{error}");
    }
    ada.send(&in_slot("e", Value::Null)).await; // there is nothing to clear
    ada.send(&in_slot("a", Value::Null)).await;
    ada.send(&in_slot("e", json!("e"))).await;
    let seen = [bob.expect("PRESENCE").await, bob.expect("PRESENCE").await];
    assert_eq!(
        [(&seen[0]["slot"], &seen[0]["state"]), (&seen[1]["slot"], &seen[1]["state"])],
        [(&json!("a"), &Value::Null), (&json!("e"), &json!("e"))]
    );
    // Another name gives up all of them.
    ada.send(&json!({"type": "PRESENCE", "graphId": "g", "clientId": "other", "state": "mine"})).await;
    let mut left = vec![];
    loop {
        let frame = bob.expect("PRESENCE").await;
        if frame["clientId"] == "other" {
            break;
        }
        assert!(frame["state"].is_null(), "{frame}");
        left.push(frame["slot"].as_str().unwrap().to_owned());
    }
    left.sort_unstable();
    assert_eq!(left, ["b", "c", "d", "e"]);
    assert_eq!(ada.so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn w7_a_connection_that_changes_its_client_id_leaves_no_stale_presence() {
    let server = Server::start().await;
    let (mut ada, mut bob) = (person(&server, "ada").await, person(&server, "bob").await);
    ada.send(&presence(json!("one"))).await;
    assert_eq!(bob.expect("PRESENCE").await["state"], "one");
    ada.send(&json!({"type": "PRESENCE", "graphId": "g", "clientId": "other", "state": "two"})).await;
    let gone = bob.expect("PRESENCE").await;
    assert_eq!((&gone["clientId"], &gone["state"]), (&json!("ada-tab"), &Value::Null));
    let there = bob.expect("PRESENCE").await;
    assert_eq!((&there["clientId"], &there["state"]), (&json!("other"), &json!("two")));
    drop(ada);
    let gone = bob.expect("PRESENCE").await;
    assert_eq!((&gone["clientId"], &gone["state"]), (&json!("other"), &Value::Null));
}

#[tokio::test]
async fn w7_leaving_and_coming_back_does_not_make_a_sender_faster() {
    /// With so many followers a state of 15 KB is passed on about five times a second.
    const FOLLOWERS: usize = 60;
    const ROUNDS: usize = 40;
    let server = Server::start().await;
    let mut followers = vec![];
    for n in 0..FOLLOWERS {
        followers.push(person(&server, &format!("follower-{n}")).await);
    }
    let mut bob = person(&server, "bob").await;
    let mut ada = person(&server, "ada").await;
    let start = Instant::now();
    let state = |n: usize| json!({"n": n, "pad": "x".repeat(15_000)});
    for n in 0..ROUNDS {
        ada.send(&presence(state(n))).await;
        assert_eq!(ada.so_far().await, [] as [Value; 0]);
        tokio::time::sleep(Duration::from_millis(35)).await; // so that followers could be told each state
        if n + 1 < ROUNDS {
            ada.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await;
            ada.subscribe("g", json!({})).await;
        }
    }
    let mut seen = 0;
    loop {
        match bob.expect("PRESENCE").await["state"]["n"].as_u64() {
            Some(n) if n as usize + 1 == ROUNDS => break,
            Some(_) => seen += 1,
            None => {}
        }
    }
    let most = start.elapsed().as_secs_f64() * 6.0 + 2.0;
    assert!((seen as f64) <= most, "{seen} states in {:?}", start.elapsed());
}
