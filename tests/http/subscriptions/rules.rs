//! What holds on a server over either store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dao_api::{
    live::{AllGraphs, SubscriptionName, Subscriptions},
    store::FeedPlace,
};
use serde_json::{Value, json};

use super::{WAIT, ack, ask_next, drain, key, keys, next, put, race, set, settle, subscribe};
use crate::{
    every_store::{batch, create},
    support::{http::Request, server::Server},
};

pub(super) async fn s5_a_subscription_is_made_once(server: Server) {
    assert_eq!(server.read("/subscriptions").await, json!({"subscriptions": []}));
    let body = json!({"filter": {"graphs": ["a.*"], "users": null}, "leaseMs": 5_000});
    let made = put(&server, "b-1", &body).await;
    let settings = json!({"name": "b-1", "filter": {"graphs": ["a.*"]}, "start": "now", "leaseMs": 5_000,
        "maxAttempts": 5});
    assert_eq!((made.status, made.json()), (201, settings.clone()));
    let again = put(&server, "b-1", &body).await;
    assert_eq!((again.status, again.json()), (200, settings));
    put(&server, "b-1", &json!({})).await.problem(409, "SUBSCRIPTION_EXISTS");
    assert_eq!(put(&server, "a", &json!({})).await.status, 201);
    assert_eq!(server.read("/subscriptions").await, json!({"subscriptions": ["a", "b-1"]}));
    let shown = server.read("/subscriptions/b-1").await;
    assert_eq!(
        (&shown["inFlight"], &shown["parked"], &shown["leaseMs"]),
        (&json!(0), &json!(0), &json!(5_000))
    );
    assert!(shown["position"].as_str().is_some_and(|position| !position.is_empty()));

    let delete = Request::new("DELETE", "/subscriptions/b-1");
    assert_eq!(server.ask(delete.clone()).await.status, 204);
    server.ask(delete).await.problem(404, "NOT_FOUND");
    server.get("/subscriptions/b-1").await.problem(404, "NOT_FOUND");
    ask_next(&server, "b-1", "").await.problem(404, "NOT_FOUND");
    assert_eq!(server.read("/subscriptions").await, json!({"subscriptions": ["a"]}));
    // Another one of its name knows nothing of it.
    assert_eq!(put(&server, "b-1", &json!({})).await.status, 201);
}

pub(super) async fn s5_what_is_malformed_is_refused_with_its_place(server: Server) {
    for (body, place) in [
        (json!({"leaseMS": 5_000}), "leaseMS"),
        (json!({"leaseMs": 999}), "leaseMs"),
        (json!({"leaseMs": "5"}), "leaseMs"),
        (json!({"maxAttempts": 0}), "maxAttempts"),
        (json!({"filter": {"type": ["x"]}}), "filter.type"),
        (json!({"filter": {"types": "NodeCreated"}}), "filter.types"),
        (json!({"filter": {"types": ["Nonsense"]}}), "filter.types"),
        (json!({"filter": {"graphs": []}}), "filter.graphs"),
        (json!({"filter": {"users": [""]}}), "filter.users"),
        (json!({"start": "yesterday"}), "start"),
        (json!([]), "must be an object"),
    ] {
        put(&server, "s", &body).await.bad(&body.to_string(), place);
    }
    for name in [".a", "a%20b", &"x".repeat(65)] {
        put(&server, name, &json!({})).await.bad(name, "name");
    }
    subscribe(&server, "s", json!({})).await;
    for query in ["max=0", "max=1001", "max=x", "wait=30001", "wait=-1"] {
        let place = query.split('=').next().unwrap();
        ask_next(&server, "s", query).await.bad(query, place);
    }
    for (body, place) in [
        (json!({}), "deliveryIds"),
        (json!({"deliveryIds": [1]}), "deliveryIds"),
        (json!({"deliveryIds": [], "reason": "x"}), "reason"),
    ] {
        server.post("/subscriptions/s/ack", &body).await.bad(&body.to_string(), place);
    }
    let many = json!({"deliveryIds": vec!["1.g"; 1_001]});
    server.post("/subscriptions/s/nack", &many).await.problem(422, "TOO_LARGE");
    let unknown = json!({"deliveryIds": ["1.g", "", "nonsense"]});
    let answer = server.post("/subscriptions/s/ack", &unknown).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"known": 0, "unknown": 3})));
}

pub(super) async fn s5_it_begins_where_it_was_told(server: Server) {
    create(&server, "a", "before").await;
    assert_eq!(put(&server, "now", &json!({})).await.status, 201);
    let position = server.read("/subscriptions/now").await["position"].clone();
    subscribe(&server, "beginning", json!({})).await;
    create(&server, "a", "between").await;
    assert_eq!(put(&server, "position", &json!({"start": position})).await.status, 201);
    create(&server, "a", "after").await;
    assert_eq!(drain(&server, "now", 10).await["a"], [2, 3]);
    assert_eq!(drain(&server, "beginning", 10).await["a"], [1, 2, 3]);
    assert_eq!(drain(&server, "position", 10).await["a"], [2, 3]);
}

pub(super) async fn s5_a_filter_is_that_of_events(server: Server) {
    let filter = json!({"types": ["NodeMoved", "NodeDeleted"], "graphs": ["team.*"], "users": ["ada"]});
    subscribe(&server, "s", json!({"filter": filter})).await;
    for graph in ["team.a", "other"] {
        for user in ["ada", "bob"] {
            let client = server.as_user(user);
            create(&client, graph, user).await;
            for x in 1..=2 {
                let moved = json!({"nodeId": user, "position": {"x": x, "y": 0}});
                client.apply(graph, "UPDATE_NODE_POSITION", moved).await;
            }
        }
    }
    assert_eq!(drain(&server, "s", 10).await, [("team.a".to_owned(), vec![2, 3])].into());
    // Also where it waits in the ledger, behind a commit that is not settled.
    create(&server.as_user("ada"), "team.a", "more").await;
    server.as_user("ada").apply("team.a", "DELETE_NODE", json!({"nodeId": "more"})).await;
    let held = next(&server, "s", "").await;
    let moved = |x: u64| json!({"nodeId": "ada", "position": {"x": x, "y": 9}});
    server.as_user("bob").apply("team.a", "UPDATE_NODE_POSITION", moved(1)).await;
    server.as_user("ada").apply("team.a", "UPDATE_NODE_POSITION", moved(2)).await;
    server.as_user("bob").apply("team.a", "UPDATE_NODE_POSITION", moved(3)).await;
    assert_eq!(next(&server, "s", "").await, Vec::<Value>::new());
    assert_eq!((keys(&held), ack(&server, "s", &held).await), (set([("team.a", 8)]), 1));
    assert_eq!(drain(&server, "s", 10).await["team.a"], [10]);
}

pub(super) async fn s6_a_graph_waits_for_the_commit_before(server: Server) {
    subscribe(&server, "s", json!({})).await;
    batch(&server, "a", "n", 3).await;
    create(&server, "b", "n").await;
    let first = next(&server, "s", "").await;
    assert_eq!(keys(&first), set([("a", 1), ("b", 1)]));
    assert!(first.iter().all(|delivery| delivery["attempt"] == 1));
    let of_a = first.iter().find(|delivery| key(delivery).0 == "a").unwrap();
    assert_eq!(of_a["commit"], server.changes("a", 0).await[0], "the commit as everywhere else");
    assert_eq!(next(&server, "s", "").await, Vec::<Value>::new());
    assert_eq!(server.read("/subscriptions/s").await["inFlight"], 2);
    assert_eq!(ack(&server, "s", std::slice::from_ref(of_a)).await, 1);
    assert_eq!(ack(&server, "s", std::slice::from_ref(of_a)).await, 0);
    assert_eq!(keys(&next(&server, "s", "").await), set([("a", 2)]));
    let packed = Request::post("/subscriptions/s/next", "").header("accept", "application/msgpack");
    assert_eq!(server.ask(packed).await.message_pack(), json!({"deliveries": []}));
}

pub(super) async fn s6_every_commit_comes_once_in_order_where_all_is_acknowledged(server: Server) {
    subscribe(&server, "few", json!({})).await;
    subscribe(&server, "many", json!({})).await;
    let mut expected = BTreeMap::new();
    for graph in ["a", "b", "c", "d", "e"] {
        batch(&server, graph, "first", 4).await;
    }
    for (n, graph) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        batch(&server, graph, "second", n + 1).await;
        expected.insert(graph.to_owned(), (1..=5 + n as u64).collect());
    }
    for (name, max) in [("few", 1), ("many", 100)] {
        assert_eq!(drain(&server, name, max).await, expected, "{name}");
    }
    create(&server, "c", "last").await;
    assert_eq!(drain(&server, "few", 1).await, [("c".to_owned(), vec![8])].into());
}

pub(super) async fn s6_a_long_append_is_handed_out_one_after_the_other(server: Server) {
    subscribe(&server, "s", json!({})).await;
    batch(&server, "long", "n", 700).await; // more than is read of an append at once
    create(&server, "b", "n").await;
    let mut told = Vec::new();
    while told.len() < 520 {
        let deliveries = next(&server, "s", "max=1").await;
        assert_eq!(ack(&server, "s", &deliveries).await, 1);
        told.extend(deliveries.iter().map(key).filter(|(graph, _)| graph == "long").map(|(_, v)| v));
    }
    assert_eq!(told, (1..=520).collect::<Vec<_>>());
}

pub(super) async fn s6_a_consumer_can_wait_for_the_first_commit(server: Server) {
    subscribe(&server, "s", json!({"filter": {"graphs": ["wanted"]}})).await;
    assert_eq!(next(&server, "s", "wait=1").await, Vec::<Value>::new());
    let waiting = next(&server, "s", WAIT);
    let writing = async {
        create(&server, "noise", "n").await;
        create(&server, "wanted", "n").await;
    };
    let (deliveries, ()) = tokio::join!(waiting, writing);
    assert_eq!(keys(&deliveries), set([("wanted", 1)]));
}

pub(super) async fn s6_a_consumer_can_wait_for_another_ones_acknowledgement(server: Server) {
    subscribe(&server, "s", json!({})).await;
    batch(&server, "a", "n", 2).await;
    let first = next(&server, "s", "").await;
    assert_eq!(keys(&first), set([("a", 1)]));
    let (second, known) = tokio::join!(next(&server, "s", WAIT), ack(&server, "s", &first));
    assert_eq!((keys(&second), known), (set([("a", 2)]), 1));
}

pub(super) async fn s6_what_was_trimmed_from_the_feed_is_handed_out_too(server: Server) {
    subscribe(&server, "s", json!({})).await;
    for graph in ["a", "b", "c"] {
        batch(&server, graph, "n", 70).await;
    }
    let store = server.projections();
    for part in 0..store.feed_parts() {
        let entries = store.feed(part, FeedPlace::START, 1_000).await.unwrap();
        if let Some(last) = entries.last() {
            store.trim_feed(part, last.place).await.unwrap();
        }
    }
    let all: Vec<u64> = (1..=70).collect();
    let told = drain(&server, "s", 10).await;
    for graph in ["a", "b", "c"] {
        let unique: BTreeSet<u64> = told[graph].iter().copied().collect();
        assert_eq!(unique.into_iter().collect::<Vec<_>>(), all, "{graph}");
    }
}

pub(super) async fn s7_a_lease_that_ends_is_followed_by_the_same_commit(server: Server) {
    subscribe(&server, "s", json!({"leaseMs": 1_000, "maxAttempts": 2})).await;
    batch(&server, "a", "n", 2).await;
    let lost = next(&server, "s", "").await;
    assert_eq!(keys(&lost), set([("a", 1)]));
    let again = next(&server, "s", WAIT).await;
    assert_eq!((keys(&again), &again[0]["attempt"]), (set([("a", 1)]), &json!(2)));
    assert_eq!(ack(&server, "s", &lost).await, 0, "another consumer has it");
    // Nobody acknowledges it again: it is parked, and the graph goes on.
    let second = next(&server, "s", WAIT).await;
    assert_eq!(keys(&second), set([("a", 2)]));
    let parked = server.read("/subscriptions/s/parked").await;
    let parked = parked["parked"].as_array().unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((&parked[0]["reason"], &parked[0]["attempts"]), (&json!("the lease ended"), &json!(2)));
}

pub(super) async fn s8_what_is_given_back_too_often_is_parked_and_the_graph_goes_on(server: Server) {
    subscribe(&server, "s", json!({"maxAttempts": 2})).await;
    batch(&server, "a", "n", 2).await;
    for attempt in 1..=2 {
        let deliveries = next(&server, "s", "").await;
        assert_eq!((keys(&deliveries), &deliveries[0]["attempt"]), (set([("a", 1)]), &json!(attempt)));
        let reason = json!({"reason": format!("no. {attempt}")});
        assert_eq!(settle(&server, "s", "nack", &deliveries, reason).await, 1);
    }
    let second = next(&server, "s", "").await;
    assert_eq!(keys(&second), set([("a", 2)]));
    let page = server.read("/subscriptions/s/parked").await;
    let parked = page["parked"].as_array().unwrap().clone();
    assert_eq!((parked.len(), &page["nextCursor"]), (1, &Value::Null));
    assert_eq!((&parked[0]["graphId"], &parked[0]["version"]), (&json!("a"), &json!(1)));
    assert_eq!((&parked[0]["reason"], &parked[0]["attempts"]), (&json!("no. 2"), &json!(2)));
    assert_eq!(parked[0]["commit"], server.changes("a", 0).await[0]);

    assert_eq!(settle(&server, "s", "parked/retry", &parked, json!({})).await, 1);
    assert_eq!(settle(&server, "s", "parked/retry", &parked, json!({})).await, 0);
    assert_eq!(next(&server, "s", "").await, Vec::<Value>::new(), "the second is in flight");
    ack(&server, "s", &second).await;
    let retried = next(&server, "s", "").await;
    assert_eq!((keys(&retried), &retried[0]["attempt"]), (set([("a", 1)]), &json!(1)));
    for _ in 0..2 {
        settle(&server, "s", "nack", &retried, json!({})).await;
        let again = next(&server, "s", "").await;
        settle(&server, "s", "nack", &again, json!({})).await;
    }
    let parked = server.read("/subscriptions/s/parked").await["parked"].as_array().unwrap().clone();
    assert_eq!(settle(&server, "s", "parked/drop", &parked, json!({})).await, 1);
    assert_eq!(server.read("/subscriptions/s/parked").await["parked"], json!([]));
    assert_eq!(next(&server, "s", "").await, Vec::<Value>::new());
}

pub(super) async fn s8_parked_ones_are_listed_page_by_page(server: Server) {
    subscribe(&server, "s", json!({"maxAttempts": 1})).await;
    for n in 0..5 {
        create(&server, &format!("g{n}"), "n").await;
    }
    let deliveries = next(&server, "s", "").await;
    assert_eq!(settle(&server, "s", "nack", &deliveries, json!({})).await, 5);
    let (mut told, mut cursor) = (Vec::new(), String::new());
    for expected in [2, 2, 1] {
        let page = server.read(&format!("/subscriptions/s/parked?limit=2{cursor}")).await;
        let parked = page["parked"].as_array().unwrap();
        assert_eq!(parked.len(), expected);
        told.extend(parked.iter().map(key));
        cursor = format!("&cursor={}", page["nextCursor"].as_str().unwrap_or_default());
    }
    assert_eq!(cursor, "&cursor=", "that was the last page");
    for garbled in ["", "garbage", "1", "x.g", "1.", "-1.g"] {
        let reply = server.get(&format!("/subscriptions/s/parked?cursor={garbled}")).await;
        reply.bad(garbled, "cursor: must be the nextCursor");
    }
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), keys(&deliveries));
}

pub(super) async fn s5_the_lag_is_seen(server: Server) {
    subscribe(&server, "s", json!({"filter": {"graphs": ["a", "b"]}})).await;
    let lag = async || server.read("/subscriptions/s").await["lagCommits"].clone();
    assert_eq!(lag().await, 0);
    batch(&server, "a", "n", 5).await;
    batch(&server, "b", "n", 2).await;
    batch(&server, "noise", "n", 7).await;
    assert_eq!(lag().await, 7);
    let first = next(&server, "s", "").await;
    assert_eq!((first.len(), lag().await), (2, json!(5)), "what waits behind those in flight");
    ack(&server, "s", &first).await;
    drain(&server, "s", 10).await;
    assert_eq!(lag().await, 0);
}

pub(super) async fn s6_consumers_that_race_share_the_work(server: Server) {
    race(&[&server, &server, &server], &server).await;
}

pub(super) async fn s6_who_stops_waiting_gets_nothing_and_holds_nothing(server: Server) {
    let all = AllGraphs::new(server.graphs.clone(), server.projections().clone());
    let subscriptions = Subscriptions::new(all);
    let name = SubscriptionName::parse("s").unwrap();
    subscribe(&server, "s", json!({})).await;
    // It ends with the server, long before its time.
    let day = Duration::from_secs(86_400);
    let handed = subscriptions.next(&name, 1, day, std::future::ready(())).await.unwrap();
    assert!(handed.is_empty());
    create(&server, "a", "n").await;
    let handed = subscriptions.next(&name, 1, day, std::future::ready(())).await.unwrap();
    assert_eq!(handed.len(), 1, "what is there is handed out all the same");
}

pub(super) async fn s6_next_is_a_post_and_nothing_else_leases(server: Server) {
    subscribe(&server, "s", json!({"maxAttempts": 1})).await;
    create(&server, "a", "n").await;
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let reply = server.ask(Request::new(method, "/subscriptions/s/next?max=1000")).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!(server.read("/subscriptions/s").await["inFlight"], 0);
    // It takes no body, and does not mind one.
    let asked = server.post("/subscriptions/s/next", &json!({"max": 7})).await.json();
    assert_eq!(asked["deliveries"][0]["attempt"], 1);
}

pub(super) async fn s6_one_busy_graph_goes_out_in_runs(server: Server) {
    subscribe(&server, "s", json!({})).await;
    batch(&server, "busy", "n", 900).await;
    create(&server, "quiet", "n").await;
    let (mut busy, mut answers, mut quiet_at) = (Vec::new(), 0, None);
    while busy.len() < 900 {
        let deliveries = next(&server, "s", "max=300").await;
        assert!(deliveries.len() <= 300);
        answers += 1;
        if keys(&deliveries).contains(&("quiet".to_owned(), 1)) {
            quiet_at = Some(answers);
        }
        let (run, others): (Vec<Value>, Vec<Value>) =
            deliveries.into_iter().partition(|delivery| key(delivery).0 == "busy");
        busy.extend(run.iter().map(|delivery| key(delivery).1));
        // The last of a run stands for all of it. An answer does not wait for what is read slowly: it may have none.
        if let Some(last) = run.last() {
            assert_eq!(ack(&server, "s", std::slice::from_ref(last)).await, 1);
        }
        ack(&server, "s", &others).await;
    }
    assert!(quiet_at.is_some_and(|at| at <= 2), "others have their turn: {quiet_at:?}");
    assert_eq!(busy, (1..=900).collect::<Vec<_>>(), "in order, each once");
    assert!(answers <= 6, "{answers} answers for 900 commits");
    assert_eq!(server.read("/subscriptions/s").await["lagCommits"], 0);
}

pub(super) async fn s6_a_run_is_settled_by_its_prefix(server: Server) {
    subscribe(&server, "s", json!({"leaseMs": 1_000})).await;
    batch(&server, "a", "n", 200).await;
    let run = next(&server, "s", "max=20").await;
    assert_eq!(run.iter().map(|d| key(d).1).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    assert_eq!(server.read("/subscriptions/s").await["inFlight"], 20);
    assert_eq!(ack(&server, "s", &run[4..5]).await, 1);
    assert_eq!(server.read("/subscriptions/s").await["inFlight"], 15);
    assert_eq!(ack(&server, "s", &run[..5]).await, 0, "they are done with");
    assert_eq!(next(&server, "s", "").await, Vec::<Value>::new());
    // Given back, it comes again from the first that is not settled; and so it does when its lease ends.
    assert_eq!(settle(&server, "s", "nack", &run[10..11], json!({})).await, 1);
    let again = next(&server, "s", "max=100").await;
    assert_eq!(again.iter().map(|d| key(d).1).collect::<Vec<_>>(), (6..=20).collect::<Vec<_>>());
    assert!(again.iter().all(|d| d["attempt"] == 2));
    assert_eq!(ack(&server, "s", &run).await, 0, "their ids are new");
    assert_eq!(ack(&server, "s", &again[..1]).await, 1);
    let third = next(&server, "s", WAIT).await;
    assert_eq!((key(&third[0]).1, &third[0]["attempt"]), (7, &json!(3)));
    assert_eq!(ack(&server, "s", &third).await, third.len() as u64);
    let rest = drain(&server, "s", 1_000).await;
    assert_eq!(rest["a"], (21..=200).collect::<Vec<_>>());
}
