//! Named subscriptions over HTTP (rules S5 to S8).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dao_api::{
    live::{AllGraphs, SubscriptionName, Subscriptions},
    store::FeedPlace,
};
use serde_json::{Value, json};

use crate::support::{
    gate::{Call, GatedStore},
    http::{Client, Reply, Request},
    redis::RedisServer,
    server::{Server, embedded_store},
};

/// A commit by its graph and version.
type Key = (String, u64);

/// The longest that a request may wait: what it waits for comes far earlier.
const WAIT: &str = "wait=30000";

async fn put(client: &Client, name: &str, body: &Value) -> Reply {
    let mut request = Request::post(&format!("/subscriptions/{name}"), body.to_string());
    request = request.header("content-length", body.to_string().len().to_string());
    request.method = "PUT".into();
    client.ask(request).await
}

/// A subscription from the beginning, with these settings besides.
async fn subscribe(client: &Client, name: &str, more: Value) {
    let mut body = json!({"start": "beginning"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(put(client, name, &body).await.status, 201, "{name}: {body}");
}

async fn create(client: &Client, graph: &str, node: &str) {
    client.apply(graph, "CREATE_NODE", json!({"id": node})).await;
}

async fn batch(client: &Client, graph: &str, name: &str, count: usize) {
    let operations: Vec<Value> = (0..count)
        .map(|n| json!({"type": "CREATE_NODE", "payload": {"id": format!("{name}-{n}")}}))
        .collect();
    let reply = client.post(&format!("/graphs/{graph}/batch"), &json!({"operations": operations})).await;
    assert_eq!(reply.status, 200);
}

async fn ask_next(client: &Client, name: &str, query: &str) -> Reply {
    client.ask(Request::post(&format!("/subscriptions/{name}/next?{query}"), "")).await
}

async fn next(client: &Client, name: &str, query: &str) -> Vec<Value> {
    let reply = ask_next(client, name, query).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["deliveries"].as_array().unwrap().clone()
}

fn key(delivery: &Value) -> Key {
    let commit = &delivery["commit"];
    (commit["graphId"].as_str().unwrap().to_owned(), commit["version"].as_u64().unwrap())
}

fn keys(deliveries: &[Value]) -> BTreeSet<Key> {
    deliveries.iter().map(key).collect()
}

fn set<const N: usize>(keys: [(&str, u64); N]) -> BTreeSet<Key> {
    keys.into_iter().map(|(graph, version)| (graph.to_owned(), version)).collect()
}

fn ids(deliveries: &[Value]) -> Vec<&Value> {
    deliveries.iter().map(|delivery| &delivery["deliveryId"]).collect()
}

/// Settles deliveries by one of the routes; how many were known.
async fn settle(client: &Client, name: &str, route: &str, deliveries: &[Value], more: Value) -> u64 {
    let mut body = json!({"deliveryIds": ids(deliveries)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = client.post(&format!("/subscriptions/{name}/{route}"), &body).await;
    let answer = reply.json();
    assert_eq!(reply.status, 200, "{answer}");
    let known = answer["known"].as_u64().unwrap();
    assert_eq!(answer["unknown"], deliveries.len() as u64 - known);
    known
}

async fn ack(client: &Client, name: &str, deliveries: &[Value]) -> u64 {
    settle(client, name, "ack", deliveries, json!({})).await
}

/// Takes and acknowledges all there is; each graph's versions in the order in which they came.
async fn drain(client: &Client, name: &str, max: usize) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    loop {
        let deliveries = next(client, name, &format!("max={max}")).await;
        if deliveries.is_empty() {
            return all;
        }
        for (graph, version) in deliveries.iter().map(key) {
            all.entry(graph).or_default().push(version);
        }
        assert_eq!(ack(client, name, &deliveries).await, deliveries.len() as u64);
    }
}

/// Runs a test on a server over each store.
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::rules::$name(super::Server::start().await).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let redis = super::RedisServer::start();
                super::rules::$name(super::Server::on_redis(&redis).await).await;
            })*
        }
    };
}

on_every_store! {
    s5_a_subscription_is_made_once
    s5_what_is_malformed_is_refused_with_its_place
    s5_it_begins_where_it_was_told
    s5_a_filter_is_that_of_events
    s6_a_graph_waits_for_the_commit_before
    s6_every_commit_comes_once_in_order_where_all_is_acknowledged
    s6_a_long_append_is_handed_out_one_after_the_other
    s6_a_consumer_can_wait_for_the_first_commit
    s6_a_consumer_can_wait_for_another_ones_acknowledgement
    s6_what_was_trimmed_from_the_feed_is_handed_out_too
    s7_a_lease_that_ends_is_followed_by_the_same_commit
    s8_what_is_given_back_too_often_is_parked_and_the_graph_goes_on
    s8_parked_ones_are_listed_page_by_page
    s5_the_lag_is_seen
    s6_consumers_that_race_share_the_work
    s6_who_stops_waiting_gets_nothing_and_holds_nothing
    s6_next_is_a_post_and_nothing_else_leases
    s6_one_busy_graph_goes_out_in_runs
    s6_a_run_is_settled_by_its_prefix
}

mod rules {
    use super::*;

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
        let (mut busy, mut answers) = (Vec::new(), 0);
        while busy.len() < 900 {
            let deliveries = next(&server, "s", "max=300").await;
            assert!(deliveries.len() <= 300);
            answers += 1;
            if answers == 1 {
                assert!(keys(&deliveries).contains(&("quiet".to_owned(), 1)), "others have their turn");
            }
            let (run, others): (Vec<Value>, Vec<Value>) =
                deliveries.into_iter().partition(|delivery| key(delivery).0 == "busy");
            busy.extend(run.iter().map(|delivery| key(delivery).1));
            // The last of a run stands for all of it.
            assert_eq!(ack(&server, "s", &run[run.len() - 1..]).await, 1);
            ack(&server, "s", &others).await;
        }
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
}

/// Consumers that all do the same, until everything is acknowledged.
async fn race(servers: &[&Server], writer: &Client) {
    subscribe(writer, "s", json!({})).await;
    let graphs = ["a", "b", "c", "d", "e", "f"];
    for graph in graphs {
        batch(writer, graph, "n", 8).await;
    }
    let consumers = servers.iter().map(|server| {
        let client = Client::new(server.address());
        tokio::spawn(async move {
            let mut told = Vec::new();
            loop {
                let deliveries = next(&client, "s", "max=2").await;
                if deliveries.is_empty() {
                    let shown = client.read("/subscriptions/s").await;
                    if shown["inFlight"] == 0 && shown["lagCommits"] == 0 {
                        return told;
                    }
                    continue;
                }
                told.extend(deliveries.iter().map(key));
                assert_eq!(ack(&client, "s", &deliveries).await, deliveries.len() as u64);
            }
        })
    });
    let mut told = Vec::new();
    for consumer in consumers.collect::<Vec<_>>() {
        told.extend(consumer.await.unwrap());
    }
    let expected: Vec<Key> = graphs.iter().flat_map(|g| (1..=8).map(|n| ((*g).to_owned(), n))).collect();
    told.sort();
    assert_eq!(told, expected, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_two_servers_serve_one_subscription() {
    let redis = RedisServer::start();
    let (first, second) = (Server::on_redis(&redis).await, Server::on_redis(&redis).await);
    race(&[&first, &second], &first).await;
    // What one handed out, the other settles.
    batch(&first, "a", "more", 2).await;
    let held = next(&first, "s", WAIT).await;
    let (then, known) = tokio::join!(next(&first, "s", WAIT), ack(&second, "s", &held));
    assert_eq!((keys(&held), known, keys(&then)), (set([("a", 9)]), 1, set([("a", 10)])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_restart_changes_nothing() {
    let server = Server::start().await;
    subscribe(&server, "s", json!({"maxAttempts": 1})).await;
    batch(&server, "a", "n", 3).await;
    create(&server, "b", "n").await;
    let held = next(&server, "s", "").await;
    let (of_a, of_b): (Vec<Value>, Vec<Value>) = held.into_iter().partition(|d| key(d).0 == "a");
    assert_eq!(settle(&server, "s", "nack", &of_b, json!({"reason": "broken"})).await, 1);
    let server = server.restart().await;
    assert_eq!(next(&server, "s", "").await, Vec::<Value>::new());
    assert_eq!(ack(&server, "s", &of_a).await, 1);
    assert_eq!(drain(&server, "s", 10).await["a"], [2, 3]);
    let parked = server.read("/subscriptions/s/parked").await;
    assert_eq!(
        (key(&parked["parked"][0]), &parked["parked"][0]["reason"]),
        (key(&of_b[0]), &json!("broken"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_while_the_store_is_unavailable_it_is_503_and_nothing_is_lost() {
    let mut redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    subscribe(&server, "s", json!({})).await;
    create(&server, "a", "n").await;
    redis.kill();
    ask_next(&server, "s", "").await.problem(503, "STORE_UNAVAILABLE");
    server.post("/subscriptions/s/ack", &json!({"deliveryIds": []})).await.problem(503, "STORE_UNAVAILABLE");
    redis.restart();
    loop {
        let reply = ask_next(&server, "s", WAIT).await;
        if reply.status == 200 {
            assert_eq!(keys(reply.json()["deliveries"].as_array().unwrap()), set([("a", 1)]));
            break;
        }
        reply.problem(503, "STORE_UNAVAILABLE");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_an_unreadable_history_is_parked_and_others_go_on() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    subscribe(&server, "s", json!({})).await;
    for n in 0..3 {
        create(&server, "a", &format!("n{n}")).await;
    }
    create(&server, "b", "n").await;
    let events = redis.keys("dao:*:graph:a:events");
    assert_eq!(redis.command(&["XDEL", &events[0], "2-0"]).trim(), ":1");
    let told = drain(&server, "s", 10).await;
    assert_eq!((&told["b"][..], told["a"][0]), (&[1][..], 1));
    assert!(!told["a"].contains(&2), "{told:?}");
    let page = server.read("/subscriptions/s/parked").await;
    let parked = page["parked"].as_array().unwrap().clone();
    let missing = parked.iter().find(|parked| parked["version"] == 2).expect("it is said aloud");
    assert_eq!(
        (&missing["graphId"], &missing["attempts"], &missing["commit"]),
        (&json!("a"), &json!(0), &Value::Null)
    );
    // It is not whole yet: tried again, it is parked again.
    assert_eq!(settle(&server, "s", "parked/retry", &parked, json!({})).await, parked.len() as u64);
    drain(&server, "s", 10).await;
    let page = server.read("/subscriptions/s/parked").await;
    assert!(page["parked"].as_array().unwrap().iter().any(|parked| parked["version"] == 2), "{page}");
    assert_eq!(
        settle(&server, "s", "parked/drop", page["parked"].as_array().unwrap(), json!({})).await,
        parked.len() as u64
    );
}

/// Rule S6: what takes longer to read than a look has patience for still arrives.
#[tokio::test]
async fn s6_a_slow_read_finishes_instead_of_restarting_forever() {
    let dir = tempfile::tempdir().unwrap();
    let feed = embedded_store(dir.path());
    let store = GatedStore::shared(feed.clone());
    let server = Server::over_halves(store.clone(), feed).await;
    create(&server, "g", "a").await;
    subscribe(&server, "slow", json!({})).await;
    store.set_read_takes(Duration::from_millis(800));
    let deliveries = next(&server, "slow", "wait=0").await;
    assert_eq!(deliveries.iter().map(key).collect::<Vec<_>>(), [("g".to_owned(), 1)]);
}

/// Rule S7: a look that reads for long holds up no acknowledgement, nor loses one (`hold` stops its reads).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_acknowledgements_do_not_wait_for_polls() {
    let dir = tempfile::tempdir().unwrap();
    let feed = embedded_store(dir.path());
    let store = GatedStore::shared(feed.clone());
    let server = Server::over_halves(store.clone(), feed).await;
    subscribe(&server, "s", json!({"leaseMs": 1_000})).await;
    for graph in ["a", "b", "c"] {
        create(&server, graph, "first").await;
    }
    let held = next(&server, "s", "").await;
    assert_eq!(held.len(), 3);
    for graph in ["a", "b", "c"] {
        create(&server, graph, "second").await;
    }
    store.hold(Call::Read);
    let client = Client::new(server.address());
    let looking = tokio::spawn(async move { next(&client, "s", "").await });
    store.has_arrived(Call::Read, 1).await;
    // Its look reads, and has not ended. These are answered all the same.
    let of = |graph: &str| -> Vec<Value> { held.iter().filter(|d| key(d).0 == graph).cloned().collect() };
    assert_eq!(ack(&server, "s", &of("a")).await, 1);
    assert_eq!(settle(&server, "s", "nack", &of("b"), json!({"reason": "not now"})).await, 1);
    store.open();
    let handed = looking.await.unwrap();
    assert!(!handed.iter().any(|delivery| key(delivery) == ("a".to_owned(), 1)), "that is done: {handed:?}");
    ack(&server, "s", &handed).await;
    ack(&server, "s", &of("c")).await;
    let mut told: BTreeSet<Key> = keys(&handed);
    for (graph, versions) in drain(&server, "s", 10).await {
        told.extend(versions.into_iter().map(|version| (graph.clone(), version)));
    }
    assert_eq!(told, set([("a", 2), ("b", 1), ("b", 2), ("c", 2)]));
    assert_eq!(server.read("/subscriptions/s").await["inFlight"], 0);
}

/// Rules S6 and S7: a history that the store refuses to read stops no other graph.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_an_unreadable_graph_does_not_stop_others() {
    let dir = tempfile::tempdir().unwrap();
    let feed = embedded_store(dir.path());
    let store = GatedStore::shared(feed.clone());
    let server = Server::over_halves(store.clone(), feed).await;
    subscribe(&server, "s", json!({})).await;
    for graph in ["a", "b"] {
        batch(&server, graph, "n", 2).await;
    }
    let first = next(&server, "s", "").await;
    assert_eq!(ack(&server, "s", &first).await, 2);
    store.refuse_reads_of(Some("a"));
    let second = next(&server, "s", "").await;
    assert_eq!((keys(&second), ack(&server, "s", &second).await), (set([("b", 2)]), 1));
    ask_next(&server, "s", "").await.problem(503, "STORE_UNAVAILABLE");
    store.refuse_reads_of(None);
    assert_eq!(keys(&next(&server, "s", "").await), set([("a", 2)]));
}
